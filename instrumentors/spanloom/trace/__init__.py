"""What people call in their own code. Nothing here needs an SDK, and all of it is harmless without one."""

from __future__ import annotations

from spanloom.genai import content

__all__ = ["content"]
