"""What the HTTP response says beside its body: who made it, in what time, at which attempt. Nothing is asked for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

from spanloom.genai import ClientCall, Endpoint, ModelCall
from spanloom.genai._amounts import amount
from spanloom.semconv import HTTPServer, Spanloom

_MOST_CHARS = 128
_MOST = 2**63 - 1
_REFUSED = (401, 403)
_SECRETS = ("authorization", "api-key", "x-api-key", "proxy-authorization", "cookie")
_COST = b"x-litellm-response-cost"
_RETRY = "x-stainless-retry-count"


def _text(value: bytes) -> str | None:
    text = value.decode("latin-1").strip()
    return text if 0 < len(text) <= _MOST_CHARS and text.isprintable() else None


def _seconds(value: bytes) -> float | None:
    try:
        milliseconds = float(value)
    except ValueError:
        return None
    return milliseconds / 1000 if math.isfinite(milliseconds) and milliseconds >= 0 else None


def _count(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) < len(str(_MOST)) else None


def _number(value: bytes) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _values(headers: Any, name: bytes) -> list[bytes]:
    """The values of a header; names are in lower case in httpx's own list."""
    listed = getattr(headers, "_list", None)
    if isinstance(listed, list):
        return [value for _, lower, value in cast("list[tuple[bytes, bytes, bytes]]", listed) if lower == name]
    return [value for given, value in headers.raw if given.lower() == name]


_Row = tuple[str, Callable[[bytes], Any]]
_ALWAYS: dict[bytes, _Row] = {
    b"x-request-id": (Spanloom.RESPONSE_REQUEST_ID, _text),
    # Azure's own, where the one above is missing.
    b"apim-request-id": (Spanloom.RESPONSE_REQUEST_ID, _text),
    b"openai-processing-ms": (Spanloom.RESPONSE_PROCESSING_S, _seconds),
}
_LIMITS: dict[bytes, _Row] = {
    b"x-ratelimit-remaining-requests": (Spanloom.RATELIMIT_REMAINING_REQUESTS, _count),
    b"x-ratelimit-remaining-tokens": (Spanloom.RATELIMIT_REMAINING_TOKENS, _count),
}


def note_secrets(call: ClientCall, request: Any) -> None:
    """No failure may quote the keys that went out with this request. Its headers are kept, nothing else of it."""
    sent = getattr(request, "headers", None)
    if sent is not None:
        call.secrets = functools.partial(_secrets_in, sent)


def _secrets_in(sent: Any) -> list[str]:
    return [word for name in _SECRETS for word in str(sent.get(name) or "").split()]


class Headers:
    """Reads responses; the rate limits only where they are asked for."""

    def __init__(self, rate_limits: bool) -> None:
        self._rows = {**_ALWAYS, **_LIMITS} if rate_limits else _ALWAYS

    def note(self, call: ClientCall, response: Any, retries: Any) -> None:
        """Write what the response of the last attempt says; ``retries`` came before it."""
        attributes = call.attributes
        if isinstance(retries, int) and retries > 0:
            attributes[Spanloom.REQUEST_ATTEMPTS] = retries + 1
        status = getattr(response, "status_code", None)
        if isinstance(call, Endpoint) and isinstance(status, int):
            attributes[HTTPServer.STATUS_CODE] = status
        for (name, read), raw in self._found(response.headers):
            value = read(raw)
            if value is not None:
                attributes.setdefault(name, value)

    def note_cost(self, call: ClientCall, response: Any) -> None:
        """What LiteLLM's proxy says that the call costs: of every call, since money does not depend on sampling.

        It says 0 of a model that it has no price for, which is not known then.
        """
        if isinstance(call, ModelCall):
            for raw in _values(response.headers, _COST):
                usd = amount(_number(raw))
                if usd:
                    call.report_cost(usd)

    def _found(self, headers: Any) -> list[tuple[_Row, bytes]]:
        """The headers that are looked for. Names are in lower case in httpx's own list, which costs a quarter."""
        rows, listed = self._rows, getattr(headers, "_list", None)
        if isinstance(listed, list):
            triples = cast("list[tuple[bytes, bytes, bytes]]", listed)
            return [(rows[name], value) for _, name, value in triples if name in rows]
        return [(rows[name.lower()], value) for name, value in headers.raw if name.lower() in rows]

    def note_refusal(self, call: ClientCall, error: BaseException) -> None:
        """Who refuses a key may quote it. By shape: an application may raise classes of its own."""
        response = getattr(error, "response", None)
        call.hides_error_text = getattr(response, "status_code", None) in _REFUSED
        note_secrets(call, getattr(error, "request", None))

    def note_error(self, call: ClientCall, error: BaseException) -> None:
        """The same for the SDK's exceptions: those of a status have the response, the others the request."""
        if not type(error).__module__.startswith("openai"):
            return
        response = getattr(error, "response", None)
        request = getattr(error, "request", None)
        sent = getattr(request, "headers", None)
        retries = sent.get(_RETRY) if sent is not None else None
        taken = int(retries) if isinstance(retries, str) and retries.isdigit() and len(retries) < 4 else 0
        if response is not None:
            self.note(call, response, taken)
        elif taken:
            call.attributes[Spanloom.REQUEST_ATTEMPTS] = taken + 1
