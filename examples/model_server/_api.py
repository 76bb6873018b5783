"""From an HTTP request to an answer: routes, keys, faults. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import _chat, _embeddings, _responses
from ._answer import CREATED, Answer, Identity, refused, to_json, with_faults
from ._faults import Faults, Refusal, find_faults
from ._tokens import MODEL_NAMES

_ROUTES: dict[str, Callable[[dict[str, Any], Identity], Answer]] = {
    "/v1/chat/completions": _chat.answer,
    "/v1/responses": _responses.answer,
    "/v1/embeddings": _embeddings.answer,
}


@dataclass(frozen=True)
class Request:
    """A request as it came: header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the body's bytes."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def canonical_digest(self) -> str:
        """SHA-256 of the body as canonical JSON; of the bytes when they are not JSON."""
        try:
            canonical = json.dumps(json.loads(self.body), sort_keys=True, separators=(",", ":"))
        except ValueError:
            return self.digest
        return hashlib.sha256(canonical.encode()).hexdigest()


def answer(request: Request, occurrence: int) -> Answer:
    """The answer to a request to ``/v1``; `occurrence` counts requests with these exact bytes, from 1."""
    model: str | None = None
    try:
        _check_key(request.headers.get("authorization", ""))
        if request.path == "/v1/models" or request.path.startswith("/v1/models/"):
            return _models(request)
        body = _read_body(request)
        model = body["model"] if isinstance(body.get("model"), str) else None
        made = _faulty(request, body, occurrence)
    except Refusal as refusal:
        made = replace(refused(refusal), model_asked=model)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Deep inside a body anything may stand where an object should.
        shapeless = Refusal(400, f"The request has a field of an unexpected shape: {error}.", code="invalid_type")
        made = replace(refused(shapeless), model_asked=model)
    return replace(made, headers=made.headers | _headers(request, occurrence))


def is_stream(body: bytes) -> bool:
    """Whether a body asks for a stream."""
    try:
        return json.loads(body).get("stream") is True
    except (ValueError, AttributeError):
        return False


def fault_text(path: str, body: dict[str, Any]) -> str:
    """The text in which faults are looked for: the last user message, or the input of an embedding."""
    if path == "/v1/embeddings":
        return " ".join(_embeddings.read_inputs(body))
    read = _chat.read_talk if path == "/v1/chat/completions" else _responses.read_talk
    return read(body).last_user_text


def _faulty(request: Request, body: dict[str, Any], occurrence: int) -> Answer:
    faults = find_faults(fault_text(request.path, body))
    status = faults.error_status(occurrence)
    if status is not None:
        return replace(refused(_asked_error(status, faults)), delay=faults.delay, model_asked=body.get("model"))
    return with_faults(_ROUTES[request.path](body, Identity(request.digest, occurrence)), faults)


def _asked_error(status: int, faults: Faults) -> Refusal:
    if not 400 <= status <= 599:
        return Refusal(400, f"[[error:{status}]] asks for a status that is no error; use 400 to 599.")
    messages = {401: "Incorrect API key provided.", 429: "Rate limit reached for requests."}
    message = messages.get(status, f"The request asked for an error with status {status}.")
    return Refusal(status, message, retry_after=faults.retry_after)


def _check_key(authorization: str) -> None:
    if authorization in ("", "Bearer", "Bearer bad-key"):
        raise Refusal(401, "Incorrect API key provided: send any other key than 'bad-key'.")


def _read_body(request: Request) -> dict[str, Any]:
    if request.path not in _ROUTES:
        raise Refusal(404, f"Unknown request URL: {request.method} {request.path}.", code="unknown_url")
    if request.method != "POST":
        raise Refusal(405, f"Not allowed to {request.method} on {request.path}.", code="method_not_supported")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Refusal(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The JSON body of the request must be an object.")
    return body


def _models(request: Request) -> Answer:
    wanted = request.path.removeprefix("/v1/models").strip("/")
    if wanted and wanted not in MODEL_NAMES:
        raise Refusal(404, f"The model '{wanted}' does not exist.", param="model")
    rows = [{"id": name, "object": "model", "created": CREATED, "owned_by": "local"} for name in MODEL_NAMES]
    one = next((row for row in rows if row["id"] == wanted), None)
    return Answer(body=to_json(one or {"object": "list", "data": rows}))


def _headers(request: Request, occurrence: int) -> dict[str, str]:
    return {
        "x-request-id": Identity(request.digest, occurrence).make("req_"),
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
    }
