"""What a section is, and what it may use: an LM of the local model server, and engines that need none."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dspy
import numpy as np

from model_server import ModelServer

USAGE = (3, 2)
SECTIONS: dict[str, Section] = {}


@dataclass(frozen=True)
class Stage:
    """The server, a folder for what a program saves, and what engines of the application's own have billed."""

    server: ModelServer
    folder: Path
    told: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def lm(self, **settings: Any) -> dspy.LM:
        """DSPy's LM over the server: nothing is cached, nothing tried again."""
        base = {"api_base": self.server.openai_base_url, "api_key": "key", "cache": False, "num_retries": 0}
        return dspy.LM("openai/gpt-4o-mini", **{**base, **settings})

    def engine(self, text: str) -> Engine:
        """An engine of the application's own with one answer."""
        return Engine(self, text)

    def guessing(self) -> dspy.LM:
        """An LM whose answers an optimizer can change."""
        return dspy.LM("house/guess", engine=Guessing(self), cache=False)

    @property
    def tokens(self) -> tuple[int, int]:
        """What the server and the engines have billed."""
        entries = self.server.ledger.entries
        told = [(one.input_tokens or 0, one.output_tokens or 0) for one in entries] + self.told
        return sum(one[0] for one in told), sum(one[1] for one in told)

    def reset(self) -> None:
        """As if nothing had run: the ledger, DSPy's caches, its history, and the random numbers of optimizers."""
        self.server.reset()
        self.told.clear()
        dspy.cache.memory_cache.clear()
        dspy.cache.disk_cache.clear()
        dspy.clients.base_lm.GLOBAL_HISTORY.clear()
        random.seed(0)
        np.random.seed(0)


@dataclass(frozen=True)
class Section:
    """One program. ``any_order``: threads decide which sibling comes first. ``fails``: it raises.

    ``traces``: 1, but for what DSPy loses and nobody can find again. ``newest``: DSPy 3.3 has not all that it uses.
    """

    name: str
    run: Callable[[Stage], Any]
    any_order: bool = False
    fails: bool = False
    traces: int = 1
    newest: bool = False


def section(**facts: Any) -> Callable[[Callable[[Stage], Any]], Callable[[Stage], Any]]:
    """Put a function among the sections."""

    def add(run: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
        name = run.__name__.replace("_", " ")
        assert name not in SECTIONS, name
        SECTIONS[name] = Section(name, run, **facts)
        return run

    return add


class Engine:
    """An engine of the application's own: one answer for everything, with usage."""

    def __init__(self, stage: Stage, text: str = "") -> None:
        self.stage = stage
        self.text = text

    def complete(self, request: Any) -> Any:
        """One answer."""
        lm15 = dspy.lm15
        message = lm15.Message.assistant([lm15.TextPart(self.answer(request))])
        self.stage.told.append(USAGE)
        return lm15.Response("r-1", "house-1", message, "stop", lm15.Usage(*USAGE))

    def answer(self, request: Any) -> str:
        """Its text."""
        return self.text


class Guessing(Engine):
    """Its answer to a question depends on every word of the prompt, and on nothing else."""

    def answer(self, request: Any) -> str:
        digest = hashlib.sha256(repr((request.system, request.messages)).encode()).hexdigest()
        return filled(reasoning="I guess.", answer=f"river {digest[:4]}")


def filled(**fields: str) -> str:
    """An answer as DSPy's chat adapter reads it."""
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()), "[[ ## completed ## ]]"])


def vectors(texts: list[str]) -> np.ndarray:
    """An embedder as a function: one dimension a word."""
    return np.array([[1.0 + text.count(word) for word in ("river", "city", "Elbe")] for text in texts], np.float32)


def questions(count: int, *more: str) -> list[dspy.Example]:
    """Examples with answers."""
    asked = [f"Which river is number {number}?" for number in range(count)] + list(more)
    return [dspy.Example(question=one, answer="the Elbe").with_inputs("question") for one in asked]


def by_letters(example: dspy.Example, prediction: Any, trace: Any = None) -> float:
    """A metric that tells answers apart and is not random."""
    return sum(map(ord, str(prediction.answer))) % 10 / 10
