"""What lies in the warehouse."""

from __future__ import annotations

from pydantic import BaseModel


class StockLevel(BaseModel):
    """How many pieces of an item are there, and what one costs and weighs."""

    item: str
    pieces: int
    price_eur: float
    weight_kg: float


_LEVELS = [
    StockLevel(item="Tern Hub", pieces=31, price_eur=129.0, weight_kg=0.4),
    StockLevel(item="Wind Vane", pieces=7, price_eur=59.0, weight_kg=0.9),
    StockLevel(item="Rain Gauge", pieces=12, price_eur=45.0, weight_kg=0.8),
    StockLevel(item="Solar Panel", pieces=0, price_eur=39.0, weight_kg=1.1),
    StockLevel(item="Battery Pack", pieces=210, price_eur=15.5, weight_kg=0.2),
    StockLevel(item="Light Sensor", pieces=18, price_eur=49.0, weight_kg=0.3),
    StockLevel(item="Mounting Pole", pieces=4, price_eur=85.0, weight_kg=6.5),
]


def find(item: str) -> StockLevel | None:
    """The level of an item by its name; None when nothing is sold under that name."""
    return next((level for level in _LEVELS if level.item.lower() == item.strip().lower()), None)
