"""GEPA tells of its candidates while it runs, through its engine's own callbacks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from spanloom.dspy._candidates import hash_with
from spanloom.dspy._outcomes import FULL, MINIBATCH, add_candidate, summarise
from spanloom.dspy._scopes import Compile, enclosing
from spanloom.dspy._scores import number
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry, guarded
from spanloom.semconv import DSpy

ACCEPTED, REJECTED = "accepted", "rejected"
_CALLBACKS = "callbacks"
_MAX_REASON_CHARS = 256
_Event = Mapping[str, Any]


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """The engine's entry, which DSPy imports anew for each compilation."""
    del settings
    yield Target("gepa", "optimize", functools.partial(_wrap_optimize, telemetry), optional=True)


def _wrap_optimize(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``gepa.optimize``: one more callback, below a compilation of ours only."""
    if _CALLBACKS not in inspect.signature(original).parameters:
        return original

    @functools.wraps(original)
    def optimize(*args: Any, **kwargs: Any) -> Any:
        scope = enclosing(Compile) if telemetry.enabled else None
        if isinstance(scope, Compile) and scope.recording:
            # The caller's list is his.
            given = kwargs.get(_CALLBACKS)
            kwargs = {**kwargs, _CALLBACKS: [*(given or ()), _Watch(scope)]}
        return original(*args, **kwargs)

    return optimize


class _Watch:
    """A callback of GEPA's engine. What it does not define is not called."""

    def __init__(self, scope: Compile) -> None:
        self._scope = scope
        self._scores: list[tuple[int, float | None]] = []
        # What was proposed last: its fate follows.
        self._proposed: dict[str, str] = {}

    @guarded("dspy.gepa.proposal")
    def on_proposal_end(self, event: _Event) -> None:
        """New instructions for some of the predictors."""
        self._proposed = dict(event["new_instructions"])

    @guarded("dspy.gepa.rejected")
    def on_candidate_rejected(self, event: _Event) -> None:
        """A proposal that was no better on its minibatch."""
        reason = event.get("reason")
        details = {
            DSpy.CANDIDATE_OUTCOME: REJECTED,
            DSpy.ITERATION: _whole(event.get("iteration")),
            DSpy.CANDIDATE_SCORE: number(event.get("new_score")),
            DSpy.CANDIDATE_EVALUATION: MINIBATCH,
            DSpy.CANDIDATE_REASON: reason[:_MAX_REASON_CHARS] if isinstance(reason, str) else None,
        }
        self._add(details, self._proposed)

    @guarded("dspy.gepa.evaluated")
    def on_valset_evaluated(self, event: _Event) -> None:
        """A candidate that was taken, the seed among them, with its score over the validation set."""
        index, score = _whole(event.get("candidate_idx")), number(event.get("average_score"))
        if index is None:
            return
        self._scores.append((index, score))
        details = {
            DSpy.CANDIDATE_OUTCOME: ACCEPTED,
            DSpy.ITERATION: _whole(event.get("iteration")),
            DSpy.CANDIDATE_INDEX: index,
            DSpy.CANDIDATE_SCORE: score,
            DSpy.CANDIDATE_EVALUATION: FULL,
            DSpy.CANDIDATE_PARENTS: _parents(event.get("parent_ids")),
        }
        self._add(details, event["candidate"])

    @guarded("dspy.gepa.end")
    def on_optimization_end(self, event: _Event) -> None:
        """The winner, and what it took."""
        summarise(self._scope, self._scores, event.get("total_metric_calls"))
        best = _whole(event.get("best_candidate_idx"))
        if best is not None:
            self._scope.attributes[DSpy.COMPILE_BEST] = best

    def _add(self, details: Mapping[str, Any], instructions: Mapping[str, str]) -> None:
        found = hash_with(self._scope.student, instructions) if instructions else ""
        add_candidate(self._scope, {**details, DSpy.CANDIDATE_HASH: found or None}, lambda: dict(instructions))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parents(value: Any) -> list[int] | None:
    found = [one for one in cast("Sequence[Any]", value or ()) if isinstance(one, int)]
    return found or None
