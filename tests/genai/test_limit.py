"""The limit of a content attribute: cut inside the longest texts, JSON stays JSON, what is gone is said."""

from __future__ import annotations

import json
import random

import jsonschema
import pytest

from spanloom.genai._content import as_plain, json_text
from spanloom.genai._limit import json_bytes, within
from tests._support.registry import DATA


def message(text, role="user"):
    """One message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def test_what_fits_is_not_touched():
    """The very same value, to the last byte that is allowed."""
    value = [message("x" * 100)]
    assert within(value, json_bytes(value)) is value


def test_the_longest_text_is_cut_and_the_others_stay():
    """A question is not lost because a document came with it."""
    value = [message("What is in it?"), message("d" * 10_000), message("short", "assistant")]
    cut = within(value, 1000)
    assert json_bytes(cut) <= 1000
    assert cut[0] == value[0]
    assert cut[2] == value[2]
    text = cut[1]["parts"][0]["content"]
    kept = text.partition("...")[0]
    assert text == f"{kept}... [{10_000 - len(kept):,} bytes cut]"
    assert len(kept) > 600


def test_two_long_texts_are_cut_to_the_same_length():
    """Nobody pays for somebody else."""
    cut = within([message("a" * 5000), message("b" * 9000), message("c")], 2000)
    first, second, third = (len(one["parts"][0]["content"]) for one in cut)
    assert abs(first - second) <= 3
    assert third == 1


@pytest.mark.parametrize("text", ["ü" * 4000, "\U0001f600" * 2000, '"\\\n' * 2000, "\x00" * 3000])
def test_texts_whose_bytes_are_more_than_their_characters(text):
    """The limit is in bytes of JSON text, escapes included."""
    cut = json_text([message(text)], 1500)
    assert len(cut.encode()) <= 1500
    assert "bytes cut]" in json.loads(cut)[0]["parts"][0]["content"]


def test_many_small_messages_lose_their_middle():
    """The first and the last stay, and one in their place says how many are gone."""
    value = [message(f"m{number}") for number in range(2000)]
    cut = within(value, 4000)
    assert json_bytes(cut) <= 4000
    assert cut[0] == value[0]
    assert cut[-1] == value[-1]
    (mark,) = [one for one in cut if one not in value]
    gone = len(value) - len(cut) + 1
    assert mark == {"role": "user", "parts": [{"type": "text", "content": f"[{gone:,} items cut]"}]}


def test_many_parts_lose_their_middle():
    """System instructions are a list of parts; the mark is one, too."""
    value = [{"type": "text", "content": "x" * 20} for _ in range(500)]
    cut = within(value, 2000)
    assert {"type": "text", "content": f"[{500 - len(cut) + 1:,} items cut]"} in cut


def test_what_has_no_long_text_and_no_items_becomes_a_text():
    """Ten thousand keys: the beginning of the JSON text, as one JSON string."""
    cut = json_text({f"key{number}": number for number in range(10_000)}, 1000)
    assert len(cut) <= 1000
    assert json.loads(cut).startswith('{"key0": 0')
    assert json.loads(cut).endswith("bytes cut]")


def test_one_huge_message_of_many_small_parts():
    """Neither its texts are long nor are there messages to leave out."""
    value = [{"role": "user", "parts": [{"type": "text", "content": "abc"} for _ in range(5000)]}]
    cut = json_text(value, 3000)
    assert len(cut.encode()) <= 3000
    json.loads(cut)


def test_events_have_the_same_limit():
    """As values, not as text; without what no exporter can encode."""
    rows = as_plain({"a": [message("x" * 5000)], "b": "\ud800"}, 700)
    assert json_bytes(rows["a"]) <= 700
    assert rows["b"] == "?"


@pytest.mark.parametrize("seed", range(40))
def test_any_shape_fits_and_stays_json(seed):
    """Random nesting, random texts, random limits."""
    chance = random.Random(seed)

    def anything(depth):
        kind = chance.randrange(6 if depth else 3)
        if kind == 0:
            return chance.choice('aé\U0001f600"\n') * chance.randrange(400)
        if kind == 1:
            return chance.choice([None, True, 3, 2.5])
        if kind == 2:
            return str(chance.random())
        if kind < 5:
            return [anything(depth - 1) for _ in range(chance.randrange(12))]
        return {f"k{number}": anything(depth - 1) for number in range(chance.randrange(12))}

    value = [anything(4) for _ in range(8)]
    limit = chance.randrange(300, 5000)
    text = json_text(value, limit)
    assert len(text.encode()) <= limit
    json.loads(text)


MESSAGES = "gen-ai-input-messages.json"


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "tool_call_response", "id": "c", "response": [0.123456789] * 40_000}],
        [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"rows": [[1, 2, 3]] * 40_000}}],
        [{"type": "text", "content": "x"}] * 20_000,
    ],
)
def test_a_cut_message_is_still_a_message(parts):
    """Large values that are no text, and very many parts: the list stays a list of messages by the schema."""
    told = [{"role": "user", "parts": [{"type": "text", "content": "q"}]}, {"role": "tool", "parts": parts}]
    cut = within(told, 100_000)
    assert json_bytes(cut) <= 100_000
    jsonschema.validate(cut, json.loads((DATA / MESSAGES).read_text(encoding="utf-8")))
    assert cut[0] == told[0]
    assert cut[1]["role"] == "tool"


def test_tools_that_are_left_out_are_marked_as_a_tool():
    """A definition has a type and a name."""
    tools = [{"type": "function", "name": f"tool_{at}"} for at in range(20_000)]
    cut = within(tools, 10_000)
    assert json_bytes(cut) <= 10_000
    assert all(one.keys() == {"type", "name"} for one in cut)
