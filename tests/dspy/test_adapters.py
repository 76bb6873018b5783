"""What adapters do: events on the span around, spans, or nothing; and the fallback, which keeps what failed."""

from __future__ import annotations

import asyncio
import json
import warnings

import dspy
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.utils.dummies import DummyLM
from dspy.utils.exceptions import AdapterParseError
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from spanloom.dspy import DSPyInstrumentor, _adapters
from spanloom.genai import _guard
from tests._support.spans import Recorder, normal, outline

FORMAT, PARSE, FALLBACK = "dspy.adapter.format", "dspy.adapter.parse", "dspy.adapter.fallback"
PARSE_ERROR = "dspy.utils.exceptions.AdapterParseError"


@pytest.fixture
def started(recorder, monkeypatch):
    """Starts the plugin with a choice for adapters."""
    made = []

    def start(adapters, into=recorder):
        monkeypatch.setenv("SPANLOOM_DSPY_ADAPTERS", adapters)
        plugin = DSPyInstrumentor()
        plugin.instrument(**into.providers)
        made.append(plugin)
        return plugin

    yield start
    for one in made:
        if one.is_instrumented_by_opentelemetry:
            one.uninstrument()


class Says(dspy.BaseLM):
    """An LM that says these texts, one after the other."""

    def __init__(self, *texts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__init__("house/says")
        self.texts = list(texts)

    def __call__(self, prompt=None, messages=None, **kwargs):
        return [self.texts.pop(0)]

    async def acall(self, prompt=None, messages=None, **kwargs):
        return [self.texts.pop(0)]


CHAT = "[[ ## answer ## ]]\nblue\n[[ ## completed ## ]]"
JSON = '{"answer": "blue"}'


def told(span):
    """The adapter's events, each with its class and its error."""
    return [
        (
            event.name.rpartition(".")[2],
            *(event.attributes[key] for key in ("dspy.adapter", "error.type") if key in event.attributes),
        )
        for event in span.events
    ]


def ask(lm, adapter=None, is_async=False):
    """One predictor's call."""
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=lm, adapter=adapter):
        if is_async:
            return asyncio.run(predict.acall(question="Which colour?"))
        return predict(question="Which colour?")


ADAPTERS = [
    (dspy.ChatAdapter, CHAT),
    (dspy.JSONAdapter, JSON),
    (BAMLAdapter, JSON),
    (dspy.XMLAdapter, "<answer>blue</answer>"),
]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("adapter", "text"), ADAPTERS)
def test_one_event_each(adapter, text, is_async, plugin, recorder):
    """However often a class inherits, a call formats once and parses once."""
    assert ask(Says(text), adapter(), is_async=is_async).answer == "blue"
    assert told(recorder.span) == [("format", adapter.__name__), ("parse", adapter.__name__)]
    assert recorder.span.status.status_code.name == "UNSET"


@pytest.mark.parametrize("is_async", [False, True])
def test_fallback(is_async, plugin, recorder):
    """Why, from what to what; the answer that failed is content; all is well that ends well."""
    assert ask(Says("no idea", JSON), is_async=is_async).answer == "blue"
    span = recorder.span
    assert told(span) == [
        ("format", "ChatAdapter"),
        ("parse", "ChatAdapter", PARSE_ERROR),
        ("fallback", PARSE_ERROR),
        ("format", "JSONAdapter"),
        ("parse", "JSONAdapter"),
    ]
    assert dict(span.events[2].attributes) == {
        "dspy.adapter.from": "ChatAdapter",
        "dspy.adapter.to": "JSONAdapter",
        "error.type": PARSE_ERROR,
    }
    assert span.status.status_code.name == "UNSET"
    assert "no idea" not in str(normal(recorder.spans)) + str([one.attributes for one in span.events])


def test_fallback_keeps_the_failed_text(plugin_with_content, recorder):
    """With content on, as the plain text that it was."""
    ask(Says("no “idea”", JSON))
    assert recorder.span.events[2].attributes["dspy.adapter.lm_response"] == "no “idea”"


def test_the_failed_text_is_limited_and_encodable(content, monkeypatch, started, recorder):
    """As all content is."""
    monkeypatch.setenv("SPANLOOM_CONTENT_MAX_BYTES", "1024")
    started("events")
    ask(Says("\ud800" + "word " * 1000, JSON))
    text = recorder.span.events[2].attributes["dspy.adapter.lm_response"]
    assert "bytes cut]" in text
    assert len(text.encode()) <= 1024


def test_content_in_events_only_is_not_on_the_span(monkeypatch, started, recorder):
    """A span event is on the span."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    started("events")
    ask(Says("no idea", JSON))
    assert "dspy.adapter.lm_response" not in recorder.span.events[2].attributes


@pytest.mark.parametrize("is_async", [False, True])
def test_parse_error(is_async, plugin, recorder):
    """When nobody can read the answer the predictor is ERROR."""
    with pytest.raises(AdapterParseError):
        ask(Says("no idea", "none"), is_async=is_async)
    assert outline(recorder.spans) == ["invoke_workflow Predict!"]
    assert recorder.span.attributes["error.type"] == PARSE_ERROR
    assert told(recorder.span)[-1] == ("parse", "JSONAdapter", PARSE_ERROR)


def test_the_predictor_of_a_program_is_the_one_that_failed(plugin, recorder):
    """And what is around it as far as the exception goes."""

    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.count = dspy.Predict("question -> answer: int")

        def forward(self, question):
            try:
                return self.count(question=question)
            except AdapterParseError:
                return None

    with dspy.context(lm=DummyLM([{"answer": "many"}] * 2)):
        Program()(question="x")
    assert outline(recorder.spans) == [
        "invoke_workflow Program",
        "  Predict count!",
        "    chat dummy",
        "    chat dummy",
    ]


def test_no_fallback_without_a_second_try(plugin, recorder):
    """The adapter that may not fall back makes no such event."""
    with pytest.raises(AdapterParseError):
        ask(Says("no idea"), dspy.ChatAdapter(use_json_adapter_fallback=False))
    assert told(recorder.span) == [("format", "ChatAdapter"), ("parse", "ChatAdapter", PARSE_ERROR)]


class Shouting(dspy.ChatAdapter):
    """Has its own of everything, and its base class do the work."""

    def format(self, signature, demos, inputs):
        return [{**one, "content": one["content"].upper()} for one in super().format(signature, demos, inputs)]

    def parse(self, signature, completion):
        return {key: value.upper() for key, value in super().parse(signature, completion).items()}

    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        return super().__call__(lm, lm_kwargs, signature, demos, dict(inputs))


class Bare(dspy.Adapter):
    """Speaks its own language."""

    def format(self, signature, demos, inputs):
        return [{"role": "user", "content": str(inputs)}]

    def parse(self, signature, completion):
        return {"answer": completion}


@pytest.mark.parametrize("adapter", [Shouting, Bare])
@pytest.mark.parametrize("choice", ["events", "spans"])
def test_adapters_of_the_applications_own(adapter, choice, started, recorder):
    """By their own names, once each."""
    started(choice)
    assert ask(Says(CHAT if adapter is Shouting else "BLUE"), adapter()).answer == "BLUE"
    if choice == "events":
        assert told(recorder.span) == [("format", adapter.__name__), ("parse", adapter.__name__)]
    else:
        assert outline(recorder.spans, "dspy.adapter") == [
            "invoke_workflow Predict",
            f"  {FORMAT} adapter={adapter.__name__}",
            f"  {PARSE} adapter={adapter.__name__}",
        ]


def test_an_adapter_that_never_calls_its_base_class(plugin, recorder):
    """Works as ever; nobody can tell when it formats."""

    class Alone(Bare):
        def __call__(self, lm, lm_kwargs, signature, demos, inputs):
            return [self.parse(signature, one) for one in lm(messages=self.format(signature, demos, inputs))]

    assert ask(Says("blue"), Alone()).answer == "blue"
    assert told(recorder.span) == []


@pytest.mark.parametrize("is_async", [False, True])
def test_two_steps(is_async, plugin, recorder):
    """The model that reads the answer is asked below the same predictor."""
    adapter = dspy.TwoStepAdapter(DummyLM([{"answer": "blue"}]))
    assert ask(Says("It is blue."), adapter, is_async=is_async).answer == "blue"
    assert outline(recorder.spans) == ["invoke_workflow Predict", "  chat dummy"]
    assert told(recorder.spans[0]) == [
        ("format", "TwoStepAdapter"),
        ("format", "ChatAdapter"),
        ("parse", "ChatAdapter"),
        ("parse", "TwoStepAdapter"),
    ]


@pytest.mark.parametrize("is_async", [False, True])
def test_two_steps_that_fail(is_async, plugin, recorder):
    """Every attempt is told, the predictor is ERROR."""
    adapter = dspy.TwoStepAdapter(Says("hm", "hm"))
    with pytest.raises(AdapterParseError):
        ask(Says("It is blue."), adapter, is_async=is_async)
    assert [one[0] for one in told(recorder.span)] == [
        "format", "format", "parse", "fallback", "format", "parse", "parse",
    ]  # fmt: skip
    assert told(recorder.span)[-1] == ("parse", "TwoStepAdapter", PARSE_ERROR)


def test_two_steps_whose_model_fails(plugin, recorder):
    """Nothing was there to parse."""
    with pytest.raises(IndexError):
        ask(Says(), dspy.TwoStepAdapter(Says()), is_async=True)
    assert told(recorder.span) == [("format", "TwoStepAdapter")]


@pytest.mark.parametrize("is_async", [False, True])
def test_spans(is_async, started, recorder):
    """Formatting and parsing as spans, the failed parse ERROR, the predictor not; the fallback stays an event."""
    started("spans")
    assert ask(Says("no idea", JSON), is_async=is_async).answer == "blue"
    assert outline(recorder.spans, "dspy.adapter", "error.type") == [
        "invoke_workflow Predict",
        f"  {FORMAT} adapter=ChatAdapter",
        f"  {PARSE}! adapter=ChatAdapter type={PARSE_ERROR}",
        f"  {FORMAT} adapter=JSONAdapter",
        f"  {PARSE} adapter=JSONAdapter",
    ]
    assert [event.name for event in recorder.spans[0].events] == [FALLBACK]


@pytest.mark.parametrize("is_async", [False, True])
def test_two_steps_as_spans(is_async, started, recorder):
    """Reading the answer holds the second model's call."""
    started("spans")
    adapter = dspy.TwoStepAdapter(DummyLM([{"answer": "blue"}]))
    ask(Says("It is blue."), adapter, is_async=is_async)
    assert outline(recorder.spans, "dspy.adapter") == [
        "invoke_workflow Predict",
        f"  {FORMAT} adapter=TwoStepAdapter",
        f"  {PARSE} adapter=TwoStepAdapter",
        f"    {FORMAT} adapter=ChatAdapter",
        "    chat dummy",
        f"    {PARSE} adapter=ChatAdapter",
    ]


def test_two_steps_that_fail_as_spans(started, recorder):
    """Each level that the failure passes is ERROR."""
    started("spans")
    with pytest.raises(AdapterParseError):
        ask(Says("It is blue."), dspy.TwoStepAdapter(Says("hm", "hm")), is_async=True)
    lines = outline(recorder.spans)
    assert lines[:3] == ["invoke_workflow Predict!", f"  {FORMAT}", f"  {PARSE}!"]
    assert lines[3:] == [f"    {FORMAT}", f"    {PARSE}!", f"    {FORMAT}", f"    {PARSE}!"]


class Breaking(dspy.ChatAdapter):
    """Cannot make a prompt."""

    error = None

    def format(self, signature, demos, inputs):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("secret"), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("choice", ["events", "spans"])
def test_what_format_raises_passes(error, choice, started, recorder):
    """The very object, on every level that it passes."""
    started(choice)
    adapter = Breaking(use_json_adapter_fallback=False)
    adapter.error = error
    with pytest.raises(type(error)) as caught:
        ask(Says(), adapter)
    assert caught.value is error
    expected = ["invoke_workflow Predict!"] + ([f"  {FORMAT}!"] if choice == "spans" else [])
    assert outline(recorder.spans) == expected
    assert "secret" not in json.dumps(normal(recorder.spans))


def test_off(started, recorder):
    """Nothing of adapters."""
    started("off")
    ask(Says("no idea", JSON))
    assert outline(recorder.spans) == ["invoke_workflow Predict"]
    assert not recorder.span.events


@pytest.mark.parametrize("choice", ["events", "spans"])
@pytest.mark.parametrize("is_async", [False, True])
def test_suppressed(choice, is_async, started, recorder):
    """Nothing, and the same answer."""
    started(choice)
    with suppress_instrumentation():
        assert ask(Says("no idea", JSON), is_async=is_async).answer == "blue"
        two_steps = dspy.TwoStepAdapter(Says(CHAT))
        assert ask(Says("It is blue."), two_steps, is_async=True).answer == "blue"
    assert not recorder.spans


@pytest.mark.parametrize("choice", ["events", "spans"])
def test_not_sampled(choice, started):
    """No work for a span that nobody keeps."""
    dark = Recorder(ALWAYS_OFF)
    started(choice, dark)
    assert ask(Says("no idea", JSON)).answer == "blue"
    assert not dark.spans
    dark.close()


@pytest.mark.parametrize("choice", ["events", "spans"])
def test_a_fault_of_ours(choice, monkeypatch, started, recorder):
    """Costs the event or the span, and nothing else."""
    started(choice)
    monkeypatch.setattr(_guard, "RERAISE", False)
    for name in ("current", "Scope"):
        monkeypatch.setattr(_adapters, name, None)
    assert ask(Says("no idea", JSON)).answer == "blue"
    assert told(recorder.span) == []


def test_an_adapter_used_by_itself(plugin, recorder):
    """Outside of any span of ours there is no span to tell it to."""
    adapter = dspy.ChatAdapter()
    adapter(Says(CHAT), {}, dspy.Signature("question -> answer"), [], {"question": "x"})
    adapter._make_json_adapter_fallback()
    assert not recorder.spans


def test_a_fallback_that_is_made_without_a_failure(plugin, recorder):
    """Is none."""

    class Program(dspy.Module):
        def forward(self):
            dspy.ChatAdapter()._make_json_adapter_fallback()

    Program()()
    assert not recorder.span.events


@pytest.mark.parametrize("choice", ["events", "spans"])
def test_uninstrument(choice, started, recorder):
    """Every original is back, also where a class has inherited it."""
    names = ("__call__", "acall", "_call_preprocess", "_call_postprocess", "_make_json_adapter_fallback")
    owners = (dspy.Adapter, dspy.ChatAdapter, dspy.JSONAdapter, dspy.TwoStepAdapter)
    before = {(one, name): vars(one).get(name) for one in owners for name in names}
    plugin = started(choice)
    assert {key: vars(key[0]).get(key[1]) for key in before} != before
    plugin.uninstrument()
    assert all(vars(one).get(name) is value for (one, name), value in before.items())
