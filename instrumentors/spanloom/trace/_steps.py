"""A generator function each of whose steps runs in a context of its own; its reader keeps his."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel

from spanloom.genai._carried import Layer, layer_of
from spanloom.genai._generators import Steps, async_generator_function, generator_function

if TYPE_CHECKING:
    from opentelemetry.context import Context


def around_steps(function: Callable[..., Any], inside: Callable[[], Context]) -> Callable[..., Any]:
    """The same function; ``inside`` gives the context of its steps, at the first of them."""
    make = async_generator_function if inspect.isasyncgenfunction(function) else generator_function

    def start(*args: Any, **kwargs: Any) -> tuple[Steps, Callable[[], Any]]:
        return _Steps(inside()), functools.partial(function, *args, **kwargs)

    return make(start)


class _Steps(Steps):
    """Of no invocation."""

    __slots__ = ("_layer",)

    def __init__(self, context: Context) -> None:
        super().__init__(None)
        self._context = context
        self._layer = layer_of(context)

    def _is_elsewhere(self) -> bool:
        layer: Layer | None = layer_of(otel.get_current())
        while layer is not None and layer is not self._layer:
            layer = layer.outer
        return layer is None
