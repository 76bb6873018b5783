"""Budgets: what they are made of, which calls fall under them, and the exception of one that is spent."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from spanloom.cost import Budget, BudgetExceeded
from spanloom.cost._budget import Line, attribute_of, nano_of

RESETS = datetime(2026, 12, 1, tzinfo=timezone.utc)


def test_dollars_become_whole_billionths():
    """By their decimal text, so that a tenth of a dollar is exactly that; half goes to even."""
    assert nano_of(0.1) == 100_000_000
    assert nano_of(5) == 5_000_000_000
    assert nano_of(1.5e-9) == 2
    assert nano_of(2.5e-9) == 2
    assert nano_of(Decimal("0.000000001")) == 1


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("user", "user.id"),
        ("tenant", "spanloom.tenant"),
        ("session", "session.id"),
        ("model", "gen_ai.request.model"),
        ("provider", "gen_ai.provider.name"),
        ("tag.plan", "spanloom.tag.plan"),
        ("shop.region", "shop.region"),
        ("usr", None),
    ],
)
def test_fields_stand_for_attributes(name, attribute):
    """Short names for what most people mean, and any attribute by its own."""
    assert attribute_of(name) == attribute


def test_a_budget_is_kept_in_order():
    """Thresholds are sorted and unique, lists become tuples, nobody can change them later."""
    one = Budget("b", 1, "day", ["user"], {"model": ["gpt-*"]}, [1.0, 0.5, 1.0])
    assert (one.by, one.thresholds, dict(one.match)) == (("user",), (0.5, 1.0), {"model": ("gpt-*",)})
    with pytest.raises(TypeError):
        one.match["model"] = ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": ""}, "name: is empty"),
        ({"limit_usd": 0}, "limit_usd: 0 is not above 0 and up to 1,000,000,000 US dollars"),
        ({"limit_usd": -1.0}, "limit_usd: -1.0 is not above 0"),
        ({"limit_usd": 1e-10}, "limit_usd: 1e-10 is not above 0"),
        ({"limit_usd": 1e10}, "limit_usd: 10000000000.0 is not above 0"),
        ({"limit_usd": float("nan")}, "limit_usd: nan is not above 0"),
        ({"per": "week"}, "per: 'week' is not one of minute, hour, day, month"),
        ({"action": "block"}, "action: 'block' is not one of tell, raise"),
        ({"by": "user"}, "by: is not a list of up to 8 fields"),
        ({"by": ["user"] * 9}, "by: is not a list of up to 8 fields"),
        ({"by": ["usr"]}, "by: 'usr' is not one of user, session, tenant"),
        ({"match": {"usr": ["a"]}}, "match: 'usr' is not one of user"),
        ({"match": {"user": "ada"}}, "match: user is one text, not a list"),
        ({"thresholds": [0]}, "thresholds: 0 is not a share of the limit above 0 (0.8 means 80 %)"),
        ({"thresholds": [101]}, "thresholds: 101 is not a share"),
        ({"keys_in_metrics": -1}, "keys_in_metrics: is below 0"),
    ],
)
def test_what_makes_no_sense_is_refused(given, text):
    """Where it is written, by its field."""
    with pytest.raises(ValueError) as caught:
        Budget(**{"name": "b", "limit_usd": 1.0, "per": "day", **given})
    assert text in str(caught.value)


def test_the_key_is_made_of_the_fields():
    """Values as text, in the order of ``by``; a call that lacks one has no key."""
    line = Line(Budget("b", 1, "day", ["tenant", "tag.paying", "tag.seats"]))
    call = {"spanloom.tenant": "acme", "spanloom.tag.paying": True, "spanloom.tag.seats": 3}
    assert line.key_of(call) == ("acme", "true", "3")
    assert line.key_of({"spanloom.tenant": "acme"}) is None
    assert line.lacks({"spanloom.tenant": "acme"}) == ["spanloom.tag.paying", "spanloom.tag.seats"]
    assert Line(Budget("b", 1, "day")).key_of({}) == ()


def test_only_calls_that_match_fall_under_it():
    """All fields must fit, of a field any value; an absent one never does."""
    line = Line(Budget("b", 1, "day", [], {"model": ["gpt-5*", "o3"], "tag.paying": ["false"]}))
    free = {"spanloom.tag.paying": False}
    assert line.key_of({"gen_ai.request.model": "gpt-5-mini", **free}) == ()
    assert line.key_of({"gen_ai.request.model": "o3", **free}) == ()
    assert line.key_of({"gen_ai.request.model": "o3-mini", **free}) is None
    assert line.key_of({"gen_ai.request.model": "o3", "spanloom.tag.paying": True}) is None
    assert line.key_of(free) is None
    assert Line(Budget("b", 1, "day", ["user"], {"model": ["o3"]})).lacks({}) == []


def test_the_exception_says_what_to_do_with_it():
    """Name, whose, how much of what, and until when; as text for people, as fields for programs."""
    error = BudgetExceeded("users", {"user.id": "ada"}, 5.25, 5.0, RESETS)
    assert str(error) == (
        "budget 'users' of user.id=ada is spent: 5.25 of 5 USD until 2026-12-01T00:00:00+00:00; the call was not sent"
    )
    assert (error.budget, error.key, error.spent_usd, error.limit_usd) == ("users", {"user.id": "ada"}, 5.25, 5.0)
    assert "budget 'all' is spent" in str(BudgetExceeded("all", {}, 1.0, 1.0, RESETS))


def test_the_exception_travels_between_processes():
    """Task queues pickle what failed."""
    error = BudgetExceeded("users", {"user.id": "ada"}, 5.25, 5.0, RESETS)
    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(same), same.resets_at) == (str(error), RESETS)
