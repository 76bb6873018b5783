"""What is common to everything here that looks at calls."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from spanloom.semconv import Operation

# Operations that are billed by their own usage. Agents and workflows only carry the sum of what is below them.
OPERATIONS: Final = frozenset(
    {Operation.CHAT, Operation.TEXT_COMPLETION, Operation.GENERATE_CONTENT, Operation.EMBEDDINGS}
)


def own_version() -> str:
    """The version of our instrumentation scopes."""
    try:
        return version("spanloom")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
