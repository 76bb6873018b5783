"""Streams: what is taken from each chunk before it is let go, and where the span's end comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from spanloom.genai import Inference, StreamWatch
from spanloom.openai._messages import output_message
from spanloom.openai._response import get, read_head, read_response, usage_of
from spanloom.semconv import GenAI


def is_stream(result: Any) -> bool:
    """True for the SDK's ``Stream`` and ``AsyncStream`` (and their subclasses), by shape: we never import the SDK."""
    return hasattr(result, "_iterator") and hasattr(result, "response")


def observe(inference: Inference, stream: Any) -> None:
    """Let the inference end with this stream. The object stays the SDK's own; only its inner iterator is followed."""
    read = _Read(inference)
    watch: StreamWatch[Any] = StreamWatch(inference, read.take, read.seal)
    inner = stream._iterator
    asynchronous = hasattr(inner, "__anext__")
    watch.watch_close(stream.response, "aclose" if asynchronous else "close")
    watch.watch_owner(stream)
    stream._iterator = watch.aiterate(inner) if asynchronous else watch.iterate(inner)


def observe_raw(inference: Inference, result: Any) -> None:
    """``with_raw_response`` and ``with_streaming_response``: the body is the caller's.

    A body that has been read already is looked at; one that has not is left alone, and the span ends with it.
    """
    response = result.http_response
    if getattr(response, "is_closed", False):
        read_response(inference, json.loads(response.content))
        inference.stop()
        return
    watch: StreamWatch[Any] = StreamWatch(inference, lambda _: None, lambda _: None)
    watch.watch_body(response)


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
        usage = get(chunk, "usage")
        if usage is not None:
            inference.usage = usage_of(usage)
        for position, choice in enumerate(cast("Iterable[Any]", get(chunk, "choices") or ())):
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


class _Choice:
    """One choice of a streamed answer."""

    __slots__ = ("_calls", "_texts", "finish_reason")

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning_content": []}
        self._calls: dict[int, dict[str, Any]] = {}
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
        for position, call in enumerate(cast("Iterable[Any]", get(delta, "tool_calls") or ())):
            self._take_call(position, call)

    def _take_call(self, position: int, call: Any) -> None:
        # Some gateways send no index: then the order within the chunk is all there is.
        index = get(call, "index")
        known = self._calls.setdefault(index if isinstance(index, int) else position, {"arguments": ""})
        function = get(call, "function")
        known["id"] = known.get("id") or get(call, "id")
        known["name"] = known.get("name") or get(function, "name")
        known["arguments"] += get(function, "arguments") or ""

    def message(self) -> dict[str, Any]:
        """The whole answer as one message of the conventions."""
        texts = {key: "".join(pieces) for key, pieces in self._texts.items()}
        calls = [{"id": call.get("id"), "function": call} for _, call in sorted(self._calls.items())]
        return output_message({"role": "assistant", "tool_calls": calls, **texts})
