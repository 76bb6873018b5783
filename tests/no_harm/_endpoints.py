"""The other endpoints: nothing changes for the application, and each call is one CLIENT span without an operation."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm._answers import paced_body, raw, sse, whole
from tests.no_harm._compare import Case, Told
from tests.no_harm._describe import describe
from tests.no_harm._stage import END, Stage
from tests.no_harm._wire import Script

OTHER = Told(None)
FILE = {
    "id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch",
    "status": "processed",
}  # fmt: skip
IMAGES = {"created": 1, "data": [{"b64_json": "aGk=", "revised_prompt": "a cat"}]}
MODEL = {"id": "gpt-4o-mini", "object": "model", "created": 1, "owned_by": "openai"}
MODERATION = {"id": "modr-1", "model": "omni", "results": []}
BATCH = {
    "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
    "completion_window": "24h", "status": "validating", "created_at": 1,
}  # fmt: skip
STORE = {
    "id": "vs_1", "object": "vector_store", "created_at": 1, "name": "a", "usage_bytes": 0, "status": "completed",
    "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}, "metadata": {},
    "last_active_at": 1,
}  # fmt: skip
JOB = {"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "model": "gpt-4o-mini", "status": "queued"}
ASSISTANT = {
    "id": "asst_1", "object": "assistant", "created_at": 1, "model": "gpt-4o-mini", "tools": [], "metadata": {},
}  # fmt: skip
THREAD = {"id": "thread_1", "object": "thread", "created_at": 1, "metadata": {}}
DELETED = {"id": "file-1", "object": "file", "deleted": True}


@dataclass(frozen=True)
class Row:
    """One method by its dotted path, its arguments (made anew each time: some are read), and the answer."""

    path: str
    arguments: Callable[[], dict[str, Any]]
    script: Script
    told: Told = OTHER


def _sound() -> Any:
    sound = io.BytesIO(b"RIFFdata")
    sound.name = "a.wav"
    return sound


ROWS = (
    Row("completions.create", lambda: {"model": "m", "prompt": "Hi"}, whole(answers.COMPLETION)),
    Row("images.generate", lambda: {"prompt": "a cat", "model": "gpt-image-1"}, whole(IMAGES)),
    Row("images.edit", lambda: {"prompt": "a cat", "image": ("a.png", b"png")}, whole(IMAGES)),
    Row("audio.transcriptions.create", lambda: {"model": "whisper-1", "file": _sound()}, whole({"text": "hello"})),
    Row("audio.translations.create", lambda: {"model": "whisper-1", "file": _sound()}, whole({"text": "hello"})),
    Row("moderations.create", lambda: {"input": "Hi"}, whole(MODERATION)),
    Row("models.retrieve", lambda: {"model": "gpt-4o-mini"}, whole(MODEL)),
    Row("models.delete", lambda: {"model": "ft:1"}, whole(DELETED)),
    Row("files.create", lambda: {"file": ("a.jsonl", b"{}\n"), "purpose": "batch"}, whole(FILE)),
    Row("files.retrieve", lambda: {"file_id": "file-1"}, whole(FILE)),
    Row("files.delete", lambda: {"file_id": "file-1"}, whole(DELETED)),
    Row(
        "batches.create",
        lambda: {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
        whole(BATCH),
    ),
    Row("batches.cancel", lambda: {"batch_id": "batch_1"}, whole(BATCH)),
    Row("vector_stores.create", lambda: {"name": "a"}, whole(STORE)),
    Row("fine_tuning.jobs.create", lambda: {"model": "gpt-4o-mini", "training_file": "file-1"}, whole(JOB)),
    Row("beta.assistants.create", lambda: {"model": "gpt-4o-mini"}, whole(ASSISTANT)),
    Row("beta.threads.create", dict, whole(THREAD)),
    Row("responses.delete", lambda: {"response_id": "resp_1"}, raw(b"", 204)),
    Row("chat.completions.retrieve", lambda: {"completion_id": "chatcmpl-1"}, whole(answers.CHAT)),
    Row("models.retrieve", lambda: {"model": "nobody"}, answers.refused(404), Told(None, "raised")),
    Row("images.generate", lambda: {"prompt": "a cat"}, answers.refused(400), Told(None, "raised")),
)
CASES: list[Case] = []


def _method(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


def _row(one: Row) -> Case:
    async def program(stage: Stage) -> None:
        stage.see("answer", await stage.call(_method(stage.client(), one.path), **one.arguments()))
        await stage.settle()

    name = one.path + (" refused" if one.told.error else "")
    return Case(name, program, (one.script,), (one.told,))


CASES.extend(_row(one) for one in ROWS)


def case(*scripts: Script, told: tuple[Told, ...] = (OTHER,), **more: Any) -> Callable[[Any], Any]:
    """Put a program into the table."""

    def add(program: Any) -> Any:
        CASES.append(Case(program.__name__, program, scripts, told, **more))
        return program

    return add


@case(told=(Told(None, "raised"),), optional=True)
async def an_empty_id(stage: Stage) -> None:
    """The SDK refuses the call itself."""
    await stage.call(stage.client().files.retrieve, "")


def _page(number: int, more: bool) -> Script:
    return whole({"object": "list", "data": [{**FILE, "id": f"file-{number}"}], "has_more": more})


@case(_page(1, True), _page(2, False), told=(OTHER, OTHER))
async def pages(stage: Stage) -> None:
    """A list is read page by page, as the caller goes on: one request, one span a page."""
    first = await stage.get(stage.client().files.list(limit=1))
    stage.look(first)
    reader = stage.reader(first)
    while (one := await stage.next(reader)) is not END:
        stage.mark("item", describe(one))
    await stage.settle()


@case(_page(1, True))
async def pages_left_early(stage: Stage) -> None:
    """Nobody asks for the second page."""
    reader = stage.reader(await stage.get(stage.client().files.list(limit=1)))
    stage.mark("item", describe(await stage.next(reader)))
    await stage.settle()


@case(raw(b"ID3 sound", kind="audio/mpeg"))
async def speech(stage: Stage) -> None:
    """Bytes that are read at once."""
    sound = await stage.call(stage.client().audio.speech.create, model="tts-1", voice="alloy", input="Hi")
    stage.look(sound)
    stage.mark("bytes", sound.content, sound.response.status_code)
    await stage.settle()


@case(paced_body(b"ID3 sound", "audio/mpeg"))
async def speech_as_it_comes(stage: Stage) -> None:
    """Bytes that are read when the caller wants them."""
    method = stage.client().audio.speech.with_streaming_response.create
    manager = method(model="tts-1", voice="alloy", input="Hi")
    response = await stage.enter(manager)
    stage.look(response)
    stage.session.say("want body")
    reader, taken = stage.reader(response.iter_bytes(4)), []
    while (data := await stage.next(reader)) is not END:
        taken.append(data)
    stage.mark("bytes", taken)
    await stage.leave(manager)
    await stage.settle()


@case(raw(b'{"a": 1}\n', kind="application/jsonl"))
async def content_of_a_file(stage: Stage) -> None:
    """A download."""
    content = await stage.get(stage.client().files.content("file-1"))
    stage.look(content)
    stage.mark("text", content.text)
    await stage.settle()


_TRANSCRIPT = [
    answers.event({"type": "transcript.text.delta", "delta": "alpha"}),
    answers.event({"type": "transcript.text.done", "text": "alpha"}),
    answers.event("[DONE]"),
]


@case(sse(_TRANSCRIPT))
async def transcription_streamed(stage: Stage) -> None:
    """A stream of another endpoint."""
    create = stage.client().audio.transcriptions.create
    stream = await stage.get(create(model="gpt-4o-transcribe", file=_sound(), stream=True))
    stage.look(stream)
    await stage.read(stream, 99)
    await stage.settle()


@case(sse(_TRANSCRIPT), told=(Told(None, end="closed"),))
async def transcription_left(stage: Stage) -> None:
    """It is left after one event."""
    create = stage.client().audio.transcriptions.create
    stream = await stage.get(create(model="gpt-4o-transcribe", file=_sound(), stream=True))
    await stage.read(stream, 1)
    await stage.close(stream)
    await stage.settle()


@case(whole({"any": "thing"}))
async def undocumented_endpoint(stage: Stage) -> None:
    """``client.post`` to a path that the SDK does not know."""
    stage.mark("answer", describe(await stage.get(stage.client().post("/anything", cast_to=object, body={"a": 1}))))
    await stage.settle()
