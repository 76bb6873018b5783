"""Responses as calls: stored ones that are fetched, failures that are no HTTP error, and events to every end."""

from __future__ import annotations

import asyncio

import openai
import pytest

from tests._support.spans import eventually, stream_end
from tests.openai import _canned
from tests.openai._canned import Wire, client

ASKED = {"model": "gpt-4o-mini", "input": "Hi"}
BROKEN = {"code": "server_error", "message": "It broke."}


def status(span):
    """Status, its text, and `error.type`."""
    return span.status.status_code.name, span.status.description, span.attributes.get("error.type")


def event(kind, **more):
    """One event of a stream."""
    return {"type": f"response.{kind}", "sequence_number": 0, **more}


def delta(text):
    """A piece of the answer."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return event("output_text.delta", delta=text, logprobs=[], **where)


def streamed(*events):
    """A client that is sent these events."""
    created = event("created", response=_canned.response("in_progress"))
    return client(Wire(_canned.sse(created, *events, done=False)))


# Made in the background.


def test_background_and_fetched(plugin_with_content, recorder):
    """Started once, fetched twice: the tokens are counted nowhere, since no call of ours was told them as its own."""
    answers = iter((_canned.response("queued"), _canned.response("in_progress"), _canned.response()))
    with client(Wire(lambda _: next(answers))) as one:
        made = one.responses.create(**ASKED, background=True)
        assert one.responses.retrieve(made.id).status == "in_progress"
        assert one.responses.retrieve(made.id).status == "completed"
    begun, running, done = recorder.spans
    assert [span.name for span in recorder.spans] == ["chat gpt-4o-mini", "fetch_response", "fetch_response"]
    assert begun.attributes["gen_ai.response.id"] == "resp_1"
    assert "gen_ai.usage.input_tokens" not in begun.attributes
    for span, state in ((running, "in_progress"), (done, "completed")):
        assert span.attributes["gen_ai.operation.name"] == "fetch_response"
        assert span.attributes["gen_ai.response.id"] == "resp_1"
        assert span.attributes["gen_ai.response.status"] == state
        assert not [name for name in span.attributes if "usage" in name]
    assert "Hello." in done.attributes["gen_ai.output.messages"]
    assert recorder.total("gen_ai.client.inference.usage.input_tokens") == 0
    assert recorder.total("gen_ai.client.operation.duration") == 2


def test_a_fetched_failure_is_no_failure_of_the_fetch(plugin, recorder):
    """The fetch went well; what it fetched has its status."""
    with client(Wire(_canned.response("failed", error=BROKEN))) as one:
        one.responses.retrieve("resp_1")
    assert status(recorder.span) == ("UNSET", None, None)
    assert recorder.span.attributes["gen_ai.response.status"] == "failed"


def test_a_fetched_stream(plugin, recorder):
    """Read again from its middle: its state at the end, its chunks, no tokens."""
    events = (delta("a"), event("completed", response=_canned.response()))
    with client(Wire(_canned.sse(*events, done=False))) as one:
        stream = one.responses.retrieve("resp_1", stream=True, starting_after=3)
        assert len(list(stream)) == 2
    span = recorder.span
    assert (span.name, span.attributes["gen_ai.response.status"]) == ("fetch_response", "completed")
    assert span.attributes["spanloom.stream.chunks"] == 2
    assert not [name for name in span.attributes if "usage" in name]


def test_a_fetched_stream_left_early(plugin, recorder):
    """Then its state is not known."""
    events = (delta("a"), delta("b"), event("completed", response=_canned.response()))
    with client(Wire(_canned.sse(*events, done=False))) as one, one.responses.retrieve("resp_1", stream=True) as stream:
        next(stream)
    assert stream_end(recorder.span) == "closed"
    assert "gen_ai.response.status" not in recorder.span.attributes


def test_a_missing_response(plugin, recorder):
    """404."""
    with client(Wire({"error": {"message": "no"}}, status=404)) as one, pytest.raises(openai.NotFoundError):
        one.responses.retrieve("resp_1")
    assert status(recorder.span) == ("ERROR", None, "openai.NotFoundError")


def test_ids_are_written_as_they_are(plugin, recorder):
    """By position or by name; what is quoted in the path is unquoted."""
    with client(Wire(_canned.response())) as one:
        one.responses.retrieve("resp 1/x")
        one.responses.retrieve(response_id="resp_2")
        one.get("/responses/resp%203", cast_to=object)
    assert [span.attributes["gen_ai.response.id"] for span in recorder.spans] == ["resp 1/x", "resp_2", "resp 3"]


def test_cancelled_by_the_application(plugin, recorder):
    """An endpoint of its own."""
    with client(Wire(_canned.response("cancelled"))) as one:
        one.responses.cancel("resp_1")
    assert (recorder.span.name, status(recorder.span)[0]) == ("responses.cancel", "UNSET")


# A failure inside a 200.


@pytest.mark.parametrize("how", ["plain", "raw", "streaming", "async"])
def test_a_failed_response(how, plugin_with_content, recorder):
    """ERROR, by the API's own code."""
    wire = Wire(_canned.response("failed", error=BROKEN))
    if how == "async":
        asyncio.run(client(wire, openai.AsyncOpenAI).responses.create(**ASKED))
    else:
        made = client(wire).responses
        if how == "plain":
            assert made.create(**ASKED).status == "failed"
        elif how == "raw":
            made.with_raw_response.create(**ASKED)
        else:
            with made.with_streaming_response.create(**ASKED) as response:
                response.parse()
    assert status(recorder.span) == ("ERROR", "It broke.", "server_error")
    assert recorder.span.attributes["gen_ai.response.id"] == "resp_1"


def test_the_message_of_a_failure_is_content(plugin, recorder):
    """Without content the code alone."""
    client(Wire(_canned.response("failed", error=BROKEN))).responses.create(**ASKED)
    assert status(recorder.span) == ("ERROR", None, "server_error")


def test_a_failed_stream(plugin_with_content, recorder):
    """Read to its end, without an exception, and it failed."""
    with streamed(delta("a"), event("failed", response=_canned.response("failed", error=BROKEN))) as one:
        assert len(list(one.responses.create(**ASKED, stream=True))) == 3
    assert status(recorder.span) == ("ERROR", "It broke.", "server_error")
    assert stream_end(recorder.span) is None


def test_an_incomplete_stream(plugin, recorder):
    """Not an error: it was asked to stop there."""
    cut = _canned.response("incomplete", incomplete_details={"reason": "max_output_tokens"})
    with streamed(delta("a"), event("incomplete", response=cut)) as one:
        list(one.responses.create(**ASKED, stream=True))
    assert status(recorder.span) == ("UNSET", None, None)
    assert recorder.span.attributes["gen_ai.response.finish_reasons"] == ("length",)


def test_an_error_event_that_is_no_exception(plugin, recorder):
    """The API's error event has its fields at the top: the SDK gives it to the reader."""
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}
    with streamed(delta("a"), {**error, "sequence_number": 1}) as one:
        assert [one.type for one in one.responses.create(**ASKED, stream=True)][-1] == "error"
    assert status(recorder.span) == ("ERROR", None, "rate_limit_exceeded")


def test_a_reader_who_leaves_at_the_end(plugin, recorder):
    """The last event but not the last byte: nothing was left."""
    one = streamed(delta("a"), event("completed", response=_canned.response()))
    with one.responses.create(**ASKED, stream=True) as stream:
        for seen in stream:
            if seen.type == "response.completed":
                break
    assert stream_end(recorder.span) is None
    assert recorder.span.attributes["gen_ai.usage.output_tokens"] == 2


def test_a_reader_who_leaves_at_the_failure(plugin, recorder):
    """What was told counts."""
    failed = event("failed", response=_canned.response("failed", error=BROKEN))
    with streamed(delta("a"), failed, delta("b")) as one, one.responses.create(**ASKED, stream=True) as stream:
        for seen in stream:
            if seen.type == "response.failed":
                break
    assert status(recorder.span) == ("ERROR", None, "server_error")
    assert stream_end(recorder.span) is None


def test_an_error_event_that_is_an_exception(plugin, recorder):
    """Fields below `error`: the SDK raises."""
    with streamed(delta("a"), {"type": "error", "error": {"message": "no", "code": "x"}}) as one:
        stream = one.responses.create(**ASKED, stream=True)
        with pytest.raises(openai.APIError):
            list(stream)
    assert status(recorder.span) == ("ERROR", None, "openai.APIError")


# The manager.


def test_a_manager_left_early_and_still_referenced(plugin, recorder):
    """The block's end is the span's."""
    with streamed(delta("a"), delta("b"), event("completed", response=_canned.response())) as one:
        with one.responses.stream(**ASKED) as stream:
            next(iter(stream))
        assert stream_end(recorder.span) == "closed"
        assert stream is not None


def test_a_manager_of_a_stored_response(plugin, recorder):
    """It fetches."""
    one = streamed(event("completed", response=_canned.response()))
    with one.responses.stream(response_id="resp_1") as stream:
        list(stream)
    assert recorder.span.name == "fetch_response"


def test_an_asynchronous_manager_dropped(plugin, recorder):
    """Nobody closes it: the collector or the loop does."""

    async def program():
        body = _canned.sse(event("created", response=_canned.response("in_progress")), delta("a"), delta("b"))
        one = client(Wire(body), openai.AsyncOpenAI)
        stream = await one.responses.stream(**ASKED).__aenter__()
        async for _ in stream:
            break
        del stream

    asyncio.run(program())
    eventually(lambda: recorder.spans)
    assert stream_end(recorder.span) in ("dropped", "closed")
