"""Programs that call a model server of their own under the real command, and the events that came out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests._support.wheel import ROOT
from tests.zero_code.test_base_install import clean_environment

MODE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
DETAILS, EXCEPTION = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"

# What every program of these tests begins with.
HEAD = """
import os, signal, sys, time
import openai
from model_server import ModelServer

server = ModelServer(port=0)
client = openai.OpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0)

def ask(text):
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages)
"""


def run(python: Path, folder: Path, body: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program under `opentelemetry-instrument` in a folder."""
    script = folder / "app.py"
    script.write_text(HEAD + body)
    return subprocess.run(
        [str(python.parent / "opentelemetry-instrument"), str(python), str(script)],
        cwd=folder,
        env={
            **clean_environment(),
            "OTEL_SERVICE_NAME": "app",
            "PYTHONPATH": str(ROOT / "examples"),
            "SPANLOOM_PRICES": str(ROOT / "examples" / "prices.yaml"),
            "NO_PROXY": "127.0.0.1",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


def requests_of(record: Path) -> list[dict[str, Any]]:
    """Every request (a line) of a record folder."""
    return [json.loads(line) for path in sorted(record.rglob("*.jsonl")) for line in path.read_text().splitlines()]


def events_of(requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every log record in them, with plain values, and where it comes from."""
    found: list[dict[str, Any]] = []
    for request in requests:
        for resource in request.get("resourceLogs", []):
            for scope in resource["scopeLogs"]:
                found += [_flat(record, scope, resource) for record in scope["logRecords"]]
    return found


def _flat(record: Mapping[str, Any], scope: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": record.get("eventName"),
        "body": plain(record["body"]) if "body" in record else None,
        "severity": record.get("severityNumber"),
        "trace": record.get("traceId"),
        "span": record.get("spanId"),
        "attributes": _pairs(record.get("attributes", [])),
        "scope": scope["scope"]["name"],
        "schema": scope.get("schemaUrl"),
        "resource": _pairs(resource["resource"]["attributes"]),
    }


def plain(value: Mapping[str, Any]) -> Any:
    """OTLP's typed value as Python has it, nested ones included."""
    (kind, held), *_ = value.items() or [("", None)]
    if kind == "kvlistValue":
        return _pairs(held.get("values", []))
    if kind == "arrayValue":
        return [plain(one) for one in held.get("values", [])]
    return int(held) if kind == "intValue" else held


def _pairs(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {row["key"]: plain(row["value"]) for row in rows}


def named(events: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Those of one name."""
    return [event for event in events if event["name"] == name]
