"""Runs in a neighbour's environment: each scenario in a forked process of its own; prints what was exported, as JSON.

    python _worker.py NEIGHBOUR URL

What is printed: scenario -> {"spans": {call: [scope, ...]}, "other": {call: [scope, ...]}, "log": [line, ...],
"errors": {call: type}}. ``spans`` is what our provider exported, ``other`` what a second provider did.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

NEIGHBOUR, URL = sys.argv[1:3]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
# What may be imported before it is started: Langfuse's `langfuse.openai` patches when it is imported.
LOADED = {
    "official": ("opentelemetry.instrumentation.genai.openai",),
    "openllmetry": ("opentelemetry.instrumentation.openai.v1", "openai.resources.beta.realtime.realtime"),
    "openinference": ("openinference.instrumentation.openai",),
    "logfire": ("logfire._internal.integrations.llm_providers.openai",),
    "langfuse": ("langfuse",),
}
LANGFUSE_KEYS = {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_BASE_URL": "http://127.0.0.1:9"}

ours_exported, other_exported = InMemorySpanExporter(), InMemorySpanExporter()
lines: list[str] = []


class Keep(logging.Handler):
    """Our own log lines."""

    def emit(self, record: logging.LogRecord) -> None:
        lines.append(record.getMessage())


def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """A provider that exports at once."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def instrumentor() -> Any:
    """The neighbour's instrumentor, of those that have one."""
    if NEIGHBOUR == "official":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    elif NEIGHBOUR == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    else:
        from openinference.instrumentation.openai import OpenAIInstrumentor
    return OpenAIInstrumentor()


def start_theirs(exporter: InMemorySpanExporter | None = None) -> None:
    """Start the neighbour as its user does; with a provider of its own where an exporter is given."""
    own = {} if exporter is None else {"tracer_provider": provider(exporter)}
    if NEIGHBOUR == "logfire":
        import logfire

        added = [SimpleSpanProcessor(exporter or ours_exported)]
        logfire.configure(send_to_logfire=False, console=False, additional_span_processors=added)
        logfire.instrument_openai()
    elif NEIGHBOUR == "langfuse":
        os.environ.update(LANGFUSE_KEYS)
        from langfuse import Langfuse

        Langfuse(**own)
        import langfuse.openai  # noqa: F401 - it patches when it is imported
    else:
        instrumentor().instrument(**own)


def ours() -> Any:
    """Our instrumentor."""
    from spanloom.openai import OpenAIInstrumentor

    return OpenAIInstrumentor()


def start_ours() -> None:
    """Start our plugin on the global provider."""
    ours().instrument()


def start(order: str) -> None:
    """Both on the same provider; of Logfire that is the one it makes itself."""
    if NEIGHBOUR != "logfire":
        trace.set_tracer_provider(provider(ours_exported))
    if order == "ours first" and NEIGHBOUR == "logfire":
        import logfire

        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(ours_exported)]
        )
        start_ours()
        logfire.instrument_openai()
        return
    steps: list[Callable[[], Any]] = [start_ours, start_theirs]
    for step in steps if order == "ours first" else reversed(steps):
        step()


def client(path: str = "/v1") -> Any:
    """A client of the local server. Without certificates, which take longer to read than all the rest."""
    plain = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(base_url=URL + path, api_key="none", max_retries=0, http_client=plain)


def async_client() -> Any:
    """The same, async."""
    plain = openai.DefaultAsyncHttpxClient(verify=False)
    return openai.AsyncOpenAI(base_url=URL + "/v1", api_key="none", max_retries=0, http_client=plain)


async def read_all(stream: Any) -> None:
    """Read an async stream to its end."""
    async for _ in await stream:
        pass


def embed(one: Any) -> Any:
    """One embedding."""
    return one.embeddings.create(model="text-embedding-3-small", input=["hello"])


CALLS: dict[str, Callable[[], Any]] = {
    "sync": lambda: client().chat.completions.create(**CHAT),
    "again": lambda: client().chat.completions.create(**CHAT),
    "stream": lambda: list(client().chat.completions.create(stream=True, **CHAT)),
    "async": lambda: asyncio.run(async_client().chat.completions.create(**CHAT)),
    "async stream": lambda: asyncio.run(read_all(async_client().chat.completions.create(stream=True, **CHAT))),
    "parse": lambda: client().chat.completions.parse(**CHAT),
    "raw": lambda: client().chat.completions.with_raw_response.create(**CHAT).parse(),
    "failing": lambda: client("/nowhere").chat.completions.create(**CHAT),
    "embeddings": lambda: embed(client()),
    "responses": lambda: client().responses.create(model="gpt-4o-mini", input="hello"),
    "models": lambda: client().models.list(),
    "models again": lambda: client().models.list(),
}


def inference_scopes(exporter: InMemorySpanExporter) -> list[str]:
    """Scopes of what was exported since the last time. Logfire's log records travel as spans; they are none."""
    finished = exporter.get_finished_spans()
    exporter.clear()
    return [
        span.instrumentation_scope.name
        for span in finished
        if (span.attributes or {}).get("logfire.span_type", "span") == "span"
    ]


def make(*names: str, **more: Callable[[], Any]) -> dict[str, Any]:
    """Make these calls, and tell what each left."""
    told: dict[str, Any] = {"spans": {}, "other": {}, "errors": {}}
    calls = {**{name: CALLS[name] for name in names}, **more}
    for name, call in calls.items():
        try:
            call()
        except Exception as error:
            told["errors"][name] = f"{type(error).__name__}: {error}"
        told["spans"][name] = inference_scopes(ours_exported)
        told["other"][name] = inference_scopes(other_exported)
    return told


# --- scenarios ---


def with_setting(order: str, setting: str | None) -> Callable[[], dict[str, Any]]:
    """Every call, with both active."""

    def run() -> dict[str, Any]:
        if setting is not None:
            os.environ["SPANLOOM_ON_CONFLICT"] = setting
        start(order)
        return make(*CALLS)

    return run


def own_provider(order: str) -> Callable[[], dict[str, Any]]:
    """The neighbour exports to a backend of its own."""

    def run() -> dict[str, Any]:
        trace.set_tracer_provider(provider(ours_exported))
        steps: list[Callable[[], Any]] = [start_ours, lambda: start_theirs(other_exported)]
        for step in steps if order == "ours first" else reversed(steps):
            step()
        return make("sync", "again", "stream", "async", "async stream", "embeddings", "responses")

    return run


def below_ours() -> dict[str, Any]:
    """A call of ours further out (a language model of DSPy, say) records the inference."""
    start("ours first")
    from spanloom.genai import Inference, Peer, Telemetry

    telemetry = Telemetry("outer", None, None, None)

    def call() -> None:
        outer = Inference(telemetry, "chat", "m", Peer("openai"))
        with outer:
            client().chat.completions.create(**CHAT)
        outer.stop()

    return make(first=call, second=call)


def below_official() -> dict[str, Any]:
    """A plugin of the official family further out records the inference."""
    trace.set_tracer_provider(provider(ours_exported))
    start_ours()
    from opentelemetry.util.genai.handler import get_telemetry_handler

    def call() -> None:
        with get_telemetry_handler().inference(provider="openai", request_model="m"):
            client().chat.completions.create(**CHAT)

    return make(first=call)


def uninstrumented() -> dict[str, Any]:
    """The neighbour stops, and starts again."""
    start("theirs first")
    told = make("sync")
    instrumentor().uninstrument()
    told["spans"]["off"] = make("sync")["spans"]["sync"]
    instrumentor().instrument()
    told["spans"]["on"] = make("sync")["spans"]["sync"]
    return told


def put_back() -> dict[str, Any]:
    """We led, and stop: the neighbour records again; we start again, and lead again."""
    os.environ["SPANLOOM_ON_CONFLICT"] = "lead"
    start("ours first")
    told = make("sync", "again")
    ours().uninstrument()
    told["spans"]["off"] = make("sync")["spans"]["sync"]
    start_ours()
    told["spans"]["on"] = make("sync")["spans"]["sync"]
    return told


def kept_method() -> dict[str, Any]:
    """The client keeps a bound method from before the neighbour came."""
    trace.set_tracer_provider(provider(ours_exported))
    start_ours()
    one = client()

    def call() -> Any:
        return one.chat.completions.with_raw_response.create(**CHAT).parse()

    told = make(before=call)
    start_theirs()
    told["spans"].update(make(after=call)["spans"])
    return told


def without_keys() -> dict[str, Any]:
    """Langfuse imported, and switched off because its keys are missing."""
    trace.set_tracer_provider(provider(ours_exported))
    import langfuse.openai  # noqa: F401 - it patches when it is imported

    start_ours()
    return make("sync", "again", "stream")


def raw_streams() -> dict[str, Any]:
    """Langfuse passes raw streams unrecorded."""
    start("ours first")

    def read() -> None:
        with client().chat.completions.with_streaming_response.create(**CHAT) as answer:
            answer.read()

    return make(
        raw=lambda: list(client().chat.completions.with_raw_response.create(stream=True, **CHAT).parse()),
        streaming=read,
    )


def one_client() -> dict[str, Any]:
    """Logfire on one client of two."""
    import logfire

    logfire.configure(
        send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(ours_exported)]
    )
    start_ours()
    plain, watched = client(), client()
    calls = {"plain": lambda: plain.chat.completions.create(**CHAT)}
    told = make(**calls)
    logfire.instrument_openai(watched)
    again = make(watched=lambda: watched.chat.completions.create(**CHAT), after=calls["plain"])
    told["spans"].update(again["spans"])
    return told


def scenarios() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is run for this neighbour."""
    for order in ("theirs first", "ours first"):
        for setting in (None, "lead", "both"):
            yield f"{setting or 'default'}, {order}", with_setting(order, setting)
    yield "own provider, ours first", own_provider("ours first")
    if NEIGHBOUR != "logfire":  # it sets the global provider where nobody has
        yield "own provider, theirs first", own_provider("theirs first")
    yield "below ours", below_ours
    more: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {
        "official": {"below official": below_official, "uninstrumented": uninstrumented, "put back": put_back},
        "openllmetry": {"put back": put_back, "kept method": kept_method},
        "logfire": {"one client": one_client},
        "langfuse": {"without keys": without_keys, "raw streams": raw_streams},
    }
    yield from more.get(NEIGHBOUR, {}).items()


def forked(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run it in a child, so that no patch outlives its scenario."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            logging.getLogger("spanloom").addHandler(Keep())
            told = run()
            told["log"] = lines
        except BaseException as error:
            told = {"crash": repr(error)}
        with os.fdopen(writing, "w") as out:
            json.dump(told, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        told = json.load(result)
    os.waitpid(child, 0)
    return told


def warm() -> None:
    """Load here what every child would load: the library's types are made when they are first used."""
    make(*CALLS)
    for name in LOADED[NEIGHBOUR]:
        importlib.import_module(name)


if __name__ == "__main__":
    warm()
    print(json.dumps({name: forked(run) for name, run in scenarios()}))
