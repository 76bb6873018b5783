"""SIGTERM ends a Python process without its exit handlers, and the last batch with it: flush first, then die of it.

Only where nobody else handles the signal, only in the main thread, bounded in time; ``SPANLOOM_FLUSH_ON_SIGTERM=off``
leaves the signal alone. Servers that handle it themselves (uvicorn) put our handler back and raise the signal again.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from opentelemetry import _logs, metrics, trace

from spanloom import semconv
from spanloom.genai import hooks

FLUSH_S = 5.0


def flush_on_sigterm() -> None:
    """Install the handler where that is ours to do."""
    if not semconv.flag("SPANLOOM_FLUSH_ON_SIGTERM"):
        return
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    del frame
    # In a thread: the interrupted code may hold a lock that flushing needs, and the wait must end all the same.
    flushing = threading.Thread(target=shut_down_providers, name="spanloom-flush", daemon=True)
    flushing.start()
    flushing.join(FLUSH_S)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def shut_down_providers() -> None:
    """Flush and close all three signals at once, each for itself: a dead endpoint of one must not cost the others."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    closers = [getattr(provider, "shutdown", None) for provider in providers]
    threads = [threading.Thread(target=_shut_down, args=(close,), daemon=True) for close in closers if callable(close)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(FLUSH_S)


def _shut_down(close: object) -> None:
    with hooks.guard("distro.shutdown"):
        if callable(close):
            close()
