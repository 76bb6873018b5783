"""Spans of other recorders: read by each one's names, old and new, priced once, agents never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanloom.cost import Budget, MemoryStore, SpanCosts, _budgets, _spans, cost_attributes
from spanloom.cost._ledger import Ledger
from spanloom.pipeline import SpanloomProcessor, _processor
from spanloom.sampling import SamplingRules, TailRules
from spanloom.semconv import Spanloom
from tests.cost._support import Meter

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 500,
}
USD = 0.00045
ANTHROPIC = {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
# 100 plain input tokens, 800 read, 100 written, 500 made: of claude-sonnet-4-5 per million 3, 0.30, 3.75 and 15 USD.
CLAUDE_USD = (100 * 3 + 800 * 0.3 + 100 * 3.75 + 500 * 15) / 1e6


@pytest.mark.parametrize(
    ("recorder", "attributes", "usd"),
    [
        ("conventions", {**CHAT, "gen_ai.response.model": "gpt-4o-mini-2024-07-18"}, USD),
        (
            "openllmetry before 0.50",
            {
                "llm.request.type": "chat",
                "gen_ai.system": "OpenAI",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.prompt_tokens": 1000,
                "gen_ai.usage.completion_tokens": 500,
                "llm.usage.total_tokens": 1500,
            },
            USD,
        ),
        (
            "openllmetry, anthropic: input includes what was cached",
            {
                **ANTHROPIC,
                "llm.request.type": "chat",
                "gen_ai.usage.prompt_tokens": 1000,
                "gen_ai.usage.completion_tokens": 500,
                "llm.usage.total_tokens": 1500,
                "gen_ai.usage.cache_read_input_tokens": 800,
                "gen_ai.usage.cache_creation_input_tokens": 100,
            },
            CLAUDE_USD,
        ),
        (
            "raw anthropic counts: more is cached than is input",
            {
                **ANTHROPIC,
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 500,
                "gen_ai.usage.cache_read.input_tokens": 800,
                "gen_ai.usage.cache_creation.input_tokens": 100,
            },
            CLAUDE_USD,
        ),
        (
            "raw anthropic counts: the total tells",
            {
                **ANTHROPIC,
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 500,
                "gen_ai.usage.cache_read.input_tokens": 800,
                "gen_ai.usage.total_tokens": 2300,
            },
            (1000 * 3 + 800 * 0.3 + 500 * 15) / 1e6,
        ),
        (
            "openinference",
            {
                "openinference.span.kind": "LLM",
                "llm.provider": "openai",
                "llm.system": "openai",
                "llm.model_name": "gpt-4o-mini",
                "llm.token_count.prompt": 1000,
                "llm.token_count.completion": 500.0,
                "llm.token_count.total": 1500,
                "llm.token_count.completion_details.reasoning": 100,
            },
            USD,
        ),
        (
            "openinference embeddings",
            {
                "openinference.span.kind": "EMBEDDING",
                "embedding.model_name": "text-embedding-3-small",
                "llm.provider": "openai",
                "llm.token_count.prompt": 1000,
            },
            0.00002,
        ),
        (
            "logfire, anthropic",
            {
                **ANTHROPIC,
                "gen_ai.operation.name": "chat",
                "gen_ai.response.model": "claude-sonnet-4-5-20250929",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 500,
                "gen_ai.usage.cache_read.input_tokens": 800,
                "gen_ai.usage.cache_creation.input_tokens": 100,
                "operation.cost": 0.5,
            },
            CLAUDE_USD,
        ),
    ],
)
def test_every_recorder_s_names(recorder: str, attributes: Mapping[str, Any], usd: float) -> None:
    """The same price as by our own names, with what was cached counted once."""
    told = cost_attributes(attributes)
    assert told is not None, recorder
    assert told[Spanloom.COST_STATUS] == "priced"
    assert told[Spanloom.COST_AMOUNT] == pytest.approx(usd, rel=1e-12)
    assert told[Spanloom.COST_SOURCE] == "local"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "POST"},
        {**CHAT, "gen_ai.operation.name": "invoke_agent"},
        {**CHAT, "gen_ai.operation.name": "invoke_workflow", "openinference.span.kind": "LLM"},
        {**CHAT, "gen_ai.operation.name": "execute_tool"},
        {"openinference.span.kind": "AGENT", "llm.model_name": "gpt-4o-mini", "llm.token_count.prompt": 5},
        {"openinference.span.kind": "CHAIN"},
        {"llm.request.type": "rerank"},
        {**CHAT, Spanloom.COST_STATUS: "cached"},
        {**CHAT, Spanloom.COST_AMOUNT: 0.5},
    ],
)
def test_what_is_not_priced(attributes: Mapping[str, Any]) -> None:
    """Agents carry the sum of those below them; and what has a cost already has one."""
    assert cost_attributes(attributes) is None


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"gen_ai.request.model": "acme-1"}, "unknown_model"),
        ({"gen_ai.request.model": ""}, "unknown_model"),
        ({"gen_ai.usage.input_tokens": "many"}, "unknown_usage"),
        ({"gen_ai.usage.input_tokens": "many", "gen_ai.usage.cache_read.input_tokens": 5}, "unknown_usage"),
        ({"gen_ai.usage.cache_read.input_tokens": "some"}, "unknown_usage"),
        ({"gen_ai.usage.output_tokens": 1.5}, "unknown_usage"),
    ],
)
def test_what_nobody_can_know(more: Mapping[str, Any], status: str) -> None:
    """No amount, whatever others have written."""
    assert cost_attributes({**CHAT, **more}) == {Spanloom.COST_STATUS: status}


def test_without_an_input_nothing_is_guessed() -> None:
    """What was cached alone is no input."""
    told = {name: value for name, value in CHAT.items() if name != "gen_ai.usage.input_tokens"}
    found = cost_attributes({**told, "gen_ai.usage.cache_read.input_tokens": 5})
    assert found == {Spanloom.COST_STATUS: "unknown_usage"}


class Line(Meter):
    """A provider with the pipeline before an exporter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tail: TailRules | None = None) -> None:
        super().__init__()
        monkeypatch.setattr(_processor, "SpanCosts", lambda: SpanCosts(self.provider))
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        rules = SamplingRules(tail=tail)
        self.tracers.add_span_processor(SpanloomProcessor(SimpleSpanProcessor(self.exporter), sampling=rules))
        self.tracer = self.tracers.get_tracer("other", "1")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def money(self) -> tuple[int, float, float]:
        """Records of the histogram, their sum, and unpriced operations."""
        cost, unpriced = self.points("gen_ai.client.operation.cost"), self.points("spanloom.cost.unpriced.operations")
        return sum(p.count for p in cost), sum(p.sum for p in cost), sum(p.value for p in unpriced)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    made = Line(monkeypatch)
    yield made
    made.tracers.shutdown()


def test_a_foreign_span_is_in_the_metrics_once(line: Line) -> None:
    """With the attributes that every metric of a call has; the span has its cost."""
    line.tracer.start_span("chat", attributes={**CHAT, "server.address": "api.openai.com"}).end()
    line.tracer.start_span("strange", attributes={**CHAT, "gen_ai.request.model": "acme"}).end()
    assert line.spans["chat"].attributes[Spanloom.COST_AMOUNT] == USD
    assert line.money() == (1, USD, 1)
    (point,) = line.points("gen_ai.client.operation.cost")
    assert point.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "gen_ai.usage.cost.currency": "USD",
    }


def test_what_tail_sampling_drops_has_cost_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """No span is kept, and the metrics have all of them, once."""
    line = Line(monkeypatch, TailRules(baseline=0.0, rules=()))
    with line.tracer.start_as_current_span("root"):
        for _ in range(3):
            line.tracer.start_span("chat", attributes=CHAT).end()
    line.tracers.force_flush()
    assert line.spans == {}
    assert line.money() == (3, pytest.approx(3 * USD), 0)
    line.tracers.shutdown()


def test_where_spans_can_be_written_at_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pipeline writes to a span itself is not taken for its maker's: it is in the metrics all the same."""
    monkeypatch.setattr("spanloom.pipeline._probe.can_write_at_end", lambda: True)
    line = Line(monkeypatch)
    line.tracer.start_span("chat", attributes=CHAT).end()
    assert line.money() == (1, USD, 0)
    line.tracers.shutdown()


def test_two_packages_that_see_one_call(line: Line) -> None:
    """A framework's span around a client's: the inner one is priced, the outer one and agents above are not."""
    outer = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.token_count.prompt": 1000}
    with (
        line.tracer.start_as_current_span("agent", attributes={**CHAT, "gen_ai.operation.name": "invoke_agent"}),
        line.tracer.start_as_current_span("framework", attributes=outer),
        line.tracer.start_as_current_span("step"),
    ):
        line.tracer.start_span("chat", attributes=CHAT).end()
        line.tracer.start_span("http").end()
    # Another call in the same trace, beside them.
    line.tracer.start_span("next", attributes=CHAT).end()
    priced = [name for name, span in line.spans.items() if Spanloom.COST_AMOUNT in span.attributes]
    assert sorted(priced) == ["chat", "next"]
    assert line.spans["agent"].attributes.get(Spanloom.COST_STATUS) is None


def test_what_is_not_known_below_may_be_known_above(line: Line) -> None:
    """A framework's span has the usage that the client's stream lacks."""
    with line.tracer.start_as_current_span("framework", attributes=CHAT):
        inner = {name: value for name, value in CHAT.items() if "usage" not in name}
        line.tracer.start_span("client", attributes=inner).end()
    assert line.spans["client"].attributes[Spanloom.COST_STATUS] == "unknown_usage"
    assert line.spans["framework"].attributes[Spanloom.COST_AMOUNT] == USD


def test_an_embedding_below_a_call_is_another_call(line: Line) -> None:
    """A cache that looks for similar questions: both are priced."""
    embedding = {**CHAT, "gen_ai.operation.name": "embeddings", "gen_ai.request.model": "text-embedding-3-small"}
    with line.tracer.start_as_current_span("chat", attributes=CHAT):
        line.tracer.start_span("embed", attributes={**embedding, "gen_ai.usage.output_tokens": 0}).end()
    assert all(Spanloom.COST_AMOUNT in span.attributes for span in line.spans.values())


def test_what_lies_inside_a_recorded_inference_is_not_priced(line: Line) -> None:
    """Our span has the cost; the client's plugin of another vendor sees the same call."""
    from opentelemetry import context

    with line.tracer.start_as_current_span("ours", attributes={**CHAT, Spanloom.COST_STATUS: "priced"}):
        token = context.attach(context.set_value("opentelemetry.genai.inference_span", True))
        line.tracer.start_span("theirs", attributes=CHAT).end()
        context.detach(token)
    assert Spanloom.COST_STATUS not in line.spans["theirs"].attributes
    assert line.money() == (0, 0, 0)


def test_the_request_below_a_call_does_not_stand_for_it(line: Line) -> None:
    """OpenTelemetry's own plugins say that they record the call, and an HTTP client's span lies inside."""
    from opentelemetry import context, trace

    call = line.tracer.start_span("theirs", attributes=CHAT)
    inside = context.set_value("opentelemetry.genai.inference_span", True, trace.set_span_in_context(call))
    http = line.tracer.start_span("POST", inside)
    line.tracer.start_span("chat of the client", trace.set_span_in_context(http, inside), attributes=CHAT).end()
    http.end()
    call.end()
    assert [name for name, span in line.spans.items() if Spanloom.COST_AMOUNT in span.attributes] == ["theirs"]
    assert line.money() == (1, USD, 0)


def test_a_remote_parent_is_another_process_s_business(line: Line) -> None:
    """Nothing is remembered of it."""
    from opentelemetry import trace

    remote = trace.SpanContext(1, 2, True, trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    line.tracer.start_span("chat", context, attributes=CHAT).end()
    assert line.money() == (1, USD, 0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of which nobody sees the end do not pile up."""
    monkeypatch.setattr(_spans, "MAX_REMEMBERED", 10)
    line = Line(monkeypatch)
    with line.tracer.start_as_current_span("root"):
        for _ in range(30):
            with line.tracer.start_as_current_span("step"):
                line.tracer.start_span("chat", attributes=CHAT).end()
    assert line.money()[0] == 30
    line.tracers.shutdown()


def test_foreign_calls_spend(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what stands on the span: the user whom the context named, and the model."""
    ledger = Ledger(line.provider)
    ledger.add(Budget("users", 1.0, "month", ["user", "model"]), MemoryStore())
    monkeypatch.setattr(_budgets, "ledger", ledger)
    line.tracer.start_span("chat", attributes={**CHAT, "user.id": "ada"}).end()
    assert line.values("spanloom.budget.spent") == {("ada,gpt-4o-mini", "users"): USD}


def test_a_span_without_a_context_is_no_fault() -> None:
    """Spans that somebody makes by hand."""
    costs = SpanCosts(metrics.NoOpMeterProvider())
    span = ReadableSpan("by hand", attributes=CHAT)
    costs.started_inside(span)
    costs.ended(span, CHAT)
    assert costs.attributes(span, CHAT) is not None
