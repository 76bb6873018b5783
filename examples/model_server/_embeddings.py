"""``/v1/embeddings``: deterministic unit vectors; texts that share words lie near each other. Pure functions."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

from . import _text
from ._answer import Answer, Identity, to_json
from ._faults import Refusal
from ._fields import limit, required
from ._tokens import Usage, count_tokens

_DIMENSIONS = {"text-embedding-3-large": 3072}


def vector(text: str, dimensions: int) -> list[float]:
    """The unit vector of a text: each word adds to eight places that its hash names."""
    places = [0.0] * dimensions
    for word in sorted(_text.stems(text)) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        for (number,) in struct.iter_unpack("<I", digest):
            places[number // 2 % dimensions] += 1.0 if number % 2 else -1.0
    length = math.sqrt(sum(value * value for value in places))
    if not length:
        places[0] = length = 1.0
    return [value / length for value in places]


def answer(body: dict[str, Any], _identity: Identity) -> Answer:
    """The answer of ``POST /v1/embeddings``."""
    model, texts = required(body, "model", str), read_inputs(body)
    dimensions = limit(body, "dimensions") or _DIMENSIONS.get(model, 1536)
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        values = vector(text, dimensions)
        data.append({"object": "embedding", "index": index, "embedding": _packed(values) if as_base64 else values})
    usage = Usage(sum(_size(raw) for raw in _raw_inputs(body)))
    whole = {"object": "list", "data": data, "model": model, "usage": usage.as_embeddings()}
    return Answer(body=to_json(whole), usage=usage, model_asked=model, model_answered=model)


def read_inputs(body: dict[str, Any]) -> list[str]:
    """The inputs as texts; token lists are written out as numbers."""
    return [raw if isinstance(raw, str) else " ".join(map(str, raw)) for raw in _raw_inputs(body)]


def _raw_inputs(body: dict[str, Any]) -> list[Any]:
    given = body.get("input")
    many = [given] if isinstance(given, str) or _is_tokens(given) else given
    if not isinstance(many, list) or not many or not all(isinstance(raw, str) or _is_tokens(raw) for raw in many):
        raise Refusal(400, "'input' must be a string, an array of strings, or an array of tokens.", param="input")
    return many


def _is_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(token, int) for token in given)


def _size(raw: Any) -> int:
    return count_tokens(raw) if isinstance(raw, str) else len(raw)


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
