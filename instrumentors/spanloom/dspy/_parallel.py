"""``Parallel``, ``batch`` and ``Evaluate`` run in threads of their own: carry the caller's context into them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context

from spanloom.dspy._evaluate import Evaluation, examples, outcome_of, waiting_evaluation
from spanloom.dspy._frames import at_home, forget_ours
from spanloom.dspy._scopes import Compile, Scope, enclosing, resubmitted_in
from spanloom.dspy._settings import SUMMARY, Settings
from spanloom.dspy._turns import Turns, size_of
from spanloom.genai import OnError, Target, Telemetry, guarded, is_suppressed, quiet
from spanloom.semconv import DSpy, DSpySpan

_Task = Callable[..., Any]


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What runs every fan-out of DSPy's."""
    wrap = functools.partial(wrap_execute, telemetry, settings.optimizers == SUMMARY)
    yield Target("dspy.utils.parallelizer", "ParallelExecutor.execute", wrap)


class FanOut(Scope):
    """One call of an executor. Its items are parts of what is around."""

    __slots__ = ("executor",)

    def __init__(self, telemetry: Telemetry, executor: Any, data: object) -> None:
        self.executor = executor
        size = size_of(data)
        details = {} if size is None else {DSpy.PARALLEL_SIZE: size}
        super().__init__(telemetry, DSpySpan.PARALLEL, details, starts_anew=False)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        super()._add_final(attributes)
        attributes.update(outcome_of(self.executor, DSpy.PARALLEL_FAILED))


def wrap_execute(telemetry: Telemetry, is_summary: bool, original: _Task) -> _Task:
    """Wrap ``ParallelExecutor.execute(function, data)``: a span around it, each item in the context of the caller."""
    # What these make has frames between DSPy's.
    carry = at_home(_carry, original)
    judge = at_home(examples, original)

    def execute(self: Any, function: _Task, data: Any, *args: Any, **kwargs: Any) -> Any:
        if not telemetry.enabled:
            return original(self, function, data, *args, **kwargs)
        evaluation = waiting_evaluation(self)
        if evaluation is not None:
            task = _task_of(evaluation, function, is_summary, carry, judge, data)
            return original(self, task, data, *args, **kwargs)
        scope = None if is_suppressed() else _begin(telemetry, self, data)
        if scope is None:
            return original(self, carry(function, self, otel.get_current()), data, *args, **kwargs)
        with scope:
            context = _below(scope, is_summary)
            task = carry(function, self, context, Turns(data), resubmitted_in(scope, context))
            result = original(self, task, data, *args, **kwargs)
        scope.stop()
        return result

    return at_home(execute, original)


@guarded("dspy.parallel")
def _begin(telemetry: Telemetry, executor: Any, data: object) -> FanOut:
    return FanOut(telemetry, executor, data)


def _task_of(
    evaluation: Evaluation, function: _Task, is_summary: bool, carry: _Task, judge: _Task, data: object
) -> _Task:
    """What an evaluation's items run in: a span each, but for those of an optimizer that is to be told in sum."""
    context = _below(evaluation, is_summary)
    if context is evaluation.context:
        return judge(function, evaluation, Turns(data))
    return carry(function, evaluation.executor, context)


def _below(scope: Scope, is_summary: bool) -> Context:
    """Where the items of a fan-out run."""
    if is_summary and enclosing(Compile) is not None:
        return quiet(scope.context)
    return scope.context


def _carry(
    function: _Task, executor: Any, context: Context, turns: Turns | None = None, again: Context | None = None
) -> _Task:
    """The function in this context; in the other one, where an item is handed out once more."""
    watched = OnError(forget_ours) if executor.__dict__.get("provide_traceback") else nullcontext()

    @functools.wraps(function, updated=())
    def carried(item: Any) -> Any:
        is_again = turns is not None and turns.take(item)[1]
        token = otel.attach(again if is_again and again is not None else context)
        try:
            with watched:
                return function(item)
        finally:
            otel.detach(token)

    return carried
