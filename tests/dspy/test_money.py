"""Money adds up over DSPy's modules: what came from its cache costs nothing, in every figure."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator

import dspy
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from spanloom.cost import CostFinisher, load_overrides, reset_overrides
from spanloom.dspy import DSPyInstrumentor
from spanloom.genai import _registry
from tests._support.spans import Recorder

AMOUNT, COST = "gen_ai.usage.cost.amount", "spanloom.subtree.cost"


@pytest.fixture(autouse=True)
def priced() -> Iterator[None]:
    """The local server has the prices of the provider that it stands for."""
    load_overrides([{"match": {"server_address": "127.0.0.1"}, "billed_by": "openai"}])
    yield
    reset_overrides()


class Program(dspy.Module):
    """Questions of which some were asked before, in threads and one after the other."""

    def __init__(self, questions):
        super().__init__()
        self.questions = questions
        self.ask = dspy.Predict("question -> answer")

    def forward(self):
        asked = [(self.ask, dspy.Example(question=one).with_inputs("question")) for one in self.questions]
        dspy.Parallel(num_threads=4, disable_progress_bar=True)(asked)
        for one in self.questions:
            self.ask(question=one)


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["all", "none"])
def test_a_program_with_cached_answers(server, sampler):
    """The root, the calls and the metric have the same sum; hits are counted and are not unpriced."""
    recorder, amounts = Recorder(sampler), []
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    roots = []
    _registry.finishers = (
        CostFinisher(recorder.meter_provider),
        lambda call: amounts.append(call.attributes.get(AMOUNT)),
        lambda call: roots.append(call.around.top()),
    )
    questions = [f"Which river is {number}? {uuid.uuid4()}" for number in range(6)]
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.openai_base_url, api_key="key", cache=True)
    with dspy.context(lm=lm):
        Program(random.Random(1).choices(questions, k=9))()
    plugin.uninstrument()
    (told,) = (dict(top.attributes()) for top in set(roots))
    paid = [usd for usd in amounts if usd is not None]
    assert len(amounts) == told["spanloom.subtree.llm_calls"] == 18
    assert len(paid) == len(server.ledger.entries) == 18 - told["spanloom.subtree.cache_hits"]
    assert told[COST] == math.fsum(paid) == recorder.total("spanloom.cost.total") > 0
    assert not {"spanloom.subtree.unpriced_calls", "spanloom.subtree.incomplete"} & told.keys()
    if sampler is ALWAYS_ON:
        (root,) = (span for span in recorder.spans if span.parent is None)
        assert root.attributes[COST] == told[COST]
        assert sorted(s.attributes[AMOUNT] for s in recorder.spans if AMOUNT in s.attributes) == sorted(paid)
    recorder.close()
