"""Answers that the SDK accepts and that break other instrumentors: in streams, and as a whole."""

from __future__ import annotations

from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm._answers import event, raw, sse
from tests.no_harm._compare import Case, Told
from tests.no_harm._stage import END, Stage
from tests.no_harm._streams import ASKED, ASKED_RESPONSES

CHUNKS = {
    "choices null": '{"id": "1", "choices": null}',
    "choices missing": '{"id": "1"}',
    "choices a number": '{"id": "1", "choices": 3}',
    "choice null": '{"id": "1", "choices": [null]}',
    "choice a list": '{"id": "1", "choices": [[{"index": 0}]]}',
    "delta null": '{"id": "1", "choices": [{"index": 0, "delta": null}]}',
    "delta missing": '{"id": "1", "choices": [{"index": 0}]}',
    "delta a string": '{"id": "1", "choices": [{"index": 0, "delta": "alpha"}]}',
    "index null": '{"id": "1", "choices": [{"index": null, "delta": {"content": "a"}}]}',
    "index huge": '{"id": "1", "choices": [{"index": 99999999999999999999, "delta": {"content": "a"}}]}',
    "content a list": '{"id": "1", "choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "a"}]}}]}',
    "tool index null": '{"choices": [{"delta": {"tool_calls": [{"index": null, "function": {"name": "f"}}]}}]}',
    "tool index missing": '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}',
    "tool index a word": '{"choices": [{"delta": {"tool_calls": [{"index": "0", "function": {"name": "f"}}]}}]}',
    "tool function null": '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": null}]}}]}',
    "tool calls a number": '{"choices": [{"delta": {"tool_calls": 5}}]}',
    "tool call null": '{"choices": [{"delta": {"tool_calls": [null]}}]}',
    "arguments an object": '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}}]}',
    "usage without choices": '{"usage": {"prompt_tokens": 3, "completion_tokens": 1}}',
    "usage odd": '{"choices": [], "usage": {"prompt_tokens": "3", "completion_tokens": -1}}',
    "usage empty": '{"choices": [], "usage": {}}',
    "usage a number": '{"choices": [], "usage": 7}',
    "usage huge": '{"choices": [], "usage": {"prompt_tokens": 99999999999999999999}}',
    "usage details a list": '{"choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens_details": [1]}}',
    "id a number": '{"id": 7, "model": 8, "choices": []}',
    "id half a character": '{"id": "\\ud800", "model": "\\ud800", "choices": []}',
    "finish a number": '{"choices": [{"index": 0, "delta": {}, "finish_reason": 3}]}',
    "finish half a character": '{"choices": [{"index": 0, "delta": {}, "finish_reason": "\\ud800"}]}',
    "content half a character": '{"choices": [{"index": 0, "delta": {"content": "\\ud83d"}}]}',
    "not a number": '{"choices": [{"index": NaN, "delta": {"content": "a"}}], "usage": {"prompt_tokens": Infinity}}',
    "an empty object": "{}",
    "a list": "[]",
    "a number": "5",
    "a string": '"text"',
    "null": "null",
}
BODIES = {
    **CHUNKS,
    "message null": '{"choices": [{"message": null, "finish_reason": "stop"}]}',
    "message without role": '{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}',
    "message a string": '{"choices": [{"message": "x", "finish_reason": "stop"}]}',
    "tool calls odd": '{"choices": [{"message": {"role": "assistant", "tool_calls": {"a": 1}}}]}',
    "function null": '{"choices": [{"message": {"role": "assistant", "tool_calls": [{"function": null}]}}]}',
    "no JSON": "oops",
    "nothing": "",
    "a web page": "<html><body>Bad gateway</body></html>",
}
EVENTS = {
    "type missing": '{"sequence_number": 1}',
    "type null": '{"type": null}',
    "type new": '{"type": "response.something_new", "delta": "a"}',
    "delta null": '{"type": "response.output_text.delta", "delta": null, "output_index": 0}',
    "delta a list": '{"type": "response.output_text.delta", "delta": ["a"], "output_index": null}',
    "response null": '{"type": "response.completed", "response": null}',
    "response a string": '{"type": "response.completed", "response": "done"}',
    "output null": '{"type": "response.completed", "response": {"id": "resp_1", "output": null}}',
    "output a number": '{"type": "response.completed", "response": {"id": "resp_1", "output": 4}}',
    "item null": '{"type": "response.output_item.done", "item": null, "output_index": 0}',
    "item new": '{"type": "response.output_item.done", "item": {"type": "new"}, "output_index": 0}',
    "content null": '{"type": "response.output_item.done", "item": {"type": "message", "content": null}}',
    "usage odd": '{"type": "response.completed", "response": {"usage": {"input_tokens": "3"}, "output": []}}',
    "a string": '"text"',
    "null": "null",
}


# The call has failed if the application saw an exception, and only then.
EITHER = Told(error="raised, if at all")


async def _each(stage: Stage, stream: Any) -> None:
    reader = stage.reader(stream)
    while (chunk := await stage.next(reader)) is not END:
        stage.see("chunk", chunk) if hasattr(chunk, "model_fields_set") else stage.mark("chunk", repr(chunk))


def _streamed(name: str, chunk: str) -> Case:
    """The odd chunk, and a sane one after it."""

    async def program(stage: Stage) -> None:
        await _each(stage, await stage.get(stage.client().chat.completions.create(**ASKED, stream=True)))

    return Case(f"chunk: {name}", program, (sse([event(chunk), *answers.CHAT_EVENTS], paced=False),), (EITHER,))


def _whole(name: str, body: str, kind: str) -> Case:
    async def program(stage: Stage) -> None:
        answer = await stage.get(stage.client().chat.completions.create(**ASKED))
        stage.see("answer", answer) if hasattr(answer, "model_fields_set") else stage.mark("answer", repr(answer))

    return Case(f"body: {name}, {kind}", program, (raw(body.encode(), kind=kind),), (EITHER,))


def _evented(name: str, row: str) -> Case:
    async def program(stage: Stage) -> None:
        await _each(stage, await stage.get(stage.client().responses.create(**ASKED_RESPONSES, stream=True)))

    return Case(f"event: {name}", program, (sse([event(row), *answers.response_events()], paced=False),), (EITHER,))


CASES = [_streamed(*one) for one in CHUNKS.items()]
CASES += [_whole(name, body, kind) for name, body in BODIES.items() for kind in ("application/json", "text/plain")]
CASES += [_evented(*one) for one in EVENTS.items()]
