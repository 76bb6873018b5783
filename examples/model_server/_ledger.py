"""What the server was asked and what it reported, for checks against traces and metrics."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

CAP = 100_000


@dataclass(frozen=True)
class Entry:
    """One request. Token fields are what the client was *told*: None when no usage was sent."""

    sequence: int
    endpoint: str
    status: int
    outcome: str
    """``complete``, ``error``, ``malformed``, ``cut``, ``failed`` (error event in a stream) or ``client_closed``."""
    stream: bool
    model_asked: str | None
    model_answered: str | None
    response_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    traceparent: str | None
    user_agent: str | None
    raw_digest: str
    """SHA-256 of the exact bytes of the body."""
    body_digest: str
    """SHA-256 of the body as canonical JSON; of the bytes when they are not JSON."""
    body_bytes: int


class Ledger:
    """A bounded list of entries, newest kept, with totals over all of them. Thread-safe."""

    def __init__(self, cap: int = CAP) -> None:
        self._lock = threading.Lock()
        self._cap = cap
        self._age = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything; sequence numbers start again at 1. Requests still in work are not recorded any more."""
        with self._lock:
            self._age += 1
            self._entries: deque[Entry] = deque(maxlen=self._cap)
            self._next = 0
            self._recorded = 0
            self._totals: dict[str, dict[str, int]] = {}

    def arrive(self) -> tuple[int, int]:
        """The sequence number of a request that has just arrived, and the age of the ledger, which `record` wants."""
        with self._lock:
            self._next += 1
            return self._next, self._age

    def record(self, entry: Entry, age: int | None = None) -> None:
        """Add an entry, unless the ledger was emptied since that `age`."""
        with self._lock:
            if age is not None and age != self._age:
                return
            self._entries.append(entry)
            self._recorded += 1
            _add(self._totals.setdefault(entry.model_answered or "", _empty_totals()), entry)

    @property
    def entries(self) -> list[Entry]:
        """The kept entries in order of arrival."""
        with self._lock:
            return sorted(self._entries, key=lambda entry: entry.sequence)

    @property
    def dropped(self) -> int:
        """How many entries are no longer kept."""
        with self._lock:
            return self._recorded - len(self._entries)

    def totals(self) -> dict[str, dict[str, int]]:
        """Per answered model ("" for requests without one): requests, errors and reported tokens; dropped ones too."""
        with self._lock:
            return {model: dict(sums) for model, sums in sorted(self._totals.items())}

    def as_json(self) -> dict[str, Any]:
        """The answer of ``GET /ledger``."""
        entries = [asdict(entry) for entry in self.entries]
        return {"entries": entries, "dropped": self.dropped, "totals": self.totals()}


def _empty_totals() -> dict[str, int]:
    names = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    return dict.fromkeys(names, 0)


def _add(sums: dict[str, int], entry: Entry) -> None:
    sums["requests"] += 1
    sums["errors"] += entry.outcome not in ("complete", "client_closed")
    for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        sums[name] += getattr(entry, name) or 0
