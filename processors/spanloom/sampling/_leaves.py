"""Spans that are never kept, whoever asks for them: of no use to anybody, and nothing below them is, either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spanloom.genai import hooks
from spanloom.sampling._rules import HEALTH, HTTP_UNDER_INFERENCE
from spanloom.semconv import HTTPServer

HEALTH_PATHS: Final = frozenset(("/health", "/healthz", "/livez", "/readyz", "/ping", "/metrics"))
_PATHS: Final = (HTTPServer.ROUTE, HTTPServer.URL_PATH, HTTPServer.TARGET_OLD)
# An enum's members are looked up slowly.
_SERVER: Final = SpanKind.SERVER
_CLIENT: Final = SpanKind.CLIENT


class Leaves:
    """The leaves that a rule file names."""

    def __init__(self, names: frozenset[str]) -> None:
        self._health = HEALTH in names
        self._http = HTTP_UNDER_INFERENCE in names

    def has(self, context: Context, kind: SpanKind | None, attributes: Mapping[str, Any]) -> bool:
        """Whether a span that starts in this context is one of them."""
        if self._health and kind is _SERVER:
            return any(_is_health_path(attributes.get(key)) for key in _PATHS)
        if self._http and kind is _CLIENT:
            is_http = HTTPServer.METHOD in attributes or HTTPServer.METHOD_OLD in attributes
            # Only where the model call keeps our trace context back: the server below would be told "not sampled".
            return is_http and hooks.blocks_propagation(context)
        return False


def _is_health_path(value: object) -> bool:
    return isinstance(value, str) and value.partition("?")[0].rstrip("/") in HEALTH_PATHS
