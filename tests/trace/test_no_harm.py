"""With us and without us a program does the same; every method may be called at any time with anything."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom import trace
from spanloom.genai import Telemetry, _guard
from spanloom.tools import _shared as tools_shared
from spanloom.trace import _inference_call, _messages, _shared
from tests._support.conformance import problems
from tests._support.spans import Recorder
from tests.openai._reading import ODD
from tests.trace import _react


class Hostile:
    """Raises whatever is asked of it."""

    def _refuse(self, *_):
        raise RuntimeError("hostile")

    __str__ = __repr__ = __len__ = __iter__ = __getattr__ = __eq__ = __bool__ = __index__ = _refuse
    __hash__ = None


ODDER = (
    *ODD,
    Hostile(),
    [Hostile()],
    {"role": Hostile()},
    {"role": "user", "parts": Hostile()},
    float("nan"),
    "\ud800",
)


def agent_calls(run, odd):
    """Every method of a run, with one odd value in each place."""
    yield lambda: run.input(odd)
    yield lambda: run.output(odd)
    yield lambda: run.thought(odd)
    yield lambda: run.action(odd)
    yield lambda: run.action("search", odd, call_id=odd)
    yield lambda: run.observation(odd, call_id=odd)


def inference_calls(call, odd):
    """The same of a model call."""
    for name in ("temperature", "seed", "stop_sequences", "choice_count", "stream", "output_type", "odd"):
        yield lambda name=name: call.request(**{name: odd})
    yield lambda: call.input(odd)
    yield lambda: call.input("Hi", system=odd, tools=odd)
    yield lambda: call.output(odd, finish_reasons=odd)
    yield lambda: call.response(id=odd, model=odd)
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        yield lambda name=name: call.usage(**{name: odd})
    yield call.chunk


INFERENCE_CALLS = 15


@pytest.mark.parametrize("odd", ODDER, ids=lambda odd: type(odd).__name__)
def test_anything_may_be_told(odd, content):
    """No method raises, no fault of ours is counted; every span ends and conforms, but for words that it was told."""
    recorder = Recorder()
    _shared.telemetry.use(Telemetry("spanloom.trace", **recorder.providers))
    with trace.agent("planner") as run:
        for call_it in agent_calls(run, odd):
            assert call_it() is None
        # Each in a call of its own, so that a later one hides nothing.
        for place in range(INFERENCE_CALLS):
            with trace.inference(model="m", provider="vllm") as call:
                assert list(inference_calls(call, odd))[place]() is None
    assert [span.name for span in recorder.spans] == ["invoke_agent planner", *["chat m"] * INFERENCE_CALLS]
    found = problems(recorder.spans, recorder.metrics_data(), recorder.events)
    assert not [one for one in found if "has unknown values" not in one]
    recorder.close()


@pytest.mark.parametrize("odd", ODDER, ids=lambda odd: type(odd).__name__)
def test_a_failure_told_with_anything(odd, recorder, content, request):
    """It has a type, whatever was given."""
    request.getfixturevalue("by_hand")
    with trace.inference(model="m", provider="vllm") as call:
        call.fail(odd, odd)
    assert isinstance(recorder.span.attributes["error.type"], str)


def everything(run, call):
    """Every method once."""
    for call_it in (*agent_calls(run, "x"), *inference_calls(call, "x")):
        call_it()
    call.fail("x")
    run.fail(ValueError())
    return list(call.stream("ab"))


def test_after_the_end(by_hand, caplog):
    """Nothing is told, nothing is raised, nothing is logged but what is wrong with the values."""
    with trace.agent("planner") as run, trace.inference(model="m", provider="vllm") as call:
        pass
    before = [span.to_json() for span in by_hand.spans]
    assert everything(run, call) == ["a", "b"]
    assert [span.to_json() for span in by_hand.spans] == before
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_suppressed(by_hand):
    """Inside `suppress_instrumentation` there is nothing, and every method is there."""
    with (
        suppress_instrumentation(),
        trace.agent("planner") as run,
        trace.inference(model="m", provider="vllm") as call,
    ):
        assert everything(run, call) == ["a", "b"]
        assert trace.agent("x")(lambda: 7)() == 7
    assert not by_hand.spans
    assert not by_hand.metrics()


def test_not_sampled(content, monkeypatch):
    """No message is looked at; metrics and sums are as ever."""
    recorder = Recorder(ALWAYS_OFF)
    for shared, scope in ((_shared.telemetry, "spanloom.trace"), (tools_shared.telemetry, "spanloom.tools")):
        shared.use(Telemetry(scope, **recorder.providers))
    monkeypatch.setattr(_messages, "_kept", lambda given: pytest.fail("looked at"))
    assert _react.run() == "Three."
    assert not recorder.spans
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == 205
    assert recorder.points("gen_ai.invoke_agent.tool_calls")[0].sum == 2
    assert not problems([], recorder.metrics_data(), recorder.events)
    recorder.close()


def test_without_an_sdk():
    """Nothing is set up: the agent runs, and nothing is said."""
    program = "from tests.trace import _react; print(_react.run())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("Three.\n", "")


@pytest.mark.parametrize("place", ["telemetry", "write_request", "builder", "reasons_of", "count_or_none"])
def test_faults_of_ours(place, with_content, monkeypatch, caplog):
    """Wherever one is: the program's result is the same, the span ends, and there is one line."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_inference_call, place, lambda *_: 1 // 0)
    assert _react.run() == "Three."
    assert [span.name for span in with_content.spans].count("chat llama-3") == (0 if place == "telemetry" else 3)
    told = [one.getMessage().partition(" (")[0] for one in caplog.records]
    assert 1 <= len(told) == len(set(told)) <= 2
    assert all(one.startswith("spanloom: internal fault in trace.inference") for one in told)


class Absent:
    """Stands for our package in a program that has none of it."""

    def __init__(self, *args, **kwargs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


@pytest.mark.parametrize("broken", [None, OSError("down"), KeyboardInterrupt()], ids=repr)
def test_the_same_with_and_without_us(broken, with_content, monkeypatch):
    """The same results, the same requests, the very same exceptions."""
    generate = _react.Client.generate
    seen = []

    def noting(self, messages):
        seen.append([dict(one) for one in messages])
        if broken is not None and len(messages) > 1:
            raise broken
        return generate(self, messages)

    monkeypatch.setattr(_react.Client, "generate", noting)
    ends, requests = [], []
    for ours in (True, False):
        if not ours:
            monkeypatch.setattr(_react, "trace", type("none", (), {"agent": Absent, "inference": Absent}))
        try:
            ends.append(_react.run())
        except BaseException as error:
            ends.append(error)
        requests.append(seen[:])
        seen.clear()
    assert ends[0] is ends[1] if broken is not None else ends[0] == ends[1]
    assert requests[0] == requests[1]
