"""Prices of one's own, for commands that price: ``--prices FILE``."""

from __future__ import annotations

import sys

from spanloom import cost
from spanloom.rulefile import RuleFileError


def use_own_prices(path: str | None) -> bool:
    """Put the file's prices into effect; False where it has mistakes, which stderr tells."""
    try:
        if path:
            cost.load_overrides(path)
    except RuleFileError as error:
        print(error, file=sys.stderr)
        return False
    return True
