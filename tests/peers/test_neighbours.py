"""Beside each of five other recorders: one inference span a call in each backend, and one line that names the other."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_server import ModelServer
from tests.peers._environments import REQUIREMENTS, clean_environment, environment

OURS = "spanloom.openai"
SCOPES = {
    "official": "opentelemetry.instrumentation.genai.openai",
    "openllmetry": "opentelemetry.instrumentation.openai.v1",
    "openinference": "openinference.instrumentation.openai",
    "logfire": "logfire.openai",
    "langfuse": "langfuse-sdk",
}
PACKAGES = {
    "official": "opentelemetry-instrumentation-genai-openai",
    "openllmetry": "opentelemetry-instrumentation-openai",
    "openinference": "openinference-instrumentation-openai",
    "logfire": "logfire",
    "langfuse": "langfuse",
}
CHAT_CALLS = ("sync", "again", "stream", "async", "async stream", "parse", "raw", "failing")
MODEL_CALLS = (*CHAT_CALLS, "embeddings", "responses")
# Who records every request, whatever it is for.
ALL_REQUESTS = ("openinference", "logfire")
# What the other one has begun before we are asked, if it came after us: the first call of each method that it wraps.
BEGUN = {
    "official": ("sync", "async", "parse", "embeddings", "responses"),
    "openllmetry": ("sync", "async", "parse", "embeddings", "responses"),
    "openinference": ("models",),
    # It suppresses whatever is below its own span, so that we are never asked.
    "logfire": ("models", "models again"),
}
ORDERS = ("theirs first", "ours first")

each = pytest.mark.parametrize("neighbour", sorted(REQUIREMENTS))
both_orders = pytest.mark.parametrize("order", ORDERS)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """One model server for all."""
    with ModelServer() as one:
        yield one


@functools.cache
def told(neighbour: str, url: str) -> dict[str, Any]:
    """What the neighbour's scenarios left; run once."""
    worker = Path(__file__).with_name("_worker.py")
    done = subprocess.run(
        [str(environment(neighbour)), str(worker), neighbour, url],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def scenario(server):
    """Ask for one scenario of one neighbour."""

    def ask(neighbour: str, name: str) -> dict[str, Any]:
        one = told(neighbour, server.url)[name]
        assert "crash" not in one, one
        return one

    return ask


def only_expected_errors(one: dict[str, Any]) -> bool:
    """The bare library's error where the server has no such address, and none else."""
    return list(one["errors"]) == ["failing"] and one["errors"]["failing"].startswith("NotFoundError: ")


@each
@both_orders
def test_by_default_the_other_one_records_alone(scenario, neighbour, order):
    """Every call has exactly one inference span, the other's, however both were started; no call is harmed."""
    one = scenario(neighbour, f"default, {order}")
    assert {name: one["spans"][name] for name in MODEL_CALLS} == {name: [SCOPES[neighbour]] for name in MODEL_CALLS}
    assert only_expected_errors(one)


@each
@both_orders
def test_what_the_other_one_does_not_record_is_ours(scenario, neighbour, order):
    """Some record models only, some every request: a list of models has one span in either case."""
    spans = scenario(neighbour, f"default, {order}")["spans"]
    recorder = SCOPES[neighbour] if neighbour in ALL_REQUESTS else OURS
    assert (spans["models"], spans["models again"]) == ([recorder], [recorder])


@each
@both_orders
def test_one_line_names_the_other_and_the_setting(scenario, neighbour, order):
    """However many calls were made, the log says once whose spans these are, and what changes it."""
    (line,) = scenario(neighbour, f"default, {order}")["log"]
    assert PACKAGES[neighbour] in line
    assert "SPANLOOM_ON_CONFLICT" in line


@pytest.mark.parametrize("neighbour", sorted({*REQUIREMENTS} - {"langfuse"}))
@both_orders
def test_with_lead_we_record_alone(scenario, neighbour, order):
    """Every call has one span, ours; but for the first of each method that came to us through the other's wrapper."""
    one = scenario(neighbour, f"lead, {order}")
    theirs = BEGUN[neighbour] if order == "ours first" else ()
    assert one["spans"] == {name: [SCOPES[neighbour] if name in theirs else OURS] for name in one["spans"]}
    assert only_expected_errors(one)
    assert not [line for line in one["log"] if "twice" in line]


@both_orders
def test_langfuse_cannot_be_led_and_one_line_says_so(scenario, order):
    """Its wrapper takes arguments out of the call and asks for no key, so both record, and the log says it once."""
    one = scenario("langfuse", f"lead, {order}")
    assert all(sorted(one["spans"][name]) == ["langfuse-sdk", OURS] for name in MODEL_CALLS), one["spans"]
    (line,) = one["log"]
    assert "langfuse" in line
    assert "twice" in line
    assert only_expected_errors(one)


@each
@both_orders
def test_with_both_each_call_is_recorded_twice_without_a_word(scenario, neighbour, order):
    """As if neither knew of the other."""
    one = scenario(neighbour, f"both, {order}")
    both = sorted([SCOPES[neighbour], OURS])
    assert all(sorted(one["spans"][name]) == both for name in MODEL_CALLS), one["spans"]
    assert one["log"] == []
    assert only_expected_errors(one)


@each
@both_orders
def test_each_backend_gets_its_one_span(scenario, neighbour, order):
    """Where the other one exports by a provider of its own, nobody steps aside: each backend has one span a call."""
    if neighbour == "logfire":
        order = "ours first"  # it sets the global provider where nobody has, so there is no other order
    one = scenario(neighbour, f"own provider, {order}")
    assert all(scopes == [OURS] for scopes in one["spans"].values()), one["spans"]
    assert all(scopes == [SCOPES[neighbour]] for scopes in one["other"].values()), one["other"]
    assert one["log"] == []


@pytest.mark.parametrize("neighbour", sorted({*REQUIREMENTS} - {"langfuse"}))
def test_below_a_call_of_ours_the_other_steps_aside(scenario, neighbour):
    """What we record further out is not recorded again by the other one, nor by our own plugin below."""
    one = scenario(neighbour, "below ours")
    assert one["spans"] == {"first": ["outer"], "second": ["outer"]}
    assert one["log"] == []


def test_below_an_official_plugin_we_step_aside(scenario):
    """The official family's context key is honoured: their outer inference is the only span."""
    one = scenario("official", "below official")
    assert one["spans"] == {"first": ["opentelemetry.util.genai.handler"]}
    assert one["log"] == []


def test_when_the_official_plugin_is_switched_off_we_record(scenario):
    """Its wrapper stays below ours after ``uninstrument()``; every call is recorded by one of us all the same."""
    spans = scenario("official", "uninstrumented")["spans"]
    theirs = SCOPES["official"]
    assert spans == {"sync": [theirs], "off": [OURS], "on": [theirs]}


@pytest.mark.parametrize("neighbour", ["official", "openllmetry"])
def test_what_was_taken_out_is_put_back(scenario, neighbour):
    """After our ``uninstrument()`` the other one records as before."""
    spans = scenario(neighbour, "put back")["spans"]
    theirs = SCOPES[neighbour]
    assert spans == {"sync": [theirs], "again": [OURS], "off": [theirs], "on": [OURS]}


def test_a_method_kept_from_before_is_still_recorded(scenario):
    """The SDK keeps bound methods for raw answers, so such a call goes past a wrapper that came later."""
    assert scenario("openllmetry", "kept method")["spans"] == {"before": [OURS], "after": [OURS]}


def test_langfuse_without_keys_records_nothing_so_we_do(scenario):
    """A package that is imported and switched off is no reason to step aside."""
    one = scenario("langfuse", "without keys")
    assert one["spans"] == {"sync": [OURS], "again": [OURS], "stream": [OURS]}
    assert one["errors"] == {}


def test_what_langfuse_lets_pass_we_record(scenario):
    """Raw streams it leaves alone, so they are ours."""
    assert scenario("langfuse", "raw streams")["spans"] == {"raw": [OURS], "streaming": [OURS]}


def test_only_the_client_that_logfire_watches_is_left_to_it(scenario):
    """Logfire can be put on one client: the others are ours, before and after."""
    spans = scenario("logfire", "one client")["spans"]
    assert spans == {"plain": [OURS], "watched": ["logfire.openai"], "after": [OURS]}
