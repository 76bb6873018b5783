"""Records with fixed ids and times, as services write them: a builder, and the traces that the tests look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECOND = 1_000_000_000
START = 1_795_248_000 * SECOND  # 2026-11-21 08:00:00 UTC


def any_value(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def pairs(rows: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": name, "value": any_value(value)} for name, value in rows.items()]


class Sample:
    """One trace under construction; times in milliseconds after the trace's start."""

    def __init__(self, trace: int, service: str = "rag", offset_s: float = 0.0) -> None:
        self.trace_id = f"{trace:032x}"
        self.service = service
        self.start = START + round(offset_s * SECOND)
        self.spans: list[tuple[str, dict[str, Any]]] = []

    def span(
        self,
        name: str,
        parent: str | None,
        begin: float,
        end: float,
        attributes: Mapping[str, object] | None = None,
        *,
        error: str | None = None,
        kind: int = 1,
        service: str | None = None,
    ) -> str:
        """Its id."""
        span_id = f"{int(self.trace_id[-8:], 16) * 1000 + len(self.spans) + 1:016x}"
        rows = {**(attributes or {}), **({"error.type": error} if error else {})}
        span: dict[str, Any] = {
            "traceId": self.trace_id,
            "spanId": span_id,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(self.start + round(begin * 1e6)),
            "endTimeUnixNano": str(self.start + round(end * 1e6)),
            "attributes": pairs(rows),
            "status": {"code": 2, "message": f"{error}: it went wrong"} if error else {},
            "flags": 257,
        }
        if parent:
            span["parentSpanId"] = parent
        self.spans.append((service or self.service, span))
        return span_id

    def chat(self, parent: str | None, begin: float, end: float, used: tuple[int, int] | None, **more: Any) -> str:
        """A model call; ``used``: input and output tokens; ``usd`` is its cost, absent where nobody knows it."""
        usd, error, model = more.pop("usd", None), more.pop("error", None), more.pop("model", "gpt-5-mini")
        rows: dict[str, object] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, **more}
        if used:
            rows |= {"gen_ai.usage.input_tokens": used[0], "gen_ai.usage.output_tokens": used[1]}
        if usd is not None:
            rows |= {"gen_ai.usage.cost.amount": usd, "gen_ai.usage.cost.currency": "USD"}
        rows.setdefault("spanloom.cost.status", "unknown_model" if usd is None else "priced")
        return self.span(f"chat {model}", parent, begin, end, rows, error=error, kind=3)

    def lines(self) -> list[str]:
        """One request a service, as several processes would write them."""
        services = dict.fromkeys(service for service, _ in self.spans)
        return [self._line(service) for service in services]

    def _line(self, service: str) -> str:
        spans = [span for of, span in self.spans if of == service]
        resource = {"attributes": pairs({"service.name": service})}
        scope = {"name": "spanloom.dspy", "version": "0.1.0"}
        request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}
        return json.dumps(request, ensure_ascii=False)


def subtree(calls: int, used: tuple[int, int], usd: float | None, unpriced: int = 0) -> dict[str, object]:
    rows: dict[str, object] = {
        "spanloom.subtree.llm_calls": calls,
        "spanloom.subtree.input_tokens": used[0],
        "spanloom.subtree.output_tokens": used[1],
    }
    if usd is not None:
        rows["spanloom.subtree.cost"] = usd
    if unpriced:
        rows["spanloom.subtree.unpriced_calls"] = unpriced
    return rows


def server(method: str, route: str, status: int) -> dict[str, object]:
    return {"http.request.method": method, "http.route": route, "http.response.status_code": status}


def ask() -> Sample:
    """FastAPI → DSPy → ReAct with tools, a second service, a failing tool, an unpriced model."""
    one = Sample(0x4F2A91C0_00000000_00000000_00000001)
    root = one.span("POST /ask", None, 0, 1840, server("POST", "/ask", 200), kind=2)
    rag = one.span("invoke_workflow RAG", root, 4, 1830, subtree(5, (2971, 412), 0.00158, 1))
    retrieve = one.span("execute_tool retrieve", rag, 6, 31, {"gen_ai.tool.name": "retrieve"})
    call = one.span(
        "GET", retrieve, 8, 29, {"http.request.method": "GET", "url.full": "http://me:pw@search:8001/rank?q=secret",
                                 "http.response.status_code": 200}, kind=3,
    )  # fmt: skip
    one.span("GET /rank", call, 10, 27, server("GET", "/rank", 200), kind=2, service="search")
    cot = one.span("invoke_workflow ChainOfThought", rag, 33, 610, subtree(1, (812, 164), 0.00052))
    one.chat(cot, 35, 608, (812, 164), usd=0.00052)
    react = one.span("invoke_agent ReAct", rag, 612, 1828, subtree(4, (2159, 248), 0.00106, 1))
    one.chat(react, 614, 901, (640, 71), usd=0.0004, **{"gen_ai.input.messages": MESSAGES})
    one.span(
        "execute_tool divide", react, 903, 904.2,
        {"gen_ai.tool.name": "divide", "gen_ai.tool.call.arguments": '{"a": 1, "b": 0}'}, error="ZeroDivisionError",
    )  # fmt: skip
    one.chat(react, 906, 1180, (702, 88), usd=0.00066)
    one.span("execute_tool 天気を調べる", react, 1182, 1199, {"gen_ai.tool.name": "天気を調べる"})
    one.chat(react, 1201, 1500, (817, 89), model="llama-4-local")
    one.chat(react, 1502, 1503, None, **{"dspy.cache.hit": True, "spanloom.cost.status": "cached"})
    return one


MESSAGES = json.dumps(
    [
        {"role": "system", "parts": [{"type": "text", "content": "You are terse."}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is 1/0?\nAnd the weather in 東京?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "divide", "arguments": {"a": 1, "b": 0}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "ZeroDivisionError " * 60}]},
    ],
    ensure_ascii=False,
)


def streamed() -> Sample:
    """A streamed chat under FastAPI."""
    one = Sample(0x5B10D7AA_00000000_00000000_00000002, offset_s=3)
    root = one.span("POST /chat", None, 0, 2210, server("POST", "/chat", 200), kind=2)
    one.chat(root, 5, 2200, (41, 388), usd=0.0007865, **{"gen_ai.response.time_to_first_chunk": 0.2134})
    return one


def failed() -> Sample:
    """An error that goes up through every level."""
    one = Sample(0x6C33E001_00000000_00000000_00000003, offset_s=6)
    root = one.span("POST /ask", None, 0, 95, server("POST", "/ask", 500), kind=2, error="RateLimitError")
    rag = one.span("invoke_workflow RAG", root, 2, 93, subtree(1, (0, 0), None, 1), error="RateLimitError")
    one.chat(rag, 4, 91, None, error="RateLimitError", **{"spanloom.cost.status": "unknown_usage"})
    return one


def deep() -> Sample:
    """Fourteen levels, with long names."""
    one = Sample(0x7D44F002_00000000_00000000_00000004, offset_s=9)
    parent = one.span("invoke_workflow Outermost", None, 0, 1000)
    for level in range(1, 13):
        name = f"invoke_workflow company.project.pipelines.stage{level}.VeryLongModuleNameForAStage"
        parent = one.span(name, parent, level, 1000 - level)
    one.chat(parent, 13, 900, (123_456, 7_890), usd=1.23456, model="a-model-with-a-name-that-goes-on-and-on-2026-11")
    return one


def orphans() -> Sample:
    """Two parents that are not in the record, one of them with two children."""
    one = Sample(0x8E55A003_00000000_00000000_00000005, "worker", offset_s=12)
    one.chat("00000000deadbeef", 10, 60, (10, 5), usd=0.0001)
    one.chat("00000000deadbeef", 70, 90, (11, 6), usd=0.0002)
    one.span("execute_tool add", "00000000cafecafe", 5, 6, {"gen_ai.tool.name": "add"})
    return one


ALL = (ask, streamed, failed, deep, orphans)


def write(folder: Path) -> Path:
    """Every sample in a record folder: two files, as two processes would leave them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line for make in ALL for line in make().lines()]
    middle = len(lines) // 2
    for name, part in (("20261121T080000.000000Z-11", lines[:middle]), ("20261121T080001.000000Z-12", lines[middle:])):
        (folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    return folder
