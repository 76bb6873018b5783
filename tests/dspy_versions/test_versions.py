"""The oldest DSPy that we support and the newest: the same trees, every token once."""

from __future__ import annotations

import pytest

from tests._support.versions import Library

VERSIONS = {"oldest": "dspy==3.3.0", "newest": "dspy"}
# What the oldest one wants older, or lets be newer.
_FREE = ("dspy", "litellm", "openai", "gepa", "pydantic", "pydantic-core", "httpx", "httpx2", "anyio", "tokenizers")
_DSPY = Library("dspy", VERSIONS, _FREE)
CHAIN = ["invoke_workflow ChainOfThought", "  Predict predict", "    chat gpt-4o-mini"]
TREES = {
    "program": CHAIN,
    "asynchronous": CHAIN,
    "agent": [
        "invoke_agent ReAct",
        "  Predict react",
        "    chat dummy",
        "  execute_tool add",
        "  Predict react",
        "    chat dummy",
        "  ChainOfThought extract",
        "    Predict extract.predict",
        "      chat dummy",
    ],
    "parallel": ["dspy.parallel", *["  invoke_workflow Predict", "    chat dummy"] * 2],
    "evaluate": [
        "dspy.evaluate Predict",
        *["  dspy.evaluate.example", "    invoke_workflow Predict", "      chat dummy"] * 3,
    ],
    "optimize": [
        "dspy.compile BootstrapFewShot",
        "  dspy.compile LabeledFewShot",
        "  invoke_workflow Predict",
        "    chat dummy",
    ],
    "cached": ["invoke_workflow Predict", "  chat gpt-4o-mini"] * 2,
    "refused": ["invoke_workflow Predict!", "  chat gpt-4o-mini!"],
}


@pytest.fixture(scope="module", params=VERSIONS)
def told(request, tmp_path_factory):
    """What one version's program prints."""
    folder = tmp_path_factory.mktemp("dspy")
    return _DSPY.run(
        request.param,
        "tests.dspy_versions._program",
        DSPY_CACHEDIR=str(folder),
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )


@pytest.mark.parametrize("name", TREES)
def test_one_tree(name, told):
    """Modules, calls and tools in their places; tokens as the server told them; no fault of ours."""
    assert told[name]["outline"] == TREES[name]
    assert told[name]["tokens"] == told[name]["ledger"]
    assert told[name]["faults"] == 0
