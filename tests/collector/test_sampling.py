"""`spanloom sampling --collector` against a real Collector: the same traces, the same decisions as in the process."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from deploy.local import _process, _programs, binaries, check
from deploy.local._common import fetch
from spanloom.export import OTLPJsonSpanExporter
from spanloom.pipeline import SpanloomProcessor
from spanloom.sampling import load
from tests.collector.test_configuration import environment

OF_EACH = 10
RULES = """
version: 1
tail:
  baseline: {baseline}
  rules:
    - {{name: errors, error: true}}
    - {{name: slow, slower_than: 1500ms}}
    - {{name: tools, tool_failure: true}}
    - {{name: asked, keep: true}}
    - {{name: dear, cost_above_usd: 0.5}}
    - {{name: long, tokens_above: 1000}}
    - {{name: cut, finish_reason: [length, content_filter]}}
    - {{name: plan, match: {{attributes: {{app.plan: [gold, silver]}}}}}}
    - {{name: shop, match: {{attributes: {{app.shop: "eu-*.[ab]?"}}}}}}
    - {{name: status, match: {{attributes: {{app.status: {{min: 500, max: 599}}}}}}}}
    - {{name: score, match: {{attributes: {{app.score: {{max: 0.25}}}}}}}}
    - {{name: number, match: {{attributes: {{app.number: [7, 8.5]}}}}}}
    - {{name: beta, match: {{attributes: {{app.beta: true}}}}}}
    - {{name: model, match: {{model: "gpt-4*", provider: openai}}}}
    - {{name: route, match: {{route: "/admin/*"}}}}
    - {{name: span, match: {{span: "reindex *", kind: consumer}}}}
"""
# What the spans of a trace have: (name, kind, attributes, fails?, seconds), the root first, the others below it.
Row = tuple[str, SpanKind, dict[str, Any], bool, float]
PLAIN: Row = ("work", SpanKind.INTERNAL, {}, False, 0.1)


class Case(NamedTuple):
    """Traces of one kind, and whether a rule keeps them; ``differs``: in the process alone, as the file says."""

    kept: bool
    rows: tuple[Row, ...]
    differs: bool = False


def below(is_failed: bool = False, name: str = "work", kind: SpanKind = SpanKind.INTERNAL, **named: Any) -> Row:
    """A span below the root; two underscores in a name of an attribute stand for a dot."""
    return (name, kind, {key.replace("__", "."): value for key, value in named.items()}, is_failed, 0.1)


def lasting(seconds: float) -> Case:
    """One root that takes so long."""
    return Case(seconds > 1.5, (("POST /ask", SpanKind.SERVER, {}, False, seconds),))


def having(kept: bool, **named: Any) -> Case:
    """Below the root a span with these attributes."""
    return Case(kept, (PLAIN, PLAIN, below(**named)))


def chat(**named: Any) -> Row:
    """A model call."""
    return below(name="chat m", kind=SpanKind.CLIENT, gen_ai__operation__name="chat", **named)


def call(kept: bool, **named: Any) -> Case:
    """A trace with a model call, whose sums stand on the workflow above it as the core writes them."""
    told = {
        "spanloom__subtree__input_tokens": named.get("gen_ai__usage__input_tokens"),
        "spanloom__subtree__output_tokens": named.get("gen_ai__usage__output_tokens"),
        "spanloom__subtree__cost": named.get("gen_ai__usage__cost__amount"),
    }
    sums = {name: value for name, value in told.items() if value is not None}
    workflow = below(name="invoke_workflow w", gen_ai__operation__name="invoke_workflow", **sums)
    return Case(kept, (PLAIN, workflow, chat(spanloom__cost__status="estimated", **named)))


CASES: dict[str, Case] = {
    "plain": Case(False, (PLAIN, PLAIN)),
    "an error at the root": Case(True, (("POST /ask", SpanKind.SERVER, {}, True, 0.1), PLAIN)),
    "an error deep below": Case(True, (PLAIN, PLAIN, below(True))),
    "slow": lasting(1.6),
    "not slow enough": lasting(1.4),
    "a failed tool": Case(True, (PLAIN, below(True, gen_ai__operation__name="execute_tool"))),
    "a tool that tells its error": having(True, gen_ai__operation__name="execute_tool", error__type="TimeoutError"),
    "a tool": having(False, gen_ai__operation__name="execute_tool"),
    "asked for": having(True, spanloom__keep=True),
    "asked not": having(False, spanloom__keep=False),
    "dear": call(True, gen_ai__usage__cost__amount=0.75),
    "not dear": call(False, gen_ai__usage__cost__amount=0.5),
    "long": call(True, gen_ai__usage__input_tokens=990, gen_ai__usage__output_tokens=11),
    "not long": call(False, gen_ai__usage__input_tokens=990, gen_ai__usage__output_tokens=10),
    "cut": call(True, gen_ai__response__finish_reasons=("stop", "length")),
    "not cut": call(False, gen_ai__response__finish_reasons=("stop", "length_of_nothing")),
    "a text": having(True, app__plan="silver"),
    "another text": having(False, app__plan="goldfish"),
    "a list of texts": having(True, app__plan=("bronze", "gold"))._replace(differs=True),
    "half a status": having(True, app__status=503.5)._replace(differs=True),
    "a pattern": having(True, app__shop="eu-west.b1"),
    "not the pattern": having(False, app__shop="eu-west.c1"),
    "a dot is a dot": having(False, app__shop="eu-west-b1"),
    "in range": having(True, app__status=503),
    "at the edge": having(True, app__status=599),
    "out of range": having(False, app__status=600),
    "a text is no number": having(False, app__status="503"),
    "a low score": having(True, app__score=0.2),
    "a high score": having(False, app__score=0.3),
    "a number": having(True, app__number=7),
    "half a number": having(True, app__number=8.5),
    "another number": having(False, app__number=8),
    "a flag": having(True, app__beta=True),
    "no flag": having(False, app__beta=False),
    "a text is no flag": having(False, app__beta="true"),
    "both of one span": Case(True, (PLAIN, chat(gen_ai__request__model="gpt-4o", gen_ai__provider__name="openai"))),
    "the answered model": Case(True, (PLAIN, chat(gen_ai__response__model="gpt-4o", gen_ai__provider__name="openai"))),
    "one of each of two spans": Case(
        False, (PLAIN, chat(gen_ai__request__model="gpt-4o"), chat(gen_ai__provider__name="openai"))
    ),
    "a route": Case(True, (("GET", SpanKind.SERVER, {"http.route": "/admin/{item}"}, False, 0.1),)),
    "an older path": Case(True, (("GET", SpanKind.SERVER, {"http.target": "/admin/x?all=1"}, False, 0.1),)),
    "another route": Case(False, (("GET", SpanKind.SERVER, {"http.route": "/administer"}, False, 0.1),)),
    "a span": Case(True, (PLAIN, below(name="reindex pages", kind=SpanKind.CONSUMER))),
    "its name alone": Case(False, (PLAIN, below(name="reindex pages"))),
}


class _Ids(IdGenerator):
    """The same in every run: which traces a baseline keeps must not be luck."""

    def __init__(self) -> None:
        self._numbers = random.Random(20261127)

    def generate_span_id(self) -> int:
        return self._numbers.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._numbers.getrandbits(128) or 1


def make_trace(tracer: Tracer, rows: tuple[Row, ...], begun_s: int) -> int:
    """The root of the first row, the others below it, all at times of ours; its trace id."""
    begun_ns = begun_s * 1_000_000_000
    spans = []
    context = None
    for name, kind, attributes, is_failed, _ in rows:
        span = tracer.start_span(name, context, kind, attributes, start_time=begun_ns)
        if is_failed:
            span.set_status(Status(StatusCode.ERROR, "it failed"))
        context = context or set_span_in_context(span)
        spans.append(span)
    for span, row in reversed(list(zip(spans, rows, strict=True))):
        span.end(begun_ns + int(row[4] * 1e9))
    return spans[0].get_span_context().trace_id


class Made(NamedTuple):
    """All spans; the trace ids of each case; and those that the process keeps, by the name of the rule file."""

    spans: tuple[ReadableSpan, ...]
    ids: dict[str, list[int]]
    kept: dict[str, set[int]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rules with two baselines."""
    folder = tmp_path_factory.mktemp("rules")
    paths = {name: folder / f"{name}.yaml" for name in ("rules", "half")}
    for path, baseline in zip(paths.values(), (0, 0.5), strict=True):
        path.write_text(RULES.format(baseline=baseline))
    return paths


@pytest.fixture(scope="module")
def made(files: dict[str, Path]) -> Made:
    """Every case some times, through one provider: as they are, and behind the tail sampler of each file."""
    everything = InMemorySpanExporter()
    behind = {name: InMemorySpanExporter() for name in files}
    provider = TracerProvider(id_generator=_Ids(), resource=Resource({"service.name": "made"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(everything))
    for name, exporter in behind.items():
        provider.add_span_processor(SpanloomProcessor(SimpleSpanProcessor(exporter), sampling=load(str(files[name]))))
    tracer = provider.get_tracer("made")
    ids: dict[str, list[int]] = {name: [] for name in CASES}
    for number in range(OF_EACH):
        for name, case in CASES.items():
            ids[name].append(make_trace(tracer, case.rows, 1_790_000_000 + number))
    provider.shutdown()
    kept = {name: {span.context.trace_id for span in one.get_finished_spans()} for name, one in behind.items()}
    return Made(everything.get_finished_spans(), ids, kept)


class Started(NamedTuple):
    """A Collector with the policies that were made of a rule file."""

    env: Mapping[str, str]
    log: Path
    policies: str


# To its standard output: as log records some would be left out, since the Collector's log is sampled itself.
DEBUG = {
    "exporters": {"debug/kept": {"verbosity": "detailed", "use_internal_logger": False}},
    "service": {"pipelines": {"traces/sampled": {"exporters": ["debug/kept"]}}},
}


def policies_of(path: Path) -> str:
    """What the command prints."""
    command = [str(Path(sys.executable).with_name("spanloom")), "sampling", "--collector", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def send(env: Mapping[str, str], spans: tuple[ReadableSpan, ...]) -> None:
    """By our own exporter."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            patched.delenv(name)
        patched.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{env['SPANLOOM_OTLP_HTTP_PORT']}")
        patched.setenv("NO_PROXY", "127.0.0.1")
        exporter = OTLPJsonSpanExporter()
        assert exporter.export(spans).name == "SUCCESS"
        exporter.shutdown()


@pytest.fixture(scope="module")
def kept_there(files: dict[str, Path], made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The trace ids that a Collector keeps of the same spans, by the name of the rule file; and what it logged."""
    binary = binaries.ensure("otelcol-spanloom")["otelcol-spanloom"]
    started: dict[str, Started] = {}
    pids: list[int] = []
    try:
        for name, path in files.items():
            folder = tmp_path_factory.mktemp(name)
            started[name] = start(binary, folder, policies_of(path), pids)
        for pid, one in zip(pids, started.values(), strict=True):
            url = f"http://127.0.0.1:{one.env['SPANLOOM_HEALTH_PORT']}/"
            _process.wait_healthy("collector", pid, url, one.log, 20)
            send(one.env, made.spans)
        count = len(CASES) * OF_EACH
        yield {name: decided(one, count) for name, one in started.items()}, started
    finally:
        _process.stop(pids)


def start(binary: Path, folder: Path, policies: str, pids: list[int]) -> Started:
    """The shipped configuration, the policies as another file, and an exporter that tells every span."""
    wait = {f"SPANLOOM_SAMPLING_{name}": "1s" for name in ("DECISION_WAIT", "WAIT_AFTER_ROOT")}
    env, log = environment(folder, **wait), folder / "collector.log"
    overlays = {"policies.yaml": policies, "debug.yaml": yaml.safe_dump(DEBUG)}
    for name, text in overlays.items():
        (folder / name).write_text(text)
    paths = [_programs.CONFIGURATION, *(folder / name for name in overlays)]
    pids.append(_process.start([str(binary), *(part for path in paths for part in ("--config", str(path)))], env, log))
    return Started(env, log, policies)


def decided(one: Started, count: int) -> set[int]:
    """The traces in its log, once it says that it has decided about all, and has written those that it kept."""
    metrics = f"http://127.0.0.1:{one.env['SPANLOOM_TELEMETRY_PORT']}/metrics"

    def ask() -> set[int] | None:
        found = re.findall(
            r'^otelcol_processor_tail_sampling_global_count_traces_sampled\S*sampled="(\w+)"\S* (\d+)',
            fetch(metrics)[1].decode(), re.MULTILINE,
        )  # fmt: skip
        numbers = {sampled: int(number) for sampled, number in found}
        ids = set(re.findall(r"Trace ID\s*: (\w{32})", one.log.read_text()))
        return {int(one, 16) for one in ids} if sum(numbers.values()) == count and len(ids) == numbers["true"] else None

    return check.eventually(ask, 30, f"decision about {count} traces in {one.log}")


def names_of(ids: set[int], made: Made) -> dict[str, int]:
    """How many traces of each case are among these."""
    return {name: sum(one in ids for one in some) for name, some in made.ids.items()}


def test_in_the_process_each_case_is_kept_by_its_rule_alone(made: Made) -> None:
    """The cases are what they say, so that the comparison below means something."""
    assert names_of(made.kept["rules"], made) == {name: OF_EACH * case.kept for name, case in CASES.items()}


def test_the_collector_decides_as_the_process_does(made: Made, kept_there: Any) -> None:
    """With no baseline both keep the same traces, for every kind of rule and for what just misses it."""
    ids, _ = kept_there
    assert names_of(ids["rules"], made) == {
        name: OF_EACH * (case.kept and not case.differs) for name, case in CASES.items()
    }
    assert ids["rules"] <= made.kept["rules"]


def test_what_the_collector_cannot_is_said_in_the_file(kept_there: Any) -> None:
    """Where the two differ a comment beside the policies says so."""
    _, started = kept_there
    said = [line for line in started["rules"].policies.splitlines() if line.startswith("# ")]
    assert (
        "# - plan: a policy looks into no lists; a process keeps a span with a list that has one of the values." in said
    )
    assert "# - status: this policy sees whole numbers only, not 1.5 and not 1.0, and no lists." in said


def test_a_baseline_keeps_as_many_of_the_rest_in_both(made: Made, kept_there: Any) -> None:
    """Not the same traces (one hashes the id, the other takes its bits), but half; and all that a rule keeps."""
    ids, _ = kept_there
    rest = {one for name, case in CASES.items() if not case.kept for one in made.ids[name]}
    for kept, by_rules in ((ids["half"], ids["rules"]), (made.kept["half"], made.kept["rules"])):
        assert kept >= by_rules
        assert abs(len(kept & rest) / len(rest) - 0.5) < 0.17  # five standard deviations
    assert ids["half"] & rest != made.kept["half"] & rest


def test_the_collector_has_nothing_to_say_about_the_policies(kept_there: Any) -> None:
    """No warning and no error in its log, such as of a condition that failed; and the file says what it is."""
    _, started = kept_there
    for one in started.values():
        assert not re.search(r"\t(warn|error)\t", one.log.read_text())
        assert one.policies.startswith("# Made by `spanloom sampling --collector` from ")
    assert "baseline" not in yaml.safe_load(started["rules"].policies)["processors"]["tail_sampling"]["policies"][-1]
