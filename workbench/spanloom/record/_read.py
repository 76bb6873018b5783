"""Records from disk: files and folders, line by line, with whatever is broken named and left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spanloom.record._model import Span, Trace
from spanloom.record._parse import Wanted, spans_of
from spanloom.record._tree import traces_of

# A line is one export request; the exporters' limit is 4 MB, a single huge span apart.
MAX_LINE_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Problem:
    """A place in a file that could not be read."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass(slots=True)
class Reading:
    """What was found in a record. ``size_bytes`` is that of all ``files`` together."""

    files: list[Path] = field(default_factory=list[Path])
    size_bytes: int = 0
    traces: list[Trace] = field(default_factory=list[Trace])
    problems: list[Problem] = field(default_factory=list[Problem])


def read(places: Iterable[Path], wanted: Wanted = lambda _: True) -> Reading:
    """Every trace in these files and folders. Raises FileNotFoundError for a place that is not there.

    ``wanted`` says by its name which attribute to keep: prompts and answers are most of a record's size.
    """
    reading = Reading(files=[file for place in places for file in files_of(place)])
    reading.traces = traces_of(span for file in reading.files for span in _file(file, wanted, reading))
    return reading


def _file(file: Path, wanted: Wanted, reading: Reading) -> Iterator[Span]:
    try:
        reading.size_bytes += file.stat().st_size
        yield from _spans_in(file, wanted, reading.problems)
    except OSError as error:  # deleted by its writer to make room, or not ours to read
        reading.problems.append(Problem(file, 0, f"cannot be read ({error.strerror or error}), skipped"))


def files_of(place: Path) -> list[Path]:
    """The file itself, or a folder's ``*.jsonl`` files, oldest name first."""
    if place.is_dir():
        return sorted(path for path in place.glob("*.jsonl") if path.is_file())
    if not place.exists():
        raise FileNotFoundError(place)
    return [place]


def _spans_in(file: Path, wanted: Wanted, problems: list[Problem]) -> Iterator[Span]:
    with file.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES):
            number += 1
            if not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
                problems.append(Problem(file, number, f"longer than {MAX_LINE_BYTES >> 20} MiB, skipped"))
                while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
            elif line.strip():
                yield from _spans_on(line, Problem(file, number, "not OTLP JSON, skipped"), wanted, problems)


def _spans_on(line: bytes, problem: Problem, wanted: Wanted, problems: list[Problem]) -> Iterator[Span]:
    broken = 0
    try:
        for found in spans_of(json.loads(line), wanted):
            if isinstance(found, Span):
                yield found
            else:
                broken += 1
    except (ValueError, RecursionError):  # MalformedError and JSONDecodeError are ValueErrors
        problems.append(problem)
    if broken:
        problems.append(Problem(problem.file, problem.line, f"{broken} spans are not OTLP JSON, skipped"))
