"""``Parallel``, ``batch`` and ``Evaluate`` run in threads of their own: carry the caller's context into them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import context as otel

from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What runs every fan-out of DSPy's."""
    del telemetry, settings
    yield Target("dspy.utils.parallelizer", "ParallelExecutor.execute", wrap_execute)


def wrap_execute(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``ParallelExecutor.execute(function, data)`` so that each item runs in the context of the caller."""

    @functools.wraps(original)
    def execute(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        context = otel.get_current()

        @functools.wraps(function, updated=())
        def carried(*items: Any, **more: Any) -> Any:
            token = otel.attach(context)
            try:
                return function(*items, **more)
            finally:
                otel.detach(token)

        return original(self, carried, *args, **kwargs)

    return execute
