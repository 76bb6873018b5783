"""One trace a program run, through every thread, task and stream of DSPy's; every token on its own span."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import dspy
import numpy as np
import pytest
from dspy.teleprompt.avatar_optimizer import AvatarOptimizer
from dspy.teleprompt.gepa.gepa_utils import DspyAdapter
from dspy.utils.dummies import DummyLM
from dspy.utils.syncify import syncify
from dspy.utils.unbatchify import Unbatchify
from opentelemetry import trace

from spanloom.dspy import DSPyInstrumentor
from spanloom.dspy._threads import StandIn
from tests._support.spans import eventually, outline

# How long a batch waits for its last item; a batcher that is closed waits as long.
FULL_S = 1.0
QUIET = {"disable_progress_bar": True}
ASKED = ["invoke_workflow Predict", "  chat gpt-4o-mini"]


def vectors(texts: list[str]) -> np.ndarray:
    """A vector of three numbers for each."""
    return np.array([[1.0, len(text), text.count("e")] for text in texts], dtype=np.float32)


def questions(count: int) -> list[str]:
    """Each has another number of tokens, and says which one it is."""
    return [f"Number {index}: " + "river " * (3 * index + 1) for index in range(count)]


def examples(count: int) -> list[dspy.Example]:
    """The same as examples."""
    return [dspy.Example(question=one, answer="x").with_inputs("question") for one in questions(count)]


class AppSpan(trace.NonRecordingSpan):
    """A span of the application's own, in a trace of its own; it goes to no exporter of ours."""

    ids = itertools.count(1 << 40)

    def __init__(self) -> None:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        super().__init__(trace.SpanContext(next(self.ids), next(self.ids), is_remote=False, trace_flags=flags))
        self.links: list[Any] = []

    def add_link(self, context: Any, attributes: Any = None) -> None:
        self.links.append(context)


def under(call: Callable[[], Any], span: AppSpan | None = None) -> Any:
    """Call it inside a span of the application's."""
    with trace.use_span(span or AppSpan()):
        return call()


def lines(recorder) -> list[str]:
    """The tree, all of it in one trace."""
    assert len({span.context.trace_id for span in recorder.spans}) == 1
    return outline(recorder.spans)


def question_on(span: Any, attribute: str) -> set[str]:
    """Which of the questions a span is about."""
    text = span.attributes[attribute]
    return {word.partition(":")[0] for word in text.split("Number ")[1:]}


def check_tokens(recorder, server, count: int) -> None:
    """Every model call has the usage that the server told for its very response, below the module that asked it."""
    told = {one.response_id: (one.input_tokens, one.output_tokens) for one in server.ledger.entries}
    calls = [span for span in recorder.spans if span.name.startswith("chat ")]
    by_id = {span.context.span_id: span for span in recorder.spans}
    found = {
        span.attributes["gen_ai.response.id"]: tuple(
            span.attributes[f"gen_ai.usage.{side}_tokens"] for side in ("input", "output")
        )
        for span in calls
    }
    assert found == told
    assert len({given for given, _ in found.values()}) == len(calls) == count
    for span in calls:
        asked = question_on(span, "gen_ai.input.messages")
        assert len(asked) == 1
        assert question_on(by_id[span.parent.span_id], "dspy.inputs") == asked


# The pools that are ``ParallelExecutor``'s.


@pytest.mark.usefixtures("plugin_with_content")
@pytest.mark.parametrize("way", ["parallel", "batch", "evaluate"])
def test_eight_threads(way, lm, server, recorder):
    """Each call of a shared LM with a usage of its own."""
    predict = dspy.Predict("question -> answer")

    def run() -> Any:
        if way == "parallel":
            pairs = [(predict, one) for one in examples(24)]
            return dspy.Parallel(num_threads=8, **QUIET)(pairs)
        if way == "batch":
            return predict.batch(examples(24), num_threads=8, **QUIET)
        evaluate = dspy.Evaluate(devset=examples(24), metric=lambda *_: 1.0, num_threads=8, display_progress=False)
        return evaluate(predict)

    under(run)
    tree = lines(recorder)
    assert sum(line.strip() == "chat gpt-4o-mini" for line in tree) == 24
    assert sum(line.strip() == "invoke_workflow Predict" for line in tree) == 24
    check_tokens(recorder, server, 24)
    totals = [span.attributes.get("spanloom.subtree.input_tokens") for span in recorder.spans]
    assert sum(one.input_tokens for one in server.ledger.entries) in totals


# Tasks, and threads that DSPy copies the context into.


@pytest.mark.usefixtures("plugin_with_content")
def test_gather(lm, server, recorder):
    """Tasks in one loop."""

    async def run() -> None:
        predict = dspy.Predict("question -> answer")
        await asyncio.gather(*(predict.acall(question=one) for one in questions(8)))

    under(lambda: asyncio.run(run()))
    assert lines(recorder) == ASKED * 8
    check_tokens(recorder, server, 8)


@pytest.mark.usefixtures("plugin_with_content")
def test_asyncify(lm, server, recorder):
    """Worker threads of a loop."""

    async def run() -> None:
        predict = dspy.asyncify(dspy.Predict("question -> answer"))
        await asyncio.gather(*(predict(question=one) for one in questions(8)))

    under(lambda: asyncio.run(run()))
    assert lines(recorder) == ASKED * 8
    check_tokens(recorder, server, 8)


class Later(dspy.Module):
    """An async program."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    async def aforward(self, question: str) -> dspy.Prediction:
        return await self.predict.acall(question=question)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("in_place", [True, False])
def test_syncify(in_place, lm, recorder):
    """A loop inside a call. Without ``in_place`` DSPy calls ``aforward`` itself: the inner module is not called."""
    program = syncify(Later(), in_place=in_place)
    under(lambda: program(question="Which river?"))
    root = "Later" if in_place else "SyncWrapper"
    path = "predict" if in_place else "program.predict"
    assert lines(recorder) == [f"invoke_workflow {root}", f"  Predict {path}", "    chat gpt-4o-mini"]


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("is_async", [True, False])
def test_streamify_async(is_async, lm, recorder):
    """The program runs in a task, a sync one in a thread besides."""
    program = Later() if is_async else dspy.ChainOfThought("question -> answer")
    stream = dspy.streamify(program, is_async_program=is_async)

    async def run() -> list[Any]:
        return [chunk async for chunk in stream(question="Which river?")]

    chunks = under(lambda: asyncio.run(run()))
    assert isinstance(chunks[-1], dspy.Prediction)
    name = type(program).__name__
    assert lines(recorder) == [f"invoke_workflow {name}", "  Predict predict", "    chat gpt-4o-mini"]


@pytest.mark.usefixtures("plugin")
def test_streamify_sync(lm, recorder):
    """The whole loop runs in a thread."""
    stream = dspy.streamify(dspy.Predict("question -> answer"), async_streaming=False)
    chunks = under(lambda: list(stream(question="Which river?")))
    assert isinstance(chunks[-1], dspy.Prediction)
    assert lines(recorder) == ASKED


@pytest.mark.usefixtures("plugin")
@pytest.mark.skipif(not hasattr(dspy, "LocalInterpreter"), reason="DSPy 3.3 has none")
def test_rlm_asks_in_threads(recorder):
    """``llm_query_batched``, from code that runs in another process."""
    code = 'SUBMIT(" ".join(llm_query_batched(["a", "b", "c"])))'
    lm = DummyLM([{"reasoning": "I ask.", "code": f"```python\n{code}\n```"}])
    sub_lm = DummyLM([{"answer": "x"}] * 3)
    rlm = dspy.RLM("question -> answer", sub_lm=sub_lm, interpreter_factory=dspy.LocalInterpreter)
    with dspy.context(lm=lm):
        under(lambda: rlm(question="Which?"))
    tree = lines(recorder)
    assert tree[0] == "invoke_agent RLM"
    assert sum(line.strip().startswith("chat") for line in tree) == 4
    assert all(line.startswith("  ") for line in tree[1:])


@pytest.mark.usefixtures("plugin")
@pytest.mark.skipif(not hasattr(DspyAdapter, "batch_evaluate"), reason="DSPy 3.3 has none")
def test_gepa_evaluates_candidates_in_threads(lm, recorder):
    """``batch_evaluate``: a pool of pools."""
    predict = dspy.Predict("question -> answer")
    adapter = DspyAdapter(predict, lambda *_, **__: 1.0, {}, num_threads=4)
    items = [({"self": f"Answer {index}."}, examples(3)) for index in range(2)]
    under(lambda: adapter.batch_evaluate(items, capture_traces=False))
    assert sum(line.strip().startswith("chat") for line in lines(recorder)) == 6


# An optimizer's pool that nobody copies the context into.


def avatar_optimizer(metric: Callable[..., Any]) -> AvatarOptimizer:
    """Its ``__init__`` wants ``dspy.TypedPredictor``, which is gone."""
    one = AvatarOptimizer.__new__(AvatarOptimizer)
    one.metric = metric
    return one


@pytest.mark.usefixtures("plugin")
def test_avatar_optimizer(lm, recorder):
    """Its evaluations are below whoever runs it; scores and results are its own."""
    one, predict = avatar_optimizer(lambda *_: 1), dspy.Predict("question -> answer")
    # Its pool does not get the settings of ``dspy.context`` either.
    predict.set_lm(lm)
    devset = examples(6)
    score, results = under(lambda: one.thread_safe_evaluator(devset, predict, return_outputs=True, num_threads=3))
    assert score == 1
    assert [example for example, _, _ in results] == devset
    assert lines(recorder) == ASKED * 6
    assert vars(one) == {"metric": one.metric}


@pytest.mark.usefixtures("plugin")
def test_a_subclass_of_the_avatar_optimizer(recorder):
    """Its own ``process_example`` is the one that is called, with its own ``self``."""
    seen = []

    class Mine(AvatarOptimizer):
        def __init__(self) -> None:
            """Needs nothing."""

        def process_example(self, actor: Any, example: Any, return_outputs: bool) -> Any:
            seen.append((self, trace.get_current_span().get_span_context()))
            return 0.5

    one = Mine()
    with trace.use_span(AppSpan()) as span:
        assert one.thread_safe_evaluator([1, 2], None, num_threads=2) == 0.5
    assert seen == [(one, span.get_span_context())] * 2


# Batches.


@pytest.fixture
def make() -> Iterator[Callable[..., Unbatchify]]:
    """Makes batchers, and closes them."""
    made: list[Unbatchify] = []

    def one(*args: Any, **settings: Any) -> Unbatchify:
        made.append(Unbatchify(*args, **settings))
        return made[-1]

    yield one
    for each in made:
        each.close()


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Each call in a thread of its own; results or exceptions in their order."""
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            results[place] = call()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


class Rag(dspy.Module):
    """Searches in texts."""

    def __init__(self, embedder: Any, size: int, wait_s: float) -> None:
        super().__init__()
        self.search = dspy.Embeddings(corpus=["sea", "lake", "pond"], embedder=embedder, k=1)
        self.search.search_fn.close()
        self.search.search_fn = Unbatchify(self.search._batch_forward, size, wait_s)

    def forward(self, query: str) -> dspy.Prediction:
        return self.search(query)


@pytest.mark.usefixtures("plugin")
def test_a_search_by_vectors(recorder):
    """Its embedder runs in the batch's thread, below the search."""
    program = Rag(dspy.Embedder(vectors, caching=False), 32, 0.05)
    recorder.clear()
    program(query="sea")
    program.search.search_fn.close()
    assert lines(recorder) == ["invoke_workflow Rag", "  retrieval", "    dspy.embedder"]


@pytest.mark.usefixtures("plugin")
def test_a_shared_batch(recorder):
    """It is the first caller's; the others' searches and what runs in the batch link to each other."""
    program = Rag(dspy.Embedder(vectors, caching=False), 3, FULL_S)
    recorder.clear()
    results = in_threads(*(lambda text=text: program(query=text) for text in ("sea", "lake", "pond")))
    program.search.search_fn.close()
    assert [len(one.passages) for one in results] == [1, 1, 1]
    (embedder,) = [span for span in recorder.spans if span.name == "dspy.embedder"]
    searches = [span for span in recorder.spans if span.name == "retrieval"]
    (first,) = [span for span in searches if span.context.span_id == embedder.parent.span_id]
    others = [span for span in searches if span is not first]
    assert len(others) == 2
    assert {link.context.span_id for link in embedder.links} == {span.context.span_id for span in others}
    assert embedder.context.trace_id == first.context.trace_id
    assert not first.links
    for one in others:
        assert [link.context.span_id for link in one.links] == [first.context.span_id]
    assert len({span.context.trace_id for span in recorder.spans}) == 3


@pytest.mark.usefixtures("plugin")
def test_a_batch_of_a_hosted_model(server, recorder):
    """Its span links, too; each token is billed once."""
    embedder = dspy.Embedder(
        "openai/text-embedding-3-small", caching=False, api_base=server.openai_base_url, api_key="key", dimensions=8
    )
    program = Rag(embedder, 2, FULL_S)
    recorder.clear()
    server.reset()
    in_threads(lambda: program(query="sea"), lambda: program(query="lake"))
    program.search.search_fn.close()
    call = recorder.named("embeddings text-embedding-3-small")
    assert len(call.links) == 1
    assert call.attributes["gen_ai.usage.input_tokens"] == server.ledger.entries[0].input_tokens
    roots = [span for span in recorder.spans if span.parent is None]
    assert [span.name for span in roots] == ["invoke_workflow Rag"] * 2
    sums = [span.attributes.get("spanloom.subtree.input_tokens", 0) for span in roots]
    assert sum(sums) == server.ledger.entries[0].input_tokens


def test_the_application_sees_what_it_gave(make, recorder, plugin):
    """The batch function and its items are the very objects, the queue's items are pairs."""
    got: list[list[Any]] = []

    def batch(items: list[Any]) -> list[Any]:
        got.append(items)
        return [(item, trace.get_current_span()) for item in items]

    one = make(batch, 2, FULL_S)
    items = [object(), {"a": 1}]
    with trace.use_span(AppSpan()) as span:
        contexts = [contextvars.copy_context() for _ in items]
        results = in_threads(
            *(
                lambda context=context, item=item: context.run(one, item)
                for context, item in zip(contexts, items, strict=True)
            )
        )
    assert one.batch_fn is batch
    assert type(one.input_queue).__name__ == "Queue"
    assert [type(each) for each in got] == [list]
    assert all(any(item is each for each in got[0]) for item in items)
    assert [found for found, _ in results] == items
    # Two threads of one span: its batch, and nothing to link.
    assert all(found is span for _, found in results)
    assert not span.links


def test_a_batch_of_the_applications_spans(make, recorder, plugin):
    """What runs in it links to them; they get no link from us."""

    def batch(items: list[str]) -> list[Any]:
        return list(dspy.Embedder(vectors, caching=False)(items))

    one = make(batch, 2, FULL_S)
    app = [AppSpan(), AppSpan()]
    in_threads(*(lambda span=span: under(lambda: one("sea"), span) for span in app))
    embedder = recorder.span
    (other,) = [one for span in app if (one := span.get_span_context()).span_id != embedder.parent.span_id]
    assert [link.context.span_id for link in embedder.links] == [other.span_id]
    assert not any(span.links for span in app)


def test_callers_without_a_span(make, recorder, plugin):
    """They have no part in a batch's context; alone, their batch has none, whatever was before."""
    one = make(lambda items: [trace.get_current_span().get_span_context()] * len(items), 2, FULL_S)
    with trace.use_span(AppSpan()) as span:
        inside = contextvars.copy_context()
    assert in_threads(lambda: one("a"), lambda: inside.run(one, "b")) == [span.get_span_context()] * 2
    assert not any(found.is_valid for found in in_threads(lambda: one("c"), lambda: one("d")))


def test_a_batch_that_fails(make, recorder, plugin):
    """Each caller gets the very exception; the next batch runs in its own context."""
    error = LookupError("x")

    def batch(items: list[Any]) -> list[Any]:
        if "bad" in items:
            raise error
        return [trace.get_current_span().get_span_context()] * len(items)

    one = make(batch, 32, 0.01)
    with trace.use_span(AppSpan()), pytest.raises(LookupError) as caught:
        one("bad")
    assert caught.value is error
    assert not one("good").is_valid


def test_one_that_is_closed(make, recorder, plugin):
    """Who waits is told so."""
    started, release = threading.Event(), threading.Event()

    def batch(items: list[Any]) -> list[Any]:
        started.set()
        release.wait(20)
        return items

    one = make(batch, 1, 0.01)

    def second() -> Any:
        started.wait(20)
        return under(lambda: one("b"))

    def stop() -> None:
        started.wait(20)
        eventually(lambda: one.input_queue.qsize() == 1)
        one.stop_event.set()
        release.set()

    first, late, _ = in_threads(lambda: under(lambda: one("a")), second, stop)
    assert first == "a"
    assert isinstance(late, RuntimeError)
    assert str(late) == "Unbatchify is closed"


def test_one_that_is_older_than_the_plugin(make, recorder):
    """It goes on as before, without a context; and one that is younger goes on after the plugin has gone."""

    def batch(items: list[Any]) -> list[Any]:
        return [trace.get_current_span().get_span_context().is_valid for _ in items]

    older = make(batch, 32, 0.01)
    plugin = DSPyInstrumentor()
    originals = Unbatchify.__call__, Unbatchify._worker
    plugin.instrument(**recorder.providers)
    try:
        younger = make(batch, 32, 0.01)
        with trace.use_span(AppSpan()):
            assert (older("a"), younger("a")) == (False, True)
    finally:
        plugin.uninstrument()
    assert (Unbatchify.__call__, Unbatchify._worker) == originals
    with trace.use_span(AppSpan()):
        assert (older("a"), younger("a")) == (False, False)


@pytest.mark.usefixtures("plugin")
def test_a_subclass(make, recorder):
    """With a batch function and a call of its own."""

    class Mine(Unbatchify):
        def __init__(self) -> None:
            super().__init__(None, 32, 0.01)
            del self.batch_fn

        def batch_fn(self, items: list[str]) -> list[Any]:
            return [(item, trace.get_current_span().get_span_context()) for item in items]

        def __call__(self, item: str, times: int = 1) -> Any:
            return super().__call__(item * times)

    one = Mine()
    with trace.use_span(AppSpan()) as span:
        assert one("ab", times=2) == ("abab", span.get_span_context())
        assert one(item="c") == ("c", span.get_span_context())
    one.close()


def test_a_stand_in_is_its_object_but_for_what_is_seen():
    """Whatever is set goes to the object."""
    real = SimpleNamespace(a=1, b=2)
    one = StandIn(real, {"a": lambda value: value + 10})
    assert (one.a, one.b) == (11, 2)
    one.a, one.c = 5, 6
    assert vars(real) == {"a": 5, "b": 2, "c": 6}
    assert one.a == 15
    with pytest.raises(AttributeError, match="no attribute 'd'"):
        _ = one.d


# Threads of the application's own.


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("copied", [True, False])
def test_a_thread_of_the_applications(copied, lm, recorder):
    """With a copy of the context it is the program's; a bare one is a program run of its own."""

    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predict = dspy.Predict("question -> answer")

        def forward(self, question: str) -> str:
            settings = dspy.settings.lm
            context = contextvars.copy_context() if copied else contextvars.Context()

            def work() -> None:
                with dspy.context(lm=settings):
                    self.predict(question=question)

            thread = threading.Thread(target=context.run, args=(work,))
            thread.start()
            thread.join(20)
            return "done"

    Program()(question="Which river?")
    traces = len({span.context.trace_id for span in recorder.spans})
    if copied:
        assert traces == 1
        assert outline(recorder.spans)[1:] == ["  Predict predict", "    chat gpt-4o-mini"]
    else:
        assert traces == 2
        assert outline(recorder.spans) == ["invoke_workflow Program", *ASKED]
