"""What model calls cost, from a table that comes with the package and prices of your own, and limits of what they may.

``price()`` is for your own code, ``explain()`` says how a name was matched, and ``load_overrides()`` puts prices of
your own before the table (``SPANLOOM_PRICES`` does it without code; docs/costs.md). ``CostFinisher`` puts the cost of
each model call on its span before that ends; the distribution registers it. ``SpanCosts`` does that for finished spans
of other recorders, in the pipeline; ``cost_attributes`` is its answer for one, and ``collector_prices`` is the table
for a Collector. ``add_budget`` limits what calls may spend. The prices are the data of ``genai-prices`` (MIT,
``LICENSE.genai-prices``); nothing is fetched, and what nobody knows has no amount.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spanloom.cost._active import load_overrides, reset_overrides
from spanloom.cost._price import MoreCounts, Price, price

if TYPE_CHECKING:
    from spanloom.cost._budget import Budget, BudgetExceeded
    from spanloom.cost._budgets import add_budget, budgets_from_settings, load_budgets
    from spanloom.cost._collector import collector_prices
    from spanloom.cost._explain import Explanation, explain
    from spanloom.cost._finisher import CostFinisher
    from spanloom.cost._spans import SpanCosts, cost_attributes
    from spanloom.cost._store import BudgetStore, MemoryStore
    from spanloom.cost._window import Window

__all__ = [
    "Budget",
    "BudgetExceeded",
    "BudgetStore",
    "CostFinisher",
    "Explanation",
    "MemoryStore",
    "MoreCounts",
    "Price",
    "SpanCosts",
    "Window",
    "add_budget",
    "budgets_from_settings",
    "collector_prices",
    "cost_attributes",
    "explain",
    "load_budgets",
    "load_overrides",
    "price",
    "reset_overrides",
]

# They need the core, the metrics' API or what takes time to load: who only wants a price does without.
_HOMES = {
    "Budget": "_budget",
    "BudgetExceeded": "_budget",
    "BudgetStore": "_store",
    "CostFinisher": "_finisher",
    "Explanation": "_explain",
    "MemoryStore": "_store",
    "SpanCosts": "_spans",
    "Window": "_window",
    "add_budget": "_budgets",
    "budgets_from_settings": "_budgets",
    "collector_prices": "_collector",
    "cost_attributes": "_spans",
    "explain": "_explain",
    "load_budgets": "_budgets",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
