"""A tool call is one story of three spans: the model's that asks, the execution's, and the model's that is answered.

Plugins tell what an answer asks for (``remember_tool_calls``) and what a request says of earlier calls
(``tell_tool_history``); each execution looks for its call (``match_tool_call``). Links and ids are written here.

Where a call is asked and looked for (its scopes):

- its trace, and the one in which the answer is read;
- the ``Flow`` of a program that has no span around its calls: a context variable, set where an answer is read;
- all of the process, for a thread of which nothing is known, and for ids that are nobody else's.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry import metrics

from spanloom import semconv
from spanloom.genai._client import FetchResponse
from spanloom.genai._content import encodable
from spanloom.genai._guard import guarded
from spanloom.genai._kinds import ToolExecution
from spanloom.genai._pending import EVERYWHERE, MISSING, AskedCalls, Call, Dropped, Execution, Response, single
from spanloom.genai._prints import Asked, Unknown, asked_prints
from spanloom.genai._roots import SPAN_KEY
from spanloom.semconv import GenAI, Link, Spanloom, SpanloomEvent

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from spanloom.genai._client import ClientCall
    from spanloom.genai._invocation import Invocation
    from spanloom.genai._tool_history import AskedCall, ToolHistory

# Some servers number the calls of an answer: only an id with a long random run is nobody else's.
_RUNS: Final = re.compile(r"[A-Za-z0-9]{8,}")
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
    """Whether any call is remembered: else there is nothing to look for."""
    return bool(asked_calls())


# What a model asks for.


@guarded("genai.tool_calls.remember")
def remember_tool_calls(call: ClientCall, asked: Iterable[AskedCall]) -> None:
    """Remember what an answer asks for. A stream may tell it call by call."""
    wanted = [Call(one.id, encodable(one.name), _prints(one, call.recording), one.choice) for one in asked]
    if not wanted:
        return
    if call.asked is None:
        call.asked = _known(call) or _response_of(call)
    _count(asked_calls().add(call.asked, wanted, _scopes_of_answer(call)))


def _prints(one: AskedCall, recording: bool) -> Asked:
    # Of what nobody keeps it is only known that there is such a call: nothing may be mistaken for it.
    if not recording or (isinstance(one.arguments, str) and len(one.arguments) > _MAX_ARGUMENT_CHARS):
        return Unknown()
    return asked_prints(one.arguments, one.is_text)


def _known(call: ClientCall) -> Response | None:
    """What made a response that is fetched: that call has asked, be it for all of this or for the beginning of it."""
    return asked_calls().response(call.answer_id or "") if isinstance(call, FetchResponse) else None


def _response_of(call: ClientCall) -> Response:
    before = (GenAI.REQUEST_PREVIOUS_RESPONSE_ID, GenAI.CONVERSATION_ID)
    begins = not isinstance(call, FetchResponse) and not any(name in call.attributes for name in before)
    return Response(call.span.get_span_context(), call.answer_id, begins, _runner(), _tool_around(call))


def _tool_around(one: Invocation) -> int:
    """The span id of the innermost tool execution around this; 0 where there is none."""
    above = one.parent
    while above is not None and not isinstance(above, ToolExecution):
        above = above.parent
    return 0 if above is None else above.span.get_span_context().span_id


def _count(dropped: Dropped) -> None:
    for reason, number in zip(Dropped._fields, dropped, strict=True):
        if number:
            _dropped().add(number, {Spanloom.DROP_REASON: reason})


# What is executed.


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
    if call_id is not None:
        execution.attributes[GenAI.TOOL_CALL_ID] = call_id
    # Of what nobody keeps nothing is read.
    if not execution.recording or not any_tool_call():
        return
    call = _by_id(execution, call_id) if call_id is not None else _by_arguments(execution, given, default_of)
    if call is None:
        return
    call.run_in(execution.span.get_span_context())
    execution.asked = call
    execution.attributes[GenAI.TOOL_CALL_ID] = call.id
    if call.response is not None:
        execution.span.add_link(call.response.span, {Spanloom.LINK: Link.ASKED_BY, GenAI.TOOL_CALL_ID: call.id})


def _by_id(execution: ToolExecution, call_id: str) -> Call | None:
    return single(asked_calls().find(_scopes_of_id(execution.span, call_id), call_id), lambda one: one.may_begin)


def _by_arguments(
    execution: ToolExecution, given: Callable[[], Mapping[str, Any] | None], default_of: Callable[[str], Any]
) -> Call | None:
    wanted = Execution(execution.tool_name, given, default_of, _runner, _tool_around(execution))
    return asked_calls().take(_scopes_here(), wanted)


# What is answered.


@guarded("genai.tool_calls.history")
def tell_tool_history(
    call: ClientCall, history: ToolHistory, previous_id: str | None = None, whole: bool = True
) -> None:
    """Link a request to the executions that it answers with, and tell of calls without an answer and of the reverse.

    ``whole``: the request has the whole conversation, so that an answer to a call that is not in it answers nothing.
    """
    _link_answers(call, history)
    if not call.recording:
        return
    before = asked_calls().response(previous_id) if previous_id is not None else None
    stored = {one.id: one.name for one in before.calls} if before is not None else {}
    missing = [(call_id, name) for call_id, name in stored.items() if call_id not in history.answers]
    for call_id, name in [*history.unanswered, *missing]:
        _tell(call, SpanloomEvent.TOOL_UNANSWERED, call_id, name)
    if whole or (before is not None and before.begins):
        for call_id in history.unasked:
            if call_id not in stored:
                _tell(call, SpanloomEvent.TOOL_UNASKED, call_id, None)


def _link_answers(call: ClientCall, history: ToolHistory) -> None:
    calls = asked_calls()
    askers: dict[int, SpanContext] = {}
    executions: dict[str, SpanContext] = {}
    for call_id in history.answers if calls else ():
        found = _answered(call, history, call_id)
        if found is None or (found.answered and not history.is_fresh(call_id)):
            continue
        calls.answer(found)
        if found.response is not None:
            askers[found.response.span.span_id] = found.response.span
        if found.ran is not None:
            executions[call_id] = found.ran
    if call.recording:
        _add_links(call.span, askers.values(), executions)


def _answered(call: ClientCall, history: ToolHistory, call_id: str) -> Call | None:
    """The call that an answer is of. An id that is a mere number needs the same name and arguments in the history."""
    found = asked_calls().find(_scopes_of_id(call.span, call_id), call_id)
    if found and not _is_unique(call_id):
        asked = history.calls.get(call_id)
        if asked is None:
            return None
        prints = asked_prints(asked.arguments, asked.is_text)
        found = [one for one in found if one.name == asked.name and one.arguments == prints]
    return single(found, lambda one: not one.answered)


def _add_links(span: Span, askers: Iterable[SpanContext], executions: Mapping[str, SpanContext]) -> None:
    for one in list(askers)[:_MAX_LINKS]:
        span.add_link(one, {Spanloom.LINK: Link.ASKED_BY})
    for call_id, one in list(executions.items())[:_MAX_LINKS]:
        span.add_link(one, {Spanloom.LINK: Link.EXECUTED_BY, GenAI.TOOL_CALL_ID: call_id})


def _tell(call: ClientCall, event: str, call_id: str, name: str | None) -> None:
    rows = {GenAI.TOOL_CALL_ID: call_id, GenAI.TOOL_NAME: name}
    call.add_event(event, {key: value for key, value in rows.items() if value})


# Scopes.


def _scopes_of_answer(call: ClientCall) -> list[Hashable]:
    """The asking span's trace, the one where the answer is read, and a program without any around them."""
    here = _trace_here()
    keys: dict[Hashable, None] = {call.span.get_span_context().trace_id: None}
    if here is not None:
        keys[here] = None
    if here is None or _is_outermost(call):
        keys[_own_flow()] = None
    keys.pop(0, None)
    return list(keys)


def _is_outermost(call: ClientCall) -> bool:
    """Whether the trace begins with a span of ours here: what comes after it has no span around it."""
    top: Invocation = call
    while top.parent is not None:
        top = top.parent
    return getattr(top.span, "parent", None) is None


def _scopes_here() -> list[Hashable]:
    """Where an execution may have been asked for. All of the process only for a thread of which nothing is known."""
    here, flow = _trace_here(), _flow.get()
    keys: list[Hashable] = [one for one in (here, flow) if one is not None]
    return keys or [EVERYWHERE]


def _scopes_of_id(span: Span, call_id: str) -> list[Hashable]:
    keys: list[Hashable] = [one for one in (span.get_span_context().trace_id, _trace_here(), _flow.get()) if one]
    # A conversation may go on in another request.
    return [*keys, EVERYWHERE] if _is_unique(call_id) else keys


def _is_unique(call_id: str) -> bool:
    return any(not run.isalpha() for run in _RUNS.findall(call_id))


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


def _runner() -> Hashable:
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
