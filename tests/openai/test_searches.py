"""Searches that the provider makes for a response: they are billed one by one, and are in the price of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.cost import CostFinisher
from spanloom.genai import Usage
from spanloom.genai.hooks import add_finisher
from spanloom.openai import OpenAIInstrumentor
from spanloom.openai._server_tools import count_searches
from tests._support.spans import Recorder
from tests.openai import _canned
from tests.openai._canned import Wire, client
from tests.openai.test_responses import ASKED, delta, event, streamed
from tests.openai.test_server_tools import finished

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OPENED = {**SEARCH, "id": "ws_2", "action": {"type": "open_page", "url": "https://example.com"}}
FOUND = {**SEARCH, "id": "ws_3", "action": {"type": "find_in_page", "url": "https://example.com", "pattern": "p"}}
FAILED = {**SEARCH, "id": "ws_4", "status": "failed"}
BEGUN = {**SEARCH, "id": "ws_5", "status": "searching"}
OLDER = {"type": "web_search_call", "id": "ws_6", "status": "completed"}
FILES = {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["a", "b"], "results": None}
MESSAGE = _canned.response()["output"][0]
OUTPUT = [SEARCH, OPENED, FOUND, FAILED, BEGUN, OLDER, FILES, MESSAGE]
# Five tokens in, two out, and what was searched: twice the web, once in files.
TOKENS_USD = (5 * 0.15 + 2 * 0.6) / 1e6
SEARCHES_USD = 2 * 0.01 + 0.0025


@pytest.fixture
def costs(recorder: Recorder, plugin: OpenAIInstrumentor) -> Iterator[None]:
    """The finisher of the cost room."""
    remove = add_finisher(CostFinisher(recorder.meter_provider))
    yield
    remove()


def usd(recorder: Recorder) -> float:
    """The amount on the one span that there is, which is priced."""
    assert recorder.span.attributes["spanloom.cost.status"] == "priced"
    return recorder.span.attributes["gen_ai.usage.cost.amount"]


@pytest.mark.parametrize("how", ["create", "raw", "streaming raw", "parse", "async"])
def test_of_a_whole_response(how: str, costs: None, recorder: Recorder) -> None:
    """What was searched is billed; pages that were opened or looked through, and what failed or goes on, are not."""
    wire = Wire(_canned.response(output=OUTPUT))
    if how == "async":

        async def ask() -> None:
            async with client(wire, openai.AsyncOpenAI) as one:
                await one.responses.create(**ASKED)

        asyncio.run(ask())
    else:
        with client(wire) as one:
            if how == "create":
                assert len(one.responses.create(**ASKED).output) == len(OUTPUT)
            elif how == "raw":
                one.responses.with_raw_response.create(**ASKED)
            elif how == "parse":
                one.responses.parse(**ASKED)
            else:
                with one.responses.with_streaming_response.create(**ASKED) as answer:
                    answer.read()
    assert usd(recorder) == pytest.approx(TOKENS_USD + SEARCHES_USD, abs=1e-15)
    assert recorder.total("spanloom.cost.total") == usd(recorder)


@pytest.mark.parametrize("told", ["both", "when done", "at the end"])
@pytest.mark.parametrize("end", ["completed", "incomplete"])
def test_of_a_stream(told: str, end: str, costs: None, recorder: Recorder) -> None:
    """Each is billed once, whether it is told when it is done, at the end, or both."""
    steps = [finished(place, item) for place, item in enumerate(OUTPUT)] if told != "at the end" else []
    whole = {**_canned.response(output=OUTPUT if told != "when done" else []), "status": end}
    with streamed(*steps, event(end, response=whole)) as one:
        list(one.responses.create(**ASKED, stream=True))
    assert usd(recorder) == pytest.approx(TOKENS_USD + SEARCHES_USD, abs=1e-15)


def test_of_the_sdk_s_stream_helper(costs: None, recorder: Recorder) -> None:
    """``responses.stream()`` is the same stream."""
    with (
        streamed(event("completed", response=_canned.response(output=OUTPUT))) as one,
        one.responses.stream(**ASKED) as seen,
    ):
        list(seen)
    assert usd(recorder) == pytest.approx(TOKENS_USD + SEARCHES_USD, abs=1e-15)


def test_of_a_stream_that_is_left(costs: None, recorder: Recorder) -> None:
    """Nobody told its tokens: there is no amount of its searches alone."""
    with streamed(finished(0, SEARCH), delta("a"), delta("b")) as one:
        for seen in (stream := one.responses.create(**ASKED, stream=True)):
            if seen.type == "response.output_text.delta":
                break
        stream.close()
    assert recorder.span.attributes["spanloom.cost.status"] == "unknown_usage"
    assert not [name for name in recorder.span.attributes if "usage" in name]


def test_without_any_it_costs_its_tokens(costs: None, recorder: Recorder) -> None:
    """Pages that are opened again, and tools of other kinds."""
    code = {"type": "code_interpreter_call", "id": "c", "status": "completed", "code": "1", "container_id": "c"}
    with client(Wire(_canned.response(output=[OPENED, FOUND, code, MESSAGE]))) as one:
        one.responses.create(**ASKED)
    assert usd(recorder) == pytest.approx(TOKENS_USD, abs=1e-18)


@pytest.mark.parametrize("item", [SEARCH, FILES], ids=["web", "files"])
def test_one_without_a_price_has_no_amount(item: dict[str, Any], costs: None, recorder: Recorder) -> None:
    """A model whose searches the table does not price: the amount would be too low."""
    with client(Wire(_canned.response(output=[item, MESSAGE], model="gpt-3.5-turbo"))) as one:
        one.responses.create(**{**ASKED, "model": "gpt-3.5-turbo"})
    assert recorder.span.attributes["spanloom.cost.status"] == "unknown_price"
    assert "gen_ai.usage.cost.amount" not in recorder.span.attributes
    assert recorder.total("spanloom.cost.unpriced.operations") == 1


def test_they_are_no_part_of_the_tokens(
    monkeypatch: pytest.MonkeyPatch, plugin: OpenAIInstrumentor, recorder: Recorder
) -> None:
    """Where the parts are asked for, searches are in the one that is of no tokens."""
    monkeypatch.setenv("SPANLOOM_COST_DETAILS", "true")
    remove = add_finisher(CostFinisher(recorder.meter_provider))
    with client(Wire(_canned.response(output=OUTPUT))) as one:
        one.responses.create(**ASKED)
    remove()
    parts = {name: usd for name, usd in recorder.span.attributes.items() if name.startswith("spanloom.cost.")}
    assert parts["spanloom.cost.other"] == SEARCHES_USD
    assert parts["spanloom.cost.input"] + parts["spanloom.cost.output"] == pytest.approx(TOKENS_USD, abs=1e-18)


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_call_that_is_not_sampled(stream: bool) -> None:
    """The metrics have the same amount."""
    recorder = Recorder(sampler=ALWAYS_OFF)
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    remove = add_finisher(CostFinisher(recorder.meter_provider))
    whole = _canned.response(output=OUTPUT)
    with streamed(event("completed", response=whole)) if stream else client(Wire(whole)) as one:
        made = one.responses.create(**ASKED, stream=stream)
        if stream:
            list(made)
    remove()
    plugin.uninstrument()
    assert recorder.spans == []
    assert recorder.total("spanloom.cost.total") == pytest.approx(TOKENS_USD + SEARCHES_USD, abs=1e-15)


def test_a_fetched_response_is_not_billed_again(costs: None, recorder: Recorder) -> None:
    """Whoever made it was told its searches."""
    with client(Wire(_canned.response(output=OUTPUT))) as one:
        one.responses.retrieve("resp_1")
    assert not [name for name in recorder.span.attributes if "cost" in name]


def test_searches_without_usage_are_not_told() -> None:
    """What nobody counted stays so."""
    usage = Usage(5, 2)
    count_searches(usage, [])
    count_searches(None, ["web_search"])
    assert usage == Usage(5, 2)
    count_searches(usage, ["web_search", "file_search", "web_search"])
    assert usage == Usage(5, 2, web_searches=2, storage_searches=1)
    assert usage.attributes() == Usage(5, 2).attributes()
