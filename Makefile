# Two commands do all set-up on a fresh machine: `make demo` and `make test`. Needs Python >= 3.10 and make, nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE := $(or $(SPANLOOM_CACHE_DIR),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spanloom)
UV_VERSION := 0.13.8
UV_HOME := $(CACHE)/uv-$(UV_VERSION)
UV := $(UV_HOME)/bin/uv
PYTHON ?= python3
PY := .venv/bin/python
DEMO_ENV := .venv-demo
DEMO_PY := $(DEMO_ENV)/bin/python
PYTEST_ARGS ?=

.PHONY: help demo test lint types format unit fuzz soak stack stack-down stack-status bench build prices semconv snapshots clean install

help: ## List the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("spanloom needs Python >= 3.10, and $(PYTHON) is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.x" if sys.version_info < (3, 10) else 0)'
	@echo "Installing uv $(UV_VERSION) into $(UV_HOME)"
	@rm -rf $(UV_HOME).part && mkdir -p $(UV_HOME).part
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(UV_HOME).part/venv || { echo "$(PYTHON) has neither pip nor venv; install one of them (Debian: apt-get install python3-venv)"; exit 1; }
	@py=$(PYTHON); [ -x $(UV_HOME).part/venv/bin/python ] && py=$(UV_HOME).part/venv/bin/python; \
	  PIP_ROOT_USER_ACTION=ignore $$py -m pip install --quiet --disable-pip-version-check --no-warn-script-location --target $(UV_HOME).part/uv uv==$(UV_VERSION)
	@rm -rf $(UV_HOME) && mv $(UV_HOME).part/uv $(UV_HOME) && rm -rf $(UV_HOME).part

# What the demo needs and no more: no test or lint tools.
$(DEMO_ENV)/.done: uv.lock pyproject.toml | $(UV)
	@echo "Installing the demo's packages from uv.lock into $(DEMO_ENV)"
	@UV_PROJECT_ENVIRONMENT=$(DEMO_ENV) $(UV) sync --quiet --frozen --python $(PYTHON) --no-default-groups --group example \
	  --extra openai --extra dspy --extra system --extra fastapi --extra requests --compile-bytecode
	@touch $@

.venv/.done: uv.lock pyproject.toml | $(UV)
	@echo "Installing the development packages from uv.lock into .venv"
	@$(UV) sync --quiet --frozen --python $(PYTHON) --all-extras
	@touch $@

install: .venv/.done ## Make the development environment (.venv)

demo: $(DEMO_ENV)/.done ## Run the example service with spanloom and print its traces
	@$(DEMO_PY) examples/run_demo.py

stack: .venv/.done ## Start Collector, Jaeger and Prometheus, run the demo against them, check the figures
	@$(PY) examples/stack.py

stack-down: .venv/.done ## Stop what `make stack` started
	@$(PY) -m deploy.local down

stack-status: .venv/.done ## Say what of the stack runs, and where
	@$(PY) -m deploy.local status

test: lint types unit ## Everything that CI runs

lint: .venv/.done ## ruff and the import contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-cache

types: .venv/.done ## pyright, strict for the three roots
	@.venv/bin/pyright

unit: .venv/.done ## All tests, with coverage
	@rm -f .coverage .coverage.*
	@.venv/bin/coverage run -m pytest $(PYTEST_ARGS)
	@.venv/bin/coverage combine --quiet && .venv/bin/coverage report

fuzz: .venv/.done ## 100,000 odd answers to the SDK, without and with the plugin; tool calls in random order (FUZZ_ARGS="--seed 2")
	@$(PY) -m tests.no_harm.fuzz $(FUZZ_ARGS)
	@$(PY) -m tests.tool_calls.fuzz $(FUZZ_ARGS)

soak: .venv/.done ## 100,000 short calls over every kind of end: memory stays flat (SOAK_ARGS="--calls 20000")
	@$(PY) -m tests.no_harm.soak $(SOAK_ARGS)
	@$(PY) -m tests.dspy.soak $(SOAK_ARGS)
	@$(PY) -m tests.tool_calls.soak
	@$(PY) -m tests.sampling.soak

format: .venv/.done ## Let ruff format and fix
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

bench: .venv/.done ## Added CPU per call against no instrumentation and the official packages
	@$(PY) -m tests.benchmarks
	@$(PY) -m tests.benchmarks.hooks
	@$(PY) -m tests.benchmarks.tools
	@$(PY) -m tests.benchmarks.sampling
	@$(PY) -m tests.benchmarks.pipeline
	@$(PY) -m tests.benchmarks.redaction
	@$(PY) -m tests.benchmarks.costs

build: | $(UV) ## Wheel and sdist into dist/
	@$(UV) build --quiet && ls -1 dist

prices: .venv/.done ## Compile the price table from the pinned genai-prices, with a report of what changed
	@$(PY) -m spanloom.cost._build
	@$(PY) -m spanloom.cost._collector

semconv: .venv/.done ## Make the names and metrics anew from the conventions' data in tests/fixtures/semconv
	@$(PY) -m tests.semconv._generate
	@$(PY) -m tests.semconv._settings

snapshots: .venv/.done ## Rewrite the span snapshots from what the tests see now
	@SPANLOOM_UPDATE_SNAPSHOTS=1 $(PY) -m pytest -q $(PYTEST_ARGS)

clean: ## Remove what the verbs made inside the tree (caches outside stay)
	@rm -rf .venv .venv-demo dist build .coverage .coverage.* .pytest_cache .ruff_cache .spanloom
