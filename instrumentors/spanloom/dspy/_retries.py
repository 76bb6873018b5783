"""``BestOfN`` and ``Refine``: each attempt runs a copy of the module; what it was worth, and which one was taken."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spanloom.dspy._copies import stands_for
from spanloom.dspy._frames import at_home
from spanloom.dspy._scores import number
from spanloom.dspy._settings import Settings
from spanloom.dspy._threads import StandIn
from spanloom.genai import OnError, Step, Target, Telemetry, current, error_type, guarded, is_suppressed
from spanloom.semconv import DSpy, DSpyEvent, Error

_Function = Callable[..., Any]


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """The loops; what they call of their own objects is seen there, and the objects stay as they are."""
    del settings
    wrap = functools.partial(_wrap_forward, telemetry)
    yield Target("dspy.predict.best_of_n", "BestOfN.forward", wrap, optional=True)
    yield Target("dspy.predict.refine", "Refine.forward", wrap, optional=True)


class _Attempts:
    """The attempts of one call. Each has an index, from 0 on."""

    __slots__ = ("best", "index", "prediction", "step")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.index = -1
        # The best reward so far, with its index, and what it was given for.
        self.best: tuple[float, int] | None = None
        self.prediction: Any = None

    @guarded("dspy.attempt.begin")
    def begin(self, original: Any, copy: Any) -> None:
        """The program has made a copy for its next attempt."""
        self.index += 1
        # A module may be its own copy: then it stands for nothing but itself, later too.
        if copy is not original:
            stands_for(copy, original, self.index)

    @guarded("dspy.attempt.reward")
    def judge(self, prediction: Any, reward: Any) -> None:
        """The reward function has spoken. As DSPy does it, the first of equals is the better one."""
        value = number(reward)
        told = {DSpy.ATTEMPT_INDEX: self.index}
        self.step.add_event(DSpyEvent.ATTEMPT, told if value is None else {**told, DSpy.ATTEMPT_REWARD: value})
        if value is not None and value > (float("-inf") if self.best is None else self.best[0]):
            self.best, self.prediction = (value, self.index), prediction

    @guarded("dspy.attempt.failed")
    def fail(self, error: BaseException) -> None:
        """The reward function has failed: to DSPy that is an attempt that failed."""
        self.step.add_event(DSpyEvent.ATTEMPT, {DSpy.ATTEMPT_INDEX: self.index, Error.TYPE: error_type(error)})

    @guarded("dspy.attempt.chosen")
    def end(self, result: Any) -> None:
        """Mark the attempt whose prediction is given back, where that is the one with the best reward."""
        if self.best is not None and result is self.prediction:
            self.step.attributes[DSpy.ATTEMPT_CHOSEN] = self.best[1]


def _wrap_forward(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap ``forward``: it asks its own module for copies, and its own reward function."""

    def copied(attempts: _Attempts, module: Any, deepcopy: _Function, *args: Any, **kwargs: Any) -> Any:
        copy = deepcopy(*args, **kwargs)
        attempts.begin(module, copy)
        return copy

    def judged(attempts: _Attempts, reward_fn: _Function, *args: Any, **kwargs: Any) -> Any:
        with OnError(attempts.fail):
            reward = reward_fn(*args, **kwargs)
        attempts.judge(args[-1], reward)
        return reward

    copying, judging = at_home(copied, original), at_home(judged, original)

    def seen_by(attempts: _Attempts) -> Mapping[str, Callable[[Any], Any]]:
        def module(real: Any) -> StandIn:
            return StandIn(real, {"deepcopy": functools.partial(functools.partial, copying, attempts, real)})

        return {"module": module, "reward_fn": functools.partial(functools.partial, judging, attempts)}

    def forward(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        attempts = _begin(telemetry, self)
        if attempts is None:
            return original(self, *args, **kwargs)
        result = original(StandIn(self, seen_by(attempts)), *args, **kwargs)
        attempts.end(result)
        return result

    return at_home(forward, original)


@guarded("dspy.attempt")
def _begin(telemetry: Telemetry, module: Any) -> _Attempts | None:
    """``None`` where this call has no span: nobody would be told."""
    step = current() if telemetry.enabled and not is_suppressed() else None
    return _Attempts(step) if isinstance(step, Step) and step.owner is module else None
