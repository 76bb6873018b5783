"""The ids of tool calls that a model has asked for, on their way to the executions that they lead to."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import Token
from typing import cast

from opentelemetry import context as otel
from opentelemetry.context import Context

from spanloom.genai import current

_ASKED = otel.create_key("spanloom-dspy-asked")


class Asked:
    """``with asked:`` the calls are executed. Only what runs directly there may take an id, not what a tool calls."""

    __slots__ = ("_around", "_calls", "_token")

    def __init__(self, calls: Iterable[tuple[object, object]]) -> None:
        """``calls``: each tool with the id of its call, in their order."""
        self._around = current()
        self._calls = [(tool, call_id) for tool, call_id in calls if isinstance(call_id, str) and call_id]
        self._token: Token[Context] | None = None

    def take(self, tool: object) -> str | None:
        """The id of this tool's next call."""
        if current() is not self._around:
            return None
        for place, (asked, call_id) in enumerate(self._calls):
            if asked is tool:
                del self._calls[place]
                return call_id
        return None

    def __enter__(self) -> None:
        self._token = otel.attach(otel.set_value(_ASKED, self))

    def __exit__(self, *_: object) -> None:
        # A coroutine that the collector closes is in another context; this one has gone with its own.
        if self._token is not None and otel.get_value(_ASKED) is self:
            otel.detach(self._token)


def id_for(tool: object) -> str | None:
    """The id of the call that leads to the execution of this tool, where it is known."""
    asked = cast("Asked | None", otel.get_value(_ASKED))
    return None if asked is None else asked.take(tool)
