"""Agents, their tools and their interpreters."""

from __future__ import annotations

import asyncio
import warnings
from types import SimpleNamespace
from typing import Any
from unittest import mock

import dspy
from dspy.utils.dummies import DummyLM

from tests.dspy._programs import add, agent, agent_lm, divide, later, step
from tests.dspy.sections._stage import Stage, section

CALLS = [{"name": "add", "args": {"a": 1, "b": 2}}, {"name": "divide", "args": {"a": 1, "b": 0}}]
END = [step("finish"), {"reasoning": "r", "answer": "a"}]


@section()
def react_with_a_failing_tool(stage: Stage) -> Any:
    with dspy.context(lm=agent_lm()):
        return agent()(question="x")


@section()
def react_over_the_server(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return agent()(question="add 1 and 2")


@section()
def react_in_async_code(stage: Stage) -> Any:
    async def program() -> Any:
        with dspy.context(lm=DummyLM([step("later", a=5), *END])):
            return await dspy.ReAct("question -> answer", tools=[later, add]).acall(question="x")

    return asyncio.run(program())


@section()
def react_v2(stage: Stage) -> Any:
    # Without ids DSPy makes them up, one unlike the other.
    calls = [{**one, "id": f"call_{place}"} for place, one in enumerate(CALLS)]
    submit = {"name": "submit", "args": {"answer": "3"}, "id": "call_9"}
    turns = [{"next_thought": "t", "tool_calls": {"tool_calls": called}} for called in (calls, [submit])]
    with dspy.context(lm=DummyLM(turns)):
        return dspy.ReActV2("question -> answer", tools=[add, divide])(question="x")


@section(newest=True)
def rlm(stage: Stage) -> Any:
    code = ["print(add(a=1, b=2), llm_query('Which colour?'))", "print(1 / 0)", "SUBMIT(answer='3')"]
    main = DummyLM([{"reasoning": "r", "code": f"```python\n{one}\n```"} for one in code])
    program = dspy.RLM(
        "question -> answer",
        tools=[add],
        sub_lm=DummyLM([{"answer": "red"}]),
        interpreter_factory=dspy.LocalInterpreter,
    )
    with dspy.context(lm=main):
        return program(question="x")


@section(newest=True)
def program_of_thought(stage: Stage) -> Any:
    answers = [
        {"reasoning": "r", "generated_code": "```python\n1 / 0\n```"},
        {"reasoning": "r", "generated_code": "```python\nSUBMIT({'answer': 1 + 1})\n```"},
        {"reasoning": "r", "answer": "2"},
    ]
    with warnings.catch_warnings(), dspy.context(lm=DummyLM(answers)):
        warnings.simplefilter("ignore")
        return dspy.ProgramOfThought("question -> answer", interpreter_factory=dspy.LocalInterpreter)(question="x")


@section(newest=True)
def code_act(stage: Stage) -> Any:
    answers = [
        {"generated_code": "```python\nprint(add(1, 2))\n```", "finished": True},
        {"reasoning": "r", "answer": "3"},
    ]
    with warnings.catch_warnings(), dspy.context(lm=DummyLM(answers)):
        warnings.simplefilter("ignore")
        program = dspy.CodeAct("question -> answer", tools=[add], interpreter_factory=dspy.LocalInterpreter)
        return program(question="x")


@section()
def avatar(stage: Stage) -> Any:
    from dspy.predict.avatar import Avatar
    from dspy.predict.avatar.models import Tool

    look = Tool(tool=SimpleNamespace(run=lambda query: f"found {query}"), name="look", desc="Looks.")
    answers = [
        {"action_1": {"tool_name": "look", "tool_input_query": "q"}},
        {"action_2": {"tool_name": "Finish", "tool_input_query": ""}},
        {"answer": "a"},
    ]
    # DSPy 3 has lost the class that its Avatar is made of.
    with mock.patch.object(dspy, "TypedPredictor", dspy.Predict, create=True), dspy.context(lm=DummyLM(answers)):
        return Avatar("question -> answer", tools=[look])(question="x")


class Searching(dspy.Module):
    """A module that a tool of its agent calls."""

    def __init__(self) -> None:
        super().__init__()
        self.search = dspy.Predict("query -> hits")
        self.agent = dspy.ReAct("question -> answer", tools=[self.find])

    def find(self, query: str) -> str:
        """Finds."""
        return self.search(query=query).hits

    def forward(self, question: str) -> Any:
        return self.agent(question=question)


@section()
def module_in_a_tool(stage: Stage) -> Any:
    with dspy.context(lm=DummyLM([step("find", query="q"), {"hits": "h"}, *END])):
        return Searching()(question="x")


@section()
def tool_calls_executed(stage: Stage) -> Any:
    calls = dspy.ToolCalls.from_dict_list(CALLS).tool_calls
    done: list[Any] = [calls[0].execute({"add": add}), calls[0].execute([dspy.Tool(add)]), calls[0].execute()]
    try:
        calls[1].execute([dspy.Tool(divide)])
    except RuntimeError as error:
        done.append(error)
    return done


@section(newest=True)
def mcp_tool(stage: Stage) -> Any:
    from mcp import Client
    from mcp.server import MCPServer

    server = MCPServer("weather", log_level="CRITICAL")

    @server.tool()
    def forecast(city: str) -> str:
        """Tells the weather."""
        if city == "Atlantis":
            raise ValueError("sunk")
        return f"rain in {city}"

    async def program() -> Any:
        async with Client(server) as client:
            (listed,) = (await client.list_tools()).tools
            tool = dspy.Tool.from_mcp_tool(client, listed)
            steps = [step("forecast", city="Dresden"), step("forecast", city="Atlantis"), *END]
            with dspy.context(lm=DummyLM(steps)):
                return await dspy.ReAct("question -> answer", tools=[tool]).acall(question="x")

    return asyncio.run(program())
