"""What other rooms have registered. A tuple, replaced as a whole: readers need no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spanloom.genai.hooks import Finisher

finishers: tuple[Finisher, ...] = ()
