"""``SPANLOOM_CONTENT_RATIO``: content of a share of the traces, the same in every process; everything else of all."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest
from opentelemetry import context as otel
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from spanloom.genai import Agent, ToolExecution, _capture
from spanloom.semconv import Event, GenAI
from spanloom.trace import content
from tests._support.plugins import CONTENT_VARIABLE
from tests.genai._make import KINDS, inference, telemetry, usage

VARIABLE = "SPANLOOM_CONTENT_RATIO"
EVERY = 1 << 56
ASKED = {GenAI.INPUT_MESSAGES: lambda: [{"role": "user", "parts": []}]}


def parent(trace_id: int, state: str = "") -> SpanContext:
    """A caller in another process."""
    given = TraceState([("ot", state)]) if state else None
    return SpanContext(trace_id, 1, True, TraceFlags(TraceFlags.SAMPLED), given)


@contextmanager
def below(trace_id: int, state: str = ""):
    """Inside a trace that began elsewhere."""
    token = otel.attach(set_span_in_context(NonRecordingSpan(parent(trace_id, state))))
    try:
        yield
    finally:
        otel.detach(token)


@pytest.fixture
def share(recorder, monkeypatch):
    """Telemetry with content on, of this share."""

    def of(ratio: str, mode: str = "SPAN_AND_EVENT"):
        monkeypatch.setenv(CONTENT_VARIABLE, mode)
        monkeypatch.setenv(VARIABLE, ratio)
        return telemetry(recorder)

    return of


def has_content(recorder, of, trace_id: int, state: str = "") -> bool:
    """Whether a call in this trace has its content, on its span as in its event."""
    with below(trace_id, state):
        call = inference(of)
    call.input_content = ASKED
    call.stop()
    found = GenAI.INPUT_MESSAGES in recorder.span.attributes
    assert [one.log_record.event_name for one in recorder.events] == [Event.INFERENCE_DETAILS] * found
    assert call.captures_content is found
    recorder.clear()
    return found


@pytest.mark.parametrize(
    ("ratio", "randomness", "expected"),
    [
        ("1", 0, True),
        ("0", EVERY - 1, False),
        ("0.25", EVERY * 3 // 4, True),
        ("0.25", EVERY * 3 // 4 - 1, False),
        ("0.25", 0, False),
        ("0.25", EVERY - 1, True),
        ("nonsense", 0, True),
    ],
)
def test_the_last_56_bits_decide(ratio, randomness, expected, share, recorder):
    """At least 2**56 * (1 - ratio); what is before them in the id does not count."""
    of = share(ratio)
    for above in (1, 0xFFFF_FFFF):
        assert has_content(recorder, of, above << 96 | randomness) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("rv:c0000000000000", True),
        ("rv:bfffffffffffff", False),
        ("th:8;rv:ffffffffffffff", True),
        ("rv:00000000000000;th:8", False),
        # None that the specification knows: the id decides.
        ("rv:ff", True),
        ("xrv:00000000000000", True),
        ("th:8", True),
    ],
)
def test_the_trace_state_decides_where_it_has_a_random_value(state, expected, share, recorder):
    """The trace's id would be chosen here."""
    assert has_content(recorder, share("0.25"), EVERY - 1, state) is expected


def test_it_is_the_rule_of_opentelemetrys_samplers():
    """The same threshold as the SDK's, so that a sampler of a lower ratio keeps traces with content."""
    util = pytest.importorskip("opentelemetry.sdk.trace._sampling_experimental._util")
    for ratio in (0.0, 1e-9, 0.1, 0.25, 1 / 3, 0.999, 1.0):
        assert EVERY - round(ratio * EVERY) == util.calculate_threshold(ratio)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_the_share_is_that_of_the_traces(ratio, monkeypatch):
    """Over random ids, within five standard deviations."""
    monkeypatch.setenv(VARIABLE, str(ratio))
    least, dice, count = _capture.least_randomness(), random.Random(7), 20_000
    chosen = sum(_capture.randomness(parent(dice.getrandbits(128) or 1)) >= least for _ in range(count))
    assert abs(chosen - ratio * count) < 5 * (count * ratio * (1 - ratio)) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_no_content_work_where_a_trace_is_not_chosen(kind, share):
    """Plugins ask before they read, and are told no; nothing that they gave is built."""
    with below(1):
        one = KINDS[kind](share("0.5"))
    assert (one.capture, one.captures_content, one.on_span, one.in_events) == (0, False, False, False)
    for name in ("content", "input_content", "output_content"):
        if hasattr(one, name):
            setattr(one, name, {GenAI.INPUT_MESSAGES: lambda: pytest.fail("built")})
    one.stop()


def test_the_text_of_a_failure_is_content(share, recorder):
    """As where content is off."""
    of = share("0.5")
    for trace_id, text in ((1, None), (EVERY - 1, "the prompt")):
        with below(trace_id), pytest.raises(ValueError, match="prompt"), inference(of):
            raise ValueError("the prompt")
        assert recorder.span.status.description == text
        recorder.clear()


def test_one_decision_for_all_of_a_trace(share, recorder):
    """Agents, tools and calls, whoever began it."""
    of = share("0.5")
    for trace_id, expected in ((1, False), (EVERY - 1, True)):
        with below(trace_id):
            agent = Agent(of, "planner", None, {})
            with agent:
                tool, call = ToolExecution(of, "search"), inference(of)
        assert [one.captures_content for one in (agent, tool, call)] == [expected] * 3
        for one in (call, tool, agent):
            one.stop()
    recorder.clear()


def test_what_code_asks_for_is_honoured(share, recorder):
    """Explicitly on in a trace that is not chosen, explicitly off in one that is; for one client, too."""
    of, client = share("0.5"), object()
    with below(1):
        with content("SPAN_ONLY"):
            assert inference(of).on_span
            with content(False):
                assert not inference(of).captures_content
        with content(True, client=client):
            assert inference(of).capture == 0
    with below(EVERY - 1), content(False):
        assert not inference(of).captures_content


class Keeping:
    """A completion hook."""

    def __init__(self):
        self.calls = []

    def on_completion(self, **given):
        """Keep it."""
        self.calls.append(given)


@pytest.mark.parametrize("mode", ["NO_CONTENT", "SPAN_ONLY"])
def test_a_completion_hook_is_called_for_chosen_traces_alone(mode, share, recorder, monkeypatch):
    """Or where code asks for content; its own calls do not depend on the mode."""
    hook = Keeping()
    monkeypatch.setattr("spanloom.genai._completion.load", lambda: hook)
    of = share("0.5", mode)

    def calls(trace_id):
        with below(trace_id):
            call = inference(of)
        call.input_content = ASKED
        call.stop()
        return len(hook.calls)

    assert [calls(1), calls(EVERY - 1)] == [0, 1]
    with content("SPAN_ONLY"):
        assert calls(1) == 2
    with content(False):
        assert calls(1) == 2
        assert calls(EVERY - 1) == 3


def test_nobody_asks_for_randomness_where_every_trace_has_content_or_none(recorder, monkeypatch):
    """Unset, it costs nothing."""
    monkeypatch.setattr(_capture, "randomness", lambda trace: pytest.fail("asked"))
    inference(telemetry(recorder)).stop()
    monkeypatch.setenv(VARIABLE, "0.5")
    inference(telemetry(recorder)).stop()
    monkeypatch.setenv(VARIABLE, "1.0")
    monkeypatch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
    inference(telemetry(recorder)).stop()


def test_metrics_are_the_same_whatever_the_ratio(share, recorder):
    """Tokens and counts of every call."""
    for ratio in ("0", "1"):
        of = share(ratio)
        for trace_id in (1, EVERY - 1):
            with below(trace_id):
                call = inference(of)
            call.usage = usage(10, 5)
            call.stop()
    assert recorder.total("gen_ai.client.inference.operation.input_tokens") == 4
    assert recorder.total("gen_ai.client.inference.duration") == 4
