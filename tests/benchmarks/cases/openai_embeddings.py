"""OpenAI embeddings of a hundred inputs."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks._openai import client
from tests.benchmarks.cases import Case
from tests.benchmarks.cases.openai_chat import ALL

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench

INPUTS, DIMENSIONS = 100, 16


def vectors() -> bytes:
    """What the SDK asks for by default: base64 of 32-bit floats."""
    vector = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *(number / 1000 for number in range(DIMENSIONS)))).decode()
    data = [{"object": "embedding", "index": number, "embedding": vector} for number in range(INPUTS)]
    usage = {"prompt_tokens": 700, "total_tokens": 700}
    return json.dumps({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}).encode()


def embeddings(bench: Bench) -> Callable[[], Any]:
    resource = client(vectors()).embeddings
    texts = [f"Sentence {number} of a document about rivers and where they go." for number in range(INPUTS)]

    def call() -> None:
        assert len(resource.create(model="text-embedding-3-small", input=texts).data) == INPUTS

    return call


CASES = (Case("openai embeddings x100", "embeddings.create", "openai", embeddings, ALL),)
