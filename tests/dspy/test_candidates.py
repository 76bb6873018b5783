"""Which version of a program it is: by instructions and demos, without any code of the user's."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import cloudpickle
import dspy
import pydantic
import pytest

from spanloom.dspy._candidates import instructions_of, program_hash
from tests.dspy._programs import Pipe


def demo(**fields):
    """One demonstration."""
    return dspy.Example(**fields).with_inputs("question")


def with_demo(value):
    """A predictor with one demo that holds the value."""
    predict = dspy.Predict("question -> answer")
    predict.demos = [demo(question="q", answer=value)]
    return predict


class Point(pydantic.BaseModel):
    """A model as a field's value."""

    x: int


@dataclasses.dataclass
class Pair:
    """A data class as a field's value."""

    left: int


class Hostile:
    """Raises wherever it is read."""

    def __repr__(self):
        raise RuntimeError("repr")

    __str__ = __repr__

    @property
    def answer(self):
        """Never asked for."""
        raise AssertionError("a property was run")


def test_copies_are_the_same_version():
    """Deep copies, pickles and reset copies without demos have one hash of twelve digits."""
    pipe = Pipe()
    known = program_hash(pipe)
    assert len(known) == 12
    assert int(known, 16) >= 0
    assert program_hash(copy.deepcopy(pipe)) == program_hash(pickle.loads(cloudpickle.dumps(pipe))) == known
    assert program_hash(pipe.reset_copy()) == program_hash(Pipe()) == known


def test_a_demo_makes_another_version():
    """So does each of its values, also a dict's, a model's and a data class'."""
    values = ["a", "b", None, Point(x=1), Point(x=2), Pair(1), Pair(2), {"a": 1}, {"a": 2}, [1], 1.5, True, ("x",)]
    hashes = [program_hash(dspy.Predict("question -> answer")), *(program_hash(with_demo(one)) for one in values)]
    assert len(set(hashes)) == len(hashes)
    assert [program_hash(with_demo(one)) for one in values] == hashes[1:]


def test_other_instructions_make_another_version():
    """The signature's text, wherever in the program the predictor is."""
    pipe, other = Pipe(), Pipe()
    other.checks[1].signature = other.checks[1].signature.with_instructions("Be strict.")
    assert program_hash(pipe) != program_hash(other)
    assert instructions_of(other)["checks[1]"] == "Be strict."
    assert list(instructions_of(pipe)) == [name for name, _ in pipe.named_predictors()]


def test_demos_as_dicts():
    """As a loaded program has them."""
    predict = dspy.Predict("question -> answer")
    predict.demos = [{"question": "q", "answer": "a"}]
    assert program_hash(predict) == program_hash(with_demo("a"))


@pytest.mark.parametrize("value", [Hostile(), object(), {1, 2}, b"bytes", len, Point, float("nan"), {(1, 2): 3}])
def test_odd_values_are_hashed_without_running_anything(value):
    """The same in each copy: an address is no part of it."""
    assert program_hash(with_demo(value)) == program_hash(with_demo(value)) != ""


def test_a_demo_that_holds_itself_has_no_hash():
    """Nothing is said, and nothing is reported as a fault."""
    ring = {}
    ring["ring"] = ring
    assert program_hash(with_demo(ring)) == ""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert program_hash(with_demo(deep)) == ""
    while deep:  # a deep list is not freed by recursion alone in every interpreter
        deep = deep.pop()


@pytest.mark.parametrize("program", [len, lambda: 1, None, dspy.Module(), object()])
def test_what_has_no_predictor_has_no_hash(program):
    """Any callable may be evaluated."""
    assert program_hash(program) == ""
    assert instructions_of(program) == {}


def test_a_predictor_without_a_signature():
    """Somebody took it away; its instructions are empty."""
    predict = dspy.Predict("question -> answer")
    predict.signature = None
    assert instructions_of(predict) == {"self": ""}
    assert program_hash(predict) != program_hash(dspy.Predict("question -> answer"))
