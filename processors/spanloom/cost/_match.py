"""From the names that telemetry has (provider, model) to a row of the price table. Pure but for the caches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from spanloom.cost._table import items
from spanloom.semconv import Provider

if TYPE_CHECKING:
    from spanloom.cost._table import Clause, Model, ProviderRow, Table

# No provider has names this long; what is longer is a mistake, and must not fill the caches.
MAX_NAME = 256

# Values of OpenTelemetry's provider attribute, and prefixes that LiteLLM and DSPy write before model names, whose
# provider the table has under another id. Everything else is found by the table's own clauses.
PROVIDERS = {
    Provider.AZURE_OPENAI: "azure",
    Provider.AZURE_INFERENCE: "azure",
    Provider.AWS_BEDROCK: "aws",
    Provider.GEMINI: "google",
    Provider.VERTEX_AI: "google",
    Provider.MISTRAL: "mistral",
    Provider.MOONSHOT: "moonshotai",
    Provider.X_AI: "x-ai",
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "fireworks_ai": "fireworks",
    "gcp.gen_ai": "google",
    "gemini": "google",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
# "litellm" is a way to a provider, not one: the model's prefix says whose model it is.
_ROUTERS = frozenset({"litellm", "litellm_proxy"})
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_PATHS = re.compile(r"^(?:models|publishers/[^/]+/models)/")
_ARN = re.compile(r"^arn:aws[^:]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)$")


class Match(NamedTuple):
    """The provider that is asked and the model found; ``own`` is False for a model borrowed from another provider."""

    provider: str
    model: Model
    own: bool


class Matcher:
    """Finds rows of one table."""

    def __init__(self, table: Table) -> None:
        self._providers = {row.id: Index(row) for row in table.providers}

    def find(self, provider: str | None, model: str | None) -> Match | None:
        """The row for a model as telemetry names it; None where the table cannot know it."""
        name = (model or "").strip().lower()
        if not name or len(name) > MAX_NAME:
            return None
        who = (provider or "").strip().lower()
        if who and who not in _ROUTERS:
            index = self.provider(who)
            return index and self._first(index, self._spellings(index, name))
        return self._without_provider(name)

    def provider(self, name: str) -> Index | None:
        """The provider of this name: our table of names, its id, then the clauses."""
        known = self._named(name)
        if known is not None or name.startswith("azure"):
            return known or self._providers.get("azure")
        return next((index for index in self._providers.values() if index.is_called(name)), None)

    def _named(self, name: str) -> Index | None:
        return self._providers.get(PROVIDERS.get(name, name))

    def _without_provider(self, name: str) -> Match | None:
        """``provider/model`` (LiteLLM, DSPy) where the head is a provider, else whose models are called like this."""
        head, slash, rest = name.partition("/")
        index = self._named(head) if slash else None
        if index is not None and (found := self._first(index, self._spellings(index, rest))):
            return found
        plain = _PATHS.sub("", name)
        index = next((one for one in self._providers.values() if one.has_models_like(plain)), None)
        return index and self._first(index, (plain,))

    def _spellings(self, index: Index, name: str) -> Iterator[str]:
        """The name itself, then without the wrappings that clouds and routers put around it."""
        yield name
        plain = _PATHS.sub("", name)
        if (arn := _ARN.match(plain)) is not None:
            plain = arn.group(1)
        head, slash, rest = plain.partition("/")
        if slash and self._named(head) is index:
            plain = rest
        if plain != name:
            yield plain

    def _first(self, index: Index, names: Iterator[str] | tuple[str, ...]) -> Match | None:
        for name in names:
            dated = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
            found = self._lookup(index, name) or (self._lookup(index, dated) if dated != name else None)
            if found is not None:
                return found
        return None

    def _lookup(self, index: Index, name: str) -> Match | None:
        """The provider's own model, else one of a provider whose models it resells."""
        if (model := index.find(name)) is not None:
            return Match(index.row.id, model, own=True)
        for other in index.row.fallback:
            if (model := self._providers[other].find(name)) is not None:
                return Match(index.row.id, model, own=False)
        return None


class Index:
    """One provider's models, searched in their order: by name in one step, by pattern in turn."""

    def __init__(self, row: ProviderRow) -> None:
        self.row = row
        self._names: dict[str, int] | None = None
        self._patterns: list[tuple[int, Callable[[str], bool]]] = []

    def is_called(self, name: str) -> bool:
        return self.row.match is not None and predicate(self.row.match)(name)

    def has_models_like(self, name: str) -> bool:
        return self.row.models_match is not None and predicate(self.row.models_match)(name)

    def find(self, name: str) -> Model | None:
        """The first model that matches, as the source's rule is."""
        if self._names is None:
            self._names = self._build()
        best = self._names.get(name, len(self.row.rows))
        for place, matches in self._patterns:
            if place >= best or matches(name):
                best = min(best, place)
                break
        return self.row.model(best) if best < len(self.row.rows) else None

    def _build(self) -> dict[str, int]:
        names: dict[str, int] = {}
        patterns: list[tuple[int, Callable[[str], bool]]] = []
        for place in range(len(self.row.rows)):
            for part in alternatives(self.row.model(place).match):
                if isinstance(part, str):
                    names.setdefault(part, place)
                else:
                    patterns.append((place, predicate(part)))
        self._patterns = patterns
        return names


def alternatives(clause: Clause) -> Iterator[Clause]:
    """The parts of which any one is enough."""
    kind, *parts = items(clause) or ("one",)
    if kind == "or":
        for part in parts:
            yield from alternatives(part)
    else:
        yield clause


def predicate(clause: Clause) -> Callable[[str], bool]:
    """A clause as a function of a lower-case name."""
    if isinstance(clause, str):
        return clause.__eq__
    kind, *parts = clause
    if kind in ("or", "and"):
        tests = [predicate(part) for part in parts]
        return lambda name: (any if kind == "or" else all)(one(name) for one in tests)
    return _TESTS[kind](parts[0])


_TESTS: dict[str, Callable[[str], Callable[[str], bool]]] = {
    "start": lambda text: lambda name: name.startswith(text),
    "end": lambda text: lambda name: name.endswith(text),
    "has": lambda text: lambda name: text in name,
    "re": lambda text: lambda name: re.search(text, name) is not None,
}
