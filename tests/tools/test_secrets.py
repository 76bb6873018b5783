"""No argument that is a secret by its name is told: of functions, of tools by pattern, of DSPy's tools."""

from __future__ import annotations

import asyncio
import json

import dspy
import pytest

from spanloom.dspy import DSPyInstrumentor
from spanloom.tools import tool


def arguments(span):
    return json.loads(span.attributes["gen_ai.tool.call.arguments"])


def test_arguments_of_each_kind(plugin_with_content, recorder):
    """By position, by name, as further ones, nested; the function has what it was given."""

    @tool
    def login(user, password, *rest, apiKey=None, **more):
        return user

    @tool
    async def later(token, max_tokens):
        return max_tokens

    @tool
    def each(client_secret, key):
        yield key

    assert login("me", "hush", 1, apiKey="hush", options={"headers": {"Authorization": "hush"}}, cookie="hush") == "me"
    assert asyncio.run(later("hush", 5)) == 5
    assert list(each("hush", "k")) == ["k"]
    assert [arguments(span) for span in recorder.spans] == [
        {
            "user": "me", "password": "[hidden]", "rest": [1], "apiKey": "[hidden]",
            "more": {"options": {"headers": {"Authorization": "[hidden]"}}, "cookie": "[hidden]"},
        },
        {"token": "[hidden]", "max_tokens": 5},
        {"client_secret": "[hidden]", "key": "k"},
    ]  # fmt: skip
    assert "hush" not in "".join(span.to_json() for span in recorder.spans)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_tool_of_dspys(content, recorder):
    """The same rule, in the same place."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        assert dspy.Tool(lambda city, api_key: city, name="weather")(city="Rome", api_key="hush") == "Rome"
    finally:
        plugin.uninstrument()
    assert arguments(recorder.span) == {"city": "Rome", "api_key": "[hidden]"}
