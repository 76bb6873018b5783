"""The conformance check itself: it takes a good span and refuses each kind of bad one."""

from __future__ import annotations

import json

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode

from spanloom.semconv import SCHEMA_URL
from tests._support.conformance import problems_of
from tests._support.spans import Recorder

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
EMBED = {**CHAT, "gen_ai.operation.name": "embeddings"}
FETCH = {"gen_ai.operation.name": "fetch_response", "gen_ai.provider.name": "openai", "gen_ai.response.id": "r"}
SEARCH = {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "d"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}
FLOW = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "w"}
ENDPOINT = {"spanloom.openai.endpoint": "/images", "gen_ai.provider.name": "openai"}
PEER = {"server.address": "h", "server.port": 443}
WRITE, OLD_WRITE = "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
ERROR = Status(StatusCode.ERROR)
INTERNAL = SpanKind.INTERNAL


def span(
    attributes, name="chat m", kind=SpanKind.CLIENT, scope="spanloom.x", schema=SCHEMA_URL, status=None, version="1"
):
    """A finished span of the SDK."""
    recorder = Recorder()
    tracer = recorder.tracer_provider.get_tracer(scope, version, schema)
    one = tracer.start_span(name, kind=kind, attributes=attributes)
    if status:
        one.set_status(status)
    one.end()
    return recorder.span


def messages(*parts, role="user", **more):
    """One message as JSON text."""
    return json.dumps([{"role": role, "parts": list(parts), **more}])


def told(problem, found):
    """That one of the problems is this one."""
    assert any(problem in one for one in found), found


TEXT = {"type": "text", "content": "x"}
GOOD = [
    (CHAT, "chat m", SpanKind.CLIENT),
    ({**CHAT, **PEER, "openai.api.type": "responses", "gen_ai.usage.cost.amount": 0.5}, "chat m", SpanKind.CLIENT),
    ({**CHAT, "gen_ai.provider.name": "together_ai"}, "chat m", SpanKind.CLIENT),
    ({**CHAT, "gen_ai.input.messages": messages(TEXT)}, "chat m", SpanKind.CLIENT),
    ({**CHAT, "gen_ai.prompt.name": "p", "gen_ai.prompt.variable.user": "u"}, "chat m", SpanKind.CLIENT),
    ({**CHAT, "gen_ai.request.seed": -1, "http.response.status_code": 200}, "chat m", SpanKind.CLIENT),
    ({**CHAT, "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.1}, "chat m", SpanKind.CLIENT),
    ({**EMBED, "gen_ai.embeddings.dimension.count": 3}, "embeddings m", SpanKind.CLIENT),
    ({**FETCH, "gen_ai.response.status": "queued"}, "fetch_response", SpanKind.CLIENT),
    ({**SEARCH, "gen_ai.retrieval.top_k": 3}, "retrieval d", SpanKind.CLIENT),
    ({**SEARCH, "gen_ai.retrieval.documents": '[{"id": "1", "score": 0.5}]'}, "retrieval d", SpanKind.CLIENT),
    ({**TOOL, "gen_ai.tool.call.arguments": "{}", "gen_ai.tool.type": "function"}, "execute_tool t", INTERNAL),
    ({**AGENT, "spanloom.subtree.llm_calls": 2}, "invoke_agent a", INTERNAL),
    (FLOW, "invoke_workflow w", INTERNAL),
    ({"dspy.module": "P", "dspy.inputs": '{"q": 1}'}, "P", INTERNAL),
    ({**ENDPOINT, **PEER, "gen_ai.request.model": "i"}, "openai images.generate", SpanKind.CLIENT),
]


@pytest.mark.parametrize(("attributes", "name", "kind"), GOOD)
def test_good_spans_have_no_problems(attributes, name, kind):
    """Of each operation, and of what has none."""
    assert problems_of(span(attributes, name, kind)) == []


def test_a_failed_call_has_no_problems():
    """With its kind of error; with the text of the error where content is on."""
    failed = {**CHAT, "error.type": "E"}
    assert problems_of(span(failed, status=ERROR)) == []
    talks = {**failed, "gen_ai.input.messages": messages(TEXT)}
    assert problems_of(span(talks, status=Status(StatusCode.ERROR, "text"))) == []


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"gen_ai.invented": 1}, "not in the registry"),
        ({"spanloom.invented": 1}, "not in the registry"),
        ({"user": "u"}, "not in the registry"),
        ({"gen_ai.tool.name": "t"}, "not in the registry"),
        ({"gen_ai.retrieval.top_k": 1}, "not in the registry"),
        ({"gen_ai.provider.name": "nobody"}, "unknown values ['nobody']"),
        ({"gen_ai.provider.name": ""}, "gen_ai.provider.name is empty"),
        ({"gen_ai.request.temperature": "1"}, "has a str, not double"),
        ({"gen_ai.request.temperature": 1}, "has a int, not double"),
        ({"gen_ai.usage.input_tokens": 1.5}, "has a float, not int"),
        ({"gen_ai.usage.input_tokens": True}, "has a bool, not int"),
        ({"gen_ai.usage.input_tokens": -1}, "is -1"),
        ({"spanloom.stream.chunks": -1}, "is -1"),
        ({"spanloom.stream.chunks": "3"}, "has a str, not int"),
        ({"gen_ai.request.model": 3}, "has a int, not string"),
        ({"gen_ai.request.stream": "yes"}, "has a str, not boolean"),
        ({"gen_ai.request.stream": False}, "not recorded when it is False"),
        ({"gen_ai.conversation.compacted": False}, "not recorded when it is False"),
        ({"gen_ai.request.choice.count": 1}, "not recorded when it is 1"),
        ({"gen_ai.response.finish_reasons": "stop"}, "has a str, not string[]"),
        ({"gen_ai.response.finish_reasons": ["tool_calls"]}, "unknown values ['tool_calls']"),
        ({"gen_ai.output.type": "xml"}, "unknown values ['xml']"),
        ({"openai.api.type": "chat"}, "unknown values ['chat']"),
        ({"server.address": "x"}, "server.address and server.port come together"),
        ({"server.port": 1}, "server.address and server.port come together"),
        ({"gen_ai.prompt.version": "1"}, "without gen_ai.prompt.name"),
        ({"gen_ai.prompt.name": "p", "gen_ai.prompt.variable.n": 1}, "has a int, not template[string]"),
        ({"openai.api.type": "responses", "gen_ai.response.time_to_first_chunk": 0.1}, "of a request without"),
        ({"error.type": "E"}, "status UNSET"),
        ({"gen_ai.operation.name": "dance"}, "no rules for operation"),
        ({"gen_ai.operation.name": "text_completion"}, "not named"),
        ({"gen_ai.input.messages": "{"}, "not JSON"),
        ({"gen_ai.input.messages": "[NaN]"}, "not JSON"),
        ({"gen_ai.input.messages": ["x"]}, "not JSON"),
        ({"gen_ai.input.messages": "{}"}, "not of type"),
        ({"gen_ai.input.messages": '[{"role": "user"}]'}, "'parts' is a required property"),
        ({"gen_ai.input.messages": messages({"content": "x"})}, "not valid"),
        ({"gen_ai.input.messages": messages({"type": "text", "content": None})}, "None is not of type"),
        ({"gen_ai.output.messages": messages({"type": "tool_call"})}, "'name' is a required property"),
        ({"gen_ai.output.messages": messages(TEXT, finish_reason="stop")}, "finish_reason is deprecated"),
        (
            {"gen_ai.output.messages": messages({"type": "server_tool_call", "name": "n"})},
            "'server_tool_call' is a req",
        ),
        ({"gen_ai.system_instructions": '[{"type": "file", "modality": "document"}]'}, "'file_id'"),
        ({"gen_ai.tool.definitions": '[{"type": "function"}]'}, "not valid"),
    ],
)
def test_a_bad_attribute_is_a_problem(attributes, problem):
    """Unknown, of a wrong type, or of a value that the conventions do not have."""
    told(problem, problems_of(span({**CHAT, **attributes})))


@pytest.mark.parametrize(
    ("attributes", "name", "kind", "problem"),
    [
        ({**FETCH, "gen_ai.usage.input_tokens": 1}, "fetch_response", SpanKind.CLIENT, "not in the registry"),
        ({**FETCH, "gen_ai.response.status": "done"}, "fetch_response", SpanKind.CLIENT, "unknown values"),
        (FETCH, "fetch_response r", SpanKind.CLIENT, "not named 'fetch_response'"),
        ({**EMBED, "gen_ai.usage.output_tokens": 1}, "embeddings m", SpanKind.CLIENT, "not in the registry"),
        ({**SEARCH, "gen_ai.retrieval.documents": '["d"]'}, "retrieval d", SpanKind.CLIENT, "not of type 'object'"),
        ({**TOOL, "gen_ai.tool.call.result": "plain"}, "execute_tool t", INTERNAL, "not JSON text"),
        ({**TOOL, "gen_ai.tool.type": "hammer"}, "execute_tool t", INTERNAL, "unknown values"),
        ({**TOOL, "openai.api.type": "responses"}, "execute_tool t", INTERNAL, "not in the registry"),
        ({**AGENT, "gen_ai.provider.name": "openai"}, "invoke_agent a", INTERNAL, "not in the registry"),
        (FLOW, "invoke_workflow w", SpanKind.CLIENT, "kind CLIENT, not internal"),
        ({"dspy.inputs": "x"}, "P", INTERNAL, "not JSON text"),
        ({"gen_ai.request.model": "m"}, "P", INTERNAL, "without an operation"),
        ({}, "P", SpanKind.CLIENT, "kind CLIENT, not INTERNAL"),
        (ENDPOINT, "openai images.generate", INTERNAL, "kind INTERNAL, not CLIENT"),
        ({**ENDPOINT, "gen_ai.input.messages": "[]"}, "x", SpanKind.CLIENT, "without an operation"),
    ],
)
def test_a_bad_span_of_another_kind_is_a_problem(attributes, name, kind, problem):
    """Each operation has names of its own."""
    told(problem, problems_of(span(attributes, name, kind)))


@pytest.mark.parametrize("whole", [CHAT, EMBED, FETCH, TOOL], ids=lambda row: row["gen_ai.operation.name"])
def test_a_missing_required_attribute_is_a_problem(whole):
    """Operation, provider, response id, tool name; the model's or tool's name is part of the span's."""
    kind = INTERNAL if whole is TOOL else SpanKind.CLIENT
    name = " ".join(whole[key] for key in whole if key.endswith(("operation.name", "model", "tool.name")))
    assert problems_of(span(whole, name, kind)) == []
    for missing in whole:
        assert problems_of(span({key: value for key, value in whole.items() if key != missing}, name, kind)), missing


def test_openai_chat_needs_its_model_unless_it_failed():
    """The refinement of the conventions for OpenAI; other APIs and failed calls may not know it."""
    bare = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "openai.api.type": "chat_completions"}
    told("is required of OpenAI's", problems_of(span(bare, "chat")))
    assert problems_of(span({**bare, "openai.api.type": "responses"}, "chat")) == []
    assert problems_of(span({**bare, "error.type": "E"}, "chat", status=ERROR)) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": INTERNAL}, "kind INTERNAL"),
        ({"name": "chat"}, "not named"),
        ({"scope": "theirs"}, "scope"),
        ({"version": None}, "no version"),
        ({"schema": None}, "schema URL"),
        ({"status": Status(StatusCode.OK)}, "status OK"),
        ({"status": ERROR}, "error.type None"),
    ],
)
def test_a_bad_span_is_a_problem(options, problem):
    """Kind, name, scope, schema and status."""
    told(problem, problems_of(span(CHAT, **options)))


def test_the_text_of_an_error_needs_content(monkeypatch):
    """It may quote the prompt."""
    failed = span({**CHAT, "error.type": "E"}, status=Status(StatusCode.ERROR, "text"))
    told("status description 'text' without content", problems_of(failed))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
    assert problems_of(failed) == []


def test_an_exception_is_no_span_event():
    """The conventions have a log record for it."""
    recorder = Recorder()
    one = recorder.tracer_provider.get_tracer("spanloom.x", "1", SCHEMA_URL).start_span(
        "chat m", kind=SpanKind.CLIENT, attributes=CHAT
    )
    one.record_exception(ValueError())
    one.end()
    told("not a span event", problems_of(recorder.span))


def test_a_provider_that_the_user_named_is_no_problem(monkeypatch):
    """Whoever sets SPANLOOM_PROVIDER_HOSTS knows."""
    monkeypatch.setenv("SPANLOOM_PROVIDER_HOSTS", "*.corp=corp_gateway, h=x")
    assert problems_of(span({**CHAT, "gen_ai.provider.name": "corp_gateway"})) == []
    told("unknown values", problems_of(span({**CHAT, "gen_ai.provider.name": "corp"})))


def test_a_custom_lm_without_provider_is_the_reviewed_exception():
    """Only where DSPy's class of the LM is told."""
    left = {name: value for name, value in CHAT.items() if name != "gen_ai.provider.name"}
    assert problems_of(span({**left, "dspy.lm.class": "Mine"})) == []


@pytest.mark.parametrize(
    ("modes", "written", "problem"),
    [
        ({"current"}, [WRITE], None),
        ({"current"}, [OLD_WRITE], "not in the registry"),
        ({"old"}, [OLD_WRITE], None),
        ({"old"}, [WRITE], "not in the registry"),
        ({"current", "old"}, [WRITE, OLD_WRITE], None),
        ({"current", "old"}, [WRITE], "differ"),
        ({"current", "old"}, [OLD_WRITE], "differ"),
    ],
)
def test_older_names(modes, written, problem):
    """Each mode has the names it should, and no others."""
    found = problems_of(span({**CHAT, **dict.fromkeys(written, 3)}), modes)
    told(problem, found) if problem else None
    assert bool(found) == bool(problem)


def test_the_environment_gives_the_mode(monkeypatch):
    """Where the caller does not."""
    older = span({**CHAT, OLD_WRITE: 3})
    assert problems_of(older)
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai/old")
    assert problems_of(older) == []
