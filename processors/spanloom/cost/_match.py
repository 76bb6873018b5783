"""From the names that telemetry has (provider, host, model) to a row of the price table. Pure but for the caches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from spanloom.cost._table import items

if TYPE_CHECKING:
    from spanloom.cost._table import Clause, Model, ProviderRow, Table

# No provider has names this long; what is longer is a mistake, and must not fill the caches.
MAX_NAME = 256

# Values of OpenTelemetry's provider attribute, and prefixes that LiteLLM and DSPy write before model names, whose
# provider the table has under another id (written out: the names' own module takes longer to load than the table).
# Everything else is found by the table's own clauses.
PROVIDERS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "amazon-bedrock": "aws",
    "amazon_bedrock": "aws",
    "aws_bedrock": "aws",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
}
# "litellm" is a way to a provider, not one: the model's prefix says whose model it is.
_ROUTERS = frozenset({"litellm", "litellm_proxy"})
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_PATHS = re.compile(r"^(?:(?:projects/[^/]+/)?(?:locations/[^/]+/)?publishers/[^/]+/models|models)/")
# Of the public partition alone: China and GovCloud have prices of their own.
_ARN = re.compile(r"^arn:aws:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)$")
# Prices of their own as well: the regions of both, and rented capacity, in LiteLLM's paths.
_APART = re.compile(r"(?:^|/)(?:(?:us-gov|cn)-[a-z]+-\d|\d+-month-commitment)/")
# Azure's deployments in one region of the world, as LiteLLM names them. Data zones cost a tenth more than the global
# deployment, whose price is the table's (Azure's price list for OpenAI models).
_AZURE_ZONE = re.compile(r"^(?:(?P<zone>eu|us)|global(?:-standard)?)/(?P<model>.+)$")
_ZONE_FACTOR = Decimal("1.1")


class Match(NamedTuple):
    """The provider that is asked and the model found; ``own`` is False for a model borrowed from another provider.

    ``factor``: what its prices are multiplied with, for ``reason``.
    """

    provider: str
    model: Model
    own: bool
    factor: Decimal | None = None
    reason: str = ""


class Matcher:
    """Finds rows of one table."""

    def __init__(self, table: Table) -> None:
        self._providers = {row.id: Index(row) for row in table.providers}

    def find(self, provider: str | None, model: str | None, host: str = "") -> Match | None:
        """The row for a model as telemetry names it; None where the table cannot know it.

        ``host``: where the model was called, as ``bare_host`` gives it. One that is known says who bills the call.
        """
        name = (model or "").strip().lower()
        if not name or len(name) > MAX_NAME:
            return None
        index = self.asked(provider, host)
        if index is not None:
            return self._first(index, self.spellings(index, name))
        who = plain_provider(provider)
        return None if who or host else self._without_provider(name)

    def indexes(self) -> Iterable[Index]:
        """All providers, in the table's order."""
        return self._providers.values()

    def head(self, model: str) -> Index | None:
        """The provider that a name begins with: ``azure/gpt-4o``."""
        head, slash, _ = model.partition("/")
        return self._named(head) if slash else None

    def asked(self, provider: str | None, host: str) -> Index | None:
        """Who bills the call: the host's provider where that is known, else the one that is named."""
        who = plain_provider(provider)
        named = self.provider(who) if who else None
        return self.at_host(host, named) if host else named

    def at_host(self, host: str, named: Index | None) -> Index | None:
        """The provider of a host; the named one where it may be there, or nobody is known to be."""
        if named is not None and named.is_at(host):
            return named
        return next((index for index in self._providers.values() if index.is_at(host)), named)

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
        index = self.head(name)
        if index is not None and (found := self._first(index, self.spellings(index, name.partition("/")[2]))):
            return found
        index = self.owner(name)
        return index and self._first(index, (_PATHS.sub("", name),))

    def owner(self, name: str) -> Index | None:
        """Whose models have names like this."""
        plain = _PATHS.sub("", name)
        return next((one for one in self._providers.values() if one.has_models_like(plain)), None)

    def spellings(self, index: Index, name: str) -> Iterator[str]:
        """The name itself, then without the wrappings that clouds and routers put around it."""
        if name.startswith("arn:"):
            # Its other parts may look like a model's name and say nothing of it.
            inner = _ARN.match(name)
            yield from inner.groups() if inner else ()
            return
        if index.row.id == "aws" and _APART.search(name):
            return
        yield name
        plain = _PATHS.sub("", name)
        if plain != name:
            yield plain
        if self.head(plain) is index:
            yield _PATHS.sub("", plain.partition("/")[2])

    def _first(self, index: Index, names: Iterable[str]) -> Match | None:
        for name in names:
            zone = _AZURE_ZONE.match(name) if index.row.id == "azure" else None
            found = self._dated(index, zone["model"] if zone else name)
            if found is not None:
                in_zone = zone and zone["zone"]
                return found._replace(factor=_ZONE_FACTOR, reason=f"zone={in_zone}") if in_zone else found
        return None

    def _dated(self, index: Index, name: str) -> Match | None:
        """By the name, then with its date written out."""
        dated = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
        return self._lookup(index, name) or (self._lookup(index, dated) if dated != name else None)

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

    def is_at(self, host: str) -> bool:
        """Patterns are written for whole URLs; of those that need a path, a host alone tells nothing."""
        return bool(self.row.api) and re.match(self.row.api, f"https://{host}") is not None

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

    def names(self) -> list[str]:
        """The ids of all models."""
        return [row[0] for row in self.row.rows]

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


def plain_provider(provider: str | None) -> str:
    """A provider's name in lower case; empty for routers, which are none."""
    name = (provider or "").strip().lower()
    return "" if name in _ROUTERS else name


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
