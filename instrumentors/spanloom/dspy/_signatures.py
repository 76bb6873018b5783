"""What a predictor is asked to do: its signature as text, and which version of its instructions. Kept by class."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from spanloom.semconv import DSpy

_MAX_CHARS = 256
_HASH_CHARS = 12
# What DSPy calls a signature that was written as a text.
_NAMELESS = "StringSignature"


# With what they were made of: the instructions of a class may be set anew.
_known: weakref.WeakKeyDictionary[Any, tuple[object, Mapping[str, str]]] = weakref.WeakKeyDictionary()


def described(signature: Any) -> Mapping[str, str]:
    """What is told of a signature class; made once, since reading its fields and instructions is slow."""
    found = _known.get(signature)
    if found is None or found[0] is not signature.__doc__:
        _known[signature] = found = (signature.__doc__, _describe(signature))
    return found[1]


def _describe(signature: Any) -> Mapping[str, str]:
    """``question -> answer``; the name of a class of the application's; the digest of the instructions."""
    fields = (signature.input_fields, signature.output_fields)
    told = {DSpy.SIGNATURE: " -> ".join(", ".join(names) for names in fields)[:_MAX_CHARS]}
    if signature.__name__ != _NAMELESS:
        told[DSpy.SIGNATURE_NAME] = signature.__name__
    digest = digest_of(signature.instructions)
    if digest is not None:
        told[DSpy.INSTRUCTIONS_HASH] = digest
    return told


def digest_of(text: Any) -> str | None:
    """The beginning of the SHA-256 of a text; ``None`` for what is none."""
    if not isinstance(text, str):
        return None
    import hashlib  # loads OpenSSL: not before there is a program

    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_HASH_CHARS]
