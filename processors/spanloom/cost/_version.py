"""What amounts are from: the data's version, and which prices of one's own are in effect."""

from __future__ import annotations

from functools import lru_cache

from spanloom.cost._active import active
from spanloom.cost._table import table


def price_version() -> str:
    """The data that amounts are from with the day of its release, and which prices of one's own are in effect."""
    return _version(active.digest)


@lru_cache(maxsize=1)
def _version(digest: str) -> str:
    return f"{table().source}, own prices {digest}" if digest else table().source
