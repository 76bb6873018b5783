"""Redaction: secrets leave every value before anything is exported or recorded, personal data on demand.

``from_settings()`` makes the redactor that the environment asks for, ``load()`` that of a rule file; see
docs/redaction.md. ``PII`` names the kinds of personal data that can be switched on.
"""

from __future__ import annotations

from spanloom.redaction._load import from_settings, load
from spanloom.redaction._redactor import FAILED, Redactor
from spanloom.redaction._rules import KINDS as PII

__all__ = ["FAILED", "PII", "Redactor", "from_settings", "load"]
