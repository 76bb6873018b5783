"""Hand-made load for the sampling and queue tests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.local import otlp
from deploy.local.supervisor import Stack

SERVICE = "shop"
SPANS_PER_TRACE = 4
OUTLINE = ["POST /ask", "  Agent", "    chat gpt-5", "    execute_tool search"]
FAILED_OUTLINE = ["POST /ask", "  Agent", "    chat gpt-5 (error)", "    execute_tool search"]


def trace_ids(count: int) -> list[str]:
    """The same ids in every run: which of them the baseline keeps must not be luck."""
    numbers = random.Random(20261121)
    return [f"{numbers.getrandbits(128):032x}" for _ in range(count)]


def one_trace(trace_id: str, failed: bool) -> list[dict[str, Any]]:
    """Request, agent, model call, tool call; in a failed one only the model call has an error."""
    root = otlp.span("POST /ask", trace_id, kind=2, duration_s=0.4, http__route="/ask")
    agent = otlp.span("Agent", trace_id, parent=root, duration_s=0.3, gen_ai__operation__name="invoke_agent")
    chat = otlp.span(
        "chat gpt-5",
        trace_id,
        parent=agent,
        kind=3,
        failed=failed,
        duration_s=0.2,
        gen_ai__operation__name="chat",
        gen_ai__provider__name="openai",
        gen_ai__request__model="gpt-5",
        **({"error__type": "429"} if failed else {}),
    )
    tool = otlp.span("execute_tool search", trace_id, parent=agent, gen_ai__operation__name="execute_tool")
    return [root, agent, chat, tool]


def send_traces(stack: Stack, ids: Sequence[str], failed: set[str]) -> None:
    """Each trace in two requests from two processes: first what ended first, then the root and its neighbour.

    Both processes send spans of every name, in turn.
    """
    made = [one_trace(trace_id, trace_id in failed) for trace_id in ids]
    halves = [[spans[2:] for spans in made], [spans[:2] for spans in made]]
    for half, parts in enumerate(halves):
        for number, some in enumerate(_chunks(parts, 100)):
            resource = {"service.name": SERVICE, "service.instance.id": f"worker-{(half + number) % 2}"}
            spans = [span for spans in some for span in spans]
            otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces(resource, spans))


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
