"""Files of one's own prices: their mistakes, their changes while a service runs, and the page that describes them."""

from __future__ import annotations

import logging
import os
import re
import threading
from pathlib import Path
from typing import Any, get_args

import pytest

from spanloom.cost import _active as active_module
from spanloom.cost import load_overrides, price, reset_overrides
from spanloom.cost._active import active
from spanloom.cost._load import load, load_rows
from spanloom.cost._rate import Status
from spanloom.cost._usage import COUNTED, REQUESTS
from spanloom.rulefile import RuleFileError
from tests.cost._own_prices import NIGHT, NOON, cost, fresh

__all__ = ["fresh"]


def with_rules(*rules: dict[str, Any]) -> None:
    assert load_overrides(rules) == len(rules)


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
