"""Model calls of every kind."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback
from dspy.utils.dummies import DummyLM

from tests.dspy._programs import Legacy
from tests.dspy.sections._stage import Engine, Stage, filled, section

ASK = "question -> answer"


@section()
def chain_of_thought(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return dspy.ChainOfThought(ASK)(question="Which river flows through Dresden?")


@section()
def litellm_engine(stage: Stage) -> Any:
    with warnings.catch_warnings(), dspy.context(lm=stage.lm(engine="litellm")):
        warnings.simplefilter("ignore")
        return dspy.Predict(ASK)(question="Which river flows through Dresden?")


@section(newest=True)
def custom_engine(stage: Stage) -> Any:
    with dspy.context(lm=dspy.LM("house/one", engine=stage.engine(filled(answer="blue")), cache=False)):
        return dspy.Predict(ASK)(question="Which colour?")


class Billing(Legacy):
    """Tells the stage what it bills."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, prompt: str | None = None, messages: Any = None, **kwargs: Any) -> Any:
        self.stage.told.append((11, 7))
        return super().forward(prompt, messages, **kwargs)


@section()
def legacy_lm(stage: Stage) -> Any:
    with dspy.context(lm=Billing(stage)):
        return dspy.Predict(ASK)(question="Which colour?")


@section()
def dummy_lm(stage: Stage) -> Any:
    with dspy.context(lm=DummyLM([{"answer": "red"}])):
        return dspy.Predict(ASK)(question="Which colour?")


@section()
def responses_type(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(model_type="responses")):
        return dspy.Predict(ASK)(question="Which river flows through Dresden?")


@section(newest=True)
def text_type(stage: Stage) -> Any:
    engine = stage.engine(filled(answer="blue"))
    with dspy.context(lm=dspy.LM("house/one", model_type="text", engine=engine, cache=False)):
        return dspy.Predict(ASK)(question="Which colour?")


@section()
def two_choices(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return dspy.Predict(ASK, n=2)(question="Which river flows through Dresden?").completions.answer


@section()
def no_module_at_all(stage: Stage) -> Any:
    return stage.lm()("Which river flows through Dresden?")


async def _read(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


def _streamed(stage: Stage, asynchronous: bool) -> Any:
    program = dspy.Predict(ASK)
    listeners = [dspy.streaming.StreamListener(signature_field_name="answer")]
    streaming = dspy.streamify(program, stream_listeners=listeners, is_async_program=asynchronous)
    with dspy.context(lm=stage.lm()):
        return asyncio.run(_read(streaming(question="Which river flows through Dresden?")))


@section()
def stream_of_a_sync_program(stage: Stage) -> Any:
    return _streamed(stage, asynchronous=False)


@section()
def stream_of_an_async_program(stage: Stage) -> Any:
    return _streamed(stage, asynchronous=True)


@section()
def stream_read_without_async(stage: Stage) -> Any:
    streaming = dspy.streamify(dspy.Predict(ASK), async_streaming=False)
    with dspy.context(lm=stage.lm()):
        return list(streaming(question="Which river flows through Dresden?"))


@section()
def tried_again(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(num_retries=2)):
        return dspy.Predict(ASK)(question="Which river? [[error:429:times=1:retry_after=0.01]]")


@section(fails=True)
def failing_model(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm()):
        return dspy.ChainOfThought(ASK)(question="Which river? [[error:400]]")


@section()
def cache_hit(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(cache=True)):
        program = dspy.Predict(ASK)
        return [program(question="Which river flows through Dresden?") for _ in range(2)]


class Listening(BaseCallback):
    """A callback of the user's; it notes the parent that DSPy tells."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_module_start(self, call_id: str, instance: Any, inputs: Any) -> None:
        self.events.append(f"start {type(instance).__name__} {sorted(inputs['kwargs'])}")

    def on_module_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.events.append(f"end {type(outputs).__name__} {exception}")

    def on_lm_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.events.append(f"lm {len(outputs)}")


@section()
def callbacks_of_the_users(stage: Stage) -> Any:
    listening = Listening()
    with dspy.context(lm=stage.lm(), callbacks=[listening]):
        answer = dspy.ChainOfThought(ASK)(question="Which river flows through Dresden?")
    return [answer, listening.events]


# Adapters.


@section(fails=True)
def nothing_can_be_parsed(stage: Stage) -> Any:
    with dspy.context(lm=DummyLM([{"other": "x"}] * 2)):
        return dspy.Predict("question -> number: int")(question="How many?")


class Second(Engine):
    """Nothing that can be read, then JSON."""

    texts = ("I do not know the format.", '{"answer": "blue"}')

    def answer(self, request: Any) -> str:
        return self.texts[len(self.stage.told) % 2]


@section(newest=True)
def fallback_to_json(stage: Stage) -> Any:
    with dspy.context(lm=dspy.LM("house/one", engine=Second(stage), cache=False)):
        return dspy.Predict(ASK)(question="Which colour?")


@section()
def json_adapter(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), adapter=dspy.JSONAdapter()):
        return dspy.Predict("question -> answer, sure: bool")(question="Which river flows through Dresden?")


@section()
def xml_adapter(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), adapter=dspy.XMLAdapter()):
        return dspy.Predict(ASK)(question="Which river flows through Dresden?")


@section()
def two_step_adapter(stage: Stage) -> Any:
    with dspy.context(lm=stage.lm(), adapter=dspy.TwoStepAdapter(stage.lm())):
        return dspy.Predict(ASK)(question="Which river flows through Dresden?")
