"""What the pure half hands to the HTTP edge: one answer, whole or as the events of a stream."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from ._faults import Faults, Refusal
from ._tokens import Usage

CREATED = 1_767_225_600
"""The time (2026-01-01) that every answer carries: answers are the same on every run."""


@dataclass(frozen=True)
class Identity:
    """Names an answer: derived from the body's digest and from how often that body was seen before."""

    digest: str
    occurrence: int

    def make(self, prefix: str, part: str = "") -> str:
        """An id such as ``chatcmpl-5f0c...``."""
        seed = f"{self.digest}:{self.occurrence}:{prefix}:{part}"
        return prefix + hashlib.sha256(seed.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Event:
    """One server-sent event. `usage` is set on the event that tells the client its tokens."""

    data: bytes
    usage: Usage | None = None


@dataclass(frozen=True)
class Answer:
    """One answer. Either `body` (bytes) or `events`; `usage` is what a whole body reports."""

    status: int = 200
    body: bytes = b""
    events: tuple[Event, ...] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str = "complete"
    usage: Usage | None = None
    model_asked: str | None = None
    model_answered: str | None = None
    response_id: str | None = None
    delay: float = 0.0
    pause: float = 0.0
    broken: bool = False
    """Break the connection instead of ending the body."""


def to_json(value: Any) -> bytes:
    """Compact JSON bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Any, name: str | None = None, usage: Usage | None = None) -> Event:
    """A server-sent event that carries JSON."""
    head = f"event: {name}\n".encode() if name else b""
    return Event(head + b"data: " + to_json(value) + b"\n\n", usage)


def refused(refusal: Refusal) -> Answer:
    """The answer that is an error."""
    return Answer(refusal.status, to_json(refusal.body()), headers=refusal.headers(), outcome="error")


def with_faults(answer: Answer, faults: Faults) -> Answer:
    """The answer with delays, cuts and damage as asked for."""
    answer = replace(answer, delay=faults.delay, pause=faults.pause)
    if answer.events is not None:
        return _damaged_stream(answer, answer.events, faults)
    if faults.malformed or faults.cut is not None:
        outcome = "malformed" if faults.malformed else "cut"
        body = answer.body[: len(answer.body) // 2] if faults.malformed else answer.body
        return replace(answer, body=body, outcome=outcome, usage=None, broken=outcome == "cut")
    return answer


def _damaged_stream(answer: Answer, events: tuple[Event, ...], faults: Faults) -> Answer:
    if faults.malformed:
        return replace(answer, events=(*events[:1], Event(b'data: {"id": "broken\n\n')), outcome="malformed")
    if faults.cut is not None and faults.cut < len(events):
        return replace(answer, events=events[: faults.cut], outcome="cut", broken=True)
    if faults.fail is not None and faults.fail < len(events):
        error = Refusal(500, "The server had an error while processing your request.").body()
        return replace(answer, events=(*events[: faults.fail], event(error, name="error")), outcome="failed")
    return answer
