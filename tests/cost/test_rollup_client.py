"""Money adds up with the real client: streams, retries, tasks and threads, sampled or not, to the last bit."""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import httpx
import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from model_server import ModelServer
from spanloom.cost import CostFinisher, load_overrides, reset_overrides
from spanloom.genai import Agent, Telemetry, Workflow, _registry
from spanloom.genai.hooks import FinishedCall
from spanloom.openai import OpenAIInstrumentor
from tests._support.plugins import clean, frozen
from tests._support.spans import Recorder, eventually

__all__ = ["clean", "frozen"]

AMOUNT, MODEL = "gen_ai.usage.cost.amount", "gen_ai.request.model"
MODELS = ["gpt-4o-mini", "gpt-5.4", "o3", "gpt-4.1-nano", "acme-unknown"]
# How a call goes, by the text that the model server is asked with; what is read of a stream.
WAYS = {
    "whole": "",
    "retried": "[[error:429:times=1:retry_after=0.01]]",
    "refused": "[[error:400]]",
    "read": "",
    "retried stream": "[[error:429:times=1:retry_after=0.01]]",
    "closed": "",
    "dropped": "",
    "cut": "[[cut:3]]",
}
STREAMS = ("read", "retried stream", "closed", "dropped", "cut")


class Client:
    """The official client under the plugin, and a list of what each finished call cost."""

    def __init__(self, server: ModelServer, recorder: Recorder) -> None:
        self.recorder = recorder
        self.telemetry = Telemetry("spanloom.test", *recorder.providers.values())
        where: dict[str, Any] = {"base_url": server.openai_base_url, "api_key": "key", "max_retries": 2}
        self.sync, self.asynchronous = openai.OpenAI(**where), lambda: openai.AsyncOpenAI(**where)
        self.begun = 0
        self.told: list[tuple[str | None, float | None]] = []
        _registry.finishers = (CostFinisher(recorder.meter_provider), self._finished)

    def _finished(self, call: FinishedCall) -> None:
        self.told.append((call.request_model, call.attributes.get(AMOUNT)))

    @property
    def amounts(self) -> list[float]:
        return [usd for _, usd in self.told if usd is not None]

    def request(self, dice: random.Random) -> tuple[str, dict[str, Any]]:
        """A way and a request; no two are the same, so that the server fails each of them once."""
        self.begun += 1
        way = dice.choice(list(WAYS))
        asked: dict[str, Any] = {"model": dice.choice(MODELS)}
        asked["messages"] = [{"role": "user", "content": f"Which river is number {self.begun}? {WAYS[way]}"}]
        if way in STREAMS:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return way, asked

    def call(self, way: str, asked: dict[str, Any]) -> None:
        with suppress(openai.APIError, httpx.HTTPError):
            made: Any = self.sync.chat.completions.create(**asked)
            if way in ("closed", "dropped"):
                next(iter(made))
                if way == "closed":
                    made.close()
            elif way in STREAMS:
                list(made)

    async def acall(self, client: openai.AsyncOpenAI, way: str, asked: dict[str, Any]) -> None:
        with suppress(openai.APIError, httpx.HTTPError):
            made: Any = await client.chat.completions.create(**asked)
            if way in ("closed", "dropped"):
                await anext(aiter(made))
                if way == "closed":
                    await made.close()
            elif way in STREAMS:
                _ = [chunk async for chunk in made]

    def wait(self) -> None:
        """A stream that was dropped ends in a thread of its own; its metric is the last that is made of it."""
        gc.collect()
        eventually(lambda: self.recorder.total("gen_ai.client.inference.duration") == self.begun)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(port=0) as one:
        yield one


@pytest.fixture(autouse=True)
def priced() -> Iterator[None]:
    """The local server has the prices of the provider that it stands for."""
    load_overrides([{"match": {"server_address": "127.0.0.1"}, "billed_by": "openai"}])
    yield
    reset_overrides()


@pytest.fixture
def clients(server: ModelServer) -> Iterator[Callable[[Any], Client]]:
    """Makes clients under the plugin, by sampler."""
    plugin, made = OpenAIInstrumentor(), list[Client]()

    def make(sampler: Any) -> Client:
        recorder = Recorder(sampler)
        plugin.instrument(**recorder.providers)
        made.append(Client(server, recorder))
        return made[-1]

    yield make
    plugin.uninstrument()
    for one in made:
        one.sync.close()
        one.recorder.close()


def run(client: Client, dice: random.Random) -> None:
    """Agents with calls one after the other, in threads and in tasks."""
    for kind in ("plain", "threads", "tasks"):
        agent = Agent(client.telemetry, kind, None, {})
        asked = [client.request(dice) for _ in range(8)]
        with agent:
            if kind == "plain":
                for one in asked:
                    client.call(*one)
            elif kind == "threads":
                with ThreadPoolExecutor(4) as pool:
                    for work in [pool.submit(copy_context().run, client.call, *one) for one in asked]:
                        work.result()
            else:
                asyncio.run(tasks(client, asked))
            client.wait()
        agent.stop()


async def tasks(client: Client, asked: list[tuple[str, dict[str, Any]]]) -> None:
    async with client.asynchronous() as one:
        await asyncio.gather(*(client.acall(one, *each) for each in asked))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["all", "none"])
def test_spans_root_and_metric_have_one_sum(seed: int, sampler: Any, clients: Callable[[Any], Client]) -> None:
    """What was read whole, retried, closed, dropped, cut off or refused, in threads and in tasks."""
    client = clients(sampler)
    recorder = client.recorder
    root = Workflow(client.telemetry, "root", None, {})
    with root:
        run(client, random.Random(seed))
    root.stop()
    assert root.totals is not None
    told = root.totals.attributes()
    assert len(client.told) == told["spanloom.subtree.llm_calls"] == client.begun == 24
    assert told["spanloom.subtree.cost"] == math.fsum(client.amounts) > 0
    assert told["spanloom.subtree.unpriced_calls"] == len(client.told) - len(client.amounts) > 0
    assert "spanloom.subtree.incomplete" not in told
    # One sum for each model, each of which is exact; floats again, where the SDK adds them up in its histogram.
    by_model: dict[str | None, list[float]] = {}
    for model, usd in client.told:
        if usd is not None:
            by_model.setdefault(model, []).append(usd)
    totals = {point.attributes[MODEL]: point.value for point in recorder.points("spanloom.cost.total")}
    assert totals == {model: math.fsum(amounts) for model, amounts in by_model.items()}
    points = recorder.points("gen_ai.client.operation.cost")
    assert sum(point.count for point in points) == len(client.amounts)
    assert math.fsum(point.sum for point in points) == pytest.approx(told["spanloom.subtree.cost"], rel=1e-12)
    unpriced = recorder.total("spanloom.cost.unpriced.operations")
    assert unpriced == told["spanloom.subtree.unpriced_calls"]
    counted = sum(point.sum for point in recorder.points("gen_ai.client.inference.operation.input_tokens"))
    assert counted == told["spanloom.subtree.input_tokens"]
    if sampler is ALWAYS_OFF:
        assert recorder.spans == []
        return
    calls = [dict(span.attributes or {}) for span in recorder.spans if span.name.startswith("chat")]
    assert sorted(row[AMOUNT] for row in calls if AMOUNT in row) == sorted(client.amounts)
    assert any(row.get("spanloom.request.attempts") == 2 for row in calls)
    (top,) = (span for span in recorder.spans if span.parent is None)
    assert {name: top.attributes[name] for name in told} == told
    agents = [span.attributes.get("spanloom.subtree.cost", 0.0) for span in recorder.spans if span.parent is not None]
    assert math.fsum(agents) == pytest.approx(told["spanloom.subtree.cost"], rel=1e-15)


@pytest.mark.parametrize("how", ["read", "dropped"])
def test_a_stream_that_outlives_its_agent(how: str, clients: Callable[[Any], Client]) -> None:
    """The agent says that its sums lack it; the workflow has it, and says so of the agent."""
    client = clients(ALWAYS_ON)
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Which river?"}], "stream": True}
    root = Workflow(client.telemetry, "root", None, {})
    with root:
        agent = Agent(client.telemetry, "agent", None, {})
        with agent:
            stream: Any = client.sync.chat.completions.create(**asked, stream_options={"include_usage": True})
            client.begun += 1
        agent.stop()
        if how == "read":
            list(stream)
        del stream
        client.wait()
    root.stop()
    assert told(client, "invoke_agent agent") == {"incomplete": True}
    found = told(client, "invoke_workflow root")
    assert found["incomplete"] is True
    assert found["llm_calls"] == 1
    assert found.get("cost") == (client.amounts[0] if how == "read" else None)
    assert found.get("unpriced_calls") == (None if how == "read" else 1)


def told(client: Client, name: str) -> dict[str, Any]:
    prefix = "spanloom.subtree."
    attributes = client.recorder.named(name).attributes
    return {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}
