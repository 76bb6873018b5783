"""What is read off other recorders: where their code is, their tracer, and whether they are switched on."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, ProxyTracer

from spanloom.genai import _recorders
from spanloom.genai._recorders import OFFICIAL, RECORDERS, Found, found, place_of, sink_of
from tests.peers._fakes import LOGFIRE, OPENLLMETRY, code_of, provider

LANGFUSE = RECORDERS[-1]
LANGFUSE_MODULE = "langfuse._client.resource_manager"
KEYS = {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}
RAW = "X-Stainless-Raw-Response"


def test_no_name_is_a_prefix_of_another_package():
    """`opentelemetry.instrumentation.openai` is not `…openai_v2`, and each module belongs to one recorder at most."""
    (openllmetry,) = [one for one in RECORDERS if one.prefix == "opentelemetry.instrumentation.openai"]
    assert openllmetry.wrote("opentelemetry.instrumentation.openai")
    assert openllmetry.wrote("opentelemetry.instrumentation.openai.v1.responses_wrappers")
    assert not openllmetry.wrote("opentelemetry.instrumentation.openai_v2")
    assert not openllmetry.wrote(None)
    assert all(sum(other.wrote(one.prefix) for other in RECORDERS) == 1 for one in RECORDERS)


def test_code_is_found_by_where_it_is_not_by_what_it_says():
    """``functools.wraps`` copies ``__module__``; an object that is called has its class's."""
    wrapper = code_of(LOGFIRE).recorder(None, [])
    wrapper.__module__ = "openai._base_client"
    (one,) = found(wrapper, around=False)
    assert one.recorder.package == "logfire"
    callable_object = type("_Request", (), {"__module__": "openinference.instrumentation.openai._request"})()
    assert [one.recorder.prefix for one in found(callable_object, around=True)] == [
        "openinference.instrumentation.openai"
    ]


def test_the_sink_of_a_tracer_is_its_providers_processor(monkeypatch):
    """Directly, by the API's proxy and by Logfire's; a tracer that does nothing has none."""
    one = provider()
    tracer = one.get_tracer("a")
    assert sink_of(tracer) is sink_of(one.get_tracer("b")) is not None
    assert sink_of(tracer) is not sink_of(provider().get_tracer("a"))
    assert sink_of(SimpleNamespace(tracer=tracer)) is sink_of(tracer)
    assert sink_of(NoOpTracer()) is sink_of(None) is None
    proxy = ProxyTracer("a")
    assert sink_of(proxy) is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", one)
    assert sink_of(proxy) is sink_of(tracer)


def test_tracers_of_another_sdk_are_told_apart_by_their_class():
    """Where a tracer shows no processor, its kind stands for where its spans go."""

    class Foreign: ...

    assert sink_of(Foreign()) is Foreign


def test_a_tracer_is_found_in_closures_and_behind_known_names():
    """As the others keep it: in a cell, on a handler, or made on demand."""
    tracer = provider().get_tracer("a")
    direct = code_of(OPENLLMETRY).recorder(tracer, [])
    handler = code_of(OPENLLMETRY).recorder(SimpleNamespace(_tracer=tracer), [])
    on_demand = code_of(LOGFIRE).recorder(SimpleNamespace(_spans_tracer=tracer), [])
    for wrapper in (direct, handler, on_demand):
        assert _recorders._tracer_of(wrapper) is tracer
        assert _recorders._tracer_of(wrapper) is tracer


def test_an_object_that_raises_hides_its_tracer():
    """Whatever the other keeps there, looking at it harms nobody."""

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert _recorders._tracer_of(code_of(OPENLLMETRY).recorder(Hostile(), [])) is _recorders._UNKNOWN


def test_what_is_kept_of_wrappers_is_bounded(monkeypatch):
    """A program that wraps again and again does not fill the memory, and long chains end the search."""
    monkeypatch.setattr(_recorders, "_MAX_KNOWN", 3)
    wrappers = [code_of(OPENLLMETRY).recorder(None, []) for _ in range(10)]
    for one in wrappers:
        assert _recorders._tracer_of(one) is _recorders._UNKNOWN
        assert len(_recorders._known_tracers) <= 3
    for one in wrappers:
        found(one, around=False)
        assert len(_recorders._known_layers) <= 3
    nested: Any = provider().get_tracer("a")
    for _ in range(5):
        nested = code_of(OPENLLMETRY).recorder(nested, [])
    assert _recorders._tracer_of(nested) is _recorders._UNKNOWN


def test_what_is_kept_is_of_that_very_wrapper_and_search():
    """An id is used again when its owner is gone, and the same wrapper may stand around another patch of ours."""
    tracer = provider().get_tracer("a")
    wrapper = code_of(OPENLLMETRY).recorder(tracer, [])
    _recorders._known_tracers[id(wrapper)] = (lambda: None, NoOpTracer())
    assert _recorders._tracer_of(wrapper) is tracer
    wrapper.__wrapped__ = inner = code_of(LOGFIRE).recorder(tracer, [])
    assert len(found(wrapper, around=True)) == 2
    assert found(wrapper, around=True, down_to=inner) == ()


def test_the_official_plugin_counts_while_it_is_instrumented(monkeypatch):
    """Its wrappers outlive ``uninstrument()`` and pass calls on."""
    assert OFFICIAL.active()
    one = SimpleNamespace(is_instrumented_by_opentelemetry=True)
    module = ModuleType(OFFICIAL.prefix)
    module.OpenAIInstrumentor = SimpleNamespace(_instance=one)
    monkeypatch.setitem(sys.modules, OFFICIAL.prefix, module)
    assert OFFICIAL.active()
    one.is_instrumented_by_opentelemetry = False
    assert not OFFICIAL.active()
    assert place_of(Found(OFFICIAL, None, around=False), object(), {}) is None


@pytest.fixture
def langfuse(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Langfuse is loaded, with these clients by public key."""
    clients: dict[str, Any] = {}
    module = ModuleType(LANGFUSE_MODULE)
    module.LangfuseResourceManager = SimpleNamespace(_instances=clients)
    monkeypatch.setitem(sys.modules, LANGFUSE_MODULE, module)
    for name in ("LANGFUSE_TRACING_ENABLED", "LANGFUSE_OPENAI_SKIP_RAW_RESPONSES", *KEYS):
        monkeypatch.delenv(name, raising=False)
    return clients


def langfuse_place(sink: object, **kwargs: Any) -> str | None:
    """Where Langfuse's span of a call goes."""
    return place_of(Found(LANGFUSE, None, around=False), sink, kwargs)


def test_langfuse_of_another_shape_is_believed():
    """A version that keeps its clients elsewhere is taken to record."""
    assert langfuse_place(object()) == "here"


def test_langfuse_records_by_the_tracer_of_its_client(langfuse):
    """Of the only one, or of the one that the call names; of several and none named it records nothing."""
    here, there = provider().get_tracer("a"), provider().get_tracer("b")
    sink = sink_of(here)
    langfuse["pk"] = SimpleNamespace(_otel_tracer=here)
    assert langfuse_place(sink) == "here"
    langfuse["second"] = SimpleNamespace(_otel_tracer=there)
    assert langfuse_place(sink) is None
    assert langfuse_place(sink, langfuse_public_key="pk") == "here"
    assert langfuse_place(sink, langfuse_public_key="second") == "elsewhere"
    assert langfuse_place(sink, langfuse_public_key="third") is None


def test_a_langfuse_client_without_a_tracer_records_nothing(langfuse):
    """Tracing was switched off when it was made."""
    langfuse["pk"] = SimpleNamespace()
    assert langfuse_place(object()) is None


def test_langfuse_before_its_first_call(langfuse, monkeypatch):
    """With both keys and not switched off, its first call makes a client on the global provider."""
    one = provider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", one)
    sink = sink_of(one.get_tracer("a"))
    assert langfuse_place(sink) is None
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    assert langfuse_place(sink) == "here"
    monkeypatch.setenv("LANGFUSE_TRACING_ENABLED", "False")
    assert langfuse_place(sink) is None


@pytest.mark.parametrize(
    ("headers", "stream", "skip", "expected"),
    [
        (None, True, "", "here"),
        ({}, True, "", "here"),
        ({RAW: "true"}, False, "", "here"),
        ({RAW: "true"}, True, "", None),
        ({RAW: "stream"}, False, "", None),
        ({RAW: "true"}, False, "True", None),
        ({RAW: "true"}, False, "1", None),
        ("no mapping", False, "1", "here"),
    ],
)
def test_what_langfuse_lets_pass(langfuse, monkeypatch, headers, stream, skip, expected):
    """Raw answers that are streams, and all raw answers where its setting says so."""
    tracer = provider().get_tracer("a")
    langfuse["pk"] = SimpleNamespace(_otel_tracer=tracer)
    monkeypatch.setenv("LANGFUSE_OPENAI_SKIP_RAW_RESPONSES", skip)
    assert langfuse_place(sink_of(tracer), extra_headers=headers, stream=stream) == expected
