"""The request that brings the results: links to who asked and to what was executed; calls without answers."""

from __future__ import annotations

import contextlib

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from pydantic import BaseModel

from spanloom.genai import _tool_calls
from spanloom.openai import OpenAIInstrumentor
from spanloom.tools import tool
from tests._support.spans import Recorder
from tests.openai._canned import Wire, chat, client
from tests.tool_calls._script import (
    MODEL,
    USER,
    answer,
    app,
    asked,
    asking,
    call_item,
    events,
    items,
    links,
    output_item,
    said,
    scripted,
)

pytestmark = pytest.mark.usefixtures("plugins")
A, B = asked("a_12345678", q="x"), asked("b_12345678", q="y")
A_ID, B_ID = A["id"], B["id"]
UNANSWERED, UNASKED = "spanloom.tool.unanswered", "spanloom.tool.unasked"


@tool
def search(q: str) -> str:
    """Finds."""
    return q


def create(client, *messages, **more):
    return client.chat.completions.create(model=MODEL, messages=[USER, *messages], **more)


def respond(client, given, **more):
    return client.responses.create(model=MODEL, input=given, **more)


# Chat.


def test_a_whole_loop(recorder):
    """Who asked once, each execution with its id."""
    client = scripted(asking(A, B), chat())
    message = create(client).choices[0].message
    search("x")
    create(client, message, answer(A_ID), answer(B_ID))
    assert links(recorder.spans[-1]) == [(1, "asked_by", None), (2, "executed_by", A_ID)]
    assert events(recorder.spans[-1]) == []


def test_only_what_is_new_to_the_model(recorder):
    """A history is sent again and again; the same request twice has its links twice."""
    client = scripted(asking(A), asking(B), chat(), chat())
    create(client)
    search("x")
    first = [said([A]), answer(A_ID)]
    create(client, *first)
    search("y")
    create(client, *first, said([B]), answer(B_ID))
    create(client, *first, said([B]), answer(B_ID))
    assert [links(span) for span in recorder.spans[2:]] == [
        [(1, "asked_by", None), (2, "executed_by", A_ID)],
        [(3, "asked_by", B_ID)],
        [(3, "asked_by", None), (4, "executed_by", B_ID)],
        [(3, "asked_by", None), (4, "executed_by", B_ID)],
    ]


def test_a_conversation_that_goes_on_in_another_request(recorder):
    """By its id, in whichever trace."""
    client = scripted(asking(A), chat())
    for messages in ((), (said([A]), answer(A_ID))):
        with app(recorder).start_as_current_span("request"):
            create(client, *messages)
    assert links(recorder.spans[3]) == [(2, "asked_by", None)]


def test_an_id_that_is_only_a_number_is_of_its_own_conversation(recorder):
    """Some servers count the calls of each answer."""
    call = asked("call_0", q="x")
    client = scripted(asking(call), chat())
    for messages in ((), (said([call]), answer("call_0"))):
        with app(recorder).start_as_current_span("request"):
            create(client, *messages)
    assert links(recorder.spans[3]) == []


def test_a_call_without_its_answer(recorder):
    """Told with its name, on the request that lacks it."""
    client = scripted(asking(A, B), chat())
    create(client)
    create(client, said([A, B]), answer(B_ID))
    assert events(recorder.spans[-1]) == [(UNANSWERED, A_ID, "search")]


def test_an_answer_to_nothing(recorder):
    """The history has no such call."""
    create(scripted(chat()), said([A]), answer(A_ID), answer("unknown_1"))
    assert events(recorder.span) == [(UNASKED, "unknown_1", None)]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "Hello."}],
        [said([A]), answer(A_ID)],
        [said([A, B]), answer(B_ID), answer(A_ID)],
        [said([A]), answer(A_ID), said([A]), answer(A_ID)],
        [{"role": "function", "name": "search", "content": "x"}],
        [{"role": "tool", "content": "x"}, {"role": "tool", "tool_call_id": 7, "content": "x"}],
        [{"role": "assistant", "tool_calls": [None, {}, {"id": 1}, {"id": "x", "function": {}}]}],
        [{"role": "assistant", "tool_calls": "none"}],
    ],
)
def test_nothing_to_tell(messages, recorder):
    """Whole histories, older forms, odd ones."""
    with contextlib.suppress(openai.BadRequestError):
        create(scripted(chat()), *messages)
    assert (events(recorder.span), links(recorder.span)) == ([], [])


def test_messages_as_objects(recorder):
    """The SDK's own, and anybody's."""

    class Answer(BaseModel):
        role: str
        tool_call_id: str
        content: str

    client = scripted(asking(A), chat())
    message = create(client).choices[0].message
    create(client, message, Answer(**answer(A_ID)))
    assert links(recorder.spans[-1]) == [(1, "asked_by", None)]


def test_a_generator_of_messages(recorder):
    """It is the caller's: the SDK makes its list of it, and that is read."""
    wire = Wire(chat())
    messages = [USER, answer("unknown_1")]
    client(wire).chat.completions.create(model=MODEL, messages=(one for one in messages))
    assert [one["messages"] for one in wire.bodies] == [messages]
    assert events(recorder.span) == [(UNASKED, "unknown_1", None)]


def test_many_calls_without_answers_have_a_limit(recorder):
    """A span keeps 128 events."""
    create(scripted(chat()), said([asked(f"many_{number:06}") for number in range(500)]))
    assert len(events(recorder.span)) == 32


# Responses.


def test_a_stored_response(recorder):
    """Named as the previous one: its calls are the server's, and known here."""
    client = scripted(items("resp_1", call_item(A_ID, q="x"), call_item(B_ID, q="y")), items("resp_2"))
    respond(client, "Which one?")
    search("x")
    respond(client, [output_item(A_ID)], previous_response_id="resp_1")
    last = recorder.spans[-1]
    assert links(last) == [(1, "asked_by", None), (2, "executed_by", A_ID)]
    assert events(last) == [(UNANSWERED, B_ID, "search")]


def test_a_stored_response_and_a_text(recorder):
    """Who does not answer at all."""
    client = scripted(items("resp_1", call_item(A_ID, q="x")), items("resp_2"))
    respond(client, "Which one?")
    respond(client, "Never mind.", previous_response_id="resp_1")
    assert events(recorder.spans[-1]) == [(UNANSWERED, A_ID, "search")]


def test_items_in_the_input(recorder):
    """The whole conversation is sent."""
    client = scripted(items("resp_1", call_item(A_ID, q="x"), call_item(B_ID, q="y")), items("resp_2"))
    output = respond(client, "Which one?").output
    search("y")
    respond(client, [USER, *output, output_item(B_ID), output_item("unknown_1")])
    last = recorder.spans[-1]
    assert links(last) == [(1, "asked_by", None), (2, "executed_by", B_ID)]
    assert events(last) == [(UNANSWERED, A_ID, "search"), (UNASKED, "unknown_1", None)]


@pytest.mark.parametrize(
    "more",
    [{"previous_response_id": "resp_0"}, {"conversation": "conv_1"}],
)
def test_what_the_server_knows_is_not_judged(more, recorder):
    """An answer to a call that may stand in what is stored."""
    respond(scripted(items("resp_1")), [output_item("unknown_1")], **more)
    assert events(recorder.span) == []


def test_an_answer_to_nothing_in_a_chain_that_is_known(recorder):
    """From its first response on; of a longer one the beginning may have asked."""
    client = scripted(items("resp_1", call_item(A_ID)), items("resp_2", call_item(B_ID)), items("resp_3"))
    respond(client, "Which one?")
    respond(client, [output_item(A_ID), output_item("unknown_1")], previous_response_id="resp_1")
    respond(client, [output_item(B_ID), output_item("unknown_2")], previous_response_id="resp_2")
    assert events(recorder.spans[1]) == [(UNASKED, "unknown_1", None)]
    assert events(recorder.spans[2]) == []


def test_tools_of_other_kinds(recorder):
    """Shells, patches and custom tools are answered by their call id, too."""
    patch = {"type": "apply_patch_call", "id": "p", "call_id": "patch_00000001", "operation": {"type": "delete_file"}}
    custom = {"type": "custom_tool_call", "id": "c", "call_id": "custom_00000001", "name": "search", "input": "x"}
    client = scripted(items("resp_1", patch, custom), items("resp_2"))
    respond(client, "Do it.")
    search("x")
    respond(
        client,
        [{"type": "custom_tool_call_output", "call_id": "custom_00000001", "output": "x"}],
        previous_response_id="resp_1",
    )
    last = recorder.spans[-1]
    assert links(last) == [(1, "asked_by", None), (2, "executed_by", "custom_00000001")]
    assert events(last) == [(UNANSWERED, "patch_00000001", "apply_patch")]


def test_a_response_that_is_fetched(recorder):
    """Who made it has asked; where that was another process, who fetched it."""
    whole = items("resp_1", call_item(A_ID, q="x"))
    client = scripted(whole, whole, items("resp_9", call_item(B_ID, q="y")))
    respond(client, "Which one?")
    client.responses.retrieve("resp_1")
    search("x")
    client.responses.retrieve("resp_9")
    search("y")
    assert [links(span) for span in recorder.spans] == [
        [],
        [],
        [(1, "asked_by", A_ID)],
        [],
        [(4, "asked_by", B_ID)],
    ]


def test_two_agents_whose_calls_are_numbered_alike(recorder):
    """In one trace: each answer is its own call's, by name and arguments; the other call stays open."""
    one, other = asked("call_0", q="x"), asked("call_0", q="y")
    client = scripted(asking(one), asking(other), chat(), chat())
    with app(recorder).start_as_current_span("request"):
        create(client)
        create(client)
        search("x")
        create(client, said([one]), answer("call_0"))
        search("y")
        create(client, said([other]), answer("call_0"))
    assert [links(span) for span in recorder.spans[3:]] == [
        [(2, "asked_by", "call_0")],
        [(2, "asked_by", None), (4, "executed_by", "call_0")],
        [(3, "asked_by", "call_0")],
        [(3, "asked_by", None), (6, "executed_by", "call_0")],
    ]


def test_examples_before_a_conversation(recorder):
    """Calls that were never asked for may have the ids of some that were."""
    client = scripted(asking(asked("call_1", q="x")), chat())
    with app(recorder).start_as_current_span("request"):
        create(client)
        create(client, said([asked("call_1", q="example")]), answer("call_1"))
        search("x")
    assert links(recorder.spans[2]) == []
    assert links(recorder.spans[3]) == [(2, "asked_by", "call_1")]


@pytest.mark.parametrize("call_id", ["functions.search:0", "tool_call_0", "get_weather", "0", "call_1_2"])
def test_ids_that_are_others_as_well(call_id, recorder):
    """What has no long random part is not looked for in other traces."""
    call = asked(call_id, q="x")
    client = scripted(asking(call), chat())
    for messages in ((), (said([call]), answer(call_id))):
        with app(recorder).start_as_current_span("request"):
            create(client, *messages)
    assert links(recorder.spans[3]) == []


SHELL = {"type": "shell_call", "id": "sh_1", "call_id": "call_shell_01", "action": {"commands": ["ls"]}}
HOSTED = {**SHELL, "environment": {"type": "container_reference", "container_id": "c"}}
ORDINARY = {
    "a shell of the provider's": [HOSTED, {"type": "shell_call_output", "call_id": "call_shell_01", "output": []}],
    "a program": [
        {"type": "program", "id": "p", "call_id": "prog_00000001", "code": "1"},
        {"type": "program_output", "call_id": "prog_00000001", "result": "1"},
    ],
    "a reference": [{"type": "item_reference", "id": "fc_1"}, output_item("call_ref_00001")],
    "a local shell": [
        {"type": "local_shell_call", "id": "ls_1", "call_id": "call_local_01", "action": {"command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "call_local_01", "output": "x"},
    ],
    "a search for tools": [
        {"type": "tool_search_call", "id": "t", "call_id": "search_00001", "execution": "server", "arguments": {}},
        {"type": "tool_search_output", "call_id": "search_00001", "execution": "server", "tools": []},
    ],
    "what was compacted": [{"type": "compaction", "id": "cmp_1"}, output_item("call_old_00001")],
    "an approval": [
        {"type": "mcp_approval_request", "id": "m", "name": "n", "arguments": "{}", "server_label": "s"},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
    ],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_histories(name, recorder):
    """Nothing to tell of what the provider runs, or has."""
    respond(scripted(items("resp_1")), ORDINARY[name])
    assert events(recorder.span) == []


def test_each_execution_is_linked_by_the_request_that_brings_it(recorder):
    """Also where the model says nothing between its calls."""
    calls = [call_item(f"call_{number}0000000", q=str(number)) for number in range(3)]
    client = scripted(*(items(f"resp_{number}", one) for number, one in enumerate(calls)), items("resp_9"))
    given = [USER]
    for number, one in enumerate(calls):
        respond(client, given)
        search(str(number))
        given = [*given, one, output_item(one["call_id"])]
    respond(client, given)
    brought = [[link[2] for link in links(span) if link[1] == "executed_by"] for span in recorder.spans[::2]]
    assert brought == [[], *([one["call_id"]] for one in calls)]


def test_a_number_that_is_used_again(recorder):
    """Answered once, asked for again, and not answered then."""
    call = asked("call_0", q="x")
    create(scripted(chat()), said([call]), answer("call_0"), said([call]))
    assert events(recorder.span) == [(UNANSWERED, "call_0", "search")]


def test_unsampled(recorder):
    """Nobody keeps it: nothing is told, and the call is answered all the same."""
    quiet = Recorder(ALWAYS_OFF)
    plugin = OpenAIInstrumentor()
    create(scripted(asking(A)))
    plugin.uninstrument()
    plugin.instrument(**quiet.providers)
    create(scripted(chat()), said([A]), answer(A_ID))
    (kept,) = _tool_calls.asked_calls()._everywhere.calls
    assert kept.answered
    search("x")
    assert links(recorder.spans[-1]) == []
    quiet.close()
