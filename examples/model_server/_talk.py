"""What was said so far, in one form for chat completions and Responses. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class ToolSpec:
    """A tool that the request offers; `parameters` is a JSON schema of an object."""

    name: str
    description: str = ""
    parameters: Schema = field(default_factory=dict)


@dataclass(frozen=True)
class ToolCall:
    """A call the answer asks for."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Observation:
    """What a tool returned, as the client reported it."""

    tool: str
    text: str


@dataclass(frozen=True)
class Message:
    """One message. `tool` is the name of the tool that a ``tool`` message answers for."""

    role: str
    text: str
    tool: str = ""
    images: int = 0


@dataclass(frozen=True)
class Talk:
    """A request, without the protocol around it."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or the name of the one tool to call."""
    parallel: bool = True
    format: str = "text"
    """``text``, ``json_object`` or ``json_schema``."""
    schema: Schema | None = None
    words: int | None = None

    @property
    def instructions(self) -> str:
        """All system and developer messages."""
        return "\n".join(message.text for message in self.messages if message.role in ("system", "developer"))

    @property
    def last_user_text(self) -> str:
        """The text of the last user message, or an empty one."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


@dataclass(frozen=True)
class Reply:
    """The answer, without the protocol around it."""

    text: str | None
    calls: tuple[ToolCall, ...] = ()
