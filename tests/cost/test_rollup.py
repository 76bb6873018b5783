"""Money adds up: the spans of model calls, their local root, and the metric have the same sum, exactly."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from spanloom.cost import CostFinisher
from spanloom.genai import Agent, Inference, Peer, Step, Telemetry, Usage, Workflow, _registry
from tests._support.spans import Recorder

MODELS = ["gpt-4o-mini", "gpt-5.4", "o3", "gpt-4.1-nano", "acme-unknown"]


class Program:
    """A random program of agents, steps and model calls over threads and tasks."""

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self.telemetry = Telemetry(
            "spanloom.test", recorder.tracer_provider, recorder.meter_provider, recorder.logger_provider
        )
        self.dice = random.Random(seed)
        # What each finished call is worth; the calls that nobody can price.
        self.amounts: list[float] = []
        self.unpriced = 0

    def call(self) -> None:
        """One call: answered, from a cache, cut off without usage, or failed after it was answered."""
        dice = self.dice
        model, how = dice.choice(MODELS), dice.choice(["answer", "answer", "cached", "cut", "fails", "reported"])
        one = Inference(self.telemetry, "chat", model, Peer("openai", "api.openai.com", 443))
        with one:
            pass
        if how != "cut":
            given, made = dice.randrange(1, 10**6), dice.randrange(10**5)
            cached = dice.randrange(given)
            one.usage = Usage(given, made, cached, None, made // 3)
        one.cache_hit = how == "cached"
        if how == "reported":
            one.report_cost(dice.random() / 7)
        if how == "fails":
            one.fail(ValueError("cannot be parsed"))
        else:
            one.stop()
        amount = one.attributes.get("gen_ai.usage.cost.amount")
        if amount is not None:
            self.amounts.append(amount)
        elif not one.cache_hit:
            self.unpriced += 1

    def block(self, depth: int) -> None:
        """An agent or a step, and what runs in it."""
        owner: Any = type("Owner", (), {})()
        kind = self.dice.choice([Agent, Step, Workflow])
        one = kind(self.telemetry, "block", owner, {})
        with one:
            for _ in range(self.dice.randrange(1, 5)):
                self.run(depth - 1)
        one.stop()

    def run(self, depth: int) -> None:
        """Something of all that."""
        how = self.dice.choice(["call", "block", "threads", "tasks"]) if depth else "call"
        if how == "call":
            self.call()
        elif how == "block":
            self.block(depth)
        elif how == "threads":
            with ThreadPoolExecutor(4) as pool:
                for work in [pool.submit(copy_context().run, self.call) for _ in range(6)]:
                    work.result()
        else:

            async def task() -> None:
                await asyncio.sleep(0)
                self.call()

            async def tasks() -> None:
                await asyncio.gather(*(task() for _ in range(6)))

            asyncio.run(tasks())


@pytest.fixture
def finishers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_registry, "finishers", ())
    yield


@pytest.mark.usefixtures("finishers")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["all", "none"])
def test_spans_root_and_metric_have_one_sum(seed: int, sampler: Any) -> None:
    """Over threads, tasks, cache hits, streams that were cut, failures and reported costs; sampled or not."""
    recorder = Recorder(sampler)
    _registry.finishers = (CostFinisher(recorder.meter_provider),)
    program = Program(recorder, seed)
    root = Workflow(program.telemetry, "root", type("Root", (), {})(), {})
    with root:
        for _ in range(6):
            program.run(3)
    root.stop()
    expected = math.fsum(program.amounts)
    assert root.totals is not None
    told = root.totals.attributes()
    assert told.get("spanloom.subtree.cost") == (expected if program.amounts else None)
    assert told.get("spanloom.subtree.unpriced_calls", 0) == program.unpriced
    # One sum by model and provider: floats again, of which each is exact.
    totals = [point.value for point in recorder.points("spanloom.cost.total")]
    by_model: dict[str, list[float]] = {}
    assert math.fsum(totals) == pytest.approx(expected, rel=1e-15)
    assert sum(point.count for point in recorder.points("gen_ai.client.operation.cost")) == len(program.amounts)
    assert sum(p.value for p in recorder.points("spanloom.cost.unpriced.operations")) == program.unpriced
    if sampler is ALWAYS_ON:
        spans = [span for span in recorder.spans if "gen_ai.usage.cost.amount" in span.attributes]
        for span in spans:
            name = span.attributes["gen_ai.request.model"]
            by_model.setdefault(name, []).append(span.attributes["gen_ai.usage.cost.amount"])
        shown = {p.attributes["gen_ai.request.model"]: p.value for p in recorder.points("spanloom.cost.total")}
        assert shown == {name: math.fsum(amounts) for name, amounts in by_model.items()}
        (top,) = (span for span in recorder.spans if span.parent is None)
        assert {name: top.attributes[name] for name in told} == told
    else:
        assert recorder.spans == []
    recorder.close()


@pytest.mark.usefixtures("finishers")
def test_a_call_that_ends_after_its_agent() -> None:
    """The metric has it, and what is still open above it; whatever ends before it says that it lacks one."""
    recorder = Recorder()
    _registry.finishers = (CostFinisher(recorder.meter_provider),)
    of = Program(recorder, 0).telemetry
    peer, owner = Peer("openai", "api.openai.com", 443), type("Root", (), {})()
    root, agent = Workflow(of, "root", owner, {}), None
    late: list[Inference] = []
    with root:
        agent = Agent(of, "agent", owner, {})
        with agent:
            late = [Inference(of, "chat", "gpt-4o-mini", peer) for _ in range(3)]
        for one in late:
            one.usage = Usage(1000, 500)
        late[0].stop()
        agent.stop()
        late[1].stop()
    root.stop()
    late[2].stop()
    spans = {span.attributes.get("gen_ai.operation.name"): span.attributes for span in recorder.spans}
    usd = 0.00045
    assert spans["invoke_agent"]["spanloom.subtree.cost"] == usd
    assert spans["invoke_agent"]["spanloom.subtree.incomplete"] is True
    assert spans["invoke_workflow"]["spanloom.subtree.cost"] == 2 * usd
    assert spans["invoke_workflow"]["spanloom.subtree.incomplete"] is True
    assert recorder.total("spanloom.cost.total") == math.fsum([usd] * 3)
    recorder.close()
