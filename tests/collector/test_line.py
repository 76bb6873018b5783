"""The whole line with real processes: OTLP in, Jaeger and Prometheus out, counted exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import check, otlp
from deploy.local.supervisor import Stack
from tests.collector import _load
from tests.collector.conftest import Up

TRACES, FAILURES = 1000, 50
OWN = 'job="otelcol-spanloom"'
DECIDED = "otelcol_processor_tail_sampling_global_count_traces_sampled"


def own_metric(stack: Stack, name: str) -> float:
    """A figure that the Collector reports about itself; 0 while it has not appeared yet."""
    return check.prometheus_sum(stack.prometheus_url, name, where=OWN).get((), 0.0)


Sampled = tuple[Stack, list[str], set[str], dict[str, list[check.Span]]]


@pytest.fixture(scope="module")
def sampled(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    """1,000 traces of which 50 failed went in at a 10 % baseline; what Jaeger has when all is decided and sent."""
    folder = tmp_path_factory.mktemp("sampled")
    with Stack.up(baseline_percent=10, decision_wait_s=3, state_dir=folder, usual_ports=False) as stack:
        ids = _load.trace_ids(TRACES)
        failed = set(ids[7 :: TRACES // FAILURES])
        _load.send_traces(stack, ids, failed)

        def settled() -> dict[str, list[check.Span]] | None:
            if own_metric(stack, DECIDED) < TRACES:
                return None
            # What the sampler let through still goes through the queue, and the figures are up to a second old.
            let_through = check.prometheus_sum(stack.prometheus_url, DECIDED, where=f'{OWN},sampled="true"')[()]
            found = check.search_traces(stack.jaeger_url, _load.SERVICE)
            complete = sum(map(len, found.values())) == let_through * _load.SPANS_PER_TRACE
            return found if complete else None

        yield stack, ids, failed, check.eventually(settled, 60, "end of the sampling")


def test_failed_traces_are_all_kept_and_the_rest_at_the_baseline(sampled: Sampled) -> None:
    """All 50 failed traces are in Jaeger whole, of the 950 others 10 % ± 3 points, whole as well."""
    _, ids, failed, found = sampled
    assert len(failed) == FAILURES
    assert failed <= set(found)
    for trace_id, spans in found.items():
        expected = _load.FAILED_OUTLINE if trace_id in failed else _load.OUTLINE
        assert check.tree_differences(expected, check.outline(check.span_tree(spans))) == []
    kept = len(set(found) - failed) / (len(ids) - FAILURES)
    assert 0.07 <= kept <= 0.13


def test_request_metrics_count_every_span_whatever_is_sampled(sampled: Sampled) -> None:
    """span_metrics sees 1,000 requests and 50 failed model calls, though Jaeger holds a tenth of them."""
    stack, *_ = sampled
    calls, mine = "traces_span_metrics_calls_total", f'job="{_load.SERVICE}"'
    by_name = {("POST /ask",): 1000, ("Agent",): 1000, ("chat gpt-5",): 1000, ("execute_tool search",): 1000}
    assert check.wait_for_sums(stack.prometheus_url, calls, by_name, by=["span_name"], where=mine) == []

    by = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type", "status_code"]
    chat = {
        ("chat", "openai", "gpt-5", "", "STATUS_CODE_UNSET"): 950,
        ("chat", "openai", "gpt-5", "429", "STATUS_CODE_ERROR"): 50,
    }
    only_chat = f'{mine},span_kind="SPAN_KIND_CLIENT"'
    assert check.wait_for_sums(stack.prometheus_url, calls, chat, by=by, where=only_chat) == []
    routes = {("/ask", "SPAN_KIND_SERVER"): 1000, ("", "SPAN_KIND_CLIENT"): 1000, ("", "SPAN_KIND_INTERNAL"): 2000}
    assert check.wait_for_sums(stack.prometheus_url, calls, routes, by=["http_route", "span_kind"], where=mine) == []


def test_request_metrics_are_per_service_and_name_the_collector(sampled: Sampled) -> None:
    """Two processes share one set of series; durations add up; `instance` is the Collector that counted."""
    stack, *_ = sampled
    mine = f'job="{_load.SERVICE}",span_name="POST /ask"'
    count = "traces_span_metrics_duration_seconds_count"
    assert check.wait_for_sums(stack.prometheus_url, count, {("collector-0",): 1000}, by=["instance"], where=mine) == []
    total = check.prometheus_sum(stack.prometheus_url, "traces_span_metrics_duration_seconds_sum", where=mine)
    assert math.isclose(total[()], 400.0, rel_tol=1e-6)


def test_counters_of_two_processes_arrive_exactly(up: Up) -> None:
    """Token counters are equal to the last unit and money to 1e-9, for two instances that send in turn."""
    stack = up()
    tokens = {"worker-a": 9_007_199_254_740_991, "worker-b": 123_456_789}
    money = {"worker-a": [0.1 + 0.2, 1e-7, 3.3], "worker-b": [0.000_000_015] * 37}
    for growth in (0.5, 1.0):
        for instance, last in tokens.items():
            spent = money[instance] if growth == 1.0 else money[instance][:1]
            counted = last if growth == 1.0 else last // 2
            sent = [
                otlp.counter("gen_ai.client.inference.usage.input_tokens", "{token}", [({"model": "m"}, counted)]),
                otlp.histogram("gen_ai.client.operation.cost", "USD", [0.001, 1.0], spent),
            ]
            resource = {"service.name": "shop", "service.instance.id": instance}
            otlp.send(stack.otlp_http_endpoint, "metrics", otlp.metrics(resource, sent))

    url, by = stack.prometheus_url, ["instance", "job"]
    ints = {(instance, "shop"): value for instance, value in tokens.items()}
    name = "gen_ai_client_inference_usage_input_tokens_total"
    assert check.wait_for_sums(url, name, ints, by=by) == []
    dollars = {(instance, "shop"): sum(values) for instance, values in money.items()}
    assert check.wait_for_sums(url, "gen_ai_client_operation_cost_USD_sum", dollars, by=by, tolerance=1e-9) == []
    calls = {(instance, "shop"): len(values) for instance, values in money.items()}
    assert check.wait_for_sums(url, "gen_ai_client_operation_cost_USD_count", calls, by=by) == []


def test_what_waits_for_jaeger_survives_the_death_of_the_collector(up: Up) -> None:
    """Jaeger away, 200 traces decided, Collector killed and started again, Jaeger back: all 200 are there whole."""
    stack = up(decision_wait_s=1)
    stack.stop("jaeger")
    ids = _load.trace_ids(200)
    _load.send_traces(stack, ids, failed=set())

    def queued() -> bool | None:
        return (own_metric(stack, "otelcol_exporter_queue_size") > 0 and own_metric(stack, DECIDED) == len(ids)) or None

    check.eventually(queued, 30, "decision about all traces")
    stack.kill("collector")
    stack.start("collector")
    stack.start("jaeger")

    def arrived() -> dict[str, list[check.Span]] | None:
        found = check.search_traces(stack.jaeger_url, _load.SERVICE)
        return found if sum(map(len, found.values())) >= len(ids) * _load.SPANS_PER_TRACE else None

    found = check.eventually(arrived, 60, "spans from the queue")
    assert {trace_id: check.outline(check.span_tree(spans)) for trace_id, spans in found.items()} == dict.fromkeys(
        ids, _load.OUTLINE
    )


def test_undecided_traces_survive_an_orderly_stop(up: Up) -> None:
    """SIGTERM in the middle of the decision wait: what is undecided is decided, queued, and sent after the start."""
    stack = up(decision_wait_s=60)
    stack.stop("jaeger")
    ids = _load.trace_ids(20)
    _load.send_traces(stack, ids, failed=set())
    stack.stop("collector")
    stack.start("jaeger")
    stack.start("collector")
    for trace_id in ids:
        assert len(check.fetch_trace(stack.jaeger_url, trace_id, 30, spans=4)) == _load.SPANS_PER_TRACE


def test_a_trace_is_decided_soon_after_its_root_came(up: Up) -> None:
    """With a long decision wait, a trace whose root is there arrives within seconds; one without waits on."""
    stack = up(decision_wait_s=600, environment={"SPANLOOM_SAMPLING_WAIT_AFTER_ROOT": "1s"})
    whole, rootless = _load.trace_ids(2)
    resource = {"service.name": _load.SERVICE}
    otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces(resource, _load.one_trace(rootless, False)[1:]))
    otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces(resource, _load.one_trace(whole, False)))
    assert len(check.fetch_trace(stack.jaeger_url, whole, 20, spans=4)) == _load.SPANS_PER_TRACE
    assert list(check.search_traces(stack.jaeger_url, _load.SERVICE)) == [whole]


def test_spans_without_a_service_name_are_counted_too(up: Up) -> None:
    """They get the name that an SDK would give them, instead of vanishing from the request metrics."""
    stack = up()
    (trace_id,) = _load.trace_ids(1)
    otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces({}, [otlp.span("lonely", trace_id)]))
    expected = {("unknown_service", "lonely"): 1}
    by = ["service_name", "span_name"]
    assert check.wait_for_sums(stack.prometheus_url, "traces_span_metrics_calls_total", expected, by=by) == []
    (span,) = check.fetch_trace(stack.jaeger_url, trace_id)
    assert span["service"] == "unknown_service"


def test_request_metrics_stay_within_their_bound(up: Up) -> None:
    """Names beyond the series limit are counted under the overflow label; none is lost."""
    stack = up(environment={"SPANLOOM_RED_MAX_SERIES": "5"})
    (trace_id,) = _load.trace_ids(1)
    spans = [otlp.span(f"name {number}", trace_id) for number in range(40)]
    otlp.send(stack.otlp_http_endpoint, "traces", otlp.traces({"service.name": "wild"}, spans))
    calls, mine = "traces_span_metrics_calls_total", 'job="wild"'
    assert check.wait_for_sums(stack.prometheus_url, calls, {(): 40}, where=mine) == []
    series = check.prometheus_query(stack.prometheus_url, f"{calls}{{{mine}}}")
    assert len(series) <= 6
    assert any(labels.get("otel_metric_overflow") == "true" for labels, _ in series)


def test_log_records_are_taken(up: Up) -> None:
    """A client that sends log records gets no error, and the Collector's log counts them."""
    stack = up()
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "hello"}}
    body = {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record, record]}]}]}
    otlp.send(stack.otlp_http_endpoint, "logs", body)
    log = stack.state_dir / "logs" / "collector.log"
    check.eventually(lambda: '"log records": 2' in log.read_text() or None, 10, "line about two log records")
