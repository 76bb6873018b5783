"""A tool call is one story of three spans: the model's that asks, the execution's, and the model's that is answered.

Plugins tell what an answer asks for (``remember_tool_calls``) and what a request says of earlier calls
(``tell_tool_history``); each execution looks for its call (``match_tool_call``). Links and ids are written here.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry import metrics

from spanloom import semconv
from spanloom.genai import _pending
from spanloom.genai._content import encodable, parsed_json
from spanloom.genai._guard import guarded
from spanloom.genai._pending import MISSING, AskedCalls, Call, Dropped, Response
from spanloom.genai._roots import SPAN_KEY
from spanloom.semconv import GenAI, Link, Spanloom, SpanloomEvent

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from spanloom.genai._client import ClientCall
    from spanloom.genai._kinds import ToolExecution
    from spanloom.genai._tool_history import AskedCall, ToolHistory

# Some servers number the calls of an answer: such an id is another conversation's as well.
_NUMBERED: Final = re.compile(r"[A-Za-z]*[_-]?\d{0,4}(?:[_-]\d{1,4}){0,2}")
# A request may repeat a long history; a span keeps 128 links.
_MAX_LINKS: Final = 64
# What is longer is no call to be found by its arguments.
_MAX_ARGUMENT_CHARS: Final = 256 * 1024


class Flow:
    """Stands for a program without spans around its calls, in the context in which it runs."""

    __slots__ = ("__weakref__",)


_flow: ContextVar[Flow | None] = ContextVar("spanloom-tool-calls", default=None)
_thread = threading.local()


@functools.cache
def asked_calls() -> AskedCalls:
    """The calls of this process; made when the first one is asked for."""
    calls = AskedCalls(
        semconv.integer("SPANLOOM_TOOL_CALLS_MAX"), float(semconv.integer("SPANLOOM_TOOL_CALLS_MAX_AGE_S"))
    )
    if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
        os.register_at_fork(after_in_child=calls.after_fork)
    return calls


@functools.cache
def _dropped() -> metrics.Counter:
    from spanloom.semconv import metrics as specs

    spec = specs.TOOL_CALLS_DROPPED
    return metrics.get_meter("spanloom.genai").create_counter(spec.name, spec.unit, spec.description)


def any_tool_call() -> bool:
    """Whether a model has asked for anything lately."""
    return bool(asked_calls())


@guarded("genai.tool_calls.remember")
def remember_tool_calls(call: ClientCall, asked: Iterable[AskedCall]) -> None:
    """Remember what an answer asks for. A stream may tell it call by call."""
    wanted = [_call_of(one, call.recording) for one in asked]
    if not wanted:
        return
    if call.asked is None:
        if call.claim == "fetch_response" and asked_calls().response(call.answer_id or "") is not None:
            return  # asked for by the call that made the response
        previous = call.attributes.get(GenAI.REQUEST_PREVIOUS_RESPONSE_ID)
        call.asked = Response(call.span.get_span_context(), call.answer_id, previous, _flow_here())
    _count(asked_calls().add(call.asked, wanted, _scopes_of_answer(call.span)))


def _call_of(one: AskedCall, recording: bool) -> Call:
    # Of what nobody keeps it is only known that there is such a call: nothing may be mistaken for it.
    arguments = (one.arguments if one.is_text else _parsed(one.arguments)) if recording else None
    return Call(one.id, encodable(one.name), _pending.prints_of(arguments), one.choice)


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    if len(arguments) > _MAX_ARGUMENT_CHARS:
        return None
    # A tool without parameters may be called with nothing at all.
    return parsed_json(arguments) if arguments else {}


def _count(dropped: Dropped) -> None:
    for reason, number in zip(Dropped._fields, dropped, strict=True):
        if number:
            _dropped().add(number, {Spanloom.DROP_REASON: reason})


def _no_default(name: str) -> Any:
    del name
    return MISSING


@guarded("genai.tool_calls.match")
def match_tool_call(
    execution: ToolExecution,
    given: Callable[[], Mapping[str, Any] | None],
    default_of: Callable[[str], Any] = _no_default,
    call_id: str | None = None,
) -> None:
    """Find the call that this execution is of: by its id, or else by name and arguments, where that is certain."""
    calls, span = asked_calls(), execution.span
    if call_id is not None:
        execution.attributes[GenAI.TOOL_CALL_ID] = call_id
        call = calls.find(_scopes_of_id(span, call_id), call_id) if calls else None
    else:
        call = calls.begin(_scopes_here(), execution.tool_name, given, default_of, _flow_here) if calls else None
    if call is None:
        return
    call.begin(span.get_span_context())
    execution.asked = call
    execution.attributes[GenAI.TOOL_CALL_ID] = call.id
    if call.response is not None:
        span.add_link(call.response.span, {Spanloom.LINK: Link.ASKED_BY, GenAI.TOOL_CALL_ID: call.id})


@guarded("genai.tool_calls.history")
def tell_tool_history(
    call: ClientCall, history: ToolHistory, previous_id: str | None = None, whole: bool = True
) -> None:
    """Link a request to the executions that it answers with, and tell of calls without an answer and of the reverse.

    ``whole``: the request has the whole conversation, so that an answer to a call that is not in it answers nothing.
    """
    _link_answers(call, history)
    asked = dict(_asked_before(previous_id))
    for call_id, name in [*history.unanswered, *((one.id, one.name) for one in asked.values())]:
        if call_id not in history.answers:
            _tell(call, SpanloomEvent.TOOL_UNANSWERED, call_id, name)
    if whole or (asked and _is_first(previous_id)):
        for call_id in history.unasked:
            if call_id not in asked:
                _tell(call, SpanloomEvent.TOOL_UNASKED, call_id, None)


def _asked_before(previous_id: str | None) -> Iterator[tuple[str, Call]]:
    response = asked_calls().response(previous_id) if previous_id is not None else None
    for one in response.calls if response is not None else ():
        yield one.id, one


def _is_first(previous_id: str | None) -> bool:
    """Whether a stored response begins its conversation, so that no earlier one has asked for anything."""
    response = asked_calls().response(previous_id) if previous_id is not None else None
    return response is not None and response.previous_id is None


def _link_answers(call: ClientCall, history: ToolHistory) -> None:
    calls = asked_calls()
    askers: dict[int, SpanContext] = {}
    executions: dict[str, SpanContext] = {}
    for call_id in history.answers if calls else ():
        found = calls.find(_scopes_of_id(call.span, call_id), call_id)
        if found is None or (found.answered and not history.is_fresh(call_id)):
            continue
        calls.answer(found)
        if found.response is not None:
            askers[found.response.span.span_id] = found.response.span
        if found.ran is not None:
            executions[call_id] = found.ran
    if call.recording:
        _add_links(call.span, askers.values(), executions)


def _add_links(span: Span, askers: Iterable[SpanContext], executions: Mapping[str, SpanContext]) -> None:
    for one in list(askers)[:_MAX_LINKS]:
        span.add_link(one, {Spanloom.LINK: Link.ASKED_BY})
    for call_id, one in list(executions.items())[:_MAX_LINKS]:
        span.add_link(one, {Spanloom.LINK: Link.EXECUTED_BY, GenAI.TOOL_CALL_ID: call_id})


def _tell(call: ClientCall, event: str, call_id: str, name: str | None) -> None:
    rows = {GenAI.TOOL_CALL_ID: call_id, GenAI.TOOL_NAME: name}
    call.add_event(event, {key: value for key, value in rows.items() if value})


def _scopes_of_answer(span: Span) -> list[Hashable]:
    """The asking span's trace; and where the answer is read: another trace, or a program without any."""
    here = _trace_here()
    keys: dict[Hashable, None] = {span.get_span_context().trace_id: None}
    keys[_own_flow() if here is None else here] = None
    keys.pop(0, None)
    return list(keys)


def _scopes_here() -> list[Hashable]:
    """Where an execution may have been asked for. All of the process only for a thread of which nothing is known."""
    here, flow = _trace_here(), _flow.get()
    keys: list[Hashable] = [one for one in (here, flow) if one is not None]
    return keys or [_pending.EVERYWHERE]


def _scopes_of_id(span: Span, call_id: str) -> list[Hashable]:
    keys: list[Hashable] = [one for one in (span.get_span_context().trace_id, _trace_here(), _flow.get()) if one]
    # A conversation may go on in another request: a real id is nobody else's.
    return keys if _NUMBERED.fullmatch(call_id) else [*keys, _pending.EVERYWHERE]


def _trace_here() -> int | None:
    span: Any = otel.get_current().get(SPAN_KEY)
    context = None if span is None else span.get_span_context()
    return context.trace_id if context is not None and context.is_valid else None


def _own_flow() -> Flow:
    flow = _flow.get()
    if flow is None:
        flow = Flow()
        _flow.set(flow)
    return flow


def _flow_here() -> Hashable:
    """This thread and task; ``None`` where tasks are of a kind that cannot be told apart."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        if "trio" in sys.modules:
            return None
        task = None
    token = getattr(_thread, "token", None)
    if token is None:
        token = _thread.token = object()
    # Weak: a task's place in memory is another one's later.
    return token, None if task is None else weakref.ref(task)
