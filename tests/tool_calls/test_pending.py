"""The calls that models asked for: which one an execution is of, what is kept, and for how long."""

from __future__ import annotations

import datetime
import decimal
import enum
import gc
import pathlib
import threading
import uuid

import pytest
from opentelemetry.trace import SpanContext
from pydantic import BaseModel

from spanloom.genai._pending import EVERYWHERE, MISSING, AskedCalls, Call, Dropped, Execution, Response, single
from spanloom.genai._prints import Broken, Unknown, asked_prints
from tests.tool_calls import soak

SPAN = SpanContext(1, 2, is_remote=False)


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asked(clock):
    return AskedCalls(max_calls=4, max_age_s=600, clock=clock)


def nothing(name):
    """No parameter has a default."""
    return


def response(response_id=None, begins=True, runner="here", span=SPAN, inside=0):
    return Response(span, response_id, begins, runner, inside)


def call(call_id, name="search", choice=0, **arguments):
    return Call(call_id, name, asked_prints(arguments), choice)


def begin(asked, name="search", scopes=("trace",), runner="here", inside=0, **given):
    wanted = Execution(name, lambda: given, lambda name: MISSING, lambda: runner, inside)
    found = asked.take(scopes, wanted)
    if found is not None:
        found.run_in(SPAN)
    return found and found.id


def ask(asked, *calls, scopes=("trace",), **more):
    one = response(**more)
    return asked.add(one, calls, scopes)


def one_of(asked, call_id, scope="trace"):
    return single(asked.find((scope,), call_id), lambda one: not one.answered)


# Which one.


def test_by_name_and_arguments(asked):
    """Each execution finds its own, whatever the order."""
    ask(asked, call("a", q="x"), call("b", q="y"), call("c", "other", q="x"))
    assert begin(asked, q="y") == "b"
    assert begin(asked, "other", q="x") == "c"
    assert begin(asked, q="x") == "a"
    assert begin(asked, q="x") is None
    assert begin(asked, q="z") is None
    assert begin(asked, "unknown", q="x") is None


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": [1, 2]}, {"a": (1, 2)}),
        ({"a": "2026-01-02"}, {"a": datetime.date(2026, 1, 2)}),
        ({"a": {"b": [None, "c"]}}, {"a": {"b": [None, "c"]}}),
        ({}, {}),
    ],
)
def test_arguments_are_equal_as_json_is(written, given):
    """Numbers, sequences, and what JSON has no form for."""
    assert asked_prints(written).fits(asked_prints(given), nothing)


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": 1}, {"a": 1, "user": 7}),
        ({"a": [1]}, {"a": 1}),
        ({"a": -1}, {"a": -2}),
        ({"a": True}, {"a": [1]}),
        ({"a": 2**61 - 1}, {"a": 0}),
        ({"a": object()}, {"a": object()}),
    ],
)
def test_arguments_that_differ(written, given):
    """A kind, a name, one more, one less."""
    assert not asked_prints(written).fits(asked_prints(given), nothing)


def test_what_cannot_be_compared_is_not_read():
    """A lazy list, an object with a text of its own: for a link nobody's code runs."""

    class Lazy(list):
        def __iter__(self):
            raise AssertionError("read")

        def __str__(self):
            raise AssertionError("asked")

    assert asked_prints({"a": Lazy()}) == {"a": None}
    assert not asked_prints({"a": []}).fits(asked_prints({"a": Lazy()}), nothing)


def test_broken_arguments_are_like_nothing(asked):
    """A model was cut off, and asks again: the new call is the only one."""
    ask(asked, Call("a", "search", asked_prints('{"q": "x'), 0))
    ask(asked, call("b", q="x"))
    assert isinstance(asked_prints('{"q": "x'), Broken)
    assert begin(asked, q="x") == "b"


def test_what_a_tool_calls_is_its_own_affair(asked):
    """Unless a model asked for it inside that very tool."""
    ask(asked, call("a", q="x"))
    ask(asked, call("b", q="x"), inside=7)
    assert begin(asked, q="x", inside=8) is None
    assert begin(asked, q="x", inside=7) == "b"
    assert begin(asked, q="x") == "a"


def test_the_same_call_told_twice_is_one(asked):
    """By whoever tells it; another one under the same id is another one."""
    one = response()
    for calls in ([call("a", q="x")], [call("a", q="x"), call("a", q="y")]):
        asked.add(one, calls, ("trace",))
    assert len(one.calls) == len(asked) == 2


def test_defaults_stand_for_what_nobody_gave():
    """On either side; another value than the default is a difference."""
    defaults = asked_prints({"limit": 3, "deep": False}).get
    for one, other, same in (
        ({"q": "x"}, {"q": "x", "limit": 3}, True),
        ({"q": "x", "limit": 3}, {"q": "x", "deep": False}, True),
        ({"q": "x"}, {"q": "x", "limit": 4}, False),
        ({"q": "x", "limit": 4}, {"q": "x"}, False),
        ({"q": "x"}, {"q": "x", "other": 1}, False),
    ):
        assert asked_prints(one).fits(asked_prints(other), defaults) is same


def test_a_text_is_the_only_argument():
    """A custom tool is given one text, under whatever name."""
    assert asked_prints("text", is_text=True).fits(asked_prints({"code": "text"}), nothing)


def test_equal_calls_of_one_answer_are_taken_in_their_order(asked):
    """By the flow that asked for them; elsewhere nobody knows which is which."""
    ask(asked, call("a"), call("b"))
    assert begin(asked, runner="elsewhere") is None
    assert begin(asked) == "a"
    assert begin(asked, runner="elsewhere") == "b"  # the only one that is left


def test_equal_calls_of_two_answers_are_not_told_apart(asked):
    """An execution without an id is better than one with another call's."""
    ask(asked, call("a"))
    ask(asked, call("b"))
    assert begin(asked) is None


def test_equal_calls_of_two_choices_are_not_told_apart(asked):
    """Which of the answers the application takes is its own affair."""
    ask(asked, call("a", choice=0), call("b", choice=1))
    assert begin(asked) is None


def test_repeated_calls(asked):
    """Asked, executed, answered, and asked again."""
    for call_id in ("a", "b"):
        ask(asked, call(call_id, q="x"))
        assert begin(asked, q="x") == call_id
        asked.answer(one_of(asked, call_id))


def test_a_call_that_was_answered_is_over(asked):
    """Whether it was seen to be executed or not."""
    ask(asked, call("a", q="x"))
    asked.answer(one_of(asked, "a"))
    assert begin(asked, q="x") is None


def test_a_call_that_failed_may_be_tried_again(asked):
    """With the same id; not one that succeeded, and not one that still runs."""
    ask(asked, call("a", q="x"))
    assert begin(asked, q="x") == "a"
    assert begin(asked, q="x") is None
    one = one_of(asked, "a")
    one.end(failed=True)
    assert begin(asked, q="x") == "a"
    one.end(failed=False)
    assert begin(asked, q="x") is None


def test_of_two_equal_calls_where_one_failed_none_is_certain(asked):
    """It may be the first one's second try, or the second one's first."""
    ask(asked, call("a"), call("b"))
    assert begin(asked) == "a"
    one_of(asked, "a").end(failed=True)
    assert begin(asked) is None


def test_unknown_arguments_block_and_match_nothing(asked):
    """What could not be read may be any call of its name."""
    ask(asked, Call("a", "search", Unknown(), 0), call("b", q="x"))
    assert begin(asked, q="x") is None
    assert begin(asked, q="y") is None


def test_arguments_that_cannot_be_told_match_nothing(asked):
    """Nobody knows the parameters of some functions."""
    ask(asked, call("a"))
    assert asked.take(("trace",), Execution("search", lambda: None, lambda name: MISSING, lambda: "here")) is None


# Where.


def test_the_first_scope_that_knows_the_name(asked):
    """A trace before a flow; another trace has nothing to do with it."""
    ask(asked, call("a", q="x"), scopes=("trace",))
    ask(asked, call("b", q="x"), scopes=("flow",))
    assert begin(asked, scopes=("other",), q="x") is None
    assert begin(asked, scopes=("trace", "flow"), q="x") == "a"
    assert begin(asked, scopes=("flow",), q="x") == "b"


def test_everywhere_is_for_what_is_the_only_one_of_the_process(asked):
    """Two conversations that ask for the same are not told apart."""
    ask(asked, call("a", q="x"), call("b", q="y"), scopes=("one",))
    ask(asked, call("c", q="x"), scopes=("two",))
    assert begin(asked, scopes=(EVERYWHERE,), q="x") is None
    assert begin(asked, scopes=(EVERYWHERE,), q="y") == "b"
    assert begin(asked, scopes=("two",), q="x") == "c"
    assert begin(asked, scopes=(EVERYWHERE,), q="x") == "a"


def test_a_call_without_arguments_is_not_looked_for_everywhere(asked):
    """Anybody may make it."""
    ask(asked, call("a"))
    assert begin(asked, scopes=(EVERYWHERE,)) is None
    assert begin(asked) == "a"


def test_a_scope_where_nothing_may_begin_is_passed(asked):
    """What was executed there does not stand in the way."""
    ask(asked, call("a", q="x"), scopes=("one",))
    ask(asked, call("b", q="x"), scopes=("two",))
    assert begin(asked, scopes=("one", "two"), q="x") == "a"
    assert begin(asked, scopes=("one", "two"), q="x") == "b"


def test_by_id(asked):
    """The scope's own; of several with one id the only one that is open."""
    ask(asked, call("call_0", q="x"))
    ask(asked, call("call_0", q="y"))
    assert one_of(asked, "call_0") is None
    begin(asked, q="x")
    asked.answer(next(iter(asked._scopes["trace"].calls)))
    assert one_of(asked, "call_0").arguments == asked_prints({"q": "y"})
    assert one_of(asked, "call_0", "other") is None


# How many, and for how long.


def test_the_oldest_go_first(asked):
    """Four in a scope; who goes unanswered is counted."""
    assert ask(asked, *(call(str(number), q=number) for number in range(4))) == Dropped()
    asked.answer(one_of(asked, "0"))
    assert ask(asked, call("4", q=4), call("5", q=5)) == Dropped(full=1)
    assert one_of(asked, "1") is None
    assert begin(asked, q=2) == "2"
    assert len(asked) == 4


def test_all_scopes_together_have_a_limit(asked):
    """Sixteen times as many, however many scopes there are."""
    dropped = sum(ask(asked, call(str(number)), scopes=(number,)).full for number in range(100))
    assert (len(asked), len(asked._scopes) - 1, dropped) == (64, 64, 36)


def test_old_calls_are_not_found_and_go(asked, clock):
    """Ten minutes; the next one that is asked for clears them away."""
    ask(asked, call("a", q="x"), response_id="r1")
    clock.now += 601
    assert begin(asked, q="x") is None
    assert one_of(asked, "a") is None
    assert ask(asked, call("b", q="x")) == Dropped(expired=1)
    assert asked.response("r1") is None
    assert len(asked) == 1


def test_a_stored_response_is_known_as_long_as_its_calls(asked):
    """By its id."""
    ask(asked, call("a"), call("b"), response_id="r1", begins=False)
    found = asked.response("r1")
    assert ([one.id for one in found.calls], found.begins) == (["a", "b"], False)
    for number in range(4):
        ask(asked, call(str(number)))
    assert asked.response("r1") is None


def test_nothing_of_the_arguments_is_kept(asked):
    """A number stands for each of them."""
    ask(asked, call("a", password="a secret that nobody may see"))
    gc.collect()
    (kept,) = asked._everywhere.calls
    assert [len(one) for one in kept.arguments.values()] == [16]


def test_memory_stays_flat():
    """Nobody executes or answers, in as many scopes as there are traces; ``make soak`` asks 10^6 times."""
    asked, memory = soak.run(80_000)
    assert not soak.problems(asked, memory)


def test_many_threads(asked):
    """Each call is taken once."""
    asked = AskedCalls(max_calls=1024, max_age_s=600)
    ask(asked, *(call(str(number), q=number) for number in range(300)))
    found: list[str | None] = []

    def take(order):
        found.extend(begin(asked, runner=None, q=number) for number in order)

    threads = [threading.Thread(target=take, args=(list(range(300))[:: (-1) ** number],)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    taken = [one for one in found if one is not None]
    assert sorted(taken) == sorted(str(number) for number in range(300))


class Colour(enum.Enum):
    """As an application makes it of the model's text."""

    RED = "red"


class Name(str):
    """A text with a class of its own."""


class Filter(BaseModel):
    """What an application makes of the model's arguments."""

    q: str


class Refusing(BaseModel):
    """A model that does not tell."""

    def model_dump(self, **kwargs):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("red", Colour.RED),
        ("x", Name("x")),
        ({"q": "x"}, Filter(q="x")),
        ([{"q": "x"}], [Filter(q="x")]),
        ("12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        ("1.50", decimal.Decimal("1.50")),
        ("/tmp/x", pathlib.PurePosixPath("/tmp/x")),
        ("2026-01-02T03:04:05", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (1.5, 1.5),
    ],
)
def test_what_applications_make_of_arguments(written, given):
    """Enums, texts of a class, models, ids, amounts, paths, times."""
    assert asked_prints({"a": written}).fits(asked_prints({"a": given}), nothing)


def test_what_is_like_nothing():
    """Not even itself: other keys than texts, what has no end, what will not tell, what is too deep."""
    endless: list[object] = []
    endless.append(endless)
    deep: object = "x"
    for _ in range(40):
        deep = [deep]
    for value in ({1: "x"}, endless, deep, Refusing(), {1, 2}, b"x"):
        assert not asked_prints({"a": value}).fits(asked_prints({"a": value}), nothing)


def test_arguments_that_are_a_text_in_json():
    """Some models write the text alone."""
    assert asked_prints('"x"').fits(asked_prints({"q": "x"}), nothing)
    assert not asked_prints("[1]").fits(asked_prints({"q": 1}), nothing)
