"""``dspy.Evaluate``: one span a run with its score, and one an example with what the metric said of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from types import FunctionType
from typing import Any, cast

from opentelemetry import context as otel

from spanloom.dspy._candidates import program_hash
from spanloom.dspy._frames import forget_ours
from spanloom.dspy._scopes import Scope
from spanloom.dspy._scores import fields_of, judgement, number, stored_in
from spanloom.dspy._settings import Settings
from spanloom.dspy._turns import Turns, size_of
from spanloom.dspy._wrap import method
from spanloom.genai import OnError, Target, Telemetry, current, guard, guarded, json_text
from spanloom.semconv import DSpy, DSpySpan, span_name

_PARAMETERS = ("program", "metric", "devset", "num_threads", "display_progress", "display_table", "callback_metadata")
_MAX_METADATA_BYTES = 1024
_MAX_WORD_CHARS = 128


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """The evaluation; its examples are seen where the executor runs them."""
    del settings
    yield method(telemetry, "dspy.evaluate.evaluate", "Evaluate.__call__", begin, conclude)


class Evaluation(Scope):
    """One run over a devset. ``executor`` is what runs the examples, once it does."""

    __slots__ = ("executor", "metric")

    def __init__(self, telemetry: Telemetry, name: str, details: Mapping[str, Any], metric: str | None) -> None:
        self.executor: Any = None
        self.metric = metric
        super().__init__(telemetry, name, details, starts_anew=True)

    def _add_final(self, attributes: dict[str, Any]) -> None:
        super()._add_final(attributes)
        if self.executor is not None:
            attributes.update(outcome_of(self.executor, DSpy.EVALUATE_FAILED))


def begin(telemetry: Telemetry, evaluate: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Evaluation:
    """Start the span of one evaluation."""
    given = {**dict(zip(_PARAMETERS, args, strict=False)), **kwargs}
    program = given.get("program")
    metric = _name_of(_chosen(evaluate, given, "metric"))
    evaluation = Evaluation(telemetry, span_name(DSpySpan.EVALUATE, _name_of(program)), {}, metric)
    with guard("dspy.evaluate.details"):
        if evaluation.recording:
            details = _details(program, _chosen(evaluate, given, "devset"), given.get("callback_metadata"))
            rows = {DSpy.EVALUATE_METRIC: metric, **details}
            evaluation.attributes.update({name: value for name, value in rows.items() if value is not None})
    return evaluation


def conclude(evaluation: Evaluation, result: Any) -> Any:
    """End it with the score that the caller gets."""
    with guard("dspy.evaluate.result"):
        score = number(fields_of(result).get("score"))
        if score is not None:
            evaluation.attributes[DSpy.EVALUATE_SCORE] = score
    evaluation.stop()
    return result


def _chosen(evaluate: Any, given: Mapping[str, Any], name: str) -> Any:
    """What the call says, or the evaluator."""
    value = given.get(name)
    return evaluate.__dict__.get(name) if value is None else value


def _details(program: object, devset: object, metadata: object) -> dict[str, Any]:
    return {
        DSpy.EVALUATE_SIZE: size_of(devset),
        DSpy.EVALUATE_METADATA: _metadata(metadata),
        DSpy.CANDIDATE_HASH: program_hash(program) or None,
    }


def _name_of(value: object) -> str | None:
    """As DSPy names a metric: a function's name, the class of anything else."""
    if value is None:
        return None
    return value.__name__ if isinstance(value, FunctionType) else type(value).__name__


def _metadata(given: object) -> str | None:
    """The words and numbers of it."""
    if not isinstance(given, dict):
        return None
    pairs = cast("dict[Any, Any]", given).items()
    plain = {key: value for key, value in pairs if isinstance(key, str) and _is_short(value)}
    return json_text(plain, _MAX_METADATA_BYTES) if plain else None


def _is_short(value: object) -> bool:
    return len(value) <= _MAX_WORD_CHARS if isinstance(value, str) else isinstance(value, (int, float))


def outcome_of(executor: Any, failed_as: str) -> dict[str, int]:
    """What an executor knows when it is done: how many threads it had, how many items failed."""
    own = executor.__dict__
    threads, failed = own.get("num_threads"), len(set(own.get("failed_indices", ())))
    rows = {DSpy.PARALLEL_THREADS: threads if isinstance(threads, int) else None, failed_as: failed or None}
    return {name: value for name, value in rows.items() if value is not None}


@guarded("dspy.evaluate.executor")
def waiting_evaluation(executor: Any) -> Evaluation | None:
    """The evaluation that has just made this executor for its examples."""
    around = current()
    if not isinstance(around, Evaluation) or around.executor is not None:
        return None
    if not executor.__dict__.get("compare_results"):
        return None
    around.executor = executor
    return around


def examples(function: Callable[..., Any], evaluation: Evaluation, turns: Turns) -> Callable[..., Any]:
    """The function with a span around each example; it returns a prediction and its score."""
    context = evaluation.context
    watched = OnError(forget_ours) if evaluation.executor.__dict__.get("provide_traceback") else nullcontext()

    @functools.wraps(function, updated=())
    def judged(item: Any) -> Any:
        token = otel.attach(context)
        try:
            example = _begin_example(evaluation, turns, item)
            with watched, nullcontext() if example is None else example:
                result = function(item)
            if example is not None:
                _conclude_example(example, evaluation.metric, result)
            return result
        finally:
            otel.detach(token)

    return judged


@guarded("dspy.evaluate.example")
def _begin_example(evaluation: Evaluation, turns: Turns, item: Any) -> Scope | None:
    place, is_again = turns.take(item)
    details: dict[str, Any] = {} if place is None else {DSpy.EXAMPLE_INDEX: place}
    if is_again:
        details[DSpy.PARALLEL_RESUBMITTED] = True
    example = Scope(evaluation.telemetry, DSpySpan.EVALUATE_EXAMPLE, details, starts_anew=True)
    if example.captures_content:
        example.content = {DSpy.INPUTS: lambda: _inputs(item)}
    return example


def _conclude_example(example: Scope, metric: str | None, result: Any) -> None:
    with guard("dspy.evaluate.score"):
        if example.recording:
            _, given = result
            score, label, feedback = judgement(given)
            if score is not None and metric is not None:
                example.attributes[DSpy.EVALUATE_SCORE] = score
                told = _text(feedback, example.telemetry.max_content_bytes) if example.captures_content else None
                example.add_evaluation(metric, score, label, told)
    example.stop()


def _text(feedback: str | None, max_bytes: int) -> str | None:
    if feedback is None:
        return None
    return feedback.encode(errors="replace")[:max_bytes].decode(errors="ignore")


def _inputs(item: Any) -> dict[str, Any] | None:
    """What the program was given of the example, not the labels."""
    stored = stored_in(item)
    names = item.__dict__.get("_input_keys") if stored is not None else None
    if stored is None or names is None:
        return None
    return {name: value for name, value in stored.items() if name in names}
