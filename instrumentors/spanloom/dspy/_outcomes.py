"""What an optimizer tells of its work when it is done: the candidates with their scores, the winner, the calls it took.

Read from what it attaches to the program that it returns. Only of optimizers that attach it themselves: a program keeps
what an earlier one has attached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from opentelemetry import context as otel

from spanloom.dspy._candidates import instructions_of, program_hash
from spanloom.dspy._scopes import Compile, Scope
from spanloom.dspy._scores import fields_of, number
from spanloom.genai import json_text
from spanloom.semconv import DSpy, DSpySpan

FULL, MINIBATCH = "full", "minibatch"
_MAX_PARAMETERS_BYTES = 2048
_MAX_SCORES_BYTES = 2048
_MAX_STRATEGY_CHARS = 256
_Rows = list[tuple[dict[str, Any], object]]


def tell(scope: Compile, result: Any) -> None:
    """Write the outcome onto the compilation, and a span below it for each candidate."""
    attributes = scope.attributes
    found = program_hash(result)
    if found:
        attributes[DSpy.CANDIDATE_HASH] = found
    read = next((_READERS[one.__name__] for one in type(scope.optimizer).__mro__ if one.__name__ in _READERS), None)
    if read is None:
        return
    rows = read(scope, result)
    token = otel.attach(scope.context)
    try:
        for details, program in rows:
            add_candidate(scope, details, lambda program=program: instructions_of(program))
    finally:
        otel.detach(token)


def add_candidate(scope: Compile, details: Mapping[str, Any], instructions: Callable[[], Any]) -> None:
    """A span of one candidate. It has no length: what was done for it has spans of its own."""
    told = {name: value for name, value in details.items() if value is not None}
    candidate = Scope(scope.telemetry, DSpySpan.CANDIDATE, told, starts_anew=True)
    if candidate.captures_content:
        candidate.content = {DSpy.CANDIDATE_INSTRUCTIONS: instructions}
    candidate.stop()


def summarise(scope: Compile, scores: Sequence[tuple[int, float | None]], calls: object = None) -> None:
    """How many candidates there were, and the best of them by index (the first of equals) and score."""
    known = [(score, index) for index, score in scores if score is not None]
    rows: dict[str, Any] = {DSpy.COMPILE_CANDIDATES: len(scores)}
    if known:
        best = max(score for score, _ in known)
        rows[DSpy.COMPILE_SCORE] = best
        rows[DSpy.COMPILE_BEST] = next(index for score, index in known if score == best)
    if isinstance(calls, int) and not isinstance(calls, bool):
        rows[DSpy.COMPILE_METRIC_CALLS] = calls
    scope.attributes.update(rows)


def _stated(result: Any, name: str) -> Any:
    return getattr(result, "__dict__", {}).get(name)


def _listed(scope: Compile, result: Any) -> _Rows:
    """``candidate_programs``: dictionaries with a score and a program, the best first."""
    found = _stated(result, "candidate_programs")
    rows: _Rows = []
    for index, one in enumerate(cast("list[Any]", found) if isinstance(found, list) else ()):
        if isinstance(one, dict):
            row = cast("dict[str, Any]", one)
            seed, program = row.get("seed"), row.get("program")
            details = _candidate(index, number(row.get("score")), FULL, program)
            if isinstance(seed, int):
                details[DSpy.CANDIDATE_SEED] = seed
            rows.append((details, program))
    if rows:
        scores = [(details[DSpy.CANDIDATE_INDEX], details[DSpy.CANDIDATE_SCORE]) for details, _ in rows]
        summarise(scope, scores, _stated(result, "total_calls"))
    return rows


def _strategies(scope: Compile, result: Any) -> _Rows:
    """BetterTogether's ``candidate_programs``, each with the optimizers that made it, and whether one has failed."""
    rows = _listed(scope, result)
    stated = cast("list[Any]", _stated(result, "candidate_programs")) if rows else []
    for details, program in rows:
        strategy = stated[details[DSpy.CANDIDATE_INDEX]].get("strategy")
        if isinstance(strategy, str) and strategy:
            details[DSpy.CANDIDATE_STRATEGY] = strategy[:_MAX_STRATEGY_CHARS]
            if program is result:
                scope.attributes[DSpy.COMPILE_STRATEGY] = details[DSpy.CANDIDATE_STRATEGY]
    if _stated(result, "flag_compilation_error_occurred") is True:
        scope.attributes[DSpy.COMPILE_STEP_FAILED] = True
    return rows


def _rounds(scope: Compile, result: Any) -> _Rows:
    """SIMBA's ``candidate_programs``, and its ``trial_logs``: by number, some with a score."""
    logs = _stated(result, "trial_logs")
    if isinstance(logs, dict):
        trials = cast("dict[Any, Any]", logs)
        scores = {key: number(fields_of(log).get("train_score")) for key, log in trials.items() if isinstance(key, int)}
        told = {key: score for key, score in scores.items() if score is not None}
        scope.attributes[DSpy.COMPILE_TRIALS] = len(scores)
        if told:
            scope.attributes[DSpy.COMPILE_TRIAL_SCORES] = json_text(told, _MAX_SCORES_BYTES)
    return _listed(scope, result)


def _candidate(index: int, score: float | None, evaluation: str | None, program: object) -> dict[str, Any]:
    return {
        DSpy.CANDIDATE_INDEX: index,
        DSpy.CANDIDATE_SCORE: score,
        DSpy.CANDIDATE_EVALUATION: evaluation,
        DSpy.CANDIDATE_HASH: program_hash(program) or None,
    }


def _trials(scope: Compile, result: Any) -> _Rows:
    """MIPROv2's ``trial_logs``: by number, with scores, what was chosen, and the calls so far."""
    logs = _stated(result, "trial_logs")
    # Without statistics it attaches nothing, and what is there is of an earlier run.
    if not isinstance(logs, dict) or vars(scope.optimizer).get("track_stats") is False:
        return []
    rows: _Rows = []
    calls = 0
    for trial, log in cast("dict[Any, Any]", logs).items():
        if isinstance(trial, int) and isinstance(log, dict):
            entry = cast("dict[str, Any]", log)
            so_far = entry.get("total_eval_calls_so_far")
            calls = max(calls, so_far) if isinstance(so_far, int) else calls
            rows += _evaluations(trial, entry)
    best = number(_stated(result, "score"))
    summarise(scope, [(row[DSpy.CANDIDATE_INDEX], _full_score(row)) for row, _ in rows], calls)
    if best is not None:
        scope.attributes[DSpy.COMPILE_SCORE] = best
    return rows


def _full_score(row: Mapping[str, Any]) -> float | None:
    """A minibatch's score does not win."""
    return row[DSpy.CANDIDATE_SCORE] if row[DSpy.CANDIDATE_EVALUATION] == FULL else None


def _evaluations(trial: int, log: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], object]]:
    """A trial has a score of a minibatch, of the whole set, or of both."""
    chosen = {key: value for key, value in log.items() if "_predictor_" in key and isinstance(value, int)}
    for prefix, evaluation in (("mb", MINIBATCH), ("full_eval", FULL)):
        score = number(log.get(f"{prefix}_score"))
        if score is not None:
            program = log.get(f"{prefix}_program")
            details = _candidate(trial, score, evaluation, program)
            if chosen:
                details[DSpy.CANDIDATE_PARAMETERS] = json_text(chosen, _MAX_PARAMETERS_BYTES)
            yield details, program


def _bootstrapped(scope: Compile, result: Any) -> _Rows:
    """How many demos were made by the program itself."""
    listed: Any = getattr(cast("type[object]", type(result)), "predictors", None)
    predictors: list[Any] = listed(result) if listed is not None else []
    demos: list[Any] = [demo for one in predictors for demo in one.__dict__.get("demos") or ()]
    scope.attributes[DSpy.COMPILE_DEMOS] = sum(fields_of(demo).get("augmented") is True for demo in demos)
    return []


def _budgeted(scope: Compile, result: Any) -> _Rows:
    """GEPA has told of its candidates while it ran; its budget may be of its own making."""
    del result
    budget = vars(scope.optimizer).get("max_metric_calls")
    if isinstance(budget, int) and not isinstance(budget, bool):
        scope.attributes[DSpy.COMPILE_BUDGET] = budget
    return []


_READERS: Mapping[str, Callable[[Compile, Any], _Rows]] = {
    "BetterTogether": _strategies,
    "BootstrapFewShot": _bootstrapped,
    "BootstrapFewShotWithRandomSearch": _listed,
    "COPRO": _listed,
    "GEPA": _budgeted,
    "MIPROv2": _trials,
    "SIMBA": _rounds,
}
