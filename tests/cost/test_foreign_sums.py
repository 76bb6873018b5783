"""Calls that other packages record are in the sums above them: once, beside our own, as the metrics have them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult

from spanloom.cost import CostFinisher, SpanCosts
from spanloom.genai import Agent, Inference, Peer, Step, Telemetry, ToolExecution, Usage, Workflow, _registry
from spanloom.pipeline import SpanloomProcessor, _processor
from spanloom.sampling import SamplingRules
from tests.cost._support import Meter

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 500,
}
OUTER = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.token_count.prompt": 1000}
EMBEDDING = {
    "openinference.span.kind": "EMBEDDING",
    "embedding.model_name": "text-embedding-3-small",
    "llm.provider": "openai",
    "llm.token_count.prompt": 1000,
}
USD, EMBEDDING_USD = 0.00045, 0.00002
ONE = {"llm_calls": 1, "input_tokens": 1000, "output_tokens": 500, "cost": USD}


class RecordOnly(Sampler):
    """Records everything and samples nothing."""

    def should_sample(
        self, context: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None, *_: Any, **__: Any
    ) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, attributes)

    def get_description(self) -> str:
        return "record only"


class House(Meter):
    """A service with our pipeline and our own calls, and a package of somebody else's that records calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sampler: Sampler = ALWAYS_ON, around: Any = None) -> None:
        super().__init__()
        monkeypatch.setattr(_processor, "SpanCosts", lambda: SpanCosts(self.provider))
        monkeypatch.setattr(_registry, "finishers", (CostFinisher(self.provider),))
        self.exporter = InMemorySpanExporter()
        processor = SpanloomProcessor(SimpleSpanProcessor(self.exporter), sampling=SamplingRules())
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(around(processor) if around else processor)
        self.of = Telemetry("spanloom.test", self.tracers, self.provider, None)
        self.theirs = self.tracers.get_tracer("other", "1")

    def call(self, **more: Any) -> None:
        """A call that somebody else records."""
        self.theirs.start_span("chat", attributes={**CHAT, **more}).end()

    def own(self) -> None:
        """A call of ours that costs as much."""
        one = Inference(self.of, "chat", "gpt-4o-mini", Peer("openai"))
        one.usage = Usage(1000, 500)
        one.stop()

    def workflow(self) -> Workflow:
        return Workflow(self.of, "root", None, {})

    def agent(self) -> Agent:
        return Agent(self.of, "agent", None, {})

    def sums(self, name: str) -> dict[str, Any]:
        """What the only span of this name says of those below it."""
        (span,) = [one for one in self.exporter.get_finished_spans() if one.name == name]
        return subtree(span.attributes or {})

    def spent(self) -> float:
        """By the metric that has every call."""
        return math.fsum(point.sum for point in self.points("gen_ai.client.operation.cost"))


def subtree(attributes: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "spanloom.subtree."
    return {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    one = House(monkeypatch)
    yield one
    one.tracers.shutdown()


def test_every_level_has_it(house: House) -> None:
    """The tool, the agent and the workflow around it, and the server's span; what lies between has nothing."""
    with house.theirs.start_as_current_span("GET /"):
        workflow = house.workflow()
        with workflow:
            agent = house.agent()
            with agent:
                tool = ToolExecution(house.of, "search")
                with tool, house.theirs.start_as_current_span("chain"):
                    house.call()
                tool.stop()
            agent.stop()
            house.own()
        workflow.stop()
    assert house.sums("execute_tool search") == house.sums("invoke_agent agent") == ONE
    two = {name: 2 * value for name, value in ONE.items()}
    assert house.sums("invoke_workflow root") == house.sums("GET /") == two
    assert house.sums("chain") == {}
    assert house.spent() == 2 * USD
    (point,) = house.points("gen_ai.invoke_agent.inference_calls")
    assert point.sum == 1


def test_without_a_span_of_ours_the_local_root_has_it(house: House) -> None:
    """Below it, and not on a call that is a root itself."""
    house.call()
    with house.theirs.start_as_current_span("GET /"), house.theirs.start_as_current_span("chain"):
        house.call()
        house.theirs.start_span("POST").end()
    assert house.sums("GET /") == ONE
    assert [subtree(span.attributes) for span in house.exporter.get_finished_spans() if span.name == "chat"] == [{}, {}]


def test_what_nobody_can_price_is_counted(house: House) -> None:
    """Its tokens as far as they are counts; an embedding is no LLM call."""
    agent = house.agent()
    with agent:
        house.call(**{"gen_ai.request.model": "acme"})
        house.call(**{"gen_ai.usage.input_tokens": "many", "gen_ai.usage.output_tokens": -1})
        house.theirs.start_span("embed", attributes=EMBEDDING).end()
    agent.stop()
    assert house.sums("invoke_agent agent") == {
        "llm_calls": 2,
        "unpriced_calls": 2,
        "input_tokens": 2000,
        "output_tokens": 500,
        "cost": EMBEDDING_USD,
    }


def test_of_two_packages_that_see_one_call_one_counts(house: House) -> None:
    """A framework's span around a client's, one inside of ours, and an agent that carries the sum of its calls."""
    agent = house.agent()
    with agent:
        with house.theirs.start_as_current_span("framework", attributes=OUTER):
            house.call()
        with house.theirs.start_as_current_span("agent", attributes={**CHAT, "gen_ai.operation.name": "invoke_agent"}):
            pass
    agent.stop()
    ours = house.workflow()
    with ours:
        call = Inference(house.of, "chat", "gpt-4o-mini", Peer("openai"))
        with call:
            house.call()
        call.usage = Usage(1000, 500)
        call.stop()
    ours.stop()
    assert house.sums("invoke_agent agent") == house.sums("invoke_workflow root") == ONE
    assert house.spent() == 2 * USD


def test_our_own_span_adds_its_own_figures(house: House) -> None:
    """Where nobody prices our calls before they end the pipeline does; they are not counted a second time."""
    _registry.finishers = ()
    agent = house.agent()
    with agent:
        house.own()
    agent.stop()
    assert house.sums("invoke_agent agent") == {name: value for name, value in ONE.items() if name != "cost"}
    assert house.spent() == USD


def test_a_call_that_ends_after_its_agent(house: House) -> None:
    """The metric has it, and the workflow, which says that a sum below lacks it."""
    workflow = house.workflow()
    with workflow:
        agent = house.agent()
        with agent:
            late = [house.theirs.start_span("chat", attributes=CHAT) for _ in range(2)]
        agent.stop()
        late[0].end()
    workflow.stop()
    late[1].end()
    assert house.sums("invoke_agent agent") == {}
    assert house.sums("invoke_workflow root") == {**ONE, "incomplete": True}
    assert house.spent() == 2 * USD


def test_after_the_local_root_has_ended(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is written to it, and nobody is warned."""
    with house.theirs.start_as_current_span("GET /"):
        late = house.theirs.start_span("chat", attributes=CHAT)
    late.end()
    assert house.sums("GET /") == {}
    assert (house.spent(), caplog.messages) == (USD, [])


def test_what_is_recorded_and_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and metrics are made of it; what is not even recorded is seen by nobody."""
    house = House(monkeypatch, RecordOnly())
    workflow = house.workflow()
    with workflow:
        house.call()
    workflow.stop()
    assert workflow.totals is not None
    assert subtree(workflow.totals.attributes()) == ONE
    assert house.spent() == USD
    assert house.exporter.get_finished_spans() == ()
    house.tracers.shutdown()


def test_where_spans_can_be_written_at_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an SDK to come: the same, once."""
    monkeypatch.setattr("spanloom.pipeline._probe.can_write_at_end", lambda: True)
    house = House(monkeypatch)
    agent = house.agent()
    with agent:
        house.call()
    agent.stop()
    assert house.sums("invoke_agent agent") == ONE
    assert house.spent() == USD
    house.tracers.shutdown()


class Hides(SpanProcessor):
    """Somebody's span processor around ours, which knows nothing of what the SDK tells before the end."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self._inner.on_end(span)


def test_behind_a_processor_that_shows_ended_spans_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics have the call, once; a copy does not know what is above it."""
    house = House(monkeypatch, around=Hides)
    agent = house.agent()
    with agent:
        house.call()
    agent.stop()
    assert house.spent() == USD
    assert house.sums("invoke_agent agent") == {}
    house.tracers.shutdown()


def test_a_call_of_another_process_s_span(house: House) -> None:
    """Its parent is remote: nothing here is above it."""
    remote = trace.NonRecordingSpan(trace.SpanContext(1, 2, True, trace.TraceFlags(1)))
    house.theirs.start_span("chat", trace.set_span_in_context(remote, otel.Context()), attributes=CHAT).end()
    assert house.spent() == USD


@pytest.mark.parametrize("seed", range(4))
def test_the_sum_of_spans_root_and_metric(seed: int, house: House) -> None:
    """Ours and theirs, over threads, at random levels, exactly."""
    dice, root = random.Random(seed), house.workflow()
    models = ["gpt-4o-mini", "gpt-5.4", "o3", "acme"]

    def work() -> None:
        step = Step(house.of, "step", None, {})
        with step:
            if dice.random() < 0.3:
                house.own()
            model, tokens = dice.choice(models), dice.randrange(1, 10**6)
            house.call(**{"gen_ai.request.model": model, "gen_ai.usage.input_tokens": tokens})
        step.stop()

    with root, ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(copy_context().run, work) for _ in range(60)]:
            one.result()
    root.stop()
    told = [dict(span.attributes or {}) for span in house.exporter.get_finished_spans()]
    amounts = [row["gen_ai.usage.cost.amount"] for row in told if "gen_ai.usage.cost.amount" in row]
    found = house.sums("invoke_workflow root")
    assert found["cost"] == math.fsum(amounts)
    assert house.spent() == pytest.approx(found["cost"], rel=1e-15)
    unpriced = sum(point.value for point in house.points("spanloom.cost.unpriced.operations"))
    assert found["unpriced_calls"] == unpriced > 0
    assert math.fsum(subtree(row).get("cost", 0.0) for row in told if "gen_ai.workflow.name" not in row) == (
        pytest.approx(found["cost"], rel=1e-15)
    )
