"""What it costs to have it in the source, and what a type checker says of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spanloom import trace
from tests._support.wheel import ROOT

PROGRAM = """
import sys
from spanloom import trace

planner = trace.agent("planner")
llama = trace.inference(model="llama-3", provider="acme")
around = trace.context(user="ada")

@trace.agent("planner")
def plan():
    return 7

core = ("_calls", "_client", "_content", "_invocation", "_kinds", "_messages", "_stream", "_telemetry")
print([name for name in core if f"spanloom.genai.{name}" in sys.modules])
assert plan() == 7
print([name for name in ("_calls", "_kinds") if f"spanloom.genai.{name}" in sys.modules])
"""


def test_nothing_is_loaded_before_the_first_block():
    """Neither by the import, nor by what stands in the source; an agent then loads no model calls."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['_kinds']"]
    assert done.stderr == ""


def test_the_names():
    """Those that people type, and those for their annotations."""
    assert set(trace.__all__) == {"AgentRun", "InferenceCall", "agent", "content", "context", "inference"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = trace.nonsense


TYPED = """
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

from spanloom import trace


def ask(question: str) -> Iterator[str]:
    with trace.inference(model="m", provider="acme", operation="chat") as call:
        assert_type(call, trace.InferenceCall)
        call.request(temperature=0.2, stop_sequences=["END"], seed=None)
        call.input([{"role": "user", "content": question}], system="Be kind.")
        return call.stream(iter(["a"]))


async def later(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with trace.inference(model=None) as call:
        return call.stream(chunks)


@trace.agent("planner", version="2")
async def plan(goal: str, deep: bool = False) -> int:
    with trace.agent("inner") as run:
        assert_type(run, trace.AgentRun)
        run.thought("so")
        run.action("search", {"q": goal}, call_id=None)
        run.observation(["x"])
    return 7


@trace.context(user="ada", session=7, prompt=("triage", 7), keep=True, plan="team", seats=3)
def chunks(question: str) -> Iterator[str]:
    yield question


async def use() -> None:
    assert_type(await plan("x"), int)
    assert_type(chunks("x"), Iterator[str])
    with trace.context(prompt="triage@7", beta=None):
        pass
    assert_type(ask("x"), Iterator[str])
"""
WRONG = """
from spanloom import trace

with trace.inference(model="m", operation="embed") as call:
    call.request(temprature=0.2)
    call.usage(input_tokens="5")
trace.agent(5)


@trace.agent("planner")
def plan(goal: str) -> int:
    return 7


plan(5)
"""


def pyright(source, folder):
    """The lines that pyright complains of, in its strict mode."""
    file = folder / "example.py"
    file.write_text("# pyright: strict\n" + source)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(ROOT), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if " - error" in line]


def test_types(tmp_path):
    """What the pages show is right in strict mode."""
    assert pyright(TYPED, tmp_path) == []


def test_wrong_types(tmp_path):
    """An operation, a parameter and a count that are none, an agent without a name, a decorated function's argument."""
    found = pyright(WRONG, tmp_path)
    assert [int(line.partition("example.py:")[2].partition(":")[0]) for line in found] == [5, 6, 7, 8, 16], found
