"""The suite can fail: instrumentors that do harm, each in the way of one that people use, are found out."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from openai.resources.chat.completions import Completions

from spanloom.openai import OpenAIInstrumentor
from tests.no_harm import _bodies, _calls, _compare, _ends, _failures, _managers, _odd
from tests.no_harm._compare import problems

EVERY = {
    case.name: case
    for case in (*_calls.CASES, *_failures.CASES, *_ends.CASES, *_managers.CASES, *_bodies.CASES, *_odd.CASES)
}


def _calling(change: Any) -> Any:
    """A method around the original that may change its arguments and its result."""

    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def create(self: Any, **given: Any) -> Any:
            return change(functools.partial(original, self), given)

        return create

    return wrap


@_calling
def drained(original: Any, given: Any) -> Any:
    """Messages are listed for the span before the SDK can."""
    list(given["messages"])
    return original(**given)


@_calling
def traced(original: Any, given: Any) -> Any:
    """``traceparent`` goes out."""
    return original(**given, extra_headers={"traceparent": "00-1-1-01"})


@_calling
def marked(original: Any, given: Any) -> Any:
    """The caller's own headers are changed."""
    given["extra_headers"]["traceparent"] = "00-1-1-01"
    return original(**given)


@_calling
def read_ahead(original: Any, given: Any) -> Any:
    """One chunk is taken before the caller wants it."""
    stream = original(**given)
    first, inner = next(stream._iterator), stream._iterator

    def iterator() -> Any:
        yield first
        yield from inner

    stream._iterator = iterator()
    return stream


@_calling
def bare_generator(original: Any, given: Any) -> Any:
    """The stream is no stream any more."""
    return (chunk for chunk in original(**given))


@_calling
def kept_open(original: Any, given: Any) -> Any:
    """Closing a stream does not close the response."""
    stream = original(**given)
    stream.response.close = lambda: None
    return stream


@_calling
def other_exception(original: Any, given: Any) -> Any:
    """The caller gets an exception of the instrumentor's own."""
    try:
        return original(**given)
    except Exception as error:
        raise RuntimeError("instrumented call failed") from error


@_calling
def noted_exception(original: Any, given: Any) -> Any:
    """The exception is the same, and something hangs on it."""
    try:
        return original(**given)
    except Exception as error:
        error.span = 1  # type: ignore[attr-defined]
        raise


@_calling
def twice(original: Any, given: Any) -> Any:
    """The call is made again where it fails."""
    try:
        return original(**given)
    except Exception:
        return original(**given)


@_calling
def annotated(original: Any, given: Any) -> Any:
    """The result has a field more."""
    result = original(**given)
    result.trace_id = "1"
    return result


@_calling
def unseen(original: Any, given: Any) -> Any:
    """No harm, and no span."""
    return original(**given)


FOUND = [
    (drained, "chat_with_a_generator", "HARM"),
    (traced, "chat_plain", "HARM"),
    (marked, "chat_with_everything", "HARM"),
    (read_ahead, "chat: break_and_close", "HARM"),
    (bare_generator, "chat: read_at_full_speed", "HARM"),
    (kept_open, "chat: break_and_close", "HARM"),
    (other_exception, "retried_in_vain", "HARM"),
    (noted_exception, "retried_in_vain", "HARM"),
    (twice, "unauthorised", "HARM"),
    (annotated, "chat_plain", "HARM"),
    (unseen, "chat_plain", "UNTRUE"),
]


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put another instrumentor in the place of ours."""

    def put(wrap: Any) -> None:
        original = Completions.create

        def on(self: Any, **_: Any) -> None:
            Completions.create = wrap(original)

        def off(self: Any) -> None:
            Completions.create = original

        monkeypatch.setattr(OpenAIInstrumentor, "instrument", on)
        monkeypatch.setattr(OpenAIInstrumentor, "uninstrument", off)

    return put


@pytest.mark.parametrize(
    ("wrap", "name", "kind"), FOUND, ids=[one[0].__closure__[0].cell_contents.__name__ for one in FOUND]
)
def test_harm_is_seen(wrap, name, kind, patched, wire, monkeypatch):
    """Each fault turns up in the case that is made for it."""
    monkeypatch.setattr("tests.no_harm._wire.PATIENCE_S", 0.3)
    patched(wrap)
    found = problems(wire, EVERY[name], "sync", monkeypatch.setenv)
    assert [one for one in found if one.startswith(kind)] != []


def test_without_an_instrumentor_nothing_differs(patched, wire, monkeypatch):
    """What is not changed is not reported."""
    patched(lambda original: original)
    found = problems(wire, EVERY["chat: break_and_close"], "sync", monkeypatch.setenv)
    assert [one for one in found if not one.startswith("UNTRUE")] == []


def test_a_secret_is_seen(wire, monkeypatch):
    """A span that has the word that it must not have is found out (here: the model's name, which it has)."""
    monkeypatch.setattr(_compare.leaks, "__defaults__", ("gpt-4o-mini",))
    found = problems(wire, EVERY["chat_plain"], "sync", monkeypatch.setenv)
    assert [one for one in found if one.startswith("LEAK")] != []
