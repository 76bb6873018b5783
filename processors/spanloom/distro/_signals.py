"""SIGTERM ends a Python process without its exit handlers, and the last batch with it: flush first, then die of it.

Only where nobody else handles the signal, only in the main thread, bounded in time; ``SPANLOOM_FLUSH_ON_SIGTERM=off``
leaves the signal alone. Servers that handle it themselves (uvicorn) put our handler back and raise the signal again.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType

import wrapt
from opentelemetry import _logs, metrics, trace

from spanloom import semconv
from spanloom.genai import hooks

FLUSH_S = 5.0
_INIT = 1


def flush_on_sigterm() -> None:
    """Install the handler where that is ours to do."""
    if not semconv.flag("SPANLOOM_FLUSH_ON_SIGTERM"):
        return
    if threading.current_thread() is not threading.main_thread():
        return
    # As process 1 (a container without an init) the default action is to ignore the signal: the program goes on, and
    # so must its telemetry.
    if os.getpid() != _INIT and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
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
    hooks.end_open_streams()
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    _at_once([hooks.close_completion_hook, *(getattr(provider, "shutdown", None) for provider in providers)])


def _at_once(steps: Iterable[Callable[[], object] | None]) -> None:
    threads = [threading.Thread(target=_guarded, args=(step,), daemon=True) for step in steps if callable(step)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(FLUSH_S)


def _guarded(step: Callable[[], object]) -> None:
    with hooks.guard("distro.flush"):
        step()


def flush_in_forked_workers() -> None:
    """Workers that multiprocessing forks leave by ``os._exit``, without exit handlers: flush spans and events before.

    No metrics: a forked child carries its parent's counters on, and exporting them again would count them twice.
    """
    wrapt.register_post_import_hook(_watch_forks, "multiprocessing.util")


def _watch_forks(util: ModuleType) -> None:
    with hooks.guard("distro.forks"):
        util.register_after_fork(_watch_forks, _flush_at_exit)


def _flush_at_exit(_: object) -> None:
    with hooks.guard("distro.forks"):
        from multiprocessing.util import Finalize

        Finalize(None, _flush, exitpriority=0)


def _flush() -> None:
    with hooks.guard("distro.forks"):
        hooks.end_open_streams()
        _at_once([_flushing(provider) for provider in (trace.get_tracer_provider(), _logs.get_logger_provider())])


def _flushing(provider: object) -> Callable[[], object] | None:
    flush = getattr(provider, "force_flush", None)
    return functools.partial(flush, int(FLUSH_S * 1000)) if callable(flush) else None
