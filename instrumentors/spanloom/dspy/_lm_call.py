"""The call of an LM, with what is learned of it on the way: attempts, the provider, whether it streams."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Final

from spanloom.genai import Inference, Peer, Telemetry, current, guarded
from spanloom.semconv import GenAI, Spanloom

# What DSPy 3.4 has in the module of its LMs, and 3.3 has not: there, LiteLLM is the only engine.
SEES_CHUNKS: Final = "stream_emitted"
CLOSED, CANCELLED = "closed", "cancelled"
_CANCELLATIONS: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)
# What anyio raises in who sends to a stream that nobody reads any more, or whose event loop has ended.
_UNREAD: Final = ("BrokenResourceError", "ClosedResourceError", "RunFinishedError")
_MAX_CAUSES: Final = 8


class LMCall(Inference):
    """One call of an LM with all its attempts."""

    __slots__ = ("attempts", "failed", "lm", "streams", "usage_is_estimated")

    def __init__(self, telemetry: Telemetry, operation: str, model: str | None, peer: Peer, lm: object) -> None:
        # Of a call inside this call, which another LM makes, some things are not ours.
        self.lm = lm
        self.attempts = 0
        # Whether the last attempt has failed.
        self.failed = True
        self.streams = False
        self.usage_is_estimated = False
        super().__init__(telemetry, operation, model, peer, lm)

    def stream(self) -> None:
        """The answer comes in chunks."""
        self.streams = True
        self.attributes[GenAI.REQUEST_STREAM] = True

    def fail(self, error: BaseException) -> None:
        """End it with this error; where the reader of its stream has left, that is no error of the call."""
        how = left(error) if self.streams else None
        if how is not None:
            self.attributes[Spanloom.STREAM_END] = how
        if how is None or not isinstance(error, Exception):
            super().fail(error)
        else:
            self.stop()


def current_call() -> LMCall | None:
    """The call of an LM for which code runs here."""
    call = current()
    return call if isinstance(call, LMCall) else None


@guarded("dspy.lm.left")
def left(error: BaseException) -> str | None:
    """How the reader of a stream left, where that is what this error says: DSPy wraps what it meets then."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            break
        if isinstance(cause, _CANCELLATIONS):
            return CANCELLED
        kind = type(cause)
        if kind.__name__ in _UNREAD and kind.__module__.partition(".")[0] == "anyio":
            return CLOSED
        cause = cause.__cause__
    return None
