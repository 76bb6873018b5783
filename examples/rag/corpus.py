"""The product's documents, and a plain search over them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Document:
    """One page of the handbook."""

    id: str
    title: str
    text: str


@lru_cache(maxsize=1)
def documents() -> tuple[Document, ...]:
    """All pages."""
    rows = json.loads(Path(__file__).with_name("corpus.json").read_text(encoding="utf-8"))
    return tuple(Document(**row) for row in rows)


def search(question: str, limit: int = 5) -> list[Document]:
    """The pages that share the rarest words with the question, best first."""
    wanted = set(_words(question))
    scored = [(_score(wanted, document), document) for document in documents()]
    return [document for _, document in sorted(scored, key=lambda pair: -pair[0])[:limit]]


def _score(wanted: set[str], document: Document) -> float:
    words = Counter(_words(f"{document.title} {document.title} {document.text}"))
    return sum(_rarity()[word] * words[word] / (words[word] + 1) for word in wanted if word in words)


@lru_cache(maxsize=1)
def _rarity() -> dict[str, float]:
    pages = [set(_words(f"{document.title} {document.text}")) for document in documents()]
    seen = Counter(word for page in pages for word in page)
    return {word: math.log(1 + len(pages) / count) for word, count in seen.items()}


def _words(text: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"[a-z0-9]+", text.lower())]
