"""The file of budgets: everything it may say, every mistake with its place, and how the process takes it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from spanloom.cost import Budget, _budgets, add_budget, budgets_from_settings, load_budgets
from spanloom.cost._budgets import loads_budgets
from spanloom.genai import _registry
from spanloom.rulefile import RuleFileError
from tests.cost._support import Call

WHOLE = """
version: 1
budgets:
  - name: everything
    limit_usd: 100
    per: day
  - name: users
    limit_usd: 0.5
    per: hour
    by: user
    match: {model: 'gpt-5*', tag.paying: false, spanloom.tenant: [acme, umbrella]}
    thresholds: [0.9, 1]
    action: raise
    keys_in_metrics: 0
  - {name: pairs, limit_usd: 1, per: month, by: [tenant, model], thresholds: []}
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No budget of another test, and none left."""
    monkeypatch.delenv("SPANLOOM_BUDGETS", raising=False)
    monkeypatch.setattr(_budgets, "ledger", None)
    monkeypatch.setattr(_budgets, "_remove_gate", None)
    monkeypatch.setattr(_registry, "gates", ())
    yield


def test_everything_that_a_file_can_say():
    """Each field as it is meant, and the defaults of those that are absent."""
    everything, users, pairs = loads_budgets(WHOLE)
    assert everything == Budget("everything", 100.0, "day")
    assert (everything.thresholds, everything.action, everything.by) == ((0.5, 0.8, 1.0), "tell", ())
    match = {"model": ("gpt-5*",), "tag.paying": ("false",), "spanloom.tenant": ("acme", "umbrella")}
    assert users == Budget("users", 0.5, "hour", ["user"], match, [0.9, 1.0], "raise", 0)
    assert pairs == Budget("pairs", 1.0, "month", ["tenant", "model"], {}, [])


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("limit_usd: 1, per: day", "3: budgets[0]: has no name"),
        ("name: a, per: day", "3: budgets[0]: has no limit_usd"),
        ("name: a, limit_usd: 1", "3: budgets[0]: has no per"),
        ("name: a, limit_usd: 0, per: day", "3: budgets[0].limit_usd: would let nothing through"),
        ("name: a, limit_usd: -1, per: day", "3: budgets[0].limit_usd: -1 is not a number from 0 to 1e+09"),
        ("name: a, limit_usd: 1, per: week", "3: budgets[0].per: 'week' is not one of minute, hour, day, month"),
        ("name: a, limit_usd: 1, per: day, by: usr", "3: budgets[0].by: 'usr' is not one of user, session, tenant"),
        ("name: a, limit_usd: 1, per: day, by: [" + "user, " * 9 + "]", "3: budgets[0].by: has more than 8 fields"),
        ("name: a, limit_usd: 1, per: day, match: {usr: [x]}", "3: budgets[0].match.usr: 'usr' is not one of"),
        ("name: a, limit_usd: 1, per: day, match: {user: []}", "3: budgets[0].match.user: is an empty list"),
        ("name: a, limit_usd: 1, per: day, match: [user]", "3: budgets[0].match: a list is not a mapping of fields"),
        ("name: a, limit_usd: 1, per: day, thresholds: [80 %]", "3: budgets[0].thresholds: '80 %' is not a share"),
        ("name: a, limit_usd: 1, per: day, thresholds: [true]", "3: budgets[0].thresholds: True is not a share"),
        ("name: a, limit_usd: 1, per: day, thresholds: [0]", "3: budgets[0].thresholds: 0 is not a share"),
        ("name: a, limit_usd: 1, per: day, action: block", "3: budgets[0].action: 'block' is not one of tell, raise"),
        ("name: a, limit_usd: 1, per: day, keys_in_metrics: -1", "3: budgets[0].keys_in_metrics: -1 is not a whole"),
        ("name: a, limit_usd: 1, per: day, limit: 3", "3: budgets[0].limit: no such field; did you mean limit_usd?"),
    ],
)
def test_every_mistake_has_its_line_and_field(row, mistake):
    """What is wrong, where, and what would be right."""
    with pytest.raises(RuleFileError) as caught:
        loads_budgets(f"version: 1\nbudgets:\n  - {{{row}}}\n", "b.yaml")
    assert f"b.yaml:{mistake}" in str(caught.value)


def test_mistakes_of_the_whole_file():
    """Its version, its list, and names that come twice; all are told at once."""
    twice = "version: 2\nbudgets:\n  - {name: a, limit_usd: 1, per: day}\n  - {name: a, limit_usd: 1, per: day}\n"
    with pytest.raises(RuleFileError) as caught:
        loads_budgets(twice)
    assert str(caught.value).splitlines() == [
        "budgets.yaml:1: version: is not known here; this spanloom reads version 1",
        "budgets.yaml:4: budgets[1].name: a is the name of an earlier budget; it tells budgets apart",
    ]
    with pytest.raises(RuleFileError) as caught:
        loads_budgets("budget: []\n")
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "budget: no such field; did you mean budgets?",
        "budgets: is missing",
        "version: is missing; write version: 1",
    ]


def test_the_setting_names_the_file(tmp_path, monkeypatch):
    """Its budgets hold from then on, by one gate."""
    path = tmp_path / "budgets.yaml"
    path.write_text(WHOLE)
    assert len(load_budgets(str(path))) == 3
    monkeypatch.setenv("SPANLOOM_BUDGETS", str(path))
    budgets_from_settings()
    assert _budgets.ledger is not None and not _budgets.ledger.is_empty
    assert len(_registry.gates) == 1


def test_without_a_file_there_is_no_gate():
    """Calls pay nothing."""
    budgets_from_settings()
    assert (_registry.gates, _budgets.ledger) == ((), None)


def test_a_wrong_file_is_said_loudly_and_not_used(tmp_path, monkeypatch, caplog):
    """A line for each mistake, one for what follows; the service runs. A name that is taken is a mistake, too."""
    path = tmp_path / "budgets.yaml"
    path.write_text("version: 1\nbudgets:\n  - {name: a, limit_usd: 1}\n")
    monkeypatch.setenv("SPANLOOM_BUDGETS", str(path))
    with caplog.at_level(logging.INFO, logger="spanloom"):
        budgets_from_settings()
    assert [one.getMessage() for one in caplog.records] == [
        f"spanloom: SPANLOOM_BUDGETS: {path}:3: budgets[0]: has no per",
        "spanloom: SPANLOOM_BUDGETS: the file is not used, and NOTHING is limited by it",
    ]
    assert _registry.gates == ()
    caplog.clear()
    path.write_text(WHOLE)
    add_budget("pairs", 1.0, per="day")
    budgets_from_settings()
    assert "there is a budget 'pairs' already" in caplog.records[0].getMessage()
    assert _budgets.ledger is not None
    assert [one.name for one in _budgets.ledger._accounts] == ["pairs"]


def test_budgets_from_code():
    """One gate for all of them, gone with the last; ``by`` may be one text."""
    remove = add_budget("users", 1.0, per="day", by="user", action="raise")
    other = add_budget("all", 5.0, per="month")
    assert len(_registry.gates) == 1
    (gate,) = _registry.gates
    assert _budgets.ledger is not None
    _budgets.ledger.spend({"user.id": "ada"}, 2.0)
    assert gate(Call(carried={"user.id": "ada"})) is not None
    remove()
    remove()
    assert gate(Call(carried={"user.id": "ada"})) is None
    other()
    assert _registry.gates == ()
    with pytest.raises(ValueError, match="budget 'x': per: 'week'"):
        add_budget("x", 1.0, per="week")  # pyright: ignore[reportArgumentType]
    add_budget("users", 1.0, per="day", by=["user"])()


def test_who_has_no_such_name(monkeypatch):
    """The package's names are those of ``__all__``."""
    import spanloom.cost

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = spanloom.cost.nothing  # pyright: ignore[reportAttributeAccessIssue]


def test_the_file_of_the_page_is_right():
    """What people copy from docs/budgets.md is read, and its code runs."""
    page = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(yaml|python)\n(.*?)```", page, re.DOTALL)
    (text,) = (text for kind, text in blocks if kind == "yaml" and "version: 1" in text)
    assert [one.name for one in loads_budgets(text)] == ["everything", "users", "dear-models-of-the-free-plan"]
    (code,) = (text for kind, text in blocks if kind == "python")
    made = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=lambda **_: None)))
    exec(compile(code, "budgets.md", "exec"), {"client": made, "messages": []})
    assert _budgets.ledger is not None and not _budgets.ledger.is_empty
