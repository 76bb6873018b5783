"""What the recording server says: bodies of the API, and scripts that send them at once or only when wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.no_harm._wire import Await, Cut, Script, Send, Stall, Step

SECRET = "canary7f3a9c"
# One word a streamed piece, so that one sees what was kept of a stream that was left early.
WORDS = ("alpha ", "bravo ", "charlie ", "delta ", "echo ")
_HEADERS = {
    "x-request-id": "req_1",
    "openai-processing-ms": "12",
    "openai-organization": "org-1",
    "x-ratelimit-remaining-requests": "99",
    "x-ratelimit-remaining-tokens": "999",
    "set-cookie": f"session={SECRET}",
    "x-their-token": SECRET,
}


def head(status: int = 200, kind: str = "application/json", **more: str) -> bytes:
    """A status line and headers."""
    rows = {"content-type": kind, **_HEADERS, **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in rows.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def raw(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Script:
    """A whole answer, at once."""
    return (Send(head(status, kind, content_length=str(len(body)), **headers) + body, "answer"),)


def whole(value: Any, status: int = 200, **headers: str) -> Script:
    """A whole JSON answer, at once."""
    return raw(json.dumps(value).encode(), status, **headers)


def paced_body(body: bytes, kind: str = "application/json") -> Script:
    """The head at once; the body, in two halves, when somebody wants it."""
    middle = len(body) // 2
    return (
        Send(head(kind=kind, content_length=str(len(body))), "head"),
        Await("want body"),
        Send(body[:middle], "first half"),
        Send(body[middle:], "second half"),
    )


def refused(status: int, message: str = "no", **headers: str) -> Script:
    """An error of the API."""
    body = {"error": {"message": message, "type": "its_type", "param": "its_param", "code": "its_code"}}
    return whole(body, status, **headers)


def piece(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    said = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {said}\n\n".encode()


def sse(
    events: Iterable[bytes], *, paced: bool = True, after: int | None = None, then: str = "end", kind: str | None = None
) -> Script:
    """A stream of events, each sent when it is wanted. ``after`` so many events comes what ``then`` says.

    What is not paced goes out in one piece: a client that hangs up at the last event must not race the bytes after it.
    """
    every = list(events)
    start = head(kind=kind or "text/event-stream; charset=utf-8", transfer_encoding="chunked")
    sent = [piece(one) for one in every[:after]]
    wanted = [Await(f"want {len(sent)}")] if paced else []
    ends: dict[str, list[Step]] = {
        "end": [*wanted, Send(b"0\r\n\r\n", "end")] if not every or after is None else [],
        "cut": [*wanted, Cut()],
        "reset": [*wanted, Cut(reset=True)],
        "stall": [Stall()],
    }
    if not paced:
        closing = [one for one in ends[then] if isinstance(one, Send)]
        whole = b"".join([start, *sent, *(one.data for one in closing)])
        return (Send(whole, f"{len(sent)} events"), *ends[then][len(closing) :])
    steps: list[Step] = [Send(start, "head")]
    for place, one in enumerate(sent):
        steps += [Await(f"want {place}"), Send(one, f"event {place}")]
    return (*steps, *ends[then])


# Bodies.

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-mini-2024-07-18",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "".join(WORDS), "refusal": None, "annotations": []},
        }
    ],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
    },
    "an_unknown_field": {"of": ["a", "gateway"]},
}
CHAT_JSON = {
    **CHAT,
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"name": "Seine"}'}}
    ],
}
CHAT_TOOLS = {
    **CHAT,
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                    },
                    {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "no JSON"}},
                ],
            },
        }
    ],
}
CHAT_TWO = {**CHAT, "choices": [{**CHAT["choices"][0], "index": place} for place in (0, 1)]}


def _item(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


_CALL = {
    "id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}",
    "status": "completed",
}  # fmt: skip
_SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
_THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "thinking"}]}


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    """An object of the Responses API."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": "gpt-4o-mini-2024-07-18",
        "output": [_THOUGHT, _SEARCH, _item("".join(WORDS)), _CALL],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 3},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        },
        **more,
    }


FAILED = response("failed", output=[], usage=None, error={"code": "server_error", "message": "it broke"})
RESPONSE_JSON = response(output=[_item('{"name": "Seine"}')])
EMBEDDINGS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1700000000,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"index": 0, "text": "alpha", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5},
}


# Streams, as lists of events.


def _chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}],
    }


CHAT_EVENTS = [
    *(event(_chunk({"role": "assistant", "content": word})) for word in WORDS),
    event(_chunk({}, finish_reason="stop")),
    event({**_chunk({}), "choices": [], "usage": CHAT["usage"]}),
    event("[DONE]"),
]
COMPLETION_EVENTS = [
    *(event({**COMPLETION, "choices": [{"index": 0, "text": word}], "usage": None}) for word in WORDS),
    event("[DONE]"),
]


def _delta(word: str, number: int) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": word,
        "logprobs": [],
        "sequence_number": number,
    }


def _begun() -> list[dict[str, Any]]:
    """Everything before the first word."""
    early = response("in_progress", output=[], usage=None)
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "response": early, "sequence_number": 0},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_item(""), "content": []},
         "sequence_number": 1},
        {"type": "response.content_part.added", **place, "part": part, "sequence_number": 2},
    ]  # fmt: skip


def response_events(last: str = "completed", **more: Any) -> list[bytes]:
    """A streamed Response: three events, five words, and how it ended."""
    final = response(last, output=[_item("".join(WORDS))], **more)
    rows = _begun() + [_delta(word, 3 + place) for place, word in enumerate(WORDS)]
    rows.append({"type": f"response.{last}", "response": final, "sequence_number": 9})
    return [event(row, row["type"]) for row in rows]


ERROR_ROW = {"error": {"message": "it broke", "type": "server_error", "code": "its_code", "param": None}}
