"""Calls as applications make them. Each gives back what the application saw, as plain data.

The same functions run for the snapshots and, with and without the plugin, for the comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai

from model_server import ModelServer
from tests._support.spans import eventually
from tests.openai import _chat_scenarios, _other_scenarios, _responses_scenarios
from tests.openai._asking import QUESTION, TALK, TOOLS, asking

__all__ = ["ASYNC", "LATE", "QUESTION", "SYNC", "TALK", "TOOLS", "asking", "run"]

_ALL = (_chat_scenarios, _responses_scenarios, _other_scenarios)
SYNC: dict[str, Callable[[openai.OpenAI], Any]] = {name: one for each in _ALL for name, one in each.SYNC.items()}
ASYNC: dict[str, Callable[[openai.AsyncOpenAI], Awaitable[Any]]] = {
    name: one for each in _ALL for name, one in each.ASYNC.items()
}

# The caller gives up before the server answers.
LATE = ("timed_out", "acancelled")


def run(name: str, server: ModelServer) -> Any:
    """Run one scenario with a client of its own, in a loop of its own where it is asynchronous.

    Returns when the server has written all of it down: where a client goes away it notices late.
    """
    seen = _run(name, {"base_url": server.openai_base_url, "api_key": "key", "max_retries": 1})
    eventually(lambda: server.ledger._recorded == server.ledger._next)
    return seen


def _run(name: str, options: dict[str, Any]) -> Any:
    if name in SYNC:
        with openai.OpenAI(**options) as client:
            return SYNC[name](client)

    async def program() -> Any:
        async with openai.AsyncOpenAI(**options) as client:
            return await ASYNC[name](client)

    return asyncio.run(program())
