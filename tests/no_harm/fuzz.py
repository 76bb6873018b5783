"""The fuzzer: calls whose answers and arguments are changed at random, without us and with us.

No exception may reach the caller that the bare SDK would not raise, and no span may be lost. ``make fuzz`` shoots
100,000 times and says how far it is; a shot that fails is saved, with the command that shoots it again.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from spanloom.genai import _guard
from spanloom.openai import OpenAIInstrumentor
from spanloom.semconv import GenAI
from tests.no_harm._compare import CONTENT
from tests.no_harm._range import Ledger, Outcome, Range, below
from tests.no_harm._shots import Shot, make

MODES = ("SPAN_ONLY", "NO_CONTENT", "SPAN_AND_EVENT", "EVENT_ONLY")
VOLLEY = 250
# What one process does before it says so.
SLICE = 8 * VOLLEY
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_JSON = (GenAI.INPUT_MESSAGES, GenAI.OUTPUT_MESSAGES, GenAI.SYSTEM_INSTRUCTIONS, GenAI.TOOL_DEFINITIONS)


class Fired(NamedTuple):
    """What came of a shot."""

    seen: Outcome
    requests: int
    hostile: bool


class Gallery:
    """Shoots volleys: first all of them bare, then all of them with the plugin, so that switching costs little."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._range = Range()
        self._ledger = Ledger()
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(self._ledger)
        self._meters = MeterProvider(shutdown_on_exit=False)
        self._loggers = LoggerProvider(shutdown_on_exit=False)
        logging.getLogger("spanloom").addHandler(self._ledger)

    def close(self) -> None:
        """Take everything down."""
        logging.getLogger("spanloom").removeHandler(self._ledger)
        self._range.close()
        for provider in (self._tracers, self._meters, self._loggers):
            provider.shutdown()

    def volley(self, numbers: Iterable[int], mode: str, without: frozenset[int] = frozenset()) -> dict[int, list[str]]:
        """What is wrong with which shot."""
        every = list(numbers)
        bare = {number: self._fire(number, without) for number in every}
        gc.collect()
        self._ledger.clear()
        os.environ[CONTENT] = mode
        plugin = OpenAIInstrumentor()
        plugin.instrument(tracer_provider=self._tracers, meter_provider=self._meters, logger_provider=self._loggers)
        try:
            ours = {number: self._fire(number, without) for number in every}
        finally:
            plugin.uninstrument()
            del os.environ[CONTENT]
        self._wait_for(number for number in every if ours[number].requests)
        found = {number: self._judge(number, bare[number], ours[number]) for number in every}
        return {number: problems for number, problems in found.items() if problems}

    def _fire(self, number: int, without: frozenset[int]) -> Fired:
        self._ledger.number = number
        # Made anew: an iterator among the arguments can be read once.
        shot = make(self._seed, number, without)
        token = below(number)
        _guard.RERAISE = not shot.hostile
        _guard._last_logged.clear()
        try:
            seen = [_ADDRESS.sub("0x", one) for one in self._range.fire(shot)]
        finally:
            context.detach(token)
        return Fired(seen, self._range.requests, shot.hostile)

    def _wait_for(self, numbers: Iterable[int]) -> None:
        """A stream that is nobody's any more is ended by the garbage collector, in another thread."""
        every = list(numbers)
        deadline = time.monotonic() + 0.5
        while any(number not in self._ledger.spans for number in every) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)

    def _judge(self, number: int, bare: Fired, ours: Fired) -> list[str]:
        found = [] if ours.seen == bare.seen else [_difference(bare.seen, ours.seen)]
        if ours.requests != bare.requests:
            found.append(f"{bare.requests} requests became {ours.requests}")
        spans = self._ledger.spans.get(number, [])
        # What the SDK refuses before it sends anything may have a span or none.
        if len(spans) != 1 and (spans or ours.requests):
            found.append(f"{len(spans)} spans: {[span.name for span in spans]}")
        found += [one for span in spans for one in unfit(span)]
        said = self._ledger.complaints.get(number, [])
        return found + ([] if ours.hostile else [f"logged: {one}" for one in said])


def _difference(bare: Outcome, ours: Outcome) -> str:
    for one, other in zip(bare, ours, strict=False):
        if one != other:
            return f"bare: {one[:600]}\nours: {other[:600]}"
    return f"bare went on: {bare[len(ours) :]!r:.600}\nours went on: {ours[len(bare) :]!r:.600}"


def unfit(span: ReadableSpan) -> list[str]:
    """What no exporter can send, or nobody can read: one such attribute costs a whole batch."""
    found: list[str] = []
    for name, value in (span.attributes or {}).items():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str) and not _is_text(one):
                found.append(f"{name} is no Unicode: {one[:80]!r}")
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                found.append(f"{name} is too large: {one}")
        if name in _JSON and not _is_json(value):
            found.append(f"{name} is no JSON: {value!r:.200}")
    if not _is_text(f"{span.name} {span.status.description}"):
        found.append(f"name or status is no Unicode: {span.name!r}")
    return found


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _is_json(value: Any) -> bool:
    try:
        return isinstance(json.loads(value, parse_constant=_refuse), list)
    except (TypeError, ValueError):
        return False


def smallest(gallery: Gallery, seed: int, number: int, mode: str) -> tuple[Shot, list[str]]:
    """The shot with as few of its changes as still show the fault."""
    without: frozenset[int] = frozenset()
    problems = gallery.volley([number], mode).get(number, [])
    for place in range(6):
        fewer = without | {place}
        still = gallery.volley([number], mode, fewer).get(number)
        if still:
            without, problems = fewer, still
    return make(seed, number, without), problems


@contextmanager
def strictly():
    """Faults of ours raise (but where the application's objects are hostile), and warnings are not shown."""
    before, _guard.RERAISE = _guard.RERAISE, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _guard.RERAISE = before


def shoot(seed: int, count: int, start: int = 0, enough: int = 20) -> dict[int, list[str]]:
    """Shoot so many times; stop when ``enough`` shots have failed. Content modes take turns."""
    found: dict[int, list[str]] = {}
    with strictly():
        gallery = Gallery(seed)
        for first in range(start, start + count, VOLLEY):
            numbers = range(first, min(first + VOLLEY, start + count))
            found |= gallery.volley(numbers, mode_of(first))
            if len(found) >= enough:
                break
        gallery.close()
    return found


def mode_of(number: int) -> str:
    """The content mode of a shot's volley."""
    return MODES[number // VOLLEY % len(MODES)]


def report(seed: int, number: int, folder: Path) -> str:
    """Save a failing shot, and say how to shoot it again."""
    with strictly():
        gallery = Gallery(seed)
        shot, problems = smallest(gallery, seed, number, mode_of(number))
        gallery.close()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{number}.json"
    saved = {"seed": seed, "number": number, "mode": mode_of(number), "problems": problems, "shot": _plain(shot)}
    path.write_text(json.dumps(saved, indent=1, default=repr))
    again = f"{Path(sys.executable).name} -m tests.no_harm.fuzz --seed {seed} --only {number}"
    text = "\n  ".join(problems or ["it does not fail alone"])
    called = f"{shot.gun.path}.{shot.gun.method}, {shot.gun.taken}, {shot.changes}"
    return f"shot {number} ({called}):\n  {text}\n  again: {again}\n  saved: {path}"


def _plain(shot: Shot) -> dict[str, Any]:
    gun = shot.gun
    return {
        **vars(shot),
        "gun": f"{gun.path}.{gun.method}, {gun.taken}",
        "body": [one.decode("latin-1") for one in shot.body],
    }


def _slice(seed: int, start: int, count: int) -> dict[int, list[str]]:
    gc.freeze()
    return shoot(seed, count, start)


def run(seed: int, start: int, count: int, jobs: int, enough: int) -> dict[int, list[str]]:
    """Shoot in several processes, and say how far it is."""
    found: dict[int, list[str]] = {}
    begun, done = time.monotonic(), 0
    starts = range(start, start + count, SLICE)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_slice, seed, one, min(SLICE, start + count - one)) for one in starts]
        for future in as_completed(futures):
            fresh = future.result()
            for number, problems in sorted(fresh.items()):
                print(f"shot {number}: {problems[0]:.300}", flush=True)
            found |= fresh
            done = min(done + SLICE, count)
            rate = done / (time.monotonic() - begun)
            print(f"{done:>7} of {count} shots, {len(found)} failed, {rate:.0f}/s", flush=True)
            if len(found) >= enough:
                pool.shutdown(cancel_futures=True)
                break
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--enough", type=int, default=20, help="stop after so many failing shots")
    parser.add_argument("--only", type=int, help="shoot this one alone, with as few changes as show the fault")
    parser.add_argument("--save", type=Path, default=Path(".spanloom") / "fuzz", help="where failing shots go")
    given = parser.parse_args()
    if given.only is not None:
        print(report(given.seed, given.only, given.save))
        return 0
    begun = time.monotonic()
    found = run(given.seed, given.start, given.count, given.jobs, given.enough)
    for number in sorted(found)[: given.enough]:
        print(report(given.seed, number, given.save))
    failed = f"{len(found)} shots" if found else "no shot"
    print(f"seed {given.seed}: {failed} failed in {time.monotonic() - begun:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
