"""What exporters without a buffer of their own answer to a flush."""

from __future__ import annotations


class Unbuffered:
    """An export is over when ``export`` returns."""

    def force_flush(self, timeout_millis: float = 30_000) -> bool:  # noqa: ARG002 (the SDK's signature)
        """Nothing is held back here."""
        return True
