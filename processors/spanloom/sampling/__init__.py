"""To be filled by the next commits."""

from __future__ import annotations

__all__: list[str] = []
