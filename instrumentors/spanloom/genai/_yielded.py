"""What a generator yields, as content: each item is made JSON at once and let go; all together are within the limit."""

from __future__ import annotations

import json
from typing import Any

# For the brackets, and for the last element, which says how many items are missing.
_RESERVED_BYTES = 40
_SEPARATOR_BYTES = len(", ")


class Yielded:
    """The beginning of what was yielded; of an item that is too long by itself, its beginning."""

    __slots__ = ("_cut", "_room", "_texts")

    def __init__(self, max_bytes: int) -> None:
        self._texts: list[str] = []
        self._room = max_bytes - _RESERVED_BYTES
        self._cut = 0

    def add(self, item: object) -> None:
        """Keep an item as it is now: whoever reads it may change it."""
        if self._cut:
            self._cut += 1
            return
        from spanloom.genai._content import json_text  # where a function is decorated there is no content yet

        # Only the first may be cut: later ones are left out, and counted.
        text = json_text(item, None if self._texts else self._room)
        size = len(text.encode()) + _SEPARATOR_BYTES
        if self._texts and size > self._room:
            self._cut = 1
            return
        self._texts.append(text)
        self._room -= size

    def items(self) -> list[Any]:
        """The items in JSON's terms."""
        kept: list[Any] = [json.loads(text) for text in self._texts]
        return [*kept, f"[{self._cut:,} items cut]"] if self._cut else kept
