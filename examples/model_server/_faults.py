"""Faults that a client asks for in the text it sends. Pure functions.

A marker in the last user message (or in the input of an embedding) is obeyed, and left out of the answer:

    [[error:500]]           status 500; also 400, 401, 403, 404, 408, 409, 422, 429, 502, 503, 504 ...
    [[error:429:times=1]]   only the first request with this exact body fails, so that a retry succeeds
    [[error:429:retry_after=0.2]]  the seconds in ``Retry-After`` (429 and 503 have ``1`` without it)
    [[delay:0.2]]           wait so many seconds before the first byte
    [[pause:0.01]]          wait so many seconds before each further event of a stream
    [[cut:3]]               break the connection after three events of a stream; else in mid-body
    [[fail:3]]              send three events of a stream, then an error event
    [[malformed]]           a body, or a stream's second event, that is not JSON
    [[words:200]]           a plain answer of exactly so many words

Without a marker: ``Authorization: Bearer bad-key``, or no key at all, is answered with 401.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"\d+(?:\.\d+)?"
_MARKER = re.compile(rf"\[\[(error|delay|pause|cut|fail|malformed|words)(?::({_NUMBER}))?((?::\w+={_NUMBER})*)\]\]")
_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", "forbidden"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


@dataclass(frozen=True)
class Faults:
    """What one request asked to go wrong. Times are in seconds, `cut` and `fail` count events."""

    status: int | None = None
    times: int | None = None
    retry_after: str | None = None
    delay: float = 0.0
    pause: float = 0.0
    cut: int | None = None
    fail: int | None = None
    malformed: bool = False
    words: int | None = None

    def error_status(self, occurrence: int) -> int | None:
        """The status to fail with at the `occurrence`-th request (from 1) with the same body."""
        if self.status is None or (self.times is not None and occurrence > self.times):
            return None
        return self.status


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - an answer of the protocol, not a fault of the server
    """An answer that is an error: HTTP status, message and the fields of OpenAI's error object."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: str | None = None

    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body of the error."""
        kind, code = _ERRORS.get(self.status, ("server_error" if self.status >= 500 else "invalid_request_error", None))
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code or code}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to the error."""
        if self.retry_after is None and self.status not in (429, 503):
            return {}
        return {"Retry-After": self.retry_after or "1"}


def find_faults(text: str) -> Faults:
    """The faults asked for in a text."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for name, value, options in _MARKER.findall(text):
        found[name] = (value, dict(part.split("=") for part in options.split(":") if part))
    error, options = found.get("error", ("", {}))
    return Faults(
        status=int(float(error)) if error else None,
        times=int(float(options["times"])) if "times" in options else None,
        retry_after=options.get("retry_after"),
        delay=_number(found, "delay") or 0.0,
        pause=_number(found, "pause") or 0.0,
        cut=_count(found, "cut"),
        fail=_count(found, "fail"),
        malformed="malformed" in found,
        words=_count(found, "words"),
    )


def without_markers(text: str) -> str:
    """The text as the answer may quote it."""
    return _MARKER.sub("", text).strip()


def _number(found: dict[str, tuple[str, dict[str, str]]], name: str) -> float | None:
    value = found.get(name, ("", {}))[0]
    return float(value) if value else None


def _count(found: dict[str, tuple[str, dict[str, str]]], name: str) -> int | None:
    value = _number(found, name)
    return None if value is None else int(value)
