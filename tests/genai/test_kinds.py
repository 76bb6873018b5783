"""What each kind of invocation writes: attributes that are known, metrics for every call."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.genai import Agent, Peer, ToolExecution, Usage, Workflow, enclosing_agent
from spanloom.genai.hooks import add_finisher
from tests._support.conformance import metric_problems
from tests._support.spans import Recorder
from tests.genai._make import KINDS, inference, module, telemetry, usage

PREFIX = "gen_ai.client.inference."


def filled(of, hit=False):
    """A call that everything is known of."""
    one = inference(of)
    one.usage = Usage(100, 20, 60, 10, 5)
    one.response_model, one.response_id = "m-2026", "id-1"
    one.finish_reasons = ["tool_calls", "stop", "function_call", "length"]
    one.first_chunk_s, one.chunks = 0.25, 3
    one.cache_hit = hit
    return one


def test_everything_that_is_known(recorder):
    """Usage, response, reasons in the conventions' words, chunk figures."""
    filled(telemetry(recorder)).stop()
    attributes = dict(recorder.span.attributes)
    assert attributes.pop("server.port") == 443
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "server.address": "api.openai.com",
        "gen_ai.response.model": "m-2026",
        "gen_ai.response.id": "id-1",
        "gen_ai.response.finish_reasons": ("tool_call", "stop", "tool_call", "length"),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "spanloom.stream.chunks": 3,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }


def test_what_is_not_known_is_absent(recorder):
    """No defaults, no zeros."""
    inference(telemetry(recorder), model=None, peer=Peer("openai")).stop()
    assert recorder.span.name == "chat"
    assert dict(recorder.span.attributes) == {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    assert set(recorder.metrics()) == {PREFIX + "duration"}


def test_a_reported_zero_is_data(recorder):
    """Zero cached tokens were reported; that nothing was reported is something else."""
    one = inference(telemetry(recorder))
    one.usage = usage(0, 0, cache_read=0)
    one.stop()
    attributes = recorder.span.attributes
    assert attributes["gen_ai.usage.input_tokens"] == attributes["gen_ai.usage.cache_read.input_tokens"] == 0
    assert "gen_ai.usage.cache_write.input_tokens" not in attributes


def test_half_a_usage(recorder):
    """Only one side was reported: the other has no metric."""
    one = inference(telemetry(recorder))
    one.usage = usage(None, 4)
    one.stop()
    assert set(recorder.metrics()) == {
        PREFIX + "duration",
        PREFIX + "usage.output_tokens",
        PREFIX + "operation.output_tokens",
    }


def test_metrics_of_one_call(recorder):
    """Seconds, and tokens as counters and as distributions, with the response's model and the modality unknown."""
    filled(telemetry(recorder)).stop()
    assert {name: recorder.total(name) for name in recorder.metrics()} == {
        PREFIX + "duration": 1,
        PREFIX + "time_to_first_chunk": 1,
        PREFIX + "usage.input_tokens": 100,
        PREFIX + "usage.output_tokens": 20,
        PREFIX + "usage.cache_read.input_tokens": 60,
        PREFIX + "usage.cache_write.input_tokens": 10,
        PREFIX + "usage.reasoning.output_tokens": 5,
        PREFIX + "operation.input_tokens": 1,
        PREFIX + "operation.output_tokens": 1,
    }
    (point,) = recorder.points(PREFIX + "usage.input_tokens")
    assert point.attributes["gen_ai.response.model"] == "m-2026"
    assert point.attributes["gen_ai.token.modality"] == "unknown"
    (duration,) = recorder.points(PREFIX + "duration")
    assert 0 < duration.sum < 1


def test_failures_are_counted_with_their_type(recorder):
    """On the duration; tokens that were reported before the failure count too."""
    one = inference(telemetry(recorder))
    one.usage = usage(5, None)
    one.fail(ValueError())
    (point,) = recorder.points(PREFIX + "duration")
    assert point.attributes["error.type"] == "ValueError"
    assert recorder.total(PREFIX + "usage.input_tokens") == 5


def test_a_cache_hit_costs_no_tokens(recorder):
    """Its duration is marked; token metrics are for calls that were paid for."""
    filled(telemetry(recorder), hit=True).stop()
    assert set(recorder.metrics()) == {PREFIX + "duration", PREFIX + "time_to_first_chunk"}
    (point,) = recorder.points(PREFIX + "duration")
    assert point.attributes["dspy.cache.hit"] is True


def test_metrics_of_the_other_kinds(recorder):
    """One duration each, with its name and its error."""
    of = telemetry(recorder)
    for name in ("tool", "agent", "workflow"):
        KINDS[name](of).stop()
        KINDS[name](of).fail(ValueError())
    KINDS["step"](of).stop()
    expected = {
        "gen_ai.execute_tool.duration": {"gen_ai.tool.name": "search", "gen_ai.tool.type": "function"},
        "gen_ai.invoke_agent.duration": {"gen_ai.agent.name": "ReAct"},
        "gen_ai.invoke_workflow.duration": {"gen_ai.workflow.name": "Program"},
    }
    calls = {"gen_ai.invoke_agent.inference_calls", "gen_ai.invoke_agent.tool_calls"}
    assert set(recorder.metrics()) == set(expected) | calls
    for name, attributes in expected.items():
        good, bad = recorder.points(name)
        assert good.attributes == attributes
        assert bad.attributes == {**attributes, "error.type": "ValueError"}


def test_an_agent_counts_its_calls(recorder):
    """Inferences and tools anywhere below it; what runs beside it is not its own."""
    of = telemetry(recorder)
    agent = KINDS["agent"](of)
    inference(of).stop()
    with agent:
        for _ in range(2):
            inference(of).stop()
        tool = KINDS["tool"](of)
        with tool:
            inference(of).stop()
        tool.stop()
    agent.stop()
    sums = {name: recorder.points(f"gen_ai.invoke_agent.{name}")[0].sum for name in ("inference_calls", "tool_calls")}
    assert sums == {"inference_calls": 3, "tool_calls": 1}


def test_finishers_see_the_call_before_its_span_ends():
    """They are given what was reported, may write attributes and say what it cost."""
    recorder = Recorder()
    seen = []

    def finish(call):
        seen.append(
            (
                call.operation,
                call.provider,
                call.request_model,
                call.response_model,
                call.server_address,
                call.cache_hit,
            )
        )
        assert call.metric_attributes["gen_ai.response.model"] == "m-2026"
        call.attributes["spanloom.cost.status"] = "priced"
        call.add_cost(0.25)

    remove = add_finisher(finish)
    of = telemetry(recorder)
    workflow = KINDS["workflow"](of)
    with workflow:
        filled(of).stop()
        remove()
        remove()
        filled(of).stop()
    workflow.stop()
    assert seen == [("chat", "openai", "m", "m-2026", "api.openai.com", False)]
    assert [span.attributes.get("spanloom.cost.status") for span in recorder.spans] == [None, "priced", None]
    assert recorder.spans[0].attributes["spanloom.subtree.cost"] == 0.25


def test_finishers_may_leave_a_call_unpriced(recorder):
    """The levels above tell how many there were."""
    add_finisher(lambda call: call.add_unpriced())
    of = telemetry(recorder)
    workflow = KINDS["workflow"](of)
    with workflow:
        filled(of).stop()
    workflow.stop()
    assert recorder.spans[0].attributes["spanloom.subtree.unpriced_calls"] == 1


def test_unsampled_calls_do_no_content_work_and_all_metrics(content):
    """Nothing is built for a span that is thrown away; finishers and metrics do not depend on sampling."""
    recorder = Recorder(ALWAYS_OFF)
    built, finished = [], []
    add_finisher(finished.append)
    of = telemetry(recorder)
    one = filled(of)
    assert not one.captures_content
    one.input_content = {"gen_ai.input.messages": lambda: built.append(1)}
    one.stop()
    for kind in ("tool", "step", "workflow", "agent"):
        KINDS[kind](of).stop()
    assert recorder.spans == []
    assert built == []
    assert len(finished) == 1
    assert recorder.total(PREFIX + "usage.input_tokens") == 100
    assert recorder.total("gen_ai.execute_tool.duration") == 1
    assert not [problem for metric in recorder.metrics().values() for problem in metric_problems(metric)]


def test_without_content_nothing_is_built(recorder):
    """Private by default: the callables are not even called."""
    one = filled(telemetry(recorder))
    assert not one.captures_content
    one.input_content = {"gen_ai.input.messages": lambda: pytest.fail("built")}
    one.stop()
    tool = ToolExecution(telemetry(recorder), "t", "function", "Finds.")
    tool.arguments = tool.result = lambda: pytest.fail("built")
    tool.stop()
    assert recorder.named("execute_tool t").attributes["gen_ai.tool.description"] == "Finds."


def test_content_of_tools_and_steps(recorder, content):
    """Arguments and results as JSON; what is None is absent."""
    of = telemetry(recorder)
    tool = KINDS["tool"](of)
    tool.arguments = lambda: {"q": "x"}
    tool.result = lambda: None
    tool.stop()
    step = KINDS["step"](of)
    step.content = {"dspy.inputs": lambda: {"a": 1}}
    step.stop()
    assert recorder.named("execute_tool search").attributes["gen_ai.tool.call.arguments"] == '{"q": "x"}'
    assert "gen_ai.tool.call.result" not in recorder.named("execute_tool search").attributes
    assert recorder.named("Predict x").attributes["dspy.inputs"] == '{"a": 1}'


def test_a_tool_knows_its_agent(recorder):
    """The innermost agent around it, through whatever is between."""
    of = telemetry(recorder)
    assert enclosing_agent() is None
    agent = KINDS["agent"](of)
    with agent:
        step = KINDS["step"](of)
        with step:
            assert enclosing_agent() is agent
            KINDS["tool"](of).stop()
        step.stop()
    agent.stop()
    assert recorder.named("execute_tool search").attributes["gen_ai.agent.name"] == "ReAct"


@pytest.mark.parametrize("kind", ["tool", "workflow", "agent"])
def test_a_name_with_half_a_character(kind, recorder):
    """On the span and in the metrics it is one that can be exported."""
    of = telemetry(recorder)
    make = {
        "tool": lambda: ToolExecution(of, "n\ud800"),
        "workflow": lambda: Workflow(of, "n\ud800", module(), {}),
        "agent": lambda: Agent(of, "n\ud800", module(), {}),
    }
    make[kind]().stop()
    assert recorder.span.name.endswith(" n?")
    names = {"tool": "execute_tool", "workflow": "invoke_workflow", "agent": "invoke_agent"}
    (point,) = recorder.points(f"gen_ai.{names[kind]}.duration")
    told = [str(value) for value in (*point.attributes.values(), *recorder.span.attributes.values())]
    assert all(value.encode() for value in told)
    assert "n?" in told
