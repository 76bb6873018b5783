"""Requests, messages and responses as data: what is read, what is left alone, what is never invented."""

from __future__ import annotations

import json
import math
from enum import Enum
from types import SimpleNamespace

import openai
import pytest

from spanloom.genai import Peer, json_text
from spanloom.openai._messages import input_messages, output_message, system_instructions, tool_definitions
from spanloom.openai._request import peer_of, provider_of, read_request
from spanloom.openai._response import read_response, usage_of
from tests._support.conformance import schema
from tests.genai._make import inference, telemetry
from tests.openai._http import http


def of_url(url):
    """A resource whose client has this address."""
    return SimpleNamespace(_client=SimpleNamespace(base_url=http.URL(url)))


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("localhost", "openai"),
        ("gateway.example.org", "openai"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("mine.cognitiveservices.azure.com", "azure.ai.openai"),
        ("mine.services.ai.azure.com", "azure.ai.inference"),
        ("mine.models.ai.azure.com", "azure.ai.inference"),
        ("api.anthropic.com", "anthropic"),
        ("api.cohere.ai", "cohere"),
        ("api.deepseek.com", "deepseek"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.moonshot.cn", "moonshot_ai"),
        ("api.perplexity.ai", "perplexity"),
        ("api.x.ai", "x_ai"),
    ],
)
def test_the_provider_of_a_host(host, provider):
    """Who answers there; the protocol's name where that is all that is known."""
    assert provider_of(host) == provider


@pytest.mark.parametrize(
    ("resource", "peer"),
    [
        (of_url("https://api.openai.com/v1"), Peer("openai", "api.openai.com", 443)),
        (of_url("http://localhost/v1"), Peer("openai", "localhost", 80)),
        (of_url("http://[::1]:8080/v1"), Peer("openai", "::1", 8080)),
        (of_url("https://user:secret@api.groq.com/v1?key=1"), Peer("groq", "api.groq.com", 443)),
        (of_url("/relative"), Peer("openai")),
        (SimpleNamespace(_client=SimpleNamespace(base_url="https://x")), Peer("openai")),
        (SimpleNamespace(), Peer("openai")),
        (None, Peer("openai")),
    ],
)
def test_the_peer_of_a_resource(resource, peer):
    """Host and port without credentials or query; nothing where there is no address."""
    assert peer_of(resource) == peer


def test_azure_is_known_by_its_host():
    """The client that Azure's users have."""
    client = openai.AzureOpenAI(api_key="k", api_version="2024-10-21", azure_endpoint="https://mine.openai.azure.com")
    assert peer_of(client.chat.completions) == Peer("azure.ai.openai", "mine.openai.azure.com", 443)
    client.close()


class Effort(str, Enum):
    """A str, as the SDK takes it."""

    LOW = "low"


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, {}),
        ({"temperature": 0}, {"gen_ai.request.temperature": 0}),
        ({"temperature": True, "seed": False, "n": True}, {}),
        ({"temperature": None, "seed": openai.omit, "top_p": "1"}, {}),
        ({"max_tokens": 5}, {"gen_ai.request.max_tokens": 5}),
        ({"max_tokens": 5.0}, {}),
        ({"seed": 2**63}, {}),
        ({"seed": -(2**62)}, {"gen_ai.request.seed": -(2**62)}),
        ({"reasoning_effort": Effort.LOW}, {"gen_ai.request.reasoning.level": "low"}),
        ({"n": 1}, {}),
        ({"n": 3}, {"gen_ai.request.choice.count": 3}),
        ({"stop": "a"}, {"gen_ai.request.stop_sequences": ["a"]}),
        ({"stop": ["a", None, "b"]}, {"gen_ai.request.stop_sequences": ["a", "b"]}),
        ({"stop": []}, {}),
        ({"stop": openai.omit}, {}),
        ({"stream": True}, {"gen_ai.request.stream": True}),
        ({"stream": False}, {}),
        ({"stream": 1}, {}),
        ({"response_format": {"type": "json_object"}}, {"gen_ai.output.type": "json"}),
        ({"response_format": {"type": "text"}}, {"gen_ai.output.type": "text"}),
        ({"response_format": {"type": "other"}}, {}),
        ({"response_format": dict}, {"gen_ai.output.type": "json"}),
        ({"response_format": openai.omit}, {}),
        ({"service_tier": "flex"}, {"openai.request.service_tier": "flex"}),
    ],
)
def test_request_parameters(kwargs, expected, recorder):
    """What was given, as it was given; what was not, or is no value of that kind, is absent."""
    call = inference(telemetry(recorder))
    read_request(call, kwargs)
    assert call.attributes.pop("openai.api.type") == "chat_completions"
    assert call.attributes == expected
    call.stop()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_still_only_a_number(value, recorder):
    """The SDK sends it or refuses it; reading it harms nobody."""
    call = inference(telemetry(recorder))
    read_request(call, {"temperature": value})
    call.stop()


@pytest.mark.parametrize("messages", [iter([]), {"role": "user"}, "text", None, 5, openai.omit])
def test_messages_that_are_no_list_are_left_alone(messages, recorder, content):
    """A generator is the caller's to be read."""
    call = inference(telemetry(recorder))
    read_request(call, {"messages": messages, "tools": messages})
    assert call.input_content == {}
    call.stop()


USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        (7, None),
        ({"prompt_tokens": "10"}, None),
        ({"prompt_tokens": True, "completion_tokens": -1}, None),
        ({"prompt_tokens": 2**63}, None),
        (USAGE, (10, 5, None, None, None)),
        ({"prompt_tokens": 0}, (0, None, None, None, None)),
        ({**USAGE, "prompt_tokens_details": None, "completion_tokens_details": 3}, (10, 5, None, None, None)),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}},
            (10, 5, 4, 2, None),
        ),
        ({**USAGE, "completion_tokens_details": {"reasoning_tokens": 3}}, (10, 5, None, None, 3)),
    ],
)
def test_usage(usage, expected):
    """Counts as the provider sent them; anything else is no count."""
    for given in (usage, SimpleNamespace(**usage) if isinstance(usage, dict) else usage):
        found = usage_of(given)
        if expected is None:
            assert found is None
        else:
            names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
            assert tuple(getattr(found, name) for name in (*names, "reasoning_output_tokens")) == expected


def test_a_response_says_no_more_than_it_says(recorder, content):
    """Choices without an end are `error`; empty names are no names."""
    call = inference(telemetry(recorder))
    read_response(call, {"id": "", "model": "", "choices": [{"finish_reason": None}, {"finish_reason": "stop"}]})
    call.stop()
    attributes = recorder.span.attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("error", "stop")
    assert "gen_ai.response.id" not in attributes
    assert "gen_ai.response.model" not in attributes


PARTS = [
    ({"type": "text", "text": "a"}, {"type": "text", "content": "a"}),
    ({"type": "input_text", "text": "a"}, {"type": "text", "content": "a"}),
    ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
    (
        {"type": "image_url", "image_url": {"url": "https://x/y"}},
        {"type": "uri", "modality": "image", "uri": "https://x/y"},
    ),
    ({"type": "file", "file": {"file_id": "f"}}, {"type": "file", "modality": "document", "file_id": "f"}),
    ({"type": "video"}, {"type": "video"}),
    ({}, {"type": "None"}),
    ("text", {"type": "None"}),
]


@pytest.mark.parametrize(("given", "expected"), PARTS)
def test_parts(given, expected):
    """Each kind in the conventions' words; unknown ones are named and not copied."""
    assert input_messages([{"role": "user", "content": [given]}]) == [{"role": "user", "parts": [expected]}]


@pytest.mark.parametrize(
    ("given", "modality", "mime", "size"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}, "image", "image/png", 8),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, "audio", "audio/wav", 4),
        ({"type": "input_audio", "input_audio": {"data": None, "format": "wav"}}, "audio", "audio/wav", 0),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}}, "document", "application/pdf", 4),
        ({"type": "file", "file": {}}, "document", "", 0),
    ],
)
def test_blobs_are_never_copied(given, modality, mime, size):
    """Digest, type and size tell which one it was."""
    ((part,),) = [one["parts"] for one in input_messages([{"role": "user", "content": [given]}])]
    assert (part["type"], part["modality"], part["mime_type"]) == ("blob", modality, mime)
    assert (part["content"], part["base64_bytes"], len(part["sha256"])) == ("", size, 64)


def test_a_conversation():
    """Roles in order; system and developer messages are instructions, not messages."""
    messages = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "b", "reasoning_content": "why", "refusal": "no", "tool_calls": []},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "d"}]},
        {"role": "function", "name": "f", "content": "e"},
        {"role": "developer", "content": [{"type": "text", "text": "g"}]},
        SimpleNamespace(role="user", content="h"),
        {},
    ]
    found = input_messages(messages)
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "function", "user", "None"]
    assert [part["type"] for part in found[1]["parts"]] == ["reasoning", "text", "refusal"]
    assert found[2]["parts"] == [{"type": "tool_call_response", "id": "c", "response": [{"type": "text", "text": "d"}]}]
    assert system_instructions(messages) == [{"type": "text", "content": "a"}, {"type": "text", "content": "g"}]
    assert system_instructions([]) is None
    assert not list(schema("gen_ai.input.messages").iter_errors(json.loads(json_text(found))))


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        ({"function": {"name": "f", "arguments": '{"a": 1}'}}, "f", {"a": 1}),
        ({"function": {"name": "f", "arguments": "not json"}}, "f", "not json"),
        ({"function": {"name": "f", "arguments": None}}, "f", None),
        ({"custom": {"name": "g", "input": "print()"}}, "g", "print()"),
        ({}, "", None),
    ],
)
def test_tool_calls(call, name, arguments):
    """Arguments as a value where the model wrote JSON, as it wrote them where it did not."""
    (part,) = output_message({"tool_calls": [call]})["parts"]
    assert (part["type"], part["name"], part["arguments"]) == ("tool_call", name, arguments)


def test_tool_definitions():
    """Type and name of each; no descriptions, no parameters."""
    tools = [
        {"type": "function", "function": {"name": "f", "description": "secret", "parameters": {}}},
        {"type": "custom", "custom": {"name": "g"}},
        {"name": "h"},
    ]
    found = tool_definitions(tools)
    assert found == [
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "g"},
        {"type": "function", "name": "h"},
    ]
    assert not list(schema("gen_ai.tool.definitions").iter_errors(found))
