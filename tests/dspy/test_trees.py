"""Golden trees of DSPy programs: names, paths, parents, errors; every token on its own span."""

from __future__ import annotations

import asyncio
import gc
import json
import uuid
from pathlib import Path

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from tests._support.snapshot import check_snapshot
from tests._support.spans import normal, outline
from tests.dspy._programs import Failing, Legacy, Outer, Pipe, add, agent, agent_lm, later, step

SNAPSHOTS = Path(__file__).parent / "snapshots"
pytestmark = pytest.mark.usefixtures("plugin")
PIPE = [
    "ChainOfThought draft",
    "  Predict draft.predict",
    "    chat gpt-4o-mini",
    "Predict checks[0]",
    "  chat gpt-4o-mini",
    "Predict checks[1]",
    "  chat gpt-4o-mini",
    "Predict named[final]",
    "  chat gpt-4o-mini",
]


def below(root, *lines):
    """Lines under a root."""
    return [root, *(f"  {line}" for line in lines)]


def told(server):
    """Tokens that the server reported."""
    entries = server.ledger.entries
    return sum(one.input_tokens or 0 for one in entries), sum(one.output_tokens or 0 for one in entries)


def tokens(spans):
    """Tokens on model calls."""
    return tuple(
        sum(span.attributes.get(f"gen_ai.usage.{side}_tokens", 0) for span in spans) for side in ("input", "output")
    )


def test_chain_of_thought(lm, server, recorder):
    """A module that is a program of its own."""
    dspy.ChainOfThought("question -> answer")(question="Which river?")
    assert outline(recorder.spans) == below("invoke_workflow ChainOfThought", "Predict predict", "  chat gpt-4o-mini")
    assert tokens(recorder.spans) == told(server)
    assert told(server)[0] > 0


def test_the_content_switch_is_read_when_the_plugin_starts(lm, plugin, recorder, content):
    """Set later it changes nothing."""
    dspy.ChainOfThought("question -> answer")(question="Which river?")
    assert "Which river" not in str(normal(recorder.spans))


def test_predictors_in_attributes_lists_and_dicts(lm, server, recorder):
    """Paths as DSPy names them, below the program."""
    Pipe()(question="Which river?")
    assert outline(recorder.spans) == below("invoke_workflow Pipe", *PIPE)
    root = recorder.named("invoke_workflow Pipe")
    assert root.attributes["spanloom.subtree.llm_calls"] == 4
    sums = (root.attributes["spanloom.subtree.input_tokens"], root.attributes["spanloom.subtree.output_tokens"])
    assert sums == tokens(recorder.spans) == told(server)


def test_a_program_in_a_program(lm, recorder):
    """One workflow; paths start at the outermost program."""
    Outer()(question="Which river?")
    lines = [line.replace(" draft", " pipe.draft").replace(" checks", " pipe.checks") for line in PIPE]
    lines = [line.replace(" named", " pipe.named") for line in lines]
    assert outline(recorder.spans) == below("invoke_workflow Outer", *below("Pipe pipe", *lines))


def test_paths_are_dspys_own_names(lm, recorder):
    """The same as `named_sub_modules` gives."""
    program = Outer()
    program(question="Which river?")
    known = {path.removeprefix("self.") for path, _ in program.named_sub_modules()} - {"self"}
    seen = {span.attributes["dspy.module.path"] for span in recorder.spans if "dspy.module.path" in span.attributes}
    assert seen == known


async def acall(program, **inputs):
    """One asynchronous call."""
    return await program.acall(**inputs)


def test_async(lm, server, recorder):
    """The same tree."""
    asyncio.run(acall(Pipe(), question="Which river?"))
    assert outline(recorder.spans) == below("invoke_workflow Pipe", *PIPE)
    assert tokens(recorder.spans) == told(server)


def test_async_programs_at_once(lm, recorder):
    """Three at once are three trees."""

    async def program():
        pipe = Pipe()
        await asyncio.gather(*(pipe.acall(question=f"River {number}?") for number in range(3)))

    asyncio.run(program())
    roots = [line for line in outline(recorder.spans) if not line.startswith(" ")]
    assert roots == ["invoke_workflow Pipe"] * 3
    assert len({span.context.trace_id for span in recorder.spans}) == 3
    assert len(recorder.spans) == 30


REACT = [
    "Predict react",
    "  chat dummy",
    "execute_tool add",
    "Predict react",
    "  chat dummy",
    "execute_tool divide!",
    "Predict react",
    "  chat dummy",
    "ChainOfThought extract",
    "  Predict extract.predict",
    "    chat dummy",
]


def test_react_with_a_failing_tool(recorder):
    """The tool is ERROR, the agent is not; its own `finish` is no tool of the application's."""
    with dspy.context(lm=agent_lm()):
        assert agent()(question="x").answer == "3"
    assert outline(recorder.spans) == below("invoke_agent ReAct", *REACT)
    divide = recorder.named("execute_tool divide")
    assert divide.attributes["error.type"] == "ZeroDivisionError"
    assert divide.attributes["gen_ai.tool.description"] == "Divides two numbers."
    assert divide.attributes["gen_ai.agent.name"] == "ReAct"


def test_react_in_async_code_with_an_async_tool(recorder):
    """Sync and async tools."""
    steps = [step("later", a=5), step("add", a=1, b=2), step("finish"), {"reasoning": "r", "answer": "5"}]
    with dspy.context(lm=DummyLM(steps)):
        asyncio.run(acall(dspy.ReAct("question -> answer", tools=[later, add]), question="x"))
    tools = [span.name for span in recorder.spans if span.name.startswith("execute_tool")]
    assert tools == ["execute_tool later", "execute_tool add"]


def test_an_agent_in_a_program_has_a_path(recorder):
    """And is an agent, by class or by subclass."""

    class Mine(dspy.ReAct):
        """An agent of the application's own."""

    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.helper = Mine("question -> answer", tools=[add])

        def forward(self, question):
            return self.helper(question=question)

    with dspy.context(lm=DummyLM([step("finish"), {"reasoning": "r", "answer": "5"}])):
        Program()(question="x")
    assert outline(recorder.spans)[:2] == ["invoke_workflow Program", "  invoke_agent Mine"]
    assert recorder.named("invoke_agent Mine").attributes["dspy.module.path"] == "helper"


def test_a_tool_named_finish_that_is_the_applications_own(recorder):
    """Only an agent's own closing tool is left out."""
    dspy.Tool(lambda: 1, name="finish")()
    assert outline(recorder.spans) == ["execute_tool finish"]


def test_a_module_that_a_tool_calls_is_below_the_tool(recorder):
    """And is named by its path in the program around the agent."""

    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.search = dspy.Predict("query -> hits")
            self.agent = dspy.ReAct("question -> answer", tools=[self.find])

        def find(self, query: str) -> str:
            """Finds."""
            return self.search(query=query).hits

        def forward(self, question):
            return self.agent(question=question)

    steps = [step("find", query="q"), {"hits": "h"}, step("finish"), {"reasoning": "r", "answer": "a"}]
    with dspy.context(lm=DummyLM(steps)):
        Program()(question="x")
    lines = outline(recorder.spans)
    place = lines.index("    execute_tool find")
    assert lines[place + 1 : place + 3] == ["      Predict search", "        chat dummy"]


@pytest.mark.parametrize("threads", [1, 4])
def test_parallel_and_batch_are_one_trace(threads, lm, server, recorder):
    """Worker threads have the caller's context; each item's tokens are its own."""

    class Fan(dspy.Module):
        def __init__(self):
            super().__init__()
            self.one = dspy.Predict("question -> answer")

        def forward(self, number):
            pairs = [(self.one, {"question": f"River {at}? " + "word " * at}) for at in range(number)]
            parallel = dspy.Parallel(num_threads=threads, disable_progress_bar=True)
            return parallel(pairs)

    assert len(Fan()(number=6)) == 6
    fan = below("dspy.parallel", *["Predict one", "  chat gpt-4o-mini"] * 6)
    assert outline(recorder.spans) == below("invoke_workflow Fan", *fan)
    by_id = {one.response_id: one.input_tokens for one in server.ledger.entries}
    for span in recorder.spans:
        if span.name.startswith("chat"):
            response = span.attributes["gen_ai.response.id"]
            assert span.attributes["gen_ai.usage.input_tokens"] == by_id.pop(response)
    recorder.clear()
    examples = [dspy.Example(question=f"q{at}").with_inputs("question") for at in range(4)]
    dspy.Predict("question -> answer").batch(examples, num_threads=threads, disable_progress_bar=True)
    assert outline(recorder.spans) == below("dspy.parallel", *["invoke_workflow Predict", "  chat gpt-4o-mini"] * 4)


def test_evaluate_under_one_root(lm, recorder):
    """Its threads, too, hang below what surrounds it."""
    devset = [dspy.Example(question=f"q{at}", answer="a").with_inputs("question") for at in range(4)]
    evaluate = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=2, display_progress=False)
    with recorder.tracer_provider.get_tracer("theirs").start_as_current_span("evaluation"):
        evaluate(dspy.Predict("question -> answer"))
    assert len({span.context.trace_id for span in recorder.spans}) == 1
    assert outline(recorder.spans)[0] == "evaluation"
    assert len(recorder.spans) == 14
    spans = recorder.spans
    recorder.clear()
    assert all(span.parent for span in spans if span.name != "evaluation")


def test_a_cache_hit_is_marked_and_costs_nothing(server, recorder):
    """Stored usage was paid for by the first call."""
    question = f"Which river? {uuid.uuid4()}"
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=True)
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        answers = [program(question=question).answer for _ in range(3)]
    assert len(set(answers)) == 1
    assert len(server.ledger.entries) == 1
    calls = [span for span in recorder.spans if span.name.startswith("chat")]
    assert [span.attributes.get("dspy.cache.hit") for span in calls] == [None, True, True]
    assert tokens(recorder.spans) == told(server)
    assert not any(name.startswith("gen_ai.usage") for span in calls[1:] for name in span.attributes)
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == told(server)[0]
    points = recorder.points("gen_ai.client.inference.duration")
    assert {point.attributes.get("dspy.cache.hit"): point.count for point in points} == {None: 1, True: 2}
    roots = [span for span in recorder.spans if span.parent is None]
    assert [span.attributes.get("spanloom.subtree.cache_hits") for span in roots] == [None, 1, 1]


def test_dummy_lm(recorder):
    """No provider that anybody knows; the class is told."""
    with dspy.context(lm=DummyLM([{"answer": "red"}])):
        dspy.Predict("question -> answer")(question="x")
    attributes = recorder.named("chat dummy").attributes
    assert attributes["dspy.lm.class"] == "DummyLM"
    assert "gen_ai.provider.name" not in attributes


@pytest.mark.filterwarnings("ignore:Implementing custom LMs:DeprecationWarning")
def test_an_lm_of_the_applications_own(recorder):
    """Usage, model and finish reason from what its `forward` gave back."""
    with dspy.context(lm=Legacy(temperature=0.2)):
        assert dspy.Predict("question -> answer")(question="x").answer == "blue"
    attributes = recorder.named("chat house/model-1").attributes
    assert attributes["dspy.lm.class"] == "Legacy"
    assert attributes["gen_ai.usage.input_tokens"] == 11
    assert attributes["gen_ai.usage.output_tokens"] == 7
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.model"] == "model-1-turbo"
    assert attributes["gen_ai.request.temperature"] == 0.2


@pytest.mark.filterwarnings("ignore:Implementing custom LMs:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Passing OpenAI-style:DeprecationWarning")
def test_an_lm_that_calls_another_is_one_model_call(lm, server, recorder):
    """The outer one is recorded; what the inner one reported stands for both where the outer one reports nothing."""

    class Router(dspy.BaseLM):
        """Sends everything to another LM."""

        def __init__(self):
            super().__init__("router")

        def forward(self, prompt=None, messages=None, **kwargs):
            lm(prompt, messages=messages)
            answer = Legacy().forward()
            answer.usage = None
            return answer

    with dspy.context(lm=Router()):
        dspy.Predict("question -> answer")(question="x")
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat router"]
    assert tokens(recorder.spans) == told(server)
    assert recorder.spans[0].attributes["spanloom.subtree.llm_calls"] == 1


@pytest.mark.filterwarnings("ignore:Passing OpenAI-style:DeprecationWarning")
def test_a_typed_request_and_a_bare_prompt(lm, recorder):
    """An LM may be called without any module."""
    lm("Which river?")
    lm(messages=[{"role": "user", "content": "Which river?"}])
    requests = [] if not hasattr(dspy, "lm15") else [dspy.lm15.Request(lm.model, (dspy.lm15.Message.user("Hi"),))]
    for request in requests:
        assert lm(request).id.startswith("chatcmpl-")
    assert outline(recorder.spans) == ["chat gpt-4o-mini"] * (2 + len(requests))


def test_two_candidates(lm, server, recorder):
    """n=2 is two requests of DSPy's engine, and one model call."""
    assert len(lm("Which river?", n=2)) == 2
    assert recorder.span.attributes["gen_ai.request.choice.count"] == 2
    assert recorder.span.attributes["gen_ai.response.finish_reasons"] == ("stop", "stop")
    # Of two answers neither id is the call's; LiteLLM, the engine of DSPy 3.3, makes one answer of them.
    assert ("gen_ai.response.id" in recorder.span.attributes) is (len(server.ledger.entries) == 1)
    assert tokens(recorder.spans) == told(server)


def test_retries_are_one_call(server, recorder):
    """DSPy's own, inside one call of the LM."""
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="k", cache=False, num_retries=2)
    lm("Hi [[error:429:times=1:retry_after=0.01]]")
    assert [one.status for one in server.ledger.entries] == [429, 200]
    assert outline(recorder.spans) == ["chat gpt-4o-mini"]


def test_a_model_that_fails(lm, recorder):
    """Every span that the exception passed is ERROR."""
    with pytest.raises(Exception) as caught:
        Outer()(question="Hi [[error:400]]")
    assert outline(recorder.spans) == [
        "invoke_workflow Outer!",
        "  Pipe pipe!",
        "    ChainOfThought pipe.draft!",
        "      Predict pipe.draft.predict!",
        *[f"        {name}" for name in [span.name + "!" for span in recorder.spans if span.name.startswith("chat")]],
    ]
    kind = type(caught.value)
    for span in recorder.spans:
        assert span.attributes["error.type"] == f"{kind.__module__}.{kind.__qualname__}"
    assert recorder.spans[0].attributes["spanloom.subtree.llm_calls"] >= 1


def test_an_answer_that_cannot_be_parsed(recorder):
    """The model calls went well; the predictor is ERROR."""
    with dspy.context(lm=DummyLM([{"other": "x"}] * 4)), pytest.raises(dspy.utils.exceptions.AdapterParseError):
        dspy.Predict("question -> number: int")(question="x")
    assert outline(recorder.spans) == ["invoke_workflow Predict!", "  chat dummy", "  chat dummy"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(2), asyncio.CancelledError()])
def test_exceptions_of_the_application_pass_unchanged(error, recorder):
    """The very object, base exceptions too."""
    with pytest.raises(type(error)) as caught:
        Failing()(error=error)
    assert caught.value is error
    assert recorder.span.status.status_code.name == "ERROR"


def test_signature_and_demos(lm, recorder):
    """What is asked for, and how many examples are shown."""
    predict = dspy.Predict("question, context -> answer, score: float")
    predict.demos = [dspy.Example(question="q", context="c", answer="a", score=1.0)]
    predict(question="x", context="y")
    attributes = recorder.spans[0].attributes
    assert attributes["dspy.signature"] == "question, context -> answer, score"
    assert attributes["dspy.demos.count"] == 1
    assert attributes["dspy.module"] == "Predict"


def test_whole_spans(content, server, recorder, plugin):
    """An agent in a program with content on, every attribute, against a file."""
    plugin.uninstrument()
    plugin.instrument(**recorder.providers)

    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.agent = agent()
            self.tell = dspy.Predict("answer -> story")

        def forward(self, question):
            return self.tell(answer=self.agent(question=question).answer)

    lm = dspy.LM(
        "openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="k", cache=False, temperature=0.3, max_tokens=500
    )
    with dspy.context(lm=lm):
        Program()(question="add 1 and 2")
    check_snapshot(SNAPSHOTS / "program.json", trimmed(normal(recorder.spans)))


def trimmed(spans):
    """Prompts are DSPy's, and long: their roles and sizes are not ours to pin, so only the first words are kept."""
    for span in spans:
        attributes = span["attributes"]
        for name in ("gen_ai.input.messages", "gen_ai.system_instructions"):
            if name in attributes:
                text = json.dumps(attributes[name])
                attributes[name] = json.loads(text, object_hook=cut)
        for name in list(attributes):
            if name.startswith(("gen_ai.usage", "spanloom.subtree")) or name == "gen_ai.response.id":
                attributes[name] = f"<{type(attributes[name]).__name__}>"
    return spans


def cut(row):
    """The first words of a text part."""
    return {key: value[:24] if key == "content" else value for key, value in row.items()}


def test_content_of_modules_and_tools(content, recorder, plugin):
    """Inputs, outputs, arguments and results; off they are nowhere."""
    for switched, expected in ((True, True), (False, False)):
        plugin.uninstrument()
        with pytest.MonkeyPatch.context() as patch:
            if not switched:
                patch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
            plugin.instrument(**recorder.providers)
        with dspy.context(lm=agent_lm()):
            agent()(question="secret question")
        assert ("secret question" in str(normal(recorder.spans))) is expected
        if switched:
            root = recorder.spans[0].attributes
            assert json.loads(root["dspy.inputs"]) == {"question": "secret question"}
            assert json.loads(root["dspy.outputs"])["answer"] == "3"
            tool = recorder.named("execute_tool add").attributes
            assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"a": 1, "b": 2}
            assert tool["gen_ai.tool.call.result"] == "3"
        recorder.clear()


def test_nothing_is_kept_of_a_program_that_is_gone(lm, recorder):
    """Paths and signatures are let go with their objects."""
    from spanloom.dspy import _paths

    gc.collect()
    before = len(_paths._known)
    for _ in range(5):
        Pipe()(question="Which river?")
    gc.collect()
    # The last program may still be DSPy's own.
    assert len(_paths._known) <= before + 1
