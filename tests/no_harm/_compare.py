"""A case, run bare and with the plugin (content off, and on), and what the plugin's spans must say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from spanloom.openai import OpenAIInstrumentor
from spanloom.semconv import Error, GenAI, Spanloom
from tests._support.spans import Recorder
from tests.no_harm._answers import SECRET, WORDS
from tests.no_harm._describe import differing
from tests.no_harm._stage import Observed, Program, observe
from tests.no_harm._wire import Script, Wire

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
MODES = {"off": "NO_CONTENT", "on": "SPAN_AND_EVENT"}


@dataclass(frozen=True)
class Told:
    """What one span must say: its operation (None: another endpoint), and how the call ended.

    ``error`` is the name of the exception that the application got ("raised"; "raised, if at all" where it depends on
    the SDK's version whether there is one), or an error type of the answer.
    """

    operation: str | None = "chat"
    error: str | None = None
    end: str | None = None
    # Words of the answer that a span with content has (all of them), and words that it cannot have.
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One way to use the SDK, against one way to answer."""

    name: str
    program: Program
    scripts: tuple[Script, ...]
    told: tuple[Told, ...] = (Told(),)
    flavours: tuple[str, ...] = ("sync", "async")
    # Spans at the points that the program names, where it is not all of them.
    at: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    # Several requests at once: their order at the server is anybody's.
    at_once: bool = False
    # The SDK refuses before it sends anything: a span may be there or not.
    optional: bool = False


@contextmanager
def instrumented(recorder: Recorder):
    """The plugin over this recorder."""
    plugin = OpenAIInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        yield plugin
    finally:
        plugin.uninstrument()


def ours(
    wire: Wire,
    case: Case,
    flavour: str,
    mode: str,
    setenv: Callable[[str, str], None],
    sampler: Sampler = ALWAYS_ON,
) -> tuple[Observed, Recorder]:
    """The case with us."""
    for name, value in {CONTENT: MODES[mode], **case.environment}.items():
        setenv(name, value)
    recorder = Recorder(sampler)
    with instrumented(recorder):
        seen = observe(wire, case.scripts, case.program, flavour, lambda: len(recorder.spans))
        if sampler is ALWAYS_ON and any(told.end == "dropped" for told in case.told):
            _wait_for(len(case.told), recorder)
    return seen, recorder


def differences(bare: Observed, seen: Observed, at_once: bool = False) -> list[str]:
    """Where the run with us is not the run without us; empty where it is."""
    if at_once:
        bare.server.sort(key=repr)
        seen.server.sort(key=repr)
    names = ("application", "server", "notices")
    return [one for name in names for one in differing(getattr(bare, name), getattr(seen, name), name)]


def _wait_for(count: int, recorder: Recorder) -> None:
    # What the garbage collector ends is ended in another thread.
    deadline = time.monotonic() + 0.5
    while len(recorder.spans) < count and time.monotonic() < deadline:
        time.sleep(0.002)


def untrue(case: Case, bare: Observed, seen: Observed, recorder: Recorder, mode: str) -> list[str]:
    """What the spans say that is not so: there is one a call, when it ends, with the truth."""
    said = [summary(span) for span in recorder.spans]
    if case.optional and not said:
        return []
    found = list(differing([_wanted(told, bare) for told in case.told], said, "span"))
    wanted = {label: case.at.get(label, len(case.told)) for label in seen.checkpoints}
    found += differing(wanted, seen.checkpoints, "spans at this point of the program")
    for told, span in zip(case.told, recorder.spans, strict=False):
        text = span.attributes.get(GenAI.OUTPUT_MESSAGES, "")
        kept, missing = (told.kept, told.missing) if mode == "on" else ((), WORDS)
        found += [f"{word!r} is not in the output" for word in kept if word.strip() not in text]
        found += [f"{word!r} is in the output" for word in missing if word.strip() in text]
    return found


def problems(wire: Wire, case: Case, flavour: str, setenv: Callable[[str, str], None]) -> list[str]:
    """Everything that is wrong with the plugin in this case, content off and on."""
    bare = observe(wire, case.scripts, case.program, flavour)
    found: list[str] = []
    for mode in MODES:
        seen, recorder = ours(wire, case, flavour, mode, setenv)
        found += [f"HARM, content {mode}: {one}" for one in differences(bare, seen, case.at_once)]
        found += [f"UNTRUE, content {mode}: {one}" for one in untrue(case, bare, seen, recorder, mode)]
        found += [f"LEAK, content {mode}: {one}" for one in leaks(recorder)]
        recorder.close()
    return found


def summary(span: ReadableSpan) -> dict[str, Any]:
    """What is checked of every span."""
    return {
        "operation": span.attributes.get(GenAI.OPERATION_NAME),
        "status": span.status.status_code.name,
        "error": str(span.attributes.get(Error.TYPE, "")).rpartition(".")[2] or None,
        "end": span.attributes.get(Spanloom.STREAM_END),
        "kind": span.kind.name,
    }


def _wanted(told: Told, bare: Observed) -> dict[str, Any]:
    error = told.error
    if error == "raised":
        assert bare.raised is not None
    if error in ("raised", "raised, if at all"):
        error = type(bare.raised).__name__ if bare.raised else None
    return {
        "operation": told.operation,
        "status": "ERROR" if error else "UNSET",
        "error": error,
        "end": told.end,
        "kind": "CLIENT",
    }


def leaks(recorder: Recorder, secret: str = SECRET) -> list[str]:
    """Where an exported span, metric or event has a secret."""
    said = [f"span {span.name}, {name}: {value!r}" for span in recorder.spans for name, value in _parts(span)]
    said += [f"metric {metric!r}" for metric in recorder.metrics().values()]
    records = [one.log_record for one in recorder.events]
    said += [f"event {one.event_name}, {one.body!r} {dict(one.attributes or {})!r}" for one in records]
    return [_around(one, secret) for one in said if secret in one]


def _parts(span: ReadableSpan) -> Iterator[tuple[str, Any]]:
    yield "status", span.status.description
    yield from (span.attributes or {}).items()
    for event in span.events:
        for name, value in (event.attributes or {}).items():
            yield f"event {event.name}, {name}", value


def _around(text: str, secret: str) -> str:
    place = text.index(secret)
    return f"{text[:80]} ... {text[max(0, place - 120) : place + len(secret) + 40]}"
