"""The example against the real Collector, Jaeger and Prometheus: traces, tokens, money, sampling."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import genai_prices
import pytest

from demo import Call, Demo, Sent, demo_calls, load_calls
from deploy.local import check
from deploy.local.supervisor import Stack
from line_check import MODEL_LABEL, TOKENS, expected_tokens, metric_problems, trace_problems, traces_of

REQUESTS, FAILURES, BASELINE = 1000, 50, 10.0
WHOLE_FAILURES = (
    sorted(["POST /chat", "chat gpt-4o-mini"]),
    sorted(["POST /ask", "invoke_workflow HandbookProgram", "Predict rerank", "chat gpt-4o-mini"]),
)


@dataclass
class Run:
    """What the clients saw, what the model server counted, and the name of the run in both backends."""

    instance: str
    sent: list[Sent]
    ledger: Mapping[str, Any]


def independent_price(entry: Mapping[str, Any]) -> float:
    """The price of a ledger entry by the genai-prices library itself, not by the table made from its data."""
    usage = genai_prices.Usage(
        input_tokens=entry["input_tokens"],
        output_tokens=entry["output_tokens"],
        cache_read_tokens=entry["cached_tokens"] or 0,
    )
    return float(genai_prices.calc_price(usage, entry["model_answered"], provider_id="openai").total_price)


def run_example(stack: Stack, python: Path, folder: Path, calls, concurrency: int = 1) -> Run:
    """Send calls through the example service, installed from the wheel, which reports to the stack."""
    instance = uuid.uuid4().hex
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http_endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}",
    }
    prefix = [str(python.parent / "opentelemetry-instrument")]
    demo = Demo(folder, prefix=prefix, python=str(python), env=settings, ports=(0, 0), say=lambda _: None)
    with demo:
        sent = demo.send(calls, concurrency=concurrency)
    assert demo.ledger is not None
    return Run(instance, sent, demo.ledger)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything is kept."""
    with Stack.up(state_dir=tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def run(stack: Stack, example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo's requests."""
    return run_example(stack, example_python, tmp_path_factory.mktemp("demo"), demo_calls())


def test_the_traces_are_in_jaeger_with_the_right_tree(stack, run):
    """HTTP request, modules, agent, tools, the second service call and model calls, one trace a request."""
    traces = traces_of(stack.jaeger_url, run.instance, len(run.sent))
    assert trace_problems(traces, run.sent) == []


def test_tokens_and_money_in_prometheus_equal_the_ledger(stack, run):
    """Tokens exactly; USD to 1e-9 against the genai-prices library itself."""
    assert metric_problems(stack.prometheus_url, run.instance, run.ledger, independent_price) == []


def test_a_difference_would_be_seen(stack, run):
    """The comparison fails on one token and on one trace too few: it can fail."""
    first = next(entry for entry in run.ledger["entries"] if entry["input_tokens"])
    one_more = {"entries": [*run.ledger["entries"], {**first, "input_tokens": 1, "output_tokens": 0}]}
    expected = expected_tokens(one_more, "input_tokens")
    found = check.prometheus_sum(stack.prometheus_url, TOKENS["input_tokens"], (MODEL_LABEL,))
    assert check.sum_differences(expected, found) != []
    traces = traces_of(stack.jaeger_url, run.instance, len(run.sent))
    assert trace_problems(traces[1:], run.sent) != []


@pytest.fixture(scope="module")
def sampling_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A tenth is kept, and every failure."""
    folder = tmp_path_factory.mktemp("sampling")
    with Stack.up(state_dir=folder, baseline_percent=BASELINE, decision_wait_s=10) as stack:
        yield stack


def test_sampling_keeps_every_failure_whole_a_tenth_of_the_rest_and_every_count(
    sampling_stack, example_python, tmp_path
):
    """Of 1,000 requests with 50 failures: all 50 whole, the rest 10 % +- 3 points, counters equal to the ledger."""
    run = run_example(sampling_stack, example_python, tmp_path, load(), concurrency=8)
    assert Counter(one.ok for one in run.sent) == {True: REQUESTS}

    assert metric_problems(sampling_stack.prometheus_url, run.instance, run.ledger, independent_price) == []

    traces = settled_traces(sampling_stack, run)
    failed = [spans for spans in traces if any(span["status"] == "error" for span in spans)]
    assert len(failed) == FAILURES
    for spans in failed:
        assert sorted(span["name"] for span in spans) in WHOLE_FAILURES, [span["name"] for span in spans]
    kept = len(traces) - len(failed)
    percent = 100 * kept / (REQUESTS - FAILURES)
    assert abs(percent - BASELINE) <= 3, f"{kept} of {REQUESTS - FAILURES} are kept"


def load() -> list[Call]:
    """The requests of the sampling test. Some questions make a tool fail, and such a trace is kept as a failure too."""
    (sound, *_) = demo_calls()
    calls = load_calls(REQUESTS, FAILURES)
    return [
        replace(one, question=sound.question) if one.path == "/ask" and one.expected == 200 else one for one in calls
    ]


def settled_traces(stack: Stack, run: Run) -> list[list[check.Span]]:
    """The run's traces once no more come: the number has not changed for longer than the decision takes."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 15:
        traces = traces_of(stack.jaeger_url, run.instance, 0)
        if len(traces) != seen:
            seen, since = len(traces), time.monotonic()
        time.sleep(1)
    return traces
