"""Streams: what is taken from each chunk before it is let go, and where the span's end comes from."""

from __future__ import annotations

import json
from typing import Any

from spanloom.genai import Inference, StreamWatch
from spanloom.openai._messages import output_message
from spanloom.openai._response import get, items_of, read_head, read_response, usage_of
from spanloom.semconv import GenAI


def is_stream(result: Any) -> bool:
    """True for the SDK's ``Stream`` and ``AsyncStream`` (and their subclasses), by shape: we never import the SDK."""
    return hasattr(result, "_iterator") and hasattr(result, "response")


def observe(inference: Inference, stream: Any) -> None:
    """Let the inference end with this stream. The object stays the SDK's own; only its inner iterator is followed."""
    read = _Read(inference)
    watch: StreamWatch[Any] = StreamWatch(inference, read.take, read.seal)
    watch.watch_close(stream.response, "aclose" if hasattr(stream._iterator, "__anext__") else "close")
    watch.watch_owner(stream)
    _follow(watch, stream)


def _follow(watch: StreamWatch[Any], stream: Any) -> None:
    inner = stream._iterator
    stream._iterator = watch.aiterate(inner) if hasattr(inner, "__anext__") else watch.iterate(inner)


def observe_raw(inference: Inference, result: Any) -> None:
    """``with_raw_response`` and ``with_streaming_response``: the body is the caller's, and we never read it.

    A body that has been read already is looked at, and so is one that the caller reads as a whole; a stream that he
    asks for (``parse()``) is followed. Bytes and lines that he takes himself are not looked at.
    """
    response = result.http_response
    if getattr(response, "is_closed", False):
        read_body(inference, response.content)
        inference.stop()
        return
    read = _Read(inference)
    watch: StreamWatch[Any] = StreamWatch(inference, read.take, read.seal)
    for name in ("close", "aclose"):
        watch.watch_close(response, name)
    for name in ("read", "aread"):
        watch.watch_result(response, name, lambda body: read_body(inference, body), reads=True)
    watch.watch_result(result, "parse", lambda parsed: _follow_once(watch, parsed))
    watch.watch_owner(response)


def _follow_once(watch: StreamWatch[Any], parsed: Any) -> None:
    # A second ``parse()`` gives the same stream again.
    if is_stream(parsed) and not watch.followed:
        _follow(watch, parsed)


def read_body(inference: Inference, body: Any) -> None:
    """Write a response that is still JSON text onto the inference; what is no JSON tells nothing."""
    try:
        parsed = json.loads(body)
    except (TypeError, ValueError):
        return
    read_response(inference, parsed)


class _Read:
    """What a stream said so far, by choice. Chunks are not kept."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._choices: dict[int, _Choice] = {}
        self._with_content = inference.captures_content

    def take(self, chunk: Any) -> None:
        inference = self._inference
        if inference.response_id is None:
            read_head(inference, chunk)
        usage = usage_of(get(chunk, "usage"))
        if usage is not None:
            inference.usage = usage
        for position, choice in enumerate(items_of(chunk, "choices")):
            index = get(choice, "index")
            slot = index if isinstance(index, int) else position
            known = self._choices.get(slot)
            if known is None:
                known = self._choices[slot] = _Choice()
            known.take(choice, self._with_content)

    def seal(self, whole: bool) -> None:
        """Write what was read. A position whose end never came is an ``error``, as the conventions have it."""
        del whole
        choices = [self._choices[index] for index in sorted(self._choices)]
        self._inference.finish_reasons = [one.finish_reason or "error" for one in choices] or ["error"]
        if self._with_content:
            self._inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: [one.message() for one in choices]}


class _Call:
    """One tool call of a streamed answer, whose arguments come in pieces."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id: Any = None
        self.name: Any = None
        self.arguments: list[str] = []

    def whole(self) -> dict[str, Any]:
        """As it would stand in an answer that is not streamed."""
        return {"id": self.id, "function": {"name": self.name, "arguments": "".join(self.arguments)}}


class _Choice:
    """One choice of a streamed answer."""

    __slots__ = ("_calls", "_texts", "finish_reason")

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning_content": []}
        self._calls: dict[int, _Call] = {}
        self.finish_reason: str | None = None

    def take(self, choice: Any, with_content: bool) -> None:
        reason = get(choice, "finish_reason")
        if isinstance(reason, str):
            self.finish_reason = reason
        delta = get(choice, "delta")
        if not with_content or delta is None:
            return
        for key, pieces in self._texts.items():
            piece = get(delta, key)
            if isinstance(piece, str):
                pieces.append(piece)
        for position, call in enumerate(items_of(delta, "tool_calls")):
            self._take_call(position, call)

    def _take_call(self, position: int, call: Any) -> None:
        # Some gateways send no index: then the order within the chunk is all there is.
        index = get(call, "index")
        known = self._calls.setdefault(index if isinstance(index, int) else position, _Call())
        function = get(call, "function")
        known.id = known.id or get(call, "id")
        known.name = known.name or get(function, "name")
        piece = get(function, "arguments")
        if isinstance(piece, str):
            known.arguments.append(piece)

    def message(self) -> dict[str, Any]:
        """The whole answer as one message of the conventions."""
        texts = {key: "".join(pieces) for key, pieces in self._texts.items()}
        calls = [self._calls[index].whole() for index in sorted(self._calls)]
        return output_message({"role": "assistant", "tool_calls": calls, **texts})
