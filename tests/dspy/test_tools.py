"""Tools: one span an execution, whichever of DSPy's ways leads to it, with the id of the call where it is known."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import sys
import types
import warnings

import dspy
import pytest
from dspy.adapters.types.tool import ToolCalls
from dspy.utils.dummies import DummyLM
from opentelemetry.instrumentation.utils import suppress_instrumentation

import spanloom.tools
from spanloom.dspy import DSPyInstrumentor, _asked, _tools
from spanloom.genai import _guard
from tests._support.spans import normal, outline
from tests.dspy._programs import add, divide, later, step

Call = ToolCalls.ToolCall
ID = "gen_ai.tool.call.id"


def call(name, call_id="call_7", **args):
    """A tool call as a model asks for it."""
    return Call(id=call_id, name=name, args=args)


class Counter:
    """A tool that is an object."""

    def __call__(self, a: int) -> int:
        """Counts."""
        return a

    def method(self, a: int) -> int:
        """Is a method."""
        return a


@spanloom.tools.tool
def decorated(a: int) -> int:
    """Is recorded by two plugins."""
    return a


def both(run):
    """What it gives without the plugin and with it, as values or as errors."""

    def tried():
        try:
            return run()
        except Exception as error:
            return type(error), str(error), type(error.__cause__)

    bare = tried()
    plugin = DSPyInstrumentor()
    plugin.instrument()
    try:
        return bare, tried()
    finally:
        plugin.uninstrument()


WAYS = {
    "function in a dict": (lambda: {"add": add}, "add"),
    "tool in a dict": (lambda: {"add": dspy.Tool(add)}, "add"),
    "method of a tool in a dict": (lambda: {"add": dspy.Tool(add).__call__}, "add"),
    "list of tools": (lambda: [dspy.Tool(divide), dspy.Tool(add)], "add"),
    "list of decorated tools": (lambda: [dspy.Tool(decorated)], "decorated"),
    "decorated function in a dict": (lambda: {"decorated": decorated}, "decorated"),
    "object in a dict": (lambda: {"Counter": Counter()}, "Counter"),
    "method in a dict": (lambda: {"method": Counter().method}, "method"),
    "partial in a dict": (lambda: {"half": functools.partial(add, b=2)}, "half"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_executes_itself(way, plugin_with_content, recorder):
    """One span with the id, the arguments and the result."""
    make, name = WAYS[way]
    args = {"a": 1, "b": 2} if name == "add" else {"a": 3}
    assert call(name, **args).execute(make()) in (3, 5)
    span = recorder.span
    assert span.name == f"execute_tool {name}"
    assert span.attributes[ID] == "call_7"
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == args
    assert span.attributes["gen_ai.tool.call.result"] in ("3", "5")


def test_descriptions(plugin, recorder):
    """The tool's own, or the function's."""
    call("add", a=1, b=2).execute([dspy.Tool(add, desc="Sums.")])
    call("add", a=1, b=2).execute({"add": add})
    call("half", a=1).execute({"half": functools.partial(add, b=2)})
    told = [span.attributes.get("gen_ai.tool.description") for span in recorder.spans]
    assert told == ["Sums.", "Adds two numbers.", None]


def test_automatic_lookup(plugin, recorder):
    """Among the locals of who calls, then among its globals, as without us."""

    def local_tool(a):
        return a + 1

    assert call("local_tool", a=1).execute() == 2
    assert call("add", a=1, b=2).execute() == 3
    assert call("add", a=1, b=2).execute(None) == 3
    assert call("add", a=1, b=2).execute(functions=None) == 3
    assert local_tool(1) == 2
    assert [span.name for span in recorder.spans] == ["execute_tool local_tool"] + ["execute_tool add"] * 3


def hidden_one(a):
    """A global that a local hides."""
    return a


def test_lookup_is_as_without_us(recorder):
    """Locals hide globals, names that nobody has are refused, and what is not in sight of the caller is not found."""

    def hides():
        hidden_one = None
        assert hidden_one is None
        return call("hidden_one", a=4).execute()

    def by_locals():
        hidden_one = add
        assert hidden_one
        return call("hidden_one", a=4, b=4).execute()

    def nested():
        def inner():
            return call("outer_only", a=1).execute()

        outer_only = add
        assert outer_only
        return inner()

    for run in (
        hides,
        by_locals,
        nested,
        lambda: call("nobody").execute(),
        lambda: list(map(Call.execute, [call("x")])),
    ):
        bare, ours = both(run)
        assert bare == ours


def test_lookup_in_other_frames(plugin, recorder):
    """Code of a module, of a class body, a comprehension."""
    scope = {"call": call, "there": lambda a: a}
    exec("result = call('there', a=5).execute()", scope)
    assert scope["result"] == 5

    class Body:
        def inside(a):
            return a + 1

        result = call("inside", a=1).execute()

    assert Body.result == 2
    assert Body.inside(1) == 2
    assert [call("add", a=one, b=1).execute() for one in (1, 2)] == [2, 3]


def test_what_execute_is_given_wrongly(recorder):
    """The same refusal."""
    for given in ({}, [], (dspy.Tool(add),), "add", {"add": None}):
        bare, ours = both(lambda given=given: call("add", a=1, b=2).execute(given))
        assert bare == ours
        assert bare[0] is ValueError
    assert both(lambda: call("add").execute(1, 2)) == both(lambda: call("add").execute(1, 2))
    assert both(lambda: call("add").execute(tools=1))[0] == both(lambda: call("add").execute(tools=1))[1]


def test_what_the_caller_gives_stays_as_it_is(plugin, recorder):
    """Nothing of ours is put into it."""
    functions, tools = {"add": add}, [dspy.Tool(add)]
    call("add", a=1, b=2).execute(functions)
    call("add", a=1, b=2).execute(tools)
    assert functions == {"add": add}
    assert tools[0].func is add


def test_a_tool_that_raises(plugin, recorder):
    """The span has the tool's own error; the caller gets DSPy's, from it."""
    for functions in ({"divide": divide}, [dspy.Tool(divide)], {"divide": dspy.Tool(divide)}, None):
        with pytest.raises(RuntimeError, match="Error executing tool 'divide'") as caught:
            call("divide", a=1, b=0).execute(functions)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert outline(recorder.spans, "error.type") == ["execute_tool divide! type=ZeroDivisionError"] * 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_what_is_no_exception_passes(error, plugin, recorder):
    """The very object."""

    def stop():
        raise error

    for functions in ({"stop": stop}, [dspy.Tool(stop)], {"stop": dspy.Tool(stop)}):
        with pytest.raises(type(error)) as caught:
            call("stop").execute(functions)
        assert caught.value is error
    assert outline(recorder.spans) == ["execute_tool stop!"] * 3


def test_content_off(plugin, recorder):
    """Neither what it was given, nor what it gave, nor why it failed."""

    def leak(text: str) -> str:
        """Gives it back."""
        if text == "secret failure":
            raise ValueError(text)
        return text

    call("leak", text="secret value").execute({"leak": leak})
    call("leak", text="secret value").execute([dspy.Tool(leak)])
    with pytest.raises(RuntimeError):
        call("leak", text="secret failure").execute({"leak": leak})
    assert len(recorder.spans) == 3
    assert "secret" not in str(normal(recorder.spans))


def test_no_id_where_none_is_known(plugin, recorder):
    """Older adapters give none."""
    call("add", None, a=1, b=2).execute({"add": add})
    call("add", None, a=1, b=2).execute({"add": dspy.Tool(add)})
    call("add", "", a=1, b=2).execute({"add": dspy.Tool(add)})
    dspy.Tool(add)(a=1, b=2)
    assert len(recorder.spans) == 4
    assert not [span for span in recorder.spans if ID in span.attributes]


def test_the_id_is_of_the_tool_that_was_asked_for(plugin, recorder):
    """Not of those that it calls, not even of itself once more."""
    inner = dspy.Tool(add)

    def outer(depth: int) -> int:
        """Calls others."""
        inner(a=1, b=1)
        return tool(depth=depth - 1) if depth else 0

    tool = dspy.Tool(outer)
    call("outer", depth=1).execute({"outer": tool})
    assert outline(recorder.spans, ID) == [
        "execute_tool outer id=call_7",
        "  execute_tool add",
        "  execute_tool outer",
        "    execute_tool add",
    ]


def test_suppressed(plugin, recorder):
    """Nothing, and the lookup still works."""
    with suppress_instrumentation():
        assert call("add", a=1, b=2).execute() == 3
        assert call("add", a=1, b=2).execute([dspy.Tool(add)]) == 3
    assert not recorder.spans


def test_a_coroutine_function(plugin_with_content, recorder):
    """What comes back is a coroutine of the same name; the span is around its run."""

    async def program():
        waiting = call("later", a=5).execute([dspy.Tool(later)])
        assert isinstance(waiting, types.CoroutineType)
        assert waiting.__name__ == "later"
        assert not recorder.spans
        return await waiting

    assert asyncio.run(program()) == 5
    assert recorder.span.attributes["gen_ai.tool.call.result"] == "5"
    assert recorder.span.attributes[ID] == "call_7"


def test_a_coroutine_function_that_fails(plugin, recorder):
    """Wrong arguments at the call, as without us; its own error where it is awaited."""

    async def fail():
        raise LookupError("x")

    with pytest.raises(RuntimeError, match="unexpected keyword argument"):
        call("later", wrong=1).execute({"later": later})
    with pytest.raises(LookupError):
        asyncio.run(call("fail").execute({"fail": fail}))
    assert outline(recorder.spans, "error.type") == ["execute_tool fail! type=LookupError"]


def test_a_coroutine_that_is_cancelled(plugin, recorder):
    """Is ERROR."""
    started = []

    async def hang():
        started.append(1)
        await asyncio.sleep(60)

    async def program():
        task = asyncio.ensure_future(call("hang").execute({"hang": hang}))
        while not started:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(program())
    assert outline(recorder.spans) == ["execute_tool hang!"]


def test_a_coroutine_that_nobody_awaits(plugin, recorder):
    """Has not run, and is no execution."""
    waiting = call("later", a=5).execute({"later": later})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del waiting
        gc.collect()
    assert not recorder.spans


def test_a_coroutine_while_suppressed(plugin, recorder):
    """Runs without a span."""
    waiting = call("later", a=5).execute({"later": later})
    plugin.uninstrument()
    assert asyncio.run(waiting) == 5


def test_wrong_arguments_of_a_tool(plugin, recorder):
    """Are an error of its execution."""
    tool = dspy.Tool(add)
    for wrong in ({"a": "x", "b": 1}, {"c": 1}):
        with pytest.raises(ValueError, match="Arg"):
            tool(**wrong)
    assert outline(recorder.spans, "error.type") == ["execute_tool add! type=ValueError"] * 2


def test_an_async_tool_called_in_sync_code(plugin, recorder):
    """DSPy refuses it, or runs it where that is allowed."""
    with warnings.catch_warnings():
        # The coroutine that nobody awaits.
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="async tool"):
            dspy.Tool(later)(a=1)
        gc.collect()
    with dspy.context(allow_tool_async_sync_conversion=True):
        assert dspy.Tool(later)(a=1) == 1
    assert outline(recorder.spans) == ["execute_tool later!", "execute_tool later"]


def test_a_tool_called_with_positional_arguments(recorder):
    """The same refusal."""
    bare, ours = both(lambda: dspy.Tool(add)(1, 2))
    assert bare == ours


def test_a_tools_frames_are_where_they_were(plugin, recorder):
    """A warning of a tool belongs to DSPy's module, which called it, not to ours."""

    def warns():
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        return sys._getframe(1).f_globals["__name__"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert call("warns").execute({"warns": warns}) == "dspy.adapters.types.tool"


def test_a_fault_of_ours(monkeypatch, plugin, recorder):
    """Costs the span, and nothing else."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_tools, "ToolExecution", None)
    assert call("add", a=1, b=2).execute({"add": add}) == 3
    assert call("add", a=1, b=2).execute({"add": dspy.Tool(add)}) == 3
    assert asyncio.run(call("later", a=5).execute([dspy.Tool(later)])) == 5
    assert not recorder.spans


# Agents


def turn(*calls, thought="t"):
    """One turn of the newer agent."""
    return {"next_thought": thought, "tool_calls": {"tool_calls": list(calls)}}


def ask(name, call_id=None, **args):
    """One tool call of a turn."""
    return {"name": name, "args": args, **({"id": call_id} if call_id else {})}


def run_agent(agent, turns, is_async=False):
    """One question."""
    with dspy.context(lm=DummyLM(turns), adapter=dspy.ChatAdapter()):
        if is_async:
            return asyncio.run(agent.acall(question="x"))
        return agent(question="x")


ASYNC = [False] + ([True] if hasattr(dspy.ReActV2, "aforward") else [])


@pytest.mark.parametrize("is_async", ASYNC)
def test_react_v2(is_async, plugin, recorder):
    """Each execution has its call's id, the failing one is ERROR, the agent is not, and its `submit` is no tool."""
    turns = [
        turn(
            ask("add", "a1", a=1, b=2), ask("divide", "d1", a=1, b=0), ask("add", "a2", a=2, b=2), ask("nobody", "n1")
        ),
        turn(ask("add", a=5, b=5)),
        turn(ask("submit", "s1", answer="4")),
    ]
    agent = dspy.ReActV2("question -> answer", tools=[add, divide])
    assert run_agent(agent, turns, is_async).answer == "4"
    tools = [line.strip() for line in outline(recorder.spans, ID) if "tool" in line]
    assert tools == [
        "execute_tool add id=a1",
        "execute_tool divide! id=d1",
        "execute_tool add id=a2",
        "execute_tool add id=call_1_0",
    ]
    root = recorder.named("invoke_agent ReActV2")
    assert root.status.status_code.name == "UNSET"


def test_submit_and_finish_are_closed_to_their_own_agents_only(plugin, recorder):
    """`submit` of a ReAct, and `finish` of a ReActV2, are the application's own tools."""

    def submit(a: int) -> int:
        """Hands it in."""
        return a

    def finish(a: int) -> int:
        """Polishes it."""
        return a

    steps = [step("submit", a=1), step("finish"), {"reasoning": "r", "answer": "a"}]
    run_agent(dspy.ReAct("question -> answer", tools=[submit]), steps)
    turns = [turn(ask("finish", "f1", a=1)), turn(ask("submit", "s1", answer="4"))]
    run_agent(dspy.ReActV2("question -> answer", tools=[finish]), turns)
    tools = [line.strip() for line in outline(recorder.spans, ID) if "tool" in line]
    assert tools == ["execute_tool submit", "execute_tool finish id=f1"]


def test_a_tool_that_calls_the_same_tool_as_the_next_call(plugin, recorder):
    """The next call keeps its id."""
    adding = dspy.Tool(add)

    def twice(a: int) -> int:
        """Doubles."""
        return adding(a=a, b=a)

    turns = [turn(ask("twice", "t1", a=1), ask("add", "a1", a=1, b=1)), turn(ask("submit", "s1", answer="4"))]
    run_agent(dspy.ReActV2("question -> answer", tools=[twice, adding]), turns)
    tools = [line for line in outline(recorder.spans, ID) if "tool" in line]
    assert tools == ["  execute_tool twice id=t1", "    execute_tool add", "  execute_tool add id=a1"]


def test_an_id_is_left_alone_in_another_context():
    """A coroutine that is closed elsewhere detaches nothing."""
    asked = _asked.Asked([])
    with asked:
        asked._token, kept = None, asked._token
    asked._token = kept
    asked.__exit__()
    assert _asked.id_for(object()) is None
    _asked.otel.detach(kept)


# Tools of other kinds


def test_mcp(plugin_with_content, recorder):
    """A tool of a server: one span; what the server calls an error is one."""
    mcp = pytest.importorskip("mcp")
    server = mcp.server.MCPServer("house")

    @server.tool()
    def double(a: int) -> int:
        """Doubles."""
        if a < 0:
            raise ValueError("too small")
        return 2 * a

    async def program():
        async with mcp.Client(server) as client:
            (listed,) = (await client.list_tools()).tools
            tool = dspy.Tool.from_mcp_tool(client, listed)
            assert await tool.acall(a=4) == "8"
            with pytest.raises(RuntimeError, match="Failed to call a MCP tool"):
                await tool.acall(a=-1)

    asyncio.run(program())
    ours = [span for span in recorder.spans if span.instrumentation_scope.name == "spanloom.dspy"]
    assert outline(ours) == ["execute_tool double", "execute_tool double!"]
    assert ours[0].attributes["gen_ai.tool.description"] == "Doubles."
    assert json.loads(ours[0].attributes["gen_ai.tool.call.arguments"]) == {"a": 4}


def test_langchain(plugin_with_content, recorder):
    """A tool of LangChain's, by the shape that DSPy uses."""
    from pydantic import BaseModel

    class Args(BaseModel):
        a: int

    class Doubler:
        name, description, args_schema = "double", "Doubles.", Args

        async def ainvoke(self, given):
            return 2 * given["a"]

    from dspy.utils.langchain_tool import convert_langchain_tool

    tool = convert_langchain_tool(Doubler())
    assert asyncio.run(tool.acall(a=4)) == 8
    assert recorder.span.name == "execute_tool double"
    assert recorder.span.attributes["gen_ai.tool.call.result"] == "8"


def test_decorated_functions_in_tools(plugin, recorder):
    """Two plugins, one span."""
    assert dspy.Tool(decorated)(a=1) == 1
    assert dspy.Tool(decorated, name="other")(a=1) == 1
    assert outline(recorder.spans) == ["execute_tool decorated", "execute_tool other"]


def test_uninstrument(recorder):
    """Every original is back."""
    owners = (dspy.Tool, Call, dspy.ReActV2)
    before = [dict(vars(one)) for one in owners]
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    assert inspect.signature(Call.execute).parameters.keys() == {"self", "functions"}
    assert vars(Call)["execute"] is not before[1]["execute"]
    plugin.uninstrument()
    for one, known in zip(owners, before, strict=True):
        assert all(vars(one).get(name) is value for name, value in known.items() if callable(value))
