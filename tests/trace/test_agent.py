"""`trace.agent`: one span a run, as a block or around a function; its turns, its calls, its end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading

import pytest

from spanloom import trace
from spanloom.genai import _guard, current
from spanloom.tools import tool
from spanloom.trace import _agent_run
from tests._support.spans import outline


@tool
def search(query):
    """Finds."""
    if query == "fail":
        raise LookupError("nothing")
    return [query]


def ask(tokens=5):
    """A model call by hand."""
    with trace.inference(model="m", provider="vllm") as call:
        call.usage(input_tokens=tokens, output_tokens=1)


def test_a_run(by_hand):
    """One span; what is told of it beside its name; no content."""
    with trace.agent("planner", description="Plans.", agent_id="a", version="2") as run:
        assert isinstance(run, trace.AgentRun)
        run.input("secret")
        run.output("secret")
    span = by_hand.span
    assert (span.name, span.kind.name, span.status.status_code.name) == ("invoke_agent planner", "INTERNAL", "UNSET")
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "planner",
        "gen_ai.agent.description": "Plans.",
        "spanloom.agent.id": "a",
        "spanloom.agent.version": "2",
    }


def test_turns_are_events(by_hand):
    """In their order, by name and id; of what was said and given nothing without content."""
    with trace.agent("planner") as run:
        run.thought("secret")
        run.action("search", {"q": "secret"}, call_id="c")
        run.observation(["secret"], call_id="c")
        run.action("stop")
        run.observation()
    assert [(event.name.rpartition(".")[2], dict(event.attributes)) for event in by_hand.span.events] == [
        ("thought", {}),
        ("action", {"gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c"}),
        ("observation", {"gen_ai.tool.call.id": "c"}),
        ("action", {"gen_ai.tool.name": "stop"}),
        ("observation", {}),
    ]


def test_turns_with_content(with_content):
    """A thought as it is, arguments and results as JSON, bytes by their digest."""
    with trace.agent("planner") as run:
        run.thought('"so"')
        run.action("search", {"q": b"x"})
        run.observation("found")
    thought, action, observation = (event.attributes for event in with_content.span.events)
    assert thought["spanloom.agent.thought.text"] == '"so"'
    assert '"bytes": 1' in action["gen_ai.tool.call.arguments"]
    assert observation["gen_ai.tool.call.result"] == '"found"'


@pytest.mark.parametrize("given", [{"password": "hush", "n": 1}, '{"password": "hush", "n": 1}'], ids=type)
def test_an_action_tells_no_secret(given, with_content):
    """As the tool's own span does not; models give arguments as JSON text, too."""
    with trace.agent("planner") as run:
        run.action("login", given)
        run.action("say", '{"n":1}')
        run.action("say", "password")
    login, same, text = (event.attributes["gen_ai.tool.call.arguments"] for event in with_content.span.events)
    assert "hush" not in login
    assert "[hidden]" in login
    assert (same, text) == (r'"{\"n\":1}"', '"password"')


def test_content_is_limited_in_size(monkeypatch, content, request):
    """As everywhere: each attribute on its own."""
    monkeypatch.setenv("SPANLOOM_CONTENT_MAX_BYTES", "1024")
    recorder = request.getfixturevalue("by_hand")
    with trace.agent("planner") as run:
        run.thought("x" * 5000)
        run.observation("y" * 5000)
        run.output("z" * 5000)
    told = [value for event in recorder.span.events for value in event.attributes.values()]
    assert len(told) == 2
    assert all(len(value) <= 1024 for value in (*told, recorder.span.attributes["gen_ai.output.messages"]))


def test_calls_and_sums(by_hand):
    """Inferences and tools below it, in its metrics and its roll-ups; a tool's failure that is caught is the tool's."""
    with trace.agent("planner"):
        ask()
        with pytest.raises(LookupError):
            search("fail")
        search("x")
        ask()
    assert outline(by_hand.spans, "gen_ai.agent.name") == [
        "invoke_agent planner name=planner",
        "  chat m",
        "  execute_tool search! name=planner",
        "  execute_tool search name=planner",
        "  chat m",
    ]
    attributes = by_hand.spans[0].attributes
    assert attributes["spanloom.subtree.input_tokens"] == 10
    assert attributes["spanloom.subtree.llm_calls"] == 2
    sums = {name: by_hand.points(f"gen_ai.invoke_agent.{name}")[0] for name in ("inference_calls", "tool_calls")}
    assert {name: (point.sum, dict(point.attributes)) for name, point in sums.items()} == {
        "inference_calls": (2, {"gen_ai.agent.name": "planner"}),
        "tool_calls": (2, {"gen_ai.agent.name": "planner"}),
    }
    assert by_hand.total("gen_ai.invoke_agent.duration") == 1


def test_an_agent_inside_an_agent(by_hand):
    """Each has the sums of what is below it; a tool belongs to the inner one."""
    with trace.agent("outer"):
        ask(1)
        with trace.agent("inner"):
            ask(2)
            search("x")
    outer, inner = by_hand.named("invoke_agent outer"), by_hand.named("invoke_agent inner")
    assert outer.attributes["spanloom.subtree.input_tokens"] == 3
    assert inner.attributes["spanloom.subtree.input_tokens"] == 2
    assert by_hand.named("execute_tool search").attributes["gen_ai.agent.name"] == "inner"


@pytest.mark.parametrize("error", [ValueError("secret"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_an_exception_fails_it(error, by_hand):
    """The very object passes; its type is told, its text not without content."""
    with pytest.raises(type(error)) as caught, trace.agent("planner"):
        raise error
    assert caught.value is error
    span = by_hand.span
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"].endswith(type(error).__name__)
    assert not span.status.description
    (point,) = by_hand.points("gen_ai.invoke_agent.duration")
    assert point.attributes["error.type"] == span.attributes["error.type"]


def test_a_failure_that_is_reported(with_content):
    """It ends there, with the type and the message that are told; leaving the block changes nothing."""
    with trace.agent("planner") as run:
        run.fail("gave_up", "after nine turns")
        run.thought("late")
    with trace.agent("planner") as run:
        run.fail(LookupError("no way"))
    with trace.agent("planner") as run:
        run.fail("")
    told = [(span.attributes["error.type"], span.status.description) for span in with_content.spans]
    assert told == [("gave_up", "after nine turns"), ("LookupError", "no way"), ("_OTHER", None)]
    assert not with_content.spans[0].events


def test_a_generator_that_is_closed_is_no_failure(by_hand):
    """By its reader, by the collector, in the same context or in another one."""

    def work():
        with trace.agent("planner"):
            yield 1
            yield 2

    for read in (lambda one: one.close(), lambda one: None):
        one = work()
        next(one)
        read(one)
        del one
        gc.collect()
    one = contextvars.copy_context().run(lambda: (again := work(), next(again))[0])
    one.close()
    assert [span.status.status_code.name for span in by_hand.spans] == ["UNSET"] * 3


def test_one_object_for_many_runs(by_hand):
    """One after the other, inside each other, and in tasks at the same time."""
    planner = trace.agent("planner")
    with planner as first, planner as second:
        assert first is not second
        search("x")

    async def work(name):
        with planner as run:
            await asyncio.sleep(0)
            run.thought(name)
            search(name)
            await asyncio.sleep(0.001)

    async def both():
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    assert not planner._open
    assert outline(by_hand.spans) == [
        "invoke_agent planner",
        "  invoke_agent planner",
        "    execute_tool search",
        *["invoke_agent planner", "  execute_tool search"] * 2,
    ]
    assert [len(span.events) for span in by_hand.spans if span.name.startswith("invoke")] == [0, 0, 1, 1]
    assert all(span.end_time for span in by_hand.spans)


def test_one_object_in_threads(by_hand):
    """Each thread ends the run that it has begun."""
    planner, barrier = trace.agent("planner"), threading.Barrier(4)

    def work():
        with planner:
            barrier.wait()
            search("x")
            barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert outline(by_hand.spans) == ["invoke_agent planner", "  execute_tool search"] * 4


# Around functions.


def test_a_function(by_hand):
    """Each call is a run; the function looks as before."""

    @trace.agent("planner", version="3")
    def plan(goal: str, deep: bool = False) -> str:
        """Plans."""
        search(goal)
        return goal

    assert plan("x") == "x"
    assert (str(inspect.signature(plan)), plan.__name__, plan.__doc__) == (
        "(goal: 'str', deep: 'bool' = False) -> 'str'",
        "plan",
        "Plans.",
    )
    assert outline(by_hand.spans, "spanloom.agent.version") == [
        "invoke_agent planner version=3",
        "  execute_tool search",
    ]


def test_a_coroutine_function(by_hand):
    """The tasks of two agents do not mix."""

    @trace.agent("planner")
    async def plan(goal):
        await asyncio.sleep(0)
        search(goal)
        if goal == "bad":
            raise ValueError(goal)
        return goal

    async def both():
        return await asyncio.gather(plan("a"), plan("bad"), return_exceptions=True)

    assert inspect.iscoroutinefunction(plan)
    good, bad = asyncio.run(both())
    assert (good, str(bad)) == ("a", "bad")
    assert outline(by_hand.spans) == [
        "invoke_agent planner",
        "  execute_tool search",
        "invoke_agent planner!",
        "  execute_tool search",
    ]


class Team:
    """Agents as methods of each kind."""

    @trace.agent("own")
    def own(self, goal):
        return self, goal

    @trace.agent("static")
    @staticmethod
    def static(goal):
        return goal

    @staticmethod
    @trace.agent("below")
    def below(goal):
        return goal

    @trace.agent("made")
    @classmethod
    def made(cls, goal):
        return cls, goal


def test_methods(by_hand):
    """Above or below the decorators of static and class methods."""
    team = Team()
    assert team.own(1) == (team, 1)
    assert (Team.static(2), team.below(3), Team.made(4)) == (2, 3, (Team, 4))
    assert [span.name for span in by_hand.spans] == [
        f"invoke_agent {name}" for name in ("own", "static", "below", "made")
    ]


def test_generator_functions(by_hand):
    """The span is around each step of the generator, and ends with it."""

    @trace.agent("planner")
    def steps():
        yield current()
        yield 2

    running = steps()
    assert not by_hand.spans
    assert next(running).name == "planner"
    assert current() is None
    assert list(running) == [2]
    assert by_hand.span.name == "invoke_agent planner"


def test_what_it_does_not_decorate():
    """One line that says what to do instead."""
    with pytest.raises(TypeError, match="put it on a method of Team"):
        trace.agent("x")(Team)


def test_a_fault_of_ours(by_hand, monkeypatch, caplog):
    """The block and the function run as if we were not there."""
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_agent_run, "telemetry", lambda: 1 // 0)
    with trace.agent("planner") as run:
        run.thought("x")
        assert current() is None
    assert trace.agent("planner")(lambda: 7)() == 7
    assert not by_hand.spans
    assert len(caplog.records) == 1
