"""Content attributes within a limit of bytes: the longest texts are cut, what is gone is said, JSON stays JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

# A text shorter than this is not cut: its mark would be as long.
_LEAST: Final = 64
_PARTS: Final = "parts"
_Size = Callable[[Any], int]


def json_bytes(value: Any) -> int:
    """The UTF-8 size of a plain value's JSON text."""
    text = json.dumps(value, ensure_ascii=False)
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def within(value: Any, max_bytes: int) -> Any:
    """The plain value, or a copy whose JSON text has at most ``max_bytes`` (never less than the mark itself needs).

    Texts are cut from the longest down, keeping their beginning; then items of the outer list are left out of its
    middle; where that is not enough either, the value becomes the beginning of its JSON text, as one string.
    """
    excess = json_bytes(value) - max_bytes
    if excess <= 0:
        return value
    lengths = sorted(_text_sizes(value), reverse=True)
    cut = value
    for _ in range(4):
        level = _level(lengths, excess)
        cut = _shortened(value, level)
        still = json_bytes(cut) - max_bytes
        if still <= 0:
            return cut
        if level <= _LEAST:
            break
        # The marks take room themselves.
        excess += still
    return _thinned(cut, max_bytes)


def _text_sizes(value: Any) -> list[int]:
    """The sizes of all texts within."""
    found: list[int] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(len(one) if one.isascii() else len(one.encode(errors="replace")))
        elif isinstance(one, Mapping):
            waiting.extend(cast("Mapping[str, Any]", one).values())
        elif isinstance(one, (list, tuple)):
            waiting.extend(cast("Iterable[Any]", one))
    return found


def _level(sizes: list[int], excess: int) -> int:
    """The size down to which the longest texts must be cut, so that ``excess`` bytes go. ``sizes``: longest first."""
    taken = 0
    for count, size in enumerate(sizes, 1):
        below = sizes[count] if count < len(sizes) else 0
        if taken + count * (size - below) >= excess:
            return max(_LEAST, size - -(-(excess - taken) // count))
        taken += count * (size - below)
    return _LEAST


def _shortened(value: Any, level: int) -> Any:
    if isinstance(value, str):
        return _cut(value, level)
    if isinstance(value, Mapping):
        return {key: _shortened(item, level) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(item, level) for item in cast("Iterable[Any]", value)]
    return value


def _cut(text: str, level: int) -> str:
    return beginning(text, level)


def beginning(text: str, max_bytes: int, mark_bytes: int = 24) -> str:
    """The beginning of a text, with a mark that tells how many bytes are gone."""
    raw = text.encode(errors="replace")
    if len(raw) <= max_bytes:
        return text
    kept = raw[: max(0, max_bytes - mark_bytes)].decode(errors="ignore")
    return f"{kept}... [{len(raw) - len(kept.encode()):,} bytes cut]"


def _thinned(value: Any, max_bytes: int) -> Any:
    """Fewer items of the outer list; its first and last stay as long as there is room."""
    if isinstance(value, list):
        items = [_lighter(item, max_bytes // 4) for item in cast("list[Any]", value)]
        sizes = [json_bytes(item) + 2 for item in items]
        if sum(sizes) <= max_bytes:
            return items
        head, tail = _ends(sizes, max_bytes - 160)
        if head or tail:
            gone = len(items) - head - tail
            return [*items[:head], _mark(items[0], gone), *items[len(items) - tail :]]
    text = json.dumps(value, ensure_ascii=False)
    # Its own JSON escapes every quote.
    return _cut(text, max(_LEAST, max_bytes // 2 - 2))


def _lighter(item: Any, max_bytes: int) -> Any:
    """An item whose large values are the beginning of their JSON text, and its many parts fewer: it keeps its shape."""
    if not isinstance(item, Mapping) or json_bytes(item) <= max_bytes:
        return cast("Any", item)
    rows: dict[str, Any] = {}
    for key, value in cast("Mapping[str, Any]", item).items():
        if isinstance(value, str) or json_bytes(value) <= max_bytes:
            rows[key] = value
        else:
            rows[key] = _thinned(value, max_bytes) if key == _PARTS else _as_cut_json(value, max_bytes)
    return rows


def _as_cut_json(value: Any, max_bytes: int) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), max(_LEAST, max_bytes // 2))


def _ends(sizes: list[int], room: int) -> tuple[int, int]:
    """How many items of the beginning and of the end fit, in turn, the end first: it is what was said last."""
    head, tail = 0, 0
    while head + tail < len(sizes):
        from_end = tail <= head
        size = sizes[-1 - tail] if from_end else sizes[head]
        if size > room:
            break
        room -= size
        head, tail = (head, tail + 1) if from_end else (head + 1, tail)
    return head, tail


def _mark(like: Any, gone: int) -> dict[str, Any]:
    """An item that stands for those left out, of the shape of the others: a message, a part, or a tool."""
    told = f"[{gone:,} items cut]"
    text = {"type": "text", "content": told}
    shape: Mapping[str, Any] = cast("Mapping[str, Any]", like) if isinstance(like, Mapping) else {}
    if _PARTS in shape:
        return {"role": shape.get("role"), _PARTS: [text]}
    # A tool has a name, and no content.
    return {"type": shape.get("type"), "name": told} if "name" in shape and "content" not in shape else text
