"""Which names of arguments say that they are secrets, and what is told in their place."""

from __future__ import annotations

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
    "AWSSecretAccessKey",
)  # fmt: skip
NOT = (
    "max_tokens", "maxTokens", "tokens", "tokenizer", "tokenize", "keyboard", "key", "keys", "keyword", "primary_key",
    "secretary", "passwordless", "forwarded", "bearing", "authorized", "author", "auth", "cookiecutter", "monkey", "",
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
