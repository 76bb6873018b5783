"""What is taken from the chunks of a streamed chat: the whole answer, and no chunk."""

from __future__ import annotations

import base64
import gc
import hashlib
import random
import weakref
from types import SimpleNamespace

import pytest
from openai.types.chat import ChatCompletionChunk

from spanloom.genai import Usage
from spanloom.openai import _chat_stream
from spanloom.openai._chat_stream import ChatRead
from tests.openai._reading import chat, check_all, made, parts, wrong_streams

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2024"}


def chunk(*choices, **more):
    """A chunk as a server sends it."""
    return {**HEAD, "choices": list(choices), **more}


def piece(index=0, reason=None, **delta):
    """What a chunk adds to one choice."""
    return {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}


def calling(index=0, call_id=None, name=None, arguments=None):
    """A piece of a tool call."""
    return piece(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}])


def as_objects(chunks):
    """What the SDK gives the caller."""
    return [ChatCompletionChunk.construct(**one) for one in chunks]


def as_namespaces(chunks):
    """Objects of some other library."""

    def convert(value):
        if isinstance(value, dict):
            return SimpleNamespace(**{key: convert(one) for key, one in value.items()})
        return [convert(one) for one in value] if isinstance(value, list) else value

    return [convert(one) for one in chunks]


def read(call, chunks):
    """Take all of them and seal."""
    one = ChatRead(call)
    for chunk_ in chunks:
        one.take(chunk_)
    one.seal(True)
    return call


FORMS = pytest.mark.parametrize("form", [as_objects, list, as_namespaces])


@FORMS
def test_a_plain_answer(form, recorder, content):
    """Text, end, usage and who answered, in whatever form chunks come."""
    chunks = [
        chunk(piece(role="assistant", content=""), service_tier="default", system_fingerprint="fp"),
        chunk(piece(content="Hel")),
        chunk(piece(content="lo")),
        chunk(piece(reason="stop")),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 2}),
    ]
    call = read(chat(recorder), form(chunks))
    assert (call.response_id, call.response_model, call.finish_reasons) == ("chatcmpl-1", "m-2024", ["stop"])
    assert call.usage == Usage(3, 2)
    assert call.attributes == {"openai.response.service_tier": "default", "openai.response.system_fingerprint": "fp"}
    assert parts(call) == [{"type": "text", "content": "Hello"}]
    call.stop()


@FORMS
def test_an_answer_with_everything(form, recorder, content):
    """Reasoning by either name, refusal, tool calls of each kind, speech."""
    halves = [base64.b64encode(one).decode() for one in (b"he", b"llo")]
    chunks = [
        chunk(piece(reasoning_content="hm")),
        chunk(piece(reasoning=" so", content=None)),
        chunk(piece(content="a", refusal="no")),
        chunk(calling(0, "1", "f", "")),
        chunk(calling(0, None, None, '{"a"')),
        chunk(calling(0, "", None, ": 1}")),
        chunk(calling(1, "2", "g", "{}")),
        chunk(piece(tool_calls=[{"index": 2, "id": "3", "custom": {"name": "h", "input": "x"}}])),
        chunk(piece(function_call={"name": "old", "arguments": "{"})),
        chunk(piece(function_call={"arguments": "}"})),
        chunk(piece(audio={"id": "a", "data": halves[0], "transcript": "He"})),
        chunk(piece(audio={"data": halves[1], "transcript": "llo"})),
        chunk(piece(reason="tool_calls")),
    ]
    call = read(chat(recorder), form(chunks))
    assert call.finish_reasons == ["tool_call"]
    assert parts(call) == [
        {"type": "reasoning", "content": "hm so"},
        {"type": "text", "content": "a"},
        {"type": "refusal", "content": "no"},
        {"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call", "id": "2", "name": "g", "arguments": {}},
        {"type": "tool_call", "id": "3", "name": "h", "arguments": "x"},
        {"type": "tool_call", "id": None, "name": "old", "arguments": {}},
        {
            "type": "blob",
            "modality": "audio",
            "content": "",
            "sha256": hashlib.sha256(b"hello").hexdigest(),
            "bytes": 5,
            "transcript": "Hello",
        },
    ]
    call.stop()


def test_several_choices(recorder, content):
    """Each its own text and end, in the order of their numbers; one that never ends is an `error`."""
    chunks = [
        chunk(piece(1, content="b1")),
        chunk(piece(0, content="a1")),
        chunk(piece(0, content="a2"), piece(1, content="b2")),
        chunk(piece(1, reason="length")),
    ]
    call = read(chat(recorder), as_objects(chunks))
    assert [one["parts"][0]["content"] for one in made(call)] == ["a1a2", "b1b2"]
    assert call.finish_reasons == ["error", "length"]
    call.stop()


def test_a_stream_without_end(recorder, content):
    """What was said so far is kept."""
    call = read(chat(recorder), as_objects([chunk(piece(content="Hel"))]))
    assert (call.finish_reasons, parts(call)) == (["error"], [{"type": "text", "content": "Hel"}])
    call.stop()


def test_a_stream_without_chunks(recorder, content):
    """One answer was expected, and none came."""
    call = read(chat(recorder), [])
    assert (call.finish_reasons, call.usage, call.output_content) == (["error"], None, {})
    call.stop()


def test_without_content_no_text_is_taken(recorder):
    """Ends and counts are."""
    one = ChatRead(call := chat(recorder))
    for chunk_ in as_objects([chunk(piece(content="x")), chunk(piece(content="y")), chunk(calling(0, "1", "f", "{}"))]):
        one.take(chunk_)
    one.take(ChatCompletionChunk.construct(**chunk(piece(reason="stop"), usage={"prompt_tokens": 1})))
    assert one._choices[0].texts == []
    one.seal(True)
    assert (call.finish_reasons, call.usage, call.output_content) == (["stop"], Usage(1), {})
    call.stop()


def test_azure_tells_its_filters_first(recorder):
    """A chunk without choices, id and model comes before the answer's own."""
    first = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{}]}
    call = read(chat(recorder), as_objects([first, chunk(piece(content="a")), chunk(piece(reason="stop"))]))
    assert (call.response_id, call.response_model, call.finish_reasons) == ("chatcmpl-1", "m-2024", ["stop"])
    call.stop()


def test_usage_that_is_told_with_each_chunk(recorder):
    """The last one counts."""
    chunks = [chunk(piece(content="a"), usage={"prompt_tokens": 1, "completion_tokens": made_}) for made_ in (1, 2, 3)]
    call = read(chat(recorder), as_objects(chunks))
    assert call.usage == Usage(1, 3)
    call.stop()


@FORMS
@pytest.mark.parametrize("place", ["x_groq", "choice"])
def test_usage_that_others_put_elsewhere(place, form, recorder):
    """Groq's in a field of its own, Moonshot's in the last choice; what comes later, or at the top, wins."""
    used = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    end = chunk(last, x_groq={"id": "r", "usage": used}) if place == "x_groq" else chunk({**last, "usage": used})
    call = chat(recorder)
    read(call, form([chunk(piece(content="a")), chunk(piece(content="b"), x_groq={"id": "r"}), end]))
    assert (call.usage.input_tokens, call.usage.output_tokens) == (3, 2)
    call = chat(recorder)
    read(call, form([end, chunk(usage={**used, "prompt_tokens": 4})]))
    assert call.usage.input_tokens == 4


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        # Gemini: no numbers, one chunk a call.
        ([(None, "1", "f", "{}"), (None, "2", "g", "{}")], [("1", "f", {}), ("2", "g", {})]),
        # No numbers, in pieces.
        ([(None, "1", "f", "["), (None, None, None, "]")], [("1", "f", [])]),
        # Numbers that stop.
        ([(0, "1", "f", "["), (None, None, None, "]")], [("1", "f", [])]),
        # All of them have number 0.
        ([(0, "1", "f", "{}"), (0, "2", "g", "{}")], [("1", "f", {}), ("2", "g", {})]),
        # Both at once, in turn.
        (
            [(0, "1", "f", "["), (1, "2", "g", "{"), (0, None, None, "]"), (1, None, None, "}")],
            [("1", "f", []), ("2", "g", {})],
        ),
        # The id comes late, or with each piece.
        ([(0, None, "f", "["), (0, "1", None, "]")], [("1", "f", [])]),
        ([(0, "1", "f", "["), (0, "1", "f", "]")], [("1", "f", [])]),
        # Nothing but arguments.
        ([("x", None, None, "{}")], [(None, "", {})]),
    ],
)
def test_tool_calls_however_they_are_numbered(pieces, calls, recorder, content):
    """Pieces find their call; parallel calls stay apart."""
    call = read(chat(recorder), as_objects([chunk(calling(*one)) for one in pieces]))
    assert [(one["id"], one["name"], one["arguments"]) for one in parts(call)] == calls
    call.stop()


def test_a_model_that_sends_lists(recorder, content):
    """Mistral's: what it thinks and what it says come as parts."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    chunks = [chunk(piece(content=thinking)), chunk(piece(content=[{"type": "text", "text": "a"}]))]
    call = read(chat(recorder), as_objects([*chunks, chunk(piece(content="b"))]))
    assert parts(call) == [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "ab"}]
    call.stop()


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"index": None, "delta": None}]},
        {"choices": [{"index": [], "delta": {"content": "x"}}]},
        {"choices": [{"delta": {"tool_calls": [None, {"index": None}]}}]},
        {"choices": [{"delta": {"tool_calls": {"a": 1}, "audio": "x", "function_call": 3}}]},
        {"choices": [piece(content=5)]},
        {"choices": [piece(reason=5)]},
    ],
)
def test_odd_chunks_change_nothing_of_the_rest(odd, recorder, content):
    """Some gateways send them between good ones."""
    good = [chunk(piece(content="a")), chunk(piece(content="b")), chunk(piece(reason="stop"))]
    call = read(chat(recorder), as_objects([good[0], {**HEAD, **odd}, *good[1:]]))
    (message,) = made(call)
    assert "".join(part["content"] for part in message["parts"] if part["type"] == "text").replace("x", "") == "ab"
    assert call.finish_reasons == ["stop"]
    call.stop()


EVERYTHING = [
    chunk(piece(role="assistant", content="", reasoning_content="hm"), service_tier="default"),
    chunk(piece(content="a", refusal="no")),
    chunk(calling(0, "1", "f", "{}"), piece(1, content="b")),
    chunk(piece(function_call={"name": "old", "arguments": "{}"}, audio={"data": "aGk=", "transcript": "Hi"})),
    chunk(piece(reason="stop"), usage={"prompt_tokens": 1, "completion_tokens": 1}),
]


@pytest.mark.parametrize("form", [as_objects, list])
def test_whatever_is_odd_is_taken_all_the_same(form, recorder, content):
    """Any value at any place may be of any kind: no exception, and what comes out is valid."""
    for chunks in wrong_streams(EVERYTHING, form):
        call = chat(recorder)
        read(call, chunks)
        check_all(call)


def test_however_a_text_is_cut_it_is_whole(recorder, content):
    """Pieces of every length, over three choices, in any order."""
    rng = random.Random(4)
    for _ in range(50):
        texts = ["".join(rng.choices("abc äß\n", k=rng.randrange(40))) for _ in range(3)]
        left = dict(enumerate(texts))
        chunks = []
        while left:
            index = rng.choice(list(left))
            cut = rng.randrange(1, 6)
            chunks.append(chunk(piece(index, content=left[index][:cut])))
            left[index] = left[index][cut:]
            if not left[index]:
                del left[index]
        call = read(chat(recorder), as_objects(chunks))
        assert ["".join(part["content"] for part in one["parts"]) for one in made(call)] == texts


def test_chunks_are_not_kept(recorder, content):
    """Not one of them, nor their choices."""
    one = ChatRead(chat(recorder))
    chunks = as_objects(EVERYTHING)
    watched = [weakref.ref(value) for chunk_ in chunks for value in (chunk_, *chunk_.choices)]
    for chunk_ in chunks:
        one.take(chunk_)
    del chunk_, chunks
    gc.collect()
    assert [ref() for ref in watched] == [None] * len(watched)


def test_a_stream_that_never_ends_is_kept_in_bounds(recorder, content, monkeypatch):
    """Choices, calls and characters have a limit; what is missing is said."""
    monkeypatch.setattr(_chat_stream, "_MAX_CHARS", 10)
    monkeypatch.setattr(_chat_stream, "_MAX_CHOICES", 2)
    monkeypatch.setattr(_chat_stream, "_MAX_CALLS", 2)
    call = chat(recorder)
    chunks = [chunk(piece(index, content="abcdef")) for index in range(5)]
    chunks += [chunk(calling(index, str(index), "f", "")) for index in range(5)]
    chunks += [chunk(piece(content="1234")), chunk(piece(content="5678"))]
    read(call, as_objects(chunks))
    first, second = made(call)
    assert [part["type"] for part in first["parts"]] == ["text", "tool_call", "tool_call"]
    assert (first["parts"][0]["content"], second["parts"]) == (
        "abcdef",
        [{"type": "text", "content": "[10 characters not kept]"}],
    )
    call.stop()


def test_empty_pieces_take_no_room(recorder, content):
    """However many there are."""
    call = chat(recorder)
    one = ChatRead(call)
    for empty in as_objects([chunk(piece(content=""))] * 50):
        one.take(empty)
    assert one._choices[0].texts == []
