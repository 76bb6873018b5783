"""The kinds of streams, the server's part in their ends, and the table of the ends."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.no_harm import _answers as answers
from tests.no_harm._answers import WORDS, event, sse
from tests.no_harm._compare import Told
from tests.no_harm._stage import Stage
from tests.no_harm._wire import Script

MODEL = "gpt-4o-mini"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "Say words."}]}
ASKED_RESPONSES = {"model": MODEL, "input": "Say words."}


@dataclass(frozen=True)
class Kind:
    """One streaming method: how to call it, its events, and how many of them come before the first word."""

    name: str
    begin: Callable[[Any], Any]
    events: list[bytes]
    lead: int
    failed: list[bytes]
    told: str | None = "chat"

    @property
    def some(self) -> int:
        """How many events have the first two words."""
        return self.lead + 2


CHAT = Kind(
    "chat",
    lambda client: client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}),
    answers.CHAT_EVENTS,
    0,
    [event(answers.ERROR_ROW)],
)
RESPONSES = Kind(
    "responses",
    lambda client: client.responses.create(**ASKED_RESPONSES, stream=True),
    answers.response_events(),
    3,
    [event(answers.ERROR_ROW)],
)
LEGACY = Kind(
    "legacy completions",
    lambda client: client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say words.", stream=True),
    answers.COMPLETION_EVENTS,
    0,
    [event(answers.ERROR_ROW)],
    None,
)
KINDS = (CHAT, RESPONSES, LEGACY)

End = Callable[[Stage, Kind], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Row:
    """An end: the program, the server's part in it, and the truth about it."""

    end: End
    script: Callable[[Kind], Script]
    told: Callable[[Kind], Told]
    flavours: tuple[str, ...]
    at: dict[str, int]


ROWS: dict[str, Row] = {}


def row(
    script: Callable[[Kind], Script],
    *,
    end: str | None = None,
    error: str | None = None,
    words: int = 2,
    flavours: tuple[str, ...] = ("sync", "async"),
    **at: int,
) -> Callable[[End], End]:
    """Put an end into the table; ``words`` is how many the application got."""

    def add(function: End) -> End:
        def told(kind: Kind) -> Told:
            kept = WORDS[:words] if kind.told else ()
            return Told(kind.told, error, end, kept, WORDS[words:])

        ROWS[function.__name__] = Row(function, script, told, flavours, at)
        return function

    return add


def paced(kind: Kind) -> Script:
    """Each event when it is wanted."""
    return sse(kind.events)


def flowing(kind: Kind) -> Script:
    """All events at once."""
    return sse(kind.events, paced=False)


def breaking(then: str) -> Callable[[Kind], Script]:
    """Two words, and then a cut, a reset, or silence."""
    return lambda kind: sse(kind.events, after=kind.some, then=then)


def failing(kind: Kind) -> Script:
    """Two words, and then an error from the server."""
    return sse([*kind.events[: kind.some], *kind.failed])


def garbled(kind: Kind) -> Script:
    """Two words, and then what is no JSON."""
    return sse([*kind.events[: kind.some], event("{oops")])


async def begin(stage: Stage, kind: Kind) -> Any:
    """The stream, looked at."""
    stream = await stage.call(kind.begin, stage.client())
    stage.look(stream)
    return stream
