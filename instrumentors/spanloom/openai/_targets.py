"""What is patched, and how one call runs. Sync and async come from one row.

A call of a model begins at the method that the application calls. Its arguments are read where the request is made from
them: there a generator is a list, and what was not given is gone. All other endpoints begin there, too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from spanloom.genai import Neighbours, Target, Telemetry, guard
from spanloom.openai._calls import CHAT, EMBEDDINGS, FETCH, RESPONSES, Begun, Calls, Row

_RESOURCES = "openai.resources"
_BASE = "openai._base_client"
# Not at the base class: other packages patch here, and a patch below theirs would never be called.
_CLIENT = "openai._client"
_ROWS: tuple[tuple[str, str, tuple[str, ...], Row], ...] = (
    (f"{_RESOURCES}.chat.completions.completions", "Completions", ("create", "parse"), CHAT),
    # Until openai 2: later it is another name of the one above.
    (f"{_RESOURCES}.beta.chat.completions", "Completions", ("parse",), CHAT),
    (f"{_RESOURCES}.responses.responses", "Responses", ("create", "parse"), RESPONSES),
    (f"{_RESOURCES}.responses.responses", "Responses", ("retrieve",), FETCH),
    (f"{_RESOURCES}.embeddings", "Embeddings", ("create",), EMBEDDINGS),
)


def targets(telemetry: Telemetry) -> Iterator[Target]:
    """The methods for models, and the two of every client through which all requests go."""
    calls = Calls(telemetry)
    for module, owner, methods, row in _ROWS:
        for method in methods:
            # Not all of them are in every version.
            yield Target(module, f"{owner}.{method}", functools.partial(_wrap, calls, row), method != "create")
            yield Target(
                module, f"Async{owner}.{method}", functools.partial(_wrap_async, calls, row), method != "create"
            )
    yield Target(_CLIENT, "OpenAI.request", functools.partial(_wrap_request, calls))
    yield Target(_CLIENT, "AsyncOpenAI.request", functools.partial(_wrap_request_async, calls))
    for owner in ("SyncAPIClient", "AsyncAPIClient"):
        yield Target(_BASE, f"{owner}._process_response", functools.partial(_wrap_answer, calls), optional=True)


def _wrap(calls: Calls, row: Row, original: Callable[..., Any]) -> Callable[..., Any]:
    neighbours = calls.neighbours(original)

    @functools.wraps(original)
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = calls.begin(row, neighbours, self, args, kwargs)
        if begun is None:
            return neighbours.original(self, *args, **kwargs)
        with begun:
            result = neighbours.original(self, *args, **kwargs)
        begun.conclude(result)
        return result

    return call


def _wrap_async(calls: Calls, row: Row, original: Callable[..., Any]) -> Callable[..., Any]:
    neighbours = calls.neighbours(original)

    # Like the original, a coroutine function or a plain one: the latter checks its arguments when it is called.
    @functools.wraps(original)
    def start(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _awaited(
            calls, row, neighbours, self, args, kwargs, _Pending(neighbours.original(self, *args, **kwargs))
        )

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


async def _awaited(
    calls: Calls,
    row: Row,
    neighbours: Neighbours,
    resource: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    pending: _Pending,
) -> Any:
    begun = calls.begin(row, neighbours, resource, args, kwargs)
    if begun is None:
        return await pending.coroutine
    try:
        with begun:
            result = await pending.coroutine
    finally:
        # A gate may have refused it: the exception keeps this frame, and the collector would find both at once.
        pending.coroutine.close()
    begun.conclude(result)
    return result


def _wrap_request(calls: Calls, original: Callable[..., Any]) -> Callable[..., Any]:
    neighbours = calls.neighbours(original)

    @functools.wraps(original)
    def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        begun, options = calls.send(neighbours, self, options)
        if begun is None:
            return neighbours.original(self, cast_to, options, *args, **kwargs)
        with begun:
            result = neighbours.original(self, cast_to, options, *args, **kwargs)
        begun.conclude(result)
        return result

    return request


def _wrap_request_async(calls: Calls, original: Callable[..., Any]) -> Callable[..., Any]:
    neighbours = calls.neighbours(original)

    @functools.wraps(original)
    async def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        begun, options = calls.send(neighbours, self, options)
        if begun is None:
            return await neighbours.original(self, cast_to, options, *args, **kwargs)
        with begun:
            result = await neighbours.original(self, cast_to, options, *args, **kwargs)
        begun.conclude(result)
        return result

    return request


def _wrap_answer(calls: Calls, original: Callable[..., Any]) -> Callable[..., Any]:
    def note(kwargs: dict[str, Any]) -> None:
        begun = Begun.current()
        if begun is not None:
            calls.note_response(begun, kwargs)

    @functools.wraps(original)
    def process(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        note(kwargs)
        return original(self, *args, **kwargs)

    @functools.wraps(original)
    async def process_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        note(kwargs)
        return await original(self, *args, **kwargs)

    return process_async if inspect.iscoroutinefunction(original) else process
