"""GEPA tells of its candidates while it runs, through its engine's own callbacks."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from spanloom.dspy._candidates import hash_with, instructions_of
from spanloom.dspy._outcomes import FULL, MINIBATCH, add_candidate, summarise
from spanloom.dspy._scopes import Compile, enclosing
from spanloom.dspy._scores import number
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry, guarded
from spanloom.semconv import DSpy

ACCEPTED, REJECTED = "accepted", "rejected"
_CALLBACKS = "callbacks"
_MAX_REASON_CHARS = 256
# What GEPA's own engine says, with nothing but numbers and the name of a class in it. A criterion of the application's
# may give another reason, and quote a prompt there.
_NUMBER = r"(?:np\.float\d+\()?-?(?:\d[\d.]*(?:e[-+]?\d+)?|nan|inf)\)?"
_KNOWN_REASON = re.compile(
    rf"New subsample score {_NUMBER} not better than old score {_NUMBER}"
    rf"|Merged score {_NUMBER} worse than both parents \[{_NUMBER}(?:, {_NUMBER})*\]"
    rf"|Candidate rejected by acceptance criterion \(old_sum={_NUMBER}, new_sum={_NUMBER}\)"
    rf"|Passed acceptance \(score {_NUMBER} -> {_NUMBER}\) but was not selected by the selection strategy \(\w+\)"
    "|Duplicate of another candidate selected this iteration"
)
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
        watch = _watch(telemetry)
        given = kwargs.get(_CALLBACKS)
        if watch is not None and (given is None or isinstance(given, (list, tuple))):
            # The caller's list is his.
            kwargs = {**kwargs, _CALLBACKS: [*cast("Sequence[Any]", given or ()), watch]}
        return original(*args, **kwargs)

    return optimize


@guarded("dspy.gepa")
def _watch(telemetry: Telemetry) -> _Watch | None:
    scope = enclosing(Compile) if telemetry.enabled else None
    return _Watch(scope) if isinstance(scope, Compile) and scope.recording else None


class _Watch:
    """A callback of GEPA's engine. What it does not define is not called."""

    def __init__(self, scope: Compile) -> None:
        self._scope = scope
        # A proposal is a change of its parent; who is rejected is told by the iteration only.
        self._parent: Mapping[str, str] = {}
        self._iteration: object = None
        self._proposed: Mapping[str, str] = {}
        self._merged: Mapping[str, str] = {}

    @guarded("dspy.gepa.parent")
    def on_proposal_start(self, event: _Event) -> None:
        """The candidate that is to be changed."""
        self._parent = event["parent_candidate"]

    @guarded("dspy.gepa.proposal")
    def on_proposal_end(self, event: _Event) -> None:
        """New instructions for some of its predictors; of several proposals in one iteration none is known again."""
        is_only = event["iteration"] != self._iteration
        self._iteration = event["iteration"]
        self._proposed = {**self._parent, **event["new_instructions"]} if is_only else {}

    @guarded("dspy.gepa.rejected")
    def on_candidate_rejected(self, event: _Event) -> None:
        """A proposal that was no better on its minibatch."""
        is_this = event["iteration"] == self._iteration
        self._reject(event, self._proposed if is_this else {}, number(event.get("new_score")))

    @guarded("dspy.gepa.merge")
    def on_merge_attempted(self, event: _Event) -> None:
        """What two candidates make together."""
        self._merged = event["merged_candidate"]

    @guarded("dspy.gepa.merge_rejected")
    def on_merge_rejected(self, event: _Event) -> None:
        """A merge that was worse than both; its score is in the reason only."""
        self._reject(event, self._merged, None)

    def _reject(self, event: _Event, instructions: Mapping[str, str], score: float | None) -> None:
        details = {
            DSpy.CANDIDATE_OUTCOME: REJECTED,
            DSpy.ITERATION: _whole(event.get("iteration")),
            DSpy.CANDIDATE_SCORE: score,
            DSpy.CANDIDATE_EVALUATION: MINIBATCH,
            DSpy.CANDIDATE_PARENTS: _parents(event.get("parent_ids")),
            DSpy.CANDIDATE_REASON: self._reason(event.get("reason")),
        }
        self._add(details, instructions)

    def _reason(self, reason: object) -> str | None:
        if not isinstance(reason, str):
            return None
        told = reason[:_MAX_REASON_CHARS]
        return told if self._scope.on_span or _KNOWN_REASON.fullmatch(told) else None

    @guarded("dspy.gepa.evaluated")
    def on_valset_evaluated(self, event: _Event) -> None:
        """A candidate that was taken, the seed among them, with its score over the validation set."""
        index, score = _whole(event.get("candidate_idx")), number(event.get("average_score"))
        if index is None:
            return
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
        """The winner, and what it took: of the engine's state, which a resumed run has from its folder."""
        # The scores that GEPA's own result is made of.
        scores = enumerate(event["final_state"].program_full_scores_val_set)
        summarise(self._scope, [(index, number(one)) for index, one in scores], event.get("total_metric_calls"))

    def _add(self, details: Mapping[str, Any], instructions: Mapping[str, str]) -> None:
        told = {**details, DSpy.CANDIDATE_HASH: self._hash(instructions)}
        add_candidate(self._scope, told, lambda: dict(instructions) or None)

    def _hash(self, instructions: Mapping[str, str]) -> str | None:
        """Not of a candidate with parts that are no instructions: the code of a ``Flex``."""
        student = self._scope.student
        is_known = instructions and instructions.keys() <= instructions_of(student).keys()
        return hash_with(student, instructions) or None if is_known else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parents(value: Any) -> list[int] | None:
    found = [one for one in cast("Sequence[Any]", value or ()) if isinstance(one, int)]
    return found or None
