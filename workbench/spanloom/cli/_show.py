"""``spanloom show``: traces of a record as trees in a terminal, or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from spanloom.cli import _content, _data, _format
from spanloom.cli._command import Command, UsageError
from spanloom.cli._layout import trace_lines
from spanloom.cli._style import style_for
from spanloom.cli._text import clean
from spanloom.record import Problem, Reading, Trace, read
from spanloom.semconv import text

_LAST = 20
_MIN_WIDTH = 40
_MAX_PROBLEMS = 5
_TRACE = re.compile(r"[0-9a-fA-F]{4,32}")
_RECORD = "SPANLOOM_RECORD"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        metavar="RECORD|TRACE",
        help="a record's folder or file, or the first digits (at least 4) of a trace's id; default: the whole record",
    )
    parser.add_argument(
        "--record",
        action="append",
        type=Path,
        metavar="DIR",
        help=f"where the record lies (may be given several times); default: {_RECORD}, or .spanloom",
    )
    parser.add_argument(
        "--last", type=_positive, metavar="N", help=f"only the N newest traces; default: {_LAST} at most"
    )
    parser.add_argument("--content", action="store_true", help="with prompts, answers, arguments and results")
    parser.add_argument("--json", action="store_true", help="as one JSON document (its schema: --json-schema)")
    parser.add_argument("--json-schema", action="store_true", help="print the schema of --json, and nothing else")
    parser.add_argument("--width", type=_columns, metavar="COLUMNS", help="default: the terminal's, else 80")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="default: auto")


def _positive(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number above 0")
    return int(value)


def _columns(value: str) -> int:
    columns = _positive(value)
    if columns < _MIN_WIDTH:
        raise argparse.ArgumentTypeError(f"{value} is too narrow, {_MIN_WIDTH} columns are the least")
    return columns


def _run(arguments: argparse.Namespace) -> int:
    if arguments.json_schema:
        print(_data.schema_text(), end="")
        return 0
    places, trace_id = _aim(arguments.what, arguments.record)
    reading = _read(places, content=arguments.content)
    _complain(reading.problems)
    chosen = _choose(reading, trace_id, arguments.last)
    if arguments.json:
        document = _data.document(reading, chosen, content=arguments.content)
        # ASCII: any stream can take it, and half a surrogate pair cannot break it.
        print(json.dumps(document, indent=2, allow_nan=False))
    elif chosen:
        _print(arguments, places, reading, chosen, trace_id)
    else:
        _say_nothing_found(places, reading, trace_id)
    return 0 if chosen else 1


def _print(
    arguments: argparse.Namespace, places: list[Path], reading: Reading, traces: list[Trace], trace_id: str | None
) -> None:
    columns = arguments.width or max(_MIN_WIDTH, shutil.get_terminal_size((80, 24)).columns)
    style = style_for(sys.stdout, arguments.color, columns, os.environ)
    for trace in traces:
        for line in trace_lines(trace, style, content=arguments.content):
            print(line)
        print()
    closing = [f"Record: {_where(places)} ({_held(reading)})"]
    left_out = len(reading.traces) - len(traces)
    if left_out and trace_id is None:
        closing.append(f"{_format.several(left_out, 'older trace')} left out: --last {len(reading.traces)} shows all")
    if trace_id is None:
        elsewhere = "" if places == [_default_record()] else f" --record {shlex.quote(str(places[0]))}"
        closing.append(f"One trace: spanloom show {traces[-1].trace_id[:8]}{elsewhere}")
    more = (
        "As data: --json" if arguments.content else f"Prompts and answers: --content{style.glyphs.dot}as data: --json"
    )
    for line in (*closing, more):
        print(style.paint(clean(line, style.encoding), "dim"))


def _where(places: list[Path]) -> str:
    return ", ".join(str(place.absolute()) for place in places)


def _held(reading: Reading) -> str:
    counts = _format.several(len(reading.files), "file"), _format.several(len(reading.traces), "trace")
    return ", ".join((counts[0], _format.size(reading.size_bytes), counts[1]))


def _aim(what: str | None, records: list[Path] | None) -> tuple[list[Path], str | None]:
    """Where to read, and the id (its beginning) of the trace wanted, if one is."""
    if what is not None and Path(what).exists():
        if records:
            raise UsageError(f"{what} is a record itself: leave --record out, or give a trace's id")
        return [Path(what)], None
    if what is None or _TRACE.fullmatch(what):
        return records or [_default_record()], what.lower() if what else None
    raise UsageError(f"{what} is no file, no folder, and no trace id (4 to 32 hex digits)")


def _default_record() -> Path:
    folder = text(_RECORD)
    return Path(".spanloom" if folder.lower() == "off" else os.path.expanduser(folder))  # noqa: PTH111 (never raises)


def _read(places: list[Path], *, content: bool) -> Reading:
    try:
        return read(places, lambda name: content or name not in _content.NAMES)
    except FileNotFoundError as error:
        cure = "run the service without an OTLP endpoint first, or name the record with --record DIR"
        raise UsageError(f"there is no record {error}: {cure}") from None


def _complain(problems: list[Problem]) -> None:
    for problem in problems[:_MAX_PROBLEMS]:
        print(f"spanloom: {problem}", file=sys.stderr)
    if len(problems) > _MAX_PROBLEMS:
        print(f"spanloom: and {len(problems) - _MAX_PROBLEMS} more places like these", file=sys.stderr)


def _choose(reading: Reading, trace_id: str | None, last: int | None) -> list[Trace]:
    if trace_id is None:
        return reading.traces[-(last or _LAST) :]
    found = [trace for trace in reading.traces if trace.trace_id.startswith(trace_id)]
    if len(found) > 1:
        ids = ", ".join(trace.trace_id[: len(trace_id) + 4] for trace in found[:4])
        raise UsageError(f"{trace_id} is the beginning of {len(found)} traces ({ids}): give more digits")
    return found


def _say_nothing_found(places: list[Path], reading: Reading, trace_id: str | None) -> None:
    where = ", ".join(map(str, places))
    if trace_id is not None and reading.traces:
        newest = ", ".join(trace.trace_id[:8] for trace in reading.traces[-4:])
        print(f"spanloom: no trace {trace_id} in {where}; the newest are {newest}", file=sys.stderr)
    else:
        print(f"spanloom: no traces in {where} ({_format.several(len(reading.files), 'file')})", file=sys.stderr)


show_command = Command("Print the recorded traces as trees, with duration, tokens and money.", _configure, _run)
