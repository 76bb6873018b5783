"""Other packages that record model calls: where their wrappers are, and whether one of them records a given call.

None of them says so in public, so this is read off what they leave: where a wrapper's code is, and the tracer it holds.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from opentelemetry.trace import NoOpTracer, Tracer, get_tracer

from spanloom.genai._guard import tolerant

_RAW_HEADER = "X-Stainless-Raw-Response"
_MAX_LAYERS = 32
_MAX_FRAMES = 16
_MAX_KNOWN = 256
_UNKNOWN = object()

Place = Literal["here", "elsewhere"]

# By the id of a wrapper: some hold the client, which must not live on because of us.
_known_tracers: dict[int, tuple[Callable[[], Any], Any]] = {}
_known_layers: dict[tuple[int, bool], tuple[Any, object, tuple[Found, ...]]] = {}


@dataclass(frozen=True)
class Recorder:
    """Another package that records model calls. ``prefix``: where the code of its wrappers is.

    ``removable``: the wrapper does nothing but record. ``hears``: it asks for OpenTelemetry's suppression key.
    """

    package: str
    prefix: str
    removable: bool = True
    hears: bool = False
    active: Callable[[], bool] = lambda: True
    tracer: Callable[[Mapping[str, Any]], Any] | None = None

    def wrote(self, module: object) -> bool:
        """True where the module is part of this recorder."""
        return isinstance(module, str) and (module == self.prefix or module.startswith(self.prefix + "."))


@dataclass(frozen=True)
class Found:
    """A recorder's wrapper in the way of a call. ``around``: the call comes to us through it."""

    recorder: Recorder
    wrapper: Any
    around: bool


def _official_is_active() -> bool:
    """Its wrappers may stay where they are after ``uninstrument()``; they pass the call on then."""
    module = sys.modules.get("opentelemetry.instrumentation.genai.openai")
    one = getattr(getattr(module, "OpenAIInstrumentor", None), "_instance", None)
    return bool(getattr(one, "is_instrumented_by_opentelemetry", True))


def _langfuse_tracer(kwargs: Mapping[str, Any]) -> Any:
    """The tracer of the client that will record this call; ``None`` where it records nothing."""
    if _langfuse_skips(kwargs):
        return None
    module = sys.modules.get("langfuse._client.resource_manager")
    clients = getattr(getattr(module, "LangfuseResourceManager", None), "_instances", None)
    if not isinstance(clients, dict):
        return _UNKNOWN
    if not clients:
        return get_tracer("langfuse-sdk") if _langfuse_will_start() else None
    named = kwargs.get("langfuse_public_key")
    made = cast("dict[Any, Any]", clients)
    # More than one and none named: it records nothing, lest it mixes projects up.
    client = made.get(named) if named else next(iter(made.values())) if len(made) == 1 else None
    return getattr(client, "_otel_tracer", None)


def _langfuse_will_start() -> bool:
    """The client that its first call makes is a disabled one where a key is missing."""
    keys = os.environ.get("LANGFUSE_PUBLIC_KEY") and os.environ.get("LANGFUSE_SECRET_KEY")
    return bool(keys) and os.environ.get("LANGFUSE_TRACING_ENABLED", "true").lower() != "false"


def _langfuse_skips(kwargs: Mapping[str, Any]) -> bool:
    """Raw answers that are streams pass it unrecorded; the others too, where its setting says so."""
    headers = kwargs.get("extra_headers")
    raw = cast("Mapping[str, Any]", headers).get(_RAW_HEADER) if isinstance(headers, Mapping) else None
    if raw is None:
        return False
    if os.environ.get("LANGFUSE_OPENAI_SKIP_RAW_RESPONSES", "").lower() in ("true", "1"):
        return True
    return raw == "stream" or kwargs.get("stream") is True


OFFICIAL = Recorder(
    "opentelemetry-instrumentation-genai-openai",
    "opentelemetry.instrumentation.genai.openai",
    active=_official_is_active,
)
RECORDERS = (
    OFFICIAL,
    Recorder("opentelemetry-instrumentation-openai (OpenLLMetry)", "opentelemetry.instrumentation.openai", hears=True),
    Recorder("openinference-instrumentation-openai", "openinference.instrumentation.openai", hears=True),
    Recorder("logfire", "logfire._internal.integrations.llm_providers.llm_provider", hears=True),
    # Its wrapper takes arguments of its own out of the call, so that the call fails without it.
    Recorder("langfuse", "langfuse.openai", removable=False, tracer=_langfuse_tracer),
)
# They are in the way of no method that we patch: DSPy calls LiteLLM below us.
BELOW = (
    Recorder("openinference-instrumentation-litellm", "openinference.instrumentation.litellm", hears=True),
    Recorder(
        "opentelemetry-instrumentation-litellm (OpenLLMetry)", "opentelemetry.instrumentation.litellm", hears=True
    ),
)
HEARING = (*(one for one in RECORDERS if one.hears), *BELOW)


def wraps(top: Any, inner: object) -> bool:
    """True where ``inner`` is reached from ``top`` through what it wraps."""
    for _ in range(_MAX_LAYERS):
        if top is inner:
            return True
        top = getattr(top, "__wrapped__", None)
    return False


def found(top: Any, around: bool, down_to: object = None) -> tuple[Found, ...]:
    """The recorders' wrappers from this function down through what it wraps, or to the one that wraps ``down_to``.

    What is found is kept, and ``top`` with it: for functions of classes only, which stay anyway.
    """
    key = (id(top), around)
    kept = _known_layers.get(key)
    if kept is not None and kept[1] is down_to:
        return kept[2]
    seen = tuple(search(top, around, down_to))
    _bound(_known_layers)
    _known_layers[key] = (top, down_to, seen)
    return seen


def search(top: Any, around: bool, down_to: object = None) -> Iterator[Found]:
    """The same, kept nowhere."""
    for _ in range(_MAX_LAYERS):
        inner = getattr(top, "__wrapped__", None)
        if top is None or (down_to is not None and inner is down_to):
            return
        wrapper = wrapper_of(top)
        module = _module_of(wrapper)
        for recorder in RECORDERS:
            if recorder.wrote(module):
                yield Found(recorder, wrapper, around)
        top = inner


def _bound(kept: dict[Any, Any]) -> None:
    if len(kept) >= _MAX_KNOWN:
        kept.clear()


def wrapper_of(layer: Any) -> Any:
    """wrapt keeps what was given to it; a plain wrapper is its own."""
    return getattr(layer, "_self_wrapper", layer)


def _module_of(wrapper: Any) -> object:
    """Where its code is: ``functools.wraps`` changes ``__module__``."""
    scope = getattr(wrapper, "__globals__", None)
    return cast("dict[str, Any]", scope).get("__name__") if isinstance(scope, dict) else type(wrapper).__module__


def caller() -> Any:
    """The frame from which the function that asks was called."""
    return sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - the public way reads source files


def asked_by(recorders: tuple[Recorder, ...], frame: Any, depth: int = _MAX_FRAMES) -> bool:
    """True where code of one of these is among the innermost callers."""
    for _ in range(depth):
        if frame is None:
            return False
        if any(one.wrote(frame.f_globals.get("__name__")) for one in recorders):
            return True
        frame = frame.f_back
    return False


def place_of(one: Found, sink: object, kwargs: Mapping[str, Any]) -> Place | None:
    """Where the other's span of this call goes, seen from ``sink``, where ours would go; ``None``: it makes none."""
    recorder = one.recorder
    # SDKs keep bound methods, so a call may still go past a wrapper that came later.
    if not recorder.active() or (one.around and not asked_by((recorder,), caller())):
        return None
    tracer = recorder.tracer(kwargs) if recorder.tracer else _tracer_of(one.wrapper)
    if tracer is _UNKNOWN:
        return "here"
    theirs = sink_of(tracer)
    if theirs is None:
        return None
    return "here" if theirs is sink else "elsewhere"


def sink_of(tracer: Any) -> object:
    """What gets the spans of this tracer: of the SDK, the provider's span processor. ``None``: they go nowhere."""
    last: Any = None
    while tracer is not None and tracer is not last:
        sink = getattr(tracer, "span_processor", None)
        if sink is not None:
            return sink
        last, tracer = tracer, getattr(tracer, "_tracer", None) or getattr(tracer, "tracer", None)
    return None if last is None or isinstance(last, NoOpTracer) else last.__class__


def _tracer_of(wrapper: Any) -> Any:
    """The tracer that a wrapper holds, or ``_UNKNOWN``."""
    kept = _known_tracers.get(id(wrapper))
    if kept is not None and kept[0]() is wrapper:
        return kept[1]
    _bound(_known_tracers)
    tracer = tolerant(lambda: _search_tracer(wrapper), _UNKNOWN)
    # An object that takes no weak reference is looked through each time.
    tolerant(lambda: _known_tracers.update({id(wrapper): (weakref.ref(wrapper), tracer)}), None)
    return tracer


def _search_tracer(wrapper: Any) -> Any:
    """Breadth first through what the wrapper's closures hold."""
    waiting = [wrapper]
    for _ in range(_MAX_KNOWN):
        if not waiting:
            break
        one = waiting.pop(0)
        if isinstance(one, Tracer):
            return one
        for name in ("_tracer", "_spans_tracer"):
            if isinstance(tracer := getattr(one, name, None), Tracer):
                return tracer
        waiting += [cell.cell_contents for cell in getattr(one, "__closure__", None) or ()]
    return _UNKNOWN
