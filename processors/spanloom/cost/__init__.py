"""What model calls cost, from a table that comes with the package, and limits of what they may.

``price()`` is for your own code. ``CostFinisher`` puts the cost of each model call on its span before that ends; the
distribution registers it. ``SpanCosts`` does that for finished spans of other recorders, in the pipeline;
``cost_attributes`` is its answer for one. The prices are the
data of ``genai-prices`` (MIT, ``LICENSE.genai-prices``); nothing is fetched, and what the table does not know has no
amount. ``add_budget`` limits what calls may spend.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spanloom.cost._budget import Budget, BudgetExceeded
from spanloom.cost._price import Price, price
from spanloom.cost._store import BudgetStore, MemoryStore
from spanloom.cost._window import Window

if TYPE_CHECKING:
    from spanloom.cost._budgets import add_budget, budgets_from_settings, load_budgets
    from spanloom.cost._finisher import CostFinisher
    from spanloom.cost._spans import SpanCosts, cost_attributes

__all__ = [
    "Budget",
    "BudgetExceeded",
    "BudgetStore",
    "CostFinisher",
    "MemoryStore",
    "Price",
    "SpanCosts",
    "Window",
    "add_budget",
    "budgets_from_settings",
    "cost_attributes",
    "load_budgets",
    "price",
]

# They need the core or the metrics' API, which who only asks for prices does without.
_HOMES = {
    "CostFinisher": "_finisher",
    "SpanCosts": "_spans",
    "add_budget": "_budgets",
    "budgets_from_settings": "_budgets",
    "cost_attributes": "_spans",
    "load_budgets": "_budgets",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
