"""Computes the answer to a request from the request. Pure functions."""

from __future__ import annotations

import json
import re
from itertools import cycle, islice
from typing import Any

from . import _text
from ._faults import without_markers
from ._prompts import Task, brings_input, passages, read_task, render, reported_results
from ._talk import Observation, Reply, Schema, Talk, ToolCall, ToolSpec
from ._values import Material, Passage, Values, answer, argument_text, output_text, thought

CLOSING_TOOLS = ("finish", "submit")
_QUESTION_LINE = re.compile(r"^Question:\s*(.+)$", re.MULTILINE)


def reply(talk: Talk, variant: int = 0) -> Reply:
    """The answer to a request. Each `variant` (choice) of one request reads differently."""
    users = [without_markers(message.text) for message in talk.messages if message.role == "user"]
    task = read_task(talk.instructions, users)
    material = _material(talk, task, users, variant)
    calls = native_calls(talk, material)
    if calls and task is None:
        return Reply(None, calls)
    return Reply(_body(talk, task, material), calls)


def native_calls(talk: Talk, material: Material) -> tuple[ToolCall, ...]:
    """Calls of the tools offered through the protocol; none when what they returned is there to answer from."""
    if talk.tool_choice == "none" or not talk.tools:
        return ()
    forced = [tool for tool in talk.tools if tool.name == talk.tool_choice]
    done = {seen.tool for seen in material.observations}
    chosen = forced if forced and not done & {forced[0].name} else _next_tools(talk, done, material)
    return tuple(ToolCall(tool.name, arguments(tool, material)) for tool in chosen)


def observations(talk: Talk) -> tuple[Observation, ...]:
    """What the tools returned since the last user message that asks something."""
    found: list[Observation] = []
    for message in reversed(talk.messages):
        if message.role == "tool":
            found.append(Observation(message.tool, message.text))
        elif message.role == "user" and brings_input(message.text):
            break
        elif message.role == "user":
            found += reversed(reported_results(message.text))
    return tuple(reversed(found))


def relevant_tools(tools: tuple[ToolSpec, ...], question: str) -> list[ToolSpec]:
    """The working tools that share words with the question, in the offered order; all of them if none does."""
    working = [tool for tool in tools if tool.name not in CLOSING_TOOLS]
    return [tool for tool in working if _text.overlap(question, _about(tool))] or working


def arguments(tool: ToolSpec, material: Material) -> dict[str, Any]:
    """Arguments for a call: the required ones, computed from the question by name and type."""
    properties: dict[str, Any] = tool.parameters.get("properties", {})
    texts = output_text(material) if tool.name in CLOSING_TOOLS else argument_text(material, _about(tool))
    values = Values(material, texts, root=tool.parameters)
    wanted = tool.parameters.get("required", list(properties))
    return {name: values.of(properties.get(name, {}), name) for name in wanted}


def _about(tool: ToolSpec) -> str:
    return f"{tool.name.replace('_', ' ')} {tool.description}"


def _next_tools(talk: Talk, done: set[str], material: Material) -> list[ToolSpec]:
    left = [tool for tool in relevant_tools(talk.tools, material.question) if tool.name not in done]
    closing = [tool for tool in talk.tools if tool.name in CLOSING_TOOLS and tool.name not in done]
    if talk.parallel and done:
        left = []
    if left:
        return left if talk.parallel else left[:1]
    return closing[:1]


def _material(talk: Talk, task: Task | None, users: list[str], variant: int) -> Material:
    seen = observations(talk)
    if task is not None:
        return Material(task.question, task.passages, task.observations + seen, variant)
    question = users[-1] if users else ""
    known = [Passage(text) for text in (talk.instructions, *users[:-1]) if text]
    asked = _QUESTION_LINE.search(question)
    if asked:
        known += passages(question.replace(asked.group(), "").strip())
        question = asked.group(1)
    return Material(question, tuple(known), seen, variant)


def _body(talk: Talk, task: Task | None, material: Material) -> str:
    if talk.format == "json_schema" and talk.schema is not None:
        values = Values(material, output_text(material), root=talk.schema)
        made = values.of(talk.schema)
        if isinstance(made, dict):
            made |= _overrides(task, material, made)
        return json.dumps(made, ensure_ascii=False)
    if task is not None:
        made = {name: _field(name, schema, material) for name, schema in task.fields.items()}
        return render(task, made | _overrides(task, material, made))
    if talk.format == "json_object":
        return json.dumps({"answer": answer(material)}, ensure_ascii=False)
    return _of_length(answer(material), talk.words)


def _field(name: str, schema: Schema, material: Material) -> Any:
    return Values(material, output_text(material), root=schema).of(schema, name)


def _overrides(task: Task | None, material: Material, made: dict[str, Any]) -> dict[str, Any]:
    """The fields with which DSPy's agents ask for tools in text."""
    if task is None or not task.tools:
        return {}
    if "next_tool_name" in made:
        return _agent_step(task, material)
    if "tool_calls" in made:
        talk = Talk(messages=(), tools=task.tools)
        calls = native_calls(talk, material)
        return {"tool_calls": {"tool_calls": [{"name": call.name, "args": call.arguments} for call in calls]}}
    return {}


def _agent_step(task: Task, material: Material) -> dict[str, Any]:
    done = {seen.tool for seen in material.observations}
    talk = Talk(messages=(), tools=task.tools, parallel=False)
    tool = next(iter(_next_tools(talk, done, material)), task.tools[-1])
    return {
        "next_thought": f"{thought(material)} Next: {tool.name}.",
        "next_tool_name": tool.name,
        "next_tool_args": arguments(tool, material),
    }


def _of_length(text: str, words: int | None) -> str:
    return text if words is None else " ".join(islice(cycle(text.split()), words))
