"""`Evaluate`: its score, one span an example, what the metric said; the same results with and without us."""

from __future__ import annotations

import copy
import functools
import json
import logging
import pickle
import threading

import cloudpickle
import dspy
import numpy
import pytest
from dspy.teleprompt.bootstrap_trace import bootstrap_trace_data
from dspy.utils.callback import BaseCallback
from dspy.utils.dummies import DummyLM
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.dspy import DSPyInstrumentor, _evaluate
from spanloom.dspy._candidates import program_hash
from spanloom.dspy._scopes import Compile
from spanloom.dspy._scores import judgement, number
from spanloom.dspy._turns import Turns
from spanloom.genai import Telemetry, _guard
from tests._support.spans import Recorder, eventually, normal, outline

EXAMPLE = "dspy.evaluate.example"
INDEX, SCORE, MARK = "dspy.example.index", "dspy.evaluate.score", "dspy.parallel.resubmitted"


class Echo(dspy.Module):
    """Answers with the question; some questions are bad ones."""

    def forward(self, question):
        if isinstance(question, BaseException):
            raise question
        return dspy.Prediction(answer=question)


def devset(*questions):
    """Examples with a label."""
    return [dspy.Example(question=question, answer="a").with_inputs("question") for question in questions]


def exact(example, prediction, trace=None):
    """Yes or no."""
    return prediction.answer == example.answer


def explained(example, prediction, trace=None):
    """A score with a text, as GEPA's metrics have it."""
    return dspy.Prediction(score=0.25, feedback=f"secret of {prediction.answer}")


def scored(recorder):
    """Index and score of each example, by index."""
    rows = [span.attributes for span in recorder.spans if span.name == EXAMPLE]
    return sorted((row[INDEX], row.get(SCORE)) for row in rows)


@pytest.mark.parametrize("threads", [1, 2])
def test_tree(threads, lm, server, recorder, plugin):
    """Examples right below the evaluation, programs below them; sums, size, threads, version and score."""
    program = dspy.Predict("question -> answer")
    evaluate = dspy.Evaluate(devset=devset("x", "y", "z"), metric=exact, num_threads=threads)
    result = evaluate(program, callback_metadata={"metric_key": "eval_full"})
    item = [f"  {EXAMPLE}", "    invoke_workflow Predict", "      chat gpt-4o-mini"]
    assert outline(recorder.spans) == ["dspy.evaluate Predict", *item * 3]
    assert len({span.context.trace_id for span in recorder.spans}) == 1
    attributes = dict(recorder.spans[0].attributes)
    told = sum(one.input_tokens for one in server.ledger.entries)
    assert attributes.pop("spanloom.subtree.input_tokens") == told > 0
    assert attributes.pop("spanloom.subtree.output_tokens") > 0
    assert attributes == {
        "dspy.evaluate.metric": "exact",
        "dspy.evaluate.devset.size": 3,
        "dspy.evaluate.metadata": '{"metric_key": "eval_full"}',
        "dspy.evaluate.score": result.score,
        "dspy.parallel.num_threads": threads,
        "dspy.candidate.hash": program_hash(program),
        "spanloom.subtree.llm_calls": 3,
    }
    assert [index for index, _ in scored(recorder)] == [0, 1, 2]


def test_a_metric_that_says_yes_or_no(recorder, plugin):
    """1 or 0, and a label; the event belongs to the example."""
    result = dspy.Evaluate(devset=devset("a", "b"), metric=exact, num_threads=2)(Echo())
    assert recorder.named("dspy.evaluate Echo").attributes[SCORE] == result.score == 50.0
    assert scored(recorder) == [(0, 1.0), (1, 0.0)]
    spans = {span.context.span_id: span.attributes[INDEX] for span in recorder.spans if span.name == EXAMPLE}
    told = {spans[one.log_record.span_id]: dict(one.log_record.attributes) for one in recorder.events}
    name = "gen_ai.evaluation"
    assert told == {
        0: {f"{name}.name": "exact", f"{name}.score.value": 1.0, f"{name}.score.label": "pass"},
        1: {f"{name}.name": "exact", f"{name}.score.value": 0.0, f"{name}.score.label": "fail"},
    }


@pytest.mark.parametrize("content_on", [False, True])
def test_feedback_and_inputs_are_content(content_on, recorder, monkeypatch):
    """The number always, the words only with content; a text that cannot be encoded is mended."""
    monkeypatch.setenv("SPANLOOM_CONTENT_MAX_BYTES", "100")
    if content_on:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    question = "sécret\ud800" + "é" * 200
    try:
        result = dspy.Evaluate(devset=devset(question), metric=explained, num_threads=1)(Echo())
    finally:
        plugin.uninstrument()
    assert result.score == 25.0
    assert scored(recorder) == [(0, 0.25)]
    attributes = recorder.event("gen_ai.evaluation.result").log_record.attributes
    assert attributes["gen_ai.evaluation.score.value"] == 0.25
    assert "gen_ai.evaluation.score.label" not in attributes
    assert ("sécret" in str(normal(recorder.spans))) is content_on
    assert ("gen_ai.evaluation.explanation" in attributes) is content_on
    if content_on:
        told = attributes["gen_ai.evaluation.explanation"]
        assert told.startswith("secret of sécret?éé")
        assert len(told.encode()) <= 100
        inputs = json.loads(recorder.named(EXAMPLE).attributes["dspy.inputs"])
        assert list(inputs) == ["question"]


def test_examples_that_fail(recorder, plugin):
    """By the program or by the metric: an error, no score and no event; the evaluation counts them."""

    def strict(example, prediction, trace=None):
        if prediction.answer == "c":
            raise LookupError("metric")
        return 1

    result = dspy.Evaluate(devset=devset("a", ValueError("x"), "c"), metric=strict, num_threads=2)(Echo())
    root = recorder.named("dspy.evaluate Echo")
    assert root.attributes[SCORE] == result.score == 33.33
    assert root.attributes["dspy.evaluate.failed"] == 2
    assert root.status.status_code.name == "UNSET"
    assert scored(recorder) == [(0, 1.0), (1, None), (2, None)]
    rows = {span.attributes[INDEX]: span for span in recorder.spans if span.name == EXAMPLE}
    errors = {index: span.attributes.get("error.type") for index, span in rows.items()}
    assert errors == {0: None, 1: "ValueError", 2: "LookupError"}
    assert len(recorder.events) == 1
    programs = [span for span in recorder.spans if span.name == "invoke_workflow Echo"]
    assert sorted(span.status.status_code.name for span in programs) == ["ERROR", "UNSET", "UNSET"]


@pytest.mark.parametrize("threads", [1, 2])
def test_too_many_errors(threads, recorder, plugin):
    """The evaluation is an error without a score."""
    evaluate = dspy.Evaluate(devset=devset(ValueError("x")), metric=exact, num_threads=threads, max_errors=1)
    with pytest.raises(Exception, match="Execution cancelled"):
        evaluate(Echo())
    assert outline(recorder.spans) == ["dspy.evaluate Echo!", f"  {EXAMPLE}!", "    invoke_workflow Echo!"]
    attributes = recorder.spans[0].attributes
    assert attributes["error.type"] == "Exception"
    assert SCORE not in attributes


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_in_an_example(threads, recorder, plugin):
    """The very object passes, all spans end."""
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        dspy.Evaluate(devset=devset(error), metric=exact, num_threads=threads)(Echo())
    assert caught.value is error
    eventually(lambda: len(recorder.spans) == 3)
    assert {span.attributes["error.type"] for span in recorder.spans} == {"KeyboardInterrupt"}


@pytest.mark.parametrize("given", [[], None, 5])
def test_a_devset_that_is_none(given, recorder, plugin):
    """An error before any example; the same one."""
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)) as caught:
        dspy.Evaluate(devset=given, metric=exact, num_threads=1)(Echo())
    assert recorder.span.attributes["error.type"] == type(caught.value).__name__
    assert recorder.span.attributes.get("dspy.evaluate.devset.size") == (0 if given == [] else None)


def test_wrong_arguments(recorder, plugin):
    """The error is the original's own."""
    with pytest.raises(TypeError, match="program"):
        dspy.Evaluate(devset=devset("a"), metric=exact)()
    with pytest.raises(TypeError, match="nonsense"):
        dspy.Evaluate(devset=devset("a"), metric=exact)(Echo(), nonsense=1)
    assert outline(recorder.spans) == ["dspy.evaluate!", "dspy.evaluate Echo!"]


def test_no_metric(recorder, plugin):
    """Every example is an error."""
    result = dspy.Evaluate(devset=devset("a"), num_threads=1)(Echo())
    assert result.score == 0.0
    assert outline(recorder.spans) == ["dspy.evaluate Echo", f"  {EXAMPLE}!", "    invoke_workflow Echo"]
    assert "dspy.evaluate.metric" not in recorder.spans[0].attributes


def test_one_example_many_times(recorder, plugin):
    """Each has its place, in any order."""
    (one,) = devset("a")
    dspy.Evaluate(devset=[one] * 12, metric=exact, num_threads=4)(Echo())
    assert scored(recorder) == [(index, 1.0) for index in range(12)]
    assert not any(MARK in span.attributes for span in recorder.spans)


def test_a_tuple_and_another_sequence_as_devset(recorder, plugin):
    """Places are known of plain lists and tuples."""

    class Mine(list):
        """A list that may do anything when it is read."""

    dspy.Evaluate(devset=tuple(devset("a")), metric=exact, num_threads=1)(Echo())
    assert recorder.named(EXAMPLE).attributes[INDEX] == 0
    recorder.clear()
    dspy.Evaluate(devset=Mine(devset("a")), metric=exact, num_threads=1)(Echo())
    assert INDEX not in recorder.named(EXAMPLE).attributes
    assert "dspy.evaluate.devset.size" not in recorder.named("dspy.evaluate Echo").attributes


def test_turns():
    """In their order; then runs too many; what is not in the data is unknown."""
    one, two = object(), object()
    turns = Turns([one, two, one])
    assert [turns.take(one), turns.take(two), turns.take(one)] == [(0, False), (1, False), (2, False)]
    assert turns.take(two) == (1, True)
    assert turns.take(one) == (None, True)
    assert turns.take(object()) == (None, False)


def test_a_straggler(recorder, plugin, monkeypatch):
    """The second run has the mark and the place; the loser ends after the evaluation, with its own score."""
    release, calls = threading.Event(), []

    def slow(question):
        calls.append(1)
        if len(calls) == 1:
            release.wait(20)
        return dspy.Prediction(answer=question)

    made = dspy.evaluate.evaluate.ParallelExecutor
    impatient = functools.partial(made, timeout=0.2)
    monkeypatch.setattr(dspy.evaluate.evaluate, "ParallelExecutor", impatient)
    result = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=2)(slow)
    assert result.score == 100.0
    release.set()
    eventually(lambda: len(recorder.spans) == 3)
    root, first, second = recorder.spans
    assert [span.attributes.get(MARK) for span in (first, second)] == [None, True]
    assert [span.attributes[INDEX] for span in (first, second)] == [0, 0]
    assert first.end_time > root.end_time
    assert first.attributes[SCORE] == 1.0


def test_a_metric_that_calls_models_and_fans_out(lm, recorder, plugin):
    """Its calls are below the example; a run of its own is a run, even one that compares."""
    judge = dspy.Predict("answer -> verdict")

    def judged(example, prediction, trace=None):
        dspy.Parallel(num_threads=2, disable_progress_bar=True)([(judge, {"answer": prediction.answer})])
        return dspy.Evaluate(devset=devset("b"), metric=exact, num_threads=1)(Echo()).score

    dspy.Evaluate(devset=devset("a"), metric=judged, num_threads=1)(Echo())
    assert outline(recorder.spans) == [
        "dspy.evaluate Echo",
        f"  {EXAMPLE}",
        "    invoke_workflow Echo",
        "    dspy.parallel",
        "      invoke_workflow Predict",
        "        chat gpt-4o-mini",
        "    dspy.evaluate Echo",
        f"      {EXAMPLE}",
        "        invoke_workflow Echo",
    ]


def test_an_evaluation_inside_a_program_starts_anew(recorder, plugin):
    """What it evaluates is a program of its own."""

    class Checks(dspy.Module):
        def __init__(self):
            super().__init__()
            self.echo = Echo()

        def forward(self):
            return dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)(self.echo)

    Checks()()
    tree = ["invoke_workflow Checks", "  dspy.evaluate Echo", f"    {EXAMPLE}", "      invoke_workflow Echo"]
    assert outline(recorder.spans) == tree


def test_names_of_metrics_and_programs(recorder, plugin):
    """As DSPy names a metric: a function's name, else the class."""

    class Judge:
        def __call__(self, example, prediction, trace=None):
            return 1

        def judge(self, example, prediction, trace=None):
            return 1

    for metric in (exact, Judge(), functools.partial(exact), Judge().judge):
        dspy.Evaluate(devset=devset("a"), num_threads=1)(lambda question: None, metric)
    roots = [span for span in recorder.spans if span.parent is None]
    names = [span.attributes["dspy.evaluate.metric"] for span in roots]
    assert names == ["exact", "Judge", "partial", "method"]
    assert {span.name for span in roots} == {"dspy.evaluate <lambda>"}
    assert "dspy.candidate.hash" not in roots[0].attributes


def test_metadata_is_bounded(recorder, plugin):
    """Short words and numbers of it; no object, no long text, a kibibyte in all."""
    given = {
        "metric_key": "eval_minibatch",
        "step": 3,
        "share": 0.5,
        "off": True,
        7: 1,
        "text": "x" * 500,
        "o": object(),
    }
    evaluate = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)
    evaluate(Echo(), callback_metadata=given)
    text = recorder.named("dspy.evaluate Echo").attributes["dspy.evaluate.metadata"]
    assert json.loads(text) == {"metric_key": "eval_minibatch", "step": 3, "share": 0.5, "off": True}
    recorder.clear()
    evaluate(Echo(), callback_metadata={f"key{number}": "y" * 100 for number in range(50)})
    assert len(recorder.named("dspy.evaluate Echo").attributes["dspy.evaluate.metadata"].encode()) <= 1024
    recorder.clear()
    evaluate(Echo(), callback_metadata={"o": object()})
    assert "dspy.evaluate.metadata" not in recorder.named("dspy.evaluate Echo").attributes


def test_what_metrics_say():
    """Numbers of Python and NumPy, booleans, records; anything else is no score."""

    class Record:
        def __init__(self):
            self.score, self.feedback = 2, 5

    class Slots:
        __slots__ = ()

    assert judgement(0.5) == (0.5, None, None)
    assert judgement(True) == (1.0, "pass", None)
    assert judgement(numpy.bool_(False)) == (0.0, "fail", None)
    assert judgement(numpy.float32(0.5)) == (0.5, None, None)
    assert judgement({"score": False, "feedback": "f"}) == (0.0, "fail", "f")
    assert judgement(dspy.Prediction(score=1, feedback="f")) == (1.0, None, "f")
    assert judgement(Record()) == (2.0, None, None)
    assert judgement(Slots()) == judgement("0.5") == judgement(None) == judgement({}) == (None, None, None)
    assert number(10**400) is None
    assert number(numpy.array([1.0])) is None
    assert judgement(dspy.Prediction(answer="x")) == (None, None, None)


def test_a_metric_that_gives_no_number(recorder, plugin):
    """DSPy itself fails on it; the example has no score and no event, the evaluation is an error."""
    with pytest.raises(TypeError):
        dspy.Evaluate(devset=devset("a"), metric=lambda *_: "good", num_threads=2)(Echo())
    assert outline(recorder.spans) == ["dspy.evaluate Echo!", f"  {EXAMPLE}", "    invoke_workflow Echo"]
    assert scored(recorder) == [(0, None)]
    assert recorder.events == []


def test_examples_that_are_no_examples(recorder, plugin_with_content):
    """What has `inputs` is enough for DSPy; its content is not told."""

    class Mine:
        answer = "a"

        def inputs(self):
            return {"question": "secret"}

    dspy.Evaluate(devset=[Mine(), dspy.Example(question="x")], metric=lambda *_: 1, num_threads=1)(Echo())
    for span in recorder.spans:
        if span.name == EXAMPLE:
            assert "dspy.inputs" not in span.attributes


def test_an_optimizers_traces(recorder, plugin):
    """GEPA and others evaluate for the traces: the program gives a pair, the score is the metric's."""
    with dspy.context(lm=DummyLM([{"answer": "a"}] * 4)):
        program = dspy.Predict("question -> answer")
        rows = bootstrap_trace_data(program, devset("x", "y"), lambda e, p, t=None: 0.5, num_threads=2)
    assert [row["score"] for row in rows] == [0.5, 0.5]
    assert scored(recorder) == [(0, 0.5), (1, 0.5)]
    item = [f"  {EXAMPLE}", "    invoke_workflow Predict", "      chat dummy"]
    lines = outline(recorder.spans)
    assert lines[0] == "dspy.evaluate Predict"
    assert sorted(lines[1:]) == sorted(item * 2)


@pytest.mark.parametrize(("choice", "count"), [("SUMMARY", 2), ("FULL", 8)])
def test_an_optimizers_evaluations_in_sum(choice, count, recorder, monkeypatch):
    """With `summary` the evaluation stays, exact; nothing below it is seen."""
    monkeypatch.setenv("SPANLOOM_DSPY_OPTIMIZERS", choice)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    evaluate = dspy.Evaluate(devset=devset("x", "y"), metric=explained, num_threads=2)
    try:
        with dspy.context(lm=DummyLM([{"answer": "a"}] * 4)):
            around = Compile(Telemetry("spanloom.dspy", **recorder.providers), "dspy.compile Test", {}, object())
            with around:
                evaluate(dspy.Predict("question -> answer"))
            around.stop()
            assert len(recorder.spans) == count
            root = recorder.named("dspy.evaluate Predict").attributes
            assert root[SCORE] == 25.0
            assert root["spanloom.subtree.llm_calls"] == 2
            assert len(recorder.events) == (0 if choice == "SUMMARY" else 2)
            assert recorder.total("gen_ai.client.inference.duration") == 2
            recorder.clear()
            evaluate(dspy.Predict("question -> answer"))
            assert len(recorder.spans) == 7
    finally:
        plugin.uninstrument()


def test_a_callback_that_fans_out_before_the_examples(recorder, plugin):
    """Its run is no evaluation's; the examples are found all the same."""

    class Warming(BaseCallback):
        def on_evaluate_start(self, call_id, instance, inputs):
            dspy.Parallel(num_threads=1, disable_progress_bar=True)([(Echo(), {"question": "warm"})])

    with dspy.context(callbacks=[Warming()]):
        dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)(Echo())
    run, item = ["  dspy.parallel", "    invoke_workflow Echo"], [f"  {EXAMPLE}", "    invoke_workflow Echo"]
    assert outline(recorder.spans) == ["dspy.evaluate Echo", *run, *item]


def test_unsampled():
    """Where nobody keeps spans there is no event, and the score is the same."""
    recorder = Recorder(ALWAYS_OFF)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        result = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=2)(Echo())
    finally:
        plugin.uninstrument()
        recorder.close()
    assert result.score == 100.0
    assert recorder.spans == recorder.events == []


def test_a_result_of_another_kind(recorder, plugin, monkeypatch):
    """Somebody has replaced DSPy's; it has no score for us."""
    monkeypatch.setattr(dspy.evaluate.evaluate, "EvaluationResult", dict)
    result = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)(Echo())
    assert result["score"] == recorder.spans[0].attributes[SCORE] == 100.0
    monkeypatch.setattr(dspy.evaluate.evaluate, "EvaluationResult", lambda score, results: None)
    recorder.clear()
    dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)(Echo())
    assert SCORE not in recorder.spans[0].attributes


def test_suppression(recorder, plugin):
    """Nothing of it is recorded."""
    with suppress_instrumentation():
        result = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=2)(Echo())
    assert result.score == 100.0
    assert recorder.spans == recorder.events == []


def test_faults_of_ours_stay_ours(recorder, plugin, monkeypatch):
    """Without our spans the evaluation goes on."""
    monkeypatch.setattr(_guard, "RERAISE", False)

    def broken(*args, **kwargs):
        raise RuntimeError("ours")

    monkeypatch.setattr(Turns, "take", broken)
    monkeypatch.setattr(_evaluate, "program_hash", broken)
    result = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=2)(Echo())
    assert result.score == 100.0
    assert outline(recorder.spans) == ["dspy.evaluate Echo", "  invoke_workflow Echo"]


class Seen(BaseCallback):
    """What a user's callbacks see."""

    def __init__(self):
        self.rows = []

    def on_evaluate_start(self, call_id, instance, inputs):
        self.rows.append(sorted(inputs))

    def on_evaluate_end(self, call_id, outputs, exception=None):
        self.rows.append((outputs and outputs.score, repr(exception)))


@pytest.fixture
def logged(caplog):
    """DSPy's own logger does not propagate."""
    logger = logging.getLogger("dspy")
    before, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = before


def ran(tmp_path, caplog, capfd):
    """Everything an evaluation gives: result, files, logs, table, callbacks."""
    caplog.clear()
    seen, errors = Seen(), ValueError("x")
    paths = [tmp_path / "out.csv", tmp_path / "out.json"]
    with dspy.context(callbacks=[seen]):
        evaluate = dspy.Evaluate(devset=devset("a", "b", errors), metric=explained, num_threads=1, failure_score=0.125)
        result = evaluate(Echo())
        plain = dspy.Evaluate(devset=devset("a", "b"), metric=lambda *_: 1 / 3, num_threads=1, display_progress=True)
        thirds = plain(Echo(), save_as_csv=str(paths[0]), save_as_json=str(paths[1]))
        with pytest.raises(Exception, match="cancelled") as caught:
            dspy.Evaluate(devset=devset(errors), metric=exact, max_errors=1, num_threads=1)(Echo())
    rows = [(str(example), str(prediction), str(score)) for example, prediction, score in result.results]
    shown = [line for line in capfd.readouterr().out.splitlines() if "it/s" not in line]
    messages = [record.getMessage() for record in caplog.records]
    files = [path.read_text() for path in paths]
    return result.score, thirds.score, type(result), rows, files, shown, messages, seen.rows, caught.value.args


def test_the_same_with_and_without_us(tmp_path, logged, capfd, recorder):
    """Scores equal to the last bit, the same tables, files, logs and callbacks."""
    bare = ran(tmp_path, logged, capfd)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        observed = ran(tmp_path, logged, capfd)
    finally:
        plugin.uninstrument()
    assert observed == bare
    assert [span.attributes.get(SCORE) for span in recorder.spans if span.parent is None] == [bare[0], bare[1], None]


def test_printed_tracebacks_have_no_frame_of_ours(logged, plugin):
    """`provide_traceback` prints what it would without us."""
    evaluate = dspy.Evaluate(devset=devset(ValueError("x")), metric=exact, num_threads=2, provide_traceback=True)
    evaluate(Echo())
    assert "Traceback" in logged.text
    assert "instrumentors" not in logged.text


def test_evaluators_are_copied_and_pickled(recorder, plugin):
    """Before and after a run."""
    evaluate = dspy.Evaluate(devset=devset("a"), metric=exact, num_threads=1)
    for one in (evaluate, copy.deepcopy(evaluate), pickle.loads(cloudpickle.dumps(evaluate))):
        assert one(Echo()).score == 100.0
    assert pickle.loads(pickle.dumps(evaluate)).devset == evaluate.devset
    assert len([span for span in recorder.spans if span.parent is None]) == 3


def test_uninstrument_restores_it(recorder):
    """The very function."""
    original = dspy.Evaluate.__call__
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    assert dspy.Evaluate.__call__ is not original
    plugin.uninstrument()
    assert dspy.Evaluate.__call__ is original
