"""Requests and answers as data: what is read, what is left alone, what is never invented."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum
from types import SimpleNamespace

import openai
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from openai.types.shared import Reasoning
from pydantic import BaseModel

from spanloom.genai import Usage
from spanloom.openai._request import chat_content, read_chat, read_embeddings, read_fetch, read_responses
from spanloom.openai._response import (
    failure_of,
    read_chat_answer,
    read_embeddings_answer,
    read_fetched,
    read_responses_answer,
    responses_reason,
)
from spanloom.openai._usage import usage_of
from spanloom.semconv import GenAI, Spanloom
from tests.openai._reading import ODD, chat, check_all, embeddings, fetch, given, made, parts, wrong


class Effort(str, Enum):
    """A str, as the SDK takes it."""

    LOW = "low"


class River(BaseModel):
    """A structured answer."""

    name: str


TEMPERATURE = "gen_ai.request.temperature"
MAX_TOKENS = "gen_ai.request.max_tokens"
TYPE = "gen_ai.output.type"
LEVEL = "gen_ai.request.reasoning.level"
SHARED = [
    ({}, {}),
    ({"temperature": 0}, {TEMPERATURE: 0.0}),
    ({"temperature": 0.5, "top_p": 1}, {TEMPERATURE: 0.5, "gen_ai.request.top_p": 1.0}),
    ({"temperature": True}, {}),
    ({"temperature": None, "top_p": "1"}, {}),
    ({"temperature": openai.omit, "stream": openai.NOT_GIVEN}, {}),
    ({"temperature": 10**400}, {}),
    ({"stream": True}, {"gen_ai.request.stream": True}),
    ({"stream": False}, {}),
    ({"stream": 1}, {}),
    ({"service_tier": "flex"}, {"openai.request.service_tier": "flex"}),
    ({"service_tier": "auto"}, {}),
    ({"metadata": {"user": "secret"}, "user": "secret", "extra_headers": {"api-key": "secret"}}, {}),
    ({"extra_body": {"top_k": 5, "temperature": 1}, "temperature": 0}, {"gen_ai.request.top_k": 5, TEMPERATURE: 1.0}),
    ({"extra_body": {"reasoning": {"effort": "high"}, "other": 1}}, {LEVEL: "high"}),
    ({"extra_body": [1]}, {}),
    ({"extra_body": {"top_k": 2.5}}, {}),
]
CHAT = [
    *SHARED,
    ({"seed": False, "n": True}, {}),
    ({"max_tokens": 5}, {MAX_TOKENS: 5}),
    ({"max_tokens": 5.0}, {}),
    ({"max_tokens": 5, "max_completion_tokens": 7}, {MAX_TOKENS: 7}),
    ({"max_completion_tokens": 7, "max_tokens": 5}, {MAX_TOKENS: 7}),
    ({"frequency_penalty": 1}, {"gen_ai.request.frequency_penalty": 1.0}),
    ({"presence_penalty": -0.5}, {"gen_ai.request.presence_penalty": -0.5}),
    ({"seed": 2**63}, {}),
    ({"seed": -(2**62)}, {"gen_ai.request.seed": -(2**62)}),
    ({"reasoning_effort": Effort.LOW}, {LEVEL: "low"}),
    ({"reasoning_effort": "", "verbosity": "low"}, {}),
    ({"n": 1}, {}),
    ({"n": 3}, {"gen_ai.request.choice.count": 3}),
    ({"stop": "a"}, {"gen_ai.request.stop_sequences": ["a"]}),
    ({"stop": ["a", None, "b"]}, {"gen_ai.request.stop_sequences": ["a", "b"]}),
    ({"stop": ["a"] * 99}, {"gen_ai.request.stop_sequences": ["a"] * 16}),
    ({"stop": []}, {}),
    ({"stop": openai.omit}, {}),
    ({"response_format": {"type": "json_object"}}, {TYPE: "json"}),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, {TYPE: "json"}),
    ({"response_format": {"type": "text"}}, {TYPE: "text"}),
    ({"response_format": {"type": "other"}}, {}),
    ({"response_format": {"type": []}}, {}),
    ({"response_format": River}, {TYPE: "json"}),
    ({"response_format": openai.omit}, {}),
    ({"modalities": ["text", "audio"], "response_format": {"type": "text"}}, {TYPE: "speech"}),
    ({"response_format": {"type": "text"}, "modalities": ["text", "audio"]}, {TYPE: "speech"}),
    ({"modalities": ["text"]}, {}),
    ({"modalities": "audio"}, {}),
]
RESPONSES = [
    *SHARED,
    ({"max_output_tokens": 9}, {MAX_TOKENS: 9}),
    ({"reasoning": {"effort": "low", "summary": "auto"}}, {LEVEL: "low"}),
    ({"reasoning": Reasoning(effort="high")}, {LEVEL: "high"}),
    ({"reasoning": {"effort": None}}, {}),
    ({"reasoning": "low"}, {}),
    ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}, "verbosity": "low"}}, {TYPE: "json"}),
    ({"text": {"format": {"type": "text"}}}, {TYPE: "text"}),
    ({"text": {"verbosity": "low"}}, {}),
    ({"text_format": River}, {TYPE: "json"}),
    ({"previous_response_id": "resp_0"}, {"gen_ai.request.previous_response.id": "resp_0"}),
    ({"conversation": "conv_1"}, {"gen_ai.conversation.id": "conv_1"}),
    ({"conversation": {"id": "conv_1"}}, {"gen_ai.conversation.id": "conv_1"}),
    ({"conversation": {"id": 5}}, {}),
    ({"prompt": {"id": "pmpt_1", "version": "2"}}, {"gen_ai.prompt.name": "pmpt_1", "gen_ai.prompt.version": "2"}),
    ({"prompt": {"id": "pmpt_1", "variables": {"city": "Oslo"}}}, {"gen_ai.prompt.name": "pmpt_1"}),
    ({"prompt": "pmpt_1"}, {}),
    ({"background": True}, {"spanloom.response.background": True}),
    ({"background": False}, {}),
    ({"input": [{"type": "compaction", "id": "k"}]}, {"gen_ai.conversation.compacted": True}),
    ({"input": [None, "x", {"type": "message"}]}, {}),
    ({"input": "compaction"}, {}),
    ({"max_tokens": 5, "n": 2, "seed": 1, "reasoning_effort": "low"}, {}),
]


@pytest.mark.parametrize(("kwargs", "expected"), CHAT)
def test_what_a_chat_was_asked_for(kwargs, expected, recorder):
    """What was given, as it was given; what was not, or is no value of that kind, is absent."""
    call = chat(recorder)
    read_chat(call, kwargs)
    assert call.attributes.pop("openai.api.type") == "chat_completions"
    assert call.attributes == expected
    assert all(type(value) is type(expected[name]) for name, value in call.attributes.items())
    call.stop()


@pytest.mark.parametrize(("kwargs", "expected"), RESPONSES)
def test_what_a_response_was_asked_for(kwargs, expected, recorder):
    """The same, in the words of the Responses API."""
    call = chat(recorder)
    read_responses(call, kwargs)
    assert call.attributes.pop("openai.api.type") == "responses"
    assert call.attributes == expected
    call.stop()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_still_only_a_number(value, recorder):
    """The SDK sends it or refuses it; reading it harms nobody."""
    call = chat(recorder)
    read_chat(call, {"temperature": value})
    call.stop()


@pytest.mark.parametrize("messages", [iter([]), {"role": "user"}, "text", None, 5, openai.omit])
def test_messages_that_are_no_list_are_left_alone(messages, recorder, content):
    """A generator is the caller's to be read."""
    call = chat(recorder)
    read_chat(call, {"messages": messages, "tools": messages, "functions": messages})
    assert call.input_content == {}
    call.stop()


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("kind", [list, tuple, deque])
def test_the_messages_of_a_chat_are_content(kind, recorder, content):
    """As they were when the call was made; the caller may go on with his list."""
    call = chat(recorder)
    messages = kind(MESSAGES)
    read_chat(call, {"messages": messages, "tools": [{"type": "function", "function": {"name": "f"}}]})
    if kind is list:
        messages.append({"role": "user", "content": "later"})
    assert [one["role"] for one in given(call)] == ["system", "user"]
    assert given(call, GenAI.TOOL_DEFINITIONS) == [{"type": "function", "name": "f"}]
    call.stop()
    assert "later" not in recorder.span.attributes[GenAI.INPUT_MESSAGES]


def test_the_older_functions_are_tools_too():
    """What came before `tools=`."""
    build = chat_content(None, openai.omit, [{"name": "f", "parameters": {}}])[GenAI.TOOL_DEFINITIONS]
    assert build() == [{"type": "function", "name": "f"}]


def test_without_content_nothing_of_it_is_read(recorder):
    """The switch is off by default."""
    call, response, vectors = chat(recorder), chat(recorder), embeddings(recorder)
    read_chat(call, {"messages": MESSAGES})
    read_responses(response, {"input": "Hi", "instructions": "Be brief.", "prompt": {"variables": {"a": "b"}}})
    read_embeddings(vectors, {"input": "Hi"})
    read_chat_answer(call, ANSWER)
    read_responses_answer(response, RESPONSE)
    read_fetched(fetched := fetch(recorder), RESPONSE)
    for one in (call, response, vectors, fetched):
        assert (one.input_content, one.output_content) == ({}, {})
        one.stop()


@pytest.mark.parametrize("asked", ["Hi", [{"role": "user", "content": "Hi"}]])
def test_the_input_of_a_response_is_content(asked, recorder, content):
    """A text or items; the instructions stand beside it."""
    call = chat(recorder)
    read_responses(call, {"input": asked, "instructions": "Be brief.", "tools": [{"type": "web_search"}]})
    assert given(call) == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert given(call, GenAI.SYSTEM_INSTRUCTIONS) == [{"type": "text", "content": "Be brief."}]
    assert given(call, GenAI.TOOL_DEFINITIONS) == [{"type": "web_search", "name": "web_search"}]
    call.stop()


def test_what_fills_a_stored_prompt_is_content(recorder, content):
    """Texts as they are, parts as parts: an image by its digest."""
    call = chat(recorder)
    image = {"type": "input_image", "image_url": "data:image/png;base64,aGk="}
    read_responses(call, {"prompt": {"id": "p", "variables": {"city": "Oslo", "map": image}}})
    built = {name: build() for name, build in call.input_content.items()}
    assert built.pop("gen_ai.prompt.variable.city") == "Oslo"
    assert built.pop("gen_ai.prompt.variable.map")["type"] == "blob"
    assert built == {}
    call.stop()


def test_prompt_variables_are_bounded(recorder, content):
    """One attribute each: a span has room for 128."""
    call = chat(recorder)
    read_responses(call, {"prompt": {"id": "p", "variables": {str(number): "x" for number in range(500)}}})
    assert len(call.input_content) == 64
    call.input_content = {}
    call.stop()


@pytest.mark.parametrize("odd", [value for value in ODD if not isinstance(value, (str, list))])
def test_odd_input_of_a_response_is_left_alone(odd, recorder, content):
    """The SDK refuses it, or the server does."""
    call = chat(recorder)
    read_responses(call, {"input": odd, "instructions": odd, "tools": odd, "prompt": odd})
    assert call.input_content == {}
    call.stop()


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"model": "m"}, {}),
        ({"dimensions": 256}, {"gen_ai.embeddings.dimension.count": 256}),
        ({"dimensions": openai.omit}, {}),
        ({"encoding_format": "base64"}, {"gen_ai.request.encoding_formats": ["base64"]}),
        ({"encoding_format": openai.omit}, {}),
    ],
)
def test_what_embeddings_were_asked_for(kwargs, expected, recorder):
    """Only what was asked for: the SDK asks for base64 by itself."""
    call = embeddings(recorder)
    read_embeddings(call, kwargs)
    assert call.attributes == expected
    call.stop()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Hi", ["Hi"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2, 3], [{"token_count": 3}]),
        ([[1, 2], [3]], [{"token_count": 2}, {"token_count": 1}]),
        (["a", None, (1, 2)], ["a", {"token_count": 2}]),
        ([], []),
    ],
)
def test_the_texts_to_embed_are_content(asked, expected, recorder, content):
    """Of token ids only how many they are."""
    call = embeddings(recorder)
    read_embeddings(call, {"input": asked})
    assert given(call, Spanloom.EMBEDDINGS_INPUT) == expected
    call.input_content = {}
    call.stop()


@pytest.mark.parametrize("asked", [None, 5, iter(["a"]), openai.omit])
def test_other_things_to_embed_are_left_alone(asked, recorder, content):
    """An iterator is the caller's."""
    call = embeddings(recorder)
    read_embeddings(call, {"input": asked})
    assert call.input_content == {}
    call.stop()


@pytest.mark.parametrize(("cursor", "told"), [(7, "7"), (0, "0"), (None, None), ("7", None), (openai.omit, None)])
def test_where_a_fetched_stream_goes_on(cursor, told, recorder):
    """The number of the last event that the caller has."""
    call = fetch(recorder)
    read_fetch(call, {"starting_after": cursor, "stream": True})
    assert call.attributes.get("gen_ai.request.stream_cursor") == told
    call.stop()


CHAT_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
USAGE = [
    (None, None),
    ({}, None),
    (7, None),
    ("many", None),
    ([1], None),
    ({"prompt_tokens": "10"}, None),
    ({"prompt_tokens": True, "completion_tokens": -1}, None),
    ({"prompt_tokens": 2**63}, None),
    ({"prompt_tokens": 10.0}, None),
    (CHAT_USAGE, Usage(10, 5)),
    ({"prompt_tokens": 0}, Usage(0)),
    ({**CHAT_USAGE, "prompt_tokens_details": None, "completion_tokens_details": 3}, Usage(10, 5)),
    ({**CHAT_USAGE, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}}, Usage(10, 5, 4, 2)),
    ({**CHAT_USAGE, "completion_tokens_details": {"reasoning_tokens": 3}}, Usage(10, 5, None, None, 3)),
    ({**CHAT_USAGE, "completion_tokens_details": {"reasoning_tokens": 0}}, Usage(10, 5, None, None, 0)),
    (
        {
            **CHAT_USAGE,
            "prompt_tokens_details": {"audio_tokens": 4, "image_tokens": 3, "text_tokens": 3, "cached_tokens": 0},
            "completion_tokens_details": {"audio_tokens": 2, "text_tokens": 0, "image_tokens": "x"},
        },
        Usage(10, 5, 0, audio_input_tokens=4, image_input_tokens=3, text_input_tokens=3, audio_output_tokens=2),
    ),
    (
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 2, "image_tokens": 1},
        },
        Usage(10, 5, 4, 0, 2, image_output_tokens=1),
    ),
    ({"input_tokens": None, "output_tokens_details": {"reasoning_tokens": 2}}, Usage(None, None, None, None, 2)),
    # Moonshot, DeepSeek, LiteLLM.
    ({**CHAT_USAGE, "cached_tokens": 4}, Usage(10, 5, 4)),
    ({**CHAT_USAGE, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
    ({**CHAT_USAGE, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}, Usage(10, 5, 4, 3)),
    # xAI's output is without reasoning; its total is not.
    (
        {**CHAT_USAGE, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}},
        Usage(10, 25, None, None, 20),
    ),
]


@pytest.mark.parametrize(("usage", "expected"), USAGE)
def test_usage(usage, expected):
    """Counts as the provider sent them; anything else is no count."""
    for counted in (usage, SimpleNamespace(**usage) if isinstance(usage, dict) else usage):
        assert usage_of(counted) == expected


ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Hi",
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        },
        {"index": 1, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ho"}},
    ],
    "usage": {**CHAT_USAGE, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}},
}


@pytest.mark.parametrize("make", [dict, lambda **told: ChatCompletion.construct(**told)])
def test_a_chat_answer(make, recorder, content):
    """The SDK's object and the JSON of a raw body tell the same."""
    call = chat(recorder)
    read_chat_answer(call, make(**ANSWER))
    assert (call.response_id, call.response_model) == ("chatcmpl-1", "gpt-4o-mini-2024")
    assert call.finish_reasons == ["tool_call", "stop"]
    assert call.usage == Usage(10, 5, 0)
    assert call.attributes == {"openai.response.service_tier": "default", "openai.response.system_fingerprint": "fp_1"}
    first, second = made(call)
    assert [part["type"] for part in first["parts"]] == ["reasoning", "text", "tool_call"]
    assert second == {"role": "assistant", "parts": [{"type": "text", "content": "Ho"}]}
    call.stop()


def test_an_answer_says_no_more_than_it_says(recorder, content):
    """Choices without an end are `error`; empty names are no names."""
    call = chat(recorder)
    read_chat_answer(call, {"id": "", "model": "", "choices": [{"finish_reason": None}, {"finish_reason": "stop"}]})
    call.stop()
    attributes = recorder.span.attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("error", "stop")
    assert "gen_ai.response.id" not in attributes
    assert "gen_ai.response.model" not in attributes


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_call"),
        ("model_length", "length"),
        ("eos", "stop"),
        ("abort", "error"),
        ("their_own", "their_own"),
        ("x" * 100, "x" * 64),
        ("", "error"),
        (5, "error"),
        ([], "error"),
    ],
)
def test_finish_reasons(reason, told, recorder):
    """In the conventions' words, or in the server's own where they have none."""
    call = chat(recorder)
    read_chat_answer(call, {"choices": [{"finish_reason": reason}]})
    assert call.finish_reasons == [told]
    call.finish_reasons = None
    call.stop()


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.0,
    "model": "gpt-5-2026",
    "status": "completed",
    "service_tier": "default",
    "instructions": "Be brief.",
    "conversation": {"id": "conv_1"},
    "incomplete_details": None,
    "error": None,
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "secret"},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}


@pytest.mark.parametrize("make", [dict, lambda **told: Response.construct(**told)])
def test_a_response(make, recorder, content):
    """One message for all items; the id of a tool call is what its answer will name."""
    call = chat(recorder)
    read_responses_answer(call, make(**RESPONSE))
    assert (call.response_id, call.response_model, call.finish_reasons) == ("resp_1", "gpt-5-2026", ["tool_call"])
    assert call.usage == Usage(10, 5)
    assert call.attributes == {
        "openai.response.service_tier": "default",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.conversation.compacted": True,
    }
    assert [part["type"] for part in parts(call)] == ["reasoning", "compaction", "text", "tool_call"]
    assert parts(call)[3]["id"] == "call_1"
    call.stop()


@pytest.mark.parametrize("make", [dict, lambda **told: Response.construct(**told)])
def test_a_fetched_response(make, recorder, content):
    """What it says and how it stands; its tokens were counted when it was made."""
    call = fetch(recorder)
    read_fetched(call, make(**RESPONSE))
    assert (call.status, call.response_model, call.finish_reasons) == ("completed", "gpt-5-2026", ["tool_call"])
    assert call.attributes == {"openai.response.service_tier": "default"}
    assert len(parts(call)) == 4
    assert made(call, GenAI.SYSTEM_INSTRUCTIONS) == [{"type": "text", "content": "Be brief."}]
    assert made(call, GenAI.TOOL_DEFINITIONS) == [{"type": "function", "name": "f"}]
    call.stop()
    assert not [name for name in recorder.span.attributes if "usage" in name]


def test_a_fetched_response_without_answer(recorder, content):
    """One that waits says nothing yet."""
    call = fetch(recorder)
    read_fetched(call, {"status": "queued", "output": [], "instructions": None, "tools": None})
    assert (call.status, call.finish_reasons) == ("queued", None)
    call.stop()
    assert not set(recorder.span.attributes) & {
        GenAI.OUTPUT_MESSAGES,
        GenAI.SYSTEM_INSTRUCTIONS,
        GenAI.TOOL_DEFINITIONS,
    }


def ended(status, reason=None, *items):
    """A response that ended in this way."""
    return {"status": status, "incomplete_details": reason and {"reason": reason}, "output": list(items)}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (ended("completed"), "stop"),
        (ended("completed", None, {"type": "mcp_call"}), "stop"),
        (ended("completed", None, {"type": "custom_tool_call"}), "tool_call"),
        (ended("incomplete", "max_output_tokens"), "length"),
        (ended("incomplete", "content_filter"), "content_filter"),
        (ended("incomplete", "steered"), "steered"),
        (ended("incomplete"), "error"),
        (ended("failed"), "error"),
        (ended("cancelled"), "error"),
        (ended("queued"), None),
        (ended("in_progress"), None),
        (ended(None), None),
        (ended("new"), None),
        ("text", None),
    ],
)
def test_why_a_response_ended(response, reason):
    """Not at all, where it goes on, or does not tell."""
    assert responses_reason(response) == reason


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "Sorry"}}, ("server_error", "Sorry")),
        ({"status": "failed", "error": None}, ("_OTHER", None)),
        ({"error": {"code": 502, "message": "Bad gateway"}, "choices": None}, ("502", "Bad gateway")),
        ({"error": {"code": None, "type": "overloaded"}}, ("overloaded", None)),
        ({"error": {"code": "x" * 100, "message": "Long"}}, ("_OTHER", "Long")),
        ({"error": {"code": True, "message": "Odd"}}, ("_OTHER", "Odd")),
        ({"error": "down"}, ("_OTHER", "down")),
        ({"error": ""}, None),
        ({"error": {}}, None),
        ({"status": "completed", "error": None}, None),
        ({"status": "cancelled"}, None),
        ("text", None),
        (None, None),
    ],
)
def test_failures_behind_a_200(response, failure):
    """The API's code is the error's type; one that is no code is not."""
    assert failure_of(response) == failure
    if isinstance(response, dict):
        assert failure_of(Response.construct(**response)) == failure


@pytest.mark.parametrize("make", [dict, lambda **told: CreateEmbeddingResponse.construct(**told)])
def test_embeddings(make, recorder, content):
    """Model and tokens; the vectors are not looked at."""
    call = embeddings(recorder)
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
    read_embeddings_answer(call, make(model="e", data=vectors, usage={"prompt_tokens": 3, "completion_tokens": 0}))
    assert (call.response_model, call.usage) == ("e", Usage(3))
    call.stop()
    assert "0.25" not in str(dict(recorder.span.attributes))


ANSWERS = [
    (read_chat_answer, chat, ANSWER, ChatCompletion),
    (read_responses_answer, chat, RESPONSE, Response),
    (read_fetched, fetch, RESPONSE, Response),
    (read_embeddings_answer, embeddings, {"model": "e", "data": [], "usage": CHAT_USAGE}, CreateEmbeddingResponse),
]


@pytest.mark.parametrize(("read", "start", "answer", "kind"), ANSWERS)
def test_whatever_is_odd_is_read_all_the_same(read, start, answer, kind, recorder, content):
    """Any value at any place may be of any kind, in a dict or in the SDK's object: no exception, nothing invalid."""
    call = start(recorder)
    for told in (*ODD, *wrong(answer)):
        read(call, told)
        failure_of(told)
        check_all(call)
        if isinstance(told, dict) and told:
            read(call, kind.construct(**{str(key): value for key, value in told.items()}))
            check_all(call)
    call.finish_reasons = None
    call.stop()


ASKED = [
    (
        read_chat,
        chat,
        {
            **{key: value for kwargs, _ in CHAT for key, value in kwargs.items() if key != "metadata"},
            "messages": MESSAGES,
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "extra_body": {"top_k": 5},
        },
    ),
    (
        read_responses,
        chat,
        {
            **{key: value for kwargs, _ in RESPONSES for key, value in kwargs.items() if key != "reasoning"},
            "prompt": {"id": "p", "variables": {"a": "b", "c": {"type": "input_text", "text": "d"}}},
            "reasoning": {"effort": "low"},
            "input": [{"role": "user", "content": "Hi"}],
            "extra_body": {"top_k": 5},
        },
    ),
    (read_embeddings, embeddings, {"input": ["a", [1]], "dimensions": 1, "encoding_format": "float"}),
    (read_fetch, fetch, {"starting_after": 1}),
]


@pytest.mark.parametrize(("read", "start", "kwargs"), ASKED)
def test_whatever_is_asked_is_read_all_the_same(read, start, kwargs, recorder, content):
    """Any argument may be of any kind; what is written conforms."""
    for number, asked in enumerate(wrong(kwargs)):
        call = start(recorder)
        read(call, asked)
        check_all(call)
        if number % 10:
            call.input_content = {}
        call.stop()
