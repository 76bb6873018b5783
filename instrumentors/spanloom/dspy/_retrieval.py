"""Searches: one span each, where DSPy searches. The conventions have them as calls of a client, wherever they run.

``Retrieve`` asks ``settings.rm``. Where that is a retriever of DSPy's, whose own call is recorded, ``Retrieve`` makes
no span: the inner one knows more (address, ids, scores), and two spans would be two searches. Where it is the
application's, ``Retrieve``'s span is the one.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, cast

from spanloom.dspy._paths import own
from spanloom.dspy._providers import address_of
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import method
from spanloom.genai import Peer, Retrieval, Target, Telemetry, as_text, guard
from spanloom.semconv import GenAI

_RETRIEVE, _COLBERT = "dspy.retrievers.retrieve", "dspy.dsp.colbertv2"
_EMBEDDINGS, _KNN = "dspy.retrievers.embeddings", "dspy.predict.knn"
_QUERIES = ("query", "query_or_queries")
# The modules of retrievers that name what they search in -> the attribute that has the name.
_SOURCES = {
    "dspy.retrievers.databricks_rm": "databricks_index_name",
    "dspy.retrievers.weaviate_rm": "_weaviate_collection_name",
}
_ADDRESSES = {_COLBERT: "url", "dspy.retrievers.databricks_rm": "databricks_endpoint"}
# Fields of a result that hold one value for each document -> what they are.
_FIELDS = (("passages", "content"), ("docs", "content"), ("doc_ids", "id"), ("indices", "id"), ("scores", "score"))
_TEXTS, _IDS = ("long_text", "text", "page_content", "content"), ("id", "pid", "doc_id")


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Every retriever of DSPy's, and what inherits from it."""
    del settings
    yield method(telemetry, _RETRIEVE, "Retrieve.__call__", _begin_retrieve, conclude)
    asked = functools.partial(_begin_at, "__call__", _COLBERT)
    yield method(telemetry, _COLBERT, "ColBERTv2.__call__", asked, conclude)
    local = functools.partial(_begin_at, "forward", None)
    yield method(telemetry, _COLBERT, "ColBERTv2RetrieverLocal.__call__", local, conclude)
    embedded = functools.partial(_begin_at, "forward", _EMBEDDINGS)
    for owner in ("Embeddings", "EmbeddingsWithScores"):
        # `__call__` does nothing but call it.
        yield method(telemetry, _EMBEDDINGS, f"{owner}.forward", embedded, conclude)
    yield method(telemetry, _KNN, "KNN.__call__", _begin_knn, conclude)


def _begin_retrieve(
    telemetry: Telemetry, retriever: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Retrieval | None:
    forward = _function(retriever, "forward")
    if forward is not None and forward.__module__ == _RETRIEVE and _is_recorded(_settings_rm()):
        return None
    return _begin(telemetry, retriever, forward, args, kwargs)


def _begin_at(
    name: str, home: str | None, telemetry: Telemetry, retriever: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Retrieval:
    """``name``: of the method that searches; ``home``: the module that defines it, where a subclass takes no part."""
    return _begin(telemetry, retriever, _function(retriever, name, home), args, kwargs)


def _begin_knn(telemetry: Telemetry, knn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Retrieval:
    """It takes the fields of an example, and searches for them as one text."""
    del args
    search = _begin(telemetry, knn, _function(knn, "__call__", _KNN), (), {})
    if search.captures_content:
        given = dict(kwargs)
        search.query = lambda: " | ".join(f"{key}: {as_text(value)}" for key, value in given.items())
    return search


def _begin(
    telemetry: Telemetry,
    retriever: Any,
    function: FunctionType | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Retrieval:
    """``function``: what searches, and so says what the arguments are."""
    search = Retrieval(telemetry, _named_by(retriever, _SOURCES), _peer(retriever))
    # A search server is no model provider: whether it learns the trace is the application's choice, as without us.
    search.propagates = True
    with guard("dspy.retrieval.request"):
        bound = _bound(function, args, kwargs)
        search.top_k = _top_k(retriever, bound, function)
        query = next((bound[name] for name in _QUERIES if name in bound), None)
        if search.captures_content and isinstance(query, str):
            search.query = lambda: query
    return search


def conclude(search: Retrieval, result: Any) -> Any:
    """End it with what was found."""
    with guard("dspy.retrieval.result"):
        if search.captures_content:
            search.output_content = {GenAI.RETRIEVAL_DOCUMENTS: lambda: documents(result)}
    search.stop()
    return result


def _function(value: Any, name: str, home: str | None = None) -> FunctionType | None:
    """The method as its class defines it, below every wrapper; ``None`` for what is no plain function."""
    classes = [one for one in _classes(value) if home is None or one.__module__ == home]
    found = next((one.__dict__[name] for one in classes if name in one.__dict__), None)
    function = inspect.unwrap(found) if isinstance(found, FunctionType) else None
    return function if isinstance(function, FunctionType) else None


def _classes(value: Any) -> tuple[type[Any], ...]:
    return cast("type[Any]", type(value)).__mro__


def _bound(function: FunctionType | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name, with their defaults. (``inspect.signature`` costs as much as a whole span.)"""
    if function is None:
        return dict(kwargs)
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[1 : code.co_argcount]
    start = len(names) - len(defaults)
    return {**dict(zip(names[start:], defaults, strict=False)), **dict(zip(names, args, strict=False)), **kwargs}


def _top_k(retriever: Any, bound: Mapping[str, Any], function: FunctionType | None) -> int | None:
    """The call's own, else the retriever's. A search of the application's that takes no ``k`` may not look at that."""
    asked = bound.get("k")
    if asked is None and ("k" in bound or _is_of_dspy(function)):
        asked = own(retriever).get("k")
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and 0 < asked < 2**63 else None


def _is_of_dspy(function: FunctionType | None) -> bool:
    return function is not None and function.__module__.startswith("dspy.")


def _named_by(retriever: Any, names: Mapping[str, str]) -> str | None:
    """The attribute that this kind of retriever has for it, if it holds a text."""
    name = next((names[one.__module__] for one in _classes(retriever) if one.__module__ in names), None)
    value = own(retriever).get(name) if name is not None else None
    return value if isinstance(value, str) and value else None


def _peer(retriever: Any) -> Peer:
    url = _named_by(retriever, _ADDRESSES)
    address = address_of(url) if url is not None else None
    return Peer() if address is None else Peer(None, *address)


def _settings_rm() -> Any:
    return getattr(getattr(sys.modules.get("dspy"), "settings", None), "rm", None)


def _is_recorded(rm: Any) -> bool:
    call = _function(rm, "__call__")
    return call is not None and call.__module__ in (_RETRIEVE, _COLBERT)


def documents(result: Any) -> list[dict[str, Any]] | None:
    """What was found: text, and id and score where they are told. Retrievers have many shapes."""
    fields = _fields(result)
    if fields is None:
        found = cast("Sequence[Any]", result) if isinstance(result, (list, tuple)) else ()
        return [_document(one) for one in found] or None
    columns = [(key, fields[name]) for name, key in _FIELDS if isinstance(fields.get(name), (list, tuple))]
    lengths = [len(values) for key, values in columns if key == "content"]
    if not lengths:
        return None
    rows: list[dict[str, Any]] = [{} for _ in range(lengths[0])]
    for key, values in columns:
        for row, value in zip(rows, values, strict=False):
            row.update(_told(key, value))
    return rows


def _document(one: Any) -> dict[str, Any]:
    """A passage as text, as a ``dotdict``, or an example of a training set."""
    fields: Any = _fields(one)
    if fields is not None:
        return {"content": dict(fields)}
    if not isinstance(one, Mapping):
        return _told("content", one)
    passage = cast("Mapping[str, Any]", one)
    row: dict[str, Any] = {}
    for key, names in (("content", _TEXTS), ("id", _IDS), ("score", ("score",))):
        value = next((passage[name] for name in names if passage.get(name) is not None), None)
        if value is not None:
            row.update(_told(key, value))
    return row


def _told(key: str, value: Any) -> dict[str, Any]:
    """Ids are texts, scores are numbers; what is neither is not told."""
    if key == "id":
        return {"id": as_text(value)}
    if key == "score" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return {}
    return {key: value}


def _fields(result: Any) -> Mapping[str, Any] | None:
    """The fields of a ``Prediction`` or an ``Example``; ``None`` for anything else."""
    store = getattr(result, "__dict__", {}).get("_store")
    return cast("Mapping[str, Any]", store) if isinstance(store, dict) else None
