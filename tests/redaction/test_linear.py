"""Time grows with the length of a text and no faster, whatever the text is made of."""

from __future__ import annotations

import time

import pytest

from spanloom.redaction import PII, Redactor

SIZE = 4_000
# A piece is repeated to the size; what stands before makes the rules look at it.
PIECES = [
    "a", "@", "1", "-", "eyJ", "://", "a.", "1 ", "1.", "1-", ":", "::", "a:", "0:", "(", "+", "+1", "00", "=",
    "key=", "password=", "password:", 'password="', "password='\\\\", "Bearer ", "Basic ", "sk-", "-sk-", "sk-a",
    ".eyJ", "-eyJ", "\\neyJ", "AKIA", ":AA", "http://a:b", "://a:", "http://u:p/", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ", "hooks.slack.com/services/", "AA00", "DE89 ", "a@a.", "a@a-", "@a.a", "a@b.c ", "12-", "123-45-",
    "phone ", "phone number is at ", "tel 1", "call me ", "(0", "01 ", "0171 1", "+49 ", "4111 ", "4111-1111-",
    "order ", " --token ", "\\", '"', "'", "\\u0041", "\\\\u0041", "\\u00", "[", "{", '["', '{"a":', "é",
    "[redacted:", "SG.", "a=b&", "?key=", "\t", "\n", "_", "version 1.", "v1.2.3.4 ", "cookie: ", "A", "x@", "w w w ",
]  # fmt: skip
BEFORE = 'phone 1234567 a@b.co password=x1 Bearer x://u:p@h AA00 a:b:c 1.2.3.4 AKIA \\u0041 "'


# Below this nothing can be quadratic: at this size that takes longer.
FAST_NS = 2_000


def cpu_ns(redactor: Redactor, text: str, runs: int = 1) -> int:
    """The least of some runs, in CPU time of this thread."""
    best = 1 << 62
    for _ in range(runs):
        begin = time.thread_time_ns()
        redactor.text(text)
        best = min(best, time.thread_time_ns() - begin)
    return best


@pytest.mark.parametrize("piece", PIECES)
def test_twice_the_length_takes_about_twice_the_time(piece):
    """Quadratic work would take four times as long."""
    redactor = Redactor(pii=PII)
    for before in ("", BEFORE, '["'):
        text = before + piece * (2 * SIZE // len(piece))
        if cpu_ns(redactor, text) > FAST_NS * len(text):
            # A busy machine may disturb one measurement, and not each of five.
            half = text[: len(text) // 2]
            assert any(cpu_ns(redactor, text, 3) < 3.2 * cpu_ns(redactor, half, 3) for _ in range(5)), before
