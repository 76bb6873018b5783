"""An OpenAI client over a transport in memory: the whole SDK runs, but no socket and no model. Shared by the cases."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

BASE_URL = "http://model.invalid/v1"
SSE, JSON = "text/event-stream", "application/json"


def sse(events: Iterable[dict[str, Any]], last: str = "") -> bytes:
    """The events as a server sends them; those with a type are named by it."""
    named = ((f"event: {one['type']}\n" if "type" in one else "", json.dumps(one)) for one in events)
    return "".join(f"{name}data: {data}\n\n" for name, data in named).encode() + last.encode()


def transport(body: bytes, content_type: str) -> Any:
    """Answers every request with the same bytes, at once."""
    import httpx2

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=body)

    return httpx2.MockTransport(answer)


def client(body: bytes, content_type: str = JSON) -> Any:
    import httpx2
    import openai

    http = httpx2.Client(transport=transport(body, content_type))
    return openai.OpenAI(api_key="none", base_url=BASE_URL, http_client=http, max_retries=0)


def async_client(body: bytes, content_type: str = JSON) -> Any:
    import httpx2
    import openai

    http = httpx2.AsyncClient(transport=transport(body, content_type))
    return openai.AsyncOpenAI(api_key="none", base_url=BASE_URL, http_client=http, max_retries=0)
