"""The alert rules: checked, tested with promtool, and fired by what our own metrics become in a real Prometheus."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from deploy.local import _programs, binaries, check
from deploy.local.supervisor import Stack
from spanloom.cost import Budget, MemoryStore
from spanloom.cost._judged import Verdict
from spanloom.cost._ledger import Ledger
from spanloom.cost._meters import Meters
from spanloom.semconv import GenAI, Spanloom, metrics
from tests.cost._support import Call
from tests.deploy._collector import load

TESTS = Path(__file__).with_name("rules_test.yaml")
SERVICE = "shop"
_SERIES = re.compile(r"\(((?:spanloom|gen_ai)_\w+)(?:\{|\[|\)| offset)")
CALL = {GenAI.OPERATION_NAME: "chat", GenAI.PROVIDER_NAME: "openrouter", GenAI.REQUEST_MODEL: "gpt-4o"}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = binaries.ensure("promtool")["promtool"]
    return subprocess.run([str(program), *arguments], capture_output=True, text=True)


def test_the_rules_are_valid():
    """promtool finds nothing to say against them."""
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(_programs.RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_for_what_it_says():
    """The unit tests beside this file; every alert has one."""
    done = promtool("test", "rules", str(TESTS))
    assert done.returncode == 0, done.stdout + done.stderr
    rules = {rule["alert"] for group in load(_programs.RULES)["groups"] for rule in group["rules"]}
    assert {one["alertname"] for test in load(TESTS)["tests"] for one in test["alert_rule_test"]} == rules


def test_a_broken_rule_fails_the_tests(tmp_path):
    """Another limit in the rules is found by the unit tests."""
    (tmp_path / "rules.yaml").write_text(_programs.RULES.read_text().replace(">= 0.8", ">= 0.9"))
    (tmp_path / "tests.yaml").write_text(TESTS.read_text().replace("../../deploy/rules/costs.yaml", "rules.yaml"))
    assert promtool("test", "rules", str(tmp_path / "tests.yaml")).returncode == 1


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[str]:
    """Prometheus with the rules, after a service has spent its budget: the metrics are those of our own code."""
    with Stack.up(state_dir=tmp_path_factory.mktemp("rules"), usual_ports=False) as stack:
        exporter = OTLPMetricExporter(f"{stack.otlp_http_endpoint}/v1/metrics")
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
        provider = MeterProvider([reader], Resource({"service.name": SERVICE, "service.instance.id": "1"}))
        spend(provider)
        provider.force_flush()
        yield stack.prometheus_url
        provider.shutdown()


def spend(provider: MeterProvider) -> None:
    """Calls that reach a budget, one that it refuses, one without a price, one whose price the provider told."""
    ledger, meters = Ledger(provider), Meters(provider)
    ledger.add(Budget("users", 1.0, per="day", by=("user",), action="raise"), MemoryStore())
    call = {**CALL, "user.id": "ada"}
    ledger.count(call, 1.5)
    ledger.count(call, None)
    assert ledger.gate(Call(carried={"user.id": "ada"})) is not None
    meters.record(Verdict("priced", 1.5, 1.5), CALL, "openrouter", "gpt-4o")
    meters.record(Verdict("unknown_usage", None, None), CALL, "openrouter", "gpt-4o")
    meters.record(Verdict("provider", 0.5, 1.0, "provider"), CALL, "openrouter", "gpt-4o")
    spec = metrics.OPERATION_DURATION
    provider.get_meter("test").create_histogram(spec.name, spec.unit).record(1.0, CALL)


def test_every_series_of_the_rules_is_there(prometheus):
    """The names in the rules are what Prometheus makes of our metrics, labels included."""
    rules = [rule["expr"] for group in load(_programs.RULES)["groups"] for rule in group["rules"]]
    names = {name for rule in rules for name in _SERIES.findall(rule)}
    assert len(names) >= 7
    for name in names:
        found = check.eventually(lambda name=name: check.prometheus_query(prometheus, name) or None, 30, name)
        assert {labels["job"] for labels, _ in found} == {SERVICE}
    (drift,) = check.prometheus_query(prometheus, 'spanloom_cost_drift_total{gen_ai_usage_cost_source="local"}')
    assert drift[0].items() >= {"gen_ai_provider_name": "openrouter", "gen_ai_request_model": "gpt-4o"}.items()


def test_a_spent_budget_is_an_alert(prometheus):
    """Prometheus fires it within seconds, with the budget's name and the key."""
    query = 'ALERTS{alertname="BudgetSpent", alertstate="firing"}'
    ((labels, _),) = check.eventually(lambda: check.prometheus_query(prometheus, query) or None, 30, query)
    assert (labels["job"], labels["spanloom_budget_name"], labels["spanloom_budget_key"]) == (SERVICE, "users", "ada")
    assert Spanloom.BUDGET_KEY.replace(".", "_") in labels
