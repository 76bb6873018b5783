"""The sampler: roots by ratio and rules, children by their parents, and what is written into the trace state."""

from __future__ import annotations

import gc
import importlib.metadata
import subprocess
import sys

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased
from opentelemetry.trace import SpanKind, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanloom.genai import Inference, Peer, Telemetry, _guard
from spanloom.sampling import HeadRules, SamplingRules, _head, from_environment
from spanloom.sampling._head import Sampler
from spanloom.sampling._trace_state import NEVER, threshold_of

from ._make import below, decide, head, ids, tracer

HIGH, LOW = 0xFF << 120 | 0xF << 52, 0xFF << 120 | 1  # randomness near one, and near zero
HALF = Sampler(SamplingRules(HeadRules(0.5)))
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def test_a_root_by_its_randomness():
    """Kept where it is not below the threshold, which goes along; a trace that is dropped has no state."""
    assert decide(HALF, HIGH) == (True, "ot=th:8")
    assert decide(HALF, LOW) == (False, None)
    assert decide(HALF, 1 << 55) == (True, "ot=th:8")
    assert decide(HALF, (1 << 55) - 1) == (False, None)


def test_all_and_none():
    """th:0 says that each trace stands for itself."""
    assert decide(Sampler(), LOW) == (True, "ot=th:0")
    assert decide(Sampler(SamplingRules(HeadRules(0.0))), NEVER - 1) == (False, None)


@pytest.mark.parametrize("is_remote", [True, False])
@pytest.mark.parametrize("state", ["", "ot=th:8", "a=1,ot=th:c;rv:0123456789abcd,b=2", "a=1"])
@pytest.mark.parametrize("sampled", [True, False])
def test_a_parent_is_followed(sampled, state, is_remote):
    """Of this process or another, whatever our ratio: its flag, and its trace state as the object it is."""
    for sampler in (HALF, Sampler(SamplingRules(HeadRules(0.0))), head("leaves: [health]")):
        for trace_id in (HIGH, LOW):
            context = below(trace_id, sampled=sampled, state=state, is_remote=is_remote)
            found = sampler.should_sample(context, trace_id, "s")
            assert found.decision.is_sampled() is sampled
            parent = trace.get_current_span(context).get_span_context().trace_state
            assert found.trace_state is parent or not parent


def test_the_context_around_is_taken_where_none_is_given():
    """As the SDK does for ``start_span`` without a context."""
    token = otel.attach(below(LOW, state="ot=th:4"))
    try:
        found = HALF.should_sample(None, LOW, "s")
    finally:
        otel.detach(token)
    assert found.decision is Decision.RECORD_AND_SAMPLE and found.trace_state.to_header() == "ot=th:4"


def test_a_parent_without_a_valid_context_is_none():
    """``INVALID_SPAN`` in a context means a root."""
    assert decide(HALF, HIGH, trace.set_span_in_context(trace.INVALID_SPAN)) == (True, "ot=th:8")


def test_attributes_go_through():
    """A kept span has the attributes it was started with, as with the stock samplers."""
    assert dict(HALF.should_sample(otel.Context(), HIGH, "s", None, CHAT).attributes) == CHAT
    assert dict(HALF.should_sample(below(LOW), LOW, "s", None, CHAT).attributes) == CHAT
    assert dict(HALF.should_sample(otel.Context(), LOW, "s", None, CHAT).attributes) == {}


def test_through_the_sdk_and_over_the_wire():
    """The header of a kept root has the random flag and th; the next process follows it, ratio 0 or not."""
    tracer_here = tracer(HALF, seed=2)
    spans = [tracer_here.start_span("root") for _ in range(20)]
    kept = [span for span in spans if span.is_recording()]
    assert 0 < len(kept) < 20
    for span in kept:
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, trace.set_span_in_context(span))
        assert carrier["traceparent"].endswith("-03")
        assert carrier["tracestate"] == "ot=th:8"
        context = TraceContextTextMapPropagator().extract(carrier, otel.Context())
        child = tracer(Sampler(SamplingRules(HeadRules(0.0)))).start_span("child", context)
        assert child.is_recording()
        assert child.get_span_context().trace_state.to_header() == "ot=th:8"
        span.end()
        child.end()


def test_rules_for_roots():
    """The first that fits gives its ratio; where none does, the file's."""
    sampler = head(
        """
ratio: 0.5
rules:
  - {match: {route: '/health*', method: GET}, ratio: 0}
  - {match: {operation: chat}, ratio: 1}
  - {match: {span: 'chat *'}, ratio: 0}
"""
    )
    assert decide(sampler, HIGH, attributes={"http.route": "/healthz", "http.request.method": "GET"}) == (False, None)
    assert decide(sampler, HIGH, attributes={"http.route": "/healthz"}) == (True, "ot=th:8")
    assert decide(sampler, LOW, attributes=CHAT, name="chat m") == (True, "ot=th:0")
    assert decide(sampler, HIGH, name="chat m") == (False, None)
    assert decide(sampler, LOW) == (False, None)


QUARTER = "rules:\n  - {match: {operation: chat}, ratio: 0.25}"


@pytest.mark.parametrize(
    ("state", "trace_id", "expected"),
    [
        ("ot=th:0", HIGH, (True, "ot=th:c")),
        ("a=1,ot=th:8;x:y", HIGH, (True, "ot=th:c;x:y,a=1")),
        ("ot=th:0", LOW, (False, None)),
        ("a=1,ot=th:0", LOW, (False, "a=1")),
        ("ot=th:f", HIGH, (True, "ot=th:f")),
        ("ot=th:0;rv:ffffffffffffff", LOW, (True, "ot=th:c;rv:ffffffffffffff")),
        ("ot=th:0;rv:00000000000001", HIGH, (False, "ot=rv:00000000000001")),
    ],
)
def test_rules_for_children_only_thin_out(state, trace_id, expected):
    """The greater of both thresholds holds, and is what the child tells; rv counts where there is one."""
    sampler = head(QUARTER)
    assert decide(sampler, trace_id, below(trace_id, state=state), attributes=CHAT) == expected
    assert decide(sampler, trace_id, below(trace_id, state=state))[1] == TraceState.from_header([state]).to_header()
    assert decide(sampler, HIGH, below(HIGH, sampled=False, state=state), attributes=CHAT)[0] is False


def test_the_spans_below_follow_a_thinned_one():
    """A whole subtree is kept or dropped, with the same threshold."""
    one = tracer(head(QUARTER), seed=4)
    seen = set()
    for _ in range(40):
        root = one.start_span("root")
        call = one.start_span("chat", trace.set_span_in_context(root), attributes=CHAT)
        below_it = one.start_span("POST", trace.set_span_in_context(call))
        again = one.start_span("chat", trace.set_span_in_context(below_it), attributes=CHAT)
        assert root.is_recording()
        assert call.is_recording() == below_it.is_recording() == again.is_recording()
        seen.add(call.is_recording())
        if call.is_recording():
            assert again.get_span_context().trace_state.to_header() == "ot=th:c"
    assert seen == {True, False}


def test_no_threshold_is_made_up_below_a_parent_without_one():
    """Nobody knows how many it stands for. The rule still thins it out, by all bits of the id."""
    sampler = head(QUARTER)
    found = [decide(sampler, one, below(one), attributes=CHAT) for one in ids(400)]
    assert {state for _, state in found} == {None}
    assert 60 < sum(kept for kept, _ in found) < 140
    # Below a stock sampler, which keeps the lowest ids.
    low = [one & ~(0xFF << 56) for one in ids(400)]
    assert 60 < sum(decide(sampler, one, below(one), attributes=CHAT)[0] for one in low) < 140


HEALTHY = [
    {"http.route": "/healthz"},
    {"url.path": "/livez/"},
    {"http.target": "/metrics?x=1"},
    {"http.route": "/ping"},
]


@pytest.mark.parametrize("attributes", HEALTHY)
def test_health_checks_are_never_kept(attributes):
    """Server spans, as roots or below others; a request *to* such a path is none."""
    sampler = head("leaves: [health]")
    assert decide(sampler, HIGH, kind=SpanKind.SERVER, attributes=attributes) == (False, None)
    around = below(HIGH, state="ot=th:8,a=1")
    assert decide(sampler, HIGH, around, kind=SpanKind.SERVER, attributes=attributes) == (False, "a=1")
    assert decide(sampler, HIGH, kind=SpanKind.CLIENT, attributes=attributes)[0]
    assert decide(sampler, HIGH, kind=SpanKind.SERVER, attributes={"http.route": "/ask"})[0]
    assert decide(Sampler(), HIGH, kind=SpanKind.SERVER, attributes=attributes)[0]


@pytest.mark.parametrize("method", ["http.request.method", "http.method"])
def test_http_under_a_model_call(method):
    """Its client span is dropped where the call keeps the trace context back, and only there."""
    sampler = head("leaves: [http_under_inference]")
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    call = Inference(Telemetry("t", provider), "chat", "m", Peer("openai"))
    http = provider.get_tracer("http")

    def recorded(kind: SpanKind = SpanKind.CLIENT, **attributes: str) -> bool:
        span = http.start_span("POST", kind=kind, attributes=attributes)
        span.end()
        return span.is_recording() or span.get_span_context().trace_flags.sampled

    with call:
        assert not recorded(**{method: "POST"})
        assert recorded(SpanKind.INTERNAL, **{method: "POST"})
        assert recorded(db="x")
        call.propagates = True
        assert recorded(**{method: "POST"})
    assert recorded(**{method: "POST"})
    gc.collect()


@pytest.mark.parametrize("context", [otel.Context(), below(HIGH, state="ot=th:8")])
def test_a_fault_of_ours_keeps_the_span(context, monkeypatch, caplog):
    """Without a word on how many it stands for where it is a root; the service sees nothing of it."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    sampler = head(QUARTER)
    monkeypatch.setattr(_head.FirstFit, "find", lambda *_: 1 / 0)
    kept, state = decide(sampler, HIGH, context, attributes=CHAT)
    assert kept and state in (None, "ot=th:8")
    assert "internal fault in sampling." in caplog.text


def test_odd_attributes_do_no_harm():
    """Whatever an application starts a span with."""
    sampler = head("leaves: [health]\nrules:\n  - {match: {attributes: {a: x, b: {min: 1}}}, ratio: 0}")
    for value in (None, [], {}, b"x", object(), float("nan"), [[1]], ["x", None]):
        assert decide(sampler, HIGH, attributes={"a": value, "b": value, "http.route": value})[0]


def test_the_entry_point_by_the_standard_variable(monkeypatch):
    """``OTEL_TRACES_SAMPLER=spanloom`` finds it; its argument is the ratio."""
    (entry,) = importlib.metadata.entry_points(group="opentelemetry_traces_sampler", name="spanloom")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    sampler = entry.load()("0.25")
    assert isinstance(sampler, Sampler)
    assert sampler.rules == SamplingRules(HeadRules(0.25))


def test_the_entry_point_never_raises(monkeypatch, caplog):
    """The stock loader would fall back to another sampler."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_head._load, "from_settings", lambda: 1 / 0)
    assert from_environment("x").rules == SamplingRules()
    assert "internal fault in sampling.settings" in caplog.text


SERVICE = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure(auto_instrumentation_version="0")
from opentelemetry import trace
print(trace.get_tracer_provider().sampler.get_description())
"""


def test_a_service_starts_with_a_bad_file(tmp_path):
    """Each mistake is a line with its place; the sampler is ours, with its defaults."""
    file = tmp_path / "rules.yaml"
    file.write_text("version: 1\nhead:\n  ratio: lots\n  ruls: []\n")
    variables = {"OTEL_TRACES_SAMPLER": "spanloom", "SPANLOOM_SAMPLING": str(file), "OTEL_TRACES_EXPORTER": "none"}
    variables |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", SERVICE], env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "SpanloomSampler{ratio=1}\n"
    assert f"{file}:3: head.ratio: 'lots' is not a number from 0 to 1" in done.stderr
    assert f"{file}:4: head.ruls: no such field; did you mean rules?" in done.stderr


def test_the_description():
    """What somebody who looks at a provider sees."""
    assert Sampler().get_description() == "SpanloomSampler{ratio=1}"
    full = head("ratio: 0.5\nspans_per_second: 20\nleaves: [health]\n" + QUARTER)
    assert full.get_description() == "SpanloomSampler{ratio=0.5,rules=1,spans_per_second=20,leaves=health}"


def test_stock_samplers_decide_alike_where_they_can():
    """Without rules, children are as with ``ParentBased(ALWAYS_ON)``."""
    stock = ParentBased(ALWAYS_ON)
    for one in ids(50):
        for sampled in (True, False):
            for state in ("", "ot=th:8", "a=1"):
                context = below(one, sampled=sampled, state=state)
                assert decide(Sampler(), one, context) == decide(stock, one, context)


def test_the_sdks_own_consistent_sampler_decides_alike():
    """Its experimental one, where this SDK has it: roots, and parents with and without th and rv."""
    theirs = pytest.importorskip("opentelemetry.sdk.trace._sampling_experimental")
    for ratio in (1, 0.5, 0.25, 0.125):
        ours = Sampler(SamplingRules(HeadRules(ratio)))
        inner = theirs.composable_parent_threshold(theirs.composable_traceid_ratio_based(ratio))
        other = theirs.composite_sampler(inner)
        for one in ids(100):
            assert decide(ours, one) == decide(other, one)
            kept = below(one | 0xF << 52, state="ot=th:8")
            state = trace.get_current_span(kept).get_span_context().trace_state
            result = other.should_sample(kept, one | 0xF << 52, "s", trace_state=state)
            assert decide(ours, one | 0xF << 52, kept) == (result.decision.is_sampled(), result.trace_state.to_header())
    assert threshold_of(0.1) >> 40 == 0xE666
