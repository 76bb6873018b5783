"""Streamed answers (``dspy.streamify``): that they are, how soon they began, how many chunks there were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from spanloom.dspy._frames import at_home
from spanloom.dspy._lm_call import SEES_CHUNKS, LMCall, current_call
from spanloom.dspy._parts import field
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry, guarded

_BRIDGE = "dspy.clients.engines.streaming"
_LM = "dspy.clients.lm"


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What is made for each streamed answer and what sees each chunk: engines', and LiteLLM's.

    DSPy 3.3 has nothing that sees LiteLLM's chunks but the stream that they are sent to.
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

    names = original.__globals__
    is_seen_elsewhere = SEES_CHUNKS in names

    def get(*args: Any, **kwargs: Any) -> Any:
        stream = None if is_seen_elsewhere else _watched(names["dspy"].settings.send_stream)
        # The function that is made keeps the stream that it finds here.
        with nullcontext() if stream is None else names["dspy"].context(send_stream=stream):
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


class _Watched:
    """Stands for a stream of anyio's: the chunks that are sent to it are this call's, in whichever thread."""

    __slots__ = ("_call", "_stream")

    def __init__(self, stream: Any, call: LMCall) -> None:
        self._stream = stream
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def send(self, item: Any) -> None:
        """Hand it on."""
        _came_to(self._call, True)
        await self._stream.send(item)


@guarded("dspy.lm.watch")
def _watched(stream: Any) -> _Watched | None:
    call = current_call()
    return None if stream is None or call is None else _Watched(stream, call)


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
    if call is not None:
        _came_to(call, shown)


@guarded("dspy.lm.chunk_of")
def _came_to(call: LMCall, shown: bool) -> None:
    if call.first_chunk_s is None:
        call.first_chunk_s = call.elapsed_s()
    if shown:
        call.chunks += 1
