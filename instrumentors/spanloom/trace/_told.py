"""What is told of a block from inside it."""

from __future__ import annotations

from typing import Generic, TypeVar

from spanloom.genai import Invocation, guarded
from spanloom.semconv import Error
from spanloom.trace._check import text_or_none

T = TypeVar("T", bound=Invocation)

_MAX_KIND = 64


class Told(Generic[T]):
    """Each method is harmless: after the end, where instrumentation is suppressed, without an SDK, when not sampled."""

    __slots__ = ("_goes_on", "_invocation")

    def __init__(self, invocation: T | None) -> None:
        # ``None`` where somebody else records it, or nobody.
        self._invocation = invocation
        # True for what ends later than its block.
        self._goes_on = False

    def enter_block(self) -> None:
        """``with`` calls it, and the other two."""
        if self._invocation is not None:
            self._invocation.__enter__()

    @guarded("trace.leave")
    def leave_block(self, error: BaseException | None) -> None:
        """The end, unless it goes on. To close a generator early is no failure of what runs in it."""
        one = self._invocation
        if one is None:
            return
        one.leave(error)
        if error is not None and not isinstance(error, GeneratorExit):
            one.fail(error)
        elif error is not None or not self._goes_on:
            one.stop()

    @guarded("trace.fail")
    def fail(self, error: BaseException | str, message: str | None = None) -> None:
        """End it here as failed, by what was reported and not raised.

        ``error`` is an exception, or the conventions' ``error.type``: a short text of few values, such as ``"503"`` or
        ``"timeout"``. ``message`` is content. What is told after it is not recorded; leaving the block is as ever.
        """
        one = self._open()
        if one is None:
            return
        if isinstance(error, BaseException):
            one.fail(error)
        else:
            one.fail_as((text_or_none("fail(error)", error) or Error.OTHER)[:_MAX_KIND], message)

    def _open(self) -> T | None:
        one = self._invocation
        return None if one is None or one.ended else one

    def _recording(self) -> T | None:
        one = self._open()
        return one if one is not None and one.recording else None

    def _with_content(self) -> T | None:
        one = self._open()
        return one if one is not None and one.captures_content else None
