"""The soak of DSPy: very many small programs of every kind. Memory stays flat, and every span is there.

``python -m tests.dspy.soak --calls 100000`` says how memory stands every 5,000 programs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

os.environ.setdefault("DSPY_CACHEDIR", tempfile.mkdtemp(prefix="spanloom-dspy-soak-"))
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from spanloom.dspy import DSPyInstrumentor
from tests.no_harm import soak as other
from tests.no_harm._compare import CONTENT
from tests.no_harm.soak import Memory, Tally

ASK = "question -> answer"
_POOLS = ("AnyIO worker thread", "ThreadPoolExecutor-", "asyncio_")


@dataclass
class Result(other.Result):
    """What a soak found; not every program has one span."""

    expected: int = 0

    def problems(self) -> list[str]:
        """What grew, and what was lost."""
        return other.Result.problems(replace(self, calls=self.expected))


def _filled(**fields: object) -> str:
    return "\n".join([*(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()), "[[ ## completed ## ]]"])


class Engine:
    """Gives its answers in turn, with usage; ``None`` is a failure."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = cycle(answers)

    def complete(self, request: Any) -> Any:
        """The next answer."""
        lm15, text = dspy.lm15, next(self._answers)
        if text is None:
            raise lm15.InvalidRequestError("no")
        message = lm15.Message.assistant([lm15.TextPart(text)])
        return lm15.Response("r", "m", message, "stop", lm15.Usage(input_tokens=3, output_tokens=2))


class LaterEngine(Engine):
    """The same for asynchronous calls."""

    async def complete(self, request: Any) -> Any:
        """The next answer."""
        return Engine.complete(self, request)


def _lm(*answers: str | None, cache: bool = False) -> dspy.LM:
    engines = {"engine": Engine(*answers), "async_engine": LaterEngine(*answers)}
    return dspy.LM("house/one", cache=cache, num_retries=0, **engines)


class Streaming(dspy.Module):
    """A ``forward`` that is left after its first value."""

    def __init__(self) -> None:
        super().__init__()
        self.one = dspy.Predict(ASK)

    def forward(self, question: str) -> Any:
        yield self.one(question=question)
        yield self.one(question=question)


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def turn(tool: str, args: str) -> str:
    """One step of an agent."""
    return _filled(next_thought="t", next_tool_name=tool, next_tool_args=args)


def with_lm(lm: dspy.LM, run: Callable[[], Any]) -> Callable[[], Any]:
    """A program that uses this LM."""

    def program() -> Any:
        with dspy.context(lm=lm):
            return run()

    return program


def fails() -> None:
    """A model call that fails."""
    with suppress(dspy.LMError):
        dspy.Predict(ASK)(question="q")
        raise AssertionError("it did not fail")


def left(*, closed: bool) -> None:
    """A generator that is not read to its end."""
    values = Streaming()(question="q")
    next(values)
    if closed:
        values.close()


def table(loop: asyncio.AbstractEventLoop) -> list[tuple[str, int, Callable[[], Any]]]:
    """Programs with the number of their spans."""
    plain, thinking = _lm(_filled(answer="a")), _lm(_filled(reasoning="r", answer="a"))
    cached, unread = _lm(_filled(answer="a"), cache=True), _lm("not a field", '{"answer": "a"}')
    acting = _lm(turn("add", '{"a": 1, "b": "x"}'), turn("finish", "{}"), _filled(reasoning="r", answer="a"))
    predict, chain, agent = dspy.Predict(ASK), dspy.ChainOfThought(ASK), dspy.ReAct(ASK, tools=[add])
    devset = [dspy.Example(question=f"q{at}", answer="a").with_inputs("question") for at in range(2)]
    parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
    evaluate = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=2, display_progress=False)
    # What is in the cache when the plugin starts.
    with_lm(cached, lambda: predict(question="q"))()
    return [
        ("predict", 2, with_lm(plain, lambda: predict(question="q"))),
        ("chain of thought", 3, with_lm(thinking, lambda: chain(question="q"))),
        ("react with a failing tool", 9, with_lm(acting, lambda: agent(question="q"))),
        ("parallel", 5, with_lm(plain, lambda: parallel([(predict, one.inputs()) for one in devset]))),
        ("evaluate", 7, with_lm(plain, lambda: evaluate(predict))),
        ("cache hit", 2, with_lm(cached, lambda: predict(question="q"))),
        ("failing", 2, with_lm(_lm(None), fails)),
        ("generator closed", 3, with_lm(plain, lambda: left(closed=True))),
        ("generator forgotten", 3, with_lm(plain, lambda: left(closed=False))),
        ("async", 2, with_lm(plain, lambda: loop.run_until_complete(predict.acall(question="q")))),
        ("fallback", 3, with_lm(unread, lambda: predict(question="q"))),
        ("new program", 3, with_lm(thinking, lambda: dspy.ChainOfThought(ASK)(question="q"))),
        ("tool", 1, lambda: dspy.Tool(add)(a=1, b=2)),
    ]


class Soak:
    """The next program is always the next row."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._table = table(self._loop)
        self.calls = 0
        self.expected = 0

    @property
    def rows(self) -> int:
        """How many calls until every program was there."""
        return len(self._table)

    def run(self, count: int) -> None:
        """Run so many programs."""
        for _ in range(count):
            name, spans, program = self._table[self.calls % len(self._table)]
            try:
                program()
            except Exception as error:
                raise AssertionError(f"{name} failed") from error
            self.calls += 1
            self.expected += spans

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()

    def settle(self) -> None:
        """Let everything that was dropped be collected."""
        for _ in range(3):
            gc.collect()
        time.sleep(0.05)

    def memory(self) -> Memory:
        """How the process stands now."""
        self.settle()
        # DSPy leaves its pools to end when they will, and anyio keeps workers for the next call.
        threads = [one for one in threading.enumerate() if not one.name.startswith(_POOLS)]
        return Memory(self.calls, other.rss_kib(), len(gc.get_objects()), len(threads))


def soak(calls: int, say: Any = None, mode: str = "SPAN_AND_EVENT") -> Result:
    """Warm up with a tenth, then measure. The last calls are traced: that is slow."""
    tally = Tally()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(tally)
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    os.environ[CONTENT] = mode
    plugin = DSPyInstrumentor()
    begun, one = time.monotonic(), Soak()
    plugin.instrument(tracer_provider=tracers, meter_provider=meters, logger_provider=loggers)
    logger = logging.getLogger("dspy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        # Of its own accord DSPy keeps the last 10,000 model calls, and as many predictions with their predictors.
        with warnings.catch_warnings(), dspy.context(disable_history=True, trace=None):
            warnings.simplefilter("ignore")
            memory, traced = other.measured(one, calls, say)
    finally:
        logger.setLevel(level)
        plugin.uninstrument()
        del os.environ[CONTENT]
        one.close()
        for provider in (tracers, meters, loggers):
            provider.shutdown()
    return Result(one.calls, tally.ended, memory, traced, time.monotonic() - begun, one.expected)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    given = parser.parse_args()
    gc.collect()
    gc.freeze()

    def say(now: Memory) -> None:
        print(f"{now.calls:>7} calls: {now.rss_kib} KiB, {now.objects} objects, {now.threads} threads", flush=True)

    result = soak(given.calls, say)
    found = result.problems()
    left = f"the last {other.TRACED_CALLS} left {result.traced_kib:.0f} KiB"
    print(f"{result.calls} calls, {result.spans} spans, {left}, {result.seconds:.0f} s")
    print("\n".join(found) or "memory is flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
