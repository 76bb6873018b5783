"""The tools that the agent may use: plain functions."""

from __future__ import annotations

import requests

from rag import settings, stock


def stock_level(item: str) -> str:
    """How many pieces of an item are in stock, and its price."""
    response = requests.get(f"{settings.STOCK_URL}/{item}", timeout=5)
    response.raise_for_status()
    level = response.json()
    return f"{level['pieces']} pieces of {level['item']} at {level['price_eur']:.2f} EUR each"


def delivery_days(item: str) -> int:
    """How many working days the delivery of an item takes."""
    level = stock.find(item)
    if level is None:
        raise ValueError(f"nothing is sold as {item!r}")
    return 2 if level.weight_kg <= 5 else 4
