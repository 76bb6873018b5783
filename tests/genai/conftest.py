"""What the tests of this folder share."""

from __future__ import annotations

from tests._support.plugins import clean, content, frozen, recorder

__all__ = ["clean", "content", "frozen", "recorder"]
