"""The tool calls that models have asked for, until they are executed and answered. Driven by ``_tool_calls``.

A call is found in the *scopes* in which it was asked: its trace, or the flow of a program without spans around it. Two
calls that cannot be told apart are no match: an execution without an id is better than one with another call's.

Names and ids are kept, and of the arguments a digest each (``_prints``); never what they say.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanloom.genai._prints import Asked, Prints, Unknown, print_of

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

# The scope that holds all calls of the process, and how many times as many as any other one.
EVERYWHERE: Final = "everywhere"
_EVERYWHERE_TIMES: Final = 16

WAITING, RUNNING, DONE, FAILED = range(4)
# In the place of a default that a parameter has not.
MISSING: Final = object()


class Call:
    """One call that a model asked for."""

    __slots__ = ("answered", "arguments", "asked_s", "choice", "id", "name", "ran", "response", "scopes", "state")

    def __init__(self, call_id: str, name: str, arguments: Asked, choice: int) -> None:
        """``choice``: which of the answers that were asked for has it."""
        self.id = call_id
        self.name = name
        self.arguments = arguments
        self.choice = choice
        self.state = WAITING
        self.answered = False
        # The span of its execution.
        self.ran: SpanContext | None = None
        self.response: Response | None = None
        self.scopes: tuple[Hashable, ...] = ()
        self.asked_s = 0.0

    @property
    def may_begin(self) -> bool:
        """Whether an execution may be this call's. After a failure it may be tried again."""
        return not self.answered and self.state in (WAITING, FAILED)

    def run_in(self, span: SpanContext) -> None:
        """It is executed in this span."""
        self.state, self.ran = RUNNING, span

    def end(self, failed: bool) -> None:
        """Its execution is over."""
        self.state = FAILED if failed else DONE

    def is_like(self, other: Call) -> bool:
        """Whether the two ask for the same."""
        return (self.id, self.name, self.arguments) == (other.id, other.name, other.arguments)


class Response:
    """What asked: its span, the tool that it was called in, and which thread and task it came to."""

    __slots__ = ("begins", "calls", "id", "inside", "runner", "span")

    def __init__(
        self, span: SpanContext, response_id: str | None, begins: bool, runner: Hashable = None, inside: int = 0
    ) -> None:
        """``begins``: nothing stored comes before it. ``inside``: the span id of the tool execution around it."""
        self.span = span
        self.id = response_id
        self.begins = begins
        self.runner = runner
        self.inside = inside
        # A stream tells them one by one.
        self.calls: list[Call] = []


class Dropped(NamedTuple):
    """How many calls were let go before they were answered: for want of room, and for their age."""

    full: int = 0
    expired: int = 0


class Execution(NamedTuple):
    """What runs. ``given`` tells its arguments, if they can be told; ``inside`` is as a ``Response`` has it."""

    name: str
    given: Callable[[], Mapping[str, Any] | None]
    default_of: Callable[[str], Any]
    runner: Callable[[], Hashable]
    inside: int = 0


class _Scope:
    """Calls in the order in which they were asked; by their names those without an answer, and by their ids."""

    __slots__ = ("by_id", "by_name", "calls")

    def __init__(self) -> None:
        # Of a plain dictionary the first item is dear once many before it have gone.
        self.calls: OrderedDict[Call, None] = OrderedDict()
        self.by_name: dict[str, dict[Call, None]] = {}
        self.by_id: dict[str, dict[Call, None]] = {}

    def add(self, call: Call) -> None:
        self.calls[call] = None
        self.by_name.setdefault(call.name, {})[call] = None
        self.by_id.setdefault(call.id, {})[call] = None

    def close(self, call: Call) -> None:
        _take_out(self.by_name, call.name, call)

    def remove(self, call: Call) -> None:
        self.calls.pop(call, None)
        self.close(call)
        _take_out(self.by_id, call.id, call)


def _take_out(index: dict[str, dict[Call, None]], key: str, call: Call) -> None:
    same = index.get(key, {})
    same.pop(call, None)
    if not same:
        index.pop(key, None)


class AskedCalls:
    """All of a process. Bounded by number in each scope and by age; what is let go unanswered is told."""

    def __init__(self, max_calls: int, max_age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_calls = max_calls
        self._max_age_s = max_age_s
        self._clock = clock
        # Reentrant: the collector may end a generator's execution in a thread that holds it.
        self._lock = threading.RLock()
        self._everywhere = _Scope()
        self._scopes: dict[Hashable, _Scope] = {EVERYWHERE: self._everywhere}
        self._responses: dict[str, Response] = {}

    def __bool__(self) -> bool:
        return bool(self._everywhere.calls)

    def __len__(self) -> int:
        return len(self._everywhere.calls)

    def after_fork(self) -> None:
        """Another thread may have held it."""
        self._lock = threading.RLock()

    def add(self, response: Response, calls: Iterable[Call], scopes: Iterable[Hashable]) -> Dropped:
        """Remember calls of a response in these scopes; one that it has asked for already is the same one."""
        now, keys = self._clock(), (EVERYWHERE, *scopes)
        with self._lock:
            expired = self._expire(now)
            for call in calls:
                if any(call.is_like(known) for known in response.calls):
                    continue
                response.calls.append(call)
                call.response, call.scopes, call.asked_s = response, keys, now
                for key in keys:
                    self._scopes.setdefault(key, _Scope()).add(call)
            if response.id is not None:
                self._responses[response.id] = response
            full = sum(self._shrink(key) for key in keys)
        return Dropped(full, expired)

    def _expire(self, now: float) -> int:
        lost = 0
        while (oldest := next(iter(self._everywhere.calls), None)) and now - oldest.asked_s > self._max_age_s:
            lost += self._remove(oldest)
        return lost

    def _shrink(self, key: Hashable) -> int:
        lost, scope = 0, self._scopes.get(key)
        most = self._max_calls * (_EVERYWHERE_TIMES if key == EVERYWHERE else 1)
        while scope is not None and len(scope.calls) > most:
            lost += self._remove(next(iter(scope.calls)))
        return lost

    def _remove(self, call: Call) -> int:
        """Let a call go; 1 where it was never answered."""
        for key in call.scopes:
            scope = self._scopes.get(key)
            if scope is not None:
                scope.remove(call)
                if not scope.calls and scope is not self._everywhere:
                    del self._scopes[key]
        self._forget(call, call.response)
        return int(not call.answered)

    def _forget(self, call: Call, response: Response | None) -> None:
        """A response goes with the last of its calls."""
        if response is None or response.id is None or response.calls[-1] is not call:
            return
        if self._responses.get(response.id) is response:
            del self._responses[response.id]

    def take(self, scopes: Iterable[Hashable], execution: Execution) -> Call | None:
        """The call that this execution is of, which then runs; ``None`` where that is not certain."""
        key, candidates = self._named(scopes, execution)
        # Nobody's code is called under the lock.
        given = execution.given() if candidates else None
        # In a thread of which nothing is known, a call without arguments may be anybody's.
        if given is None or (key == EVERYWHERE and not given):
            return None
        prints = Prints({name: print_of(value) for name, value in given.items()})

        @functools.cache
        def default(name: str) -> bytes | None:
            value = execution.default_of(name)
            return None if value is MISSING else print_of(value)

        found = [one for one in candidates if one.arguments.fits(prints, default)]
        runner = execution.runner() if len(found) > 1 else None
        with self._lock:
            call = _only([one for one in found if one.may_begin], runner)
            if call is not None:
                call.state = RUNNING
        return call

    def _named(self, scopes: Iterable[Hashable], execution: Execution) -> tuple[Hashable, list[Call]]:
        """The calls of its name that may begin where it runs, and the scope: the first one that has any."""
        oldest = self._clock() - self._max_age_s
        with self._lock:
            for key in scopes:
                scope = self._scopes.get(key)
                known = scope.by_name.get(execution.name, ()) if scope is not None else ()
                found = [one for one in known if one.asked_s >= oldest and one.may_begin]
                # What a tool calls is its own affair, unless a model asked for it inside the tool.
                found = [one for one in found if one.response is None or one.response.inside == execution.inside]
                if found:
                    return key, found
        return None, []

    def find(self, scopes: Iterable[Hashable], call_id: str) -> list[Call]:
        """The calls of this id in the first scope that has any."""
        oldest = self._clock() - self._max_age_s
        with self._lock:
            for key in scopes:
                scope = self._scopes.get(key)
                known = scope.by_id.get(call_id, ()) if scope is not None else ()
                if found := [one for one in known if one.asked_s >= oldest]:
                    return found
        return []

    def answer(self, call: Call) -> None:
        """The model has its result: nothing is executed for it any more."""
        with self._lock:
            call.answered = True
            for key in call.scopes:
                scope = self._scopes.get(key)
                if scope is not None:
                    scope.close(call)

    def response(self, response_id: str) -> Response | None:
        """What a stored response asked for, where it asked for anything."""
        with self._lock:
            return self._responses.get(response_id)


def single(calls: list[Call], which: Callable[[Call], bool]) -> Call | None:
    """Of calls with one id: the only one, or else the only one like this."""
    chosen = calls if len(calls) == 1 else [one for one in calls if which(one)]
    return chosen[0] if len(chosen) == 1 else None


def _only(found: list[Call], runner: Hashable) -> Call | None:
    """The one that is meant. Equal calls of one answer are taken in their order by the thread and task that got it.

    Elsewhere they may run in any order; and where one has failed, it may be tried again.
    """
    first = found[0] if found else None
    if first is None or isinstance(first.arguments, Unknown):
        return None
    if len(found) == 1:
        return first
    response = first.response
    if runner is None or response is None or response.runner != runner or any(_differs(one, first) for one in found):
        return None
    return first


def _differs(one: Call, first: Call) -> bool:
    same = one.response is first.response and one.choice == first.choice
    return not same or isinstance(one.arguments, Unknown) or one.state != WAITING
