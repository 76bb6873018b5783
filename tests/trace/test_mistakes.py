"""A mistake in the source is an error at once; what comes from elsewhere never is: it is left out, and said once."""

from __future__ import annotations

import enum
import logging

import pytest

from spanloom import trace
from spanloom.trace import _check


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: trace.agent(""), ValueError, "not an empty text"),
        (lambda: trace.agent(None), TypeError, "not NoneType"),
        (lambda: trace.agent(lambda: 1), TypeError, "not function"),
        (lambda: trace.inference(model="m", operation="embed"), ValueError, "one of chat, text_completion"),
        (lambda: trace.inference(model="m", operation=None), TypeError, "not NoneType"),
        (lambda: trace.inference(), TypeError, "model"),
    ],
)
def test_what_stands_in_the_source(make, error, text):
    """The first run of a test tells, and says what is wanted."""
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    "settings",
    [
        {"model": ""},
        {"model": 5},
        {"model": "m", "provider": b"x"},
        {"model": "m", "address": "llm.example"},
        {"model": "m", "port": 80},
        {"model": "m", "address": "", "port": 80},
        {"model": "m", "address": "llm.example", "port": True},
        {"model": "m", "address": "llm.example", "port": 70000},
        {"model": "m", "address": "llm.example", "port": "80"},
    ],
    ids=str,
)
def test_what_comes_from_settings(settings, by_hand, caplog):
    """The call is made and recorded without it; one line, however often."""
    for _ in range(2):
        with trace.inference(**{"provider": "vllm", **settings}):
            pass
    assert len(by_hand.spans) == 2
    assert "server.port" not in by_hand.spans[0].attributes
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    by_hand.clear()


@pytest.mark.parametrize("count", [-1, 2**63, True, 2.0, "5", [1]], ids=repr)
def test_counts_that_are_none(count, by_hand, caplog):
    """Left out, and never a text of the caller's in the log."""
    with trace.inference(model="m", provider="vllm") as call:
        call.usage(input_tokens=count, output_tokens=2)
        call.usage(input_tokens=count)
    attributes = by_hand.span.attributes
    assert "gen_ai.usage.input_tokens" not in attributes
    assert attributes["gen_ai.usage.output_tokens"] == 2
    (record,) = caplog.records
    assert "InferenceCall.usage(input_tokens)" in record.getMessage()


def test_a_parameter_that_nobody_knows(by_hand, caplog):
    """One line that lists those that are known; the others are written."""
    with trace.inference(model="m", provider="vllm") as call:
        call.request(temprature=0.2, seed=1)
        call.request(temprature=0.3, seed="x", top_p=None)
    assert by_hand.span.attributes["gen_ai.request.seed"] == 1
    (record,) = caplog.records
    assert "request(temprature)" in record.getMessage()
    assert "temperature, top_p" in record.getMessage()


def test_texts_that_are_none(by_hand, caplog):
    """Turns of an agent, ids and models: the event or the span is there without them; what they were is not told."""
    with trace.agent("planner", description=5) as run:
        run.thought(None)
        run.thought(["secret"])
        run.action(["secret"], call_id=7)
        run.observation(call_id=b"secret")
    with trace.inference(model="m", provider="vllm") as call:
        call.response(id=["secret"], model="")
    assert [dict(event.attributes) for event in by_hand.spans[0].events] == [{}] * 4
    assert "gen_ai.response.id" not in by_hand.spans[1].attributes
    assert len(caplog.records) == 7
    assert "secret" not in caplog.text


def test_the_log_has_an_end(caplog):
    """Unknown names may be anybody's: what is remembered of them is bounded."""
    for number in range(1000):
        _check.left_out(str(number), "x")
    assert len(caplog.records) == len(_check._told) == 256


def test_members_of_enums_are_texts(by_hand, caplog):
    """Exporters get plain ones."""

    class Name(str, enum.Enum):
        PLANNER = "planner"

    with trace.agent(Name.PLANNER, version=Name.PLANNER), trace.inference(model=Name.PLANNER, provider="vllm"):
        pass
    told = [value for span in by_hand.spans for value in span.attributes.values() if value == "planner"]
    assert [type(value) for value in told] == [str] * 3
    assert not caplog.records
