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
    "streamed": ["invoke_workflow Predict", "  chat gpt-4o-mini"],
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


ENGINES = {"oldest": {"litellm"}, "newest": {"lm15"}}


def test_the_engine_of_a_call(told, request):
    """That of the version, for calls that asked a model; an answer of the cache asked nobody."""
    version = request.node.callspec.params["told"]
    for name in ("program", "asynchronous", "refused", "streamed"):
        assert {call.get("dspy.lm.engine") for call in told[name]["calls"]} == ENGINES[version], name
    asked, kept = told["cached"]["calls"]
    assert asked.get("dspy.cache.hit") is None
    assert kept["dspy.cache.hit"] is True
    assert "dspy.lm.engine" not in kept


def test_a_streamed_call(told):
    """The time to its first chunk, and as many as the application got."""
    (call,) = told["streamed"]["calls"]
    assert call["gen_ai.response.time_to_first_chunk"] > 0
    assert call["spanloom.stream.chunks"] == told["streamed"]["seen"] > 1
