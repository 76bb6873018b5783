"""Whether two tool calls have equal arguments, by a digest of each argument: nothing of what they say is kept.

Values are equal as they are in JSON: a tuple is a list, 1.0 is 1, a date is its text. What JSON has no plain form for
is like nothing: a lazy list is not read, and nobody's ``__str__`` is called, for a link.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from spanloom.genai._content import parsed_json
from spanloom.genai._guard import tolerant

_KEY: Final = os.urandom(16)
_BYTES: Final = 16
_MAX_DEPTH: Final = 24
# Their text is what a model writes for them.
_TEXTS: Final = ("datetime", "uuid", "decimal", "pathlib", "ipaddress")

# What a parameter has where nobody gives it; ``None`` where there is nothing, or nothing that can be compared.
DefaultPrint = Callable[[str], "bytes | None"]


class _NoPrintError(TypeError):
    """The value has no form in JSON that could be compared."""


class Prints(dict[str, "bytes | None"]):
    """A digest of each argument by its name; ``None`` for what is like nothing."""

    __slots__ = ()

    def fits(self, given: Prints, default: DefaultPrint) -> bool:
        """Whether an execution with these arguments may be the call. What nobody gave has its default on both sides."""
        if self.keys() == given.keys():
            return all(one is not None and one == given[name] for name, one in self.items())
        return all(_alike(self, given, name, default) for name in {*self, *given})


def _alike(asked: Prints, given: Prints, name: str, default: DefaultPrint) -> bool:
    one = asked[name] if name in asked else default(name)
    other = given[name] if name in given else default(name)
    return one is not None and one == other


class Text(NamedTuple):
    """The only argument of a custom tool, under whatever name."""

    print: bytes | None

    def fits(self, given: Prints, default: DefaultPrint) -> bool:
        """Whether this is what was given."""
        del default
        return self.print is not None and [*given.values()] == [self.print]


class Unknown(NamedTuple):
    """What was not read. It may be anything, so that nothing else of its name is certain."""

    def fits(self, given: Prints, default: DefaultPrint) -> bool:
        """It may be the call."""
        del given, default
        return True


class Broken(NamedTuple):
    """What cannot be read: no execution is like it."""

    def fits(self, given: Prints, default: DefaultPrint) -> bool:
        """Never."""
        del given, default
        return False


Asked = Prints | Text | Unknown | Broken


def asked_prints(arguments: Any, is_text: bool = False) -> Asked:
    """Of arguments as a model gives them: JSON text or its value, or a text by itself."""
    if is_text:
        return Text(print_of(arguments))
    if isinstance(arguments, str):
        # A tool without parameters may be called with nothing at all.
        arguments = parsed_json(arguments) if arguments else {}
    if isinstance(arguments, str):
        return Text(print_of(arguments))
    if not isinstance(arguments, Mapping):
        return Broken()
    return Prints({str(name): print_of(one) for name, one in cast("Mapping[Any, Any]", arguments).items()})


def print_of(value: Any) -> bytes | None:
    """A digest that equal values share; ``None`` for what is like nothing."""
    from hashlib import blake2b  # loads OpenSSL: only where a model asks for tools

    try:
        text = json.dumps(_canonical(value, _MAX_DEPTH), sort_keys=True)
    except (_NoPrintError, ValueError, RecursionError):
        return None
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_BYTES, key=_KEY).digest()


def _canonical(value: Any, depth: int) -> Any:
    kind = cast("type[object]", type(value))
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return int(value) if value.is_integer() else value
    if not depth:
        raise _NoPrintError
    if kind is list or kind is tuple:
        return [_canonical(one, depth - 1) for one in value]
    if kind is dict:
        items = cast("dict[Any, Any]", value).items()
        if not all(isinstance(name, str) for name, _ in items):
            raise _NoPrintError
        return {name: _canonical(one, depth - 1) for name, one in items}
    return _canonical(_simple(value, kind), depth - 1)


def _simple(value: Any, kind: type[object]) -> Any:
    """What stands for a value of another type."""
    if isinstance(value, enum.Enum):
        return value.value
    if kind.__module__ in _TEXTS or kind.__module__.startswith("pathlib."):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if isinstance(value, str):
        return str.__str__(value)
    dump = getattr(kind, "model_dump", None)
    found = tolerant(dump, None, value, mode="json", warnings=False) if callable(dump) else None
    if found is None:
        raise _NoPrintError
    return found
