"""The lifecycle: exactly one span, the first end wins, nothing stays attached."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest
from opentelemetry import context as otel
from opentelemetry import trace

from spanloom.genai import Inference, current, error_type
from spanloom.genai.hooks import add_finisher, add_gate
from tests._support.spans import outline
from tests.genai._make import KINDS, inference, telemetry

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(params=KINDS)
def make(request, recorder):
    """A maker of one kind of invocation."""
    of = telemetry(recorder)
    return lambda: KINDS[request.param](of)


def test_stop_ends_one_span_with_its_status_unset(make, recorder):
    """Success is never OK: that is the application's word."""
    make().stop()
    assert recorder.span.status.status_code.name == "UNSET"
    assert recorder.span.end_time is not None


def test_the_first_end_wins(make, recorder):
    """A later stop or fail changes nothing and adds no span."""
    one = make()
    one.stop()
    one.fail(ValueError("late"))
    one.stop()
    assert recorder.span.status.status_code.name == "UNSET"
    assert "error.type" not in recorder.span.attributes
    other = make()
    other.fail(ValueError())
    other.stop()
    assert [span.status.status_code.name for span in recorder.spans] == ["UNSET", "ERROR"]


def test_ended_tells_whether(make):
    """True from the first end on."""
    one = make()
    assert not one.ended
    one.stop()
    assert one.ended


def test_many_threads_end_it_once(make, recorder):
    """Eight threads race for the end of each of fifty invocations."""
    for _ in range(50):
        one, barrier = make(), threading.Barrier(8)

        def end(number, one=one, barrier=barrier):
            barrier.wait()
            if number % 2:
                one.stop()
            else:
                one.fail(ValueError())

        threads = [threading.Thread(target=end, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recorder.spans) == 50


def test_an_end_in_another_thread_leaves_nothing_behind(make, recorder):
    """Later calls of the first thread are recorded, as roots of their own."""
    one = make()
    thread = threading.Thread(target=one.stop)
    thread.start()
    thread.join()
    make().stop()
    assert [span.parent for span in recorder.spans] == [None, None]


def test_an_end_in_another_context_leaves_nothing_behind(make, recorder):
    """A stop from a copied context is the end all the same."""
    one = make()
    contextvars.copy_context().run(one.stop)
    assert one.ended
    assert current() is None


def test_it_is_current_only_inside_its_block(make):
    """Before and after it nothing is attached; inside, children find it."""
    one = make()
    assert current() is None
    with one:
        assert current() is one
        assert trace.get_current_span() is one.span
    assert current() is None
    assert not one.ended
    one.stop()


def test_leaving_a_block_that_was_never_entered_is_harmless(make):
    """Nothing was attached, so nothing is detached."""
    one = make()
    one.__exit__(None, None, None)
    assert not one.ended
    one.stop()


def test_leaving_by_an_exception_fails_it_and_passes_the_exception(make, recorder):
    """The very same object, with no context attached afterwards."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, make():
        raise error
    assert caught.value is error
    assert recorder.span.attributes["error.type"] == "ValueError"
    assert current() is None


class Stop(BaseException):
    """Neither an Exception nor known to anybody."""


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), Stop()]
)
def test_base_exceptions_end_it_and_pass(error, recorder):
    """Ctrl-C, exit and cancellation reach whom they are meant for, and the span is ended."""
    of = telemetry(recorder)
    with pytest.raises(type(error)) as caught, inference(of):
        raise error
    assert caught.value is error
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.attributes["error.type"] == error_type(error)


def test_the_error_type_is_the_qualified_name():
    """Without `builtins`; with the outer class of an inner one."""
    assert error_type(ValueError()) == "ValueError"
    assert error_type(Stop()) == f"{__name__}.Stop"
    assert error_type(asyncio.CancelledError()) == "asyncio.exceptions.CancelledError"
    assert error_type(type("E", (Exception,), {"__module__": "a.b", "__qualname__": "C.E"})()) == "a.b.C.E"


def test_the_exceptions_text_is_content(recorder, monkeypatch):
    """Off by default; with content on it is the description of the status."""
    inference(telemetry(recorder)).fail(ValueError("secret"))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    inference(telemetry(recorder)).fail(ValueError("told"))
    assert [span.status.description for span in recorder.spans] == [None, "told"]
    assert not any(span.events for span in recorder.spans)


def test_an_exception_whose_text_raises(recorder, content):
    """Its type stands for it, and the status is still ERROR."""

    class OfMine(Exception):
        """No type that anybody expects."""

    class Broken(Exception):
        def __str__(self):
            raise OfMine

    inference(telemetry(recorder)).fail(Broken())
    assert recorder.span.status.status_code.name == "ERROR"
    assert "Broken" in recorder.span.status.description


def test_a_long_exception_text_is_cut(recorder, content):
    """A status is no place for megabytes."""
    inference(telemetry(recorder)).fail(ValueError("x" * 10_000_000))
    assert len(recorder.span.status.description) == 1024


def test_children_nest_by_context(recorder):
    """Whatever is started inside the block is a child, in other tasks too."""
    of = telemetry(recorder)

    async def task():
        KINDS["tool"](of).stop()

    async def program():
        with KINDS["workflow"](of) as nothing:
            assert nothing is None
            await asyncio.gather(task(), task())

    asyncio.run(program())
    assert [span.name for span in recorder.spans] == ["execute_tool search"] * 2
    assert len({span.parent.span_id for span in recorder.spans}) == 1


def test_two_blocks_may_be_left_in_the_wrong_order(recorder):
    """A generator left half-way detaches late; nobody's context is lost for good."""
    of = telemetry(recorder)
    outer = KINDS["workflow"](of)
    with outer:
        inner = KINDS["tool"](of)
        with inner:
            pass
        inner.stop()
        assert current() is outer
    outer.stop()
    assert outline(recorder.spans) == ["invoke_workflow Program", "  execute_tool search"]


def test_the_attributes_that_samplers_use_are_there_at_the_start(recorder):
    """Operation, provider, model, address and port; tool name and type; agent and workflow names."""
    of = telemetry(recorder)
    one = inference(of)
    assert dict(one.span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    tool = KINDS["tool"](of)
    assert dict(tool.span.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
    }
    assert KINDS["agent"](of).span.attributes["gen_ai.agent.name"] == "ReAct"
    assert KINDS["workflow"](of).span.attributes["gen_ai.workflow.name"] == "Program"


def test_nothing_of_it_is_kept_after_the_end(recorder):
    """A thousand calls leave no invocation behind."""
    of = telemetry(recorder)
    for _ in range(1000):
        with inference(of) as _:
            pass
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, Inference)]
    assert not kept, [gc.get_referrers(one) for one in kept][:1]


def test_the_context_can_be_handed_on(recorder):
    """Another thread may attach it to work below the invocation."""
    of = telemetry(recorder)
    outer = KINDS["workflow"](of)

    def work():
        token = otel.attach(outer.context)
        KINDS["tool"](of).stop()
        otel.detach(token)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    outer.stop()
    assert outline(recorder.spans) == ["invoke_workflow Program", "  execute_tool search"]


def test_texts_that_no_exporter_can_encode(recorder, content):
    """A lone surrogate in a model's name, an id, a reason or an error would cost a whole batch."""
    one = inference(telemetry(recorder), model="m\ud800")
    one.response_model, one.response_id, one.finish_reasons = "r\udfff", "i\ud800", ["stop\ud800", "stop"]
    one.fail(ValueError("told \ud800"))
    span = recorder.span
    assert span.name == "chat m?"
    texts = [span.name, span.status.description, *map(str, span.attributes.values())]
    texts += [str(point.attributes) for point in recorder.points("gen_ai.client.inference.duration")]
    assert all(text.encode() for text in texts)
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop?", "stop")
    recorder.clear()


def test_a_coroutine_that_the_collector_closes(recorder, caplog):
    """It is closed in another context: nothing to detach there, and nobody is told that it failed."""
    of = telemetry(recorder)

    async def call():
        with inference(of):
            await asyncio.sleep(0)

    coroutine = call()
    contextvars.copy_context().run(coroutine.send, None)
    coroutine.close()
    assert recorder.span.attributes["error.type"] == "GeneratorExit"
    assert caplog.records == []


def test_a_failure_that_may_quote_a_secret(recorder, content):
    """Its text is not told, content or not."""
    one = inference(telemetry(recorder))
    one.hides_error_text = True
    one.fail(ValueError("the key sk-123"))
    assert recorder.span.status.description is None
    assert "sk-123" not in str(recorder.events[0].log_record.attributes)


@pytest.mark.parametrize("kind", ["invalid_api_key", "server_error"])
def test_a_failure_whose_code_is_about_a_key(kind, recorder, content):
    """A code says it as well as a text."""
    inference(telemetry(recorder)).fail_as(kind, "Provided: zz-123")
    assert recorder.span.status.description == (None if kind == "invalid_api_key" else "Provided: zz-123")


def test_ctrl_c_in_our_own_end_costs_no_span(recorder):
    """It passes, and the span has ended and the call is counted all the same; in a gate, too."""

    def interrupts(call):
        raise KeyboardInterrupt

    of = telemetry(recorder)
    remove = add_finisher(interrupts)
    with pytest.raises(KeyboardInterrupt):
        inference(of).stop()
    remove()
    remove = add_gate(interrupts)
    with pytest.raises(KeyboardInterrupt), inference(of):
        raise AssertionError("the call is not made")
    remove()
    assert [span.status.status_code.name for span in recorder.spans] == ["UNSET", "ERROR"]
    assert recorder.total("gen_ai.client.inference.duration") == 2
