"""What other rooms have registered. Tuples, replaced as a whole: readers need no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spanloom.genai.hooks import Finisher, Gate, Redactor

gates: tuple[Gate, ...] = ()
finishers: tuple[Finisher, ...] = ()
redactor: Redactor | None = None
