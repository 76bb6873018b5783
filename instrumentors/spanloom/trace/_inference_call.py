"""One call of a model: what a person tells of it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from spanloom.genai import (
    Inference,
    Peer,
    StreamWatch,
    Usage,
    any_tool_call,
    guarded,
    inference_is_recorded,
    is_suppressed,
    remember_tool_calls,
    tell_tool_history,
)
from spanloom.semconv import FinishReason, GenAI
from spanloom.trace._check import count_or_none, text_or_none
from spanloom.trace._messages import (
    Messages,
    asked_in,
    builder,
    history_in,
    reasons_of,
    system_builder,
    tools_builder,
)
from spanloom.trace._request import write_request
from spanloom.trace._shared import telemetry
from spanloom.trace._told import Told

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from spanloom.trace._request import RequestParameters

T = TypeVar("T")


@guarded("trace.inference")
def started(
    operation: str, model: str | None, provider: str | None, address: str | None, port: int | None
) -> Inference | None:
    """A call that has begun; ``None`` where nothing is to be recorded, or somebody further out records it."""
    if is_suppressed() or inference_is_recorded():
        return None
    return Inference(telemetry(), operation, model, Peer(provider, address, port))


class InferenceCall(Told[Inference]):
    """One call of a model, as ``with spanloom.trace.inference(model=...) as call`` gives it.

    Messages, instructions and tools are content: recorded only where that is switched on. What is told twice counts as
    told last. No method raises.
    """

    __slots__ = ()

    @guarded("trace.inference.request")
    def request(self, **parameters: Unpack[RequestParameters]) -> None:
        """What the model is asked with, by the conventions' names (``RequestParameters``), such as ``temperature=0.2``.

        A name that is not known is one line in the log, which lists those that are.
        """
        call = self._open()
        if call is not None:
            write_request(call, parameters)

    @guarded("trace.inference.input")
    def input(self, messages: Messages, *, system: Any = None, tools: Sequence[Any] | None = None) -> None:
        """What the model is given: a text (of the user), a message, or a list of messages.

        Messages are OpenAI's (``{"role", "content", "tool_calls", "tool_call_id"}``), the conventions'
        (``{"role", "parts"}``) or both mixed. ``system`` are instructions that the API has beside the messages: a text
        or parts. ``tools`` are those offered, as OpenAI has them; their types and names are recorded. Bytes and what
        stands in ``data:`` URLs are told by digest and size.

        Answers of tools link the call to their executions, be content on or off.
        """
        call = self._open()
        if call is None:
            return
        history = history_in(messages) if call.recording or any_tool_call() else None
        if history is not None:
            tell_tool_history(call, history)
        if call.captures_content:
            rows = (
                (GenAI.INPUT_MESSAGES, builder("InferenceCall.input(messages)", messages, "user")),
                (GenAI.SYSTEM_INSTRUCTIONS, system_builder(system)),
                (GenAI.TOOL_DEFINITIONS, tools_builder(tools)),
            )
            call.input_content = {name: build for name, build in rows if build is not None}

    @guarded("trace.inference.output")
    def output(self, messages: Messages = (), *, finish_reasons: Sequence[str] | str | None = None) -> None:
        """What the model answered: a text (of the assistant), or a message for each choice, in the forms of ``input``.

        ``finish_reasons`` has one for each choice: ``stop``, ``length``, ``content_filter``, ``tool_call``, or the
        provider's own word. They are no content.

        The executions of the tool calls that it asks for are linked to this call, be content on or off.
        """
        call = self._open()
        if call is None:
            return
        call.finish_reasons = reasons_of(finish_reasons) or call.finish_reasons
        if call.recording:
            remember_tool_calls(call, asked_in(messages))
        build = builder("InferenceCall.output(messages)", messages, "assistant") if call.captures_content else None
        if build is not None:
            call.output_content = {GenAI.OUTPUT_MESSAGES: build}

    @guarded("trace.inference.response")
    def response(self, *, id: str | None = None, model: str | None = None) -> None:
        """The id of the answer, and the model that gave it: by that one it is priced, where it differs."""
        call = self._open()
        if call is not None:
            call.response_id = text_or_none("InferenceCall.response(id)", id) or call.response_id
            call.response_model = text_or_none("InferenceCall.response(model)", model) or call.response_model

    @guarded("trace.inference.usage")
    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_input_tokens: int | None = None,
        cache_write_input_tokens: int | None = None,
        reasoning_output_tokens: int | None = None,
    ) -> None:
        """Tokens as the provider counted them; ``None`` for what it did not tell.

        Input includes what was read from or written to a cache, output includes reasoning.
        """
        call = self._open()
        if call is None:
            return
        told = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_input_tokens": cache_read_input_tokens,
            "cache_write_input_tokens": cache_write_input_tokens,
            "reasoning_output_tokens": reasoning_output_tokens,
        }
        counts = {name: count_or_none(f"InferenceCall.usage({name})", value) for name, value in told.items()}
        for name, count in counts.items():
            if count is not None:
                call.usage = call.usage or Usage()
                setattr(call.usage, name, count)

    @guarded("trace.inference.chunk")
    def chunk(self) -> None:
        """A chunk of a streamed answer has come: they are counted, and the first one is timed."""
        call = self._open()
        if call is None:
            return
        call.attributes[GenAI.REQUEST_STREAM] = True
        call.chunks += 1
        if call.first_chunk_s is None:
            call.first_chunk_s = call.elapsed_s()

    @overload
    def stream(self, chunks: AsyncIterable[T]) -> AsyncIterator[T]: ...
    @overload
    def stream(self, chunks: Iterable[T]) -> Iterator[T]: ...
    def stream(self, chunks: Iterable[T] | AsyncIterable[T]) -> Iterator[T] | AsyncIterator[T]:
        """The same chunks for a reader outside the block; the call ends with them, and not with its block::

            def answer(question):
                with trace.inference(model="llama-3", provider="acme") as call:
                    call.input(question)
                    return call.stream(chunks_of(client.stream(question), call))

        Chunks are counted and the first one is timed. However the reader ends (last chunk, exception, ``close``, or he
        forgets it) the call ends, once. What is known at the end (``output``, ``usage``) is told by what makes the
        chunks, after its last one: by ``chunks_of`` above.
        """
        # Generators: most iterators of Python's own cannot be watched.
        if isinstance(chunks, AsyncIterable):
            later = (chunk async for chunk in chunks)
            return self._watched(later, StreamWatch[T].aiterate) or later
        each = (chunk for chunk in chunks)
        return self._watched(each, StreamWatch[T].iterate) or each

    @guarded("trace.inference.stream")
    def _watched(self, chunks: T, iterate: Callable[[StreamWatch[Any], T], T]) -> T | None:
        call = self._open()
        if call is None or self._goes_on:
            return None
        watch: StreamWatch[Any] = StreamWatch(call, _read_nothing, functools.partial(_seal, call))
        stream = iterate(watch, chunks)
        watch.watch_owner(stream)
        call.attributes[GenAI.REQUEST_STREAM] = True
        self._goes_on = True
        return stream


def _read_nothing(chunk: object) -> None:
    """Chunks are the caller's."""


def _seal(call: Inference, whole: bool) -> None:
    """The conventions' word for an answer whose end never came."""
    if not whole and call.finish_reasons is None:
        call.finish_reasons = [FinishReason.ERROR]
