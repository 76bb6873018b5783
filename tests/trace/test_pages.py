"""The examples of the pages run, and record what the pages say."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from spanloom.trace._request import RequestParameters
from tests._support.spans import outline
from tests._support.wheel import ROOT

PAGE = (ROOT / "docs" / "by-hand.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTEXT = (ROOT / "docs" / "context.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README.partition("## By hand")[2] + PAGE + CONTEXT, flags=re.DOTALL)
TREES = [
    ["invoke_agent storekeeper", "  chat llama-3"],
    ["invoke_agent storekeeper", "  execute_tool stock_level"],
    ["invoke_agent planner"],
    ["chat llama-3"],
    ["chat llama-3"],
    ["invoke_agent storekeeper", "  chat llama-3"],
    ["chat llama-3"],
    ["chat llama-3"],
]


class Client:
    """What the examples call."""

    def generate(self, asked):
        """A whole answer."""
        return SimpleNamespace(id="r", model="llama-3-8b", text="Three.", tokens_in=9, tokens_out=2)

    def stream(self, asked):
        """One in pieces."""
        return iter(["Th", "ree."])


@pytest.mark.parametrize(("example", "tree"), list(zip(EXAMPLES, TREES, strict=True)), ids=range(len(TREES)))
def test_an_example(example, tree, content, recorder, request, monkeypatch):
    """It runs as it stands there; each span has what it was told."""
    # The pages' provider is nobody's.
    example = example.replace('"acme"', '"vllm"')
    request.getfixturevalue("by_hand")
    exec(compile(example, "example", "exec"), {"client": Client(), "question": "How many?"})
    assert outline(recorder.spans) == tree
    for span in recorder.spans:
        if "chat" in span.name:
            assert "hree." in span.attributes["gen_ai.output.messages"]


def test_every_parameter_is_on_the_page():
    """By its name, in the order of the table."""
    listed = PAGE.partition("**Parameters**")[2].partition("- **Tokens**")[0]
    assert re.findall(r"`(\w+)`", listed.partition(":")[2]) == list(RequestParameters.__annotations__)
