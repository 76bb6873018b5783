"""Prices of one's own: what a file may say, what it makes of a call's price, its mistakes, and its changes."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from spanloom.cost import _active as active_module
from spanloom.cost import load_overrides, price, reset_overrides
from spanloom.cost._active import active
from spanloom.cost._load import load, load_rows
from spanloom.cost._rate import Status
from spanloom.cost._table import table
from spanloom.cost._usage import COUNTED, REQUESTS
from spanloom.rulefile import RuleFileError

NIGHT, NOON = datetime(2026, 11, 27, 23), datetime(2026, 11, 27, 12)
SOURCE = table().source


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins and ends as a new process does."""
    monkeypatch.delenv("SPANLOOM_PRICES", raising=False)
    reset_overrides()
    yield
    reset_overrides()


def cost(model: str = "acme-7b", **more: Any) -> tuple[float | None, str, str | None]:
    got = price(model, **{"input_tokens": 1000, "output_tokens": 500, **more})
    return got.amount_usd, got.status, got.rule


def with_rules(*rules: dict[str, Any]) -> None:
    assert load_overrides(rules) == len(rules)


def test_a_price_for_a_model_that_nobody_lists() -> None:
    """Dollars per million tokens, as in the table; what has no price of its own is part of the whole."""
    with_rules({"name": "acme", "match": {"model": "acme-*"}, "price": {"input": 2, "output": 6, "cache_read": 0.5}})
    assert cost() == (pytest.approx(0.005), "priced", "acme")
    assert cost(cache_read_tokens=400) == (pytest.approx((600 * 2 + 400 * 0.5 + 500 * 6) / 1e6), "priced", "acme")
    assert price("acme-7b", input_tokens=1, output_tokens=1).source == "overrides:1"
    assert cost("other")[1] == "unknown_model"
    assert cost("gpt-4o") == (0.0075, "priced", "openai/gpt-4o")


def test_steps_by_input_tokens() -> None:
    """A mapping of edges: above the edge all tokens cost the higher price."""
    with_rules({"match": {"model": "acme-*"}, "price": {"input": {0: 1, 1000: 2}, "output": 3}})
    assert cost(output_tokens=0)[0] == pytest.approx(0.001)
    assert cost(input_tokens=1001, output_tokens=0)[0] == pytest.approx(0.002002)


def test_the_first_rule_that_fits_wins() -> None:
    """Rules are asked in their order; each needs all of its fields."""
    with_rules(
        {"name": "one", "match": {"model": "acme-*", "service_tier": "priority"}, "price": {"input": 9, "output": 9}},
        {"name": "two", "match": {"model": ["x", "ACME-*"]}, "price": {"input": 1, "output": 1}},
        {"name": "three", "match": {"model": "*"}, "free": True},
    )
    assert cost(service_tier="priority")[2] == "one"
    assert cost(service_tier="default")[2] == cost()[2] == "two"
    assert cost("gpt-4o") == (0.0, "free", "three")


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"provider": "azure"}, True),
        ({"provider": "azure.ai.*"}, True),
        ({"provider": "openai"}, False),
        ({"model": "prod-?"}, True),
        ({"model": "rod-7"}, False),
        ({"model_regex": r"^PROD-\d$"}, True),
        ({"model_regex": "rod"}, True),
        ({"model_regex": r"^\d"}, False),
        ({"server_address": "*.azure.com"}, True),
        ({"server_address": ["a", "acme.openai.azure.com"]}, True),
        ({"server_address": "azure.com"}, False),
        ({"service_tier": "standard"}, True),
        ({"service_tier": "flex"}, False),
        ({"provider": "azure", "model": "prod-7", "server_address": "acme*", "service_tier": "standard"}, True),
    ],
)
def test_what_a_rule_matches(match: dict[str, Any], fits: bool) -> None:
    """Globs over provider (OpenTelemetry's name or the table's), model, host and tier; a regular expression as well."""
    with_rules({"match": match, "price": {"input": 1, "output": 1}})
    got = cost("prod-7", provider="azure.ai.openai", server_address="https://acme.openai.azure.com:443/x")
    assert (got[1] == "priced") == fits


def test_an_alias_has_the_prices_of_a_listed_model() -> None:
    """A deployment's name stands for a model, tiers and all; with a discount and a fee on top."""
    with_rules(
        {"name": "prod", "match": {"model": "prod-*"}, "alias": "azure/gpt-4o"},
        {"name": "sold", "match": {"model": "sold"}, "alias": "openai/gpt-5.4", "discount": 0.2, "per_request": 0.01},
    )
    got = price("prod-7", provider="azure.ai.openai", input_tokens=1000, output_tokens=500)
    assert (got.amount_usd, got.status, got.rule) == (0.0075, "priced", "prod: azure/gpt-4o")
    assert got.source == f"overrides:1 on {SOURCE}"
    listed = cost("gpt-5.4", service_tier="flex")[0]
    assert listed is not None
    assert cost("sold", service_tier="flex")[0] == pytest.approx(0.8 * listed + 0.01)
    assert cost("sold", service_tier="scale")[1] == "unknown_price"


def test_a_discount_on_what_the_table_says() -> None:
    """A part off, or (negative) on top; models that have no price get none from it, and later rules are asked."""
    with_rules(
        {"name": "deal", "match": {"provider": "openai"}, "discount": 0.15},
        {"name": "region", "match": {"provider": "anthropic"}, "discount": -0.1},
        {"name": "rest", "match": {"model": "acme-*"}, "per_request": 0.5},
    )
    assert cost("gpt-4o", provider="openai") == (pytest.approx(0.0075 * 0.85), "priced", "deal: openai/gpt-4o")
    assert cost("claude-3-haiku", provider="anthropic")[0] == pytest.approx(1.1 * (0.25 + 0.5 * 1.25) / 1e3)
    assert cost(provider="openai") == (0.5, "priced", "rest")
    assert cost("gpt-4o", provider="openai", server_address="localhost")[1] == "unknown_deployment"
    assert cost("gpt-nonexistent", provider="openai")[1] == "unknown_model"


def test_a_gateway_on_the_own_network() -> None:
    """A local proxy is no server of a cloud, unless a rule says who bills."""
    with_rules({"name": "gateway", "match": {"server_address": ["localhost", "*.svc"]}, "billed_by": "openai"})
    for host in ("localhost", "llm.prod.svc"):
        assert cost("gpt-4o", server_address=host) == (0.0075, "priced", "gateway: openai/gpt-4o")
    assert cost("gpt-4o", server_address="10.0.0.1")[1] == "unknown_deployment"
    assert cost("acme-7b", server_address="localhost")[1] == "unknown_deployment"


def test_fees_need_no_tokens() -> None:
    """What is billed by the call alone has an amount without any usage."""
    with_rules({"match": {"model": "acme-*"}, "per_request": 0.25})
    assert cost(input_tokens=None, output_tokens=None)[:2] == (0.25, "priced")
    with_rules({"match": {"model": "acme-*"}, "price": {"requests_kcount": 250, "web_searches_kcount": 10}})
    assert cost(input_tokens=None, output_tokens=None, web_searches=2)[:2] == (pytest.approx(0.27), "priced")


def test_rules_hold_at_their_times() -> None:
    """Dates, hours and weekdays in UTC; while a rule does not hold the next one is asked, and then the table."""
    with_rules(
        {"name": "night", "match": {"model": "gpt-4o"}, "hours": "22:00-06:00", "days": "mon-fri", "discount": 0.5},
        {"name": "year", "match": {"model": "gpt-4o"}, "from": "2026-01-01", "until": "2026-06-01", "discount": 0.1},
    )
    assert cost("gpt-4o", at=NIGHT) == (pytest.approx(0.00375), "priced", "night: openai/gpt-4o")
    assert cost("gpt-4o", at=NOON) == (0.0075, "priced", "openai/gpt-4o")
    assert cost("gpt-4o", at=datetime(2026, 11, 28, 23))[2] == "openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2026, 1, 1, 12))[2] == "year: openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2025, 12, 31, 12))[2] == "openai/gpt-4o"
    assert cost("gpt-4o", at=datetime(2026, 5, 31, 12))[0] == pytest.approx(0.00675)
    assert cost("gpt-4o", at=datetime(2026, 6, 1, 12))[0] == 0.0075


def test_a_rule_for_some_time_of_a_model_that_nobody_lists() -> None:
    """Outside its hours the model is as unknown as without the rule; days may pass the week's end."""
    with_rules({"match": {"model": "acme-*"}, "days": "sat-mon", "price": {"input": 1, "output": 1}})
    days = [cost(at=datetime(2026, 11, day))[1] for day in range(27, 32 - 1)]
    assert days == ["unknown_model", "priced", "priced", "priced"]
    assert cost(at=NOON) == (None, "unknown_model", None)


def test_other_units_have_prices_too() -> None:
    """Any unit of the table: a local transcription by the hour."""
    with_rules({"match": {"server_address": "localhost"}, "price": {"audio_hours": 0.06}})
    none = {"input_tokens": None, "output_tokens": None, "server_address": "localhost"}
    assert cost(**none, audio_seconds=60)[:2] == (pytest.approx(0.001), "priced")
    assert cost(**none)[:2] == (None, "unknown_usage")


MISTAKES = """\
version: 2
prices:
  - match: {model: a}
  - name: two
    match: {modle: a, model: '*', model_regex: 'a('}
    price: {inputs: 1, input: -1}
    alias: openai/gpt-99
  - name: two
    match: {}
    free: false
    discount: 1
  - free: true
    per_request: 1
    from: 01.02.2026
    until: 2026-02-30
    hours: 1-2
    days: [monday]
  - match: {model: []}
    price: {web_searches_kcount: 1}
    from: 2026-02-01
    until: 2026-02-01
    days: []
  - match: {model: a}
    price: {input: {5: 1}, output: {0: 1, x: 2}}
    unknown: 1
  - match: {model: a}
    billed_by: nobody
  - match: {model: a}
    price: {}
"""


def test_every_mistake_is_told_with_its_line_and_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, in the order of the file: where, what is wrong, and what would be right."""
    monkeypatch.setattr("spanloom.rulefile._section.MAX_TOLD", 99)
    path = tmp_path / "prices.yaml"
    path.write_text(MISTAKES, encoding="utf-8")
    with pytest.raises(RuleFileError) as caught:
        load(str(path))
    told = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    wanted = [
        "1: version: is not known here; this spanloom reads version 1",
        "3: prices[0]: says no price; there are price, alias, billed_by, free, discount, per_request",
        "5: prices[1].match.model_regex: 'a(' is no regular expression: "
        "missing ), unterminated subpattern at position 1",
        "5: prices[1].match.model_regex: and model exclude each other",
        "5: prices[1].match.modle: no such field; did you mean model?",
        "4: prices[1]: has price and alias, of which a rule has one",
        "6: prices[1].price.input: -1 is not a number of 0 or more",
        "6: prices[1].price.inputs: no such field; did you mean input?",
        "6: prices[1].price: has no price for what a call is counted by, such as input and output",
        "7: prices[1].alias: 'openai/gpt-99' is no model of the table; write provider/model, such as openai/gpt-4o",
        "8: prices[2].name: two is the name of an earlier rule; a name tells where a price came from",
        "9: prices[2].match: is empty, and would mean every call; write model: '*' for that",
        "10: prices[2].free: and discount exclude each other",
        "10: prices[2].free: can only be true; leave it out instead",
        "11: prices[2].discount: 1 would make it free; write free: true for that",
        "12: prices[3]: has no match; write match: {model: '*'} for every call",
        "12: prices[3].free: and per_request exclude each other",
        "14: prices[3].from: '01.02.2026' is no day such as 2026-11-28",
        "15: prices[3].until: '2026-02-30' is no day such as 2026-11-28",
        "16: prices[3].hours: '1-2' are no hours (UTC) such as 01:00-04:00",
        "17: prices[3].days: 'monday' is neither a day (mon, tue, wed, thu, fri, sat, sun) nor a range such as mon-fri",
        "18: prices[4].match.model: is an empty list, which nothing fits",
        "19: prices[4].price: has no price for what a call is counted by, such as input and output",
        "21: prices[4].until: is not after from; it is the first day on which the rule no longer holds",
        "22: prices[4].days: is an empty list, on which no rule holds",
        "24: prices[5].price.input: steps begin at 0 and are numbers of input tokens: {0: 3, 200000: 6}",
        "24: prices[5].price.output: steps begin at 0 and are numbers of input tokens: {0: 3, 200000: 6}",
        "27: prices[6].billed_by: 'nobody' is no provider of the table",
        "29: prices[7].price: is empty; write free: true for what costs nothing",
    ]
    assert set(wanted) <= set(told), sorted(set(wanted) - set(told))
    assert len(told) <= len(wanted) + 3, sorted(set(told) - set(wanted))


def test_what_is_no_file_of_prices() -> None:
    """No version, a match that is no mapping, equal hours, too many rules."""
    with pytest.raises(RuleFileError, match=r"version: is missing; write version: 1"):
        _load_text("prices: []")
    with pytest.raises(RuleFileError, match=r"match: 'x' is not a mapping of fields"):
        load_rows([{"match": "x", "free": True}])
    with pytest.raises(RuleFileError, match=r"'01:00-01:00' are no hours"):
        load_rows([{"match": {"model": "x"}, "free": True, "hours": "01:00-01:00"}])
    with pytest.raises(RuleFileError, match=r"has 1001 rules; 1000 are read at most"):
        load_rows([{"match": {"model": "x"}, "free": True}] * 1001)
    with pytest.raises(RuleFileError, match=r"overrides:2: prices\[1\]: says no price"):
        load_rows([{"match": {"model": "x"}, "free": True}, {"match": {"model": "y"}}])


def _load_text(text: str) -> Any:
    from spanloom.cost import _load
    from spanloom.rulefile import read_text

    return _load._rules(read_text(text, "x.yaml"), "x.yaml")


FILE = "version: 1\nprices:\n  - {name: acme, match: {model: 'acme-*'}, price: {input: %s, output: 0}}\n"


def write(path: Path, usd: str) -> None:
    """A new file with a time of its own: tests are quicker than clocks."""
    path.write_text(FILE % usd, encoding="utf-8")
    os.utime(path, ns=(0, int(float(usd) * 1e9) if usd.replace(".", "").isdigit() else 1))


def look_again() -> None:
    """As after the seconds between two looks."""
    active.next_look_s = 0.0


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.yaml"
    write(path, "1")
    monkeypatch.setenv("SPANLOOM_PRICES", str(path))
    return path


def test_the_setting_is_read_and_its_file_watched(file: Path) -> None:
    """The rules of the file are in effect; a change is seen at the next look and not before."""
    assert cost() == (pytest.approx(0.001), "priced", "acme")
    assert price("acme-1", input_tokens=1, output_tokens=1).source == "prices.yaml:3"
    write(file, "2")
    assert cost()[0] == pytest.approx(0.001)
    look_again()
    assert cost()[0] == pytest.approx(0.002)
    look_again()
    assert cost()[0] == pytest.approx(0.002)


def test_a_bad_file_keeps_the_old_prices_and_is_told_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Mistakes and a missing file are one line each, once; a good file is in effect again."""
    assert cost()[0] == pytest.approx(0.001)
    with caplog.at_level(logging.WARNING, logger="spanloom"):
        for number in range(3):
            write(file, "dear")
            os.utime(file, ns=(0, number))
            look_again()
            assert cost()[0] == pytest.approx(0.001)
    assert [record.getMessage() for record in caplog.records] == [
        f"spanloom: SPANLOOM_PRICES: {file}:3: prices[0].price.input: 'dear' is not a number of 0 or more",
        f"spanloom: SPANLOOM_PRICES: {file} is not used, the earlier ones stay",
    ]
    caplog.clear()
    file.unlink()
    look_again()
    assert cost()[0] == pytest.approx(0.001)
    assert "cannot be read: No such file" in caplog.text
    write(file, "3")
    look_again()
    assert cost()[0] == pytest.approx(0.003)


def test_a_bad_file_at_the_start_leaves_the_table(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service runs as without a file, and the log says so; the lines are bounded."""
    write(file, "dear")
    assert cost("gpt-4o")[0] == 0.0075
    assert f"{file} is not used, prices are as without one" in caplog.text
    active._told.update(str(number) for number in range(active_module._MAX_TOLD))
    caplog.clear()
    file.unlink()
    look_again()
    assert cost("gpt-4o")[0] == 0.0075
    assert caplog.text == ""


def test_rules_from_code_take_the_place_of_the_setting(file: Path, tmp_path: Path) -> None:
    """A list, or another file, which is watched; a bad one raises and changes nothing."""
    assert cost()[0] == pytest.approx(0.001)
    with_rules({"match": {"model": "acme-*"}, "free": True})
    look_again()
    other = tmp_path / "other.yaml"
    write(other, "4")
    assert load_overrides(other) == 1
    assert cost()[0] == pytest.approx(0.004)
    write(other, "5")
    look_again()
    assert cost()[0] == pytest.approx(0.005)
    with pytest.raises(RuleFileError, match="says no price"):
        load_overrides([{"match": {"model": "acme-*"}}])
    with pytest.raises(RuleFileError, match="cannot be read"):
        load_overrides(str(tmp_path / "none.yaml"))
    assert cost()[0] == pytest.approx(0.005)
    reset_overrides()
    assert cost()[0] == pytest.approx(0.001)


def test_without_a_file_nothing_is_looked_at() -> None:
    """After the first price no later one asks for the setting."""
    cost()
    assert active.next_look_s == float("inf")


def test_only_one_thread_reads(file: Path) -> None:
    """Whoever comes while another reads goes on with what is in effect."""
    assert cost()[0] == pytest.approx(0.001)
    write(file, "2")
    look_again()
    with active._lock:
        done: list[float | None] = []
        thread = threading.Thread(target=lambda: done.append(cost()[0]))
        thread.start()
        thread.join(10)
    assert done == [pytest.approx(0.001)]
    assert cost()[0] == pytest.approx(0.002)
    active.look()
    assert cost()[0] == pytest.approx(0.002)


def test_a_path_that_is_none() -> None:
    """What the system cannot even look at is no file."""
    assert active_module.fingerprint("\0") == ()


PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")


def test_the_page_s_file_is_one(tmp_path: Path) -> None:
    """The example is read, has each kind of rule, and its rules do what is said of them."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    path = tmp_path / "prices.yaml"
    path.write_text(example, encoding="utf-8")
    assert load_overrides(path) == 6
    assert str(cost("gpt-5.4", provider="openai", at=NOON)[2]).startswith("negotiated: openai/gpt-5.4")
    assert cost("prod-chat", provider="azure.ai.openai")[2] == "deployment: azure/gpt-4o"
    assert cost("gpt-4o", provider="openai", server_address="a.llm.svc")[2] == "gateway: openai/gpt-4o"
    assert (cost(at=NIGHT)[2], cost(at=NOON)[2]) == ("night", "acme")
    assert cost(at=NOON)[0] == pytest.approx((1000 * 1 + 500 * 4) / 1e6 + 0.001)
    assert cost(server_address="a.gpu.internal", model="llama")[1] == "free"


def test_the_page_has_every_unit_and_status() -> None:
    """What can be written in a file, and what a call can be."""
    cells = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    units = {name for cell in cells for name in cell.strip("`").split("`, `")}
    assert units >= {*COUNTED, REQUESTS, *get_args(Status), "provider", "cached"}
