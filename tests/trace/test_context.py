"""``trace.context``: what a program says of everything below a block."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import enum
import inspect
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as otel
from opentelemetry.context import Context

from spanloom import trace
from spanloom.genai import hooks
from spanloom.semconv import Caller, GenAI, Spanloom

USER, KEEP = Caller.USER_ID, Spanloom.KEEP


class Plan(str, enum.Enum):
    """A text with a class of its own."""

    TEAM = "team"


def here() -> dict[str, object]:
    """What is said here."""
    return dict(hooks.context_attributes(None))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"user": "ada"}, {USER: "ada"}),
        ({"user": 7}, {USER: "7"}),
        ({"session": "s"}, {Caller.SESSION_ID: "s"}),
        ({"conversation": "c"}, {GenAI.CONVERSATION_ID: "c"}),
        ({"tenant": "acme"}, {Spanloom.TENANT: "acme"}),
        ({"prompt": "triage"}, {GenAI.PROMPT_NAME: "triage"}),
        ({"prompt": "triage@7"}, {GenAI.PROMPT_NAME: "triage", GenAI.PROMPT_VERSION: "7"}),
        ({"prompt": "@team/triage@7"}, {GenAI.PROMPT_NAME: "@team/triage", GenAI.PROMPT_VERSION: "7"}),
        ({"prompt": "@team/triage"}, {GenAI.PROMPT_NAME: "@team/triage"}),
        ({"prompt": "triage@"}, {GenAI.PROMPT_NAME: "triage"}),
        ({"prompt": ("triage", 7)}, {GenAI.PROMPT_NAME: "triage", GenAI.PROMPT_VERSION: "7"}),
        ({"prompt": ("tri@ge", None)}, {GenAI.PROMPT_NAME: "tri@ge"}),
        ({"keep": True}, {KEEP: True}),
        ({"keep": False}, {}),
        ({"plan": "team"}, {"spanloom.tag.plan": "team"}),
        ({"plan": Plan.TEAM}, {"spanloom.tag.plan": "team"}),
        ({"beta": True, "n": 3, "r": 0.5}, {"spanloom.tag.beta": True, "spanloom.tag.n": 3, "spanloom.tag.r": 0.5}),
        ({"self": "a", "name": "b"}, {"spanloom.tag.self": "a", "spanloom.tag.name": "b"}),
        ({"user": None, "plan": None, "prompt": None, "keep": None}, {}),
        ({"user": ""}, {USER: ""}),
        ({"user": "a\ud800"}, {USER: "a?"}),
        ({"user": "é" * 2000}, {USER: "é" * 1024}),
        ({}, {}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_given(given, expected, caplog):
    """Each argument under its name, in a type that every exporter has."""
    with trace.context(**given):
        assert here() == expected
        assert all(type(value) in (str, bool, int, float) for value in here().values())
    assert here() == {}
    assert not caplog.records


@pytest.mark.parametrize(
    "given",
    [
        {"user": object()},
        {"user": True},
        {"user": 2**5000},
        {"session": b"s"},
        {"prompt": ["a", 1]},
        {"prompt": ("a", 1, 2)},
        {"keep": "yes"},
        {"plan": ["secret"]},
        {"plan": 2**63},
        {"n" * 65: 1},
        {"": 1},
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_value_of_another_kind_is_left_out_with_one_line(given, caplog):
    """The rest stays, nothing raises, and the line does not quote what may be content."""
    for _ in range(3):
        with trace.context(tenant="acme", **given):
            assert here() == {Spanloom.TENANT: "acme"}
    (line,) = caplog.messages
    assert "left out" in line
    assert "secret" not in line


def test_a_version_that_is_none_leaves_the_name(caplog):
    """Name and version are each on their own."""
    with trace.context(prompt=("triage", object())):
        assert here() == {GenAI.PROMPT_NAME: "triage"}
    assert len(caplog.messages) == 1


def test_blocks_nest():
    """An inner one adds and overrides, its end restores; a prompt without a version has none from outside."""
    with trace.context(user="ada", prompt="triage@7", keep=True, plan="team"):
        outer = here()
        with trace.context(user="bob", prompt="other", keep=False, seats=3):
            assert here() == {
                USER: "bob", GenAI.PROMPT_NAME: "other", "spanloom.tag.plan": "team", "spanloom.tag.seats": 3,
            }  # fmt: skip
        assert here() == outer
    assert here() == {}


def test_at_most_32_tags(caplog):
    """Those of the blocks around come first; one that is there already may still be overridden."""
    with trace.context(**{f"a{n}": n for n in range(30)}), trace.context(user="ada", **{f"b{n}": n for n in range(5)}):
        assert sum(name.startswith("spanloom.tag.") for name in here()) == 32
        assert here()[USER] == "ada"
        with trace.context(a3="changed", c="new"):
            assert here()["spanloom.tag.a3"] == "changed"
            assert "spanloom.tag.c" not in here()
    assert len(caplog.messages) == 1


def test_what_is_said_cannot_be_changed():
    """One mapping is shared by all spans."""
    with trace.context(user="ada"):
        shared = hooks.context_attributes(None)
        assert hooks.context_attributes(otel.get_current()) is shared
        with pytest.raises(TypeError):
            shared[USER] = "bob"  # type: ignore[index]
    assert hooks.context_attributes(None) is hooks.context_attributes(Context())


def test_an_exception_passes_unchanged():
    """The same object, through the block and through the decorator."""
    error = ValueError("x")

    @trace.context(user="ada")
    def fails():
        raise error

    for call in (fails, trace.context(user="a")(fails)):
        with pytest.raises(ValueError, match="x") as caught, trace.context(user="bob"):
            call()
        assert caught.value is error
    assert here() == {}


def test_one_object_may_be_entered_inside_itself_and_by_tasks_at_once():
    """Each has its own entry: what one leaves stays for the others."""
    block = trace.context(user="ada")

    async def one(outside, inside):
        assert here() == {}
        with block, block:
            outside.set()
            await inside.wait()
            assert here() == {USER: "ada"}
        assert here() == {}

    async def program():
        events = [asyncio.Event() for _ in range(3)]
        await asyncio.gather(*(one(mine, events[(n + 1) % 3]) for n, mine in enumerate(events)))

    asyncio.run(program())
    assert block._entered == {}


def test_tasks_have_it_from_where_they_were_made():
    """What a task says itself is its own."""

    async def child(user):
        assert here() == {Spanloom.TENANT: "acme"}
        with trace.context(user=user):
            await asyncio.sleep(0)
            return here()

    async def program():
        with trace.context(tenant="acme"):
            tasks = [asyncio.create_task(child(user)) for user in "abc"]
        assert here() == {}
        return await asyncio.gather(*tasks)

    assert asyncio.run(program()) == [{Spanloom.TENANT: "acme", USER: user} for user in "abc"]


def test_a_thread_has_it_with_a_copied_context_only():
    """As everything that OpenTelemetry's context carries."""
    with trace.context(user="ada"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(here).result() == {}
        assert pool.submit(contextvars.copy_context().run, here).result() == {USER: "ada"}


class Service:
    """Methods of each kind."""

    @trace.context(user="m")
    def method(self):
        """What is said."""
        return here()

    @classmethod
    @trace.context(user="inner")
    def inner(cls):
        """Below the other decorator."""
        return here()

    @trace.context(user="outer")
    @staticmethod
    def outer():
        """Above it."""
        return here()


def test_it_decorates_functions_coroutines_and_methods():
    """Their kind, name and result stay."""

    @trace.context(user="f")
    def function(one, *, two):
        """Doc."""
        return one, two, here()

    @trace.context(user="c")
    async def coroutine():
        await asyncio.sleep(0)
        return here()

    assert function(1, two=2) == (1, 2, {USER: "f"})
    assert (function.__name__, function.__doc__) == ("function", "Doc.")
    assert inspect.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine()) == {USER: "c"}
    assert [Service().method(), Service.inner(), Service.outer()] == [{USER: name} for name in ("m", "inner", "outer")]
    assert here() == {}


def test_a_class_is_no_function():
    """The author is told where to put it."""
    with pytest.raises(TypeError, match=r"put it on a method of .*Service"):
        trace.context(user="ada")(Service)


def test_a_generator_function_has_it_in_each_step_and_its_reader_has_not():
    """Sent values, the result and a thrown exception go through; what it attaches itself is there at its next step."""
    seen = []

    @trace.context(user="g")
    def generator(first):
        with trace.context(plan="team"):
            sent = yield first
            seen.append((sent, here()))
        try:
            yield here()
        except KeyError:
            seen.append(here())
        return "done"

    assert inspect.isgeneratorfunction(generator)
    one = generator("first")
    with trace.context(tenant="reader"):
        assert next(one) == "first"
        assert here() == {Spanloom.TENANT: "reader"}
    assert one.send("sent") == {USER: "g", Spanloom.TENANT: "reader"}
    assert here() == {}
    with pytest.raises(StopIteration) as stop:
        one.throw(KeyError())
    assert stop.value.value == "done"
    around = {USER: "g", Spanloom.TENANT: "reader"}
    assert seen == [("sent", {**around, "spanloom.tag.plan": "team"}), around]


@pytest.mark.parametrize("how", ["closed", "dropped", "elsewhere"])
def test_a_decorated_generator_that_is_left_early(how):
    """Its own clean-up runs in the block, and nothing stays with whoever closes it."""
    seen = []

    @trace.context(user="g")
    def generator():
        try:
            with trace.context(plan="team"):
                yield 1
        finally:
            seen.append(here())

    one = generator()
    next(one)
    if how == "closed":
        one.close()
    elif how == "dropped":
        del one
    else:
        thread = threading.Thread(target=one.close)
        thread.start()
        thread.join()
    assert seen == [{USER: "g"}]
    assert here() == {}


def test_an_asynchronous_generator_that_is_closed_where_it_waits():
    """The collector closes it in another context: its block has gone with its own."""
    seen = []

    @trace.context(user="a")
    async def generator():
        try:
            await forever()
        finally:
            seen.append(here())
        yield 1

    @types.coroutine
    def forever():
        yield

    def begin():
        one = anext_of(generator())
        one.send(None)
        return one

    def anext_of(one):
        return one.__anext__()

    waiting = contextvars.copy_context().run(begin)
    with trace.context(tenant="acme"):
        waiting.close()
        assert here() == {Spanloom.TENANT: "acme"}


def test_an_asynchronous_generator_function():
    """The same."""

    @trace.context(user="a")
    async def generator():
        yield here()
        await asyncio.sleep(0)
        yield here()

    async def program():
        assert [(one, here()) async for one in generator()] == [({USER: "a"}, {})] * 2
        left = generator()
        await anext(left)
        await left.aclose()
        assert here() == {}

    assert inspect.isasyncgenfunction(generator)
    asyncio.run(program())


def test_a_generator_that_another_thread_closes_leaves_nothing_behind(caplog):
    """The block in it was its reader's; closed elsewhere it is over there, and nobody is told of a fault."""

    def generator():
        with trace.context(user="left"):
            yield 1

    before = otel.get_current()
    one = generator()
    next(one)
    assert here() == {USER: "left"}
    thread = threading.Thread(target=one.close)
    thread.start()
    thread.join()
    assert here() == {}
    with trace.context(tenant="acme"):
        assert here() == {Spanloom.TENANT: "acme"}
    assert here() == {}
    otel.attach(before)
    assert not caplog.records


def test_a_shared_block_that_is_left_elsewhere_is_the_one_of_its_own_with():
    """Others of the same object go on."""
    block = trace.context(user="ada")

    def generator():
        with block:
            yield 1

    before = otel.get_current()
    first = contextvars.copy_context()
    one, two = generator(), generator()
    first.run(next, one)
    second = contextvars.copy_context()
    second.run(next, two)
    one.close()
    assert first.run(here) == {}
    assert second.run(here) == {USER: "ada"}
    second.run(two.close)
    assert block._entered == {}
    assert otel.get_current() is before


def test_to_leave_what_was_not_entered_is_harmless():
    """Whatever calls it."""
    trace.context(user="ada").__exit__(None, None, None)


def test_a_copy_was_entered_by_nobody():
    """Pickled into another process, or copied."""
    block = trace.context(user="ada")
    with block:
        assert copy.copy(block)._entered == {}


def test_it_is_no_baggage():
    """What other services are sent does not have it."""
    from opentelemetry import propagate

    with trace.context(user="ada", tenant="acme"):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    assert "ada" not in str(carrier)
    assert "acme" not in str(carrier)
