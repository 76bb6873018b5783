"""Every end of every stream: the application sees what it sees without us, and the span tells the truth."""

from __future__ import annotations

import pytest

from tests.no_harm import _ends
from tests.no_harm._compare import problems

PAIRS = [pytest.param(case, flavour, id=f"{case.name}, {flavour}") for case in _ends.CASES for flavour in case.flavours]


@pytest.mark.parametrize(("case", "flavour"), PAIRS)
def test_a_stream_ends(case, flavour, wire, monkeypatch):
    """The same bytes, chunks, exceptions, warnings and connections; one span that says how it ended; no secret."""
    assert problems(wire, case, flavour, monkeypatch.setenv) == []
