"""Reads the prompts that DSPy's adapters write: which output fields of which type, in which notation. Pure functions.

Known: ChatAdapter (``[[ ## field ## ]]`` markers), JSONAdapter, XMLAdapter (fields that are not nested),
ReAct's list of tools and its trajectory, ReActV2's tool calls in text.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape

from ._talk import Observation, Schema, ToolSpec
from ._values import Passage

Notation = Literal["chat", "json", "xml"]
_OUTPUTS = re.compile(r"Your output fields are:\n(.*?)\nAll interactions will be structured", re.DOTALL)
_FIELD = re.compile(r"^\d+\. `(\w+)` \(", re.MULTILINE)
_SECTION = re.compile(r"^\[\[ ## (\w+) ## \]\][ \t]*\n?", re.MULTILINE)
_XML_SECTION = re.compile(r"^<(\w+)>\n(.*?)\n</\1>$", re.MULTILINE | re.DOTALL)
_CLOSING = re.compile(r"\n*Respond with (?:the corresponding output fields|a JSON object)")
_TOOL_TEXT = r"(\w+)(?:, whose description is <desc>(.*?)</desc>)?\. It takes arguments (\{.*\})\.$"
_TOOL = re.compile(rf"^\s*\(\d+\) {_TOOL_TEXT}", re.MULTILINE)
_LISTED_TOOL = re.compile(_TOOL_TEXT, re.DOTALL)
_NUMBERED = re.compile(r"^\[(\d+)\] (.*(?:\n(?!\[\d+\] ).*)*)", re.MULTILINE)
_KINDS: dict[str, Schema] = {
    "must be True or False": {"type": "boolean"},
    "must be a single int value": {"type": "integer"},
    "must be a single float value": {"type": "number"},
}
_INNER = re.compile(r"(trajectory|(?:thought|tool_name|tool_args|observation)_\d+|tools|tool_call_results|history)")


@dataclass(frozen=True)
class Task:
    """A DSPy call: output fields with their schemas in order, and the input fields as they were written."""

    notation: Notation
    fields: dict[str, Schema]
    inputs: dict[str, str]
    tools: tuple[ToolSpec, ...]

    @property
    def question(self) -> str:
        """The input that asks: the field `question` or `query`, else the first one."""
        for name in ("question", "query"):
            if name in self.inputs:
                return self.inputs[name]
        return next((text for name, text in self.inputs.items() if not _INNER.fullmatch(name)), "")

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The other inputs, cut into numbered passages where they are lists."""
        others = [text for name, text in self.inputs.items() if text != self.question and not _INNER.fullmatch(name)]
        return tuple(passage for text in others for passage in passages(text))

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What the tools returned, from ReAct's trajectory; the closing ``finish`` is none."""
        found: list[Observation] = []
        for name, text in self.inputs.items():
            if name.startswith("observation_"):
                tool = self.inputs.get(name.replace("observation_", "tool_name_"), "")
                found += [Observation(tool, text)] if tool != "finish" else []
        return tuple(found)


def read_task(system: str, user_texts: list[str]) -> Task | None:
    """The DSPy task in a prompt, or None where there is none. `user_texts` are the user messages in order."""
    outputs = _OUTPUTS.search(system)
    if outputs is None or not user_texts:
        return None
    notation: Notation = "json" if "Outputs will be a JSON object" in system else "chat"
    if "[[ ## completed ## ]]" not in system and notation == "chat":
        notation = "xml"
    names: list[str] = _FIELD.findall(outputs.group(1))
    last = _sections(user_texts[-1], notation)
    earlier = {name: text for user in user_texts[:-1] for name, text in _sections(user, notation).items()}
    inputs = {name: text for name, text in earlier.items() if not _INNER.fullmatch(name)} | last
    notes = _notes(system, notation)
    return Task(notation, {name: _schema(notes.get(name, "")) for name in names}, inputs, _tools(system, inputs))


def brings_input(user_text: str) -> bool:
    """Whether a user message asks something; DSPy's agents also send reminders and tool results as user messages."""
    sections = _sections(user_text, "chat")
    if not sections:
        return not _CLOSING.match(user_text)
    return any(not _INNER.fullmatch(name) for name in sections)


def reported_results(user_text: str) -> list[Observation]:
    """Tool results that DSPy's agents send in a user message."""
    try:
        loaded = json.loads(_sections(user_text, "chat").get("tool_call_results", "{}"))
    except ValueError:
        return []
    rows = loaded.get("tool_call_results", []) if isinstance(loaded, dict) else []
    return [Observation(str(row.get("name")), _plain(row.get("value"))) for row in rows if isinstance(row, dict)]


def passages(text: str) -> list[Passage]:
    """A list field's texts: a JSON array counts from 0; ``[n] text`` lines carry their own numbers."""
    try:
        loaded = json.loads(text)
    except ValueError:
        loaded = None
    if isinstance(loaded, list):
        return [Passage(part if isinstance(part, str) else json.dumps(part), n) for n, part in enumerate(loaded)]
    numbered = _NUMBERED.findall(text)
    if numbered:
        return [Passage(part.strip().strip("«»").strip(), int(label)) for label, part in numbered]
    return [Passage(text)] if text else []


def render(task: Task, values: dict[str, Any]) -> str:
    """The answer in the notation that the prompt asks for."""
    if task.notation == "json":
        return json.dumps(values, ensure_ascii=False)
    if task.notation == "xml":
        return "\n".join(f"<{name}>\n{escape(_plain(value))}\n</{name}>" for name, value in values.items())
    sections = [f"[[ ## {name} ## ]]\n{_plain(value)}" for name, value in values.items()]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])


def _plain(value: Any) -> str:
    if isinstance(value, (dict, list)) or value is None:
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _sections(text: str, notation: Notation) -> dict[str, str]:
    closing = [found.start() for found in _CLOSING.finditer(text)]
    text = text[: closing[-1]] if closing else text
    if notation == "xml":
        return {name: value.strip() for name, value in _XML_SECTION.findall(text)}
    parts = _SECTION.split(text)
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


def _notes(system: str, notation: Notation) -> dict[str, str]:
    """Per output field what DSPy notes about its type."""
    if notation == "json":
        start = system.index("{", system.index("Outputs will be a JSON object"))
        placeholders = json.JSONDecoder().raw_decode(system, start)[0].values()
    else:
        placeholders = system.splitlines()
    split = (str(line).partition("# note: the value you produce ") for line in placeholders)
    return {head.strip().strip("{}"): note for head, _, note in split if note}


def _schema(note: str) -> Schema:
    if note in _KINDS:
        return _KINDS[note]
    if note.startswith("must adhere to the JSON schema: "):
        return json.JSONDecoder().raw_decode(note, note.index("{"))[0]
    if " one of: " in note:
        return {"enum": [option.strip() for option in note.split(" one of: ", 1)[1].split(";")]}
    return {"type": "string"}


def _tools(system: str, inputs: dict[str, str]) -> tuple[ToolSpec, ...]:
    listed = [_LISTED_TOOL.match(str(line)) for line in _json_list(inputs.get("tools", ""))]
    found = [match.groups() for match in listed if match] or _TOOL.findall(system)
    return tuple(ToolSpec(name, description or "", _parameters(arguments)) for name, description, arguments in found)


def _json_list(text: str) -> list[Any]:
    try:
        loaded = json.loads(text)
    except ValueError:
        return []
    return loaded if isinstance(loaded, list) else []


def _parameters(arguments: str) -> Schema:
    """The schema of a tool's arguments, which DSPy writes as a Python literal."""
    try:
        properties: dict[str, Any] = ast.literal_eval(arguments)
    except (ValueError, SyntaxError):
        return {}
    required = [name for name, schema in properties.items() if "default" not in schema]
    return {"type": "object", "properties": properties, "required": required}
