"""What DSPy does around and between programs: a step that is no module. Programs inside it start anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context

from spanloom.genai import Invocation, Step, Telemetry, current

_RESUBMITTED = otel.create_key("spanloom-dspy-resubmitted")


class Scope(Step):
    """A parallel run, an evaluation, one of its examples, a compilation, an adapter's work.

    ``starts_anew``: a module inside is a program of its own (a workflow), not a part of one further out.
    """

    __slots__ = ("starts_anew",)

    def __init__(self, telemetry: Telemetry, name: str, details: Mapping[str, Any], *, starts_anew: bool) -> None:
        self.starts_anew = starts_anew
        super().__init__(telemetry, name, None, details)


class Compile(Scope):
    """An optimizer at work; programs inside it are candidates, not parts of what is around."""

    __slots__ = ("optimizer", "student")

    def __init__(self, telemetry: Telemetry, name: str, details: Mapping[str, Any], optimizer: object) -> None:
        self.optimizer = optimizer
        # The program that is made better.
        self.student: object = None
        super().__init__(telemetry, name, details, starts_anew=True)


def enclosing_module(around: Invocation | None) -> Step | None:
    """The innermost module that is running around here, whose part a module called here is."""
    while around is not None:
        if isinstance(around, Scope):
            if around.starts_anew:
                return None
        elif isinstance(around, Step) and around.owner is not None:
            # An agent that is told by hand has none.
            return around
        around = around.parent
    return None


def enclosing(kind: type[Scope]) -> Scope | None:
    """The innermost scope of this kind around the current code."""
    around = current()
    while around is not None and not isinstance(around, kind):
        around = around.parent
    return around


def resubmitted_in(scope: Scope, context: Context) -> Context:
    """The context for an item that this scope hands out once more."""
    return otel.set_value(_RESUBMITTED, id(scope), context)


def is_resubmitted(around: Invocation | None) -> bool:
    """True where what starts here, directly below ``around``, is such an item's second run."""
    return isinstance(around, Scope) and otel.get_value(_RESUBMITTED) == id(around)
