"""The completion hook of OpenTelemetry's GenAI utilities: it is given each call's content, to upload it, for example.

``OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK`` names an entry point, the same one that the official instrumentations
load. Hooks expect the dataclasses of ``opentelemetry.util.genai.types`` and get them where that package is installed
(a hook of it brings it); without it they get dataclasses with the same fields.
"""

from __future__ import annotations

import functools
import logging
import threading
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, make_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from spanloom import semconv
from spanloom.genai import _registry
from spanloom.genai._content import plain
from spanloom.genai._guard import guard

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord
    from opentelemetry.trace import Span

GROUP: Final = "opentelemetry_genai_completion_hook"
_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
_TYPES: Final = "opentelemetry.util.genai.types"
# Names of part classes without their "Part", which releases before 1.2 do not have.
_PARTS: Final = {
    "text": "Text",
    "reasoning": "Reasoning",
    "tool_call": "ToolCallRequest",
    "tool_call_response": "ToolCallResponse",
    "server_tool_call": "ServerToolCall",
    "server_tool_call_response": "ServerToolCallResponse",
    "blob": "Blob",
    "file": "File",
    "uri": "Uri",
    "compaction": "Compaction",
}

_log = logging.getLogger("spanloom")
_here = threading.local()
# The hook, once it was made.
_made: list[Hook] = []

Rows = Sequence[Mapping[str, Any]]


class Hook(Protocol):
    """What an entry point of the group makes."""

    def on_completion(
        self,
        *,
        inputs: list[Any],
        outputs: list[Any],
        system_instruction: list[Any],
        tool_definitions: list[Any] | None = None,
        span: Span | None = None,
        log_record: LogRecord | None = None,
    ) -> None: ...


@functools.cache
def load() -> Hook | None:
    """The hook that the variable names, made once; ``None`` where it names none, or none that works."""
    name = semconv.text(_VARIABLE)
    if not name:
        return None
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        _log.warning("spanloom: %s=%s: no such hook is installed (known: %s); none is called", _VARIABLE, name, known)
        return None
    with guard(f"{_VARIABLE}={name}"):
        hook = _usable(name, found[name].load()())
        _made[:] = [] if hook is None else [hook]
    return _made[0] if _made else None


def _usable(name: str, hook: Any) -> Hook | None:
    # The built-in hook gives this, after a line of its own, where it lacks a setting: no content need be read for it.
    if type(hook).__name__ == "_NoOpCompletionHook":
        return None
    if not callable(getattr(hook, "on_completion", None)):
        _log.warning("spanloom: %s=%s: it has no on_completion(); nothing is called", _VARIABLE, name)
        return None
    return hook


def notify(
    hook: Hook,
    *,
    inputs: Rows,
    outputs: Rows,
    system_instruction: Rows,
    tool_definitions: Rows | None,
    span: Span | None,
    log_record: LogRecord | None,
) -> None:
    """Give the hook one call's content, before its span ends. What it raises is logged and goes no further.

    A hook that calls a model itself (a judge, say) is not called for that call: there would be no end to it. Where a
    redactor is set, what it has not been through is not handed out: it must not fail.
    """
    if getattr(_here, "notifying", False):
        return
    _here.notifying = True
    try:
        with guard("genai.completion.hook"):
            hook.on_completion(
                inputs=[_message("InputMessage", row) for row in _copied(inputs)],
                outputs=[_message("OutputMessage", row) for row in _copied(outputs)],
                system_instruction=[_part(row) for row in _copied(system_instruction)],
                tool_definitions=[_definition(row) for row in _copied(tool_definitions)] or None,
                span=_write_only(span),
                log_record=_redacted_event(log_record),
            )
    finally:
        _here.notifying = False


def close() -> None:
    """Let the hook finish what it has begun (uploads wait in a queue): for the end of a process."""
    # Not `load`, which would make it now.
    shut_down = getattr(_made[0], "shutdown", None) if _made else None
    if callable(shut_down):
        with guard("genai.completion.close"):
            shut_down()


def _copied(rows: Rows | None) -> list[dict[str, Any]]:
    """Copies in JSON's terms: what a hook keeps or changes is its own, and can be written."""
    value = plain(rows)
    redactor = _registry.redactor
    return _dicts(value if redactor is None or not value else _checked(redactor(value), list))


def _checked(value: Any, kind: type) -> Any:
    """What a redactor gave back, where it is of this type: anything else is a fault of its own."""
    if not isinstance(value, kind):
        raise TypeError(f"a redactor gave back {type(value).__name__}, not {kind.__name__}")
    return value


def _redacted_event(event: LogRecord | None) -> LogRecord | None:
    """The event itself, which a hook writes its references to; what is in it is redacted in place."""
    redactor = _registry.redactor
    if event is not None and redactor is not None:
        event.attributes = _checked(redactor(plain(event.attributes or {})), dict)
    return event


def _write_only(span: Span | None) -> Span | None:
    """A span that a hook can write to; where there is a redactor it cannot read there what was not redacted."""
    if span is None or _registry.redactor is None:
        return span
    from spanloom.genai._write_only import WriteOnlySpan  # only where it is needed

    return WriteOnlySpan(span)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [row for row in cast("list[Any]", value) if isinstance(row, dict)] if isinstance(value, list) else []


def _message(kind: str, row: dict[str, Any]) -> Any:
    return _record(_class(kind), {**row, "parts": [_part(part) for part in _dicts(row.get("parts"))]})


def _part(row: dict[str, Any]) -> Any:
    kind = str(row.get("type"))
    if kind == "blob":
        row["content"] = _blob(row.get("content"))
    stem = _PARTS.get(kind)
    return _record(_class("GenericPart") if stem is None else _class(f"{stem}Part", stem), row)


def _definition(row: dict[str, Any]) -> Any:
    is_function = row.get("type", "function") == "function"
    return _record(_class("FunctionToolDefinition" if is_function else "GenericToolDefinition"), row)


def _blob(content: object) -> bytes:
    """Hooks get bytes. Ours are left out of the content by default: a digest and the size stand for them."""
    if not isinstance(content, str):
        return b""
    try:
        return b64decode(content, validate=True)
    except ValueError:
        return content.encode(errors="replace")


@dataclass
class _Plain:
    """Stands in for the official types."""


@functools.cache
def _types() -> Any:
    try:
        return import_module(_TYPES)
    except ImportError:
        return None


def _class(*names: str) -> type[Any]:
    """The first of these that the official types have."""
    return next((found for name in names if (found := getattr(_types(), name, None)) is not None), _Plain)


def _record(base: type[Any], row: Mapping[str, Any]) -> Any:
    """The row as an instance of ``base``. Fields it does not know come as well, those that are missing are ``None``."""
    known = {field.name: field for field in fields(base)}
    extra = tuple(name for name in row if name not in known and _is_field(name))
    needed = {name: None for name, field in known.items() if field.default is field.default_factory is MISSING}
    given = {name: value for name, value in row.items() if name in known or name in extra}
    return _extended(base, extra)(**{**needed, **given})


def _is_field(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and not iskeyword(name)


@functools.lru_cache(maxsize=256)
def _extended(base: type[Any], extra: tuple[str, ...]) -> type[Any]:
    """``base`` with these fields added, so that ``isinstance`` and ``asdict`` both tell the whole truth."""
    return make_dataclass(base.__name__, [(name, Any, None) for name in extra], bases=(base,)) if extra else base
