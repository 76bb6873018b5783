"""Rule files (YAML, or JSON): read field by field, every mistake with its line and field. Knows no rule itself."""

from __future__ import annotations

from spanloom.rulefile._read import read, read_text
from spanloom.rulefile._section import RuleFileError, Section

__all__ = ["RuleFileError", "Section", "read", "read_text"]
