"""What is taken from the events of a streamed response: the whole answer, its end, and no event."""

from __future__ import annotations

import gc
import typing
import weakref
from types import SimpleNamespace

import pytest
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent

from spanloom.genai import Usage
from spanloom.openai import _chat_stream, _responses_stream
from spanloom.openai._responses_stream import ResponsesRead
from tests.openai._reading import chat, check_all, fetch, parts, wrong_streams

HEAD = {"id": "resp_1", "object": "response", "created_at": 1.0, "model": "m-2026", "service_tier": "default"}
MESSAGE = {"type": "message", "id": "msg", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
CALL = {"type": "function_call", "id": "fc", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'}
THOUGHT = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}
TEXT = {"type": "text", "content": "Hello"}


def event(kind, **told):
    """An event as a server sends it."""
    return {"type": kind, "sequence_number": 0, **told}


def response(kind, status, *output, **more):
    """An event with the response in it."""
    return event(f"response.{kind}", response={**HEAD, "status": status, "output": list(output), **more})


def delta(kind, text, place=0, **more):
    """A piece of an item."""
    return event(f"response.{kind}.delta", delta=text, output_index=place, item_id="i", **more)


def item(kind, value, place=0):
    """The begin or the end of an item."""
    return event(f"response.output_item.{kind}", item=value, output_index=place)


def as_objects(events):
    """What the SDK gives the caller."""
    return [construct_type(type_=ResponseStreamEvent, value=one) for one in events]


def as_namespaces(events):
    """Objects of some other library."""
    return [SimpleNamespace(**one) for one in events]


def read(call, events):
    """Take all of them and seal; the failure, if they told of one."""
    one = ResponsesRead(call)
    for event_ in events:
        one.take(event_)
    return one.seal(True)


TEXTS = [delta("output_text", text, content_index=0, logprobs=[]) for text in ("Hel", "lo")]
BEGUN = [response("created", "in_progress"), response("in_progress", "in_progress")]
WHOLE = [*BEGUN, item("added", {**MESSAGE, "content": []}), *TEXTS, item("done", MESSAGE)]
END = response("completed", "completed", MESSAGE, usage={"input_tokens": 3, "output_tokens": 2})
FORMS = pytest.mark.parametrize("form", [as_objects, list, as_namespaces])


@FORMS
def test_a_plain_answer(form, recorder, content):
    """Text, end, usage and who answered, in whatever form events come."""
    call = chat(recorder)
    assert read(call, form([*WHOLE, END])) is None
    assert (call.response_id, call.response_model, call.finish_reasons) == ("resp_1", "m-2026", ["stop"])
    assert (call.usage, call.attributes) == (Usage(3, 2), {"openai.response.service_tier": "default"})
    assert parts(call) == [TEXT]
    call.stop()


def test_several_items_are_one_message(recorder, content):
    """In their places, whatever came first."""
    events = [item("done", CALL, 2), item("done", MESSAGE, 1), item("done", THOUGHT, 0)]
    call = chat(recorder)
    read(call, as_objects([*BEGUN, *events, response("completed", "completed", THOUGHT, MESSAGE, CALL)]))
    assert [part["type"] for part in parts(call)] == ["reasoning", "text", "tool_call"]
    assert call.finish_reasons == ["tool_call"]
    call.stop()


OPEN = [
    (
        [
            delta("reasoning_summary_text", "a", summary_index=0),
            delta("reasoning_summary_text", "b", summary_index=1),
            delta("reasoning_text", "c", content_index=0),
        ],
        [{"type": "reasoning", "content": one} for one in "abc"],
    ),
    (
        [delta("output_text", "He", content_index=0), delta("refusal", "no", content_index=1)],
        [{"type": "text", "content": "He"}, {"type": "refusal", "content": "no"}],
    ),
    (
        [item("added", {**CALL, "arguments": ""}), delta("function_call_arguments", '{"a"')],
        [{"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a"'}],
    ),
    (
        [delta("custom_tool_call_input", "x"), delta("custom_tool_call_input", "y")],
        [{"type": "tool_call", "id": None, "name": "", "arguments": "xy"}],
    ),
    (
        [
            item("added", {"type": "mcp_call", "id": "m", "name": "find", "server_label": "docs"}),
            delta("mcp_call_arguments", "{}"),
        ],
        [
            {
                "type": "server_tool_call",
                "id": "m",
                "name": "find",
                "server_tool_call": {"type": "mcp", "server_label": "docs", "arguments": {}},
            }
        ],
    ),
    (
        [delta("code_interpreter_call_code", "1+")],
        [
            {
                "type": "server_tool_call",
                "id": None,
                "name": "code_interpreter",
                "server_tool_call": {"type": "code_interpreter", "code": "1+"},
            }
        ],
    ),
]


@pytest.mark.parametrize(("events", "expected"), OPEN)
@FORMS
def test_a_stream_that_breaks_off(events, expected, form, recorder, content):
    """What an unfinished item had said stands behind what was finished; the end that never came is an `error`."""
    call = chat(recorder)
    moved = [{**one, "output_index": 1} for one in events]
    assert read(call, form([*WHOLE, *moved])) is None
    assert parts(call) == [TEXT, *expected]
    assert (call.finish_reasons, call.usage) == (["error"], None)
    call.stop()


def test_every_delta_of_the_newest_sdk_is_known():
    """But those of images, sounds and shells, which have no text of an answer."""
    members = typing.get_args(typing.get_args(ResponseStreamEvent)[0])
    kinds = {arg for one in members for arg in typing.get_args(one.model_fields["type"].annotation)}
    deltas = {kind for kind in kinds if kind.endswith(".delta")}
    others = {kind for kind in deltas if kind.startswith(("response.audio", "response.shell_call"))}
    assert deltas - others == set(_responses_stream._DELTAS)
    assert set(_responses_stream._PUT) == set(_responses_stream._DELTAS)
    assert set(_responses_stream._STEPS) - kinds == {"response.cancelled"}


@pytest.mark.parametrize(
    ("end", "reason", "failure"),
    [
        (response("incomplete", "incomplete", incomplete_details={"reason": "max_output_tokens"}), "length", None),
        (response("incomplete", "incomplete", incomplete_details={"reason": "content_filter"}), "content_filter", None),
        (
            response("failed", "failed", error={"code": "server_error", "message": "Sorry"}),
            "error",
            ("server_error", "Sorry"),
        ),
        (response("failed", "failed"), "error", ("_OTHER", None)),
        (response("cancelled", "cancelled"), "error", None),
        (
            event("error", code="rate_limit_exceeded", message="Slow down"),
            "error",
            ("rate_limit_exceeded", "Slow down"),
        ),
        (event("error", code=None, message="Sorry"), "error", ("_OTHER", "Sorry")),
        (event("error", error={"code": "overloaded", "message": "Sorry"}), "error", ("overloaded", "Sorry")),
        (event("error"), "error", ("_OTHER", None)),
    ],
)
@FORMS
def test_ends(end, reason, failure, form, recorder, content):
    """A failure that no exception tells is given back; what was said before it is kept."""
    call = chat(recorder)
    one = ResponsesRead(call)
    for event_ in form([*BEGUN, *TEXTS]):
        one.take(event_)
    assert not one.is_over
    one.take(*form([end]))
    assert one.is_over
    assert one.seal(False) == failure
    assert (call.finish_reasons, parts(call)) == ([reason], [TEXT])
    call.stop()


def test_an_answer_that_comes_only_at_the_end(recorder, content):
    """Gateways that send no items, or a stream joined late: the last event has all of it."""
    call = chat(recorder)
    read(call, as_objects([response("completed", "completed", THOUGHT, MESSAGE)]))
    assert [part["type"] for part in parts(call)] == ["reasoning", "text"]
    call.stop()


def test_an_end_without_the_answer(recorder, content):
    """Gateways that leave it out of the last event: the items had it."""
    call = chat(recorder)
    read(call, as_objects([*WHOLE, response("completed", "completed")]))
    assert (parts(call), call.finish_reasons) == ([TEXT], ["stop"])
    call.stop()


def test_a_stream_without_events(recorder, content):
    """One answer was expected, and none came."""
    call = chat(recorder)
    assert read(call, []) is None
    assert (call.finish_reasons, call.output_content) == (["error"], {})
    call.stop()


def test_without_content_no_text_is_taken(recorder):
    """Ends and counts are."""
    one = ResponsesRead(call := chat(recorder))
    for event_ in as_objects([*WHOLE, *TEXTS, END]):
        one.take(event_)
    assert (one._pieces, one._finished, one._begun) == ({}, {}, {})
    one.seal(True)
    assert (call.finish_reasons, call.usage, call.output_content) == (["stop"], Usage(3, 2), {})
    call.stop()


def test_a_fetched_stream(recorder, content):
    """The events of a stored response: how it stands and what it says, and no tokens."""
    call = fetch(recorder)
    assert read(call, as_objects([*WHOLE, END])) is None
    assert (call.status, call.response_model, call.finish_reasons) == ("completed", "m-2026", ["stop"])
    assert parts(call) == [TEXT]
    call.stop()
    assert not [name for name in recorder.span.attributes if "usage" in name]


def test_a_fetched_stream_that_breaks_off(recorder, content):
    """The response goes on without us: no end is told of it, and its failure is not ours."""
    call, failed = fetch(recorder), fetch(recorder)
    assert read(call, as_objects([*BEGUN, *TEXTS])) is None
    assert (call.status, call.finish_reasons) == ("in_progress", None)
    assert read(failed, as_objects([response("failed", "failed", error={"code": "x", "message": "y"})])) is None
    assert (failed.status, failed.finish_reasons) == ("failed", ["error"])
    call.stop()
    failed.stop()


EVERYTHING = [
    *BEGUN,
    item("added", {**CALL, "arguments": ""}, 1),
    delta("function_call_arguments", "{}", 1),
    *(one for events, _ in OPEN[:2] for one in events),
    item("done", THOUGHT, 2),
    response("failed", "failed", MESSAGE, error={"code": "x", "message": "y"}, usage={"input_tokens": 3}),
    event("error", code="x", message="y"),
]


@pytest.mark.parametrize(("form", "start"), [(as_objects, chat), (list, chat), (list, fetch)])
def test_whatever_is_odd_is_taken_all_the_same(form, start, recorder, content):
    """Any value at any place may be of any kind: no exception, and what comes out is valid."""
    for events in wrong_streams(EVERYTHING, form):
        call = start(recorder)
        read(call, events)
        check_all(call)


def test_odd_pieces_change_nothing_of_the_rest(recorder, content):
    """They come between good ones."""
    odd = [delta("output_text", value, content_index=0) for value in (None, 5, ["x"], {})]
    call = chat(recorder)
    read(call, [TEXTS[0], *odd, *as_objects([TEXTS[0]]), *as_namespaces(odd), *as_objects([TEXTS[1]])])
    assert parts(call) == [{"type": "text", "content": "HelHello"}]
    call.stop()


def test_events_are_not_kept(recorder, content):
    """Not one of them, nor the response at the end."""
    one = ResponsesRead(chat(recorder))
    events = as_objects([*WHOLE, delta("output_text", "x", 1, content_index=0), END])
    values = [value for event_ in events for value in (event_, *vars(event_).values())]
    watched = [weakref.ref(value) for value in values if hasattr(value, "__weakref__")]
    for event_ in events:
        one.take(event_)
    del event_, events, values
    gc.collect()
    assert len(watched) > 8
    assert {ref() for ref in watched} == {None}


def test_a_stream_that_never_ends_is_kept_in_bounds(recorder, content, monkeypatch):
    """Items, parts and characters have a limit; what is missing is said."""
    monkeypatch.setattr(_chat_stream, "_MAX_CHARS", 10)
    monkeypatch.setattr(_responses_stream, "_MAX_ITEMS", 2)
    monkeypatch.setattr(_responses_stream, "_MAX_PARTS", 2)
    call = chat(recorder)
    events = [item("added", MESSAGE, place) for place in range(5)]
    events += [item("done", CALL, place) for place in range(5)]
    events += [delta("output_text", "abcdef", place, content_index=0) for place in range(6, 9) for _ in range(2)]
    read(call, as_objects(events))
    assert [part["type"] for part in parts(call)] == ["tool_call", "tool_call", "text", "text"]
    assert parts(call)[2:] == [
        {"type": "text", "content": "abcdef"},
        {"type": "text", "content": "[14 characters not kept]"},
    ]
    call.stop()
