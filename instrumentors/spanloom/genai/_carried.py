"""What a context says of every span that starts in it: ``spanloom.trace.context``, and the baggage that is let in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel

from spanloom import semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

Attributes = Mapping[str, "AttributeValue"]

# What one layer may hold of names that others choose (tags, baggage), and one text.
MAX_ROWS: Final = 32
MAX_CHARS: Final = 1024

_KEY = otel.create_key("spanloom-attributes")
_NOTHING: Final[Attributes] = MappingProxyType({})


class Layer:
    """One block of ``spanloom.trace.context``: what it says, together with the blocks around it."""

    __slots__ = ("attributes", "is_over", "outer")

    def __init__(self, attributes: Attributes, outer: Layer | None) -> None:
        self.attributes = attributes
        self.outer = outer
        # True for one that could not be taken out of the context where it was put.
        self.is_over = False


def layer_of(context: Context) -> Layer | None:
    """The innermost layer that holds here."""
    layer: Any = context.get(_KEY)
    while layer is not None and layer.is_over:
        layer = layer.outer
    return layer


def with_layer(layer: Layer, context: Context) -> Context:
    """The same context inside this layer."""
    return otel.set_value(_KEY, layer, context)


def context_attributes(context: Context | None = None) -> Attributes:
    """What this context (by default the current one) says of the spans that start in it; shared, not to be changed.

    The values of ``spanloom.trace.context`` come before those of baggage, of which there is what ``SPANLOOM_BAGGAGE``
    lets in.
    """
    here = otel.get_current() if context is None else context
    # Every span asks: where nothing is set these are its only steps.
    layer: Any = here.get(_KEY)
    if layer is not None and layer.is_over:
        layer = layer_of(here)
    told: Attributes = _NOTHING if layer is None else layer.attributes
    return told if _from_baggage is None else _from_baggage(here, told)


def _at_first_use(context: Context, told: Attributes) -> Attributes:
    configure()
    return told if _from_baggage is None else _from_baggage(context, told)


_from_baggage: Callable[[Context, Attributes], Attributes] | None = _at_first_use


def configure() -> None:
    """Read ``SPANLOOM_BAGGAGE``; done once, when the first span asks."""
    global _from_baggage
    allowed = semconv.names_of("SPANLOOM_BAGGAGE")
    if allowed:
        from spanloom.genai._baggage import reader  # nobody else needs it

        _from_baggage = reader(allowed)
    else:
        _from_baggage = None


def bounded(text: str) -> str:
    """The text as every exporter can encode it, its first 1,024 characters."""
    text = str.__str__(text[:MAX_CHARS])
    return text if text.isascii() else text.encode(errors="replace").decode()
