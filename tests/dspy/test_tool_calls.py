"""Native function calling: executions have the id of the call and a link to the LM call that asked for it."""

from __future__ import annotations

import dspy
import pytest

from tests._support.snapshot import check_snapshot
from tests._support.spans import normal
from tests.dspy.test_trees import SNAPSHOTS

pytestmark = pytest.mark.usefixtures("plugin")
ID = "gen_ai.tool.call.id"


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def population(city: str) -> int:
    """The population of a city."""
    if city == "Oslo":
        raise ValueError("nobody counts them")
    return 1


@pytest.fixture
def native(lm):
    """An adapter that offers tools through the protocol."""
    with dspy.context(adapter=dspy.ChatAdapter(use_native_function_calling=True)):
        yield


def ask(**more):
    program = dspy.Predict("question, tools: list[dspy.Tool] -> tool_calls: dspy.ToolCalls")
    tools = [dspy.Tool(weather), dspy.Tool(population)]
    return program(
        question="What is the weather in Oslo, and its population?", tools=tools, **more
    ).tool_calls.tool_calls


def executions(recorder):
    return [span for span in recorder.spans if span.name.startswith("execute_tool")]


def asked_by(span):
    return [(link.context.span_id, link.attributes["spanloom.link"]) for link in span.links]


def chats(recorder):
    return [span.context.span_id for span in recorder.spans if span.name.startswith("chat")]


def test_calls_that_execute_themselves(native, recorder):
    """One execution span each, in whichever order."""
    calls = ask()
    assert [one.name for one in calls] == ["weather", "population"]
    with pytest.raises(RuntimeError):
        calls[1].execute({"population": population})
    assert calls[0].execute({"weather": weather}) == "rain in Oslo"
    (chat,) = chats(recorder)
    assert [span.attributes[ID] for span in executions(recorder)] == [calls[1].id, calls[0].id]
    assert [asked_by(span) for span in executions(recorder)] == [[(chat, "asked_by")]] * 2


def test_tools_that_are_called_by_hand(native, recorder):
    """By name and arguments; a call that nobody asked for has no id."""
    calls = ask()
    tool = dspy.Tool(weather)
    tool(city="Oslo")
    tool(city="Bergen")
    assert [span.attributes.get(ID) for span in executions(recorder)] == [calls[0].id, None]


def test_a_cached_answer_asks_again(server, recorder):
    """From the cache come the same ids; who asked is the call that was answered from it."""
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=True, num_retries=0)
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter(use_native_function_calling=True)):
        for _ in range(2):
            (call, _) = ask()
            call.execute({"weather": weather})
    first, second = chats(recorder)
    assert recorder.spans[-2].attributes.get("dspy.cache.hit") is True
    assert [asked_by(span) for span in executions(recorder)] == [[(first, "asked_by")], [(second, "asked_by")]]


def test_react_v2(native, recorder):
    """Each turn's calls, and the request after it brings the results; ``submit`` is no tool of the user's."""
    agent = dspy.ReActV2("question -> answer", tools=[weather, population], max_iters=4)
    agent(question="What is the weather in Oslo?")
    for span in executions(recorder):
        ((asker, kind),) = asked_by(span)
        assert (asker in chats(recorder), kind) == (True, "asked_by")
    brought = [link for span in recorder.spans if span.name.startswith("chat") for link in span.links]
    found = {link.context.span_id for link in brought if link.attributes["spanloom.link"] == "executed_by"}
    assert {span.context.span_id for span in executions(recorder)} == found
    assert not [event for span in recorder.spans for event in span.events if event.name.startswith("spanloom.tool")]
    check_snapshot(SNAPSHOTS / "react_v2_native.json", normal(recorder.spans))


def test_react_has_no_ids(lm, recorder):
    """It asks in text: what runs is known, who is answered is not a matter of ids."""
    dspy.ReAct("question -> answer", tools=[weather], max_iters=2)(question="What is the weather in Oslo?")
    assert all(ID not in span.attributes and not span.links for span in executions(recorder))
    assert executions(recorder)
