"""What a streamed chat completion says, chunk by chunk. Chunks are not kept: text is taken, and the chunk let go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from spanloom.genai import AskedCall, Inference, calls_of, remember_tool_calls
from spanloom.genai._fields import Fields, fields, get, is_index, items_of, text_of
from spanloom.genai._messages import output_message
from spanloom.genai._parts import Part, content_parts, decoded, described, text_part
from spanloom.genai._reasons import finish_reason
from spanloom.openai._response import read_head
from spanloom.openai._usage import usage_of
from spanloom.semconv import FinishReason, GenAI

# What is kept of one answer, however long its stream goes on. The API knows 128 choices.
_MAX_CHARS: Final = 16 * 1024 * 1024
_MAX_CHOICES: Final = 128
_MAX_CALLS: Final = 1024


class Room:
    """How many characters of a stream may still be kept; below zero: how many were not."""

    __slots__ = ("left",)

    def __init__(self, is_kept: bool = True) -> None:
        self.left = _MAX_CHARS if is_kept else 0

    def add(self, pieces: list[str], piece: Any) -> None:
        """Keep a piece of text; what is no text is none."""
        if isinstance(piece, str) and piece:
            self.left -= len(piece)
            if self.left >= 0:
                pieces.append(piece)

    def mark(self) -> list[Part]:
        """Says how much is missing, where something is."""
        return [text_part(f"[{-self.left:,} characters not kept]")] if self.left < 0 else []


class ChatRead:
    """Reads the chunks of one stream for one call. ``seal`` writes what they said, once, at the end."""

    __slots__ = ("_call", "_choices", "_has_head", "_room", "_usage", "_with_content")

    def __init__(self, call: Inference) -> None:
        self._call = call
        self._choices: dict[int, _Choice] = {}
        self._with_content = call.captures_content
        self._usage: Any = None
        self._has_head = False
        # Of what nobody keeps only the tools that it asks for are known.
        self._room = Room(call.recording)

    def take(self, chunk: Any) -> None:
        """Take what is new in a chunk."""
        if not self._take_usual(chunk):
            self._take_any(chunk)

    def _take_usual(self, chunk: Any) -> bool:
        """A piece of text of one choice that is known costs a few look-ups; ``False`` for any other chunk."""
        try:
            fields = chunk.__dict__
            (choice,) = fields["choices"]
            told = choice.__dict__
            if told["finish_reason"] is not None or fields["usage"] is not None or not self._has_head:
                return False
            known = self._choices[told["index"]]
            delta = told["delta"]
            given = delta.__dict__
            if not self._with_content:
                return given["tool_calls"] is None
            text = given["content"]
            if (
                type(text) is not str
                or given["tool_calls"] is not None
                or given["refusal"] is not None
                or given["function_call"] is not None
                or given.get("audio") is not None
                or delta.__pydantic_extra__
            ):
                return False
        except (AttributeError, KeyError, TypeError, ValueError):
            return False
        room = self._room
        room.left -= len(text)
        if room.left >= 0 and text:
            known.texts.append(text)
        return True

    def _take_any(self, chunk: Any) -> None:
        choices = items_of(chunk, "choices")
        # The last one counts: some servers tell it with each chunk.
        self._usage = _usage_in(chunk, choices) or self._usage
        if not (self._has_head and choices):
            read_head(self._call, chunk)
        for position, choice in enumerate(choices):
            index = get(choice, "index")
            place = index if is_index(index) else position
            known = self._choice(place)
            if known is not None:
                known.take(choice)
                if known.finish_reason is not None:
                    # Now: they may be executed before the stream is closed.
                    remember_tool_calls(self._call, known.new_calls(place))
        # Azure's first chunk has neither choices nor an id.
        self._has_head = bool(self._choices)

    def _choice(self, index: int) -> _Choice | None:
        known = self._choices.get(index)
        if known is None and len(self._choices) < _MAX_CHOICES:
            known = self._choices[index] = _Choice(self._room, self._with_content)
        return known

    def seal(self, whole: bool) -> None:
        """Write what was read. A choice whose end never came is an ``error``, as the conventions have it."""
        call = self._call
        if whole:
            for place, one in self._choices.items():
                remember_tool_calls(call, one.new_calls(place))
        call.usage = usage_of(self._usage) or call.usage
        choices = [self._choices[index] for index in sorted(self._choices)]
        call.finish_reasons = [one.finish_reason or FinishReason.ERROR for one in choices] or [FinishReason.ERROR]
        if self._with_content and choices:
            call.output_content = {GenAI.OUTPUT_MESSAGES: lambda: self._messages(choices)}

    def _messages(self, choices: list[_Choice]) -> list[dict[str, Any]]:
        messages = [one.message() for one in choices]
        messages[-1]["parts"] += self._room.mark()
        return messages


def _usage_in(chunk: Any, choices: Sequence[Any]) -> Any:
    """What a chunk tells of tokens: at its top; Groq in a field of its own, Moonshot in a choice."""
    told = get(chunk, "usage")
    if told is None and (groq := get(chunk, "x_groq")) is not None:
        told = get(groq, "usage")
    if told is None:
        told = next((one for choice in choices if (one := get(choice, "usage")) is not None), None)
    return told


class _Choice:
    """One choice of a streamed answer."""

    __slots__ = (
        "_audio",
        "_calls",
        "_reasoning",
        "_refusal",
        "_room",
        "_told",
        "_with_content",
        "finish_reason",
        "texts",
    )

    def __init__(self, room: Room, with_content: bool) -> None:
        self.finish_reason: str | None = None
        self.texts: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: _Calls | None = None
        self._audio: _Audio | None = None
        self._room = room
        self._with_content = with_content
        self._told = 0

    def take(self, choice: Any) -> None:
        told = fields(choice)
        reason, delta = told.get("finish_reason"), told.get("delta")
        if reason is not None:
            self.finish_reason = finish_reason(reason) or self.finish_reason
        if delta is None:
            return
        if self._with_content:
            self._take_delta(fields(delta))
        else:
            self._take_rest(get(delta, "tool_calls"), None, None)

    def new_calls(self, place: int) -> Iterator[AskedCall]:
        """The tool calls that this choice asks for, once each: some servers tell a reason with every one."""
        calls: list[Any] = [] if self._calls is None else self._calls.whole()["tool_calls"][self._told :]
        self._told += len(calls)
        return calls_of(calls, place)

    def _take_delta(self, told: Fields) -> None:
        content = told.get("content")
        if isinstance(content, (list, tuple)):
            # Mistral's models that think.
            for part in content_parts(content):
                self._room.add(self._reasoning if part["type"] == "reasoning" else self.texts, part.get("content"))
        elif content:
            self._room.add(self.texts, content)
        reasoning = told.get("reasoning_content") or told.get("reasoning")
        if reasoning:
            self._room.add(self._reasoning, reasoning)
        refusal = told.get("refusal")
        if refusal:
            self._room.add(self._refusal, refusal)
        self._take_rest(told.get("tool_calls"), told.get("function_call"), told.get("audio"))

    def _take_rest(self, calls: Any, legacy: Any, audio: Any) -> None:
        if calls or legacy is not None:
            self._calls = self._calls or _Calls(self._room)
            self._calls.take(calls if isinstance(calls, (list, tuple)) else (), legacy)
        if audio is not None:
            self._audio = self._audio or _Audio(self._room)
            self._audio.take(audio)

    def message(self) -> dict[str, Any]:
        """The whole answer as one message of the conventions."""
        whole: dict[str, Any] = {
            "content": "".join(self.texts),
            "reasoning_content": "".join(self._reasoning),
            "refusal": "".join(self._refusal),
        }
        if self._calls is not None:
            whole |= self._calls.whole()
        message = output_message(whole)
        if self._audio is not None:
            message["parts"].append(self._audio.part())
        return message


class _Calls:
    """The tool calls of one choice, whose arguments come in pieces."""

    __slots__ = ("_legacy", "_made", "_open", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._made: list[_Call] = []
        self._open: dict[Any, _Call] = {}
        self._legacy: _Call | None = None

    def take(self, calls: Any, legacy: Any) -> None:
        for call in calls:
            told = fields(call)
            known = self._one(told.get("index"), told.get("id") or None)
            if known is not None:
                known.take(told, self._room)
        if legacy is not None:
            self._legacy = self._legacy or _Call(None)
            self._legacy.take_piece(fields(legacy), self._room)

    def _one(self, index: Any, call_id: Any) -> _Call | None:
        """The call a piece belongs to. Gemini numbers none of them, others all 0: then a new id begins a new call."""
        place = index if is_index(index) else None
        known = self._open.get(place)
        if known is None and place is None and call_id is None and self._made:
            known = self._made[-1]
        if known is not None and known.is_also(call_id):
            return known
        if len(self._made) >= _MAX_CALLS:
            return None
        known = self._open[place] = _Call(call_id)
        self._made.append(known)
        return known

    def whole(self) -> dict[str, Any]:
        """As they would stand in an answer that is not streamed."""
        found: dict[str, Any] = {"tool_calls": [{"id": one.id, one.kind: one.whole()} for one in self._made]}
        if self._legacy is not None:
            found["function_call"] = self._legacy.whole()
        return found


class _Call:
    """One tool call."""

    __slots__ = ("_arguments", "_name", "id", "kind")

    def __init__(self, call_id: Any) -> None:
        self.id = call_id
        self.kind = "function"
        self._name: Any = None
        self._arguments: list[str] = []

    def is_also(self, call_id: Any) -> bool:
        """True where a piece with this id is one of the same call."""
        if self.id is None:
            self.id = call_id
        return call_id is None or call_id == self.id

    def take(self, told: Fields, room: Room) -> None:
        custom = told.get("custom")
        if custom is not None:
            self.kind = "custom"
        self.take_piece(fields(told.get("function") or custom), room)

    def take_piece(self, told: Fields, room: Room) -> None:
        """The piece itself."""
        self._name = self._name or told.get("name")
        room.add(self._arguments, told.get("arguments") or told.get("input"))

    def whole(self) -> dict[str, Any]:
        said = "".join(self._arguments)
        return {"name": self._name, "arguments" if self.kind == "function" else "input": said}


class _Audio:
    """Speech, of which the digest and the words are kept."""

    __slots__ = ("_digest", "_room", "_size", "_transcript")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._digest = hashlib.sha256()
        self._size = 0
        self._transcript: list[str] = []

    def take(self, audio: Any) -> None:
        self._room.add(self._transcript, get(audio, "transcript"))
        data = text_of(audio, "data")
        if data is not None:
            raw = decoded(data)
            self._digest.update(raw)
            self._size += len(raw)

    def part(self) -> Part:
        part = described("audio", None, self._digest.hexdigest(), self._size)
        if self._transcript:
            part["transcript"] = "".join(self._transcript)
        return part
