"""Making nonsense of sensible answers and arguments, always the same nonsense for the same seed. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

Place = tuple[Any, Any]


class Awkward:
    """An object of the application that fails whoever looks at it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise LookupError(f"do not look at {name}")

    def __repr__(self) -> str:
        return "<awkward>"

    def __str__(self) -> str:
        raise LookupError("do not print me")

    def __len__(self) -> int:
        raise LookupError("do not count me")

    def __bool__(self) -> bool:
        raise LookupError("do not ask me")


def _deep(depth: int) -> Any:
    value: Any = "deep"
    for place in range(depth):
        value = {"a": value} if place % 2 else [value]
    return value


# Values that a field may have and should not.
ODD: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: 0,
    lambda: -1,
    lambda: 3.7,
    lambda: 10**30,
    lambda: 2**63,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: "",
    lambda: "7",
    lambda: "\ud800",
    lambda: "\x00\x1b[31m",
    lambda: "x" * 5000,
    lambda: "{}",
    list,
    dict,
    lambda: [None],
    lambda: [[]],
    lambda: [{}],
    lambda: {"type": "text"},
    lambda: {"error": {"message": "odd"}},
    lambda: _deep(60),
)


def places(value: Any) -> Iterator[Place]:
    """Every (container, key) of a JSON value."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        rows = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, child in rows:
            yield one, key
            waiting.append(child)


def _drop(random: Random, owner: Any, key: Any) -> None:
    del owner[key]


def _null(random: Random, owner: Any, key: Any) -> None:
    owner[key] = None


def _replace(random: Random, owner: Any, key: Any) -> None:
    owner[key] = random.choice(ODD)()


def _wrap(random: Random, owner: Any, key: Any) -> None:
    owner[key] = random.choice(([owner[key]], {"value": owner[key]}, [owner[key], owner[key]]))


def _repeat(random: Random, owner: Any, key: Any) -> None:
    if isinstance(owner, list):
        owner[key:key] = [copy.deepcopy(owner[key]) for _ in range(random.randint(1, 4))]
    else:
        owner[f"{key}_"] = owner[key]


def _rename(random: Random, owner: Any, key: Any) -> None:
    value = owner.pop(key)
    if isinstance(owner, dict):
        owner[random.choice(("type", "index", "content", "id", "usage", "delta", "role", "Ж"))] = value
    else:
        owner.insert(0, value)


def _text(random: Random, owner: Any, key: Any) -> None:
    owner[key] = repr(owner[key])


_CHANGES = (_drop, _null, _replace, _replace, _replace, _wrap, _repeat, _rename, _text)


def change(random: Random, value: Any) -> Any:
    """One change somewhere in a JSON value (which is changed); rarely, something else altogether."""
    if random.random() < 0.03:
        return random.choice(ODD)()
    found = list(places(value))
    if found:
        random.choice(_CHANGES)(random, *random.choice(found))
    return value


def shuffle(random: Random, events: list[Any]) -> list[Any]:
    """One change to the order and number of a stream's events."""
    if not events:
        return events
    place = random.randrange(len(events))
    kind = random.randrange(6)
    if kind == 0:
        return events[:place] + events[place + 1 :]
    if kind == 1:
        return events[:place] + [copy.deepcopy(events[place])] * random.randint(2, 5) + events[place:]
    if kind == 2:
        other = random.randrange(len(events))
        events[place], events[other] = events[other], events[place]
        return events
    if kind == 3:
        return events[:place]
    if kind == 4:
        return [
            *events[:place],
            random.choice(("[DONE]", "", "oops", *[{"error": one()} for one in ODD])),
            *events[place:],
        ]
    return list(reversed(events))


def damage(random: Random, body: bytes) -> bytes:
    """One change to the bytes."""
    place = random.randrange(len(body) + 1)
    kind = random.randrange(6)
    if kind == 0:
        return body[:place]
    if kind == 1:
        return body[:place] + bytes([random.randrange(256)]) + body[place + 1 :]
    if kind == 2:
        return body[:place] + b"\xff\xfe\xed\xa0\x80" + body[place:]
    if kind == 3:
        return body.replace(b"\n", b"\r\n")
    if kind == 4:
        return b"\xef\xbb\xbf" + body
    return body[:place] + b"\n: a comment\nretry: x\nid: 1\n\n" + body[place:]


def written(random: Random, value: Any) -> bytes:
    """JSON, sometimes not in ASCII."""
    if random.random() < 0.5:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def pieces(random: Random, body: bytes) -> list[bytes]:
    """The bytes in pieces, as networks give them: at times in the middle of a character."""
    cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.randint(0, 4)))
    edges = [0, *cuts, len(body)]
    return [body[start:end] for start, end in pairwise(edges)]
