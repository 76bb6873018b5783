"""`make demo`: the example with spanloom, a handful of requests, and the traces of them in the terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from demo import Demo, Sent, demo_calls  # noqa: E402
from deploy.local.check import Span, read_spans  # noqa: E402
from line_check import expected_cost, expected_tokens, own_price, trace_problems  # noqa: E402
from processes import NotReadyError  # noqa: E402

FOLDER = Path(".spanloom") / "demo"
RECORD = FOLDER / "record"
COUNTED = {"input_tokens": "gen_ai.usage.input_tokens", "output_tokens": "gen_ai.usage.output_tokens"}
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
AMOUNT = "gen_ai.usage.cost.amount"


def program(name: str) -> str:
    """A command of the environment that runs this."""
    return str(Path(sys.executable).with_name(name))


def recorded_traces(record: Path) -> list[list[Span]]:
    """The traces of the record, oldest first."""
    traces: dict[str, list[Span]] = {}
    for path in record.rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for span in read_spans({"result": json.loads(line)}):
                traces.setdefault(span["trace_id"], []).append(span)
    return sorted((sorted(spans, key=_start) for spans in traces.values()), key=lambda spans: _start(spans[0]))


def _start(span: Span) -> int:
    return span["start_ns"]


def figure_problems(traces: Sequence[Sequence[Span]], ledger: Mapping[str, Any]) -> list[str]:
    """Where the record and the model server's ledger differ, in words."""
    spans = [span for trace in traces for span in trace]
    problems: list[str] = []
    for column, name in COUNTED.items():
        expected = sum(expected_tokens(ledger, column).values())
        found = sum(span["attributes"].get(name, 0) for span in spans)
        if expected != found:
            problems.append(
                f"{column.replace('_', ' ')}: the model server counted {expected:g}, recorded are {found:g}"
            )
    expected_usd = sum(expected_cost(ledger, own_price).values())
    found_usd = sum(span["attributes"].get(AMOUNT, 0) for span in spans)
    if abs(expected_usd - found_usd) > 1e-9:
        problems.append(f"USD: {expected_usd} by the model server's count, recorded are {found_usd}")
    return problems


def run() -> tuple[list[Sent], Mapping[str, Any]]:
    """Start, send, stop. What an earlier demo left is cleared away first."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with Demo(FOLDER, record=RECORD, prefix=[program("opentelemetry-instrument")]) as demo:
        sent = demo.send(demo_calls())
    assert demo.ledger is not None
    return sent, demo.ledger


def main() -> int:
    """Exit code 0: all was recorded as it happened. 1: something is missing, and named. 2: something did not start."""
    try:
        sent, ledger = run()
    except NotReadyError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted; everything is stopped", file=sys.stderr)
        return 130
    problems = [f"POST {one.call.path}: {one.status}, expected {one.call.expected}" for one in sent if not one.ok]
    traces = recorded_traces(RECORD)
    problems += trace_problems(traces, sent) + figure_problems(traces, ledger)
    print(flush=True)
    content = ["--content"] if os.environ.get(CONTENT, "NO_CONTENT").upper() != "NO_CONTENT" else []
    shown = subprocess.run([program("spanloom"), "show", str(RECORD), *content], check=False).returncode
    if shown != 0:
        problems.append(f"`spanloom show` ended with status {shown}")
    for problem in problems:
        print(f"NOT AS EXPECTED: {problem}", file=sys.stderr)
    print(after_words())
    return 1 if problems else 0


def after_words() -> str:
    """Where everything lies, and what to try next."""
    show = Path(program("spanloom"))
    command = show.relative_to(ROOT) if show.is_relative_to(ROOT) else show
    return (
        f"\nThe record      {RECORD}   (OTLP JSON lines)\n"
        f"The service     {FOLDER}/service.log   (its code: examples/rag)\n"
        "Try next\n"
        f"  {command} show {RECORD} --json\n"
        f"  {CONTENT}=SPAN_ONLY make demo\n"
        "  make stack      Collector, Jaeger and Prometheus, without Docker"
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
