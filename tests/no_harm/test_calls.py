"""Every call that is no stream: the application sees what it sees without us, and there is one true span."""

from __future__ import annotations

import pytest

from tests.no_harm import _bodies, _calls, _endpoints, _failures, _managers, _odd
from tests.no_harm._compare import problems

EVERY = [*_calls.CASES, *_failures.CASES, *_managers.CASES, *_bodies.CASES, *_endpoints.CASES, *_odd.CASES]
PAIRS = [pytest.param(case, flavour, id=f"{case.name}, {flavour}") for case in EVERY for flavour in case.flavours]


@pytest.mark.parametrize(("case", "flavour"), PAIRS)
def test_a_call_ends(case, flavour, wire, monkeypatch):
    """The same bytes, results, exceptions, warnings and arguments; one span that says how it went; no secret."""
    assert problems(wire, case, flavour, monkeypatch.setenv) == []
