"""CPU time of redaction where nothing is found, against the usual way to do it and against Logfire's scrubber.

``python -m tests.benchmarks.redaction``: 4 kB of text without a find, secrets alone and with all personal data; the
yardstick is one pass of seven expressions with ``re.sub``, one after the other. Thread CPU time, blocks interleaved,
minima. Logfire's scrubber runs in an environment of its own in the cache, between two rounds of ours.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from spanloom.redaction import PII, Redactor
from tests._support.wheel import uv
from tests.benchmarks._environments import cache_folder

BAR_NAIVE = 0.15
BAR_LOGFIRE = 1.0
BAR_SHORT_US = 1.0
VALUES = 10
BLOCKS = 30
CALLS = 200
LOGFIRE = "logfire==5.4.0"

Once = Callable[[], object]

PROSE = (
    "The customer asked whether the parcel could be delivered before noon, and the agent answered that the depot opens "
    "at 8:30 and that the token budget of 3 calls was used up (4.5 kB of 12). Please summarise what was agreed on, in "
    "two or three sentences, and name the open points. "
)
TEXT = (PROSE * 20)[:4096]
MESSAGES = json.dumps(
    [{"role": role, "parts": [{"type": "text", "content": PROSE}]} for role in ("system", "user", "assistant") * 4]
)
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-AbCdEf1234567890ghIJkl",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.cost.amount": 0.00012,
    "gen_ai.usage.cost.currency": "USD",
    "gen_ai.conversation.id": "c-33",
    "server.address": "api.openai.com",
    "server.port": 443,
    "user.id": "u-1",
    "session.id": "s-9382",
    "http.response.status_code": 200,
    "spanloom.cost.status": "ok",
    "error": False,
}
# Mail, card, key, phone, social security number, IP address, JWT.
NAIVE = [
    re.compile(one)
    for one in (
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
        r"\b(?:\d[ -]*?){13,16}\b",
        r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}\b",
        r"\+?\d{1,3}?[-.\s]?\(?\d{3}\)?[-.\s]?\d{3}[-.\s]?\d{4}\b",
        r"\b\d{3}-\d{2}-\d{4}\b",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
        r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\b",
    )
]
# As logfire/_internal/scrubbing.py of 5.4.0 (MIT) has them: the stand-in where it cannot be installed.
LOGFIRE_PATTERN = (
    r"(?=[pmsacljx_rbih])(?:password|passwd|mysql_pwd|secret|auth(?!ors?\b)|credential|private[._ -]?key|passphrase"
    r"|(?:signing|hmac)[._ -]?key|api[._ -]?key|session|cookie|social[._ -]?security|credit[._ -]?card"
    r"|logfire[._ -]?token|(?:access|refresh|bearer|(?:\b|_)id)[._ -]?token|pylf_v\d+_"
    r"|(?:\b|_)csrf(?:\b|_)|(?:\b|_)xsrf(?:\b|_)|(?:\b|_)jwt(?:\b|_)|(?:\b|_)ssn(?:\b|_))"
)
# What its environment runs: the same blocks, thread CPU time, minima.
THEIRS = """
import json, sys, time
from logfire._internal.scrubbing import Scrubber
given = json.load(sys.stdin)
scrubber = Scrubber(None)
def least(once):
    best = 1e9
    for _ in range(given["blocks"]):
        begin = time.thread_time_ns()
        for _ in range(given["calls"]):
            once()
        best = min(best, (time.thread_time_ns() - begin) / 1000 / given["calls"])
    return best
assert scrubber.scrub_value((), given["text"])[0] is given["text"]
print(json.dumps({"text": least(lambda: scrubber.scrub_value((), given["text"])),
                  "attributes": least(lambda: scrubber.scrub_value(("attributes",), given["attributes"]))}))
"""


def naive(text: str) -> Once:
    """One pass of the seven expressions."""

    def once() -> str:
        found = text
        for expression in NAIVE:
            found = expression.sub("[redacted]", found)
        return found

    return once


def block(once: Once, calls: int) -> float:
    """Thread CPU microseconds a call."""
    begin = time.thread_time_ns()
    for _ in range(calls):
        once()
    return (time.thread_time_ns() - begin) / 1000 / calls


def contenders() -> dict[str, Once]:
    """By name; none of them finds anything."""
    plain, full = Redactor(), Redactor(pii=PII)
    pattern = re.compile(LOGFIRE_PATTERN, re.IGNORECASE | re.DOTALL)
    short = {f"note.{at}": "What is the weather?" for at in range(VALUES)}
    return {
        "seven expressions": naive(TEXT),
        "4 kB of text": lambda: plain.text(TEXT),
        "4 kB of text, all PII": lambda: full.text(TEXT),
        "4 kB of JSON": lambda: plain.text(MESSAGES),
        "4 kB of JSON, all PII": lambda: full.text(MESSAGES),
        "10 values of 20 characters": lambda: plain.attributes(short),
        "20 attributes": lambda: plain.attributes(ATTRIBUTES),
        "20 attributes, all PII": lambda: full.attributes(ATTRIBUTES),
        "Logfire's pattern": lambda: pattern.search(TEXT),
    }


def measure(blocks: int = BLOCKS, calls: int = CALLS) -> dict[str, float]:
    """Microseconds a call, minima over interleaved blocks."""
    named = contenders()
    best = dict.fromkeys(named, float("inf"))
    for _ in range(blocks):
        for name, once in named.items():
            best[name] = min(best[name], block(once, calls))
    return best


def logfire_python() -> Path | None:
    """The Python of an environment with Logfire, made once; ``None`` where it cannot be installed."""
    folder = cache_folder() / f"{LOGFIRE.replace('==', '-')}-py{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = folder / "bin" / "python", folder / "made"
    if stamp.is_file():
        return python
    for command in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), LOGFIRE],
    ):
        done = subprocess.run([uv(), *command], capture_output=True, text=True)
        if done.returncode:
            print(f"  Logfire cannot be installed: {done.stderr.strip()}", file=sys.stderr)
            return None
    stamp.touch()
    return python


def logfire(blocks: int = BLOCKS, calls: int = CALLS) -> dict[str, float] | None:
    """Microseconds of its scrubber for the same text and attributes."""
    python = logfire_python()
    if python is None:
        return None
    given = {"blocks": blocks, "calls": calls, "text": TEXT, "attributes": {**ATTRIBUTES, "text": TEXT}}
    done = subprocess.run([python, "-c", THEIRS], input=json.dumps(given), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def verdict(is_met: bool) -> str:
    return "PASS" if is_met else "MISS"


def main() -> None:
    """Measure and print."""
    found = measure()
    theirs = logfire()
    again = measure(BLOCKS // 3)
    found = {name: min(us, again[name]) for name, us in found.items()}
    yardstick, ours = found["seven expressions"], found["4 kB of text"]
    for name, us in found.items():
        print(f"{name}: {us:.2f} µs, {us / yardstick:.3f} x the seven expressions")
    print(f"secrets: {ours / yardstick:.3f} x (bar {BAR_NAIVE}) {verdict(ours <= BAR_NAIVE * yardstick)}")
    full = found["4 kB of text, all PII"]
    print(f"secrets and all PII: {full / yardstick:.3f} x (bar {BAR_NAIVE}) {verdict(full <= BAR_NAIVE * yardstick)}")
    name, other = (
        ("Logfire's scrubber", theirs["text"]) if theirs else ("Logfire's pattern", found["Logfire's pattern"])
    )
    print(f"{name}: {other:.2f} µs, ours {ours / other:.2f} x (bar {BAR_LOGFIRE}) {verdict(ours <= other)}")
    print(f"with all PII: {full / other:.2f} x {name} (no bar)")
    if theirs:
        both = found["20 attributes"] + ours
        print(f"20 attributes and 4 kB: {both:.2f} µs, {name} {theirs['attributes']:.2f} µs (no bar)")
    short = found["10 values of 20 characters"] / VALUES
    print(f"an attribute of 20 characters: {short:.2f} µs (bar {BAR_SHORT_US}) {verdict(short <= BAR_SHORT_US)}")


if __name__ == "__main__":
    main()
