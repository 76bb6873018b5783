"""Code that a model wrote: one span an execution, and below it what the code calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import sys
import warnings
from pathlib import Path

import dspy
import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.primitives.python_interpreter import PythonInterpreter
from dspy.utils.dummies import DummyLM
from opentelemetry.instrumentation.utils import suppress_instrumentation

import spanloom.tools
from spanloom.dspy import DSPyInstrumentor, _interpreters
from spanloom.genai import Telemetry, _guard
from tests._support.spans import normal, outline
from tests.dspy._programs import add, divide, later

SANDBOX = [sys.executable, str(Path(__file__).with_name("_sandbox.py"))]
IS_OLD = not hasattr(PythonInterpreter, "invoke_tool")
KIND = "dspy.interpreter"


class Sandbox(PythonInterpreter):
    """DSPy's own, over a process that stands for Deno."""

    def __init__(self, **kwargs):
        super().__init__(deno_command=SANDBOX, **kwargs)

    def shutdown(self):
        process = self.deno_process
        super().shutdown()
        for stream in (process.stdout, process.stderr, process.stdin) if process else ():
            stream.close()


class House:
    """An interpreter of the application's own, by DSPy's protocol alone."""

    def __init__(self):
        self.tools = {}
        self.scope = {}

    def start(self):
        """Nothing to do."""

    def shutdown(self):
        """Nothing to do."""

    def execute(self, code, variables=None):
        """In this process."""
        self.scope.update(self.tools)
        self.scope.update(variables or {})
        self.scope.update(SUBMIT=self.submit)
        try:
            exec(code, self.scope)
        except self.Submitted as final:
            return FinalOutput(final.args[0])
        except ZeroDivisionError as error:
            raise CodeExecutionError(str(error)) from error
        return self.scope.get("result")

    class Submitted(BaseException):
        """The result."""

    def submit(self, **fields):
        """Ends the code."""
        raise self.Submitted(fields)


class Delegating(House):
    """Hands the code on to one of DSPy's."""

    def __init__(self, **kwargs):
        super().__init__()
        self.inner = Sandbox(**kwargs)

    def execute(self, code, variables=None):
        self.inner.tools.update(self.tools)
        return self.inner.execute(code, variables)

    def shutdown(self):
        self.inner.shutdown()


INTERPRETERS = [Sandbox] + ([] if IS_OLD else [dspy.LocalInterpreter])


@contextlib.contextmanager
def running(kind, **kwargs):
    """An interpreter that is shut down at the end."""
    one = kind(**kwargs)
    try:
        yield one
    finally:
        one.shutdown()


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_one_execution(kind, plugin_with_content, recorder):
    """One span with the code and what it printed; a call of the object is the same."""
    with running(kind) as one:
        assert one.execute("print(1 + 1)").strip() == "2"
        assert one(code="print(x)", variables={"x": 5}).strip() == "5"
    assert (
        outline(recorder.spans, KIND, "gen_ai.tool.type")
        == [f"execute_tool python interpreter={kind.__name__} type=extension"] * 2
    )
    first, second = (span.attributes for span in recorder.spans)
    assert json.loads(first["gen_ai.tool.call.arguments"]) == {"code": "print(1 + 1)"}
    assert json.loads(first["gen_ai.tool.call.result"]).strip() == "2"
    assert json.loads(second["gen_ai.tool.call.arguments"]) == {"code": "print(x)"}


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_what_is_submitted(kind, plugin_with_content, recorder):
    """Is the result; the caller gets DSPy's object."""
    with running(kind, output_fields=[{"name": "a"}]) as one:
        assert one.execute("SUBMIT(a=1)") == FinalOutput({"a": 1})
    assert json.loads(recorder.span.attributes["gen_ai.tool.call.result"]) == {"a": 1}


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_code_that_fails(kind, plugin, recorder):
    """Is ERROR, with DSPy's own type; nothing of the code is told."""
    with running(kind) as one:
        with pytest.raises(CodeExecutionError):
            one.execute("raise ValueError('secret')")
        with pytest.raises(SyntaxError):
            one.execute("secret secret")
        one.execute("print('secret')")
    error = "dspy.primitives.code_interpreter.CodeExecutionError"
    assert outline(recorder.spans, "error.type") == [
        f"execute_tool python! type={error}",
        "execute_tool python! type=SyntaxError",
        "execute_tool python",
    ]
    assert "secret" not in str(normal(recorder.spans))


def test_an_interpreter_that_cannot_start(plugin, recorder):
    """Is ERROR, too."""
    with pytest.raises(CodeInterpreterError, match="not found"):
        PythonInterpreter(deno_command=["/no/such/deno"]).execute("1")
    assert outline(recorder.spans) == ["execute_tool python!"]


TOOLS = {"add": add, "divide": divide, "later": later}


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_functions_that_the_code_calls(kind, plugin_with_content, recorder):
    """Are executions below the code's; one that fails is ERROR, what the code makes of it is the code's."""
    code = (
        "print(add(a=1, b=2), later(a=4))\ntry:\n    divide(a=1, b=0)\nexcept Exception as error:\n    print('went on')"
    )
    with running(kind, tools=TOOLS) as one:
        assert one.execute(code).strip() == "3 4\nwent on"
    assert outline(recorder.spans, "error.type") == [
        "execute_tool python",
        "  execute_tool add",
        "  execute_tool later",
        "  execute_tool divide! type=ZeroDivisionError",
    ]
    called = recorder.named("execute_tool add").attributes
    assert json.loads(called["gen_ai.tool.call.arguments"]) == {"a": 1, "b": 2}
    assert called["gen_ai.tool.call.result"] == "3"
    assert called["gen_ai.tool.description"] == "Adds two numbers."


@spanloom.tools.tool
def decorated(a: int) -> int:
    """Is recorded by another plugin."""
    return a


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_functions_that_record_themselves(kind, plugin, recorder):
    """Have one span."""
    tool = dspy.Tool(add)

    def plain(a: int) -> int:
        """Calls a tool."""
        return tool(a=a, b=a)

    with running(kind, tools={"decorated": decorated, "plain": plain}) as one:
        one.tools["method"] = tool.__call__
        assert one.execute("print(decorated(a=1), plain(a=2), method(a=1, b=3))").strip() == "1 4 4"
    assert outline(recorder.spans) == [
        "execute_tool python",
        "  execute_tool decorated",
        "  execute_tool plain",
        "    execute_tool add",
        "  execute_tool add",
    ]


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_functions_that_are_unknown(kind, plugin, recorder):
    """Are the code's failure."""
    with running(kind, tools={"gone": add}) as one:
        one.execute("1")
        del one.tools["gone"]
        with pytest.raises((CodeExecutionError, CodeInterpreterError)):
            one.execute("gone(a=1, b=1)")
    assert outline(recorder.spans) == ["execute_tool python", "execute_tool python!"]


@pytest.mark.skipif(IS_OLD, reason="DSPy 3.3 has no LocalInterpreter")
def test_positional_arguments(plugin_with_content, recorder):
    """As the code gave them."""
    with running(dspy.LocalInterpreter, tools=TOOLS) as one:
        assert one.execute("print(add(1, b=2))") == "3"
    arguments = recorder.named("execute_tool add").attributes["gen_ai.tool.call.arguments"]
    assert json.loads(arguments) == {"args": [1], "b": 2}


@pytest.mark.skipif(IS_OLD, reason="DSPy 3.3 has no LocalInterpreter")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_is_no_exception_passes(error, plugin, recorder):
    """Through the function and the code, both are ERROR."""

    def stop():
        raise error

    with running(dspy.LocalInterpreter, tools={"stop": stop}) as one, pytest.raises(type(error)) as caught:
        one.execute("stop()")
    assert caught.value is error
    assert outline(recorder.spans) == ["execute_tool python!", "  execute_tool stop!"]


@pytest.mark.parametrize("kind", INTERPRETERS)
def test_suppressed(kind, plugin, recorder):
    """Nothing, and the same."""
    with suppress_instrumentation(), running(kind, tools=TOOLS) as one:
        assert one.execute("print(add(a=1, b=2))").strip() == "3"
        agent = dspy.RLM("question -> answer", interpreter_factory=House) if not IS_OLD else None
        if agent is not None:
            assert ask(agent, [act("SUBMIT(answer='a')")]).answer == "a"
    assert not recorder.spans


# Agents


def act(code):
    """One turn of an RLM."""
    return {"reasoning": "r", "code": f"```python\n{code}\n```"}


def ask(program, answers, is_async=False, **inputs):
    """One question."""
    inputs = inputs or {"question": "x"}
    with dspy.context(lm=DummyLM(answers)):
        return asyncio.run(program.acall(**inputs)) if is_async else program(**inputs)


def rlm(kind, tools=(), **kwargs):
    """An RLM over an interpreter."""
    if not IS_OLD:
        return dspy.RLM("question -> answer", tools=list(tools), interpreter_factory=kind, **kwargs)
    return dspy.RLM("question -> answer", tools=list(tools), interpreter=kind(), **kwargs)


newer = pytest.mark.skipif(IS_OLD, reason="DSPy 3.3 gives an RLM no interpreter by a factory")
KINDS = [House, Sandbox, Delegating, *INTERPRETERS[1:]]
TURN = ["Predict generate_action", "  chat dummy"]


def below(root, *lines):
    """Lines under a root."""
    return [root, *(f"  {line}" for line in lines)]


@newer
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rlm(kind, is_async, plugin_with_content, recorder):
    """One execution a turn, whoever runs it; code of DSPy's own is none; the functions below it."""
    turns = [act("print(add(a=1, b=2))"), act("1 / 0"), act("SUBMIT(answer=question)")]
    assert ask(rlm(kind, [add]), turns, is_async).answer == "x"
    assert outline(recorder.spans, KIND) == below(
        "invoke_agent RLM",
        *TURN,
        f"execute_tool python interpreter={kind.__name__}",
        "  execute_tool add",
        *TURN,
        f"execute_tool python! interpreter={kind.__name__}",
        *TURN,
        f"execute_tool python interpreter={kind.__name__}",
    )
    last = recorder.spans[-1].attributes
    assert json.loads(last["gen_ai.tool.call.result"]) == {"answer": "x"}
    assert json.loads(last["gen_ai.tool.call.arguments"]) == {"code": "SUBMIT(answer=question)"}
    assert last["gen_ai.agent.name"] == "RLM"


@newer
@pytest.mark.parametrize("kind", [House, Sandbox, dspy.LocalInterpreter] if not IS_OLD else [])
def test_questions_that_the_code_asks(kind, plugin, recorder):
    """The other model's calls are below the code, those of the threads, too; they are no tools."""
    turns = [act("SUBMIT(answer=llm_query(prompt='p') + ''.join(llm_query_batched(prompts=['a', 'b'])))")]
    agent = rlm(kind, sub_lm=DummyLM([{"answer": one} for one in "123"]))
    assert ask(agent, turns).answer.count("answer") == 3
    assert outline(recorder.spans) == below("invoke_agent RLM", *TURN, "execute_tool python", *["  chat dummy"] * 3)
    assert len({span.context.trace_id for span in recorder.spans}) == 1


@newer
def test_rlm_gives_the_model_the_same_text(recorder):
    """Of results and of failures."""
    turns = [act("print(divide(a=1, b=0))"), act("1 / 0"), act("SUBMIT(answer='a')")]

    def trajectory():
        return ask(rlm(dspy.LocalInterpreter, [divide]), list(turns)).trajectory

    bare = trajectory()
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    ours = trajectory()
    plugin.uninstrument()
    assert ours == bare


@newer
def test_an_rlm_with_its_own_way_to_execute(plugin, recorder):
    """Is recorded where it calls one of DSPy's."""

    class Mine(dspy.RLM):
        def _execute_code(self, repl, code, input_args):
            return repl.execute(code, variables=dict(input_args))

    agent = Mine("question -> answer", interpreter_factory=dspy.LocalInterpreter)
    ask(agent, [act("SUBMIT(answer='a')")])
    assert outline(recorder.spans) == below("invoke_agent Mine", *TURN, "execute_tool python")


def test_where_an_agent_hands_over_its_code(plugin, recorder):
    """By position or by name, an interpreter of the application's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = dspy.ProgramOfThought("question -> answer")
    house = House()
    assert program._execute_code("result = 3", house) == ("3", None)
    assert program._execute_code(code="result = 4", interpreter=house) == ("4", None)
    assert program._execute_code("1 / 0", house)[0] is None
    assert outline(recorder.spans, KIND) == [
        "execute_tool python interpreter=House",
        "execute_tool python interpreter=House",
        "execute_tool python! interpreter=House",
    ]


def code_act(interpreter, **kwargs):
    """A CodeAct, and how it is called in this version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dspy.CodeAct("question -> answer", tools=[add], **kwargs)


@newer
@pytest.mark.parametrize("kind", KINDS)
def test_code_act(kind, plugin, recorder):
    """What defines the tools is DSPy's code; what the model wrote is recorded."""
    program = code_act(kind, interpreter_factory=kind)
    turns = [
        {"generated_code": "```python\nprint(add(1, 2))\n```", "finished": True},
        {"reasoning": "r", "answer": "3"},
    ]
    assert ask(program, turns).answer == "3"
    assert outline(recorder.spans, KIND)[:4] == [
        "invoke_agent CodeAct",
        "  Predict codeact",
        "    chat dummy",
        f"  execute_tool python interpreter={kind.__name__}",
    ]
    assert sum(span.name == "execute_tool python" for span in recorder.spans) == 1


@newer
def test_program_of_thought(plugin, recorder):
    """Each try is one, the failing one ERROR."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = dspy.ProgramOfThought("question -> answer", interpreter_factory=House)
    turns = [
        {"reasoning": "r", "generated_code": "```python\n1 / 0\n```"},
        {"reasoning": "r", "generated_code": "```python\nSUBMIT(answer=3)\n```"},
        {"reasoning": "r", "answer": "3"},
    ]
    assert ask(program, turns).answer == "3"
    tools = [line for line in outline(recorder.spans) if "tool" in line]
    assert tools == ["  execute_tool python!", "  execute_tool python"]


@newer
def test_flex(plugin, recorder):
    """The program's source and its run; DSPy's shim is none."""

    def shout(text: str) -> str:
        """Shouts."""
        return text.upper()

    program = dspy.Flex("question -> answer", tools=[shout, dspy.Tool(add)], interpreter_factory=dspy.LocalInterpreter)
    source = (
        "class Program(dspy.Module):\n"
        "    def forward(self, question):\n"
        "        return dspy.Prediction(answer=shout(text=question) + str(add(a=1, b=1)))\n"
    )
    program._bind_code(source)
    assert ask(program, []).answer == "X2"
    assert outline(recorder.spans) == below(
        "invoke_workflow Flex",
        "execute_tool python",
        "execute_tool python",
        "  execute_tool shout",
        "  execute_tool add",
    )


@newer
def test_an_interpreter_that_hands_on_a_later_piece(plugin, recorder):
    """Code that runs in a tool of other code has its own span."""
    inner = dspy.LocalInterpreter()

    def nested(code: str) -> str:
        """Runs it elsewhere."""
        return inner.execute(code)

    with running(dspy.LocalInterpreter, tools={"nested": nested}) as one:
        assert one.execute("print(nested(code='print(7)'))").strip() == "7"
    inner.shutdown()
    assert outline(recorder.spans) == ["execute_tool python", "  execute_tool nested", "    execute_tool python"]


class Earlier:
    """As DSPy 3.3 has it: what is called for the code is called where the request is read."""

    def __init__(self, **tools):
        self.tools = tools
        self.written = []

    def handle(self, request):
        try:
            self.written.append(self.tools[request["name"]](**request["kwargs"]))
        except ZeroDivisionError as error:
            self.written.append(error)
        self.count = len(self.written)


def test_functions_that_the_code_calls_in_dspy_3_3(recorder):
    """One span each, below what is around; the interpreter is as it was."""
    telemetry = Telemetry("spanloom.dspy", **recorder.providers)
    handle = _interpreters._wrap_handle(telemetry, Earlier.handle)
    one = Earlier(add=add, divide=divide, tool=dspy.Tool(add))
    for name, b in (("add", 2), ("divide", 0), ("tool", 4)):
        handle(one, {"name": name, "kwargs": {"a": 1, "b": b}})
    with suppress_instrumentation():
        handle(one, {"name": "add", "kwargs": {"a": 1, "b": 2}})
    assert one.written[0] == 3
    assert isinstance(one.written[1], ZeroDivisionError)
    assert (one.written[2:], one.count) == ([5, 3], 4)
    assert one.tools["add"] is add
    assert outline(recorder.spans) == ["execute_tool add", "execute_tool divide!"]


@newer
def test_a_fault_of_ours(monkeypatch, plugin, recorder):
    """Costs the span, and nothing else."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_interpreters, "CodeExecution", None)
    assert ask(rlm(dspy.LocalInterpreter), [act("SUBMIT(answer=question)")]).answer == "x"
    assert outline(recorder.spans) == below("invoke_agent RLM", *TURN)


def test_uninstrument(recorder):
    """Every original is back, and signatures are as they were."""
    owners = (PythonInterpreter, dspy.RLM, dspy.ProgramOfThought, *INTERPRETERS[1:])
    before = [dict(vars(one)) for one in owners]
    signature = inspect.signature(PythonInterpreter.execute)
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    assert inspect.signature(PythonInterpreter.execute) == signature
    assert vars(PythonInterpreter)["execute"] is not before[0]["execute"]
    plugin.uninstrument()
    for one, known in zip(owners, before, strict=True):
        assert all(vars(one).get(name) is value for name, value in known.items() if callable(value))
