"""OTLP/JSON read back with the official messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from spanloom.export._pack import Request

IDS = {"traceId", "spanId", "parentSpanId"}
M = TypeVar("M", bound=Message)


def with_base64_ids(node: Any) -> Any:
    """OTLP writes ids in hex, protobuf's JSON wants base64."""
    if isinstance(node, list):
        return [with_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else with_base64_ids(item)
        for key, item in node.items()
    }


def strict(body: bytes) -> Any:
    """JSON without Python's extensions (bare NaN) and without the same key twice."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"not JSON: {constant}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), keys
        return dict(pairs)

    return json.loads(body, parse_constant=refuse, object_pairs_hook=once)


def message(body: bytes, empty: M) -> M:
    """The body as the given message; unknown fields are an error."""
    return json_format.ParseDict(with_base64_ids(strict(body)), empty)


def only(requests: Iterable[Request]) -> bytes:
    """The body of the single request."""
    (request,) = requests
    return request.body
