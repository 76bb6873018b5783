"""With and without the plugin: the same prompts, cache keys, results, exceptions, copies and saved programs."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import inspect
import pickle
import subprocess
import sys
import uuid
import warnings

import cloudpickle
import dspy
import pytest
from dspy.utils.callback import BaseCallback
from dspy.utils.dummies import DummyLM
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanloom.dspy import (
    DSPyInstrumentor,
    _agents,
    _attempts,
    _copies,
    _lm,
    _lm_request,
    _lm_result,
    _modules,
    _tools,
)
from spanloom.genai import _guard
from spanloom.openai import OpenAIInstrumentor
from spanloom.tools import tool
from tests._support.spans import normal, outline
from tests.dspy._programs import Failing, Outer, Pipe, add, agent, agent_lm, divide, later, step


def both(run, recorder):
    """What a program gives without and with the plugin (content on or off as the test has it)."""
    bare = run()
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        return bare, run()
    finally:
        plugin.uninstrument()


def prompts(lm):
    """Everything that was sent to an LM."""
    return [entry["messages"] for entry in lm.history]


def nested_failure(a: int, b: int) -> float:
    """Fails below several frames and from another exception."""

    def inner():
        try:
            return divide(a, b)
        except ZeroDivisionError as error:
            raise LookupError("outer") from error

    return inner()


@tool
def decorated(a: int, b: int) -> float:
    """Divides, and is recorded by a decorator."""
    return divide(a, b)


@pytest.mark.parametrize("function", [divide, nested_failure])
@pytest.mark.parametrize("content_on", [False, True])
def test_what_an_agent_reads_of_a_failing_tool_is_byte_identical(function, content_on, recorder, monkeypatch):
    """Our frames are in no prompt: the observations, and so every later prompt, are the same."""
    if content_on:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")

    def run():
        name = function.__name__
        lm = DummyLM([step(name, a=1, b=0), step(name, a="x", b=0), step("finish"), {"reasoning": "r", "answer": "a"}])
        with dspy.context(lm=lm):
            result = dspy.ReAct("question -> answer", tools=[function])(question="x")
        return result.toDict(), prompts(lm)

    bare, observed = both(run, recorder)
    assert observed == bare
    assert "ZeroDivisionError" in str(bare)


def test_a_decorated_tool_fails_as_a_bare_one(recorder):
    """The frames of the decorator are hidden, too, while the plugin is on."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with dspy.context(lm=DummyLM([step("decorated", a=1, b=0), step("finish"), {"reasoning": "r", "answer": "a"}])):
            seen = dspy.ReAct("question -> answer", tools=[decorated])(question="x").trajectory["observation_0"]
    finally:
        plugin.uninstrument()
    assert "spanloom" not in seen.replace(__file__, "")
    assert "ZeroDivisionError" in seen


def test_an_async_agent_reads_the_same(recorder):
    """The asynchronous loop."""

    async def fails(a: int) -> int:
        """Fails."""
        raise ValueError(f"no {a}")

    def run():
        lm = DummyLM([step("fails", a=1), step("finish"), {"reasoning": "r", "answer": "a"}])

        async def program():
            with dspy.context(lm=lm):
                return await dspy.ReAct("question -> answer", tools=[fails]).acall(question="x")

        return asyncio.run(program()).toDict(), prompts(lm)

    bare, observed = both(run, recorder)
    assert observed == bare


def test_the_traceback_that_the_application_gets_is_whole(recorder):
    """Hiding frames is for the prompt only: the exception has its own traceback afterwards."""
    import dspy.predict.react as react

    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        try:
            dspy.Tool(divide)(a=1, b=0)
        except ZeroDivisionError as error:
            before = error.__traceback__
            if hasattr(react, "format_error_for_lm"):
                text = react.format_error_for_lm(error, traceback_frames=5)
                assert react.format_error_for_lm(error=error, traceback_frames=5) == text
            else:  # DSPy 3.3
                text = react._fmt_exc(error)
                assert react._fmt_exc(err=error) == text
            assert error.__traceback__ is before
            assert "spanloom/dspy" not in text
    finally:
        plugin.uninstrument()


def test_prompts_cache_keys_and_saved_programs_are_identical(server, recorder, tmp_path, monkeypatch):
    """Of a nested program over the real LM; the cache that was filled without us answers with us."""
    question = f"Which river? {uuid.uuid4()}"
    keys: list[str] = []
    original = type(dspy.cache).cache_key

    def cache_key(self, *args, **kwargs):
        key = original(self, *args, **kwargs)
        keys.append(key)
        return key

    monkeypatch.setattr(type(dspy.cache), "cache_key", cache_key)

    def run():
        keys.clear()
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=True)
        program = Pipe()
        with dspy.context(lm=lm):
            answer = program(question=question).toDict()
        path = tmp_path / "program.json"
        program.save(path)
        return answer, prompts(lm), sorted(set(keys)), path.read_text()

    bare, observed = both(run, recorder)
    assert observed == bare
    assert len(server.ledger.entries) == len(bare[2]) > 0
    assert all(one.traceparent is None for one in server.ledger.entries)


def test_request_bytes_are_identical(server, recorder):
    """Sync and async, native engine."""

    def run():
        server.reset()
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=False)
        with dspy.context(lm=lm):
            dspy.ChainOfThought("question -> answer")(question="Which river?")

            async def program():
                return await dspy.Predict("question -> answer").acall(question="Which river?")

            asyncio.run(program())
        return [(one.raw_digest, one.traceparent) for one in server.ledger.entries]

    bare, observed = both(run, recorder)
    assert observed == bare


PATCHED = [
    (dspy.Module, "__call__"),
    (dspy.Module, "acall"),
    (dspy.BaseLM, "__call__"),
    (dspy.BaseLM, "acall"),
    (dspy.Tool, "__call__"),
    (dspy.Tool, "acall"),
]


@pytest.mark.parametrize(("owner", "name"), PATCHED, ids=lambda one: getattr(one, "__name__", one))
def test_the_methods_look_the_same(owner, name):
    """Signature, source, doc, kind; undone, the same object."""

    def look():
        function = vars(owner)[name]
        return (
            inspect.signature(function),
            inspect.getsource(function),
            function.__doc__,
            function.__qualname__,
            function.__module__,
            inspect.iscoroutinefunction(function),
            inspect.isfunction(function),
        )

    before, looks = vars(owner)[name], look()
    plugin = DSPyInstrumentor()
    plugin.instrument()
    assert vars(owner)[name] is not before
    assert look() == looks
    plugin.uninstrument()
    assert vars(owner)[name] is before


REACTS = [importlib.import_module(f"dspy.predict.{name}") for name in ("react", "react_v2")]


def test_functions_are_put_back():
    """In every module that has them."""
    import dspy.utils.parallelizer

    owners = [
        (dspy.utils.parallelizer.ParallelExecutor, "execute"),
        (sys.modules.get("dspy.clients.execution"), "finalize"),
        *((module, name) for module in REACTS for name in ("format_error_for_lm", "_fmt_exc")),
        *((dspy.BaseLM, name) for name in ("_process_lm_response", "_finalize_lm_response")),
    ]

    def now():
        return [getattr(owner, name) for owner, name in owners if hasattr(owner, name)]

    before = now()
    assert len(before) >= 4
    plugin = DSPyInstrumentor()
    plugin.instrument()
    assert all(one is not other for one, other in zip(now(), before, strict=True))
    plugin.uninstrument()
    assert all(one is other for one, other in zip(now(), before, strict=True))


def test_copies_pickles_and_loads(recorder, tmp_path):
    """Programs are copied, pickled, saved and loaded with the plugin on, and run without it (and the other way)."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        program = Outer()
        program.save(tmp_path / "state.json")
        texts = [cloudpickle.dumps(one) for one in (program, copy.deepcopy(program), program.deepcopy())]
        assert not any(b"spanloom" in text for text in texts)
    finally:
        plugin.uninstrument()
    for text in texts:
        again = pickle.loads(text)
        again.load(tmp_path / "state.json")
        answers = [{"reasoning": "r", "answer": "a"}, {"verdict": "v"}, {"verdict": "v"}, {"summary": "s"}]
        with dspy.context(lm=DummyLM(answers)):
            assert again(question="x").summary == "s"
    assert recorder.spans == []


def test_callbacks_still_come(recorder):
    """Configured, by context, or of one instance; `dspy.context(callbacks=...)` does not silence us."""

    class Listening(BaseCallback):
        def __init__(self):
            self.events: list[str] = []

        def on_module_start(self, call_id, instance, inputs):
            self.events.append(f"{type(instance).__name__} {sorted(inputs['kwargs'])}")

        def on_lm_end(self, call_id, outputs, exception):
            self.events.append("lm")

    def run():
        one = Listening()
        with dspy.context(lm=DummyLM([{"answer": "a"}]), callbacks=[one]):
            dspy.Predict("question -> answer")(question="x")
        return one.events

    bare, observed = both(run, recorder)
    assert observed == bare == ["Predict ['question']", "lm"]
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat dummy"]


def test_configure_stays_the_applications():
    """The first thread that configures owns the settings; that is not us."""
    code = """
import threading
from spanloom.dspy import DSPyInstrumentor
thread = threading.Thread(target=DSPyInstrumentor().instrument)
thread.start(); thread.join()
import dspy
from dspy.utils.dummies import DummyLM
dspy.configure(lm=DummyLM([{"answer": "a"}]))
print(dspy.Predict("question -> answer")(question="x").answer, dspy.settings.callbacks, dspy.settings.track_usage)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["a", "[]", "False"], done.stderr


def test_deprecation_warnings_are_attributed_to_the_application(recorder):
    """DSPy blames the first frame outside itself, which decides whether Python shows the warning."""
    from tests.dspy._programs import Legacy

    def run():
        with warnings.catch_warnings(record=True) as caught, dspy.context(lm=Legacy()):
            warnings.simplefilter("always")
            Legacy()("Hi")
            dspy.Predict("question -> answer")(question="x")
        return [(one.filename, str(one.message)[:40]) for one in caught]

    bare, observed = both(run, recorder)
    assert observed == bare
    assert bare or not hasattr(dspy, "lm15")  # DSPy 3.3 has no such warnings
    assert {name for name, _ in bare} <= {__file__}


class Odd(dspy.Module):
    """Everything that other instrumentors stumble over."""

    def __init__(self):
        super().__init__()
        self.numbers = list(range(5000))

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None

    @property
    def signature(self):
        raise RuntimeError("not for you")

    @property
    def demos(self):
        raise RuntimeError("not for you")

    def forward(this, value, self=None):
        return value


class Unprintable:
    """No text, no JSON."""

    def __repr__(self):
        raise RuntimeError("no text")


def test_odd_modules_and_inputs(recorder, content):
    """Unhashable, not comparable, `self` under another name, inputs without any text: all as without us."""
    value = Unprintable()

    def run():
        odd = Odd()
        outer = Outer()
        outer.odd = odd
        return odd(value), odd(value=value), asyncio.iscoroutinefunction(odd.forward)

    bare, observed = both(run, recorder)
    assert observed == bare == (value, value, False)
    assert len(recorder.spans) == 2


def test_positional_arguments_are_refused_as_before(recorder):
    """DSPy's own error, with its text."""

    def run():
        with pytest.raises(ValueError) as caught:
            dspy.Predict("question -> answer")("x")
        return str(caught.value)

    bare, observed = both(run, recorder)
    assert observed == bare


def test_a_generator_as_forward(recorder):
    """It is the application's to iterate."""

    class Streaming(dspy.Module):
        def forward(self):
            yield from (1, 2)

    bare, observed = both(lambda: list(Streaming()()), recorder)
    assert observed == bare == [1, 2]


def test_a_directly_called_forward_and_an_overridden_call(recorder):
    """Work as before; what goes past `Module.__call__` has no span of its own."""

    class Direct(dspy.Module):
        def __call__(self, value):
            return value + 1

        def forward(self, value):
            return value

    bare, observed = both(lambda: (Direct()(1), Direct().forward(1)), recorder)
    assert observed == bare == (2, 1)
    assert recorder.spans == []


def test_exceptions_keep_their_identity_and_context(recorder):
    """Cause, context and notes."""
    error = ValueError("mine")
    error.__cause__ = KeyError("why")

    def run():
        with pytest.raises(ValueError) as caught:
            Failing()(error=error)
        return caught.value is error, caught.value.__cause__, caught.value.__context__

    bare, observed = both(run, recorder)
    assert observed == bare


def test_tools_validate_and_convert_as_before(recorder):
    """Arguments, results, and the errors for wrong ones; async tools in sync calls."""

    def run():
        seen = [dspy.Tool(add)(a=1, b=2)]
        for arguments in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": "x", "b": 2}):
            with pytest.raises(Exception) as caught:
                dspy.Tool(add)(**arguments)
            seen.append((type(caught.value), str(caught.value)))
        try:
            dspy.Tool(later)(a=1)
        except ValueError as error:
            seen.append(str(error))
        gc.collect()
        with dspy.context(allow_tool_async_sync_conversion=True):
            seen.append(dspy.Tool(later)(a=1))
        return seen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bare, observed = both(run, recorder)
    assert observed == bare


# One inference, one tool execution, whoever else records.


def test_litellm_with_the_openai_plugin_is_one_model_call(server, recorder):
    """DSPy's fall-back engine uses the openai client underneath: that one steps aside."""
    openai_plugin = OpenAIInstrumentor()
    dspy_plugin = DSPyInstrumentor()
    openai_plugin.instrument(**recorder.providers)
    dspy_plugin.instrument(**recorder.providers)
    lm = dspy.LM(
        "openai/gpt-4o-mini",
        api_base=server.openai_base_url,
        api_key="key",
        cache=False,
        engine="litellm",
        num_retries=0,
    )
    try:
        with warnings.catch_warnings(), dspy.context(lm=lm):
            warnings.simplefilter("ignore")
            dspy.Predict("question -> answer")(question="Which river?")
    finally:
        openai_plugin.uninstrument()
        dspy_plugin.uninstrument()
    assert len(server.ledger.entries) == 1
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat gpt-4o-mini"]
    attributes = recorder.named("chat gpt-4o-mini").attributes
    assert attributes["gen_ai.usage.input_tokens"] == server.ledger.entries[0].input_tokens
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert recorder.named("chat gpt-4o-mini").instrumentation_scope.name == "spanloom.dspy"


def found(query: str) -> str:
    """Finds."""
    return query


class Shelf:
    """Tools as methods."""

    @tool
    def look(self, query: str) -> str:
        """Looks."""
        return query


@pytest.mark.parametrize(
    "make",
    [
        lambda: dspy.Tool(tool(found)),
        lambda: dspy.Tool(tool(found), name="lookup"),
        lambda: dspy.Tool(Shelf().look),
        lambda: dspy.Tool(Shelf().look, name="lookup"),
        lambda: dspy.Tool(lambda query: tool(found)(query), name="found", args={"query": {"type": "string"}}),
    ],
)
def test_a_decorated_function_in_a_dspy_tool_is_one_execution(make, recorder):
    """Under its own name, another name, as a method, behind a lambda."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    from spanloom.tools import ToolsInstrumentor

    tools = ToolsInstrumentor()
    tools.instrument(**recorder.providers)
    try:
        assert make()(query="x") == "x"
    finally:
        tools.uninstrument()
        plugin.uninstrument()
    assert len(recorder.spans) == 1
    assert recorder.span.instrumentation_scope.name == "spanloom.dspy"


def test_suppression(recorder):
    """Inside the official switch nothing is recorded, sync or async."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with suppress_instrumentation():
            with dspy.context(lm=agent_lm()):
                agent()(question="x")
            with dspy.context(lm=DummyLM([{"answer": "a"}])):
                asyncio.run(dspy.Predict("question -> answer").acall(question="x"))
    finally:
        plugin.uninstrument()
    assert recorder.spans == []


PLACES = [
    (_modules, "current"),
    (_modules, "Workflow"),
    (_agents, "LoopAgent"),
    (_copies, "path_below"),
    (_modules, "_add_details"),
    (_modules, "_outputs"),
    (_lm, "LMCall"),
    (_lm, "split_model"),
    (_lm, "read_settings"),
    (_lm_request, "input_messages"),
    (_lm_result, "current_call"),
    (_lm_result, "usage_of"),
    (_lm_result, "output_messages"),
    (_attempts, "current_call"),
    (_attempts, "engine_of"),
    (_tools, "ToolExecution"),
    (_tools, "enclosing_agent"),
]


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda one: str(getattr(one, "__name__", one)))
def test_faults_of_ours_stay_ours(module, name, recorder, content, monkeypatch):
    """Every extraction point may fail: same result, same prompts, nothing left attached."""

    def run():
        lm = agent_lm()
        with dspy.context(lm=lm):
            return agent()(question="x").toDict(), prompts(lm)

    bare = run()
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(module, name, lambda *_: 1 // 0)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert run() == bare
    finally:
        plugin.uninstrument()
    monkeypatch.undo()
    recorder.clear()


def test_a_fault_while_hiding_frames_gives_dspys_own_text(recorder, monkeypatch):
    """Then our frames are in it, which is better than no text."""
    from spanloom.dspy import _frames

    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_frames, "without_ours", lambda *_: 1 // 0)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with dspy.context(lm=agent_lm()):
            assert "ZeroDivisionError" in agent()(question="x").trajectory["observation_1"]
    finally:
        plugin.uninstrument()


def test_settings_of_a_predictor_are_not_recorded_as_inputs(recorder, content):
    """Among them may be keys."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        lm = DummyLM([{"answer": "a"}])
        dspy.Predict("question -> answer")(question="x", lm=lm, config={"user": "sk-secret"})
    finally:
        plugin.uninstrument()
    assert "sk-secret" not in str(normal(recorder.spans))
    assert recorder.spans[0].attributes["dspy.inputs"] == '{"question": "x"}'
