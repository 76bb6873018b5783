"""What tells one version of a program from another: the instructions and demos of its predictors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spanloom.dspy._scores import fields_of, stored_in
from spanloom.genai import guarded

_HASH_CHARS: Final = 12
# What has its data in its ``__dict__``, by a mark of its class. Anything else may hold the whole application.
_RECORDS: Final = ("__pydantic_core_schema__", "__dataclass_fields__")


@guarded("dspy.candidate.hash", default="")
def program_hash(program: object) -> str:
    """The same text for programs with the same instructions and demos, copies too.

    The SHA-256 of them as JSON; no code of the user's runs for it. Empty where there is no predictor, or no JSON.
    """
    return _hash({path: _version(predictor) for path, predictor in _predictors(program)})


@guarded("dspy.candidate.hash", default="")
def hash_with(program: object, instructions: Mapping[str, str]) -> str:
    """The hash that a program would have with these instructions."""
    versions = {path: _version(predictor) for path, predictor in _predictors(program)}
    for path in versions.keys() & instructions.keys():
        versions[path]["instructions"] = instructions[path]
    return _hash(versions)


def _version(predictor: Any) -> dict[str, Any]:
    return {"instructions": _instructions(predictor), "demos": predictor.__dict__.get("demos")}


def _hash(versions: Mapping[str, Any]) -> str:
    if not versions:
        return ""
    try:
        text = json.dumps(versions, default=_plain, skipkeys=True)
    except (ValueError, RecursionError):  # a demo that holds itself
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


@guarded("dspy.candidate.instructions", default={})
def instructions_of(program: object) -> dict[str, str]:
    """Path of each predictor -> its instructions. They are content."""
    return {path: _instructions(predictor) for path, predictor in _predictors(program)}


def _predictors(program: object) -> Iterator[tuple[str, Any]]:
    # Any callable may stand for a program. Of the class: an attribute's lookup may run the user's code.
    list_them = getattr(type(program), "named_predictors", None)
    if list_them is not None:
        yield from list_them(program)


def _instructions(predictor: Any) -> str:
    found = getattr(predictor.__dict__.get("signature"), "instructions", None)
    return found if isinstance(found, str) else ""


def _plain(value: object) -> Any:
    """The fields of an example, a model or a data class; of anything else its class."""
    kind = type(value)
    if stored_in(value) is not None or any(hasattr(kind, one) for one in _RECORDS):
        return fields_of(value)
    return kind.__qualname__
