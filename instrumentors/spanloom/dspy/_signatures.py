"""What a predictor is asked to do: its signature as text, and which version of its instructions. Kept by class."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

_MAX_CHARS = 256
_HASH_CHARS = 12
# What DSPy calls a signature that was written as a text.
_NAMELESS = "StringSignature"


class Described(NamedTuple):
    """``text`` is ``question -> answer``; ``name`` of a class of the application's; ``digest`` of the instructions."""

    text: str
    name: str | None
    digest: str | None
    # What they were made of: the instructions of a class may be set anew.
    source: object


_known: weakref.WeakKeyDictionary[Any, Described] = weakref.WeakKeyDictionary()


def described(signature: Any) -> Described:
    """What is told of a signature class; made once, since reading its fields and instructions is slow."""
    found = _known.get(signature)
    if found is None or found.source is not signature.__doc__:
        _known[signature] = found = _describe(signature)
    return found


def _describe(signature: Any) -> Described:
    fields = (signature.input_fields, signature.output_fields)
    text = " -> ".join(", ".join(names) for names in fields)[:_MAX_CHARS]
    name: str = signature.__name__
    return Described(text, None if name == _NAMELESS else name, digest_of(signature.instructions), signature.__doc__)


def digest_of(text: Any) -> str | None:
    """The beginning of the SHA-256 of a text; ``None`` for what is none."""
    if not isinstance(text, str):
        return None
    import hashlib  # loads OpenSSL: not before there is a program

    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_HASH_CHARS]
