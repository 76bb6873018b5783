"""What an agent's loop tells at its end: how many turns it took, and why it stopped. Each has its own way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from spanloom.dspy._paths import own
from spanloom.genai import Agent, Telemetry
from spanloom.semconv import DSpy

FINISH, MAX_ITERS, PARSE_ERROR = "finish", "max_iters", "parse_error"
CONTEXT_WINDOW, EMPTY_TOOL_CALLS = "context_window", "empty_tool_calls"
_CONTEXT_ERROR = "ContextWindowExceededError"
_MOST_KNOWN = 256


class LoopAgent(Agent):
    """One of DSPy's agents. ``turns``: how the predictor of its loop has ended so far, as a count and the last two."""

    __slots__ = ("before", "last", "limit", "turns")

    def __init__(
        self, telemetry: Telemetry, name: str, owner: object, details: Mapping[str, Any], limit: int | None
    ) -> None:
        """``limit``: the most turns it may take."""
        self.limit = limit
        self.turns = 0
        self.last: str | None = None
        self.before: str | None = None
        super().__init__(telemetry, name, owner, details)

    def note_turn(self, error: str | None) -> None:
        """Its predictor has ended, with this ``error.type``."""
        self.turns += 1
        self.before, self.last = self.last, error


@functools.lru_cache(_MOST_KNOWN)
def kind_of(kind: type[object]) -> str | None:
    """The name of DSPy's agent class that a module's class is one of; ``None`` for any other class."""
    for base in kind.__mro__:
        if base.__name__ in _TELLERS and base.__module__.startswith("dspy.predict"):
            return base.__name__
    return None


def limit_of(module: Any, kwargs: Mapping[str, Any]) -> int | None:
    """The most turns, as the call or the agent says."""
    for value in (kwargs.get("max_iters"), own(module).get("max_iters")):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def note_end(agent: Agent, result: Any) -> None:
    """Write what the result tells onto the agent's span."""
    kind = kind_of(type(agent.owner))
    if kind is not None and isinstance(agent, LoopAgent):
        agent.attributes.update(_TELLERS[kind](agent, result))


def _react(agent: LoopAgent, result: Any) -> Iterator[tuple[str, Any]]:
    trajectory = _stored(result).get("trajectory")
    if not isinstance(trajectory, dict):
        return
    names = [value for key, value in cast("dict[str, Any]", trajectory).items() if str(key).startswith("tool_name_")]
    # A turn that failed has left nothing in the trajectory.
    yield DSpy.AGENT_ITERATIONS, max(agent.turns, len(names))
    if names and names[-1] == FINISH:
        yield DSpy.AGENT_TERMINATION, FINISH
    else:
        yield DSpy.AGENT_TERMINATION, _reason(agent.last) or MAX_ITERS


def _react_v2(agent: LoopAgent, result: Any) -> Iterator[tuple[str, Any]]:
    reason = _stored(result).get("termination_reason")
    forced = reason == "forced_submit"
    # To be made to submit is one more question, and no turn of the loop.
    turns = agent.turns - forced
    yield DSpy.AGENT_ITERATIONS, turns
    if not forced:
        if reason == "submit":
            yield DSpy.AGENT_TERMINATION, FINISH
        return
    at_limit = agent.limit is not None and turns >= agent.limit
    yield DSpy.AGENT_TERMINATION, _reason(agent.before) or (MAX_ITERS if at_limit else EMPTY_TOOL_CALLS)


def _code_act(agent: LoopAgent, result: Any) -> Iterator[tuple[str, Any]]:
    del result
    yield DSpy.AGENT_ITERATIONS, agent.turns
    if agent.limit is not None and agent.turns < agent.limit:
        # In the last turn that it may take, nobody can tell.
        yield DSpy.AGENT_TERMINATION, FINISH


def _rlm(agent: LoopAgent, result: Any) -> Iterator[tuple[str, Any]]:
    trajectory = _stored(result).get("trajectory")
    if isinstance(trajectory, list):
        steps = cast("list[Any]", trajectory)
        yield DSpy.AGENT_ITERATIONS, len(steps)
        said: Any = steps[-1] if steps else None
        output = cast("Mapping[str, Any]", said).get("output") if isinstance(said, Mapping) else None
        if isinstance(output, str) and output.startswith("FINAL: "):
            yield DSpy.AGENT_TERMINATION, FINISH
        elif agent.limit is not None and len(steps) >= agent.limit:
            yield DSpy.AGENT_TERMINATION, MAX_ITERS


def _avatar(agent: LoopAgent, result: Any) -> Iterator[tuple[str, Any]]:
    del result
    yield DSpy.AGENT_ITERATIONS, agent.turns


_TELLERS: Mapping[str, Callable[[LoopAgent, Any], Iterator[tuple[str, Any]]]] = {
    "ReActV2": _react_v2,
    "CodeAct": _code_act,
    "RLM": _rlm,
    "Avatar": _avatar,
    "ReAct": _react,
}


def _reason(error: str | None) -> str | None:
    """Why a loop stopped after this failure of its predictor."""
    if error is None:
        return None
    return CONTEXT_WINDOW if error.endswith(_CONTEXT_ERROR) else PARSE_ERROR


def _stored(result: Any) -> Mapping[str, Any]:
    """The fields of a ``Prediction``."""
    store = getattr(result, "__dict__", {}).get("_store")
    return cast("Mapping[str, Any]", store) if isinstance(store, dict) else {}
