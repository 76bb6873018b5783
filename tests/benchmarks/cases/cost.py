"""What the cost of a call costs: the finisher on a finished chat, without and with the metric's own price."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks.cases import OFF, OURS, Case

if TYPE_CHECKING:
    from tests.benchmarks._telemetry import Bench


class Usage:
    input_tokens = 1000
    output_tokens = 500
    cache_read_input_tokens = 100
    cache_write_input_tokens = None
    reasoning_output_tokens = 50
    web_searches = None
    storage_searches = None
    audio_input_tokens = None
    audio_output_tokens = None
    image_output_tokens = None


class Call:
    """A finished call as the core hands it over."""

    operation = "chat"
    provider = "openai"
    request_model = "gpt-4o-mini"
    response_model = "gpt-4o-mini-2024-07-18"
    server_address = "api.openai.com"
    usage = Usage()
    cache_hit = False
    reported_cost_usd = None

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.metric_attributes: dict[str, Any] = {f"attribute.{number}": f"value {number}" for number in range(6)}

    def add_cost(self, usd: float) -> None:
        pass

    def add_unpriced(self) -> None:
        pass


def finisher(bench: Bench) -> Callable[[], Any]:
    from opentelemetry.metrics import NoOpMeterProvider

    from spanloom.cost import CostFinisher

    finish, call = CostFinisher(NoOpMeterProvider()), Call()
    return lambda: finish(call)


def finisher_with_metric(bench: Bench) -> Callable[[], Any]:
    from spanloom.cost import CostFinisher

    finish, call = CostFinisher(bench.meter_provider), Call()
    return lambda: finish(call)


CASES = (
    Case("cost finisher", "one call priced, no metrics", "sdk", finisher, (OURS,), (OFF,), spans=0),
    Case("cost finisher + metric", "the same with an SDK meter", "sdk", finisher_with_metric, (OURS,), (OFF,), spans=0),
)
