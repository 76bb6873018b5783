"""What models, providers and hosts are called: names for the Collector's price table, which knows no patterns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from spanloom.cost._match import PROVIDERS, Index, Matcher
from spanloom.cost._table import Clause, items, table

# Patterns of hosts that are no plain host, and what ``transform/price_key`` makes of each before it asks.
WILDCARDS: Final = {
    "*.openai.azure.com": "x.openai.azure.com",
    "*.googleapis.com": "generativelanguage.googleapis.com",
    "bedrock-runtime.*.amazonaws.com": "bedrock-runtime.us-east-1.amazonaws.com",
}
# Hosts whose patterns leave something open.
_HOSTS: Final = (
    "api.arcee.ai",
    "api.cohere.ai",
    "api.cohere.com",
    "api.elevenlabs.io",
    "api.meta.ai",
    "api.minimax.io",
    "api.minimaxi.com",
    "api.moonshot.ai",
    "api.moonshot.cn",
    "api.openrouter.ai",
    "inference.baseten.co",
    "openrouter.ai",
)
_PLAIN_HOST: Final = re.compile(r"https://((?:[a-z0-9-]|\\\.)+)")
DAY: Final = re.compile(r"-(20\d\d)-(\d\d)-(\d\d)")
_LITELLM: Final = "model_prices_and_context_window_backup.json"


def provider_names(matcher: Matcher) -> dict[str, str]:
    """What providers are called, in lower case → the table's ids."""
    ids = {index.row.id for index in matcher.indexes()}
    return {one: one for one in ids} | {name: known for name, known in PROVIDERS.items() if known in ids}


def hosts(matcher: Matcher) -> dict[str, str]:
    """Hosts, and wildcards of them → who bills there."""
    plain = (found[1].replace("\\", "") for row in table().providers if (found := _PLAIN_HOST.fullmatch(row.api)))
    asked = {host: host for host in sorted({*plain, *_HOSTS}) if not host.endswith(".")} | WILDCARDS
    known = ((host, matcher.at_host(example, None)) for host, example in asked.items())
    return {host: index.row.id for host, index in known if index is not None}


def model_names(matcher: Matcher, index: Index, more: Iterable[str]) -> set[str]:
    """All that the table spells out for a provider and for those whose models it resells, and ``more``; dates in both
    spellings."""
    others = (matcher.provider(other) for other in index.row.fallback)
    names = {text for one in (index, *others) if one is not None for text in own_names(one)} | {*more}
    return names | {DAY.sub(r"-\1\2\3", name) for name in names}


def own_names(index: Index) -> Iterator[str]:
    for place in range(len(index.row.rows)):
        model = index.row.model(place)
        yield model.id.lower()
        yield from texts(model.match)


def texts(clause: Clause) -> Iterator[str]:
    """The names and the parts of names in a clause; a part is asked like a name, and may turn out to be one."""
    kind, *parts = items(clause) or ("one", clause)
    if kind in ("or", "and"):
        for part in parts:
            yield from texts(part)
    elif kind != "re":
        yield parts[0]


def litellms_names(matcher: Matcher) -> Iterator[str]:
    """What LiteLLM lists (``provider/model``), where that is installed: names as people write them. Its prices are not
    looked at."""
    found = find_spec("litellm")
    file = Path(found.origin).with_name(_LITELLM) if found and found.origin else None
    if file is None or not file.is_file():
        return
    listed: Mapping[str, Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    known = provider_names(matcher)
    for key, row in listed.items():
        provider = known.get(str(row.get("litellm_provider", "")).partition("-")[0])
        head, _, rest = key.lower().partition("/")
        name = rest if known.get(head) == provider else key.lower()
        if provider is not None and name:
            yield f"{provider}/{name}"
