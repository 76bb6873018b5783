"""JSON text: what is found goes at any depth and behind any escape; all else stays byte by byte."""

from __future__ import annotations

import json
import random
import re

import pytest

from spanloom.redaction import PII, Redactor
from tests.redaction.secrets_corpus import KEYS, some

KEY = KEYS["openai_key"][0]
MARK = "[redacted:openai_key]"
NAMED = "[redacted:named_secret]"
SECRETS = [one for rule, all_of in KEYS.items() for one in all_of if rule != "private_key"]
WORDS = [
    "",
    "a",
    "the answer",
    "12",
    "žluť",
    "日本",
    "😀",
    'say "x"',
    "back\\slash",
    "a\nb",
    "\t",
    "C:\\new",
    "</p>",
    "\u2028",
]


def test_only_the_changed_string_is_written_anew():
    """Blanks, the order of keys, escapes and figures stay as they were."""
    text = '{ "b" : 1.50,\n "a":"\\u00e9\\/", "c": ["see %s", 1e5, -0.0, 12345678901234567890123] }'
    assert Redactor().text(text % KEY) == text % MARK


@pytest.mark.parametrize(
    "escape", ["\\n", "\\t", "\\r", "\\b", "\\f", "\\\\", '\\"', "\\/", "\\u000a", "\\u003d", "\\u00a0"]
)
def test_an_escape_before_a_key(escape):
    """Its last letter is no part of the word."""
    text = f'{{"content": "x{escape}%s{escape}"}}'
    assert json.loads(Redactor().text(text % KEY)) == json.loads(text % MARK)


def test_a_key_in_escapes():
    """Escaped letters and hyphens are what they stand for."""
    for one in SECRETS:
        spelt = "".join(f"\\u{ord(letter):04x}" for letter in one)
        some_spelt = "".join(f"\\u{ord(letter):04X}" if letter in "-_.:" else letter for letter in one)
        for text in (spelt, some_spelt):
            found = Redactor().text(f'["{text}"]')
            assert one not in json.loads(found)[0]
            assert json.loads(found)[0].startswith("[redacted:")


def test_json_in_json():
    """Arguments of tools are JSON text in JSON text; all levels stay valid."""
    text = json.dumps({"password": "x1", "deep": [KEY, 'quote " and \\']})
    for _ in range(4):
        text = json.dumps([{"arguments": text}])
    found = Redactor().text(text)
    for _ in range(4):
        found = json.loads(found)[0]["arguments"]
    assert json.loads(found) == {"password": NAMED, "deep": [MARK, 'quote " and \\']}


def test_what_stands_below_a_secret_key_goes():
    """Texts and figures at any depth below; flags, nothing and the keys stay."""
    text = (
        '{"credentials": {"user": "me", "pins": [1, 2.5, null, true]}, "n": 1, "api_key": 7, "token": null, "pwd": ""}'
    )
    found = json.loads(Redactor().text(text))
    assert found == {
        "credentials": {"user": NAMED, "pins": [NAMED, NAMED, None, True]},
        "n": 1,
        "api_key": NAMED,
        "token": None,
        "pwd": "",
    }


def test_pairs_are_headers():
    """The second of two after the name of a secret goes, and no third one."""
    pairs = [
        ["x-api-key", "abc"],
        ["accept", "json"],
        ["authorization", "Token abcdef"],
        ["password", "a", "b"],
        ["token"],
    ]
    found = json.loads(Redactor().text(json.dumps(pairs)))
    assert found == [["x-api-key", NAMED], ["accept", "json"], ["authorization", NAMED], *pairs[3:]]
    assert Redactor().body(pairs) == found


def test_the_schema_of_a_secret_is_none():
    """Definitions of tools stay, with the types of their fields."""
    schema = {
        "properties": {"password": {"type": "string"}, "api_key": {"anyOf": [{"type": "string"}]}},
        "required": ["password"],
    }
    text = json.dumps([{"name": "login", "parameters": schema}])
    assert Redactor().text(text) is text
    assert Redactor().body(schema) is schema


def test_a_secret_as_a_key_goes_as_well():
    """Only then a key changes."""
    assert json.loads(Redactor().text(json.dumps({KEY: 1, "b": 2}))) == {MARK: 1, "b": 2}


def test_other_scripts_stay_as_they_were_spelt():
    """Escaped where they were escaped, and as characters where they were such."""
    value = {"t": f"日本 {KEY} é"}
    for ascii_only in (True, False):
        found = Redactor().text(json.dumps(value, ensure_ascii=ascii_only))
        assert found == json.dumps({"t": f"日本 {MARK} é"}, ensure_ascii=ascii_only)


@pytest.mark.parametrize(
    "pair", [["token", "password"], ["cookie", "recipe book"], ["password", "reset"], ["api_key", "first_name"]]
)
def test_lists_of_two_names_are_no_headers(pair):
    """A tool's ``required`` fields, as they stand, in JSON and nested."""
    text = json.dumps({"required": pair})
    redactor = Redactor()
    assert redactor.text(text) is text
    assert redactor.body(pair) is pair


def test_halves_of_surrogate_pairs():
    """They are no characters; the text can be encoded as before."""
    found = Redactor().text(f'["é \\ud83d {KEY}"]')
    assert json.loads(found) == [f"é \ud83d {MARK}"]
    found.encode()


@pytest.mark.parametrize(
    "text", ['{"a": "%s', '[{"a": "%s"}', '{"a": "%s"} tail', "[INFO] %s", "{'a': '%s'}", "[%s]", "{%s}"]
)
def test_what_is_no_json_is_text(text):
    """Cut off, or only similar."""
    assert Redactor().text(text % KEY) == text % MARK


def test_deep_and_large_figures():
    """What Python's reader refuses is read as plain text, and is found all the same."""
    deep = "[" * 100_000 + f'"{KEY}"' + "]" * 100_000
    assert Redactor().text(deep) == deep.replace(KEY, MARK)
    large = f'[{"9" * 5000}, "{KEY}"]'
    assert Redactor().text(large) == large.replace(KEY, MARK)


def spelt(dice: random.Random, text: str) -> str:
    """A JSON string with escapes chosen at random."""
    out = []
    for letter in text:
        way = dice.random()
        if way < 0.1 and ord(letter) < 0x10000:
            out.append(f"\\u{ord(letter):04x}")
        elif way < 0.3 and letter == "/":
            out.append("\\/")
        else:
            out.append(json.dumps(letter, ensure_ascii=dice.random() < 0.5)[1:-1])
    return f'"{"".join(out)}"'


def made(dice: random.Random, planted: list[str], depth: int = 0) -> str:
    """JSON text with secrets in it, at any depth and in JSON texts inside."""
    kind = dice.randrange(8 if depth < 4 else 4)
    gap = dice.choice(["", " ", "\n  "])
    if kind == 0:
        return dice.choice(["1", "-2.50", "1e9", "true", "false", "null", "0"])
    if kind in {1, 2}:
        return spelt(dice, " ".join(dice.choices(WORDS, k=dice.randrange(4))))
    if kind == 3:
        secret = dice.choice(SECRETS)
        planted.append(secret)
        before, after = (
            dice.choice(["", "key ", "\n", "(", "é", '"', "\\"]),
            dice.choice(["", " ok", "\n", ")", '"', "。"]),
        )
        return spelt(dice, f"{before}{secret}{after}")
    if kind == 4:
        return spelt(dice, made(dice, planted, depth + 1))
    items = [made(dice, planted, depth + 1) for _ in range(dice.randrange(4))]
    if kind in {5, 6}:
        return f"[{gap}" + f",{gap}".join(items) + f"{gap}]"
    names = [json.dumps(dice.choice(["a", "text", "content", "n", "x y"]) + str(at)) for at in range(len(items))]
    return "{" + f",{gap}".join(f"{name}:{gap}{item}" for name, item in zip(names, items, strict=True)) + "}"


def seen(value, show):
    """The value with its texts as ``show`` has them; JSON texts in it are read, however deep they are."""
    if isinstance(value, dict):
        return {key: seen(one, show) for key, one in value.items()}
    if isinstance(value, list):
        return [seen(one, show) for one in value]
    if not isinstance(value, str):
        return value
    try:
        return "JSON", seen(json.loads(value), show)
    except ValueError:
        return show(value)


LONGEST_FIRST = sorted(SECRETS, key=len, reverse=True)


def without(text: str) -> str:
    """As it should be, with a sign for each secret."""
    for one in LONGEST_FIRST:
        text = text.replace(one, "§")
    return text


def marked(text: str) -> str:
    """As it is, with the sign for each mark."""
    return re.sub(r"\[redacted:[^]]*\]", "§", text)


@pytest.mark.parametrize("seed", range(60))
def test_planted_secrets_go_and_nothing_else_changes(seed):
    """Random JSON with secrets at random places, spelt at random."""
    dice = random.Random(seed)
    plain, full = Redactor(), Redactor(pii=PII)
    for _ in range(10):
        planted: list[str] = []
        text = f"[{made(dice, planted)}, {made(dice, planted)}]"
        found = plain.text(text)
        before, after = json.loads(text), json.loads(found)
        assert seen(after, marked) == seen(before, without)
        assert (found is text) is not planted or not planted
        assert plain.text(found) is found
        assert seen(json.loads(full.text(text)), lambda text: "") == seen(before, lambda text: "")


def test_what_hides_in_escapes_of_broken_json():
    """No reader will read it, and nobody shall read the key in it."""
    spelt_key = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    text = f'{{"a": "é\\u00e9 {spelt_key} \\u0041", "b'
    assert Redactor().text(text) == text.replace(spelt_key, MARK)


def test_texts_without_a_find_are_the_same_object():
    """Nothing is copied."""
    dice = random.Random(7)
    redactor = Redactor()
    for _ in range(300):
        text = json.dumps([" ".join(dice.choices(WORDS, k=5)), {"n": dice.random(), "id": some(12)}])
        assert redactor.text(text) is text
