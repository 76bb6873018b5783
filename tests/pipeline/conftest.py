"""What the tests of this folder share."""

from __future__ import annotations

from tests._support.plugins import clean, frozen

__all__ = ["clean", "frozen"]
