"""Searches: one span each, whichever retriever of DSPy's searches, with what is known of it and nothing else."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dspy
import numpy as np
import pytest
import requests
from dspy.dsp.colbertv2 import ColBERTv2RetrieverLocal
from dspy.dsp.utils import dotdict
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanloom.dspy import _retrieval
from spanloom.genai.hooks import blocks_propagation
from tests._support.spans import normal, outline

TOPK = [
    {"pid": 7, "rank": 1, "score": 21.5, "text": "Elbe | a river", "prob": 0.7},
    {"pid": 9, "rank": 2, "score": 20, "text": "Oder | a river"},
    {"pid": 11, "rank": 3, "score": 19.5, "text": "Rhine | a river"},
]
CORPUS = ["the Elbe is a river", "Paris is a city", "Oder and Elbe"]
WORDS = ["river", "city", "Elbe"]


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self._search(query["query"][0], int(query["k"][0]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/vector-search/" in self.path:
            columns = [{"name": name} for name in ("id", "text", "score")]
            rows = [["a", "Elbe", 0.5], ["b", "Oder", 0.75]]
            self._send(200, {"manifest": {"columns": columns}, "result": {"data_array": rows}})
        else:
            self._search(body["query"], body["k"])

    def _search(self, query: str, k: int) -> None:
        self.server.asked.append(query)
        if query == "broken":
            self._send(200, {"error": True, "message": "no index"})
        elif query == "down":
            self._send(500, {})
        else:
            self._send(200, {"topk": [dict(one, long_text=one["text"]) for one in TOPK[:k]]})

    def _send(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def colbert() -> Iterator[SimpleNamespace]:
    """A search server: its URL, port and what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    port = server.server_address[1]
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}/wiki", port=port, asked=server.asked)
    server.shutdown()
    thread.join()
    server.server_close()


def vectors(texts: list[str]) -> np.ndarray:
    """One dimension a word."""
    return np.array([[1.0 + text.count(word) for word in WORDS] for text in texts], dtype=np.float32)


@pytest.fixture
def retriever() -> Iterator[dspy.Embeddings]:
    """Over three texts, with a function as the embedder."""
    one = dspy.Embeddings(corpus=CORPUS, embedder=vectors, k=2)
    yield one
    one.search_fn.close()


def found(span) -> Any:
    """The documents on a span."""
    return json.loads(span.attributes["gen_ai.retrieval.documents"])


def rm(query: str, k: int = 3, **_: Any) -> list[dotdict]:
    """A retriever of the application's own."""
    return [dotdict(long_text=f"{query} {number}") for number in range(k)]


def test_a_search_server(colbert, recorder, plugin_with_content):
    """ColBERT: its address, the query, and documents with ids and scores."""
    passages = dspy.ColBERTv2(url=colbert.url)("rivers", k=2)
    assert [one.long_text for one in passages] == ["Elbe | a river", "Oder | a river"]
    assert normal(recorder.spans) == [
        {
            "trace": 1,
            "id": 1,
            "parent": None,
            "name": "retrieval",
            "kind": "CLIENT",
            "scope": "spanloom.dspy",
            "status": "UNSET",
            "status_text": None,
            "attributes": {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.retrieval.documents": recorder.span.attributes["gen_ai.retrieval.documents"],
                "gen_ai.retrieval.query.text": "rivers",
                "gen_ai.retrieval.top_k": 2,
                "server.address": "127.0.0.1",
                "server.port": "<int>",
            },
            "events": [],
            "links": [],
        }
    ]
    assert recorder.span.attributes["server.port"] == colbert.port
    assert found(recorder.span) == [
        {"content": "Elbe | a river", "id": "7", "score": 21.5},
        {"content": "Oder | a river", "id": "9", "score": 20},
    ]


def test_without_content_no_text_is_kept(colbert, retriever, recorder, plugin):
    """Neither the query nor what was found."""
    dspy.ColBERTv2(url=colbert.url)("secret rivers")
    retriever("secret Elbe")
    with dspy.context(rm=rm):
        dspy.Retrieve()("secret")
    assert [span.attributes["gen_ai.retrieval.top_k"] for span in recorder.spans] == [10, 2, 3]
    assert not any("gen_ai.retrieval.query.text" in span.attributes for span in recorder.spans)
    for text in ("secret", "Elbe", "river"):
        assert not any(text in str(dict(span.attributes)) for span in recorder.spans)


def test_a_cached_answer_is_one_more_search(colbert, recorder, plugin):
    """DSPy does not say that it has it already: nothing is made up about it."""
    for _ in range(2):
        dspy.ColBERTv2(url=colbert.url)("cached rivers", 1)
    assert colbert.asked == ["cached rivers"]
    assert outline(recorder.spans, "gen_ai.retrieval.top_k") == ["retrieval top_k=1"] * 2
    assert recorder.total("gen_ai.client.operation.duration") == 2


def test_posted_and_simplified(colbert, recorder, plugin_with_content):
    """The other ways to ask it."""
    assert dspy.ColBERTv2(url=colbert.url, post_requests=True)("posted", k=1, simplify=True) == ["Elbe | a river"]
    assert found(recorder.span) == [{"content": "Elbe | a river"}]


@pytest.mark.parametrize(
    ("query", "kind", "error"),
    [
        ("broken", ValueError, "ValueError"),
        ("down", requests.HTTPError, "requests.exceptions.HTTPError"),
    ],
)
def test_a_search_that_fails(query, kind, error, colbert, recorder, plugin):
    """The exception is the server's; the span says so."""
    with pytest.raises(kind):
        dspy.ColBERTv2(url=colbert.url)(query)
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"] == error


@pytest.mark.parametrize("url", ["nonsense", "http://[", "http://host:x/"])
def test_no_address(url, recorder, plugin):
    """An address that is none is told as none, and fails as it does without us."""
    with pytest.raises(requests.RequestException):
        dspy.ColBERTv2(url=url)("rivers")
    assert "server.address" not in recorder.span.attributes


def test_retrieve_over_a_retriever_of_dspys_is_one_search(colbert, recorder, plugin_with_content):
    """The inner call is the one that is recorded: it knows the address, ids and scores."""
    with dspy.context(rm=dspy.ColBERTv2(url=colbert.url)):
        result = dspy.Retrieve(k=1)("one river")
    assert result.passages == ["Elbe | a river"]
    assert outline(recorder.spans, "gen_ai.retrieval.top_k", "server.port") == [
        f"retrieval top_k=1 port={colbert.port}"
    ]
    assert found(recorder.span) == [{"content": "Elbe | a river", "id": "7", "score": 21.5}]


def test_a_retriever_over_retrieve_is_one_search(recorder, plugin):
    """A ``Retrieve`` as the retriever of another one."""

    class Inner(dspy.Retrieve):
        def forward(self, query: str, k: int | None = None) -> list[dotdict]:
            return rm(query, k or self.k)

    with dspy.context(rm=Inner(k=5)):
        assert len(dspy.Retrieve(k=4)("x").passages) == 4
        assert len(dspy.Retrieve(k=4)("x", k=2).passages) == 2
    assert outline(recorder.spans, "gen_ai.retrieval.top_k") == ["retrieval top_k=4", "retrieval top_k=2"]


def test_retrieve_over_the_applications_own(recorder, plugin_with_content):
    """``Retrieve`` is the one that knows."""
    with dspy.context(rm=rm):
        assert dspy.Retrieve(k=2)("oak").passages == ["oak 0", "oak 1"]
        dspy.Retrieve(k=2)(query="elm", k=1)
    first, second = recorder.spans
    assert found(first) == [{"content": "oak 0"}, {"content": "oak 1"}]
    assert first.attributes["gen_ai.retrieval.query.text"] == "oak"
    assert second.attributes["gen_ai.retrieval.query.text"] == "elm"
    assert [one.attributes["gen_ai.retrieval.top_k"] for one in (first, second)] == [2, 1]
    assert not any("server.address" in one.attributes for one in (first, second))


def test_no_retriever(recorder, plugin):
    """DSPy's own complaint."""
    with dspy.context(rm=None), pytest.raises(AssertionError, match="No RM is loaded"):
        dspy.Retrieve()("x")
    assert recorder.span.attributes["error.type"] == "AssertionError"


def test_a_search_inside_a_module(colbert, lm, recorder, plugin):
    """Below the module, beside its predictor."""

    class Rag(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.retrieve = dspy.Retrieve(k=1)
            self.answer = dspy.Predict("context, question -> answer")

        def forward(self, question: str) -> dspy.Prediction:
            return self.answer(context=self.retrieve(question).passages, question=question)

    with dspy.context(rm=dspy.ColBERTv2(url=colbert.url)):
        Rag()(question="Which river?")
    assert outline(recorder.spans) == [
        "invoke_workflow Rag",
        "  retrieval",
        "  Predict answer",
        "    chat gpt-4o-mini",
    ]


class Fixed(dspy.Retrieve):
    """Takes no ``k`` and looks at none."""

    def forward(self, query: str) -> Any:
        return {"list": ["a"], "prediction": dspy.Prediction(answer="a"), "one": object()}[query]


class Defaulted(dspy.Retrieve):
    """Has a ``k`` of its own."""

    def forward(self, question: str, k: int = 7) -> list[dspy.Prediction]:
        return [dspy.Prediction(passage=question)]


def test_subclasses_of_the_applications(recorder, plugin_with_content):
    """What they search for and how many is told where their arguments tell it."""
    for query in ("list", "prediction", "one"):
        Fixed(k=3)(query)
    Defaulted()("unnamed")
    listed, predicted, unknown, defaulted = (dict(span.attributes) for span in recorder.spans)
    assert json.loads(listed["gen_ai.retrieval.documents"]) == [{"content": "a"}]
    for one in (listed, predicted, unknown):
        assert "gen_ai.retrieval.top_k" not in one
    for one in (predicted, unknown):
        assert "gen_ai.retrieval.documents" not in one
    assert defaulted["gen_ai.retrieval.top_k"] == 7
    assert "gen_ai.retrieval.query.text" not in defaulted
    assert json.loads(defaulted["gen_ai.retrieval.documents"]) == [{"content": {"passage": "unnamed"}}]


def test_a_search_that_is_no_function(recorder, plugin_with_content):
    """A callable object as ``forward``: nothing is known of its arguments but their names."""

    class Searcher:
        def __call__(self, *args: Any, **kwargs: Any) -> list[str]:
            return ["found"]

    class Odd(dspy.Retrieve):
        forward = Searcher()

    assert Odd()("x", k=4) == ["found"]
    assert Odd()(query="y") == ["found"]
    first, second = recorder.spans
    assert first.attributes["gen_ai.retrieval.top_k"] == 4
    assert "gen_ai.retrieval.query.text" not in first.attributes
    assert second.attributes["gen_ai.retrieval.query.text"] == "y"
    assert "gen_ai.retrieval.top_k" not in second.attributes


def test_databricks(colbert, recorder, plugin_with_content, monkeypatch):
    """An index has a name; the token is nowhere."""
    # DSPy looks for the SDK inside this package, and cannot be imported where there is none.
    package = types.ModuleType("databricks")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "databricks", package)
    from dspy.retrievers.databricks_rm import DatabricksRM

    one = DatabricksRM("rivers_index", f"http://127.0.0.1:{colbert.port}", "token-123", k=2)
    assert one("large rivers", "HYBRID").docs == ["Oder", "Elbe"]
    span = recorder.span
    assert span.name == "retrieval rivers_index"
    assert span.attributes["gen_ai.data_source.id"] == "rivers_index"
    assert span.attributes["gen_ai.retrieval.top_k"] == 2
    assert span.attributes["server.port"] == colbert.port
    assert found(span) == [{"content": "Oder", "id": "b"}, {"content": "Elbe", "id": "a"}]
    assert "token-123" not in str(normal(recorder.spans))


@pytest.mark.parametrize("name", ["__call__", "forward"])
@pytest.mark.parametrize("kind", [dspy.Embeddings, dspy.EmbeddingsWithScores])
def test_embeddings(kind, name, recorder, plugin_with_content):
    """One span a search, whichever way it is called."""
    one = kind(corpus=CORPUS, embedder=vectors, k=2)
    result = getattr(one, name)("Elbe")
    one.search_fn.close()
    span = recorder.span
    assert span.attributes["gen_ai.retrieval.top_k"] == 2
    assert span.attributes["gen_ai.retrieval.query.text"] == "Elbe"
    rows = found(span)
    assert [row["content"] for row in rows] == result.passages
    assert [row["id"] for row in rows] == [str(index) for index in result.indices]
    assert [row.get("score") for row in rows] == (result.scores if kind is dspy.EmbeddingsWithScores else [None] * 2)


def test_a_subclass_of_embeddings_is_one_search(recorder, plugin):
    """Which calls the inherited one."""

    class Mine(dspy.EmbeddingsWithScores):
        def forward(self, query: str) -> dspy.Prediction:
            return super().forward(query.lower())

    one = Mine(corpus=CORPUS, embedder=vectors, k=1)
    one("ELBE")
    one.search_fn.close()
    assert outline(recorder.spans, "gen_ai.retrieval.top_k") == ["retrieval top_k=1"]


def test_a_subclass_of_the_search_server_with_arguments_of_its_own(colbert, recorder, plugin_with_content):
    """What is told is what the inherited call is given."""

    class Mine(dspy.ColBERTv2):
        def __call__(self, count: int, *words: str) -> Any:
            return super().__call__(" ".join(words), count)

    Mine(url=colbert.url)(2, "two", "rivers")
    assert recorder.span.attributes["gen_ai.retrieval.query.text"] == "two rivers"
    assert recorder.span.attributes["gen_ai.retrieval.top_k"] == 2


def test_an_embedder_that_fails(recorder, plugin):
    """In the batch's thread; the caller gets it."""
    failing = []

    def embed(texts: list[str]) -> np.ndarray:
        if failing:
            raise KeyError("no vectors")
        return vectors(texts)

    one = dspy.Embeddings(corpus=CORPUS, embedder=embed, k=1)
    failing.append(True)
    with pytest.raises(KeyError, match="no vectors"):
        one("Elbe")
    one.search_fn.close()
    assert recorder.span.attributes["error.type"] == "KeyError"


class Unreadable:
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")


def test_nearest_neighbours(recorder, plugin_with_content):
    """The fields are the query; examples are the documents."""
    trainset = [dspy.Example(question=text, answer=text.upper()).with_inputs("question") for text in CORPUS]
    knn = dspy.KNN(2, trainset, dspy.Embedder(vectors))
    recorder.clear()
    result = knn(question="the Elbe", limit=3)
    search, step = recorder.spans
    assert outline(recorder.spans) == ["retrieval", "  dspy.embedder"]
    assert search.attributes["gen_ai.retrieval.top_k"] == 2
    assert search.attributes["gen_ai.retrieval.query.text"] == "question: the Elbe | limit: 3"
    assert [row["content"]["question"] for row in found(search)] == [one.question for one in result]
    assert step.kind.name == "INTERNAL"
    recorder.clear()
    with pytest.raises(ValueError, match="no text"):
        knn(question=Unreadable())
    assert recorder.span.attributes["gen_ai.retrieval.query.text"] == "question: <Unreadable>"


def test_knn_few_shot_searches_below_its_program(lm, recorder, plugin):
    """The optimizer's search for demos."""
    trainset = [dspy.Example(question=text, answer="x").with_inputs("question") for text in CORPUS]
    program = dspy.KNNFewShot(1, trainset, dspy.Embedder(vectors)).compile(dspy.Predict("question -> answer"))
    recorder.clear()
    program(question="Elbe")
    lines = [line.strip() for line in outline(recorder.spans)]
    assert lines.count("retrieval") == 1
    assert len({span.context.trace_id for span in recorder.spans}) == 1


def test_a_local_index(recorder, plugin_with_content):
    """ColBERT in the process."""

    class Local(ColBERTv2RetrieverLocal):
        def __init__(self) -> None:
            """Needs no index."""

        def forward(self, query: str, k: int = 7) -> list[dotdict]:
            return [dotdict(long_text=query, score=1.5, pid=3), dotdict(other="x", score=True)]

    Local()("Elbe")
    assert recorder.span.attributes["gen_ai.retrieval.top_k"] == 7
    assert found(recorder.span) == [{"content": "Elbe", "id": "3", "score": 1.5}, {}]


def test_a_search_may_carry_the_trace(recorder, plugin):
    """A retriever of the application's may call its own services, which get the trace as without us."""
    seen = []

    def search(query: str, k: int) -> list[dotdict]:
        seen.append(blocks_propagation())
        return rm(query, k)

    with dspy.context(rm=search):
        dspy.Retrieve()("x")
    assert seen == [False]


def test_suppressed(colbert, retriever, recorder, plugin):
    """Nothing is recorded inside ``suppress_instrumentation()``."""
    with suppress_instrumentation():
        dspy.ColBERTv2(url=colbert.url)("rivers")
        retriever("Elbe")
    assert not recorder.spans


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_is_no_exception_passes(error, recorder, plugin):
    """And ends the span."""

    def search(query: str, k: int) -> list[dotdict]:
        raise error

    with dspy.context(rm=search), pytest.raises(type(error)) as caught:
        dspy.Retrieve()("x")
    assert caught.value is error
    assert recorder.span.attributes["error.type"] == type(error).__name__


def test_originals_come_back(plugin):
    """Every method is itself again."""
    patched = dspy.Retrieve.__call__, dspy.ColBERTv2.__call__, dspy.Embeddings.forward, dspy.KNN.__call__
    plugin.uninstrument()
    restored = dspy.Retrieve.__call__, dspy.ColBERTv2.__call__, dspy.Embeddings.forward, dspy.KNN.__call__
    assert all(new.__wrapped__ is old for new, old in zip(patched[1:], restored[1:], strict=True))
    assert patched[0].__wrapped__ is restored[0]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([], None),
        ("text", None),
        ([{"content": "a", "doc_id": 1, "score": None}], [{"content": "a", "id": "1"}]),
        (dspy.Prediction(passages=["a", "b"], scores=[0.5]), [{"content": "a", "score": 0.5}, {"content": "b"}]),
        (dspy.Prediction(docs=["a"], doc_ids=None), [{"content": "a"}]),
        (dspy.Prediction(scores=[1.0]), None),
    ],
)
def test_shapes_of_results(result, expected):
    """What is no document is left out."""
    assert _retrieval.documents(result) == expected
