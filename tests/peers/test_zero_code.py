"""Beside each of the three that `opentelemetry-instrument` starts by itself: one inference span a call, one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from model_server import ModelServer
from tests.peers._environments import clean_environment, environment

SCOPES = {
    "official": "opentelemetry.instrumentation.genai.openai",
    "openllmetry": "opentelemetry.instrumentation.openai.v1",
    "openinference": "openinference.instrumentation.openai",
}
APP = """
import sys
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none")
chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
client.chat.completions.create(**chat)
list(client.chat.completions.create(stream=True, **chat))
"""


def scopes(record: Path) -> list[str]:
    """The scope of each span in a record folder."""
    documents = [json.loads(line) for path in record.rglob("*.jsonl") for line in path.read_text().splitlines()]
    found = [
        scope for one in documents for resource in one.get("resourceSpans", []) for scope in resource["scopeSpans"]
    ]
    return [scope["scope"]["name"] for scope in found for _ in scope["spans"]]


def run(neighbour: str, folder: Path, **settings: str) -> tuple[list[str], list[str]]:
    """Run the program under the real command; scopes of the recorded spans, and the lines that are about conflicts."""
    python = environment(neighbour)
    script = folder / "app.py"
    script.write_text(APP)
    with ModelServer() as server:
        done = subprocess.run(
            [str(python.parent / "opentelemetry-instrument"), str(python), str(script), server.openai_base_url],
            cwd=folder,
            env={**clean_environment(), "OTEL_SERVICE_NAME": "app", **settings},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    return scopes(folder), [line for line in done.stderr.splitlines() if "SPANLOOM_ON_CONFLICT" in line]


@pytest.mark.parametrize("neighbour", sorted(SCOPES))
def test_two_entry_points_give_one_span_a_call(neighbour, tmp_path):
    """Both are started by the stock loader, in the order it finds them; the other one records, and one line says so."""
    found, lines = run(neighbour, tmp_path)
    assert found == [SCOPES[neighbour]] * 2
    assert len(lines) == 1, lines


def test_lead_under_the_real_command(tmp_path):
    """The setting reaches a program that nobody changed: every call is ours."""
    found, lines = run("openinference", tmp_path, SPANLOOM_ON_CONFLICT="lead")
    assert found == ["spanloom.openai"] * 2
    assert lines == []
