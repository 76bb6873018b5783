"""Token counters: sums by attribute set, exact under threads, bounded, once per meter, not inherited by a fork."""

from __future__ import annotations

import os
import threading

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from spanloom.genai import Telemetry, Usage
from spanloom.genai import _tally as module
from spanloom.genai._tally import MAX_SETS, Tally, tally_of
from tests._support.spans import Recorder
from tests.genai._make import inference, telemetry

INPUT = "gen_ai.client.inference.usage.input_tokens"


def ask(of, model="m", tokens=3, **more):
    """One call."""
    one = inference(of, model)
    one.usage = Usage(tokens, **more)
    one.stop()


def test_sums_by_attribute_set(recorder):
    """One point a model, cumulative over collections."""
    of = telemetry(recorder)
    ask(of)
    ask(of)
    ask(of, "n")
    assert sorted(point.value for point in recorder.points(INPUT)) == [3, 6]
    ask(of)
    assert sorted(point.value for point in recorder.points(INPUT)) == [3, 9]
    assert recorder.metrics()[INPUT].data.is_monotonic


def test_by_modality(recorder):
    """What was told by modality, and the rest as unknown; together they are the whole."""
    ask(telemetry(recorder), tokens=100, audio_input_tokens=60, image_input_tokens=10, output_tokens=5)
    found = {point.attributes["gen_ai.token.modality"]: point.value for point in recorder.points(INPUT)}
    assert found == {"audio": 60, "image": 10, "unknown": 30}
    output = recorder.points("gen_ai.client.inference.usage.output_tokens")
    assert [(point.attributes["gen_ai.token.modality"], point.value) for point in output] == [("unknown", 5)]


def test_parts_that_make_up_the_whole_leave_no_unknown(recorder):
    """No point for nothing; a part greater than the whole invents no negative count."""
    ask(telemetry(recorder), tokens=100, audio_input_tokens=60, text_input_tokens=40)
    ask(telemetry(recorder), "odd", tokens=1, audio_input_tokens=60)
    found = [(point.attributes["gen_ai.token.modality"], point.value) for point in recorder.points(INPUT)]
    assert sorted(found) == [("audio", 60), ("audio", 60), ("text", 40)]


def test_a_failed_call_counts_zero(recorder):
    """As the conventions have it: the series exist, and have no error type."""
    inference(telemetry(recorder)).fail(ValueError())
    (point,) = recorder.points(INPUT)
    assert point.value == 0
    assert "error.type" not in point.attributes
    assert recorder.points("gen_ai.client.inference.operation.input_tokens") == []


def test_instrumenting_again_goes_on_counting(recorder):
    """An SDK keeps an observable counter's first callback: the second telemetry must add to the same sums."""
    ask(telemetry(recorder))
    ask(telemetry(recorder))
    (point,) = recorder.points(INPUT)
    assert point.value == 6


def test_two_providers_do_not_share_sums(recorder):
    """Each backend has its own."""
    other = Recorder()
    ask(telemetry(recorder))
    ask(telemetry(other), tokens=5)
    assert (recorder.total(INPUT), other.total(INPUT)) == (3, 5)
    other.close()


def test_before_an_sdk_is_set_the_scope_tells_what_is_the_same(monkeypatch):
    """Two stand-ins of one scope become one instrument later, with one callback."""
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)
    first, second = Telemetry("spanloom.early"), Telemetry("spanloom.early")
    assert first.tally is second.tally
    ask(first)
    ask(second)
    assert [one.value for one in first.tally.observer(0)(None)] == [6]
    module._by_scope.pop("spanloom.early")


def test_delta_temporality():
    """The SDK makes differences of the sums."""
    reader = InMemoryMetricReader({metrics_class(): AggregationTemporality.DELTA})
    provider = MeterProvider([reader], shutdown_on_exit=False)
    of = Telemetry("spanloom.test", None, provider)
    values = []
    for _ in range(3):
        ask(of)
        (resource,) = reader.get_metrics_data().resource_metrics
        found = [metric for scope in resource.scope_metrics for metric in scope.metrics if metric.name == INPUT]
        values.append(found[0].data.data_points[0].value)
    assert values == [3, 3, 3]
    provider.shutdown()


def metrics_class():
    """The SDK's class of observable counters."""
    from opentelemetry.sdk.metrics import ObservableCounter

    return ObservableCounter


def test_exact_under_threads():
    """Eight threads, one sum."""
    one, start = Tally(), threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(2000):
            one.add({"a": 1}, "unknown", (1, 2, None, None, None))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [point.value for point in one.observer(0)(None)] == [16_000]
    assert [point.value for point in one.observer(1)(None)] == [32_000]
    assert one.observer(2)(None) == []


def test_it_is_bounded():
    """A service with endless model names: what comes after the limit is one sum, marked as the SDK marks it."""
    one = Tally()
    for number in range(MAX_SETS + 500):
        one.add({"model": number}, "unknown", (1, None, None, None, None))
    points = one.observer(0)(None)
    assert len(points) == MAX_SETS + 1
    assert points[-1].attributes == {"otel.metric.overflow": True}
    assert points[-1].value == 500
    one.add({"model": 0}, "unknown", (1, None, None, None, None))
    assert one.observer(0)(None)[0].value == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
def test_a_forked_worker_starts_at_zero():
    """Its parent reports the sums that were there."""
    one = Tally()
    one.add({"a": 1}, "unknown", (7, None, None, None, None))
    reading, writing = os.pipe()
    with one._lock:
        child = os.fork()
        if child == 0:
            try:
                before = len(one.observer(0)(None))
                one.add({"a": 1}, "unknown", (2, None, None, None, None))
                os.write(writing, f"{before} {one.observer(0)(None)[0].value}".encode())
            finally:
                os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"0 2"
    assert one.observer(0)(None)[0].value == 7
    os.close(reading)
    os.close(writing)


def test_the_same_meter_gives_the_same_tally(recorder):
    """Asked twice, registered twice, one sum."""

    def get_meter():
        return recorder.meter_provider.get_meter("x")

    assert tally_of("x", get_meter) is tally_of("x", get_meter)
