"""Where message content may go: the process's mode, and what ``spanloom.trace.content`` says for a block of code."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel

from spanloom import semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context

# Flags.
NOWHERE: Final = 0
ON_SPANS: Final = 1
IN_EVENTS: Final = 2

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MODES: Final = {
    "NO_CONTENT": NOWHERE,
    "FALSE": NOWHERE,
    "SPAN_ONLY": ON_SPANS,
    "TRUE": ON_SPANS,
    "EVENT_ONLY": IN_EVENTS,
    "SPAN_AND_EVENT": ON_SPANS | IN_EVENTS,
}
_KEY = otel.create_key("spanloom-content")


def configured() -> int:
    """The process's mode, by ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``. Read when a plugin starts."""
    return _MODES[semconv.choice_of(_VARIABLE)]


@dataclass(frozen=True)
class _Override:
    """One ``content(...)`` block. ``client`` is None where it holds for every call."""

    capture: int
    client: Any
    outer: _Override | None

    def holds_for(self, owner: object) -> bool:
        return self.client is None or self.client is owner or _same_connection(self.client, owner)


def _same_connection(client: object, owner: object) -> bool:
    """Copies of an OpenAI client (``with_options``) share its HTTP client."""
    http = getattr(client, "_client", None)
    return http is not None and getattr(owner, "_client", None) is http


def capture_for(default: int, owner: object, context: Context) -> int:
    """The flags for a call by ``owner`` (its client, if it has one): the innermost block that holds, or the default."""
    override: Any = context.get(_KEY)
    while override is not None:
        if override.holds_for(owner):
            return override.capture
        override = override.outer
    return default


@contextmanager
def content(mode: str | bool, *, client: object = None) -> Generator[None]:
    """Write message content elsewhere than the process does, or not at all, for the calls begun in this block.

    ``mode`` is ``NO_CONTENT``, ``SPAN_ONLY``, ``EVENT_ONLY`` or ``SPAN_AND_EVENT`` (as
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` has them), ``True`` for spans or ``False`` for nothing. With
    ``client`` only that client's calls are meant, its copies (``with_options``) included. Blocks nest; the innermost
    wins. It is carried by the OpenTelemetry context: into tasks, and into the threads of DSPy.

    Raises ``ValueError`` for any other mode.
    """
    chosen = _MODES.get(str(mode).upper())
    if chosen is None:
        raise ValueError(f"content(): {mode!r} is none of {', '.join(_MODES)}; give one of these, or True or False")
    outer: Any = otel.get_value(_KEY)
    token = otel.attach(otel.set_value(_KEY, _Override(chosen, client, outer)))
    try:
        yield
    finally:
        otel.detach(token)
