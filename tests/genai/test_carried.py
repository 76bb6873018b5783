"""What a context says of the spans in it: for the span processor, and on events. Baggage is let in by name only."""

from __future__ import annotations

import json

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

from spanloom import trace
from spanloom.genai import Agent, _baggage, hooks
from spanloom.semconv import Caller, Event, GenAI, Spanloom
from tests._support.plugins import CONTENT_VARIABLE
from tests.genai._make import inference, telemetry

USER = Caller.USER_ID


def with_baggage(**rows) -> Context:
    """A context that came with these; a double underscore is a dot."""
    context = Context()
    for name, value in rows.items():
        context = baggage.set_baggage(name.replace("__", "."), value, context)
    return context


@pytest.fixture
def allowed(monkeypatch):
    """Name what is let in."""
    return lambda value: monkeypatch.setenv("SPANLOOM_BAGGAGE", value)


def test_nothing_is_one_shared_mapping():
    """Every span asks."""
    nothing = hooks.context_attributes(Context())
    assert nothing == {}
    assert hooks.context_attributes(None) is nothing
    with pytest.raises(TypeError):
        nothing["a"] = 1


def test_another_context_than_the_current_one_may_be_asked():
    """A span's parent context may be given by hand."""
    with trace.context(user="ada"):
        context = otel.get_current()
        assert hooks.context_attributes(Context()) == {}
    assert hooks.context_attributes(None) == {}
    assert hooks.context_attributes(context) == {USER: "ada"}


def test_baggage_is_not_read_where_nothing_is_named(monkeypatch):
    """No cost, and nothing that a caller wrote."""
    monkeypatch.setattr(_baggage.baggage, "get_all", lambda context: pytest.fail("read"))
    assert hooks.context_attributes(with_baggage(user__id="mallory")) == {}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("user.id", {USER: "u"}),
        ("user.id, shop.*", {USER: "u", "shop.cart": "c", "shop.": "empty"}),
        ("user.i", {}),
        ("user.id.more", {}),
        ("USER.ID", {}),
        ("us*", {USER: "u", "userish": "x"}),
        ("*.id", {}),
        ("*", {USER: "u", "userish": "x", "shop.cart": "c", "shop.": "empty", "shopping": "s"}),
    ],
)
def test_keys_that_are_named_and_no_others(setting, expected, allowed):
    """Exactly, or by a beginning."""
    allowed(setting)
    context = with_baggage(user__id="u", userish="x", shop__cart="c", shop__="empty", shopping="s")
    assert hooks.context_attributes(context) == expected


def test_what_code_says_comes_before_baggage(allowed):
    """A caller cannot pass for somebody else; the rest of both is there."""
    allowed("user.id,session.id")
    with trace.context(user="ada", plan="team"):
        context = baggage.set_baggage("session.id", "s", baggage.set_baggage(USER, "mallory"))
    assert hooks.context_attributes(context) == {USER: "ada", "spanloom.tag.plan": "team", Caller.SESSION_ID: "s"}


class Unreadable:
    """Somebody put it there."""

    def __str__(self):
        raise ValueError


def test_values_are_texts_and_bounded(allowed):
    """Whatever the application has put into its own baggage."""
    allowed("*")
    context = with_baggage(long="é" * 2000, number=5, odd=Unreadable(), lone="\ud800")
    assert hooks.context_attributes(context) == {"long": "é" * 1024, "number": "5", "lone": "?"}
    many = hooks.context_attributes(with_baggage(**{f"k{n}": "v" for n in range(100)}))
    assert len(many) == 32
    with pytest.raises(TypeError):
        many["a"] = 1


def test_keys_that_are_no_texts_cost_baggage_alone(allowed):
    """They never came over the wire."""
    allowed("user.*")
    with trace.context(user="ada"):
        context = baggage.set_baggage(5, "five")
    assert hooks.context_attributes(context) == {USER: "ada"}


def test_the_setting_is_read_once(allowed):
    """At the first span, not for each of them."""
    allowed("user.id")
    context = with_baggage(user__id="u", session__id="s")
    assert hooks.context_attributes(context) == {USER: "u"}
    allowed("session.id")
    assert hooks.context_attributes(context) == {USER: "u"}


def test_the_details_of_an_inference_have_it(recorder, monkeypatch):
    """As its span has by the span processor; what the call says itself comes first."""
    monkeypatch.setenv(CONTENT_VARIABLE, "EVENT_ONLY")
    with trace.context(user="ada", conversation="c-1", plan="team", keep=True):
        call = inference(telemetry(recorder))
    call.attributes[GenAI.CONVERSATION_ID] = "its own"
    call.input_content = {GenAI.INPUT_MESSAGES: list}
    call.stop()
    attributes = recorder.event(Event.INFERENCE_DETAILS).log_record.attributes
    told = {USER: "ada", GenAI.CONVERSATION_ID: "its own", "spanloom.tag.plan": "team", Spanloom.KEEP: True}
    assert {name: attributes.get(name) for name in told} == told
    assert attributes[GenAI.INPUT_MESSAGES] == ()


def test_failures_and_judgements_have_it(recorder):
    """Without content, too."""
    with trace.context(user="ada"), pytest.raises(ValueError, match="x"), inference(telemetry(recorder)) as _:
        raise ValueError("x")
    with trace.context(user="bob"):
        call = inference(telemetry(recorder))
    call.add_evaluation("relevance", 0.5, None, None)
    call.stop()
    assert recorder.event(Event.EXCEPTION).log_record.attributes[USER] == "ada"
    assert recorder.event(Event.EVALUATION_RESULT).log_record.attributes[USER] == "bob"


def test_an_event_outside_has_none_of_it(recorder):
    """No empty values either."""
    with pytest.raises(ValueError, match="x"), inference(telemetry(recorder)):
        raise ValueError("x")
    assert not [name for name in recorder.event(Event.EXCEPTION).log_record.attributes if "user" in name]


class Writing(SpanProcessor):
    """As the distribution's span processor does."""

    def on_start(self, span, parent_context=None):
        """Write what is said where it begins."""
        span.set_attributes(hooks.context_attributes(parent_context))


def test_spans_below_have_it(recorder):
    """Of whomever; one that began before the block has none of it."""
    recorder.tracer_provider.add_span_processor(Writing())
    of = telemetry(recorder)
    server = Agent(of, "server", None, {})
    with server, trace.context(user="ada", keep=True):
        work = Agent(of, "work", None, {})
        with work:
            call = inference(of)
    for one in (call, work, server):
        one.stop()
    told = {span.name: (span.attributes.get(USER), span.attributes.get(Spanloom.KEEP)) for span in recorder.spans}
    own = ("ada", True)
    assert told == {"invoke_agent server": (None, None), "invoke_agent work": own, "chat m": own}


MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "ü" * 5000}]}]


@pytest.mark.parametrize("value", [MESSAGES, MESSAGES * 40, {"q": "ü" * 5000, "n": 5}, "ü" * 5000, ["\ud800" * 5000]])
def test_content_that_is_json_stays_json(value):
    """Cut inside its longest texts, in bytes of UTF-8, with a mark; what fits is as it was."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=True, indent=1)):
        cut = hooks.cut_content(text, 1000)
        assert len(cut.encode()) <= 1000
        assert type(json.loads(cut)) is type(value)
        assert " cut]" in cut
        assert hooks.cut_content(text, len(text)) is text


@pytest.mark.parametrize(
    "text", ["ü" * 5000, "[1, " + "2" * 5000, "9" * 5000, "[" * 5000 + "]" * 5000, "\ud800" * 5000]
)
def test_content_that_is_no_json_keeps_its_beginning(text):
    """Also what only begins like it, and numbers: at a character's boundary, with the mark."""
    for limit in (40, 999, 1000):
        cut = hooks.cut_content(text, limit)
        assert limit - 4 < len(cut.encode()) <= limit
        assert cut.endswith(" bytes cut]")


def test_the_mark_of_a_very_long_text_is_within_the_limit_too():
    """It has more digits."""
    assert len(hooks.cut_content("x" * 30_000_000, 100)) <= 100
