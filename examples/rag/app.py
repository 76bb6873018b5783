"""The service: ``POST /ask``, ``POST /advise``, ``POST /chat``, ``GET /stock/{item}`` and ``GET /health``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dspy
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from openai import AsyncOpenAI, AsyncStream, OpenAIError
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from rag import advice, corpus, settings, stock
from rag.caller import Caller
from rag.program import HandbookProgram


class Question(BaseModel):
    """What a customer asks."""

    question: str


class Reply(BaseModel):
    """An answer, and the ids of the handbook's pages that it rests on."""

    answer: str
    sources: list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create the clients once, and close them at the end."""
    # With OPENAI_BASE_URL in the environment DSPy would leave its own engine for LiteLLM, unless told otherwise.
    app.state.lm = dspy.LM(
        f"openai/{settings.MODEL}", engine="lm15", api_base=settings.BASE_URL, cache=False, num_retries=1
    )
    app.state.program = HandbookProgram()
    async with AsyncOpenAI(max_retries=1) as client:
        app.state.openai = client
        yield


app = FastAPI(title="Handbook", lifespan=lifespan)
app.add_middleware(Caller)


@app.exception_handler(dspy.LMError)
@app.exception_handler(OpenAIError)
async def model_failed(_request: Request, error: Exception) -> JSONResponse:
    """The model server could not answer: that is a bad gateway, not our fault."""
    return JSONResponse({"detail": f"the model did not answer: {type(error).__name__}"}, status_code=502)


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether the service is up."""
    return {"status": "ok"}


@app.post("/ask")
def ask(asked: Question, request: Request) -> Reply:
    """Answer with the program. DSPy blocks, so this is a plain function and FastAPI runs it in a thread."""
    with dspy.context(lm=request.app.state.lm):
        made = request.app.state.program(question=asked.question)
    return Reply(answer=made.answer, sources=made.sources)


@app.post("/advise")
async def advise(asked: Question, request: Request) -> Reply:
    """Answer with the two tools, which the model asks for through the protocol."""
    return Reply(answer=await advice.advise(request.app.state.openai, asked.question), sources=[])


@app.post("/chat")
async def chat(asked: Question, request: Request) -> StreamingResponse:
    """Stream an answer as server-sent events: one ``text`` per piece, at the end the tokens used."""
    client: AsyncOpenAI = request.app.state.openai
    stream = await client.chat.completions.create(
        model=settings.MODEL,
        messages=_messages(asked.question),
        stream=True,
        stream_options={"include_usage": True},
    )
    return StreamingResponse(_events(stream), media_type="text/event-stream")


@app.get("/stock/{item}")
async def stock_of(item: str) -> stock.StockLevel:
    """What the warehouse holds of an item."""
    level = stock.find(item)
    if level is None:
        raise HTTPException(status_code=404, detail=f"nothing is sold as {item!r}")
    return level


def _messages(question: str) -> list[ChatCompletionMessageParam]:
    notes = "\n".join(f"- {document.text}" for document in corpus.search(question, limit=3))
    system = f"You answer questions about the weather station Tern from these notes:\n{notes}"
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


async def _events(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    async with stream:
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield _event({"text": chunk.choices[0].delta.content})
            if chunk.usage:
                yield _event({"tokens": chunk.usage.total_tokens})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, str | int]) -> str:
    return f"data: {json.dumps(data)}\n\n"
