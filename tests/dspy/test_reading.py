"""LMs, messages, usage, frames and paths as data."""

from __future__ import annotations

import builtins
from hashlib import sha256
from types import SimpleNamespace

import dspy
import pytest

from spanloom.dspy import DSPyInstrumentor, _frames, _identity, _lm_request, _lm_result, _paths
from spanloom.dspy._lm_call import LMCall
from spanloom.dspy._messages import input_messages, output_messages, system_instructions, tool_definitions
from spanloom.dspy._parts import part_of
from spanloom.dspy._paths import path_below
from spanloom.dspy._providers import Peers, split_model
from spanloom.genai import Peer
from tests.dspy._programs import Outer, Pipe
from tests.genai._make import telemetry


def lm_call(recorder):
    """The call of an LM that has started."""
    return LMCall(telemetry(recorder), "chat", "m", Peer("openai"), object())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-4o", ("openai", "gpt-4o")),
        ("azure/mine", ("azure.ai.openai", "mine")),
        ("gemini/gemini-2.0-flash", ("gcp.gemini", "gemini-2.0-flash")),
        ("vertex_ai/x/y", ("gcp.vertex_ai", "x/y")),
        ("meta-llama/Llama-3", (None, "meta-llama/Llama-3")),
        ("dummy", (None, "dummy")),
        ("ollama_chat/llama3.2", ("ollama", "llama3.2")),
        ("together_ai/meta-llama/Llama-3", ("together_ai", "meta-llama/Llama-3")),
        ("openai/", (None, "openai/")),
        ("", (None, None)),
    ],
)
def test_provider_and_model(name, expected):
    """The conventions' provider for a prefix that is one; else the whole name, and no provider."""
    assert split_model(name) == expected


@pytest.mark.parametrize(
    ("settings", "peer"),
    [
        ({}, Peer("p")),
        ({"api_base": "http://localhost:8000/v1"}, Peer("p", "localhost", 8000)),
        ({"base_url": "https://key@models.example/v1?k=1"}, Peer("p", "models.example", 443)),
        ({"api_base": "http://models.example"}, Peer("p", "models.example", 80)),
        ({"api_base": "localhost:8000"}, Peer("p")),
        ({"api_base": "http://[::1"}, Peer("p")),
        ({"api_base": "http://x:port"}, Peer("p")),
        ({"api_base": 5}, Peer("p")),
    ],
)
def test_the_peer(settings, peer):
    """Where the program names an address; credentials and queries are no part of it."""
    assert Peers().of("p", settings.get("api_base") or settings.get("base_url")) == peer


PENALTIES = {"top_k": 4, "frequency_penalty": 1.0, "presence_penalty": -1.0}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        ({"temperature": None, "max_tokens": None}, {}),
        ({"temperature": 0.0, "top_p": 1, "seed": 3}, {"temperature": 0.0, "top_p": 1.0, "seed": 3}),
        ({"top_k": 4, "frequency_penalty": 1, "presence_penalty": -1}, PENALTIES),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", 5, "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": [5]}, {}),
        ({"stop": 5}, {}),
        ({"reasoning_effort": "low"}, {"reasoning.level": "low"}),
        ({"reasoning": {"effort": "high"}}, {"reasoning.level": "high"}),
        ({"reasoning": "x", "reasoning_effort": 5}, {}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": True, "seed": "3", "max_tokens": 2**64}, {}),
        ({"n": 1}, {}),
        ({"n": 2}, {"choice.count": 2}),
        ({"n": True}, {}),
    ],
)
def test_request_parameters(settings, expected):
    """What is set; what is not, or is no number, is absent."""
    found = SimpleNamespace(attributes={})
    _lm_request.read_settings(found, settings)
    assert found.attributes == {f"gen_ai.request.{name}": value for name, value in expected.items()}


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, "gen_ai.output.type", "json"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "gen_ai.output.type", "json"),
        ({"response_format": Outer}, "gen_ai.output.type", "json"),
        ({"response_format": {"type": "text"}}, "gen_ai.output.type", None),
        ({"rollout_id": 3}, "dspy.lm.rollout_id", 3),
        ({"rollout_id": None}, "dspy.lm.rollout_id", None),
        ({"api_key": "secret"}, "api_key", None),
    ],
)
def test_other_settings(settings, name, expected):
    """The form of the output, and which of several equal calls it is; nothing that is not asked for."""
    found = SimpleNamespace(attributes={})
    _lm_request.read_settings(found, settings)
    assert found.attributes.get(name) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": "1"}, None),
        ({"prompt_tokens": 1, "completion_tokens": 2}, (1, 2, None, None, None)),
        ({"input_tokens": 1, "output_tokens": 2}, (1, 2, None, None, None)),
        (
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            (9, None, 4, 3, 2),
        ),
        (
            SimpleNamespace(prompt_tokens=3, prompt_tokens_details=SimpleNamespace(cached_tokens=1)),
            (3, None, 1, None, None),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": None, "completion_tokens_details": 5},
            (9, None, None, None, None),
        ),
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"x": 1}},
            (9, None, 4, None, None),
        ),
    ],
)
def test_usage(usage, expected):
    """In either dialect; nothing where nothing was reported."""
    found = _lm_result.usage_of(usage)
    if expected is None:
        assert found is None
    else:
        names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
        assert tuple(getattr(found, name) for name in (*names, "reasoning_output_tokens")) == expected


def test_usage_of_audio():
    """Parts of the whole; a 0 of them says that there is none."""
    details = {"prompt_tokens_details": {"audio_tokens": 3}, "completion_tokens_details": {"audio_tokens": 0}}
    found = _lm_result.usage_of({"prompt_tokens": 9, "completion_tokens": 1, **details})
    assert (found.audio_input_tokens, found.audio_output_tokens) == (3, None)


class Bare(dspy.BaseLM):
    """An LM whose constructor forgot its base's."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs)


@pytest.mark.parametrize("attributes", [{}, {"model": None, "kwargs": None}, {"model": 5, "kwargs": [1]}])
def test_an_lm_without_its_attributes(attributes, recorder):
    """It fails as it fails; the span is there, without what nobody knows."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with pytest.raises(Exception) as caught:
            Bare(**attributes)("x")
    finally:
        plugin.uninstrument()
    assert recorder.span.name == "chat"
    assert recorder.span.attributes["error.type"].endswith(type(caught.value).__name__)


def test_a_text_model_is_a_text_completion(recorder):
    """`model_type="text"`."""
    plugin = DSPyInstrumentor()
    plugin.instrument(**recorder.providers)
    try:
        with pytest.raises(Exception):  # noqa: B017 - it has no forward
            Bare(model="openai/x", model_type="text", kwargs={})("x")
    finally:
        plugin.uninstrument()
    assert recorder.span.name == "text_completion x"


def test_messages():
    """Roles and parts; what is no part is left out; system instructions apart."""
    messages = [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "image_url", "image_url": {}}, "odd", 5]},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None},
        "no message",
    ]
    assert system_instructions(messages) == [{"type": "text", "content": "s"}, {"type": "text", "content": "d"}]
    assert system_instructions([]) is None
    assert input_messages(messages) == [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "u"}, {"type": "text", "content": "odd"}],
        },
        {"role": "assistant", "parts": []},
        {"role": "assistant", "parts": []},
    ]


def test_outputs():
    """Texts, or dicts with text, reasoning and tool calls; anything else is no list of choices."""
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {"function": None}]
    found = output_messages(["a", {"text": "b", "reasoning_content": "why", "tool_calls": calls}, {"text": None}])
    assert [[part["type"] for part in one["parts"]] for one in found] == [
        ["text"],
        ["reasoning", "text", "tool_call", "tool_call"],
        [],
    ]
    assert found[1]["parts"][2] == {"type": "tool_call", "id": "1", "name": "f", "arguments": {}}
    assert output_messages("text") is None
    assert output_messages(5) is None


def uri(modality, address):
    """A part that is somewhere."""
    return {"type": "uri", "modality": modality, "uri": address}


PNG = {"type": "blob", "modality": "image", "content": "", "sha256": sha256(b"x").hexdigest(), "bytes": 1}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("", None),
        ({"type": "text", "text": 5}, None),
        ({"type": "citation", "text": "x"}, {"type": "citation"}),
        ({"type": "thinking", "thinking": "hm"}, {"type": "reasoning", "content": "hm"}),
        ({"type": "thinking"}, None),
        ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
        ({"type": "refusal"}, None),
        (SimpleNamespace(type="data", value={"yes": 0.5}), {"type": "text", "content": '{"yes": 0.5}'}),
        ({"type": "input_image", "image_url": "data:image/png;base64,eA=="}, {**PNG, "mime_type": "image/png"}),
        ({"type": "image_url", "image_url": {"url": "data:,x"}}, PNG),
        (
            {"type": "video_url", "video_url": {"url": "host/a?b"}},
            {"type": "uri", "modality": "video", "uri": "host/a"},
        ),
        ({"type": "input_audio", "input_audio": {"data": "eA=="}}, {**PNG, "modality": "audio"}),
        (
            {"type": "input_file", "file_url": "http://h/a"},
            {"type": "uri", "modality": "document", "uri": "http://h/a"},
        ),
        ({"type": "file", "file": {"file_data": "eA=="}}, {**PNG, "modality": "document"}),
        (
            {"type": "audio", "data": "x", "media_type": "audio/wav"},
            {**PNG, "modality": "audio", "mime_type": "audio/wav"},
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            {**PNG, "modality": "document", "mime_type": "text/plain"},
        ),
        (
            SimpleNamespace(type="tool_call", id=None, name=None, args={"q": 1}, input=None),
            {"type": "tool_call", "id": None, "name": "", "arguments": {"q": 1}},
        ),
        (
            SimpleNamespace(type="tool_result", call_id="c", content=["found"]),
            {"type": "tool_call_response", "id": "c", "response": [{"type": "text", "content": "found"}]},
        ),
    ],
)
def test_parts(part, expected):
    """Each kind as the conventions have it; bytes by digest and size."""
    assert part_of(part) == expected


def test_typed_responses_and_odd_tools():
    """One response, or several in one; definitions by type and name."""
    message = SimpleNamespace(role="assistant", parts=[SimpleNamespace(type="text", text="a")])
    one = SimpleNamespace(message=message)
    expected = [{"role": "assistant", "parts": [{"type": "text", "content": "a"}]}]
    assert output_messages(one) == output_messages([one]) == output_messages(SimpleNamespace(outputs=[one])) == expected
    assert output_messages([{"tool_calls": [{"function": {"name": "f", "arguments": "{no"}}]}])[0]["parts"] == [
        {"type": "tool_call", "id": None, "name": "f", "arguments": "{no"}
    ]
    tools = [{"type": "web_search"}, {"name": "old"}, {}]
    assert tool_definitions(tools) == [
        {"type": "web_search", "name": "web_search"},
        {"type": "function", "name": "old"},
    ]


def test_paths_follow_the_program():
    """A submodule that was exchanged is found where it stands now, or not at all; never under another's name."""
    program = Pipe()
    old = program.draft
    assert path_below(program, old) == "draft"
    assert path_below(program, old.predict) == "draft.predict"
    program.draft = dspy.Predict("question -> answer")
    assert path_below(program, program.draft) == "draft"
    assert path_below(program, dspy.Predict("a -> b")) is None
    assert path_below(Outer(), program) is None


def test_an_id_that_is_used_again_is_another_module():
    """Addresses are given out again; names are not."""
    program = Pipe()
    for _ in range(50):
        program.extra = dspy.Predict("a -> b")
        path_below(program, program.extra)
        del program.extra
        assert path_below(program, dspy.Predict("a -> b")) is None


def test_walks_are_bounded():
    """A long list is no list of modules; loops end."""
    program = Pipe()
    program.corpus = [dspy.Predict("a -> b")] * 1001
    program.short = ({"k": [dspy.Predict("a -> b")]},)
    program.loop = program.short[0]["loop"] = [program]
    assert path_below(program, program.corpus[0]) is None
    assert path_below(program, program.short[0]["k"][0]) == "short[0][k][0]"


def chained():
    """An exception with a cause, a context that leads back, and frames of ours in each."""
    error = ValueError("outer")
    error.__cause__ = KeyError("inner")
    error.__cause__.__context__ = error
    return error


def test_hiding_walks_causes_contexts_and_groups():
    """Each once, cycles end."""
    error = chained()
    assert _frames._chain([error]) == [error, error.__cause__]
    grouping = getattr(builtins, "ExceptionGroup", None)  # Python 3.11
    if grouping is not None:
        member = LookupError()
        group = grouping("g", [member, error])
        assert {id(one) for one in _frames._chain([group])} == {
            id(one) for one in (group, member, error, error.__cause__)
        }
    assert _frames._chain([SimpleNamespace(__cause__=None, __context__=None, exceptions=5)])


def test_only_our_frames_are_hidden():
    """A traceback without frames stays one; one of ours alone becomes none."""
    assert _frames.without_ours(None) is None
    try:
        raise ValueError
    except ValueError as error:
        assert [one.tb_lineno for one in frames(_frames.without_ours(error.__traceback__))] == [
            error.__traceback__.tb_lineno
        ]


def frames(trace):
    """The entries of a traceback."""
    while trace is not None:
        yield trace
        trace = trace.tb_next


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"raw": None}, (None, None, None)),
        ({"raw": SimpleNamespace(model="m", id="i", choices=None)}, ("m", "i", None)),
        ({"raw": SimpleNamespace(model="", id=5, choices=[SimpleNamespace()])}, (None, None, None)),
        ({"responses": (SimpleNamespace(model="m", id="i", finish_reason="stop"),)}, ("m", "i", ["stop"])),
        ({"responses": (SimpleNamespace(model="m", id="1"), SimpleNamespace(id="2"))}, ("m", None, None)),
    ],
)
def test_what_a_result_says_of_itself(result, expected, recorder):
    """Model, id and reasons where the provider gave them; the model that was asked for is not one that answered."""
    call = lm_call(recorder)
    given = SimpleNamespace(**{"responses": (), "raw": None, "usage": {}, "response_model": "asked", **result})
    with call:
        _lm_result.wrap_finalize(lambda *_: None)(None, None, given)
    call.stop()
    assert (call.response_model, call.response_id, call.finish_reasons) == expected


def test_what_records_a_response_in_dspy_33(recorder):
    """Wherever the response stands among the arguments; other arguments and calls of nobody are passed on."""
    response = SimpleNamespace(
        model="m", id="i", usage=SimpleNamespace(prompt_tokens=3), outputs=[SimpleNamespace(finish_reason="stop")]
    )
    wrapped = _lm_result.wrap_recording(lambda *args, **kwargs: (args, kwargs))
    for args, kwargs in ((("lm", response), {}), (("lm", "request", response), {}), (("lm",), {"response": response})):
        call = lm_call(recorder)
        with call:
            assert wrapped(*args, **kwargs) == (args, kwargs)
        call.stop()
        assert (call.response_model, call.response_id, call.finish_reasons) == ("m", "i", ["stop"])
        assert call.usage.input_tokens == 3
    assert wrapped(1, x=2) == ((1,), {"x": 2})


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("Hi",), {}, True),
        ((), {"prompt": "Hi"}, True),
        ((), {"messages": [{"role": "user", "content": "Hi"}]}, True),
        ((), {"messages": iter([])}, False),
        ((object(),), {}, False),
        ((), {}, False),
    ],
)
def test_what_is_kept_of_a_request(args, kwargs, expected, recorder):
    """A prompt or a list of messages; a typed request or an iterator is left alone."""
    call = lm_call(recorder)
    _lm_request.keep_content(call, args, kwargs, kwargs)
    call.stop()
    assert bool(call.input_content) is expected


def test_a_path_cache_that_was_taken_over_is_not_forgotten():
    """The address of a program that is gone may already be another program's."""
    program = Pipe()
    path_below(program, program.draft)
    _identity.forget(_paths._known, id(program), object())
    assert id(program) in _paths._known
    _identity.forget(_paths._known, -1, object())


def test_finalize_outside_of_a_call_of_ours(recorder):
    """Recorded by nobody: it is only passed on, by position or by name."""
    given = []
    wrapped = _lm_result.wrap_finalize(lambda *args, **kwargs: given.append((args, kwargs)) or "result")
    assert wrapped(1, 2, 3) == wrapped(lm=1, call=2, result=3) == "result"
    assert given == [((1, 2, 3), {}), ((), {"lm": 1, "call": 2, "result": 3})]
