"""Everything that a section shows to the application and to the model, to be compared with and without the plugin."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import dspy

from tests.dspy.sections._stage import Section, Stage

OURS = "/instrumentors/spanloom/"
# What a clock, an address in memory, a free port or random bytes decide.
_VOLATILE = ("created", "uuid", "timestamp", "predict_id", "total_wall_clock_time", "response_id")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}|127\.0\.0\.1:\d+|\d{4}-\d\d-\d\dT[\d:.]+")


def shot(section: Section, stage: Stage) -> dict[str, Any]:
    """Run it as if for the first time, and tell what can be seen of it."""
    stage.reset()
    for old in stage.folder.iterdir():
        old.unlink()
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, logged() as records, redirect_stdout(printed):
        warnings.simplefilter("always")
        outcome = _outcome(section, stage)
    rows = {
        "outcome": outcome,
        "prompts": [_prompt(entry) for entry in dspy.clients.base_lm.GLOBAL_HISTORY],
        "requests": [
            (one.endpoint, one.status, one.raw_digest, one.traceparent) for one in stage.server.ledger.entries
        ],
        "cache keys": sorted(dspy.cache.memory_cache),
        "log": records,
        "printed": [one for one in _ADDRESS.sub("<>", printed.getvalue()).splitlines() if "%|" not in one],
        "warnings": [
            (one.category.__name__, str(one.message), one.filename, one.lineno) for one in warned if _counts(one)
        ],
        "billed": stage.tokens,
    }
    free = ("prompts", "requests", "log", "printed", "warnings") if section.any_order else ()
    return {name: sorted(row, key=repr) if name in free else row for name, row in rows.items()}


def _counts(warned: warnings.WarningMessage) -> bool:
    """Not what LiteLLM and others say once in a process, or of their own connections, whoever is there to hear it."""
    in_library = "site-packages" in warned.filename and "/dspy/" not in warned.filename
    return not in_library and warned.category is not ResourceWarning


@contextmanager
def logged() -> Iterator[list[str]]:
    """What DSPy logs meanwhile, tracebacks included."""
    records: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            failed = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else ""
            records.append(_ADDRESS.sub("<>", f"{record.name} {record.levelname} {record.getMessage()} {failed}"))

    handler, logger = Handler(), logging.getLogger("dspy")
    level, handlers, logger.handlers = logger.level, logger.handlers, [handler]
    logger.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logger.handlers = handlers
        logger.setLevel(level)


def _outcome(section: Section, stage: Stage) -> Any:
    try:
        result = section.run(stage)
    except BaseException as error:
        assert section.fails, section.name
        return _raised(error)
    return plain(result, stage.folder)


def _raised(error: BaseException | None) -> Any:
    if error is None:
        return None
    kind = type(error)
    told = [f"{kind.__module__}.{kind.__qualname__}", str(error), repr(error.args), error.__suppress_context__]
    frames = [one for one in traceback.extract_tb(error.__traceback__) if OURS not in one.filename]
    where = [f"{one.filename}:{one.lineno} {one.name}" for one in frames]
    return [*told, sorted(vars(error)), where, _raised(error.__cause__), _raised(error.__context__)]


def plain(value: Any, folder: Path) -> Any:
    """A result as data: predictions by their fields, programs as they are saved."""
    if isinstance(value, dspy.Module):
        path = folder / "program.json"
        if path.exists():
            return ["candidate", repr(value.dump_state())]
        value.save(path)
        found = {name: vars(value)[name] for name in _TOLD if name in vars(value)}
        return ["program", path.read_text(), plain(found, folder)]
    if isinstance(value, BaseException):
        return _raised(value)
    if isinstance(value, (dspy.Prediction, dspy.Example)):
        return [
            type(value).__name__,
            plain(dict(value), folder),
            str(value.get_lm_usage()) if hasattr(value, "get_lm_usage") else None,
        ]
    if isinstance(value, dict):
        return {str(name): plain(one, folder) for name, one in value.items() if name not in _VOLATILE}
    if isinstance(value, (list, tuple, set)):
        return [type(value).__name__, *(plain(one, folder) for one in value)]
    if hasattr(value, "model_dump"):
        return [type(value).__name__, plain(value.model_dump(), folder)]
    if hasattr(value, "__dict__") and type(value).__module__.partition(".")[0] in ("dspy", "gepa"):
        return [type(value).__name__, plain(vars(value), folder)]
    return _ADDRESS.sub("<>", repr(value))


_TOLD = (
    "candidate_programs",
    "trial_logs",
    "score",
    "detailed_results",
    "winning_program_idx",
    "results_best",
    "total_calls",
)


def _prompt(entry: dict[str, Any]) -> str:
    kept = {name: value for name, value in entry.items() if name not in (*_VOLATILE, "response")}
    return _ADDRESS.sub("<>", json.dumps(kept, default=repr, sort_keys=True))
