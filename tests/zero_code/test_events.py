"""The conventions' events under the real command: they arrive wherever spans do, and nothing else goes with them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests._support.otlp import read_spans
from tests.export._server import Reply, Server
from tests.zero_code._events import DETAILS, EXCEPTION, MODE, events_of, named, requests_of, run
from tests.zero_code.test_base_install import clean_environment

ONE_OF_EACH = """
import logging
logging.getLogger("shop").error("the application's own line")
ask("hello")
try:
    ask("hello [[error:429]]")
except openai.RateLimitError:
    print("refused")
"""
OWN_LINES = "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED"


@pytest.fixture(scope="module")
def recorded(example_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with content in events, and no endpoint."""
    folder = tmp_path_factory.mktemp("events")
    done = run(example_python, folder, ONE_OF_EACH, **{MODE: "EVENT_ONLY"})
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
    return folder


def test_each_inference_has_its_details_with_structured_content(recorded: Path) -> None:
    """Messages are lists and maps, not JSON text, and the content is nowhere on the spans."""
    details = named(events_of(requests_of(recorded / ".spanloom")), DETAILS)
    assert len(details) == 2
    attributes = details[0]["attributes"]
    assert attributes["gen_ai.input.messages"] == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hello"}]},
    ]
    assert attributes["gen_ai.output.messages"][0]["role"] == "assistant"
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert "be brief" not in repr(read_spans(recorded / ".spanloom"))


def test_a_failure_is_an_event_of_its_own(recorded: Path) -> None:
    """Type, message (content is on) and stack of the exception, as a warning."""
    (event,) = named(events_of(requests_of(recorded / ".spanloom")), EXCEPTION)
    assert event["attributes"]["exception.type"] == "openai.RateLimitError"
    assert "429" in event["attributes"]["exception.message"]
    assert "_base_client.py" in event["attributes"]["exception.stacktrace"]
    assert event["severity"] == 13


def test_events_carry_the_ids_of_their_span_its_scope_and_its_resource(recorded: Path) -> None:
    """A backend finds the span of an event, and the event of a span."""
    spans = {span["id"]: span for span in read_spans(recorded / ".spanloom")}
    events = events_of(requests_of(recorded / ".spanloom"))
    assert len(events) == 3
    for event in events:
        span = spans[event["span"]]
        assert (event["trace"], event["scope"]) == (span["trace"], span["scope"]) == (span["trace"], "spanloom.openai")
        assert event["schema"].startswith("https://opentelemetry.io/schemas/gen-ai/")
        assert event["resource"]["service.name"] == "app"
        assert event["resource"]["service.instance.id"]


def test_the_applications_log_lines_are_not_exported(recorded: Path) -> None:
    """They may hold anything; nobody has asked for them."""
    assert {event["name"] for event in events_of(requests_of(recorded / ".spanloom"))} == {DETAILS, EXCEPTION}


def test_the_applications_log_lines_are_exported_where_its_owner_says_so(example_python: Path, tmp_path: Path) -> None:
    """OpenTelemetry's own variable works as it does without us."""
    done = run(example_python, tmp_path, ONE_OF_EACH, **{OWN_LINES: "true"})
    assert done.returncode == 0, done.stderr
    lines = [event["body"] for event in named(events_of(requests_of(tmp_path / ".spanloom")), None)]
    assert "the application's own line" in lines


def test_without_content_there_are_no_details_and_no_exception_text(example_python: Path, tmp_path: Path) -> None:
    """The default: a failure is an event, with the class of the error and where it was raised."""
    assert run(example_python, tmp_path, ONE_OF_EACH).returncode == 0
    (event,) = events_of(requests_of(tmp_path / ".spanloom"))
    assert event["name"] == EXCEPTION
    assert "exception.message" not in event["attributes"]
    assert "429" not in event["attributes"]["exception.stacktrace"]


def test_the_record_is_shown_with_events_in_it(recorded: Path, example_python: Path) -> None:
    """`spanloom show` prints the traces; events are no traces."""
    command = [str(example_python.parent / "spanloom"), "show", "--content"]
    done = subprocess.run(command, cwd=recorded, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("chat gpt-4o-mini ·") == 2


def test_with_an_endpoint_events_go_to_the_path_of_logs(example_python: Path, tmp_path: Path) -> None:
    """The same choice as for spans: one endpoint takes all signals, and nothing is kept locally."""
    with Server([Reply()]) as server:
        settings = {MODE: "SPAN_AND_EVENT", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        done = run(example_python, tmp_path, ONE_OF_EACH, **settings)
        assert (done.returncode, done.stderr.count("spanloom:")) == (0, 0), done.stderr
        sent = [one.json for one in server.received if one.path == "/v1/logs"]
        assert {one.path for one in server.received} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    assert len(named(events_of(sent), DETAILS)) == 2
    assert len(named(events_of(sent), EXCEPTION)) == 1
    assert not (tmp_path / ".spanloom").exists()


def test_events_alone_can_be_switched_off(example_python: Path, tmp_path: Path) -> None:
    """The standard variable: spans are recorded, events are not."""
    done = run(example_python, tmp_path, ONE_OF_EACH, **{MODE: "EVENT_ONLY", "OTEL_LOGS_EXPORTER": "none"})
    assert done.returncode == 0, done.stderr
    assert len(read_spans(tmp_path / ".spanloom")) == 2
    assert events_of(requests_of(tmp_path / ".spanloom")) == []


def test_the_last_events_are_written_at_sigterm(example_python: Path, tmp_path: Path) -> None:
    """The batch of events is flushed as that of the spans is."""
    body = 'ask("hello")\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(30)\n'
    done = run(example_python, tmp_path, body, **{MODE: "EVENT_ONLY"})
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert len(named(events_of(requests_of(tmp_path / ".spanloom")), DETAILS)) == 1


FORKS = """
import multiprocessing

def own_client():
    # Two workers on the connection that their parent kept open would read each other's answers.
    global client
    client = openai.OpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0)

def work(number):
    return ask(f"item {number}").model

ask("parent")
context = multiprocessing.get_context("fork")
with context.Pool(2, own_client) as pool:
    pool.map(work, range(4))
    pool.close()
    pool.join()
"""


def test_forked_workers_deliver_their_events_once(example_python: Path, tmp_path: Path) -> None:
    """They leave without exit handlers; and what waited in the parent when they were forked is not theirs to send."""
    done = run(example_python, tmp_path, FORKS, **{MODE: "EVENT_ONLY"})
    assert done.returncode == 0, done.stderr
    details = named(events_of(requests_of(tmp_path / ".spanloom")), DETAILS)
    asked = [event["attributes"]["gen_ai.input.messages"][-1]["parts"][0]["content"] for event in details]
    assert sorted(asked) == ["item 0", "item 1", "item 2", "item 3", "parent"]
