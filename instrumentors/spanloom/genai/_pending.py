"""The tool calls that models have asked for, until they are executed and answered. Driven by ``_tool_calls``.

A call is found in the *scopes* in which it was asked: its trace, or the flow of a program without spans around it. Two
calls that cannot be told apart are no match: an execution without an id is better than one with another call's.

Names and ids are kept, and of the arguments a number that equal ones share; never what they say.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from spanloom.genai._content import plain

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

# The scope that holds all calls of the process, and how many times as many as any other one.
EVERYWHERE: Final = "everywhere"
_EVERYWHERE_TIMES: Final = 16

WAITING, RUNNING, DONE, FAILED = range(4)
# In the place of a default that a parameter has not.
MISSING: Final = object()

Arguments = Mapping[str, Any]
DefaultOf = Callable[[str], Any]


class Call:
    """One call that a model asked for."""

    __slots__ = ("answered", "arguments", "asked_s", "choice", "id", "name", "ran", "response", "scopes", "state")

    def __init__(self, call_id: str, name: str, arguments: Prints | int | None, choice: int) -> None:
        """``arguments``: see ``prints_of``; ``choice``: which of the answers that were asked for has it."""
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

    def begin(self, span: SpanContext) -> None:
        """It is executed in this span."""
        self.state, self.ran = RUNNING, span

    def end(self, failed: bool) -> None:
        """Its execution is over."""
        self.state = FAILED if failed else DONE


class Response:
    """What asked: its span, its place in a chain of stored responses, and in which thread and task it came."""

    __slots__ = ("calls", "flow", "id", "previous_id", "span")

    def __init__(self, span: SpanContext, response_id: str | None, previous_id: str | None, flow: Hashable) -> None:
        self.span = span
        self.id = response_id
        self.previous_id = previous_id
        self.flow = flow
        # A stream tells them one by one.
        self.calls: list[Call] = []


class Dropped(NamedTuple):
    """How many calls were let go before they were answered: for want of room, and for their age."""

    full: int = 0
    expired: int = 0


Prints = dict[str, int]


def prints_of(arguments: Any) -> Prints | int | None:
    """Numbers that equal arguments share: one for each by its name, one for a text; ``None`` for what is unknown."""
    if isinstance(arguments, dict):
        return {str(name): print_of(value) for name, value in cast("dict[Any, Any]", arguments).items()}
    return print_of(arguments) if isinstance(arguments, str) else None


def print_of(value: Any) -> int:
    """A number that equal values share, as they are equal in JSON: a tuple is a list, 1.0 is 1, a date its text."""
    return hash(_frozen(plain(value)))


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _frozen(one)) for name, one in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return tuple(map(_frozen, cast("list[Any]", value)))
    # In Python, True is 1.
    return (value,) if isinstance(value, bool) else value


def fits(asked: Prints | int | None, given: Prints, default: Callable[[str], int | None]) -> bool:
    """Whether an execution with these arguments may be the call. What nobody gave has its default on both sides."""
    if asked is None:
        return True
    if isinstance(asked, int):
        return [*given.values()] == [asked]
    if asked == given:
        return True
    names = {*asked, *given}
    return all(_or_default(asked, name, default) == _or_default(given, name, default) for name in names)


def _or_default(prints: Prints, name: str, default: Callable[[str], int | None]) -> int | None:
    """Where there is no default either, nothing is like it."""
    found = prints.get(name)
    return default(name) if found is None else found


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

    @property
    def scopes(self) -> int:
        """How many scopes have a call."""
        return len(self._scopes) - 1

    def after_fork(self) -> None:
        """Another thread may have held it."""
        self._lock = threading.RLock()

    def add(self, response: Response, calls: Iterable[Call], scopes: Iterable[Hashable]) -> Dropped:
        """Remember calls of a response in these scopes."""
        now, keys = self._clock(), (EVERYWHERE, *scopes)
        with self._lock:
            expired = self._expire(now)
            for call in calls:
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
        lost, scope = 0, self._scopes[key]
        most = self._max_calls * (_EVERYWHERE_TIMES if key == EVERYWHERE else 1)
        while len(scope.calls) > most:
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

    def begin(
        self,
        scopes: Iterable[Hashable],
        name: str,
        given: Callable[[], Arguments | None],
        default_of: DefaultOf,
        flow: Callable[[], Hashable],
    ) -> Call | None:
        """The call that an execution of ``name`` belongs to, which then runs; ``None`` where that is not certain."""
        candidates = self._named(scopes, name)
        # Nobody's code is called under the lock.
        arguments = given() if candidates else None
        if arguments is None:
            return None
        prints = {name: print_of(value) for name, value in arguments.items()}

        @functools.cache
        def default(name: str) -> int | None:
            value = default_of(name)
            return None if value is MISSING else print_of(value)

        found = [one for one in candidates if fits(one.arguments, prints, default)]
        here = flow() if len(found) > 1 else None
        with self._lock:
            call = _only([one for one in found if one.may_begin], here)
            if call is not None:
                call.state = RUNNING
        return call

    def _named(self, scopes: Iterable[Hashable], name: str) -> list[Call]:
        """In the first scope that has any."""
        oldest = self._clock() - self._max_age_s
        with self._lock:
            for key in scopes:
                scope = self._scopes.get(key)
                known = scope.by_name.get(name) if scope is not None else None
                if known:
                    return [one for one in known if one.asked_s >= oldest and one.may_begin]
        return []

    def find(self, scopes: Iterable[Hashable], call_id: str) -> Call | None:
        """The call of this id in the first scope that has it. Of several, the only one that waits; else none."""
        oldest = self._clock() - self._max_age_s
        with self._lock:
            for key in scopes:
                scope = self._scopes.get(key)
                known = scope.by_id.get(call_id, ()) if scope is not None else ()
                found = [one for one in known if one.asked_s >= oldest]
                if found:
                    open_ = [one for one in found if not one.answered]
                    return found[0] if len(found) == 1 else open_[0] if len(open_) == 1 else None
        return None

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


def _only(found: list[Call], flow: Hashable) -> Call | None:
    """The one that is meant. Equal calls of one answer are taken in their order by the flow that asked for them.

    Elsewhere they may run in any order; and where one has failed, it may be tried again.
    """
    first = found[0] if found else None
    if first is None or first.arguments is None:
        return None
    if len(found) == 1:
        return first
    response = first.response
    if flow is None or response is None or response.flow != flow or any(_differs(one, first) for one in found):
        return None
    return first


def _differs(one: Call, first: Call) -> bool:
    same = one.response is first.response and one.choice == first.choice
    return not same or one.arguments is None or one.state != WAITING
