"""The pipeline, the sampler and the tail with the oldest SDK that we support and the newest: the same spans."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from spanloom.pipeline._probe import can_write_at_end
from tests._support.versions import Library
from tests._support.wheel import ROOT
from tests.pipeline._program import SECRET

PROGRAM = "tests.pipeline._program"
# Without opentelemetry-instrumentation: the one of this SDK refuses wrapt 2, and what is asked here does without.
OLDEST = Library(
    "opentelemetry",
    {"oldest": "opentelemetry-sdk==1.40.0"},
    ("importlib-metadata", *(f"opentelemetry-{name}" for name in ("sdk", "api", "semantic-conventions"))),
    ("wrapt",),
)


def newest():
    """With the SDK that is installed here."""
    done = subprocess.run([sys.executable, "-m", PROGRAM], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=["oldest", "newest"])
def run(request):
    """What one version's program prints."""
    return request.param, newest() if request.param == "newest" else OLDEST.run("oldest", PROGRAM)


def test_it_is_that_version(run):
    """The environment has what it is to have."""
    version, told = run
    assert told["version"] == "1.40.0" if version == "oldest" else told["version"] >= "1.45"


def test_spans(run):
    """Which, with what, and how many each stands for."""
    spans = {span["name"]: span for span in run[1]["spans"]}
    assert set(spans) == {"asked", "chat", "failed", "judged", "dropped"}
    reasons = {name: span["attributes"]["spanloom.sampling.reason"] for name, span in spans.items()}
    assert reasons == {"asked": "asked", "chat": "asked", "failed": "failed", "judged": "bad", "dropped": "skeleton"}
    assert spans["chat"]["attributes"]["gen_ai.usage.cost.amount"] > 0
    assert spans["chat"]["attributes"]["user.id"] == spans["asked"]["attributes"]["user.id"] == "u1"
    assert {span["state"] for name, span in spans.items() if name != "failed"} == {"ot=th:0"}
    assert spans["failed"]["state"] == "ot=th:8,v=1"
    assert "input.value" not in spans["dropped"]["attributes"]
    assert all(span["json"] for span in spans.values())


def test_redacted_and_counted(run):
    """No secret anywhere; what the SDK dropped is told."""
    told = run[1]
    assert SECRET not in str(told)
    (failed,) = [span for span in told["spans"] if span["name"] == "failed"]
    assert failed["dropped"] == [0, 2, 2]
    assert failed["events"][0][2] == 1
    assert failed["description"].startswith("said [redacted")


def test_log_records(run):
    """Redacted, nested attributes as well; the rest of them as it was."""
    judged, plain = run[1]["logs"]
    assert judged["body"]["said"][0].startswith("[redacted")
    nested = judged["attributes"]["nested"]["key"]
    assert nested[0].startswith("[redacted")
    assert (nested[1], judged["attributes"]["gen_ai.evaluation.score.value"]) == ("a", 0.1)
    assert plain == {"body": "nothing", "attributes": {"plain": 1}}


def test_metrics(run):
    """What was decided and redacted, and nothing of faults."""
    points = run[1]["points"]
    assert points["spanloom.sampling.traces"] == [
        [1, "dropped"], [1, "kept", "asked"], [1, "kept", "bad"], [1, "kept", "failed"],
    ]  # fmt: skip
    assert sum(point[0] for point in points["spanloom.redactions"]) > 3
    assert not any("error" in name for name in points)


def test_nothing_is_said(run):
    """No warning, of the SDK or ours."""
    assert [line for line in run[1]["said"] if "is full" not in line] == []


def test_the_installed_one_is_tried():
    """Up to now no released SDK can be written to at the end."""
    assert can_write_at_end() is False
