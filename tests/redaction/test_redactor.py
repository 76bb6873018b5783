"""The redactor: attributes, bodies, hashes, counts, and what happens where it fails."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import namedtuple
from types import MappingProxyType

import pytest

from spanloom import semconv
from spanloom.genai import _guard
from spanloom.redaction import FAILED, PII, Redactor, _keys, _redactor
from spanloom.redaction._rules import Own
from tests.redaction.secrets_corpus import KEYS

KEY = KEYS["openai_key"][0]
MARK = "[redacted:openai_key]"
NAMED = "[redacted:named_secret]"
HASH_KEY = b"0123456789abcdef"
CLEAN = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-AbCdEf1234567890ghIJkl",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.token.type": "input",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.request.temperature": 0.5,
    "session.id": "s-1",
    "user.id": "u-1",
    "server.port": 443,
    "error": False,
    "nothing": None,
    "blob": b"\x00\xff",
    "nested": {"a": [1, {"b": "c"}]},
}


def test_clean_attributes_cost_no_copy():
    """``None`` says that nothing is to change."""
    assert Redactor(pii=PII).attributes(CLEAN) is None
    assert Redactor().attributes({}) is None


def test_a_new_dict_where_something_changes():
    """The rest is the same, in the same order, and the given mapping stays as it was."""
    given = MappingProxyType({**CLEAN, "note": f"key {KEY}", "last": 1})
    found = Redactor().attributes(given)
    assert found == {**CLEAN, "note": f"key {MARK}", "last": 1}
    assert list(found) == list(given)
    assert given["note"] == f"key {KEY}"


@pytest.mark.parametrize(
    "key",
    [
        "http.request.header.authorization",
        "db.password",
        "api_key",
        "x-api-key",
        "apiKey",
        "client.secret",
        "cookie",
        "PGPASSWORD",
    ],
)
def test_secrets_by_the_name_of_their_key(key):
    """Whole, whatever they look like; sequences keep their length and their type."""
    values = {"plain": "x", "pair": ("a", "b"), "row": ["a"], "figure": 7_654_321, "raw": b"abc"}
    redactor = Redactor()
    for value, expected in zip(values.values(), [NAMED, (NAMED, NAMED), [NAMED], NAMED, NAMED], strict=True):
        assert redactor.attributes({key: value}) == {key: expected}
    for value in (None, True, "", NAMED):
        assert redactor.attributes({key: value}) is None


def test_no_name_of_the_conventions_is_a_secret():
    """Names that we write ourselves, headers aside, are looked at by their values."""
    keys = _keys.Keys((), (), "replace")
    tables = [vars(semconv)[name] for name in dir(semconv) if isinstance(vars(semconv)[name], type)]
    names = {
        one
        for table in tables
        for one in vars(table).values()
        if isinstance(one, str) and "." in one and " " not in one
    }
    assert len(names) > 100
    assert [name for name in names if keys.decide(name) is not _keys.SCAN] == []


def test_known_keys_are_bounded():
    """Keys that are made up by the thousand do not stay."""
    keys = _keys.Keys((), (), "replace")
    for at in range(3 * _keys.MAX_KNOWN):
        keys.decide(f"key.{at}")
    assert len(keys.known) <= _keys.MAX_KNOWN


def test_bytes_stay_bytes():
    """UTF-8 or not."""
    for raw in (f"é {KEY}".encode(), b"\xff\xfe " + KEY.encode()):
        found = Redactor().attributes({"raw": raw})
        assert found == {"raw": raw.replace(KEY.encode(), MARK.encode())}
    array = bytearray(KEY.encode())
    assert Redactor().body(array) == bytearray(MARK.encode())


def test_bodies_of_any_nesting():
    """Lists, tuples, named tuples and mappings keep their type; what has nothing in it is the same object."""
    point = namedtuple("point", "x text")
    clean = {"a": [1, "b", ("c", None)]}
    value = {"clean": clean, "rows": [("x", KEY, 1)], "point": point(1, KEY), 5: "five"}
    found = Redactor().body(value)
    assert found == {"clean": clean, "rows": [("x", MARK, 1)], "point": point(1, MARK), 5: "five"}
    assert found["clean"] is clean
    assert type(found["point"]) is point
    for same in (clean, "text", 5, None, b"x", (1, 2), object()):
        assert Redactor().body(same) is same


def test_bodies_that_contain_themselves():
    """What cannot be walked to its end is left out, and loudly."""
    ring: list[object] = [KEY]
    ring.append(ring)
    assert Redactor().body(ring) == [MARK, FAILED]
    table: dict[str, object] = {"password": {}}
    table["password"]["again"] = table["password"]
    assert Redactor().body(table) == {"password": {"again": FAILED}}
    deep: object = KEY
    for _ in range(100):
        deep = [deep]
    assert KEY not in str(Redactor().body(deep))


def test_everything_below_a_secret_name_in_a_body():
    """As in JSON text."""
    value = {
        "credentials": {"user": "me", "pins": [1, None, ("a",)]},
        "headers": [(b"x-api-key", b"abc"), ("accept", "x")],
    }
    assert Redactor().body(value) == {
        "credentials": {"user": NAMED, "pins": [NAMED, None, (NAMED,)]},
        "headers": [(b"x-api-key", NAMED), ("accept", "x")],
    }


def test_texts_of_subclasses():
    """An enumeration's text is looked at, too."""

    class Text(str):
        """A text of the application."""

    clean = Text("clean")
    assert Redactor().text(clean) is clean
    assert Redactor().attributes({"a": Text(KEY)}) == {"a": MARK}


def test_hashes_are_keyed_and_tell_equal_from_different():
    """64 bits of the HMAC-SHA256 of what was found."""
    redactor = Redactor(action="hash", hash_key=HASH_KEY)
    digest = hmac.new(HASH_KEY, KEY.encode(), hashlib.sha256).hexdigest()[:16]
    assert redactor.text(f"a {KEY} b {KEY}") == f"a [openai_key:{digest}] b [openai_key:{digest}]"
    found = redactor.attributes({"api_key": "abc", "token": "abd"})
    assert found["api_key"] != found["token"]
    assert redactor.attributes(found) is None
    assert redactor.text(redactor.text(KEY)) == f"[openai_key:{digest}]"
    assert Redactor(action="hash", hash_key=b"f" * 16).text(KEY) != f"[openai_key:{digest}]"


def test_wrong_arguments():
    """A kind that is not known, a hash without a key."""
    with pytest.raises(ValueError, match="unknown kinds: mail; known: email, card"):
        Redactor(pii=["mail"])
    for wrong in ({"action": "hash"}, {"rules": [Own("a", attribute=("x",), action="hash")]}):
        with pytest.raises(ValueError, match="needs a key"):
            Redactor(**wrong)


def test_counts():
    """By rule, over all that the redactor did; what it gives is a copy."""
    redactor = Redactor(pii=["email"])
    redactor.attributes({"a": f"{KEY} {KEY}", "password": "x", "mail": "to a@example.com"})
    counts = redactor.counts()
    assert counts == {"openai_key": 2, "named_secret": 1, "email": 1}
    counts.clear()
    assert redactor.counts()


def test_many_threads():
    """No lock, and nothing is lost but a count."""
    redactor = Redactor(pii=PII)
    wrong: list[object] = []

    def work() -> None:
        for at in range(300):
            found = redactor.attributes({f"k{at}": f"{KEY} {at}", "password": "x"})
            if found != {f"k{at}": f"{MARK} {at}", "password": NAMED}:
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_texts_that_are_too_long_go_whole(monkeypatch):
    """Only where they may hold something; a long clean one stays."""
    monkeypatch.setattr(_redactor, "MAX_TEXT", 1000)
    redactor = Redactor()
    clean = "word " * 1000
    assert redactor.text(clean) is clean
    assert redactor.text(clean + KEY) == "[redacted:too_long]"
    assert redactor.counts() == {"too_long": 1}


class Broken(dict):
    """A mapping whose reading fails."""

    def items(self):
        raise RuntimeError("no items")


@pytest.fixture
def faults(monkeypatch):
    """As in production: what fails is told and kept from the caller."""
    told: list[str] = []
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_guard, "report", lambda place, error: told.append(place))
    return told


def test_a_fault_never_lets_a_value_pass(faults, monkeypatch):
    """The value it happened at becomes a mark, and only that."""
    redactor = Redactor()
    look = _redactor.look

    def failing(scan, text, found):
        if "bad" in text:
            raise RuntimeError("bad")
        return look(scan, text, found)

    monkeypatch.setattr(_redactor, "look", failing)
    assert redactor.text(f"bad {KEY}") == FAILED
    assert redactor.body({"a": f"bad {KEY}"}) == FAILED
    assert redactor.attributes({"a": f"bad {KEY}", "b": f"good {KEY}", "c": 1}) == {
        "a": FAILED,
        "b": f"good {MARK}",
        "c": 1,
    }
    assert faults == ["redaction"] * 3


def test_attributes_that_cannot_be_read_are_none_at_all(faults):
    """Nobody knows what is in them."""
    assert Redactor().attributes(Broken(a=KEY)) == {}
    assert Redactor().attributes({"a": Broken(b=KEY)}) == {"a": FAILED}
    assert Redactor().body(Broken(a=KEY)) == FAILED
    assert faults == ["redaction"] * 3


def test_a_fault_in_the_first_look(faults, monkeypatch):
    """Even then nothing passes."""
    redactor = Redactor()
    monkeypatch.setattr(redactor._scan, "_persons", None)
    monkeypatch.setattr(redactor._scan, "pii", frozenset(["email"]))
    assert redactor.text(f"a {KEY}") == FAILED
    assert redactor.attributes({"a": KEY, "b": 1}) == {}
    assert len(faults) == 2


def test_faults_surface_in_our_tests(monkeypatch):
    """They are mistakes of ours."""
    monkeypatch.setattr(_guard, "RERAISE", True)
    with pytest.raises(RuntimeError, match="no items"):
        Redactor().attributes(Broken(a=KEY))
