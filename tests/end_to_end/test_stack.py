"""The example against the real Collector, Jaeger and Prometheus: traces, tokens, money, sampling."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import genai_prices
import pytest

import sampled
from demo import Call, Demo, Sent, demo_calls, load_calls
from deploy.local import check
from deploy.local.supervisor import Stack
from line_check import MODEL_LABEL, TOKENS, expected_tokens, metric_problems, trace_problems, traces_of
from tests._support.otlp import read_spans

REQUESTS, FAILURES, BASELINE = 1000, 50, 10.0
OWN, DECIDED = 'job="otelcol-spanloom"', "otelcol_processor_tail_sampling_global_count_traces_sampled"
WHOLE_FAILURES = (
    sorted(["POST /chat", "chat gpt-4o-mini"]),
    sorted(["POST /ask", "invoke_workflow HandbookProgram", "Predict rerank", "chat gpt-4o-mini"]),
)


@dataclass
class Run:
    """What the clients saw, what the model server counted, and the name of the run in both backends."""

    instance: str
    sent: list[Sent]
    ledger: Mapping[str, Any]


def independent_price(entry: Mapping[str, Any]) -> float:
    """The price of a ledger entry by the genai-prices library itself, not by the table made from its data."""
    usage = genai_prices.Usage(
        input_tokens=entry["input_tokens"],
        output_tokens=entry["output_tokens"],
        cache_read_tokens=entry["cached_tokens"] or 0,
    )
    return float(genai_prices.calc_price(usage, entry["model_answered"], provider_id="openai").total_price)


def run_example(stack: Stack, python: Path, folder: Path, calls, concurrency: int = 1, **more: str) -> Run:
    """Send calls through the example service, installed from the wheel, which reports to the stack."""
    instance = uuid.uuid4().hex
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http_endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}",
        **more,
    }
    prefix = [str(python.parent / "opentelemetry-instrument")]
    demo = Demo(folder, prefix=prefix, python=str(python), env=settings, ports=(0, 0), say=lambda _: None)
    with demo:
        sent = demo.send(calls, concurrency=concurrency)
    assert demo.ledger is not None
    return Run(instance, sent, demo.ledger)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything is kept."""
    with Stack.up(state_dir=tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def run(stack: Stack, example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo's requests."""
    return run_example(stack, example_python, tmp_path_factory.mktemp("demo"), demo_calls())


def test_the_traces_are_in_jaeger_with_the_right_tree(stack, run):
    """HTTP request, modules, agent, tools, the second service call and model calls, one trace a request."""
    traces = traces_of(stack.jaeger_url, run.instance, len(run.sent))
    assert trace_problems(traces, run.sent) == []


def test_tokens_and_money_in_prometheus_equal_the_ledger(stack, run):
    """Tokens exactly; USD to 1e-9 against the genai-prices library itself."""
    assert metric_problems(stack.prometheus_url, run.instance, run.ledger, independent_price) == []


def test_a_difference_would_be_seen(stack, run):
    """The comparison fails on one token and on one trace too few: it can fail."""
    first = next(entry for entry in run.ledger["entries"] if entry["input_tokens"])
    one_more = {"entries": [*run.ledger["entries"], {**first, "input_tokens": 1, "output_tokens": 0}]}
    expected = expected_tokens(one_more, "input_tokens")
    found = check.prometheus_sum(stack.prometheus_url, TOKENS["input_tokens"], (MODEL_LABEL,))
    assert check.sum_differences(expected, found) != []
    traces = traces_of(stack.jaeger_url, run.instance, len(run.sent))
    assert trace_problems(traces[1:], run.sent) != []


@pytest.fixture(scope="module")
def sampled_run(stack: Stack, example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Many requests under the example's own rules; and the local record of the same spans."""
    folder = tmp_path_factory.mktemp("rules")
    both = {"OTEL_TRACES_EXPORTER": "otlp,spanloom_record", "SPANLOOM_RECORD": str(folder / "record")}
    calls = sampled.sampled_calls()
    run = run_example(stack, example_python, folder, calls, concurrency=8, **sampled.settings(), **both)
    return run, folder / "record"


def test_rules_keep_all_failures_all_slow_requests_and_a_tenth_found_by_user(stack, sampled_run):
    """Jaeger's own filter by user.id finds them, the kept tenth says what it stands for, and every token is counted."""
    run, _ = sampled_run
    urls = (stack.jaeger_url, stack.prometheus_url)
    problems, counts = sampled.all_problems(urls, run.instance, run.sent, run.ledger, independent_price)
    assert problems == []
    assert (counts.failed, counts.slow >= sampled.DELAYED) == (sampled.FAILURES, True)


def test_the_local_record_has_the_same_spans_as_jaeger(stack, sampled_run):
    """Two exporters at once get the same decision: the same spans with the same users and reasons, none twice."""
    run, record = sampled_run
    told = ("user.id", "spanloom.sampling.reason", "gen_ai.usage.input_tokens")

    def facts(spans, key: str):
        return sorted(
            (span[key], span["name"], *(str(span["attributes"].get(name)) for name in told)) for span in spans
        )

    recorded = read_spans(record)
    assert len({span["id"] for span in recorded}) == len(recorded)
    kept = len({span["trace"] for span in recorded})
    in_jaeger = [span for spans in traces_of(stack.jaeger_url, run.instance, kept) for span in spans]
    assert facts(recorded, "id") == facts(in_jaeger, "span_id")


def test_a_lost_failure_a_lost_user_and_a_wrong_share_would_be_seen(stack, sampled_run):
    """The check of the rules can fail: without one failed trace, without one slow one, with ten times the rest."""
    run, _ = sampled_run
    traces = sampled.kept_traces(stack.jaeger_url, stack.prometheus_url, run.instance, run.sent)

    def found(left) -> str:
        return "\n".join(sampled.sampling_problems(stack.jaeger_url, left, run.sent)[0])

    def kept_for(reason: str):
        return [spans for spans in traces if spans[0]["attributes"]["spanloom.sampling.reason"] == reason]

    failed, slow, rest = map(kept_for, ("errors", "slow", "baseline"))
    assert "4 requests failed, 3 are kept" in found([spans for spans in traces if spans is not failed[0]])
    assert "requests were slow, 0 are kept" in found([spans for spans in traces if spans not in slow])
    assert "others are kept, expected" in found([*traces, *rest * 9])


@pytest.fixture(scope="module")
def sampling_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A tenth is kept, and every failure."""
    folder = tmp_path_factory.mktemp("sampling")
    # The root of a trace comes last: all its spans are of one process, which sends them in the order of their end.
    soon = {"SPANLOOM_SAMPLING_WAIT_AFTER_ROOT": "2s"}
    with Stack.up(state_dir=folder, baseline_percent=BASELINE, decision_wait_s=10, environment=soon) as stack:
        yield stack


def test_sampling_keeps_every_failure_whole_a_tenth_of_the_rest_and_every_count(
    sampling_stack, example_python, tmp_path
):
    """Of 1,000 requests with 50 failures: all 50 whole, the rest 10 % +- 3 points, counters equal to the ledger."""
    run = run_example(sampling_stack, example_python, tmp_path, load(), concurrency=8)
    assert Counter(one.ok for one in run.sent) == {True: REQUESTS}

    assert metric_problems(sampling_stack.prometheus_url, run.instance, run.ledger, independent_price) == []

    traces = settled_traces(sampling_stack, run)
    failed = [spans for spans in traces if any(span["status"] == "error" for span in spans)]
    assert len(failed) == FAILURES
    for spans in failed:
        assert sorted(span["name"] for span in spans) in WHOLE_FAILURES, [span["name"] for span in spans]
    kept = len(traces) - len(failed)
    percent = 100 * kept / (REQUESTS - FAILURES)
    assert abs(percent - BASELINE) <= 3, f"{kept} of {REQUESTS - FAILURES} are kept"


def load() -> list[Call]:
    """The requests of the sampling test. Some questions make a tool fail, and such a trace is kept as a failure too."""
    (sound, *_) = demo_calls()
    # Every eighth is a whole program, and so is every second of those that fail.
    calls = load_calls(REQUESTS, FAILURES, ask_every=8)
    return [
        replace(one, question=sound.question) if one.path == "/ask" and one.expected == 200 else one for one in calls
    ]


def settled_traces(stack: Stack, run: Run) -> list[list[check.Span]]:
    """The run's traces once the Collector has decided about all, and what it let through is in Jaeger and stays so."""
    seen, since = -1, time.monotonic()

    def settled() -> list[list[check.Span]] | None:
        nonlocal seen, since
        decided = check.prometheus_sum(stack.prometheus_url, DECIDED, ("sampled",), OWN)
        if sum(decided.values()) < REQUESTS:
            return None
        traces = traces_of(stack.jaeger_url, run.instance, 0)
        if (spans := sum(map(len, traces))) != seen:
            seen, since = spans, time.monotonic()
        return traces if len(traces) == decided[("true",)] and time.monotonic() - since > 2 else None

    return check.eventually(settled, 60, "end of the sampling")
