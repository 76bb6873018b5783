"""The one module that may catch broadly: a fault of ours never reaches the application.

What is caught is logged once a minute and place, and counted in ``spanloom.internal.errors``. Our own tests set
``RERAISE`` so that a fault fails them. ``BaseException`` (cancellation, Ctrl-C, ``GeneratorExit``) always passes.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from opentelemetry import metrics

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

RERAISE = False
LOG_EVERY_S = 60.0
# Places are names in our own code, so this is bounded by its size; the cap only keeps a mistake from growing.
MAX_PLACES = 512

_log = logging.getLogger("spanloom")
_last_logged: dict[str, float] = {}


def report(place: str, error: BaseException) -> None:
    """Count a fault of ours, and log it unless this place was logged within the last minute."""
    try:
        _count(place)
        if _due(place):
            _log.warning(
                "spanloom: internal fault in %s (%s: %s); the application is not affected, telemetry may be incomplete",
                place,
                type(error).__name__,
                error,
                exc_info=_log.isEnabledFor(logging.DEBUG),
            )
    except Exception:  # noqa: BLE001 - a broken meter, log handler or __str__ must not hurt either
        return


@functools.cache
def _counter() -> metrics.Counter:
    """Made at the first fault: until then nobody needs it, nor the names."""
    from spanloom.semconv import metrics as specs

    spec = specs.INTERNAL_ERRORS
    return metrics.get_meter("spanloom.genai").create_counter(spec.name, spec.unit, spec.description)


def _count(place: str) -> None:
    from spanloom.semconv import Spanloom

    _counter().add(1, {Spanloom.PLACE: place})


def _due(place: str) -> bool:
    now = time.monotonic()
    last = _last_logged.get(place)
    if last is not None and now - last < LOG_EVERY_S:
        return False
    if last is None and len(_last_logged) >= MAX_PLACES:
        return False
    _last_logged[place] = now
    return True


class guard:  # noqa: N801 - read as a statement: `with guard("place"):`
    """``with guard("place"):`` keeps every ``Exception`` of the block from the caller; ``passing`` names exceptions."""

    __slots__ = ("_passing", "_place")

    def __init__(self, place: str, passing: tuple[type[BaseException], ...] = ()) -> None:
        self._place = place
        self._passing = passing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if not isinstance(error, Exception) or isinstance(error, self._passing):
            return False
        report(self._place, error)
        return not RERAISE


class OnError:
    """``with OnError(step):`` tells ``step`` of what leaves the block; it goes on its way."""

    __slots__ = ("_step",)

    def __init__(self, step: Callable[[BaseException], object]) -> None:
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._step(error)


def attempt(place: str, step: Callable[..., object], *args: object) -> None:
    """``step(*args)``; an ``Exception`` of it is kept from the caller. What ``guard`` does, for a single call."""
    try:
        step(*args)
    except Exception as error:
        report(place, error)
        if RERAISE:
            raise


def attempted(place: str, default: D, step: Callable[..., R], *args: object) -> R | D:
    """What ``step(*args)`` gives back, or ``default`` where it fails. What ``guarded`` does, for a single call."""
    try:
        return step(*args)
    except Exception as error:
        report(place, error)
        if RERAISE:
            raise
        return default


def each(place: str, step: Callable[[str, Any], Any], items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What ``step`` makes of each item, by name; one that fails costs only itself, and ``None`` is left out."""
    rows: dict[str, Any] = {}
    for name, item in items:
        try:
            value = step(name, item)
        except Exception as error:  # noqa: PERF203 - each on its own
            report(place, error)
            if RERAISE:
                raise
        else:
            if value is not None:
                rows[name] = value
    return rows


def tolerant(call: Callable[..., R], default: D, *args: object, **named: object) -> R | D:
    """What the application's own code (``__str__``, ``model_dump``) gives back, or ``default`` where it raises.

    Such code may raise anything. That is no fault of ours: nothing is logged or counted, in our tests neither.
    """
    try:
        return call(*args, **named)
    except Exception:  # noqa: BLE001 - it is not our code
        return default


def guarded(place: str, default: Any = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: the function returns ``default`` where it fails."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def safe(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                report(place, error)
                if RERAISE:
                    raise
                return default

        return safe

    return decorate
