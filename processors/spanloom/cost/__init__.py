"""What model calls cost, from a table that comes with the package, and from prices of your own.

``price()`` is for your own code, ``explain()`` says how a name was matched, and ``load_overrides()`` puts prices of
your own before the table (``SPANLOOM_PRICES`` does it without code; docs/costs.md). ``CostFinisher`` puts the cost of
each model call on its span before that ends; the distribution registers it. ``cost_attributes`` is the same for a
finished span of another recorder. The prices are the data of ``genai-prices`` (MIT, ``LICENSE.genai-prices``); nothing
is fetched, and what nobody knows has no amount.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spanloom.cost._active import load_overrides, reset_overrides
from spanloom.cost._price import MoreCounts, Price, price

if TYPE_CHECKING:
    from spanloom.cost._explain import Explanation, explain
    from spanloom.cost._finisher import CostFinisher
    from spanloom.cost._spans import cost_attributes

__all__ = [
    "CostFinisher",
    "Explanation",
    "MoreCounts",
    "Price",
    "cost_attributes",
    "explain",
    "load_overrides",
    "price",
    "reset_overrides",
]

# They need OpenTelemetry's metrics, or are asked for by people: who only wants a price does without.
_HOMES = {
    "CostFinisher": "_finisher",
    "Explanation": "_explain",
    "cost_attributes": "_spans",
    "explain": "_explain",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
