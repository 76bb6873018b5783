"""Threads of DSPy's that would lose the caller's context: the batches of ``Unbatchify``, the pool of an optimizer.

The rest of DSPy copies it itself (RLM, GEPA, ``asyncify``, ``streamify``), or is ``_parallel``'s business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span

from spanloom.dspy._frames import at_home
from spanloom.dspy._settings import Settings
from spanloom.genai import Invocation, Target, Telemetry, current, guarded

# Gives what is seen in the place of an attribute.
_See = Callable[[Any], Any]
_BATCH = otel.create_key("spanloom-dspy-batch")


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Where an item goes into a batch, what runs the batches, and the one pool that nobody copies a context into."""
    del telemetry, settings
    yield Target("dspy.utils.unbatchify", "Unbatchify.__call__", _wrap_caller)
    yield Target("dspy.utils.unbatchify", "Unbatchify._worker", _wrap_worker)
    module = "dspy.teleprompt.avatar_optimizer"
    yield Target(module, "AvatarOptimizer.thread_safe_evaluator", _wrap_evaluator, optional=True)


class StandIn:
    """Stands for an object as the ``self`` of one call: some of its attributes are seen through functions of ours.

    The object itself stays as it is, for everybody else and for whoever looks at it.
    """

    __slots__ = ("__real", "__seen")
    __real: Any
    __seen: Mapping[str, _See]

    def __init__(self, real: Any, seen: Mapping[str, _See]) -> None:
        """``seen``: by the name of the attribute."""
        object.__setattr__(self, "_StandIn__real", real)
        object.__setattr__(self, "_StandIn__seen", seen)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__real, name)
        see = self.__seen.get(name)
        return value if see is None else see(value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__real, name, value)


class _Entry(tuple[Any, ...]):
    """An item of the queue, as DSPy has it, and the context of who put it there."""

    context: Context


def _wrap_caller(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Unbatchify.__call__``, which puts the item into a queue and waits."""

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = otel.get_current()
        if not context:
            return original(self, *args, **kwargs)
        return original(_putting(self, context), *args, **kwargs)

    return at_home(call, original)


def _putting(unbatchify: Any, context: Context) -> StandIn:
    def see_put(put: Callable[..., Any]) -> Callable[..., Any]:
        def with_context(item: Any, *args: Any, **kwargs: Any) -> Any:
            entry = _Entry(item)
            entry.context = context
            return put(entry, *args, **kwargs)

        return with_context

    return StandIn(unbatchify, {"input_queue": lambda queue: StandIn(queue, {"put": see_put})})


def _wrap_worker(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Unbatchify._worker``: it takes items until a batch is full, and runs the batch."""

    def work(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return original(_taking(self), *args, **kwargs)

    return at_home(work, original)


def _taking(unbatchify: Any) -> StandIn:
    contexts: list[Context] = []  # of the batch that is being collected

    def see_get(get: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*args: Any, **kwargs: Any) -> Any:
            entry = get(*args, **kwargs)
            if isinstance(entry, _Entry):
                contexts.append(entry.context)
            return entry

        return taken

    def see_batch(batch_fn: Callable[..., Any]) -> Callable[..., Any]:
        context = _context_of(contexts)
        contexts.clear()
        return batch_fn if context is None else functools.partial(_run_in, context, batch_fn)

    seen: Mapping[str, _See] = {"input_queue": lambda queue: StandIn(queue, {"get": see_get}), "batch_fn": see_batch}
    return StandIn(unbatchify, seen)


@guarded("dspy.unbatchify")
def _context_of(contexts: list[Context]) -> Context | None:
    """A batch is the work of the first one who asked. The others' spans and what runs in the batch link to each other.

    A caller without a context has no part in it.
    """
    if not contexts:
        return None
    first, *others = contexts
    home = get_current_span(first).get_span_context()
    mates: dict[int, SpanContext] = {}
    for other in others:
        mate = get_current_span(other).get_span_context()
        if mate.is_valid and mate.span_id != home.span_id and mate.span_id not in mates:
            mates[mate.span_id] = mate
            _link(current(other), home)
    return otel.set_value(_BATCH, tuple(mates.values()), first) if mates else first


def _link(invocation: Invocation | None, home: SpanContext) -> None:
    """Only spans of ours: a link on a span of the application's is the application's to set."""
    if invocation is not None and not invocation.ended and home.is_valid:
        invocation.span.add_link(home)


def mates() -> tuple[SpanContext, ...]:
    """The spans that wait for the batch that runs here, besides the one around it."""
    return cast("tuple[SpanContext, ...]", otel.get_value(_BATCH) or ())


def _run_in(context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in a context, in whichever thread this is."""
    token = otel.attach(context)
    try:
        return function(*args, **kwargs)
    finally:
        otel.detach(token)


def _wrap_evaluator(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what hands ``self.process_example`` to a ``ThreadPoolExecutor``."""

    def evaluate(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = otel.get_current()

        def see(process: Callable[..., Any]) -> Callable[..., Any]:
            return functools.partial(_run_in, context, process)

        return original(StandIn(self, {"process_example": see}), *args, **kwargs)

    return at_home(evaluate, original)
