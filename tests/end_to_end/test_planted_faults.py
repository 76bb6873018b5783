"""Three faults in a DSPy program, found from Jaeger's JSON alone: which module, prompt version, attempt, candidate."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy.local import check
from deploy.local.supervisor import Stack
from tests._support.wheel import ROOT

SERVICE = "desk"
Trace = list[check.Span]


@pytest.fixture(scope="module")
def told(example_python: Path, tmp_path_factory: pytest.TempPathFactory):
    """What the optimizer said of its candidates, and the traces that Jaeger has of the whole run."""
    folder = tmp_path_factory.mktemp("planted")
    with Stack.up(state_dir=folder / "stack") as stack:
        done = subprocess.run(
            [str(example_python.parent / "opentelemetry-instrument"), str(example_python), _program()],
            cwd=folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANLOOM_"))},
                "OTEL_SERVICE_NAME": SERVICE,
                "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_http_endpoint,
                "PYTHONPATH": str(ROOT / "examples"),
                "NO_PROXY": "127.0.0.1",
                "DSPY_CACHEDIR": str(folder / "cache"),
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        # Three calls of the desk, and the optimizer.
        found = check.eventually(lambda: _complete(stack.jaeger_url), 60, "four traces of the desk")
        yield json.loads(done.stdout.splitlines()[-1]), found


def _program() -> str:
    return str(Path(__file__).parent / "_planted.py")


def _complete(jaeger_url: str) -> list[Trace] | None:
    traces = list(check.search_traces(jaeger_url, SERVICE).values())
    return traces if len(traces) == 4 and all(any(not one["parent_id"] for one in trace) for trace in traces) else None


def above(trace: Trace, span: check.Span) -> list[check.Span]:
    """The spans around one, the nearest first."""
    by_id = {one["span_id"]: one for one in trace}
    found = []
    while span["parent_id"] in by_id:
        span = by_id[span["parent_id"]]
        found.append(span)
    return found


def only(traces: list[Trace], wanted) -> tuple[Trace, check.Span]:
    """The one span in all traces that is wanted."""
    (found,) = [(trace, span) for trace in traces for span in trace if wanted(span)]
    return found


def test_which_prompt_version_is_refused(told):
    """The failing model call leads to the predictor by its path, whose instructions are not those of the other run."""
    _, traces = told
    trace, call = only(traces, lambda span: span["status"] == "error" and span["name"].startswith("chat"))
    predictor = above(trace, call)[0]["attributes"]
    assert predictor["dspy.module.path"] == "draft.predict"
    digest = hashlib.sha256(b"Answer in verse.").hexdigest()[:12]
    assert predictor["dspy.instructions.hash"] == digest
    others = {
        span["attributes"]["dspy.instructions.hash"]
        for one in traces
        for span in one
        if span["attributes"].get("dspy.module.path") == "draft.predict" and span["status"] != "error"
    }
    assert len(others) == 1
    assert digest not in others


def test_which_attempt_failed(told):
    """Nothing is an error in that trace, but one call was made twice: which module's, and why."""
    _, traces = told
    trace, call = only(traces, lambda span: span["attributes"].get("spanloom.request.attempts") == 2)
    (failed,) = [event for event in call["events"] if event["name"] == "dspy.lm.attempt_failed"]
    assert failed["attributes"]["dspy.lm.attempt"] == 1
    assert failed["attributes"]["error.type"].endswith("RateLimitError")
    assert above(trace, call)[0]["attributes"]["dspy.module.path"] == "checks[1]"
    assert not any(span["status"] == "error" for span in trace)


def test_which_candidate_broke_the_metric(told):
    """The failing example leads to the evaluation, whose program's hash is that of one candidate of the optimizer."""
    scores, traces = told
    trace, example = only(traces, lambda span: span["attributes"].get("error.type") == "LookupError")
    assert example["name"] == "dspy.evaluate.example"
    assert example["attributes"]["dspy.example.index"] == 1
    evaluation = above(trace, example)[0]["attributes"]
    candidates = [span["attributes"] for span in trace if span["name"] == "dspy.candidate"]
    (broken,) = [one for one in candidates if one["dspy.candidate.hash"] == evaluation["dspy.candidate.hash"]]
    assert broken["dspy.candidate.seed"] == -2
    assert broken["dspy.candidate.score"] == scores["-2"] == evaluation["dspy.evaluate.score"] == pytest.approx(66.67)
    assert {str(one["dspy.candidate.seed"]): one["dspy.candidate.score"] for one in candidates} == scores
