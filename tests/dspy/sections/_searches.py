"""Retrievers and embedders."""

from __future__ import annotations

import atexit
import functools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dspy
from dspy.dsp.utils import dotdict

from tests.dspy.sections._stage import Stage, questions, section, vectors

CORPUS = ["the Elbe is a river", "Paris is a city", "Oder and Elbe"]


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        raw = json.dumps({"topk": [{"pid": 7, "score": 2.5, "text": "Elbe"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@functools.cache
def search_url() -> str:
    """A search server as ColBERTv2 asks one, for the rest of the process: its address is part of DSPy's cache keys."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    atexit.register(server.server_close)
    atexit.register(server.shutdown)
    return f"http://127.0.0.1:{server.server_address[1]}/wiki"


def rm(query: str, k: int = 3, **_: Any) -> list[dotdict]:
    """A retriever of the application's own."""
    return [dotdict(long_text=f"{query} {number}") for number in range(k)]


class Answering(dspy.Module):
    """Searches, then answers."""

    def __init__(self, search: Any) -> None:
        super().__init__()
        self.search = search
        self.answer = dspy.Predict("context, question -> answer")

    def forward(self, question: str) -> Any:
        return self.answer(context=self.search(question).passages, question=question)


@section()
def retrieve(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), rm=rm):
        return Answering(dspy.Retrieve(k=2))(question="Which river?")


@section()
def embeddings(stage: Stage) -> Any:
    search = dspy.Embeddings(corpus=CORPUS, embedder=dspy.Embedder(vectors, caching=False), k=2)
    with dspy.context(lm=stage.lm()):
        answer = Answering(search)(question="Which river?")
    search.search_fn.close()
    return answer


@section()
def colbert(stage: Stage) -> Any:
    url = search_url()
    with dspy.context(rm=dspy.ColBERTv2(url=url)):
        return [dspy.ColBERTv2(url=url)("rivers", k=1, simplify=True), dspy.Retrieve(k=1)("cities")]


@section()
def knn(stage: Stage) -> Any:
    return dspy.KNN(k=1, trainset=questions(2), vectorizer=dspy.Embedder(vectors, caching=False))(question="river 1")


@section()
def embedder_of_a_function(stage: Stage) -> Any:
    return dspy.Embedder(vectors, caching=False)(["a river", "a city"]).tolist()


@section()
def embedder_of_a_hosted_model(stage: Stage) -> Any:
    settings = {"api_base": stage.server.openai_base_url, "api_key": "key", "caching": False, "dimensions": 4}
    return dspy.Embedder("openai/text-embedding-3-small", batch_size=1, **settings)(["a river", "a city"]).tolist()
