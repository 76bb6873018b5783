"""Metrics count every call, whatever is sampled where: the same program under each way to keep less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests._support.otlp import attributes, read_spans
from tests.zero_code._events import MODE, requests_of, run

PROGRAM = """
import json
from opentelemetry import trace
import spanloom.tools

tracer = trace.get_tracer("app")

@spanloom.tools.tool
def look_up(number):
    if number % 8 == 0:
        raise ValueError("nothing there")

def request(number):
    with tracer.start_as_current_span("request") as span:
        ask(f"question {number}")
        for _ in client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": f"tell {number}"}],
            stream=True, stream_options={"include_usage": True},
        ):
            pass
        if number % 10 == 5:
            try:
                ask("no [[error:400]]")
            except openai.BadRequestError:
                pass
        try:
            look_up(number)
        except ValueError:
            pass
        return f"{span.get_span_context().trace_id:032x}"

ids = [request(number) for number in range(int(os.environ["REQUESTS"]))]
tokens = [[getattr(entry, f"{kind}_tokens") or 0 for entry in server.ledger.entries] for kind in ("input", "output")]
sampler = trace.get_tracer_provider().sampler.get_description()
print(json.dumps({"ids": ids, "tokens": [sum(some) for some in tokens], "sampler": sampler}))
"""
TAIL = """
version: 1
head: {{leaves: [health]}}
tail: {{baseline: {baseline}, rules: [{{error: true}}, {{tool_failure: true}}]}}
"""
REQUESTS = 24
SAMPLER, RATIO, RULES = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "SPANLOOM_SAMPLING"
FAILED = {number for number in range(REQUESTS) if number % 10 == 5 or number % 8 == 0}
INPUT, OUTPUT = (f"gen_ai.client.inference.usage.{kind}_tokens" for kind in ("input", "output"))
COST, DURATIONS = (
    "gen_ai.client.operation.cost",
    {"gen_ai.client.inference.duration", "gen_ai.execute_tool.duration"},
)
EVERYTHING = "ratio 1"
# Each is a process of its own, so there are no more than it takes.
WAYS: dict[str, dict[str, str]] = {
    EVERYTHING: {SAMPLER: "spanloom", RATIO: "1", MODE: "SPAN_ONLY", "SPANLOOM_CONTENT_RATIO": "0.1"},
    "ratio 0": {SAMPLER: "spanloom", RATIO: "0"},
    "ratio 0.1": {SAMPLER: "spanloom", RATIO: "0.1"},
    "tail 0.1": {RULES: TAIL.format(baseline=0.1), MODE: "SPAN_AND_EVENT", "SPANLOOM_CONTENT_RATIO": "0.1"},
    "tail 0, stock sampler": {RULES: TAIL.format(baseline=0), SAMPLER: "traceidratio", RATIO: "0.5"},
}


class Ran(NamedTuple):
    """What one run said of itself, and what it recorded."""

    said: dict[str, Any]
    spans: list[dict[str, Any]]
    points: dict[str, Any]

    @property
    def kept(self) -> set[int]:
        """The numbers of the requests whose traces are there."""
        traces = {span["trace"] for span in self.spans}
        return {number for number, trace in enumerate(self.said["ids"]) if trace in traces}

    def chosen(self, ratio: float) -> set[int]:
        """The requests that a ratio keeps by the random bits of their trace, as OpenTelemetry has it."""
        least = (1 - ratio) * 2**56
        return {number for number, trace in enumerate(self.said["ids"]) if int(trace[-14:], 16) >= least}


@pytest.fixture(scope="module")
def ran(hook_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The program in each way."""

    def one(settings: Mapping[str, str]) -> Ran:
        folder = tmp_path_factory.mktemp("metrics")
        told = {**settings, "REQUESTS": str(REQUESTS), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx"}
        if RULES in told:
            (folder / "sampling.yaml").write_text(told[RULES])
            told[RULES] = "sampling.yaml"
        done = run(hook_python, folder, PROGRAM, **told)
        # Another sampler beside rules of ours is worth a line.
        lines = 1 if RULES in told and told.get(SAMPLER, "spanloom") != "spanloom" else 0
        assert (done.returncode, len(done.stderr.splitlines())) == (0, lines), done.stderr
        record = folder / ".spanloom"
        return Ran(json.loads(done.stdout), read_spans(record), points_of(record))

    with ThreadPoolExecutor(3) as pool:
        return dict(zip(WAYS, pool.map(one, WAYS.values()), strict=True))


def points_of(record: Path) -> dict[str, Any]:
    """What the last export says of calls: sums, and of histograms counts, and sums but of times."""
    found: dict[str, Any] = {}
    for request in requests_of(record):
        for resource in request.get("resourceMetrics", []):
            for metric in (one for scope in resource["scopeMetrics"] for one in scope["metrics"]):
                if metric["name"].startswith("gen_ai."):
                    found[metric["name"]] = _values(metric)
    return found


def _values(metric: Mapping[str, Any]) -> dict[str, Any]:
    (data,) = (metric[kind] for kind in ("sum", "gauge", "histogram") if kind in metric)
    return {
        json.dumps({k: v for k, v in attributes(point["attributes"]).items() if k != "server.port"}, sort_keys=True): (
            point.get("asInt", point.get("asDouble")),
            point.get("count"),
            None if metric.get("unit") == "s" else point.get("sum"),
        )
        for point in data["dataPoints"]
    }


def test_without_sampling_the_metrics_are_those_of_the_model_servers_ledger(ran: dict[str, Ran]) -> None:
    """So that what the others are compared with is right; there are counters, durations, money and tools."""
    everything = ran[EVERYTHING]
    assert everything.kept == set(range(REQUESTS))
    sums = [sum(int(value) for value, *_ in everything.points[name].values()) for name in (INPUT, OUTPUT)]
    assert sums == everything.said["tokens"]
    assert {COST, *DURATIONS} <= set(everything.points)


@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_metrics_do_not_depend_on_sampling(ran: dict[str, Ran], way: str) -> None:
    """Tokens, money and the number of durations are equal to the last unit, by every attribute."""
    assert ran[way].points == ran[EVERYTHING].points


def test_the_head_keeps_what_its_ratio_says(ran: dict[str, Ran]) -> None:
    """Nothing, or the traces whose random bits are high enough."""
    assert ran["ratio 0"].spans == []
    assert ran["ratio 0.1"].kept == ran["ratio 0.1"].chosen(0.1)


def test_the_tail_keeps_failures_and_its_baseline(ran: dict[str, Ran]) -> None:
    """Whole traces: each kept one has all the spans that it has without sampling."""
    assert ran["tail 0.1"].kept == FAILED | ran["tail 0.1"].chosen(0.1)
    for number in ran["tail 0.1"].kept:
        assert names(ran["tail 0.1"], number) == names(ran[EVERYTHING], number)


def names(one: Ran, number: int) -> list[str]:
    """The names of the spans of a request, in their order."""
    return [span["name"] for span in one.spans if span["trace"] == one.said["ids"][number]]


def test_rules_bring_our_sampler_unless_the_user_names_one(ran: dict[str, Ran]) -> None:
    """A file alone is enough. A stock sampler that the user names stays, and the tail works on what it lets through."""
    assert ran["tail 0.1"].said["sampler"] == "SpanloomSampler{ratio=1,leaves=health}"
    stock = ran["tail 0, stock sampler"]
    assert stock.said["sampler"] == "TraceIdRatioBased{0.5}"
    # It looks at the low 64 bits, from the other end.
    begun = {number for number, trace in enumerate(stock.said["ids"]) if int(trace[-16:], 16) < 2**63}
    assert stock.kept == begun & FAILED


@pytest.mark.parametrize("way", [EVERYTHING, "tail 0.1"])
def test_content_is_in_its_share_of_the_traces(ran: dict[str, Ran], way: str) -> None:
    """The same random bits decide, so content is where a sampler of the same ratio would keep the trace."""
    one = ran[way]
    with_content = {span["trace"] for span in one.spans if "gen_ai.input.messages" in span["attributes"]}
    assert with_content == {one.said["ids"][number] for number in one.chosen(0.1)}
