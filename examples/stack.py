"""`make stack`: Collector, Jaeger and Prometheus as real processes, the example against them, every figure checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from demo import Call, Demo, Sent, demo_calls  # noqa: E402
from deploy.local._common import StackError  # noqa: E402
from deploy.local.supervisor import Stack  # noqa: E402
from line_check import metric_problems, trace_problems, traces_of  # noqa: E402
from processes import NotReadyError  # noqa: E402
from sampled import all_problems, sampled_calls, settings, told  # noqa: E402

FOLDER = ROOT / ".spanloom" / "stack-demo"


def instrumented() -> list[str]:
    """The command that starts a program with telemetry, from the environment that runs this."""
    return [str(Path(sys.executable).with_name("opentelemetry-instrument"))]


def service_settings(stack: Stack, instance: str) -> dict[str, str]:
    """What the service is told: where to send, and the name under which this run is found again."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http_endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}",
    }


def run(
    stack: Stack, instance: str, calls: Sequence[Call], *, concurrency: int = 1, **more: str
) -> tuple[list[Sent], Demo]:
    """Send the calls through the example, which reports to the stack; everything of the example is stopped after it."""
    with Demo(FOLDER, prefix=instrumented(), env=service_settings(stack, instance) | more) as demo:
        sent = demo.send(calls, concurrency=concurrency)
    return sent, demo


def show(stack: Stack, trace_id: str) -> None:
    """Print a trace as Jaeger has it. Jaeger's answer is OTLP JSON, which is what `spanloom show` reads."""
    with urllib.request.urlopen(f"{stack.jaeger_url}/api/v3/traces/{trace_id}", timeout=30) as answer:
        result = json.load(answer)["result"]
    record = FOLDER / "from-jaeger.jsonl"
    record.write_text(json.dumps(result) + "\n", encoding="utf-8")
    sys.stdout.flush()
    subprocess.run([str(Path(sys.executable).with_name("spanloom")), "show", str(record)], check=True)


def main() -> int:
    """Exit code 0: everything arrived. 1: something differs, and is named. 2: something did not start."""
    try:
        stack = Stack.up()
        instance = uuid.uuid4().hex
        sent, demo = run(stack, instance, demo_calls())
        problems = report(stack, instance, sent, demo) + sampled(stack)
    except (NotReadyError, StackError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stack: interrupted; the example is stopped, `make stack-down` stops the rest", file=sys.stderr)
        return 130
    print(where(stack))
    return 1 if problems else 0


def report(stack: Stack, instance: str, sent: Sequence[Sent], demo: Demo) -> list[str]:
    """Check, print the trace of the first request, and say what was found."""
    assert demo.ledger is not None
    traces = traces_of(stack.jaeger_url, instance, len(sent))
    problems = trace_problems(traces, sent)
    problems += metric_problems(stack.prometheus_url, instance, demo.ledger)
    show(stack, traces[0][0]["trace_id"])
    return said(
        problems, f"{len(traces)} traces in Jaeger; tokens and USD in Prometheus equal the model server's ledger."
    )


def said(problems: list[str], otherwise: str) -> list[str]:
    """Print what is not as expected, or that all is."""
    print("\n".join(f"NOT AS EXPECTED: {problem}" for problem in problems) or otherwise, flush=True)
    return problems


def sampled(stack: Stack) -> list[str]:
    """The same service with its sampling rules, and several hundred requests. The Collector keeps what it is given."""
    print(f"\n{len(sampled_calls())} requests with SPANLOOM_SAMPLING=examples/rag/sampling.yaml", flush=True)
    instance = uuid.uuid4().hex
    sent, demo = run(stack, instance, sampled_calls(), concurrency=8, **settings())
    assert demo.ledger is not None
    problems, counts = all_problems((stack.jaeger_url, stack.prometheus_url), instance, sent, demo.ledger)
    return said(problems, told(sent, counts))


def where(stack: Stack) -> str:
    """Where to look."""
    return (
        f"\nJaeger      {stack.jaeger_url}/api/v3/services   (this build has an API and no page of its own)\n"
        f"Prometheus  {stack.prometheus_url}\n"
        f"OTLP        {stack.otlp_http_endpoint} (HTTP), {stack.otlp_grpc_endpoint} (gRPC)\n"
        f"Your own service: OTEL_EXPORTER_OTLP_ENDPOINT={stack.otlp_http_endpoint} opentelemetry-instrument python …\n"
        "They run until `make stack-down`."
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
