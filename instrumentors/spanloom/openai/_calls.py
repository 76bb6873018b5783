"""From a request of the SDK to a call of ours: what is begun for it, what is read of it, how it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast
from urllib.parse import unquote

from opentelemetry import propagate, trace

from spanloom import semconv
from spanloom.genai import (
    ClientCall,
    Embeddings,
    Endpoint,
    FetchResponse,
    Inference,
    Neighbours,
    Peer,
    Telemetry,
    guard,
    guarded,
    hosts_of,
    inference_is_recorded,
    is_suppressed,
    tolerant,
)
from spanloom.openai._chat_stream import ChatRead
from spanloom.openai._endpoints import endpoint_of, path_of
from spanloom.openai._headers import Headers, note_secrets
from spanloom.openai._peer import Peers
from spanloom.openai._raw import observe_raw, read_answer
from spanloom.openai._request import read_chat, read_embeddings, read_fetch, read_responses
from spanloom.openai._response import (
    failure_of,
    read_chat_answer,
    read_embeddings_answer,
    read_fetched,
    read_responses_answer,
)
from spanloom.openai._responses_stream import ResponsesRead
from spanloom.openai._stream import NoRead, Reading, Shape, observe, shape_of
from spanloom.semconv import Operation, Provider, Spanloom

_Body = Mapping[str, Any]
_NO_ARGUMENTS: _Body = {}
# They refuse a request with fields that they do not know, or did until lately.
_WITHOUT_STREAM_OPTIONS = (Provider.AZURE_OPENAI, Provider.AZURE_INFERENCE, Provider.MISTRAL)


@dataclass(frozen=True)
class Row:
    """How the calls of one endpoint are recorded. ``subject``: the argument that is known at the start, and needed."""

    start: Callable[[Telemetry, str | None, Peer, object], ClientCall]
    reading: Reading
    read_request: Callable[[Any, _Body], None] | None = None
    subject: str = "model"
    # Somebody further out may record it already: a second span would count it twice.
    inference: bool = True
    # What the official conventions call it.
    kind: str = "inference"
    # What the SDK asks for by itself where the caller does not: it is undone before he sees the answer.
    added: str = ""


def _chat(telemetry: Telemetry, model: str | None, peer: Peer, client: object) -> ClientCall:
    return Inference(telemetry, Operation.CHAT, model, peer, client)


def _fetch(telemetry: Telemetry, response_id: str | None, peer: Peer, client: object) -> ClientCall:
    return FetchResponse(telemetry, response_id or "", peer, client)


def _endpoint(telemetry: Telemetry, name: str | None, peer: Peer, client: object) -> ClientCall:
    call = Endpoint(telemetry, name or "", peer, client)
    call.attributes[Spanloom.OPENAI_ENDPOINT] = name
    return call


CHAT = Row(_chat, Reading(ChatRead, read_chat_answer, failure_of), read_chat)
RESPONSES = Row(_chat, Reading(ResponsesRead, read_responses_answer, failure_of), read_responses)
EMBEDDINGS = Row(
    Embeddings,
    Reading(NoRead, read_embeddings_answer, failure_of, large=True),
    read_embeddings,
    added="encoding_format",
    kind="embedding",
)
FETCH = Row(
    _fetch,
    Reading(ResponsesRead, read_fetched),
    read_fetch,
    subject="response_id",
    inference=False,
    kind="fetch_response",
)
ENDPOINT = Row(_endpoint, Reading(NoRead, None), subject="", inference=False, kind="call")

_POSTED = {"/chat/completions": CHAT, "/responses": RESPONSES, "/embeddings": EMBEDDINGS}
_FETCHED = "/responses/"


def _row_of(method: str, path: str) -> Row:
    if method == "post":
        return _POSTED.get(path, ENDPOINT)
    if method == "get" and path.startswith(_FETCHED) and "/" not in path[len(_FETCHED) :]:
        return FETCH
    return ENDPOINT


def _body_of(options: Any) -> _Body:
    """What is sent: the SDK's form of the arguments (JSON, else the query), and what stands in ``extra_body``."""
    body, extra = options.json_data, options.extra_json
    whole = _mapping(options.params if body is None else body)
    return {**whole, **_mapping(extra)} if extra else whole


def _mapping(value: Any) -> _Body:
    """What the SDK keeps as a mapping, unless it was not given."""
    # Asking for the abstract class costs more than all the rest here.
    if type(value) is dict:
        return cast("_Body", value)
    return cast("_Body", value) if isinstance(value, Mapping) else {}


def _as_asked(row: Row, body: _Body, arguments: _Body | None) -> _Body:
    """The body without what the SDK added to the arguments of a method."""
    if not row.added or arguments is None or isinstance(arguments.get(row.added), str):
        return body
    return {name: value for name, value in body.items() if name != row.added}


class Begun:
    """A call that has started. As a context manager it is the one for which requests are sent."""

    __slots__ = ("_arguments", "_calls", "_token", "answer", "call", "hides_usage", "row", "unsent")

    def __init__(self, calls: Calls, row: Row, call: ClientCall, arguments: _Body | None) -> None:
        """``arguments`` of the method, to be read if no request is ever made of them; None where there is no method."""
        self._calls = calls
        self.row = row
        self.call = call
        self._arguments = arguments
        # Until its request is sent: what is sent later in the same context is another one's.
        self.unsent = True
        self.hides_usage = False
        # The HTTP response, of which the SDK makes a result, or fails to.
        self.answer: Any = None
        self._token: Token[Begun | Aside | None] | None = None

    @staticmethod
    def current() -> Begun | None:
        """The call for which code runs here."""
        current = _current.get()
        return current if isinstance(current, Begun) else None

    def __enter__(self) -> None:
        self.call.__enter__()
        self._token = _current.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        if self._token is not None:
            _leave(self._token)
        if error is not None:
            self._calls.note_error(self, error)
        self.call.__exit__(kind, error, trace_)

    def conclude(self, result: Any) -> None:
        """End the span now, or hand it to the stream that goes on. Where reading fails, it ends all the same."""
        call, reading = self.call, self.row.reading
        self.read_arguments()
        with guard("openai.response"):
            shape = shape_of(result)
            if shape is Shape.STREAM:
                observe(call, reading, result, hides_usage=self.hides_usage)
                return
            if shape is Shape.RAW:
                observe_raw(call, reading, result)
                return
            reading.whole(call, result)
        call.stop()

    def read_arguments(self) -> None:
        """Read the arguments themselves, where no request was made of them that we have seen."""
        if self.unsent:
            self.read(self._arguments or {})

    def read(self, body: _Body) -> None:
        """Read what is asked for."""
        self.unsent = False
        if self.row.read_request is not None:
            with guard("openai.request"):
                self.row.read_request(self.call, _as_asked(self.row, body, self._arguments))


class Aside:
    """In the place of a call that another package records: its request is not ours to record either."""

    __slots__ = ("_token", "unsent")

    def __init__(self) -> None:
        self.unsent = True
        self._token: Token[Begun | Aside | None] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _leave(self._token)

    def conclude(self, result: Any) -> None:
        """It is not ours."""


_current: ContextVar[Begun | Aside | None] = ContextVar("spanloom-openai-call", default=None)


def _leave(token: Token[Begun | Aside | None]) -> None:
    try:
        _current.reset(token)
    except ValueError:
        # A coroutine that the collector closes is closed in another context, and its own has gone with it.
        return


class Calls:
    """The calls of one instrumentor, with its settings."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._peers = Peers()
        self._headers = Headers(semconv.flag("SPANLOOM_OPENAI_RATE_LIMITS"))
        self._trusted = hosts_of("SPANLOOM_PROPAGATE_HOSTS")
        self._adds_usage = semconv.flag("SPANLOOM_OPENAI_STREAM_USAGE")
        self._changes_requests = self._adds_usage or self._trusted.any

    @guarded("openai.begin")
    def begin(
        self, row: Row, neighbours: Neighbours, resource: Any, args: tuple[Any, ...], kwargs: _Body
    ) -> Begun | Aside | None:
        """Start the span of a method, or ``None`` where nothing is to be recorded: switched off, or further out."""
        if not self._telemetry.enabled or is_suppressed():
            return None
        if neighbours.takes(resource, kwargs, row.inference and inference_is_recorded(), row.kind):
            return Aside()
        # The only argument of theirs that may stand first.
        subject = args[0] if args else kwargs.get(row.subject)
        return self._start(row, resource._client, "", subject, kwargs)

    def send(self, neighbours: Neighbours, client: Any, options: Any) -> tuple[Begun | None, Any]:
        """A request is about to be sent: for a call that has begun, or for one that begins with it.

        Gives back what begins here, and the options to send.
        """
        around = _current.get()
        if isinstance(around, Aside) and around.unsent:
            around.unsent = False
            return None, options
        begun = None if around is not None and around.unsent else self._begin_request(neighbours, client, options)
        sent = begun or (around if isinstance(around, Begun) else None)
        with guard("openai.send"):
            if sent is not None and sent.unsent:
                body = _body_of(options)
                sent.read(body)
                if self._changes_requests:
                    options = self._changed(sent, options, body)
        return begun, options

    @guarded("openai.begin")
    def _begin_request(self, neighbours: Neighbours, client: Any, options: Any) -> Begun | None:
        method, url = options.method.lower(), options.url
        path = path_of(url)
        row = _row_of(method, path)
        if not self._telemetry.enabled or is_suppressed():
            return None
        if neighbours.takes(client, _NO_ARGUMENTS, row.inference and inference_is_recorded(), row.kind):
            return None
        if row is ENDPOINT:
            subject = endpoint_of(method, path)
        else:
            subject = unquote(path.rpartition("/")[2]) if row is FETCH else _body_of(options).get(row.subject)
        return self._start(row, client, url, subject, None)

    def neighbours(self, original: Callable[..., Any]) -> Neighbours:
        """Other recorders of a method."""
        return Neighbours(self._telemetry, original)

    def _start(self, row: Row, client: Any, url: str, subject: Any, arguments: _Body | None) -> Begun:
        peer = self._peers.of(client, url)
        # An enum's member may be a text: its value is meant.
        named = str.__str__(subject) if isinstance(subject, str) and subject else None
        call = row.start(self._telemetry, named, peer, client)
        return Begun(self, row, call, arguments)

    def _changed(self, begun: Begun, options: Any, body: _Body) -> Any:
        """The options with what the settings add, in a copy."""
        added: dict[str, Any] = {}
        peer = begun.call.peer
        if self._trusted.any and peer.address is not None and self._trusted.find(peer.address, peer.port):
            begun.call.propagates = True
            added["headers"] = _with_context(begun.call, options.headers)
        if self._adds_usage and begun.row is CHAT and _lacks_usage(options, body, peer):
            asked = {**_mapping(body.get("stream_options")), "include_usage": True}
            added["json_data"] = {**options.json_data, "stream_options": asked}
            begun.hides_usage = True
        if not added:
            return options
        changed = copy.copy(options)
        for name, value in added.items():
            setattr(changed, name, value)
        return changed

    @guarded("openai.headers")
    def note_response(self, begun: Begun, arguments: _Body) -> None:
        """The SDK has the response of the last attempt, and makes a result of it."""
        begun.answer = arguments["response"]
        note_secrets(begun.call, tolerant(lambda: begun.answer.request, None))
        self._headers.note_cost(begun.call, begun.answer)
        if begun.call.recording:
            self._headers.note(begun.call, begun.answer, arguments.get("retries_taken"))

    @guarded("openai.headers")
    def note_error(self, begun: Begun, error: BaseException) -> None:
        """The call failed for good."""
        begun.read_arguments()
        # Not only of what is recorded: the event of a failure is told of every call.
        self._headers.note_refusal(begun.call, error)
        if begun.call.recording:
            self._headers.note_error(begun.call, error)
        if begun.answer is not None:
            # Answered and billed, and of no use to the SDK: cut off, or not what `parse` was told to make of it.
            read_answer(begun.call, begun.row.reading, begun.answer)


def _with_context(call: ClientCall, headers: Any) -> dict[str, Any]:
    """The trace context, and over it what the caller sends himself."""
    given = _mapping(headers)
    own = {name.lower() for name in given}
    context: dict[str, str] = {}
    propagate.inject(context, trace.set_span_in_context(call.span))
    return {**{name: value for name, value in context.items() if name.lower() not in own}, **given}


def _lacks_usage(options: Any, body: _Body, peer: Peer) -> bool:
    """A stream of which nobody said whether he wants the usage, from a provider that may be asked.

    A raw body is left as it is.
    """
    asked = body.get("stream_options")
    if "include_usage" in _mapping(asked) or "stream_options" in _mapping(options.extra_json):
        return False
    if body.get("stream") is not True or peer.provider in _WITHOUT_STREAM_OPTIONS:
        return False
    return not any(name.lower() == "x-stainless-raw-response" for name in _mapping(options.headers))
