"""Streamed answers (``dspy.streamify``): that they are, how soon they began, how many chunks there were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spanloom.dspy._frames import at_home
from spanloom.dspy._lm_call import current_call
from spanloom.dspy._parts import field
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry, guarded

_BRIDGE = "dspy.clients.engines.streaming"
_LM = "dspy.clients.lm"


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What is made for each streamed answer and what sees each chunk: engines', and LiteLLM's.

    DSPy 3.3 has nothing that sees LiteLLM's chunks.
    """
    del telemetry, settings
    yield Target(_BRIDGE, "ListenerBridge.__init__", wrap_bridge, optional=True)
    yield Target(_BRIDGE, "ListenerBridge.chunk", wrap_chunk, optional=True)
    yield Target(_LM, "_get_stream_completion_fn", wrap_completion, optional=True)
    yield Target(_LM, "stream_emitted", wrap_emitted, optional=True)


def wrap_bridge(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the constructor of what an engine's events go through."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        _streams()
        original(self, *args, **kwargs)

    return at_home(init, original)


def wrap_chunk(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``chunk(event)``: the first event of any kind is the first chunk, those that are shown are counted."""

    def chunk(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        _came(made is not None)
        return made

    return at_home(chunk, original)


def wrap_completion(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what gives the function for LiteLLM's streams, or ``None`` where the answer comes in one piece."""

    def get(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        if made is not None:
            _streams(args[0] if args else kwargs.get("request"))
        return made

    return at_home(get, original)


def wrap_emitted(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what is called for each of LiteLLM's chunks."""

    def emitted(*args: Any, **kwargs: Any) -> Any:
        _came(True)
        return original(*args, **kwargs)

    return at_home(emitted, original)


@guarded("dspy.lm.stream")
def _streams(request: Any = None) -> None:
    """``request`` is LiteLLM's, which counts tokens itself where the provider was not asked to tell them."""
    call = current_call()
    if call is not None:
        call.stream()
        if request is not None:
            call.usage_is_estimated = field(field(request, "stream_options"), "include_usage") is not True


@guarded("dspy.lm.chunk")
def _came(shown: bool) -> None:
    call = current_call()
    if call is None:
        return
    if call.first_chunk_s is None:
        call.first_chunk_s = call.elapsed_s()
    if shown:
        call.chunks += 1
