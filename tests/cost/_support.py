"""Finished and pending calls as the core hands them over, and a meter of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from spanloom.semconv import GenAI


@dataclass
class Usage:
    input_tokens: int | None = 1000
    output_tokens: int | None = 500
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int | None = None
    storage_searches: int | None = None


@dataclass
class Call:
    """A finished call (and a pending one) as the core hands it over."""

    operation: str | None = "chat"
    provider: str | None = "openai"
    request_model: str | None = "gpt-4o-mini"
    response_model: str | None = "gpt-4o-mini-2024-07-18"
    server_address: str | None = None
    usage: Usage | None = field(default_factory=Usage)
    cache_hit: bool = False
    reported_cost_usd: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    metric_attributes: dict[str, Any] = field(default_factory=lambda: {GenAI.OPERATION_NAME: "chat"})
    carried: Mapping[str, Any] = field(default_factory=dict)
    costs: list[float] = field(default_factory=list)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    unpriced: int = 0

    def add_cost(self, usd: float) -> None:
        self.costs.append(usd)

    def add_unpriced(self) -> None:
        self.unpriced += 1

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        self.events.append((name, attributes))


class Meter:
    """A real SDK meter provider, and what was recorded through it."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def points(self, name: str) -> list[Any]:
        """All points of a metric."""
        data = self.reader.get_metrics_data()
        metrics = [m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def values(self, name: str) -> dict[tuple[Any, ...], float]:
        """The points of a counter or gauge by the values of their attributes, in the order of the names."""
        return {tuple(value for _, value in sorted(one.attributes.items())): one.value for one in self.points(name)}
