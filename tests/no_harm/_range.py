"""The shooting range: real clients over a transport in this process, and what came of each shot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tests.no_harm._describe import kind
from tests.no_harm._shots import Shot
from tests.no_harm._stage import http

Outcome = list[str]


class Range:
    """Clients whose answers are the shot's. ``fire`` gives what the application sees."""

    def __init__(self) -> None:
        self._shot: Shot | None = None
        self.requests = 0
        self.loop = asyncio.new_event_loop()
        options: dict[str, Any] = {"api_key": "sk-1", "base_url": "http://odd.example/v1", "max_retries": 0}
        self._sync = openai.OpenAI(**options, http_client=http.Client(transport=http.MockTransport(self._answer)))
        self._async = openai.AsyncOpenAI(
            **options, http_client=http.AsyncClient(transport=http.MockTransport(self._aanswer))
        )

    def close(self) -> None:
        """Close the clients and the loop."""
        self._sync.close()
        self.loop.run_until_complete(self._async.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def fire(self, shot: Shot) -> Outcome:
        """Everything that the application sees of one call, in its order."""
        self._shot = shot
        self.requests = 0
        seen: Outcome = []
        if shot.asynchronous:
            self.loop.run_until_complete(_taken(shot, self._async, seen))
        else:
            try:
                _taken(shot, self._sync, seen).send(None)
            except StopIteration:
                return seen
            raise AssertionError("a sync call waited")
        return seen

    def _answer(self, request: Any) -> Any:
        shot = self._expect(request)
        return http.Response(shot.status, headers=shot.headers, content=_bytes(shot, request))

    async def _aanswer(self, request: Any) -> Any:
        shot = self._expect(request)
        return http.Response(shot.status, headers=shot.headers, content=_abytes(shot, request))

    def _expect(self, request: Any) -> Shot:
        assert self._shot is not None
        self.requests += 1
        if self._shot.network == "refused":
            raise http.ConnectError("refused", request=request)
        return self._shot


def _bytes(shot: Shot, request: Any) -> Iterator[bytes]:
    yield from shot.body[:-1] if shot.network == "cut" else shot.body
    if shot.network == "cut":
        raise http.ReadError("cut", request=request)


async def _abytes(shot: Shot, request: Any) -> AsyncIterator[bytes]:
    for one in _bytes(shot, request):
        yield one


# Sync and async in one text, as on the stage.


async def _got(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def _each(stream: Any, seen: Outcome, most: int = 10_000) -> None:
    reader = aiter(stream) if hasattr(stream, "__aiter__") else iter(stream)
    for _ in range(most):
        try:
            one = await reader.__anext__() if hasattr(reader, "__anext__") else next(reader)
        except (StopIteration, StopAsyncIteration):
            seen.append("the end")
            return
        seen.append(_said(one))


def _said(value: Any) -> str:
    return f"{kind(value)} {value!r}"


async def _taken(shot: Shot, client: Any, seen: Outcome) -> None:
    """Take the answer in the way of the shot; what is raised is the last thing seen."""
    resource = client
    for name in shot.gun.path.split("."):
        resource = getattr(resource, name)
    try:
        await _TAKEN[shot.gun.taken](resource, shot, seen)
    except Exception as error:
        seen.append(f"raised {kind(error)}: {error} {kind(error.__cause__)} {sorted(vars(error))}")


async def _plain(resource: Any, shot: Shot, seen: Outcome) -> None:
    seen.append(_said(await _got(getattr(resource, shot.gun.method)(**shot.arguments))))


async def _raw(resource: Any, shot: Shot, seen: Outcome) -> None:
    response = await _got(getattr(resource.with_raw_response, shot.gun.method)(**shot.arguments))
    seen += [kind(response), str(response.status_code), str(sorted(response.headers.items()))]
    seen.append(repr(response.http_response.content))
    seen.append(_said(await _got(response.parse())))


async def _streaming(resource: Any, shot: Shot, seen: Outcome) -> None:
    manager = getattr(resource.with_streaming_response, shot.gun.method)(**shot.arguments)
    asynchronous = hasattr(manager, "__aenter__")
    response = await manager.__aenter__() if asynchronous else manager.__enter__()
    try:
        seen += [kind(response), str(response.status_code), str(response.http_response.is_stream_consumed)]
        await _way(response, shot.gun.taken, seen)
    finally:
        await _got(manager.__aexit__(None, None, None) if asynchronous else manager.__exit__(None, None, None))


async def _way(response: Any, taken: str, seen: Outcome) -> None:
    if taken == "streaming read":
        seen.append(_said(await _got(response.read())))
        seen.append(_said(await _got(response.text())))
    elif taken == "streaming lines":
        await _each(response.iter_lines(), seen)
    else:
        parsed = await _got(response.parse())
        seen.append(kind(parsed))
        await _each(parsed, seen) if taken.endswith("stream") else seen.append(_said(parsed))


async def _stream(resource: Any, shot: Shot, seen: Outcome) -> None:
    stream = await _got(resource.create(**shot.arguments))
    seen.append(kind(stream))
    # A request that was changed may ask for no stream.
    if not hasattr(stream, "_iterator"):
        seen.append(_said(stream))
        return
    try:
        await _each(stream, seen, 3 if shot.gun.taken == "some" else 10_000)
    finally:
        await _got(stream.close())


async def _raw_stream(resource: Any, shot: Shot, seen: Outcome) -> None:
    response = await _got(resource.with_raw_response.create(**shot.arguments))
    try:
        seen += [kind(response), str(sorted(response.headers.items()))]
        stream = await _got(response.parse())
        seen.append(kind(stream))
        await _each(stream, seen) if hasattr(stream, "_iterator") else seen.append(_said(stream))
    finally:
        await _got(response.http_response.aclose() if "Async" in kind(resource) else response.http_response.close())


async def _manager(resource: Any, shot: Shot, seen: Outcome) -> None:
    manager = resource.stream(**shot.arguments)
    asynchronous = hasattr(manager, "__aenter__")
    stream = await manager.__aenter__() if asynchronous else manager.__enter__()
    try:
        await _each(stream, seen)
        final = stream.get_final_completion if hasattr(stream, "get_final_completion") else stream.get_final_response
        seen.append(_said(await _got(final())))
    finally:
        await _got(manager.__aexit__(None, None, None) if asynchronous else manager.__exit__(None, None, None))


_TAKEN: dict[str, Any] = {
    "plain": _plain,
    "raw": _raw,
    "streaming read": _streaming,
    "streaming parse": _streaming,
    "streaming lines": _streaming,
    "streaming parse stream": _streaming,
    "stream": _stream,
    "some": _stream,
    "raw stream": _raw_stream,
    "manager": _manager,
}


class Ledger(SpanProcessor, logging.Handler):
    """The spans of each shot (a shot's number is the trace's id), and what our own log says of it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.number = 0
        self.spans: dict[int, list[ReadableSpan]] = {}
        self.complaints: dict[int, list[str]] = {}

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.setdefault(span.context.trace_id - 1, []).append(span)

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.setdefault(self.number, []).append(f"{record.levelname} {record.getMessage()}")

    def clear(self) -> None:
        """Forget everything."""
        self.spans.clear()
        self.complaints.clear()


def below(number: int) -> Any:
    """Attach a trace of this number; give what takes it off again."""
    parent = SpanContext(number + 1, 1, False, TraceFlags(TraceFlags.SAMPLED))
    return context.attach(trace.set_span_in_context(NonRecordingSpan(parent)))
