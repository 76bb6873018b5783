"""Budgets and the SDK: a call whose budget is spent is never sent, however it is made."""

from __future__ import annotations

import asyncio
import gc
import threading

import openai
import pytest

from spanloom import trace
from spanloom.cost import BudgetExceeded, CostFinisher
from spanloom.cost._judged import Verdict
from spanloom.genai.hooks import add_finisher
from tests._support.budgets import ledger
from tests._support.spans import eventually
from tests.genai._make import KINDS, telemetry
from tests.openai._asking import MODEL, asking

__all__ = ["ledger"]

ADA = {"user.id": "ada"}


@pytest.fixture
def spent(ledger, plugin):
    """Ada has spent her dollar."""
    ledger.spend(ADA, 1.5)
    return ledger


CALLS = {
    "chat": lambda client: client.chat.completions.create(**asking("Hi")),
    "stream": lambda client: client.chat.completions.create(**asking("Hi", stream=True)),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**asking("Hi")),
    "responses": lambda client: client.responses.create(model=MODEL, input="Hi"),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="Hi"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_nothing_is_sent(kind, client, server, spent, recorder):
    """The application gets the exception itself, at once and once: no retry. The span says whose budget it was."""
    with trace.context(user="ada"), pytest.raises(BudgetExceeded) as caught:
        CALLS[kind](client)
    assert (caught.value.budget, caught.value.key, caught.value.spent_usd) == ("users", ADA, 1.5)
    assert server.ledger.entries == []
    span = recorder.span
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "spanloom.cost.BudgetExceeded"
    told = {name: value for name, value in span.attributes.items() if name.startswith("spanloom.budget.")}
    assert told.pop("spanloom.budget.resets_at") == caught.value.resets_at.isoformat()
    assert told == {
        "spanloom.budget.name": "users",
        "spanloom.budget.key": "ada",
        "spanloom.budget.spent_usd": 1.5,
        "spanloom.budget.limit_usd": 1.0,
    }
    assert recorder.total("spanloom.budget.refused") == 1


@pytest.mark.parametrize("kind", CALLS)
def test_nothing_is_sent_asynchronously(kind, server, spent, recorder):
    """The same for a client of asyncio."""

    async def ask():
        async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="key") as client:
            await CALLS[kind](client)

    with trace.context(user="ada"), pytest.raises(BudgetExceeded):
        asyncio.run(ask())
    assert server.ledger.entries == []


def test_others_are_not_concerned(client, server, spent):
    """Another user's calls, calls without a user, and what costs no tokens."""
    with trace.context(user="bob"):
        CALLS["chat"](client)
    CALLS["chat"](client)
    with trace.context(user="ada"):
        client.models.list()
    assert len(server.ledger.entries) >= 2


def test_a_stream_counts_for_who_began_it(client, ledger, plugin, recorder):
    """Also where its reader leaves it behind, in a generator that somebody else closes."""
    prices = iter([0.75, 0.75])
    add_finisher(lambda call: ledger.spend({**call.carried}, next(prices), call.add_event))

    def answer():
        with trace.context(user="ada"):
            yield from client.chat.completions.create(**asking("Hi", stream=True))

    begun = []
    for _ in range(2):
        reading = threading.Thread(target=lambda: begun.append(answer()) or next(begun[-1]))
        reading.start()
        reading.join()
        begun.pop().close()
        gc.collect()
    (point,) = eventually(lambda: [one for one in recorder.points("spanloom.budget.spent") if one.value > 1])
    assert (point.attributes["spanloom.budget.key"], point.value) == ("ada", 1.5)
    # The collector may end a stream in any thread, the server's included.
    told = eventually(lambda: [event.name for span in recorder.spans for event in span.events][2:] and recorder.spans)
    assert {event.name for span in told for event in span.events} == {"spanloom.budget.threshold_reached"}


def test_threads_overspend_by_what_is_in_flight(ledger, plugin, recorder):
    """Twelve threads ask as often as they may: what is over the limit is at most what was in flight just then."""
    usd, refused, sent = 0.02, [], []
    remove = add_finisher(lambda call: ledger.spend({**call.carried}, usd))

    def work():
        with trace.context(user="ada"), pytest.raises(BudgetExceeded) as caught:
            for _ in range(100):
                with trace.inference(model="m", provider="openai"):
                    sent.append(1)
        refused.append(caught.value)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    remove()
    assert len(refused) == 12
    assert 50 <= len(sent) <= 50 + 11
    (point,) = recorder.points("spanloom.budget.spent")
    assert point.value == pytest.approx(len(sent) * usd)
    assert {error.spent_usd >= 1.0 for error in refused} == {True}


def test_a_refused_call_is_no_call(ledger, plugin, recorder, client):
    """Nothing was sent: no finisher sees it, and it is no unpriced call of the spans above."""
    ledger.spend(ADA, 1.0)
    seen = []
    remove = add_finisher(seen.append)
    root = KINDS["workflow"](telemetry(recorder))
    with root, trace.context(user="ada"):
        with pytest.raises(BudgetExceeded):
            CALLS["chat"](client)
        root.stop()
    remove()
    assert seen == []
    assert not any(name.startswith("spanloom.subtree.") for name in recorder.spans[-1].attributes)


def test_the_finisher_spends(client, ledger, plugin, monkeypatch):
    """What ``CostFinisher`` finds out is spent: the second call is refused when the first has cost a dollar."""
    monkeypatch.setattr("spanloom.cost._finisher.judged", lambda *_: Verdict("priced", 1.0, 1.0))
    remove = add_finisher(CostFinisher())
    try:
        with trace.context(user="ada"):
            CALLS["chat"](client)
            with pytest.raises(BudgetExceeded):
                CALLS["chat"](client)
    finally:
        remove()
