"""Hand-made OTLP over HTTP with JSON bodies: the telemetry with which the stack is tried, without any SDK."""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local._common import StackError, fetch

SECOND_NS = 1_000_000_000
ERROR = {"code": 2, "message": "it failed"}
CUMULATIVE = 2


def attributes(values: Mapping[str, str | int | float]) -> list[dict[str, Any]]:
    """{"a": "x", "n": 1} → OTLP's list of keys and typed values."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: str | int | float) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def span(
    name: str,
    trace_id: str,
    *,
    parent: Mapping[str, Any] | None = None,
    failed: bool = False,
    kind: int = 1,
    duration_s: float = 0.1,
    **named: str | int | float,
) -> dict[str, Any]:
    """One span that ends now. In `named`, two underscores stand for a dot: `http__route` is `http.route`."""
    now = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "parentSpanId": parent["spanId"] if parent else "",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(now - int(duration_s * SECOND_NS)),
        "endTimeUnixNano": str(now),
        "attributes": attributes({key.replace("__", "."): value for key, value in named.items()}),
        "status": ERROR if failed else {},
    }


def traces(resource: Mapping[str, str], spans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A request for /v1/traces."""
    scope = {"scope": {"name": "spanloom.check"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource)}, "scopeSpans": [scope]}]}


def counter(name: str, unit: str, points: Sequence[tuple[Mapping[str, str], int | float]]) -> dict[str, Any]:
    """A monotonic cumulative sum with one data point for each (attributes, value)."""
    data = [
        {**_times(), "attributes": attributes(labels), **({"asInt": str(v)} if isinstance(v, int) else {"asDouble": v})}
        for labels, v in points
    ]
    return {
        "name": name,
        "unit": unit,
        "sum": {"aggregationTemporality": CUMULATIVE, "isMonotonic": True, "dataPoints": data},
    }


def histogram(name: str, unit: str, bounds: Sequence[float], values: Sequence[float], **labels: str) -> dict[str, Any]:
    """A cumulative histogram with one data point that holds `values`."""
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[sum(value > bound for bound in bounds)] += 1
    point = {
        **_times(),
        "attributes": attributes({key.replace("__", "."): value for key, value in labels.items()}),
        "count": str(len(values)),
        "sum": sum(values),
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": list(bounds),
    }
    return {"name": name, "unit": unit, "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [point]}}


def metrics(resource: Mapping[str, str], made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A request for /v1/metrics."""
    scope = {"scope": {"name": "spanloom.check", "version": "1"}, "metrics": list(made)}
    return {"resourceMetrics": [{"resource": {"attributes": attributes(resource)}, "scopeMetrics": [scope]}]}


def send(endpoint: str, signal: str, body: Mapping[str, Any]) -> None:
    """POST to `endpoint`/v1/`signal`. StackError unless every record was taken."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{endpoint}/v1/{signal}", json.dumps(body).encode(), headers, method="POST")
    status, answer = fetch(request, timeout_s=30.0)
    if status != 200:
        said = answer[:300].decode(errors="replace") or "no answer"
        raise StackError(f"{endpoint}/v1/{signal} refused a request: {status}: {said}")
    if (json.loads(answer or b"{}")).get("partialSuccess"):
        raise StackError(f"{endpoint}/v1/{signal} took only a part: {answer[:300].decode(errors='replace')}")


def _times() -> dict[str, str]:
    now = time.time_ns()
    return {"startTimeUnixNano": str(now - SECOND_NS), "timeUnixNano": str(now)}
