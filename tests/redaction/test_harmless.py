"""What is named like a secret and is none."""

from __future__ import annotations

import pytest

from spanloom.redaction import Redactor


@pytest.mark.parametrize(
    "key",
    [
        "llm.time_to_first_token",
        "time_to_first_token_ms",
        "ai.response.msToFirstToken",
        "llm.time_per_output_token",
        "inter_token_latency",
        "inter_token_latency_ms",
        "eos_token",
        "pad_token",
        "mask_token",
        "output_token",
        "token_index",
        "llm.token_logprobs",
        "token.remaining",
        "cookie_count",
        "password.reset.count",
        "has_password",
    ],
)
@pytest.mark.parametrize("value", [12.5, 1_234_567, True, "</s>"])
def test_tokens_of_models_stay(key: str, value: object) -> None:
    """Keys that tell of a model's tokens, counts and flags keep figures and texts."""
    assert Redactor().attributes({key: value}) is None


def test_figures_are_no_secrets_but_long_ones() -> None:
    """Below a secret's key measures and short numbers stay; six digits may be a secret."""
    redactor = Redactor()
    assert redactor.attributes({"db.password": 1.5, "api.token": 99_999}) is None
    assert redactor.attributes({"db.password": 123_456}) == {"db.password": "[redacted:named_secret]"}


def test_words_are_no_tokens() -> None:
    """The tokens of log probabilities stay, in JSON and nested; what looks like a secret goes."""
    redactor = Redactor()
    text = '{"content":[{"token":"Hello","logprob":-0.1,"top":[{"token":" Hi"}]}]}'
    assert redactor.text(text) == text
    assert redactor.body({"token": "Hello"}) == {"token": "Hello"}
    assert redactor.text('{"token":"hunter2Zq9"}') == '{"token":"[redacted:named_secret]"}'
    assert redactor.body({"token": "hunter2Zq9"}) == {"token": "[redacted:named_secret]"}
