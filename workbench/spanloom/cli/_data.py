"""What ``spanloom show --json`` prints. The keys are stable; ``show.schema.json`` beside this file describes them."""

from __future__ import annotations

import math
from importlib.resources import files
from typing import Any

from spanloom.cli._label import label
from spanloom.cli._style import ASCII
from spanloom.record import Node, Reading, Span, Trace, Value
from spanloom.semconv import Spanloom

VERSION = "spanloom.show/1"


def schema_text() -> str:
    """The JSON Schema of the output."""
    return files("spanloom.cli").joinpath("show.schema.json").read_text(encoding="utf-8")


def document(reading: Reading, traces: list[Trace], *, content: bool) -> dict[str, Any]:
    """All of it, ready for ``json.dumps``. Unknown figures are null, times nanoseconds since 1970."""
    return {
        "schema": VERSION,
        "record": {
            "files": [str(file) for file in reading.files],
            "size_bytes": reading.size_bytes,
            "problems": [
                {"file": str(problem.file), "line": problem.line or None, "reason": problem.reason}
                for problem in reading.problems
            ],
        },
        "traces_total": len(reading.traces),
        "traces_left_out": len(reading.traces) - len(traces),
        "traces": [_trace(trace, content=content) for trace in traces],
    }


def _trace(trace: Trace, *, content: bool) -> dict[str, Any]:
    figures = trace.figures
    return {
        "trace_id": trace.trace_id,
        "name": label(trace.root, ASCII),
        "services": trace.services,
        "start_unix_ns": trace.start_ns,
        "duration_ns": trace.duration_ns,
        "input_tokens": figures.input_tokens,
        "output_tokens": figures.output_tokens,
        "cost": {currency: float(amount) for currency, amount in sorted(figures.costs.items())},
        "unpriced_calls": figures.unpriced,
        "errors": figures.errors,
        "missing_parents": trace.missing,
        "spans": [
            _span(node.span, node, depth, content=content) for depth, node in trace.walk() if node.span is not None
        ],
    }


def _span(span: Span, node: Node, depth: int, *, content: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "depth": depth,
        "name": span.name,
        "label": label(span, ASCII),
        "kind": span.kind or None,
        "service": span.service or None,
        "scope": span.scope or None,
        "start_unix_ns": span.start_ns,
        "duration_ns": span.duration_ns,
        "failed": span.failed,
        "error_type": span.error_type,
        "operation": span.operation,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cost": float(span.cost) if span.cost is not None else None,
        "currency": span.currency if span.cost is not None else None,
        "unpriced": span.unpriced,
        "cached": span.cached,
        "first_chunk_s": span.first_chunk_s,
        "subtree": _subtree(span, node),
        "attributes": {name: _plain(value) for name, value in span.attributes.items()},
        "links": [
            {
                "trace_id": link.trace_id,
                "span_id": link.span_id,
                "attributes": {name: _plain(value) for name, value in link.attributes.items()},
            }
            for link in span.links
        ],
    }
    if content:
        row["status_message"] = span.status_message or None
        row["events"] = [
            {
                "name": event.name,
                "time_unix_ns": event.time_ns,
                "attributes": {name: _plain(value) for name, value in event.attributes.items()},
            }
            for event in span.events
        ]
    return row


def _subtree(span: Span, node: Node) -> dict[str, Any] | None:
    """What the service summed up below the span; without that, what the record has there."""
    calls = span.count(Spanloom.SUBTREE_LLM_CALLS)
    if calls is not None:
        amount = span.amount(Spanloom.SUBTREE_COST)
        return {
            "input_tokens": span.count(Spanloom.SUBTREE_INPUT_TOKENS),
            "output_tokens": span.count(Spanloom.SUBTREE_OUTPUT_TOKENS),
            "cost": {} if amount is None else {span.currency: float(amount)},
            "unpriced_calls": span.count(Spanloom.SUBTREE_UNPRICED_CALLS) or 0,
        }
    if not any(child.total.used for child in node.children):
        return None
    total = node.total
    return {
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cost": {currency: float(amount) for currency, amount in sorted(total.costs.items())},
        "unpriced_calls": total.unpriced,
    }


def _plain(value: Value) -> Any:
    """JSON has no NaN and no infinities: they are written as OTLP writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
