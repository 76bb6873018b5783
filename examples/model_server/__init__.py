"""A local server that speaks the OpenAI protocol, for demos and tests: deterministic answers, and a ledger of them."""

from __future__ import annotations

from ._ledger import Entry, Ledger
from ._server import ModelServer
from ._tokens import Usage, count_tokens

__all__ = ["Entry", "Ledger", "ModelServer", "Usage", "count_tokens"]
