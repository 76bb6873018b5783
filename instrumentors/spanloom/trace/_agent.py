"""``agent``: an agent that no plugin knows, as a block or around a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from spanloom.genai import around_calls
from spanloom.trace._block import Block
from spanloom.trace._check import name_of, text_or_none

if TYPE_CHECKING:
    from spanloom.genai import Agent
    from spanloom.trace._agent_run import AgentRun

F = TypeVar("F", bound=Callable[..., Any])
_UNBOUND: tuple[Any, ...] = (staticmethod, classmethod)


class agent(Block["AgentRun"]):  # noqa: N801 - read as a statement: `with agent("planner") as run:`
    """Record a run of an agent as ``invoke_agent {name}``, with its duration, its calls and what they cost::

        with trace.agent("planner") as agent:
            agent.input("How many vanes are left?")
            agent.thought("The stock service knows.")
            agent.action("stock_level", {"item": "vane"})
            agent.observation(stock_level("vane"))      # a function under @spanloom.tools.tool has a span of its own
            agent.output("Three.")

    The block gives an ``AgentRun``. What runs below it (tools, model calls, other agents) is in its tree and its sums.
    It is carried by the OpenTelemetry context, into tasks as well. An exception fails the run and passes unchanged; to
    close a generator early is no failure. In a generator that yields inside the block its reader would run in it, too:
    write the block where the generator is read.

    ``@trace.agent("planner")`` records each call of a function of any kind, or a method, without content.

    ``name`` stands in the source and is checked here: ``TypeError`` where it is no text, ``ValueError`` where it is
    empty. Everything else comes from elsewhere and never raises: ``description``, ``agent_id`` and ``version`` (texts),
    and all that the run is told, are left out where they are not what they should be, with one line in the log.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        agent_id: str | None = None,
        version: str | None = None,
    ) -> None:
        super().__init__()
        self._name = name_of("agent(name)", name)
        self._description = text_or_none("agent(description)", description)
        self._agent_id = text_or_none("agent(agent_id)", agent_id)
        self._version = text_or_none("agent(version)", version)

    def _begin(self) -> AgentRun:
        from spanloom.trace._agent_run import AgentRun

        return AgentRun(self._started())

    def _started(self) -> Agent | None:
        from spanloom.trace import _agent_run

        return _agent_run.started(self._name, self._description, self._agent_id, self._version)

    def __call__(self, function: F) -> F:
        """The same function, recorded at each call. Raises ``TypeError`` on a class."""
        return self._recorded(function)

    def _recorded(self, function: Any) -> Any:
        if isinstance(function, type):
            raise TypeError(f"agent() records functions and methods; put it on a method of {function.__qualname__}")
        kind: Any = type(cast("object", function))
        if issubclass(kind, _UNBOUND):
            return kind(self._recorded(function.__func__))
        return around_calls(function, self._at_call, _tell_nothing, "trace.agent")

    def _at_call(self, args: object, kwargs: object) -> Agent | None:
        del args, kwargs
        return self._started()


def _tell_nothing(run: Agent, result: object) -> None:
    """What goes in and comes out of a function need not be what an agent was asked and answers."""
