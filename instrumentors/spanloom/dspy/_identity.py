"""Tables by the identity of an object, as long as it lives: users' classes and metaclasses may define equality.

An entry is a tuple that begins with a weak reference to its object, which ``leaving`` makes.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import Any, TypeVar

Entry = TypeVar("Entry", bound=tuple[Any, ...])


def leaving(table: dict[int, Any], one: object) -> weakref.ref[Any]:
    """A reference to an object that takes the object's entry out of the table when the object goes."""
    return weakref.ref(one, functools.partial(forget, table, id(one)))


def forget(table: dict[int, Any], key: int, reference: object) -> None:
    """Take out the entry of this very reference: what is there may be another object's that has the address now."""
    entry = table.get(key)
    if entry is not None and entry[0] is reference:
        del table[key]


def entry_of(table: Mapping[int, Entry], one: object) -> Entry | None:
    """The object's own entry."""
    entry = table.get(id(one))
    return entry if entry is not None and entry[0]() is one else None
