"""Which names of arguments say that they are secrets, and what is told in their place."""

from __future__ import annotations

import dataclasses
import time
import types
from collections.abc import Mapping
from typing import NamedTuple

import pydantic
import pytest

from spanloom.genai._secrets import is_secret, without_secrets

SECRETS = (
    "api_key", "apikey", "access_key", "private_key", "secret", "client_secret", "password", "passwd", "pwd", "token",
    "access_token", "auth_token", "refresh_token", "session_token", "bearer", "authorization", "credentials", "cookie",
)  # fmt: skip
ALSO = (
    "apiKey", "APIKey", "API_KEY", "ApiKey", "X-Api-Key", "openai_api_key", "OPENAI_API_KEY", "openaiApiKey",
    "api keys",
    "clientSecret", "clientsecret", "accessToken", "accesstoken", "GITHUB_TOKEN", "githubToken", "db_password",
    "userPassword",
    "password2", "_token", "token_", "Proxy-Authorization", "Set-Cookie", "cookies", "credential", "Bearer",
    "AWSSecretAccessKey", "passphrase", "auth", "basicAuth", "auth_header", "pass", "PASS", "db_pass", "dbPass",
    "dbpass", "smtp_pass", "creds", "aws_creds", "signing_key", "signingKey", "encryption_key", "api_tokens",
    "accessTokens", "page_access_token", "nextAuthToken", "token_url", "bearer_token",
)  # fmt: skip
NOT = (
    "max_tokens", "maxTokens", "tokens", "tokenizer", "tokenize", "keyboard", "key", "keys", "keyword", "primary_key",
    "secretary", "passwordless", "forwarded", "bearing", "authorized", "author", "cookiecutter", "monkey", "",
    "page_token", "pageToken", "next_page_token", "nextPageToken", "nextToken", "continuation_token", "token_count",
    "token_counts", "tokenLimit", "max_token", "total_tokens", "compass", "first_pass", "boarding_pass", "pass_rate",
    "passage", "auth_method", "oauth", "authority", "credits", "signing", "encryption", "api", "key_signing",
    "public_key", "x", "capacity", "accessKeyboard",
)  # fmt: skip


@pytest.mark.parametrize("name", [*SECRETS, *ALSO])
def test_a_secret(name):
    """However its words are put together, and with words around it."""
    assert is_secret(name)


@pytest.mark.parametrize("name", NOT)
def test_no_secret(name):
    """Only whole words count."""
    assert not is_secret(name)


def test_at_any_depth():
    """In dicts, in lists of them, in models; what else is there stays, whatever the secret is made of."""

    class Login(pydantic.BaseModel):
        user: str
        password: str

    given = {
        "query": "token",
        "token": 7,
        "options": {"headers": {"Authorization": "Bearer x", "Accept": "*/*"}, "cookie": {"a": 1}},
        "rows": [{"apiKey": "x", "n": 1}, ("y", {"pwd": None})],
        "login": Login(user="me", password="x"),
    }
    assert without_secrets(given) == {
        "query": "token",
        "token": "[hidden]",
        "options": {"headers": {"Authorization": "[hidden]", "Accept": "*/*"}, "cookie": "[hidden]"},
        "rows": [{"apiKey": "[hidden]", "n": 1}, ["y", {"pwd": "[hidden]"}]],
        "login": {"user": "me", "password": "[hidden]"},
    }
    assert given["token"] == 7


@pytest.mark.parametrize("value", [None, "token", 3, [], {}])
def test_other_shapes(value):
    """Are what they are."""
    assert without_secrets(value) == value


def test_what_holds_itself():
    """Ends."""
    given = {"token": "x"}
    given["again"] = given
    assert without_secrets(given)["token"] == "[hidden]"
    assert "x" not in str(without_secrets({"token": "x"}))


class Login(NamedTuple):
    user: str
    password: str
    more: object = None


@dataclasses.dataclass
class Account:
    user: str
    api_key: object
    note: str = "none"
    inner: object = None


def test_a_named_tuple():
    """Its fields are names, wherever it stands."""
    assert without_secrets({"login": [Login("me", "hush", Login("you", "hush"))]}) == {
        "login": [["me", "[hidden]", ["you", "[hidden]", None]]]
    }


HEADERS = (
    [["Authorization", "Bearer hush"], ["Accept", "*/*"]],
    [("authorization", "Bearer hush"), ("Accept", "*/*")],
    (("X-Api-Key", {"a": "hush"}), ["Accept", "*/*"]),
)


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_pairs(headers):
    """A header is a name and its value; more than two are a list."""
    first, second = without_secrets({"headers": headers})["headers"]
    assert first[1] == "[hidden]"
    assert second == ["Accept", "*/*"]


def test_pairs_of_bytes():
    """As ASGI has them."""
    assert "hush" not in str(without_secrets([(b"authorization", b"hush")]))
    assert without_secrets([(b"authorization", b"hush")])[0][1] == "[hidden]"


def test_what_is_no_pair():
    """Sentences, longer lists, other names."""
    given = [["which token is it", "x"], ["token", "x", "y"], ["user", "x"], ["token"]]
    assert without_secrets(given) == given


TEXTS = (
    (Account("me", "hush"), "Account(user='me', api_key=[hidden], note='none', inner=None)"),
    (Account("me", "it's \"hush\\'"), "Account(user='me', api_key=[hidden], note='none', inner=None)"),
    (Account("me", b"hush"), "Account(user='me', api_key=[hidden], note='none', inner=None)"),
    (Account("me", ["hush", "hu)sh"]), "Account(user='me', api_key=[hidden], note='none', inner=None)"),
    (Account("me", pydantic.SecretStr("x")), "Account(user='me', api_key=[hidden], note='none', inner=None)"),
    (Account("me", [["hush"], "hush"]), "Account(user='me', api_key=[hidden]"),
    (Account("me", "hush", inner={"pwd": "hush", "n": 1}),
     "Account(user='me', api_key=[hidden], note='none', inner={'pwd': [hidden], 'n': 1})"),
    (types.SimpleNamespace(password="hush", n=1), "namespace(password=[hidden], n=1)"),
    (Exception("password=hush and more, n=1"), "password=[hidden], n=1"),
    (Exception("token"), "token"),
)  # fmt: skip


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=repr)
def test_an_object_that_quotes_a_secret(value, text):
    """Its text names its fields: of what is nested, nothing is told from there on."""
    told = without_secrets({"value": [value]})["value"][0]
    assert told == text


def test_texts_that_were_given():
    """Are not read: no name says what they are."""
    assert without_secrets({"query": "password=x"}) == {"query": "password=x"}


class Refuses(Mapping):
    """Says nothing of its items, and quotes a secret."""

    __len__ = __iter__ = __getitem__ = None

    def items(self):
        raise RuntimeError("no")

    def __repr__(self):
        return "Refuses(token='hush')"


class RefusesToo(list):
    """The same, as a list."""

    def __iter__(self):
        raise RuntimeError("no")

    def __repr__(self):
        return "Refuses(token='hush')"


@pytest.mark.parametrize("value", [Refuses(), RefusesToo()], ids=["mapping", "list"])
def test_what_cannot_be_opened(value):
    """Is its text, without what that quotes."""
    assert without_secrets([value]) == ["Refuses(token=[hidden])"]


LONG = ("password=" + "(" * 50_000, "token='" + "\\" * 50_000, "a=" * 50_000, "token=" * 9000, "a" * 200_000)


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:12])
def test_a_long_text_takes_no_time(text):
    """However it is made, it is read once."""
    begun = time.perf_counter()
    without_secrets([Exception(text)])
    assert time.perf_counter() - begun < 2
