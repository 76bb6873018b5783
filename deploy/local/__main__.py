"""python -m deploy.local up | down | status | build | check | generate"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local import _generate, binaries, check, otlp
from deploy.local._common import StackError, say
from deploy.local.supervisor import DEFAULT_STATE_DIR, Stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when all is well, 1 with one message on stderr when not, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    # Ended from outside, `up` must clear away as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        return verb(options)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing that this command started is left running", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The local stack, without Docker.")
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--state-dir", type=Path, default=DEFAULT_STATE_DIR, help="configuration, data, logs")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    up = verbs.add_parser("up", parents=[state], help="build what is missing, start all, print the addresses")
    up.add_argument("--baseline-percent", type=float, default=100.0, help="traces without errors to keep (100)")
    up.add_argument("--decision-wait-s", type=int, default=2, help="seconds from first span to decision (2)")
    up.set_defaults(verb=_up)
    down = verbs.add_parser("down", parents=[state], help="stop all")
    down.set_defaults(verb=_down)
    status = verbs.add_parser("status", parents=[state], help="what runs, and where; exit code 1 unless all do")
    status.set_defaults(verb=_status)
    build = verbs.add_parser("build", help="build programs into the cache folder, print their paths")
    build.add_argument("program", nargs="*", default=list(binaries.STACK), help="default: those of the stack")
    build.set_defaults(verb=_build)
    look = verbs.add_parser("check", parents=[state], help="send a trace and a counter through, or print one trace")
    look.add_argument("trace", nargs="?", help="trace id: print that trace's tree from Jaeger")
    look.set_defaults(verb=_check)
    generate = verbs.add_parser("generate", help="make the Collector's sources from its manifest again")
    generate.set_defaults(verb=_generate_sources)
    return parser


def _up(options: argparse.Namespace) -> int:
    stack = Stack.up(
        baseline_percent=options.baseline_percent,
        decision_wait_s=options.decision_wait_s,
        state_dir=options.state_dir,
    )
    say("the stack runs already:" if stack.was_running else "the stack is up:")
    _addresses(stack)
    return 0


def _addresses(stack: Stack) -> None:
    for name, address in (
        ("OTLP over HTTP", stack.otlp_http_endpoint),
        ("OTLP over gRPC", stack.otlp_grpc_endpoint),
        ("Jaeger (API only)", f"{stack.jaeger_url}/api/v3/services"),
        ("Prometheus", stack.prometheus_url),
        ("logs", stack.state_dir / "logs"),
    ):
        say(f"  {name:<18} {address}")


def _down(options: argparse.Namespace) -> int:
    stack = Stack.load(options.state_dir)
    if stack is None:
        say("no stack runs")
        return 0
    stack.down()
    say("the stack is stopped")
    return 0


def _status(options: argparse.Namespace) -> int:
    stack = Stack.load(options.state_dir)
    if stack is None:
        say("no stack runs")
        return 1
    dead = stack.dead()
    for program in stack.programs:
        runs = program.name not in dead
        state = f"runs (process {stack.running[program.name][0]})" if runs else f"ended; see {program.log}"
        say(f"  {program.name:<18} {state}")
    _addresses(stack)
    return 1 if dead else 0


def _build(options: argparse.Namespace) -> int:
    for name, path in binaries.ensure(*options.program).items():
        say(f"{name}: {path}")
    return 0


def _check(options: argparse.Namespace) -> int:
    stack = Stack.load(options.state_dir)
    if stack is None or stack.dead():
        raise StackError("no whole stack runs: start it with `python -m deploy.local up`")
    if options.trace:
        spans = check.fetch_trace(stack.jaeger_url, options.trace, timeout_s=10.0)
        say("\n".join(check.outline(check.span_tree(spans))))
        return 0
    return _try_out(stack)


def _try_out(stack: Stack) -> int:
    """One trace with an error and one counter, all the way through."""
    trace_id, instance = secrets.token_hex(16), secrets.token_hex(4)
    resource = {"service.name": "spanloom-check", "service.instance.id": instance}
    root = otlp.span("check", trace_id, kind=2)
    child = otlp.span("check below", trace_id, parent=root, failed=True)
    counted = otlp.counter("spanloom.check.runs", "{run}", [({}, 42)])
    otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces(resource, [root, child]))
    otlp.send(stack.otlp_http_endpoint, "metrics", otlp.metrics(resource, [counted]))

    wait_s = stack.settings.decision_wait_s + 30.0
    found = check.outline(check.span_tree(check.fetch_trace(stack.jaeger_url, trace_id, wait_s, spans=2)))
    wrong = check.tree_differences(["check", "  check below (error)"], found)
    mine = f'instance="{instance}"'
    wrong += check.wait_for_sums(stack.prometheus_url, "spanloom_check_runs_total", {(): 42}, where=mine)
    if wrong:
        raise StackError("\n".join(["what arrived is not what was sent:", *wrong]))
    say("\n".join([f"trace {trace_id} is in Jaeger:", *(f"  {line}" for line in found)]))
    say("its counter is in Prometheus: 42")
    return 0


def _generate_sources(_: argparse.Namespace) -> int:
    say("\n".join(_generate.into(_generate.COMMITTED)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
