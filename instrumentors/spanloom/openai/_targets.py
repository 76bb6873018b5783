"""What is patched, and how one call runs. Sync and async come from one row."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from spanloom.genai import Inference, Target, Telemetry, guard, guarded, inference_is_recorded, is_suppressed
from spanloom.openai._request import peer_of, read_request
from spanloom.openai._response import read_response
from spanloom.openai._stream import is_stream, observe, observe_raw
from spanloom.semconv import Operation

_MODULE = "openai.resources.chat.completions.completions"
_ROWS = (
    (_MODULE, "Completions", ("create", "parse")),
    (_MODULE, "AsyncCompletions", ("create", "parse")),
)


def targets(telemetry: Telemetry) -> Iterator[Target]:
    """One target a method; classes named ``Async…`` have methods that return coroutines."""
    for module, owner, methods in _ROWS:
        wrap = _wrap_async if owner.startswith("Async") else _wrap_sync
        for method in methods:
            yield Target(module, f"{owner}.{method}", functools.partial(wrap, telemetry))


def _wrap_sync(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        inference = _begin(telemetry, self, kwargs)
        if inference is None:
            return original(self, *args, **kwargs)
        with inference:
            result = original(self, *args, **kwargs)
        _conclude(inference, result)
        return result

    return call


def _wrap_async(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    # Like the original, a coroutine function or a plain one: the latter checks its arguments when it is called.
    @functools.wraps(original)
    def start(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _awaited(telemetry, self, kwargs, _Pending(original(self, *args, **kwargs)))

    @functools.wraps(original)
    async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await start(self, *args, **kwargs)

    return call if inspect.iscoroutinefunction(original) else start


class _Pending:
    """The SDK's coroutine until it is awaited. Closed if it never is: else Python would warn of one that is not his."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        with guard("openai.pending"):
            self.coroutine.close()


async def _awaited(telemetry: Telemetry, resource: Any, kwargs: dict[str, Any], pending: _Pending) -> Any:
    inference = _begin(telemetry, resource, kwargs)
    if inference is None:
        return await pending.coroutine
    with inference:
        result = await pending.coroutine
    _conclude(inference, result)
    return result


@guarded("openai.begin")
def _begin(telemetry: Telemetry, resource: Any, kwargs: dict[str, Any]) -> Inference | None:
    """Start the span, or ``None`` where nothing is to be recorded: switched off, or recorded further out."""
    if not telemetry.enabled or is_suppressed() or inference_is_recorded():
        return None
    model = kwargs.get("model")
    inference = Inference(telemetry, Operation.CHAT, model if isinstance(model, str) else None, peer_of(resource))
    with guard("openai.request"):
        read_request(inference, kwargs)
    return inference


def _conclude(inference: Inference, result: Any) -> None:
    """End the span now, or hand it to the stream that goes on. Where reading fails, it ends all the same."""
    with guard("openai.response"):
        if is_stream(result):
            observe(inference, result)
            return
        if hasattr(result, "http_response"):
            observe_raw(inference, result)
            return
        read_response(inference, result)
    inference.stop()
