"""The Collector prices spans that come without a cost: as the library does, or not at all."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import check, otlp
from deploy.local._common import StackError
from deploy.local._programs import PRICES
from deploy.local.supervisor import Stack
from spanloom.cost import cost_attributes
from spanloom.cost._deployment import PRIVATE_SUFFIXES
from spanloom.cost._version import price_version
from spanloom.semconv import ForeignCall, GenAI, OlderGenAI, OpenAI, Server, Spanloom
from tests.collector._odd_calls import odd_calls

SERVICE = "priced"
ODD = 2000
ROWS: dict[str, Any] = yaml.safe_load(PRICES.read_text(encoding="utf-8"))
MODELS: dict[str, dict[str, Any]] = {key: row for key, row in ROWS.items() if "/" in key}
Attributes = dict[str, Any]


def call(provider: str, model: str, host: str = "", **more: Any) -> Attributes:
    """A call with all usual counts; two underscores in a name of ``more`` stand for a dot, None takes a name away."""
    found: Attributes = {
        GenAI.OPERATION_NAME: "chat",
        GenAI.PROVIDER_NAME: provider,
        GenAI.REQUEST_MODEL: model,
        Server.ADDRESS: host,
        GenAI.USAGE_INPUT_TOKENS: 1237,
        GenAI.USAGE_OUTPUT_TOKENS: 411,
        GenAI.USAGE_CACHE_READ_INPUT_TOKENS: 301,
        GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS: 57,
        GenAI.USAGE_REASONING_OUTPUT_TOKENS: 101,
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def of_table() -> list[Attributes]:
    """Each name of the file, as its own provider's call."""
    return [call(*key.split("/", 1)) for key in MODELS]


def of_matching() -> list[Attributes]:
    """The rows with which the library's own matching is tested."""
    file = Path(__file__).parents[1] / "cost" / "matching.tsv"
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [call(row["provider"], row["model"], row["host"]) for row in rows]


# What is priced, each for a reason of its own.
PRICED: dict[str, Attributes] = {
    "the model that answered": call("openai", "gpt-4", gen_ai__response__model="gpt-4o-2024-11-20"),
    "an older name of the provider": call("", "gpt-4o", gen_ai__system="openai"),
    "capitals and spaces": call(" OpenAI ", " GPT-4o-Mini"),
    "a compact date": call("openai", "gpt-4o-20240513"),
    "any date": call("anthropic", "claude-3-7-sonnet-20250219"),
    "a provider before the name": call("", "gemini/gemini-2.5-flash"),
    "the same provider before the name": call("openai", "openai/gpt-4o"),
    "a path before the name": call("gcp.gemini", "models/gemini-2.5-flash"),
    "a router": call("litellm", "anthropic/claude-3-5-haiku"),
    "the host of another provider": call("openai", "llama-3.3-70b-versatile", "api.groq.com"),
    "a host with port": call("openai", "gpt-4o", "https://api.openai.com:443/v1"),
    "a gateway on the internet": call("openai", "gpt-4o", "llm.example.com"),
    "a resource at Azure": call("azure.ai.openai", "gpt-4o", "shop.openai.azure.com"),
    "the standard tier": call("openai", "gpt-4o", openai__response__service_tier="default"),
    "below the first step": call("google", "gemini-2.5-pro", gen_ai__usage__input_tokens=200_000),
    "an embedding": call(
        "openai",
        "text-embedding-3-small",
        gen_ai__operation__name="embeddings",
        gen_ai__usage__output_tokens=None,
        gen_ai__usage__reasoning__output_tokens=None,
    ),
    "no cached tokens told": call("openai", "gpt-4o", gen_ai__usage__cache_read__input_tokens=None),
    "Anthropic's input without what was cached": call(
        "anthropic", "claude-3-5-haiku", gen_ai__usage__input_tokens=20, gen_ai__usage__cache_read__input_tokens=9000
    ),
    "the same, told by the total": call(
        "anthropic", "claude-3-5-haiku", gen_ai__usage__total_tokens=1237 + 301 + 57 + 411
    ),
    "OpenInference": {
        ForeignCall.SPAN_KIND: "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 500,
        "llm.token_count.prompt_details.cache_read": 300,
    },
    "OpenLLMetry": {
        ForeignCall.REQUEST_TYPE: "chat",
        OlderGenAI.SYSTEM: "OpenAI",
        GenAI.REQUEST_MODEL: "gpt-4o",
        GenAI.RESPONSE_MODEL: "gpt-4o-2024-08-06",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.completion_tokens": 500,
        "llm.usage.total_tokens": 1500,
    },
}
FREE = {"free": call("openrouter", next(key for key, row in MODELS.items() if row == {"free": True}).split("/", 1)[1])}
# What is not, each for a reason of its own; the library may know more.
SILENT: dict[str, Attributes] = {
    "an agent": call("openai", "gpt-4o", gen_ai__operation__name="invoke_agent"),
    "no operation": call("openai", "gpt-4o", gen_ai__operation__name=None),
    "a cost of the service": call("openai", "gpt-4o", gen_ai__usage__cost__amount=0.5),
    "a status of the service": call("openai", "gpt-4o", spanloom__cost__status="unknown_usage"),
    "a loopback": call("openai", "gpt-4o", "127.0.0.1"),
    "an address": call("openai", "gpt-4o", "8.8.8.8"),
    "IPv6": call("openai", "gpt-4o", "[::1]:8000"),
    "a service's name": call("openai", "gpt-4o", "vllm"),
    "a cluster's name": call("openai", "gpt-4o", "vllm.models.svc.cluster.local:8000"),
    "a server of one's own": call("ollama", "gpt-4o"),
    "a server of one's own behind a known host": call("vllm", "mistral-nemo", "api.mistral.ai"),
    "nobody knows the provider": call("acme", "gpt-4o"),
    "nobody knows the model": call("openai", "acme-large"),
    "another provider before the name": call("openai", "anthropic/claude-3-5-haiku"),
    "a model that is not the one that was asked for": call("openai", "gpt-4o", gen_ai__response__model="acme"),
    "a date with another price than that of the name": call("openai", "gpt-4-2099-01-01"),
    "a tier": call("openai", "gpt-5", openai__response__service_tier="priority"),
    "above the first step": call("google", "gemini-2.5-pro", gen_ai__usage__input_tokens=200_001),
    "sound with a price of its own": call("google", "gemini-2.5-flash", gen_ai__usage__audio__input_tokens=10),
    "no output told": call("openai", "gpt-4o", gen_ai__usage__output_tokens=None),
    "no input told": call("openai", "gpt-4o", gen_ai__usage__input_tokens=None),
    "no usage": {GenAI.OPERATION_NAME: "chat", GenAI.PROVIDER_NAME: "openai", GenAI.REQUEST_MODEL: "gpt-4o"},
    "a negative count": call("openai", "gpt-4o", gen_ai__usage__output_tokens=-1),
    "a negative part": call("openai", "gpt-4o", gen_ai__usage__cache_read__input_tokens=-1),
    "a huge count": call("openai", "gpt-4o", gen_ai__usage__input_tokens=10**12 + 1),
    "more thought than made": call("openai", "gpt-4o", gen_ai__usage__output_tokens=100),
    "a count in words": call("openai", "gpt-4o", gen_ai__usage__input_tokens="1237"),
    "free, but more cached than given": {
        **next(iter(FREE.values())),
        GenAI.USAGE_INPUT_TOKENS: 0,
        GenAI.USAGE_CACHE_READ_INPUT_TOKENS: "many",
    },
    "free, and what was given is not told": {
        name: value for name, value in next(iter(FREE.values())).items() if name != GenAI.USAGE_INPUT_TOKENS
    },
    "cached counts beyond all numbers": call(
        "openai",
        "gpt-4o",
        gen_ai__usage__cache_read__input_tokens=2**62,
        gen_ai__usage__cache_write__input_tokens=2**62,
    ),
    "an empty provider beside a server of one's own": {
        **call("", "openai/gpt-4o", gen_ai__system="ollama"),
        GenAI.PROVIDER_NAME: "",
    },
    "another convention's word for the operation": call("openai", "gpt-4o", gen_ai__operation__name="LLM"),
    "GovCloud": call(
        "aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "bedrock-runtime.us-gov-west-1.amazonaws.com"
    ),
    "Azure in China": call("azure.ai.openai", "gpt-4o", "x.openai.azure.cn"),
    "a tier by OpenTelemetry's older name": call("openai", "gpt-5", gen_ai__openai__response__service_tier="priority"),
    "a tier that was asked for": call("openai", "gpt-5", openai__request__service_tier="flex"),
    "a server of one's own by OpenLLMetry's name": call(
        "openai", "gpt-4o", gen_ai__openai__api_base="http://localhost/v1"
    ),
    "sound without a price of its own": call("openai", "gpt-4o-audio-preview", gen_ai__usage__audio__output_tokens=10),
    "sound by OpenInference's name": call("gcp.gemini", "gemini-2.5-flash", llm__token_count__prompt_details__audio=10),
    "zeros for what is not counted": call(
        "openai",
        "gpt-4o",
        gen_ai__usage__input_tokens=0,
        gen_ai__usage__output_tokens=0,
        gen_ai__usage__cache_read__input_tokens=0,
        gen_ai__usage__cache_write__input_tokens=0,
        gen_ai__usage__reasoning__output_tokens=0,
    ),
    "a fraction of a token": call("openai", "gpt-4o", gen_ai__usage__input_tokens=1237.5),
    "an endpoint of one's own": call("gcp.vertex_ai", "projects/p/locations/l/endpoints/123"),
}
# The configuration has these endings in words of its own.
SILENT |= {f"a name below {one}": call("openai", "gpt-4o", f"vllm{one}") for one in PRIVATE_SUFFIXES}
EDGES = PRICED | FREE | SILENT


# A table of one's own, and what 1,000 tokens in and 100 out, of which none was cached, cost by it.
OWN_TABLE = """
"version": "mine"
"provider:acme": "acme"
"acme/fee": {per_request: 0.25}
"acme/both": {input: 1.0, output: 10.0, per_request: 0.25}
"acme/over": {input: 1.0, output: 1.0, until: "2020-01-01", then: {input: 2.0, output: 2.0}}
"acme/passed": {input: 1.0, until: "2020-01-01", then: {input: 2.0, output: 2.0, until: "2021-01-01"}}
"acme/gone": {input: 1.0, output: 1.0, until: "2020-01-01"}
"acme/coming": {input: 1.0, output: 1.0, until: "2999-01-01", then: {input: 2.0, output: 2.0}}
"acme/thinking": {input: 1.0, output: 10.0, output_reasoning: 20.0}
"""
OWN_COSTS = {
    "fee": 0.25,
    "both": 0.252,
    "over": 0.0022,
    "passed": None,
    "gone": None,
    "coming": 0.0011,
    "thinking": 0.0025,
}


@pytest.fixture(scope="module")
def sent() -> list[Attributes]:
    """All spans, in one order."""
    return [*of_table(), *odd_calls(ROWS, ODD, seed=20261128), *of_matching(), *EDGES.values()]


@pytest.fixture(scope="module")
def priced(
    programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, sent: list[Attributes]
) -> Iterator[list[Attributes]]:
    """What Jaeger has of each span that was sent."""
    folder = tmp_path_factory.mktemp("priced")
    with Stack.up(state_dir=folder, usual_ports=False) as stack:
        yield through(stack, sent)


def through(stack: Stack, sent: Sequence[Attributes]) -> list[Attributes]:
    """What Jaeger has of each span."""
    send(stack, sent)

    def whole() -> list[Attributes] | None:
        traces = check.search_traces(stack.jaeger_url, SERVICE)
        found = {span["name"]: span["attributes"] for spans in traces.values() for span in spans}
        return [found[str(place)] for place in range(len(sent))] if len(found) == len(sent) else None

    return check.eventually(whole, 60, f"{len(sent)} spans in Jaeger")


def send(stack: Stack, all_attributes: Sequence[Attributes]) -> None:
    """One span each, named by its place, a hundred in a trace."""
    spans: list[Mapping[str, Any]] = []
    for place, attributes in enumerate(all_attributes):
        made = otlp.span(str(place), f"{place // 100 + 1:032x}", kind=3)
        spans.append({**made, "attributes": otlp.attributes(attributes)})
    for start in range(0, len(spans), 500):
        otlp.send(
            stack.otlp_http_endpoint, "traces", otlp.traces({"service.name": SERVICE}, spans[start : start + 500])
        )


def added(before: Attributes, after: Attributes) -> Attributes:
    """What the Collector has added; nothing else may have changed."""
    assert {name: after[name] for name in before} == before
    return {name: value for name, value in after.items() if name not in before}


def same(collector: Attributes, library: Attributes) -> bool:
    """Both have an amount, equal but for the last bits: floats are added up in another order."""
    amount, ours = collector[Spanloom.COST_AMOUNT], library.get(Spanloom.COST_AMOUNT)
    if ours is None:
        return False
    others = {**collector, Spanloom.COST_AMOUNT: ours} == library
    return others and math.isclose(amount, ours, rel_tol=1e-12)


def test_every_name_of_the_file_has_the_librarys_amount(priced: list[Attributes], sent: list[Attributes]) -> None:
    """A row with prices gives what the library gives for the same span, a row without gives nothing."""
    wrong: list[str] = []
    for (key, row), before, after in zip(MODELS.items(), sent, priced, strict=False):
        found, expected = added(before, after), cost_attributes(before) or {}
        is_right = same(found, expected) if row and Spanloom.COST_AMOUNT in expected else not found
        wrong += [] if is_right else [f"{key}: {row}: {found}, library: {expected}"]
    assert wrong == []


def test_names_as_telemetry_has_them_are_never_priced_otherwise(
    priced: list[Attributes], sent: list[Attributes]
) -> None:
    """Of the library's own matching rows each amount is the library's; where that has none, there is none."""
    first = len(MODELS) + ODD
    pairs = list(zip(sent[first : -len(EDGES)], priced[first : -len(EDGES)], strict=True))
    found = [(added(before, after), cost_attributes(before) or {}) for before, after in pairs]
    assert [one for one in found if one[0] and not same(*one)] == []
    known = [ours for _, ours in found if Spanloom.COST_AMOUNT in ours]
    told = [collector for collector, _ in found if collector]
    assert len(told) >= 0.5 * len(known) > 50


def test_odd_calls_are_never_priced_otherwise(priced: list[Attributes], sent: list[Attributes]) -> None:
    """Whatever is wrong with them: each amount is the library's, and most that the library knows are there."""
    mine = slice(len(MODELS), len(MODELS) + ODD)
    pairs = zip(sent[mine], priced[mine], strict=True)
    found = [(before, added(before, after), cost_attributes(before) or {}) for before, after in pairs]
    assert [one for one in found if one[1] and not same(*one[1:])] == []
    known = [ours for _, _, ours in found if Spanloom.COST_AMOUNT in ours]
    assert sum(bool(collector) for _, collector, _ in found) >= 0.8 * len(known)
    assert len(known) > 0.25 * ODD


@pytest.mark.parametrize("why", EDGES)
def test_edges(priced: list[Attributes], sent: list[Attributes], why: str) -> None:
    """Each with the library's amount, or without one."""
    place = list(EDGES).index(why) - len(EDGES)
    found = added(sent[place], priced[place])
    if why in SILENT:
        assert found == {}
    else:
        assert same(found, cost_attributes(sent[place]) or {}), (found, cost_attributes(sent[place]))
        assert found[Spanloom.COST_PRICE_VERSION] == price_version()


def test_a_table_of_ones_own(programs: dict[str, Path], tmp_path: Path) -> None:
    """Fees, changes that are past and to come, and reasoning at a price of its own."""
    table = tmp_path / "mine.yaml"
    table.write_text(OWN_TABLE)
    usage = {GenAI.USAGE_INPUT_TOKENS: 1000, GenAI.USAGE_OUTPUT_TOKENS: 100, GenAI.USAGE_REASONING_OUTPUT_TOKENS: 50}
    cached = {GenAI.USAGE_CACHE_READ_INPUT_TOKENS: None, GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS: None}
    made = [{**call("acme", name), **usage, **cached} for name in OWN_COSTS]
    sent = [{name: value for name, value in one.items() if value is not None} for one in made]
    with Stack.up(
        state_dir=tmp_path / "stack", usual_ports=False, environment={"SPANLOOM_PRICE_TABLE": str(table)}
    ) as stack:
        found = [one.get(Spanloom.COST_AMOUNT) for one in through(stack, sent)]
    assert found == [expected if expected is None else pytest.approx(expected) for expected in OWN_COSTS.values()]


def test_a_table_that_is_missing_stops_the_collector(programs: dict[str, Path], tmp_path: Path) -> None:
    """The error names the file: spans without a cost would be a silent loss."""
    with pytest.raises(StackError, match=r"lookup/price.*nowhere[.]yaml"):
        Stack.up(state_dir=tmp_path / "stack", usual_ports=False, environment={"SPANLOOM_PRICE_TABLE": "/nowhere.yaml"})


def test_the_configuration_reads_the_names_that_the_library_reads() -> None:
    """Whatever name the library takes from another recorder stands in the configuration, too."""
    text = PRICES.with_name("spanloom.yaml").read_text(encoding="utf-8")
    others = [
        name
        for key, names in vars(ForeignCall).items()
        if key.isupper()
        for name in ((names,) if isinstance(names, str) else names)
    ]
    usual = [GenAI.PROVIDER_NAME, GenAI.REQUEST_MODEL, GenAI.RESPONSE_MODEL, OlderGenAI.SYSTEM, Server.ADDRESS]
    assert [name for name in (*usual, OpenAI.RESPONSE_SERVICE_TIER, *others) if f'"{name}"' not in text] == []
