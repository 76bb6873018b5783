"""CPU time per span of our OTLP/JSON encoder against the official protobuf encoder, in one run.

``python -m tests.benchmarks.encode``: thread CPU time, blocks interleaved, the minimum over all blocks; prints
microseconds a span and the ratio. With ``--json`` the same figures as one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from spanloom.export._encode import encode_spans as ours

BATCH = 512
BLOCKS = 25


def spans(attributes: int, content_chars: int) -> list[ReadableSpan]:
    """A batch as a service makes it: one resource, one scope, mixed values."""
    provider = TracerProvider(resource=Resource({"service.name": "bench", "service.version": "1"}))
    tracer = provider.get_tracer("bench", "1")
    made: list[ReadableSpan] = []
    for index in range(BATCH):
        span = tracer.start_span("chat gpt-5-mini")
        for at in range(attributes):
            span.set_attribute(f"gen_ai_like.attribute.{at}", (f"value {index}", index, index / 7, at % 2 == 0)[at % 4])
        if content_chars:
            span.set_attribute("content", "Grüße an alle, says she. " * (content_chars // 25))
        span.end()
        made.append(span)  # type: ignore[arg-type]
    return made


def encode_ours(batch: Sequence[ReadableSpan]) -> bytes:
    return b"".join(request.body for request in ours(batch))


def encode_official(batch: Sequence[ReadableSpan]) -> bytes:
    return official(batch).SerializePartialToString()


def block(encode: Callable[[Sequence[ReadableSpan]], bytes], batch: Sequence[ReadableSpan]) -> float:
    """Thread CPU microseconds a span for one pass."""
    begin = time.thread_time_ns()
    encode(batch)
    return (time.thread_time_ns() - begin) / 1000 / len(batch)


def measure(attributes: int, content_chars: int, blocks: int = BLOCKS) -> dict[str, float]:
    """Minima over interleaved blocks."""
    batch = spans(attributes, content_chars)
    best = {"ours_us": float("inf"), "official_us": float("inf")}
    for _ in range(blocks):
        best["ours_us"] = min(best["ours_us"], block(encode_ours, batch))
        best["official_us"] = min(best["official_us"], block(encode_official, batch))
    plain, proto = encode_ours(batch), encode_official(batch)
    return {
        **best,
        "ratio": best["ours_us"] / best["official_us"],
        "ours_bytes": len(plain) / BATCH,
        "official_bytes": len(proto) / BATCH,
        "ours_gzip_bytes": len(gzip.compress(plain, 1)) / BATCH,
        "official_gzip_bytes": len(gzip.compress(proto, 1)) / BATCH,
    }


CASES = {"no attributes": (0, 0), "14 attributes": (14, 0), "14 attributes, 1.8 kB text": (14, 1800)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {title: measure(*case) for title, case in CASES.items()}
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{'case':<28}{'ours µs':>9}{'protobuf µs':>13}{'ratio':>7}{'B':>7}{'pb B':>7}{'gz B':>7}{'pb gz B':>9}")
    for title, row in figures.items():
        print(
            f"{title:<28}{row['ours_us']:>9.2f}{row['official_us']:>13.2f}{row['ratio']:>7.2f}{row['ours_bytes']:>7.0f}"
            f"{row['official_bytes']:>7.0f}{row['ours_gzip_bytes']:>7.0f}{row['official_gzip_bytes']:>9.0f}"
        )


if __name__ == "__main__":
    main()
