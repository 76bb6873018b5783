"""The conventions' events, as log records: the details of an inference (opt-in), and the exception of a failed call."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber

from spanloom import semconv
from spanloom.genai._carried import context_attributes
from spanloom.genai._content import as_text, make_encodable
from spanloom.semconv import Event, Exceptions, GenAI

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.context import Context

_MAX_MESSAGE_CHARS = 1024
_MAX_STACK_CHARS = 16_384


def emits_details() -> bool | None:
    """``OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT``; ``None`` where it follows the content mode."""
    choice = semconv.choice_of("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT")
    return {"TRUE": True, "FALSE": False}.get(choice)


def details(attributes: Mapping[str, Any], context: Context) -> LogRecord:
    """``gen_ai.client.inference.operation.details``: what the span has, with structured content."""
    return LogRecord(
        event_name=Event.INFERENCE_DETAILS,
        severity_number=SeverityNumber.INFO,
        context=context,
        attributes=dict(attributes),
    )


def emit_exception(logger: Logger, error: BaseException, kind: str, context: Context, with_text: bool) -> None:
    """``gen_ai.client.operation.exception``. The message is content, and may quote a prompt: only with content on."""
    severity = SeverityNumber.WARN
    # Older than 1.45, the API cannot tell; then a logger that does nothing gets a record that it throws away.
    enabled = getattr(logger, "enabled", None)
    if enabled is not None and not enabled(context=context, severity_number=severity, event_name=Event.EXCEPTION):
        return
    attributes: dict[str, Any] = dict(context_attributes(context))
    attributes.update({Exceptions.TYPE: kind, Exceptions.STACKTRACE: _stack(error, kind, with_text)})
    if with_text:
        attributes[Exceptions.MESSAGE] = as_text(error)[:_MAX_MESSAGE_CHARS]
    make_encodable(attributes)
    logger.emit(LogRecord(event_name=Event.EXCEPTION, severity_number=severity, context=context, attributes=attributes))


def emit_evaluation(
    logger: Logger, name: str, score: float | None, label: str | None, explanation: str | None, context: Context
) -> None:
    """``gen_ai.evaluation.result``: a score, a label or both, of what the span in ``context`` made."""
    rows = (
        (GenAI.EVALUATION_NAME, name),
        (GenAI.EVALUATION_SCORE_VALUE, score),
        (GenAI.EVALUATION_SCORE_LABEL, label),
        (GenAI.EVALUATION_EXPLANATION, explanation),
    )
    told = {key: value for key, value in rows if value is not None}
    attributes: dict[str, Any] = {**context_attributes(context), **told}
    make_encodable(attributes)
    logger.emit(LogRecord(
        event_name=Event.EVALUATION_RESULT,
        severity_number=SeverityNumber.INFO,
        context=context,
        attributes=attributes,
    ))  # fmt: skip


def _stack(error: BaseException, kind: str, with_text: bool) -> str:
    """The frames, the last ones where there are too many. Lines of code may hold a prompt, as the error's text may."""
    frames = traceback.format_tb(error.__traceback__) if with_text else _places(error.__traceback__)
    told = f": {as_text(error)[:_MAX_MESSAGE_CHARS]}" if with_text else ""
    return f"Traceback (most recent call last):\n{''.join(frames)[-_MAX_STACK_CHARS:]}{kind}{told}\n"


def _places(trace: TracebackType | None) -> list[str]:
    """Each frame without its line of code: no file is read for it, either."""
    codes = ((frame.f_code, line) for frame, line in traceback.walk_tb(trace))
    return [f'  File "{code.co_filename}", line {line}, in {code.co_name}\n' for code, line in codes]
