"""What the tests of image, Compose file and chart ask a running Collector, and what they tell it to hurry."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import yaml

from deploy.local import check, otlp
from deploy.local._common import ROOT, fetch

CONFIGURATION = ROOT / "collector_config" / "spanloom.yaml"
# Decide and flush at once: nothing in these tests is about waiting.
HURRY = {
    "SPANLOOM_SAMPLING_DECISION_WAIT": "1s",
    "SPANLOOM_SAMPLING_WAIT_AFTER_ROOT": "0s",
    "SPANLOOM_RED_FLUSH_INTERVAL": "1s",
}
_VARIABLE = re.compile(r"\$\{env:([A-Z_]+):-([^}]*)\}")
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")


def variables() -> dict[str, str]:
    """Every variable that the one configuration reads, with its default."""
    return dict(_VARIABLE.findall(CONFIGURATION.read_text()))


def load(path: Path) -> Any:
    """A YAML file as data."""
    return yaml.safe_load(path.read_text())


def send_failed_request(endpoint: str, service: str) -> str:
    """One trace of two spans, the inner one failed, so that the sampling keeps it; returns the trace id."""
    trace_id = secrets.token_hex(16)
    root = otlp.span("POST /ask", trace_id, kind=2)
    inner = otlp.span("chat gpt-5", trace_id, parent=root, failed=True)
    otlp.send(endpoint, "traces", otlp.traces({"service.name": service}, [root, inner]))
    return trace_id


def send_tokens(endpoint: str, service: str, count: int) -> None:
    """A counter, as a service's SDK sends it."""
    resource = {"service.name": service, "service.instance.id": "one"}
    counted = otlp.counter("spanloom.test.tokens", "{token}", [({"model": "gpt-5"}, count)])
    otlp.send(endpoint, "metrics", otlp.metrics(resource, [counted]))


def healthy(url: str) -> None:
    """Return when this address answers 200."""
    check.eventually(lambda: True if fetch(url, 2.0)[0] == 200 else None, 60, f"healthy answer from {url}")


def metric(url: str, name: str, *labels: str) -> float | None:
    """The sum over the samples at `url`/metrics of this name that have all of these `key="value"` labels."""
    _, body = fetch(f"{url}/metrics")
    samples = [match.groups() for match in map(_SAMPLE.fullmatch, body.decode().splitlines()) if match]
    found = [float(value) for n, had, value in samples if n == name and all(label in (had or "") for label in labels)]
    return sum(found) if found else None


def reaches(url: str, name: str, expected: float, *labels: str) -> None:
    """Return when the metric has this value; fails after half a minute."""
    what = f"{name}{{{', '.join(labels)}}} = {expected:g} at {url}/metrics"
    check.eventually(lambda: True if metric(url, name, *labels) == expected else None, 30, what)
