"""Golden traces of a tool loop written by hand, against the model server: whole, streamed, with a failure, at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from spanloom.tools import tool
from tests._support.spans import Recorder
from tests.tool_calls._script import MODEL, app

pytestmark = pytest.mark.usefixtures("plugins_with_content")
QUESTION = "What is the stock level and the price of product A-17?"
tries: list[str] = []


@tool
def stock_level(sku: str) -> int:
    """The stock level of a product."""
    return 3


@tool
def price(sku: str) -> float:
    """The price of a product."""
    tries.append(sku)
    if len(tries) == 1:
        raise ConnectionError("no answer")
    return 9.5


FUNCTIONS = {"stock_level": stock_level, "price": price}
PARAMETERS = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": one.__doc__, "parameters": PARAMETERS}}
    for name, one in FUNCTIONS.items()
]


def story(recorder: Recorder) -> list[str]:
    """Each span with its failure, and what it is linked to by number."""
    numbers = {span.context.span_id: place for place, span in enumerate(recorder.spans)}
    lines = []
    for place, span in enumerate(recorder.spans):
        linked = [f"{one.attributes['spanloom.link']} {numbers[one.context.span_id]}" for one in span.links]
        failed = "!" if span.status.status_code.name == "ERROR" else ""
        lines.append(f"{place} {span.name}{failed}" + (f": {', '.join(linked)}" if linked else ""))
    return lines


def execute(call: dict) -> str:
    """One try more, as applications have it."""
    function, arguments = FUNCTIONS[call["function"]["name"]], json.loads(call["function"]["arguments"])
    try:
        return str(function(**arguments))
    except ConnectionError:
        return str(function(**arguments))


def asked(client, messages, stream):
    """What the model says: its message as a dictionary."""
    if not stream:
        answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        return answer.choices[0].message.model_dump(exclude_none=True)
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as events:
        return events.get_final_completion().choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})


def loop(client, stream=False, at_once=False):
    """Until the model asks for nothing more."""
    messages = [{"role": "user", "content": QUESTION}]
    while calls := (message := asked(client, messages, stream)).get("tool_calls"):
        for call in calls:
            call["function"].pop("parsed_arguments", None)
        if at_once:
            with ThreadPoolExecutor(4) as pool:
                running = [pool.submit(copy_context().run, execute, call) for call in calls]
                results = [one.result() for one in running]
        else:
            results = [execute(call) for call in calls]
        told = [{"role": "tool", "tool_call_id": call["id"], "content": one} for call, one in zip(calls, results)]  # noqa: B905
        messages += [message, *told]
    return message["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_a_failure_and_another_try(stream, client, recorder):
    """Both tries are of the same call; the request that follows brings the second one."""
    tries.clear()
    with app(recorder).start_as_current_span("request"):
        assert "stock_level: 3; price: 9.5" in loop(client, stream)
    assert story(recorder) == [
        "0 request",
        f"1 chat {MODEL}",
        "2 execute_tool stock_level: asked_by 1",
        "3 execute_tool price!: asked_by 1",
        "4 execute_tool price: asked_by 1",
        f"5 chat {MODEL}: asked_by 1, executed_by 2, executed_by 4",
    ]
    asker = recorder.spans[1]
    (message,) = json.loads(asker.attributes["gen_ai.output.messages"])
    ids = [part["id"] for part in message["parts"] if part["type"] == "tool_call"]
    assert [one.attributes["gen_ai.tool.call.id"] for one in recorder.spans[2:5]] == [ids[0], ids[1], ids[1]]
    assert recorder.spans[4].attributes["gen_ai.tool.call.result"] == "9.5"


@pytest.mark.parametrize("around", [True, False])
def test_calls_at_once(around, client, recorder):
    """In threads that have the context: with a span around the program, and with none at all."""
    tries[:] = ["done"]
    if around:
        with app(recorder).start_as_current_span("request"):
            loop(client, at_once=True)
    else:
        loop(client, at_once=True)
    first = 1 if around else 0
    lines = [line.partition(" ")[2] for line in story(recorder)[first:]]
    assert lines[0] == f"chat {MODEL}"
    assert sorted(lines[1:3]) == [
        f"execute_tool price: asked_by {first}",
        f"execute_tool stock_level: asked_by {first}",
    ]
    assert lines[3].startswith(f"chat {MODEL}: asked_by {first}, executed_by")
    assert lines[3].count("executed_by") == 2
