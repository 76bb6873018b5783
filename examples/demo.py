"""Drives the example: model server, example service, a handful of requests, and everything stopped again.

    python examples/demo.py --folder DIR [--instrument] [--requests N]

From Python: ``with Demo(folder) as demo: demo.send(demo_calls())``; see `Demo` for what can be set.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Child, Children, NotReadyError, TerminationRaises, choose_port, open_local, wait_until_healthy

EXAMPLES = Path(__file__).resolve().parent
SERVICE_PORT, MODEL_PORT = 8000, 8001
# Settings of the person who runs the demo that the service gets too.
KEPT = frozenset(
    {
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
    }
)
_QUESTIONS = (
    "Is the Wind Vane in stock, and how many days does delivery take?",
    "How long does the Battery Pack run without sun, and what does it cost?",
    "How far is the radio range through brick walls?",
    "What does a blinking red lamp mean?",
)


@dataclass(frozen=True)
class Call:
    """A request to the service, the status it should have, and the user that a gateway would name (``x-user-id``)."""

    path: str
    question: str
    expected: int = 200
    user: str = ""


@dataclass(frozen=True)
class Sent:
    """What became of a call: `status` 0 means that no answer came, `text` then says why."""

    call: Call
    status: int
    seconds: float
    text: str

    @property
    def ok(self) -> bool:
        """Whether the status is the expected one."""
        return self.status == self.call.expected


def demo_calls(count: int = 5) -> list[Call]:
    """The demo's requests in turn: two asked, one advised with tools, one streamed, one that fails."""
    turn = (
        Call("/ask", _QUESTIONS[0]),
        Call("/ask", _QUESTIONS[1]),
        Call("/advise", _QUESTIONS[0]),
        Call("/chat", _QUESTIONS[2]),
        Call("/ask", f"{_QUESTIONS[3]} [[error:500]]", expected=502),
    )
    return [turn[number % len(turn)] for number in range(count)]


def load_calls(count: int, failures: int, ask_every: int = 5) -> list[Call]:
    """`count` requests, `failures` of them failing, evenly spread; each `ask_every`-th is ``/ask``, else ``/chat``."""
    failing = {number * count // failures for number in range(failures)} if failures else set()
    calls: list[Call] = []
    for number in range(count):
        question = f"{_QUESTIONS[number % len(_QUESTIONS)]} This is request {number}."
        path = "/ask" if ask_every and number % ask_every == 0 else "/chat"
        fails = number in failing
        calls.append(Call(path, f"{question} [[error:500]]" if fails else question, 502 if fails else 200))
    return calls


def without_telemetry_settings(base: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would send the demo's telemetry elsewhere, or keep it back."""
    ours = ("OTEL_", "SPANLOOM_")
    return {name: value for name, value in base.items() if not name.startswith(ours) or name in KEPT}


def service_environment(
    base: Mapping[str, str], *, model_url: str, port: int, folder: Path, record: Path | None, extra: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the example service; `extra` wins."""
    loopback = "127.0.0.1,localhost"
    made = {
        **without_telemetry_settings(base),
        "OPENAI_BASE_URL": f"{model_url}/v1",
        "OPENAI_API_KEY": "demo",
        "PORT": str(port),
        "PYTHONPATH": os.pathsep.join(part for part in (str(EXAMPLES), base.get("PYTHONPATH", "")) if part),
        "PYTHONUNBUFFERED": "1",
        # Without this DSPy asks the network for prices at its first model call.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DSPY_CACHEDIR": str(folder / "dspy-cache"),
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "OTEL_SERVICE_NAME": "rag",
        # Plain functions, which both the DSPy program and a hand-written loop call.
        "SPANLOOM_TOOLS": "rag.tools:stock_level,rag.tools:delivery_days",
        # The model server stands for OpenAI's.
        "SPANLOOM_PRICES": str(EXAMPLES / "prices.yaml"),
        # Health checks are nobody's traces.
        "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "/health",
    }
    if record is not None:
        made["SPANLOOM_RECORD"] = str(record)
    return made | dict(extra)


class Demo:
    """The model server and the example service, running while the ``with`` block runs.

    `folder` takes the logs (``service.log``, ``model-server.log``) and at the end ``ledger.json``; `record` becomes
    ``SPANLOOM_RECORD``. `prefix` goes before ``PYTHON -m rag`` (such as ``["opentelemetry-instrument"]``), `env` is
    laid over the service's environment. `ports` are preferred, 0 takes any; times are in seconds.
    Raises `NotReadyError` with the tail of the log when a process does not come up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        record: Path | None = None,
        prefix: Sequence[str] = (),
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        ports: tuple[int, int] = (SERVICE_PORT, MODEL_PORT),
        timeout_s: float = 60.0,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder = folder.resolve()
        self.record = record.resolve() if record else None
        self.command = (*prefix, python, "-m", "rag")
        self.env = dict(env or {})
        self.ports = ports
        self.timeout_s = timeout_s
        self.ledger: dict[str, Any] | None = None
        self.service_url = ""
        self.model_url = ""
        self._say = say
        self._children = Children()
        self._open = ExitStack()
        self._service: Child | None = None

    def __enter__(self) -> Demo:
        self._open.enter_context(TerminationRaises())
        self._open.callback(self._children.stop_all)
        try:
            self.start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._open:
            self.stop()

    def start(self) -> None:
        """Start both processes and wait until they answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # The model server needs nothing but the standard library, so any Python will do.
        self.model_url, _ = self._start("model server", self.ports[1], self._model_command)
        self.service_url, self._service = self._start("service", self.ports[0], self._service_command)

    def stop(self) -> None:
        """Stop the service, keep the model server's ledger, stop the rest."""
        if self._service is not None:
            self._children.stop(self._service)
            self._service = None
        if self.model_url and self.ledger is None:
            self._keep_ledger()
        self._children.stop_all()

    def send(self, calls: Sequence[Call], *, concurrency: int = 1, timeout_s: float = 60.0) -> list[Sent]:
        """Send calls to the service, in order when `concurrency` is 1; each is reported with a line then."""
        if concurrency > 1:
            return self._send_at_once(calls, concurrency, timeout_s)
        sent: list[Sent] = []
        for call in calls:
            sent.append(send(self.service_url, call, timeout_s))
            self._say(sent_line(sent[-1]))
        return sent

    def _send_at_once(self, calls: Sequence[Call], concurrency: int, timeout_s: float) -> list[Sent]:
        pool = ThreadPoolExecutor(concurrency)
        try:
            return list(pool.map(lambda call: send(self.service_url, call, timeout_s), calls))
        finally:
            # After Ctrl-C the calls that wait in line must not be sent any more.
            pool.shutdown(cancel_futures=True)

    def read_ledger(self) -> dict[str, Any]:
        """The model server's ledger as it is now."""
        with open_local(f"{self.model_url}/ledger", 30) as response:
            return json.load(response)

    def _keep_ledger(self) -> None:
        try:
            self.ledger = self.read_ledger()
        except OSError as error:
            self._say(f"no ledger: the model server does not answer ({error})")
            return
        (self.folder / "ledger.json").write_text(json.dumps(self.ledger, indent=1), encoding="utf-8")

    def _start(
        self, name: str, preferred: int, command: Callable[[int], tuple[Sequence[str], Mapping[str, str]]]
    ) -> tuple[str, Child]:
        for attempt in (1, 2, 3):
            port = choose_port(preferred if attempt == 1 else 0)
            if preferred and port != preferred:
                self._say(f"port {preferred} is taken, the {name} uses {port}")
            arguments, env = command(port)
            child = self._children.start(name, arguments, env, self.folder / f"{name.replace(' ', '-')}.log")
            url = f"http://127.0.0.1:{port}"
            try:
                wait_until_healthy(f"{url}/health", child, self.timeout_s, announced=url)
            except NotReadyError:
                self._children.stop(child)
                # Someone took the port between our look and the start.
                if attempt == 3 or "address already in use" not in child.tail().lower():
                    raise
                continue
            self._say(f"{name:<13} {url}")
            return url, child
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _model_command(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        env = {**os.environ, "PYTHONPATH": str(EXAMPLES), "PYTHONUNBUFFERED": "1"}
        return [sys.executable, "-m", "model_server", "--port", str(port)], env

    def _service_command(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        env = service_environment(
            os.environ, model_url=self.model_url, port=port, folder=self.folder, record=self.record, extra=self.env
        )
        return self.command, env


def send(url: str, call: Call, timeout_s: float = 60.0) -> Sent:
    """Send one call and read its answer to the end."""
    request = urllib.request.Request(
        f"{url}{call.path}",
        data=json.dumps({"question": call.question}).encode(),
        headers={"Content-Type": "application/json", **({"x-user-id": call.user} if call.user else {})},
    )
    begun = time.monotonic()
    try:
        with open_local(request, timeout_s) as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode(errors="replace")
    except OSError as error:
        status, text = 0, str(error)
    return Sent(call, status, time.monotonic() - begun, text)


def sent_line(sent: Sent) -> str:
    """One line, at most 80 columns, about a call."""
    verdict = "" if sent.ok else f" EXPECTED {sent.call.expected}"
    head = f"POST {sent.call.path:<7} {sent.status or 'none':>4}{verdict} {sent.seconds:6.2f} s  "
    room = 80 - len(head)
    question = sent.call.question
    return head + (question if len(question) <= room else question[: room - 1] + "…")


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 1 when an answer was not as expected, 2 when a process did not come up."""
    parser = argparse.ArgumentParser(description="Run the example service against a local model server.")
    parser.add_argument("--folder", type=Path, default=Path(".spanloom/demo"), help="for logs and the ledger")
    parser.add_argument("--record", type=Path, help="folder of the telemetry record (SPANLOOM_RECORD)")
    parser.add_argument("--requests", type=int, default=5, help="how many requests to send (default: 5)")
    parser.add_argument("--instrument", action="store_true", help="start the service under opentelemetry-instrument")
    options = parser.parse_args(arguments)
    prefix: list[str] = []
    if options.instrument:
        beside = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        prefix = [shutil.which(beside) or shutil.which("opentelemetry-instrument") or beside]
    try:
        with Demo(options.folder, record=options.record, prefix=prefix) as demo:
            sent = demo.send(demo_calls(options.requests))
    except NotReadyError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted; everything is stopped", file=sys.stderr)
        return 130
    print(f"logs and ledger: {options.folder}")
    return 0 if all(one.ok for one in sent) else 1


if __name__ == "__main__":
    sys.exit(main())
