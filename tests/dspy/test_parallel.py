"""`Parallel`, `batch` and bare executors: one trace, one span an item, whatever happens to the items."""

from __future__ import annotations

import collections
import logging
import re
import sys
import threading
import time

import dspy
import pytest
from dspy.utils.callback import BaseCallback
from dspy.utils.dummies import DummyLM
from dspy.utils.parallelizer import ParallelExecutor
from opentelemetry import baggage
from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.dspy import DSPyInstrumentor
from spanloom.dspy._scopes import Compile
from spanloom.genai import Telemetry
from tests._support.spans import Recorder, eventually, outline
from tests.dspy._programs import Failing, Pipe

QUIET = {"disable_progress_bar": True}
MARK = "dspy.parallel.resubmitted"


def below(root, *lines):
    """Lines under a root."""
    return [root, *(f"  {line}" for line in lines)]


def examples(*questions):
    """Examples with one input."""
    return [dspy.Example(question=question, answer="x").with_inputs("question") for question in questions]


class Echo(dspy.Module):
    """Answers with the question; some questions are bad ones."""

    def forward(self, question):
        if isinstance(question, BaseException):
            raise question
        return dspy.Prediction(answer=question)


class Blocking(dspy.Module):
    """Its first call waits until it is released; later ones do not."""

    def __init__(self):
        super().__init__()
        self.inner = dspy.Predict("question -> answer")

    def forward(self, question, gate):
        gate.calls.append(1)
        if len(gate.calls) == 1:
            gate.release.wait(20)
        return self.inner(question=question)


class Gate:
    """Shared by the runs of one item."""

    def __init__(self):
        self.calls = []
        self.release = threading.Event()

    def __deepcopy__(self, memo):
        return self


def compiling(recorder):
    """An optimizer at work."""
    return Compile(Telemetry("spanloom.dspy", **recorder.providers), "dspy.compile Test", {}, object())


@pytest.mark.parametrize("threads", [1, 3])
def test_items_are_below_the_run(threads, lm, server, recorder, plugin):
    """In threads and in the caller's own, below the caller's span; every token on its call and in the sums."""
    tracer = recorder.tracer_provider.get_tracer("spanloom.app", "1", "https://opentelemetry.io/schemas/gen-ai/1.42.0")
    program = dspy.Predict("question -> answer")
    with tracer.start_as_current_span("dspy.root"):
        results = dspy.Parallel(num_threads=threads, **QUIET)([(program, one) for one in examples("a", "b", "c")])
    assert len(results) == 3
    item = below("invoke_workflow Predict", "chat gpt-4o-mini")
    tree = below("dspy.root", *below("dspy.parallel", *item, *item, *item))
    spans = [span for span in recorder.spans if span.name != "dspy.root"]
    assert outline(recorder.spans) == tree
    assert len({span.context.trace_id for span in recorder.spans}) == 1
    attributes = recorder.named("dspy.parallel").attributes
    assert attributes["dspy.parallel.size"] == 3
    assert attributes["dspy.parallel.num_threads"] == threads
    assert "dspy.parallel.failed" not in attributes
    assert attributes["spanloom.subtree.llm_calls"] == 3
    told = sum(one.input_tokens for one in server.ledger.entries)
    assert attributes["spanloom.subtree.input_tokens"] == told > 0
    assert sum(span.attributes.get("gen_ai.usage.input_tokens", 0) for span in spans) == told
    recorder.clear()


def test_batch(lm, recorder, plugin):
    """A module's own fan-out; one program an item."""
    pipe = Pipe()
    pipe.batch(examples("a", "b"), num_threads=2, **QUIET)
    roots = [line for line in outline(recorder.spans) if line.startswith(("  i", "d"))]
    assert roots == ["dspy.parallel", "  invoke_workflow Pipe", "  invoke_workflow Pipe"]
    assert len(recorder.spans) == 21
    assert recorder.named("dspy.parallel").attributes["dspy.parallel.size"] == 2


def test_inside_a_program_items_are_its_parts(lm, recorder, plugin):
    """Paths go on through the run; a run in a run is below its item."""

    class Fan(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("question -> answer")

        def forward(self, question):
            run = dspy.Parallel(num_threads=2, **QUIET)
            inner = dspy.Parallel(num_threads=2, **QUIET)
            return run([(self.ask, {"question": question}), (inner, [(self.ask, {"question": question})])])

    Fan()(question="x")
    ask = below("Predict ask", "chat gpt-4o-mini")
    lines = outline(recorder.spans)
    assert lines[:2] == ["invoke_workflow Fan", "  dspy.parallel"]
    assert sorted(lines[2:]) == sorted(
        [f"    {line}" for line in ask] + ["    dspy.parallel"] + [f"      {line}" for line in ask]
    )
    assert MARK not in str([dict(span.attributes) for span in recorder.spans])


def test_items_that_fail(recorder, plugin):
    """Each on its own span; the run counts them and is no error."""
    program = Echo()
    run = dspy.Parallel(num_threads=2, return_failed_examples=True, **QUIET)
    results, failed, errors = run([(program, one) for one in examples("a", ValueError("mine"), "c")])
    assert [type(one) for one in errors] == [ValueError]
    assert (len(results), len(failed)) == (3, 1)
    item, bad = "  invoke_workflow Echo", "  invoke_workflow Echo!"
    lines = outline(recorder.spans)
    assert lines[0] == "dspy.parallel"
    assert sorted(lines[1:]) == sorted([item, bad, item])
    assert recorder.named("dspy.parallel").attributes["dspy.parallel.failed"] == 1


def test_a_pair_that_cannot_be_run(recorder, plugin):
    """It counts as failed, though no module was called."""
    dspy.Parallel(num_threads=2, **QUIET)([(Echo(), 3.5)])
    assert recorder.span.attributes["dspy.parallel.failed"] == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_too_many_errors_cancel_the_run(threads, recorder, plugin):
    """The run is an error, of the class that DSPy raises."""
    with pytest.raises(Exception, match="Execution cancelled") as caught:
        dspy.Parallel(num_threads=threads, max_errors=1, **QUIET)([(Echo(), examples(ValueError("x"))[0])])
    assert type(caught.value) is Exception
    assert outline(recorder.spans) == ["dspy.parallel!", "  invoke_workflow Echo!"]
    assert recorder.named("dspy.parallel").attributes["error.type"] == "Exception"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), SystemExit(3)])
def test_base_exceptions_end_every_span(threads, error, recorder, plugin):
    """They pass: the very object."""
    with pytest.raises(type(error)) as caught:
        dspy.Parallel(num_threads=threads, **QUIET)([(Echo(), examples(error)[0])])
    assert caught.value is error
    eventually(lambda: len(recorder.spans) == 2)
    assert outline(recorder.spans) == ["dspy.parallel!", "  invoke_workflow Echo!"]
    assert recorder.named("dspy.parallel").attributes["error.type"] == type(error).__name__


def test_a_straggler_is_marked_and_the_loser_ends_late(recorder, plugin):
    """The second run has the mark, its parts have not; the loser's spans end once, after the run."""
    gate = Gate()
    with dspy.context(lm=DummyLM([{"answer": "a"}] * 3)):
        run = dspy.Parallel(num_threads=2, timeout=0.2, **QUIET)
        (result,) = run([(Blocking(), {"question": "x", "gate": gate})])
        assert result.answer == "a"
        (parallel,) = [span for span in recorder.spans if span.name == "dspy.parallel"]
        assert parallel.attributes["spanloom.subtree.llm_calls"] == 1
        gate.release.set()
        eventually(lambda: len(recorder.spans) == 7)
    item = below("Predict inner", "chat dummy")
    assert outline(recorder.spans, MARK) == below(
        "dspy.parallel",
        *below("invoke_workflow Blocking", *item),
        *below("invoke_workflow Blocking resubmitted=True", *item),
    )
    loser = next(span for span in recorder.spans if span.name == "invoke_workflow Blocking")
    assert loser.end_time > parallel.end_time
    assert loser.attributes["spanloom.subtree.llm_calls"] == 1
    assert len({span.context.trace_id for span in recorder.spans}) == 1


def test_a_straggler_that_fails_late_is_its_own_error(recorder, plugin):
    """The run has gone well."""
    gate = Gate()

    def item(_):
        gate.calls.append(1)
        if len(gate.calls) == 1:
            gate.release.wait(20)
            Failing()(error=ValueError("late"))
        return "quick"

    assert ParallelExecutor(num_threads=2, timeout=0.2, **QUIET).execute(item, ["x"]) == ["quick"]
    gate.release.set()
    eventually(lambda: len(recorder.spans) == 2)
    assert outline(recorder.spans) == ["dspy.parallel", "  invoke_workflow Failing!"]


def test_the_same_pair_many_times_is_no_resubmission(recorder, plugin):
    """Each place has its run, in any order."""
    pair = (Echo(), {"question": "x"})
    dspy.Parallel(num_threads=4, **QUIET)([pair] * 20)
    assert outline(recorder.spans, MARK) == below("dspy.parallel", *["invoke_workflow Echo"] * 20)


def test_what_was_resubmitted_may_fan_out_itself(recorder, plugin):
    """The mark is the item's own, not of items further in."""
    gate = Gate()

    class Nest(dspy.Module):
        def forward(self, gate):
            gate.calls.append(1)
            if len(gate.calls) == 1:
                gate.release.wait(20)
            return dspy.Parallel(num_threads=1, **QUIET)([(Echo(), {"question": "x"})])

    dspy.Parallel(num_threads=2, timeout=0.2, **QUIET)([(Nest(), {"gate": gate})])
    gate.release.set()
    eventually(lambda: len(recorder.spans) == 7)
    marked = [span.name for span in recorder.spans if MARK in span.attributes]
    assert marked == ["invoke_workflow Nest"]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_context_is_in_the_items(threads, plugin):
    """Baggage, for instance; and the thread has its own again afterwards."""
    seen = []
    token = otel.attach(baggage.set_baggage("tenant", "a"))
    try:
        executor = ParallelExecutor(num_threads=threads, **QUIET)
        executor.execute(lambda _: seen.append(baggage.get_baggage("tenant")), ["x", "y"])
    finally:
        otel.detach(token)
    assert seen == ["a", "a"]


def test_suppression_reaches_the_items(recorder, plugin):
    """No span of the run, none of its items."""
    with suppress_instrumentation():
        dspy.Parallel(num_threads=2, **QUIET)([(Echo(), {"question": "x"})] * 3)
    assert recorder.spans == []


def test_unsampled():
    """Where nobody keeps spans everything works."""
    recorder = Recorder(ALWAYS_OFF)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        results = dspy.Parallel(num_threads=2, **QUIET)([(Echo(), {"question": "x"})])
    finally:
        plugin.uninstrument()
        recorder.close()
    assert [one.answer for one in results] == ["x"]
    assert recorder.spans == []


def test_no_frame_of_ours_stands_between_dspys(plugin):
    """A warning is attributed to the first frame outside of DSPy, which must not be ours."""
    homes = []

    def item(_):
        frame = sys._getframe(1)
        while frame is not None:
            homes.append(frame.f_globals["__name__"])
            frame = frame.f_back

    ParallelExecutor(num_threads=2, **QUIET).execute(item, ["x"])
    assert "dspy.utils.parallelizer" in homes
    assert not [name for name in homes if name.startswith("spanloom")]


class Lazy(collections.abc.Sequence):
    """Makes its items when it is asked for them, and counts."""

    def __init__(self):
        self.asked = 0

    def __len__(self):
        return 2

    def __getitem__(self, place):
        if place >= 2:
            raise IndexError(place)
        self.asked += 1
        return (Echo(), {"question": f"{place}"})


def test_a_lazy_sequence_is_read_by_dspy_alone(recorder, plugin):
    """Its size is not told; its items run as others do."""
    data = Lazy()
    results = dspy.Parallel(num_threads=2, **QUIET)(data)
    assert [one.answer for one in results] == ["0", "1"]
    assert data.asked == 2
    assert "dspy.parallel.size" not in recorder.named("dspy.parallel").attributes
    assert len(recorder.spans) == 3


def test_content_is_nowhere_on_the_run(recorder, plugin_with_content):
    """The run tells numbers; its failure's text is content, and is told only here."""
    with pytest.raises(Exception, match="cancelled"):
        dspy.Parallel(num_threads=1, max_errors=1, **QUIET)([(Echo(), examples(ValueError("secret"))[0])])
    span = recorder.named("dspy.parallel")
    assert span.status.description == "Execution cancelled due to errors or interruption."
    assert "secret" not in str(dict(span.attributes))


class Seen(BaseCallback):
    """What a user's callbacks see."""

    def __init__(self):
        self.names = []

    def on_module_start(self, call_id, instance, inputs):
        self.names.append((type(instance).__name__, sorted(inputs)))


def ran(capfd, caplog):
    """Results, what was printed and logged, what callbacks saw."""
    caplog.clear()
    seen = Seen()
    with dspy.context(callbacks=[seen], lm=DummyLM([{"answer": "a"}] * 9)):
        run = dspy.Parallel(num_threads=1, provide_traceback=True, return_failed_examples=True)
        pairs = [(Echo(), one) for one in examples("a", "b")]
        pairs += [(dspy.Predict("question -> answer"), examples("c")[0]), (Failing(), {"error": nested()})]
        results, failed, errors = run(pairs)
    bars = re.findall(r"Processed \d / \d examples: +\d+%", capfd.readouterr().out)
    logged = [re.sub(r"0x[0-9a-f]+", "", record.getMessage()) for record in caplog.records]
    return (
        [one and one.toDict() for one in results],
        str(failed),
        [str(one) for one in errors],
        bars,
        logged,
        seen.names,
    )


def nested():
    """An error from another one."""
    try:
        Echo()(question=KeyError("inner"))
    except KeyError as error:
        outer = ValueError("outer")
        outer.__cause__ = error
        return outer


@pytest.fixture
def logged(caplog):
    """DSPy's own logger does not propagate."""
    logger = logging.getLogger("dspy")
    before, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a bare raise restores the traceback that it was caught with")
def test_results_bars_logs_and_tracebacks_are_the_same(capfd, logged, recorder):
    """Without and with the plugin, the printed traceback too."""
    bare = ran(capfd, logged)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        observed = ran(capfd, logged)
    finally:
        plugin.uninstrument()
    assert observed == bare
    assert "Traceback" in str(bare[4])
    assert "inner" in str(bare[4])


def test_the_exception_itself_keeps_its_traceback(recorder, plugin):
    """Nothing is taken out where DSPy prints none."""
    run = dspy.Parallel(num_threads=1, return_failed_examples=True, **QUIET)
    _, _, (error,) = run([(Failing(), {"error": ValueError("x")})])
    files = []
    trace_ = error.__traceback__
    while trace_ is not None:
        files.append(trace_.tb_frame.f_code.co_filename)
        trace_ = trace_.tb_next
    assert any("spanloom" in name and "instrumentors" in name for name in files)


def test_the_function_keeps_its_names(plugin):
    """DSPy wraps what we give it, and so copies its names."""
    seen = []

    class Looking(ParallelExecutor):
        def _wrap_function(self, user_function):
            seen.append(user_function)
            return super()._wrap_function(user_function)

    def named_thing(item):
        """Says so."""
        return item

    assert Looking(num_threads=1, **QUIET).execute(named_thing, [1]) == [1]
    assert (seen[0].__name__, seen[0].__doc__) == ("named_thing", "Says so.")
    assert Looking(num_threads=1, **QUIET).execute(function=Echo(), data=[]) == []


def test_wrong_arguments_are_refused_as_before(plugin):
    """The same error of the same function."""
    with pytest.raises(TypeError, match=r"execute\(\) missing 1 required positional argument: 'data'"):
        ParallelExecutor(num_threads=1, **QUIET).execute(len)


def test_uninstrument_restores_and_a_wrapped_one_passes(recorder):
    """The original again; where somebody has wrapped ours, ours does nothing."""
    original = ParallelExecutor.execute
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    ours = ParallelExecutor.execute
    assert ours is not original
    plugin.uninstrument()
    assert ParallelExecutor.execute is original
    assert ours(ParallelExecutor(num_threads=1, **QUIET), len, ["ab"]) == [2]
    assert recorder.spans == []


@pytest.mark.parametrize(("choice", "count"), [("summary", 2), ("full", 4)])
def test_an_optimizers_runs_in_sum(choice, count, recorder, monkeypatch):
    """With `summary` nothing below the run is seen, but for its sums; outside of optimizers everything is."""
    monkeypatch.setenv("SPANLOOM_DSPY_OPTIMIZERS", choice)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    pairs = [(dspy.Predict("question -> answer"), {"question": "x"})]
    try:
        with dspy.context(lm=DummyLM([{"answer": "a"}] * 3)):
            around = compiling(recorder)
            with around:
                dspy.Parallel(num_threads=2, **QUIET)(pairs)
            around.stop()
            assert len(recorder.spans) == count
            sums = {span.name: span.attributes["spanloom.subtree.llm_calls"] for span in recorder.spans[:2]}
            assert sums == {"dspy.compile Test": 1, "dspy.parallel": 1}
            recorder.clear()
            dspy.Parallel(num_threads=2, **QUIET)(pairs)
            assert len(recorder.spans) == 3
    finally:
        plugin.uninstrument()


def test_many_items_leave_nothing_behind(recorder, plugin):
    """Spans of every thread end; each item is counted once."""
    started = time.monotonic()
    dspy.Parallel(num_threads=8, **QUIET)([(Echo(), {"question": number}) for number in range(200)])
    assert time.monotonic() - started < 30
    names = collections.Counter(span.name for span in recorder.spans)
    assert names == {"dspy.parallel": 1, "invoke_workflow Echo": 200}
