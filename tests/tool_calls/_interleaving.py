"""Random programs: conversations that ask for tools, and executions in threads, tasks and contexts of every kind.

One step at a time, so that an oracle can say what is known when an execution begins: a wrong id is a fault, and so is a
missing one where only one call can be meant.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from spanloom.genai import AskedCall, Inference, Peer, Telemetry, ToolExecution, match_tool_call, remember_tool_calls
from spanloom.semconv import GenAI

Key = tuple[str, int]
PEER = Peer("openai", "localhost", 1)


@dataclass(eq=False)
class Asked:
    """One call that was asked for; ``done`` once it was executed."""

    call_id: str
    key: Key
    response: int
    done: bool = False


@dataclass(eq=False)
class Conversation:
    """One context with what was asked in it. ``has_span``: there is a span around it."""

    context: contextvars.Context
    has_span: bool
    asked: list[Asked] = field(default_factory=list)

    def waiting(self, key: Key) -> list[Asked]:
        """The calls of this name and these arguments that nobody has executed."""
        return [one for one in self.asked if one.key == key and not one.done]


class Program:
    """One random program."""

    def __init__(self, seed: int, telemetry: Telemetry, tracer: trace.Tracer) -> None:
        self._random = random.Random(seed)
        self._telemetry = telemetry
        self._tracer = tracer
        self._number = 0
        self.executed = 0
        self.found = 0
        self.conversations = [self._conversation() for _ in range(self._random.randint(1, 3))]

    def _conversation(self) -> Conversation:
        context = contextvars.Context()
        has_span = self._random.random() < 0.5
        if has_span:
            context.run(lambda: self._tracer.start_as_current_span("request").__enter__())
        return Conversation(context, has_span)

    def run(self, steps: int) -> list[str]:
        """What went wrong."""
        faults: list[str] = []
        for _ in range(steps):
            one = self._random.choice(self.conversations)
            if self._random.random() < 0.4 or not any(not call.done for call in one.asked):
                self._ask(one)
            else:
                faults += self._execute(one)
        return faults

    def _key(self) -> Key:
        return self._random.choice(("search", "price")), self._random.randint(0, 3)

    def _ask(self, one: Conversation) -> None:
        keys = [self._key() for _ in range(self._random.randint(1, 3))]
        self._number += 1
        wanted = [Asked(f"id_{self._number}_{place:06}", key, self._number) for place, key in enumerate(keys)]
        one.asked += wanted
        told = [AskedCall(call.call_id, call.key[0], f'{{"n": {call.key[1]}}}') for call in wanted]

        def ask() -> None:
            inference = Inference(self._telemetry, "chat", "m", PEER)
            if self._random.random() < 0.5:
                remember_tool_calls(inference, told)
            else:
                for call in told:
                    remember_tool_calls(inference, [call])
            inference.stop()

        one.context.run(ask)

    def _execute(self, one: Conversation) -> list[str]:
        wanted = self._random.choice([call for call in one.asked if not call.done])
        # An application goes through equal calls of one answer in their order.
        wanted = next(call for call in one.waiting(wanted.key) if call.response == wanted.response)
        where = self._random.choice(_PLACES)
        certain = where.is_certain(self, one, wanted)
        found = where.run(one.context, lambda: self._execution(wanted.key))
        wanted.done = True
        self.executed += 1
        self.found += found is not None
        if found not in (None, wanted.call_id):
            return [f"{where.name}: {found} in the place of {wanted.call_id}"]
        if found is None and certain:
            return [f"{where.name}: nothing in the place of {wanted.call_id}"]
        if found is None:
            # It was executed without our knowing which one it is: nobody may take it for the next one.
            self._settle(one, wanted)
        return []

    def _execution(self, key: Key) -> str | None:
        execution = ToolExecution(self._telemetry, key[0])
        match_tool_call(execution, lambda: {"n": key[1]})
        execution.stop()
        return execution.attributes.get(GenAI.TOOL_CALL_ID)

    def _settle(self, one: Conversation, wanted: Asked) -> None:
        from spanloom.genai._tool_calls import asked_calls

        for call in list(asked_calls()._everywhere.calls):  # pyright: ignore[reportPrivateUsage]
            if call.id == wanted.call_id:
                asked_calls().answer(call)

    def everywhere(self, key: Key) -> list[Asked]:
        """The same calls of all conversations."""
        return [call for one in self.conversations for call in one.waiting(key)]


@dataclass(frozen=True)
class Place:
    """Where an execution runs, and when it is certain which call is meant."""

    name: str
    run: Callable[[contextvars.Context, Callable[[], Any]], Any]
    is_certain: Callable[[Program, Conversation, Asked], bool]


def _here(context: contextvars.Context, function: Callable[[], Any]) -> Any:
    return context.run(function)


def _in_a_thread(context: contextvars.Context, function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    one = threading.Thread(target=lambda: found.append(function()))
    one.start()
    one.join()
    return found[0]


def _in_a_thread_with_its_context(context: contextvars.Context, function: Callable[[], Any]) -> Any:
    copy = context.copy()
    return _in_a_thread(context, lambda: copy.run(function))


def _in_a_task(context: contextvars.Context, function: Callable[[], Any]) -> Any:
    async def run() -> Any:
        return function()

    async def program() -> Any:
        return await asyncio.create_task(run())

    return context.copy().run(asyncio.run, program())


def _of_one_answer(program: Program, one: Conversation, wanted: Asked) -> bool:
    del program
    return len({call.response for call in one.waiting(wanted.key)}) == 1


def _the_only_one(program: Program, one: Conversation, wanted: Asked) -> bool:
    del program
    return len(one.waiting(wanted.key)) == 1


def _the_only_one_of_all(program: Program, one: Conversation, wanted: Asked) -> bool:
    del one
    return len(program.everywhere(wanted.key)) == 1


_PLACES = (
    Place("here", _here, _of_one_answer),
    Place("task", _in_a_task, _the_only_one),
    Place("thread with context", _in_a_thread_with_its_context, _the_only_one),
    Place("bare thread", _in_a_thread, _the_only_one_of_all),
)


def faults(first: int, count: int, steps: int = 12) -> tuple[list[str], int, int]:
    """What went wrong in ``count`` programs; how many executions there were, and how many found their call."""
    from spanloom.genai import _tool_calls

    provider = TracerProvider(shutdown_on_exit=False)
    telemetry = Telemetry("spanloom.test", provider)
    tracer = provider.get_tracer("app")
    told: list[str] = []
    executed = found = 0
    for seed in range(first, first + count):
        _tool_calls.asked_calls.cache_clear()
        program = Program(seed, telemetry, tracer)
        told += [f"seed {seed}: {one}" for one in program.run(steps)]
        executed, found = executed + program.executed, found + program.found
    return told, executed, found
