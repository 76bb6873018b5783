"""Clients over a transport in the process, which gives canned answers and keeps what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import openai

from tests.openai._http import http

OK: dict[str, Any] = {"id": "x_1", "object": "thing", "data": [], "has_more": False}


class Wire:
    """The requests that were sent, and the answer to each: one for all, or made of the request."""

    def __init__(self, answer: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.sent: list[Any] = []
        self._answer = OK if answer is None else answer
        self._status = status
        self._headers = dict(headers or {})

    def __call__(self, request: Any) -> Any:
        """What the transport asks."""
        self.sent.append(request)
        answer = self._answer(request) if callable(self._answer) else self._answer
        if isinstance(answer, http.Response):
            return answer
        if isinstance(answer, bytes):
            headers = {"content-type": "text/event-stream", **self._headers}
            return http.Response(self._status, headers=headers, content=answer)
        return http.Response(self._status, headers=self._headers, json=answer)

    @property
    def bodies(self) -> list[Any]:
        """The JSON of each request."""
        return [json.loads(one.content) if one.content else None for one in self.sent]


def client(
    wire: Callable[[Any], Any], kind: type = openai.OpenAI, url: str = "https://api.openai.com/v1", **more: Any
) -> Any:
    """A client of any of the SDK's classes over this wire."""
    library = http.AsyncClient if issubclass(kind, openai.AsyncOpenAI) else http.Client
    transport = http.MockTransport(wire)
    given = {"api_key": "sk-secret", "max_retries": 0, "http_client": library(transport=transport), **more}
    return kind(**given) if "azure_endpoint" in more else kind(base_url=url, **given)


EMBEDDED: dict[str, Any] = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}


def by_path(request: Any) -> dict[str, Any]:
    """What a server answers."""
    for part, made in (("/chat/", chat()), ("/embeddings", EMBEDDED), ("/responses", response())):
        if part in request.url.path:
            return made
    return OK


def sse(*events: Any, done: bool = True) -> bytes:
    """A stream's body."""
    named = ((f"event: {one['type']}\n" if "type" in one else "") + f"data: {json.dumps(one)}\n\n" for one in events)
    return ("".join(named) + ("data: [DONE]\n\n" if done else "")).encode()


def chat(text: str = "Hello.", **more: Any) -> dict[str, Any]:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        **more,
    }


def chunk(text: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a streamed chat completion."""
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        **more,
    }


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    """A whole response."""
    done = status == "completed"
    text = {"type": "output_text", "text": "Hello.", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
    used = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-4o-mini-2024-07-18",
        "output": [message] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": used if done else None,
        **more,
    }
