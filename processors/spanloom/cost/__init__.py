"""What model calls cost, from a table that comes with the package.

``price()`` is for your own code. ``CostFinisher`` puts the cost of each model call on its span before that ends; the
distribution registers it. ``cost_attributes`` is the same for a finished span of another recorder. The prices are the
data of ``genai-prices`` (MIT, ``LICENSE.genai-prices``); nothing is fetched, and what the table does not know has no
amount.
"""

from __future__ import annotations

from spanloom.cost._finisher import CostFinisher
from spanloom.cost._price import Price, price
from spanloom.cost._spans import cost_attributes

__all__ = ["CostFinisher", "Price", "cost_attributes", "price"]
