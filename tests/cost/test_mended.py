"""Calls whose amount was wrong once: each is silent now, or right."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanloom.cost import _active as active_module
from spanloom.cost import cost_attributes, load_overrides, price, reset_overrides
from spanloom.cost._active import Active
from spanloom.cost._judged import judged
from spanloom.cost._resolve import schedules
from spanloom.genai import Usage
from spanloom.semconv import GenAI, OpenAI, Server, Spanloom

CALL: dict[str, Any] = {
    GenAI.OPERATION_NAME: "chat",
    GenAI.PROVIDER_NAME: "openai",
    GenAI.REQUEST_MODEL: "gpt-5",
    GenAI.USAGE_INPUT_TOKENS: 1000,
    GenAI.USAGE_OUTPUT_TOKENS: 500,
}
RULES = "version: 1\nprices: [{match: {provider: azure.ai.openai}, discount: 0.5}]\n"


@pytest.fixture
def own() -> Iterator[None]:
    yield
    reset_overrides()


@pytest.mark.parametrize(
    "name",
    [
        OpenAI.RESPONSE_SERVICE_TIER,
        OpenAI.REQUEST_SERVICE_TIER,
        "gen_ai.openai.response.service_tier",
        "gen_ai.openai.request.service_tier",
    ],
)
def test_a_tier_by_any_name(name: str) -> None:
    """Twice the standard price; what was asked for counts where nobody tells what it became."""
    found, standard = cost_attributes({**CALL, name: "priority"}), cost_attributes(CALL)
    assert found and standard
    assert found[Spanloom.COST_AMOUNT] == 2 * standard[Spanloom.COST_AMOUNT]
    told = cost_attributes({**CALL, OpenAI.REQUEST_SERVICE_TIER: "priority", OpenAI.RESPONSE_SERVICE_TIER: "default"})
    assert told == standard


@pytest.mark.parametrize("name", [Server.ADDRESS, "net.peer.name", "gen_ai.openai.api_base"])
def test_a_server_of_ones_own_by_any_name(name: str) -> None:
    """Its calls have no cloud's price."""
    assert cost_attributes({**CALL, name: "http://localhost:4000/v1"}) == {Spanloom.COST_STATUS: "unknown_deployment"}


@pytest.mark.parametrize(
    ("provider", "model", "host"),
    [
        ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("azure.ai.openai", "gpt-4o", "x.openai.azure.us"),
        ("azure.ai.openai", "gpt-4o", "x.openai.azure.cn"),
    ],
)
def test_clouds_of_governments_and_of_china(provider: str, model: str, host: str) -> None:
    """Their prices are not in the table."""
    got = price(model, provider=provider, server_address=host, input_tokens=1, output_tokens=1)
    assert (got.amount_usd, got.status) == (None, "unknown_price")


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gpt-4o-audio-preview", Usage(100, 50, audio_output_tokens=40)),
        ("gpt-4o-audio-preview", Usage(100, 50, audio_input_tokens=40)),
        ("gpt-4o", Usage(100, 50, image_output_tokens=40)),
    ],
)
def test_sound_is_not_billed_as_text(model: str, usage: Usage) -> None:
    """Where it is counted, and the table has a price for text alone."""
    assert judged("openai", model, None, None, usage)[:2] == ("unknown_price", None)
    assert judged("openai", model, None, None, Usage(100, 50, audio_input_tokens=0)).status == "priced"


def test_sound_by_openinferences_name() -> None:
    """It has its own price."""
    call = {**CALL, GenAI.PROVIDER_NAME: "gcp.gemini", GenAI.REQUEST_MODEL: "gemini-2.5-flash"}
    found = cost_attributes({**call, "llm.token_count.prompt_details.audio": 900})
    assert found and found[Spanloom.COST_AMOUNT] == pytest.approx(0.00218)


@pytest.mark.parametrize("reported", [float("nan"), float("inf"), -1.0])
def test_a_reported_cost_that_is_none(reported: float) -> None:
    """The table's price is taken."""
    assert judged("openai", "gpt-4o", None, None, Usage(1000, 500), None, reported).source == "local"


def test_zeros_are_no_usage() -> None:
    """Some servers write them for what they do not count; a model that is free is free all the same."""
    assert judged("openai", "gpt-4o", None, None, Usage(0, 0))[:2] == ("unknown_usage", None)
    assert judged("openai", "gpt-4o", None, None, Usage(0, 5)).status == "priced"
    assert judged("openrouter", "deepseek/deepseek-r1-zero:free", None, None, Usage(0, 0))[:2] == ("free", 0.0)


def test_a_rule_for_any_name_of_a_provider(own: None) -> None:
    """OpenTelemetry's name in the rule, the table's on the call, and the other way round."""
    load_overrides([{"match": {"provider": "azure.ai.openai"}, "discount": 0.5}])
    for provider in ("azure", "azure.ai.openai", "az.ai.openai"):
        assert price("gpt-4o", provider=provider, input_tokens=10**6, output_tokens=0).amount_usd == 1.25


def test_what_is_too_long_is_not_kept() -> None:
    """Providers and tiers, too: the cache is bounded by number."""
    before = schedules.cache_info().currsize
    for number in range(20):
        name = f"{number}" * 10_000
        assert price("gpt-4o", provider=name, input_tokens=1, output_tokens=1).amount_usd is None
        assert price("gpt-4o", service_tier=name, input_tokens=1, output_tokens=1).amount_usd is None
    assert schedules.cache_info().currsize <= before + 2


def slow_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[Active, threading.Event]:
    """Rules whose file takes so long to be read, and what is set when that begins."""
    path = tmp_path / "prices.yaml"
    path.write_text(RULES)
    monkeypatch.setenv(active_module.SETTING, str(path))
    one, begun, read = Active(), threading.Event(), Active._read  # pyright: ignore[reportPrivateUsage]

    def slow(self: Active, name: str) -> None:
        begun.set()
        time.sleep(seconds)
        read(self, name)

    monkeypatch.setattr(Active, "_read", slow)
    return one, begun


def test_every_thread_waits_for_the_first_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a call at the start of a service has the table's price."""
    one, begun = slow_reader(tmp_path, monkeypatch, 0.3)
    first = threading.Thread(target=one.look)
    first.start()
    assert begun.wait(5)
    one.look()
    assert len(one.rules) == 1
    first.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_while_rules_are_read_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither waits for a thread that it does not have nor goes without."""
    one, begun = slow_reader(tmp_path, monkeypatch, 1.0)
    os.register_at_fork(after_in_child=one.after_fork)
    reader = threading.Thread(target=one.look)
    reader.start()
    assert begun.wait(5)
    child = os.fork()
    if not child:
        one.look()
        os._exit(len(one.rules))
    _, status = os.waitpid(child, 0)
    reader.join()
    assert os.waitstatus_to_exitcode(status) == 1
