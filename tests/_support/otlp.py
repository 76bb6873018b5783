"""OTLP JSON lines as plain spans, and a tree of them that is the same in every run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
# What a clock, a free port or a version decides.
_VOLATILE = re.compile(
    r"(time_to_first_chunk|chunk_interval|processing_s$|request_id$|\.port$|^net\.|^network\.|user_agent|^http\.url$|^url\.full$|host|server_name)"
)


def read_spans(folder: Path) -> list[dict[str, Any]]:
    """Every span of a record folder as a flat dict, in the order of their start."""
    spans: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            for resource in json.loads(line).get("resourceSpans", []):
                service = attributes(resource["resource"]["attributes"])["service.name"]
                for scope in resource["scopeSpans"]:
                    spans += [_flat(span, scope["scope"]["name"], service) for span in scope["spans"]]
    return sorted(spans, key=lambda span: span["start"])


def read_points(folder: Path, metric: str) -> list[dict[str, Any]]:
    """The data points of one metric in the newest export of each process, with plain attributes."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.jsonl")):
        exports = [list(_points_of(json.loads(line), metric)) for line in path.read_text().splitlines()]
        found += next((points for points in reversed(exports) if points), [])
    return found


def _points_of(export: Mapping[str, Any], metric: str) -> Iterator[dict[str, Any]]:
    for resource in export.get("resourceMetrics", []):
        for scope in resource["scopeMetrics"]:
            for one in scope["metrics"]:
                if one["name"] == metric:
                    yield from _points(one)


def _points(metric: Mapping[str, Any]) -> list[dict[str, Any]]:
    (data,) = (metric[kind] for kind in ("sum", "gauge", "histogram") if kind in metric)
    return [{**point, "attributes": attributes(point.get("attributes", []))} for point in data["dataPoints"]]


def _flat(span: Mapping[str, Any], scope: str, service: str) -> dict[str, Any]:
    return {
        "trace": span["traceId"],
        "id": span["spanId"],
        "parent": span.get("parentSpanId") or None,
        "name": span["name"],
        "kind": KINDS[span.get("kind", 0)],
        "status": STATUSES[span.get("status", {}).get("code", 0)],
        "scope": scope,
        "service": service,
        "start": int(span["startTimeUnixNano"]),
        "end": int(span["endTimeUnixNano"]),
        "attributes": attributes(span.get("attributes", [])),
        "events": [event["name"] for event in span.get("events", [])],
        "links": [(link["spanId"], attributes(link.get("attributes", []))) for link in span.get("links", [])],
    }


def attributes(pairs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """OTLP's list of typed values as a dict."""
    return {pair["key"]: _plain(pair["value"]) for pair in pairs}


def _plain(value: Mapping[str, Any]) -> Any:
    (kind, held), *_ = value.items()
    if kind == "intValue":
        return int(held)
    if kind == "arrayValue":
        return [_plain(one) for one in held.get("values", [])]
    return held


def tree(spans: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Roots with their children, without ids, times and what differs from run to run."""
    spans = list(spans)
    known = {span["id"] for span in spans}
    names = {span["id"]: span["name"] for span in spans}

    def below(parent: str | None) -> list[dict[str, Any]]:
        children = [span for span in spans if (span["parent"] if span["parent"] in known else None) == parent]
        return [_node(span, below(span["id"]), names) for span in children]

    return below(None)


def _node(span: Mapping[str, Any], children: list[dict[str, Any]], names: Mapping[str, str]) -> dict[str, Any]:
    kept = {name: value for name, value in sorted(span["attributes"].items()) if not _VOLATILE.search(name)}
    node: dict[str, Any] = {"name": span["name"], "kind": span["kind"], "scope": span["scope"], "attributes": kept}
    if span["status"] != "UNSET":
        node["status"] = span["status"]
    if span["events"]:
        node["events"] = span["events"]
    if span["links"]:
        node["links"] = [{"to": names.get(to), **told} for to, told in span["links"]]
    if children:
        node["children"] = children
    return node


def outline(nodes: Iterable[Mapping[str, Any]], depth: int = 0) -> list[str]:
    """A tree as indented names, for messages."""
    lines: list[str] = []
    for node in nodes:
        lines += ["  " * depth + node["name"], *outline(node.get("children", ()), depth + 1)]
    return lines
