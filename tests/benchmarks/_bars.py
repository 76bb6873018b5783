"""The bars: what ours may add at most. Claims about speed are printed as PASS or MISS and never fail a test."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.cases import OFF, ON, UNSAMPLED

TO_OFFICIAL, ADDED, ABOVE_FLOOR = "÷official", "added", "above floor"
PER_CHUNK = ", per chunk"
# Start-up rows: what the process does, and what is measured of it.
USES, NEVER = "start-up, uses openai", "start-up, never does"
CPU, WALL, MEMORY, MODULES = "CPU ms", "wall ms", "peak MB", "openai modules"


@dataclass(frozen=True)
class Bar:
    """What is at most ``limit``: ours÷official; ours added; or ours above the floor.

    The last is for processes that never call a model: OpenTelemetry's own loader costs them what the floor says.
    """

    limit: float
    of: str = TO_OFFICIAL


BARS: dict[tuple[str, str], Bar] = {
    ("openai chat", ON.name): Bar(0.58),
    ("openai chat", OFF.name): Bar(0.62),
    ("openai chat 32 KB", ON.name): Bar(0.47),
    ("openai chat 32 KB", UNSAMPLED.name): Bar(0.17),
    **{(f"openai stream{PER_CHUNK}", one.name): Bar(0.10) for one in (OFF, ON)},
    **{(f"openai stream async{PER_CHUNK}", one.name): Bar(0.14) for one in (OFF, ON)},
    **{("openai embeddings x100", one.name): Bar(0.85) for one in (OFF, ON)},
    **{("openai responses", one.name): Bar(0.60) for one in (OFF, ON)},
    **{(f"openai responses stream{PER_CHUNK}", one.name): Bar(0.18) for one in (OFF, ON)},
    ("dspy predict", ON.name): Bar(0.40),
    ("dspy predict", UNSAMPLED.name): Bar(0.25),
    ("dspy predict, OpenInference", ON.name): Bar(0.15),
    ("dspy chain of thought 8 KB", ON.name): Bar(0.6),
    ("dspy react", ON.name): Bar(0.6),
    ("dspy parallel", ON.name): Bar(0.45),
    ("dspy cache hit", ON.name): Bar(0.4),
    (USES, CPU): Bar(0.6),
    (USES, MEMORY): Bar(0.6),
    (NEVER, CPU): Bar(5, ABOVE_FLOOR),
    (NEVER, MODULES): Bar(0, ADDED),
}
