"""Secrets: each form is found and only it is taken out; what looks like one stays."""

from __future__ import annotations

import json

import pytest

from spanloom.redaction import Redactor
from tests.redaction.secrets_corpus import KEYS, NAMED, NEGATIVES, PASSWORDS, pem

FORMS = [(rule, one) for rule, all_of in KEYS.items() for one in all_of]
VALUES = [(rule, around, one) for rule, all_of in NAMED.items() for around, one in all_of]
AROUND = ["{}", "my key is {}", "key: {}, thanks", "({})", "'{}'", '"{}"', "a={};b", "{}\n", "\n{}", "x/{}/y"]


def put(around, secret):
    """The secret in its place."""
    return around.replace("{}", secret)


def test_the_corpus_is_large():
    """At least 120 strings."""
    assert len(FORMS) + len(VALUES) + len(NEGATIVES) >= 120
    assert len(NEGATIVES) >= 100


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("rule", KEYS)
def test_each_form_is_found_wherever_it_stands(rule, around):
    """The mark names its rule, and what is around it stays."""
    for one in KEYS[rule]:
        redactor = Redactor()
        text = put(around, one)
        assert redactor.text(text) == put(around, f"[redacted:{rule}]")
        assert redactor.counts() == {rule: 1}


@pytest.mark.parametrize(("rule", "around", "secret"), VALUES)
def test_values_are_found_by_their_name(rule, around, secret):
    """Only the value goes."""
    assert Redactor().text(put(around, secret)) == put(around, f"[redacted:{rule}]")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("around", ['password="{}"', "{'password': '{}'}", "password={}\n", "postgres://u:{}@h/d"])
def test_any_password(around, password):
    """Whatever characters it has."""
    found = Redactor().text(put(around, password))
    assert password not in found
    assert found.startswith(around.split("{}")[0])


@pytest.mark.parametrize("text", NEGATIVES)
def test_what_looks_like_a_secret_stays(text):
    """The very same object comes back."""
    redactor = Redactor()
    assert redactor.text(text) is text
    assert redactor.counts() == {}


@pytest.mark.parametrize("text", NEGATIVES)
def test_it_stays_in_json_as_well(text):
    """As the text of a message, and as JSON in JSON."""
    inner = json.dumps({"content": text, "n": 1})
    for one in (inner, json.dumps([{"arguments": inner}]), json.dumps([text], ensure_ascii=False)):
        assert Redactor().text(one) is one


@pytest.mark.parametrize(("rule", "one"), FORMS)
def test_redacting_twice_changes_nothing_more(rule, one):
    """Marks are no secrets, whichever name stands before them."""
    redactor = Redactor()
    for text in (one, f"api_key={one}", json.dumps({"password": one, "text": f"token: {one}"})):
        once = redactor.text(text)
        assert one not in once
        assert redactor.text(once) is once


@pytest.mark.parametrize(("rule", "one"), FORMS)
def test_raw_escapes_before_a_key(rule, one):
    r"""In the text of broken JSON the letter of ``\n`` is no part of the key."""
    for escape in ("\\n", "\\t", "\\r"):
        text = f'{{"content": "see{escape}{one}{escape}'
        assert one not in Redactor().text(text)


def test_the_two_keys_of_one_text():
    """Each has its own mark, and the order stays."""
    first, second = KEYS["openai_key"][0], KEYS["github_token"][0]
    assert Redactor().text(f"{first} {second}") == "[redacted:openai_key] [redacted:github_token]"


def test_short_texts_are_looked_at():
    """A password needs no length."""
    assert Redactor().text("pwd=abc") == "pwd=[redacted:named_secret]"


def test_a_private_key_that_was_cut_off():
    """What is there of it goes."""
    cut = pem("RSA ")[:200]
    assert Redactor().text(f"key:\n{cut}") == "key:\n[redacted:private_key]"
    assert Redactor().text(f"{cut}… and more") == "[redacted:private_key]… and more"
