"""A slice of the fuzzer for every change; ``make fuzz`` shoots a hundred times as often."""

from __future__ import annotations

import pytest
from openai.resources.chat.completions import Completions

from tests.no_harm import _range, fuzz
from tests.no_harm._range import Range
from tests.no_harm._shots import GUNS, Shot, make

SLICE = 1000


def test_a_thousand_shots():
    """No answer, however odd, changes what the application sees, loses a span, or spoils an export."""
    found = fuzz.shoot(seed=1, count=SLICE, enough=5)
    assert found == {}


def test_a_shot_is_the_same_every_time():
    """What fails can be shot again."""
    first, second = ([fuzz._ADDRESS.sub("", repr(make(7, number))) for number in range(200)] for _ in range(2))
    assert first == second


def test_sensible_answers_are_read(monkeypatch):
    """Without changes, no call of the table fails: the fuzzer shoots at code that runs."""
    gallery = Range()
    for gun in GUNS:
        kind = "text/event-stream" if gun.streams else "application/json"
        without = frozenset(range(6))
        whole = next(
            one for one in (make(1, n, without) for n in range(3000)) if one.gun is gun and not one.asynchronous
        )
        shot = Shot(gun, False, gun.arguments, 200, [("content-type", kind)], whole.body, "fine", ())
        seen = gallery.fire(shot)
        assert not [one for one in seen if one.startswith("raised")], gun
    gallery.close()


@pytest.mark.parametrize("fault", ["raises", "changes", "loses", "spoils"])
def test_the_fuzzer_sees_faults(fault, monkeypatch):
    """An instrumentor with a fault is found out: the fuzzer can fail."""
    if fault == "raises":
        monkeypatch.setattr(fuzz.OpenAIInstrumentor, "instrument", lambda self, **_: _breaking(monkeypatch))
        monkeypatch.setattr(fuzz.OpenAIInstrumentor, "uninstrument", lambda self: monkeypatch.undo())
    elif fault == "changes":
        said = _range._said
        calls = iter(range(10**9))
        monkeypatch.setattr(_range, "_said", lambda value: f"{said(value)} {next(calls) // 40}")
    elif fault == "loses":
        monkeypatch.setattr(_range.Ledger, "on_end", lambda self, span: None)
    else:
        on_end = _range.Ledger.on_end
        monkeypatch.setattr(_range.Ledger, "on_end", lambda self, span: on_end(self, _spoilt(span)))
    assert fuzz.shoot(seed=1, count=40, enough=1) != {}


def _breaking(monkeypatch):
    monkeypatch.setattr(Completions, "create", lambda self, **_: 1 // 0)


def _spoilt(span):
    span._attributes = {"gen_ai.response.id": "\ud800"}
    return span
