"""Every section with and without the plugin: results, exceptions, prompts, requests, cache keys, logs and warnings.

What one program alone can show (copies, pickles, callbacks, frames, ``configure``) is in ``test_no_harm.py``.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import pickle
import sys
from contextlib import suppress
from typing import Any

import cloudpickle
import dspy
import pytest
from dspy.utils.dummies import DummyLM
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from spanloom.dspy import DSPyInstrumentor
from spanloom.genai import Target, Telemetry
from tests._support.plugins import CONTENT_VARIABLE
from tests.dspy._programs import Failing, Outer, Pipe, add
from tests.dspy.sections import SECTIONS, Section, Stage
from tests.dspy.sections._shot import shot
from tests.no_harm._describe import differing

IS_NEWEST = hasattr(dspy, "lm15")
NEWEST = pytest.mark.skipif(not IS_NEWEST, reason="uses sections that are for the newest DSPy")
# The client that LiteLLM keeps for asynchronous calls outlives its event loop.
pytestmark = [] if IS_NEWEST else pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
RUN = [one for one in SECTIONS.values() if IS_NEWEST or not one.newest]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What a program loads when it first needs it warns once; that is no difference."""
    import litellm  # noqa: F401


@pytest.fixture
def stage(server, tmp_path) -> Stage:
    """Where a section runs."""
    return Stage(server, tmp_path)


def observed(section: Section, stage: Stage) -> dict[str, Any]:
    """A shot with the plugin on, below a span of the user's."""
    providers = TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    plugin = DSPyInstrumentor()
    logs = LoggerProvider(shutdown_on_exit=False)
    plugin.instrument(tracer_provider=providers[0], meter_provider=providers[1], logger_provider=logs)
    try:
        with providers[0].get_tracer("theirs").start_as_current_span("user"):
            return shot(section, stage)
    finally:
        plugin.uninstrument()
        for one in (*providers, logs):
            one.shutdown()


@pytest.mark.parametrize("section", RUN, ids=lambda one: one.name)
def test_with_and_without(section, stage, monkeypatch):
    """The same to every eye, content off and on."""
    bare = shot(section, stage)
    for mode in ("NO_CONTENT", "SPAN_AND_EVENT"):
        monkeypatch.setenv(CONTENT_VARIABLE, mode)
        found = list(differing(bare, observed(section, stage)))
        assert not found, f"{mode}:\n" + "\n".join(one[:1500] for one in found)


@NEWEST
def test_the_comparison_sees_a_difference(stage, monkeypatch):
    """Where the plugin changed a prompt, a result, a log line or a warning, it would be found."""
    section = SECTIONS["chain of thought"]
    bare = shot(section, stage)
    assert bare["prompts"]
    assert bare["requests"]
    monkeypatch.setattr(dspy.ChatAdapter, "format_task_description", lambda *_: "Something else.")
    found = " ".join(differing(bare, shot(section, stage)))
    assert "/prompts/0" in found
    assert "/requests/0" in found
    for name in ("evaluate", "gepa"):
        assert shot(SECTIONS[name], stage)["log"]
    assert shot(SECTIONS["legacy lm"], stage)["warnings"]
    assert shot(SECTIONS["random search"], stage)["printed"]
    assert shot(SECTIONS["cache hit"], stage)["cache keys"]


@NEWEST
def test_a_plugin_that_shows_its_frames_is_found_out(stage, monkeypatch):
    """Without the part that hides them they are in a prompt, and the suite says so."""
    from spanloom.dspy import _frames

    monkeypatch.setattr(_frames, "without_ours", lambda trace: trace)
    section = SECTIONS["react with a failing tool"]
    assert "/prompts/" in " ".join(differing(shot(section, stage), observed(section, stage)))


def stored(owner: Any) -> dict[str, Any]:
    """Everything that stands in a module or class, and in the classes of its own."""
    found: dict[str, Any] = {}
    for name, value in list(vars(owner).items()):
        found[name] = value
        if inspect.isclass(value) and value.__module__ == getattr(owner, "__name__", None):
            found.update({f"{name}.{part}": one for part, one in vars(value).items()})
    return found


def everything() -> dict[str, Any]:
    """Of all of DSPy that is loaded."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "dspy"}
    return {f"{name}:{place}": one for name, module in modules.items() for place, one in stored(module).items()}


def made_targets() -> list[Target]:
    """The targets of all parts; their modules are loaded."""
    found = list(DSPyInstrumentor().targets(Telemetry("spanloom.dspy")))
    for target in found:
        # Not every module is in every version.
        with suppress(ModuleNotFoundError):
            importlib.import_module(target.module)
    return found


def at(target: Target) -> Any:
    """What stands at a target's place, without running a descriptor."""
    owner: Any = sys.modules.get(target.module)
    *parents, name = target.path.split(".")
    for parent in parents:
        owner = getattr(owner, parent, None)
    return inspect.getattr_static(owner, name, None)


def test_every_original_is_put_back():
    """The very object, at the place of every target; and nothing else of DSPy's is another one than before."""
    found = made_targets()
    before, originals = everything(), [at(target) for target in found]
    plugin = DSPyInstrumentor()
    plugin.instrument()
    replaced = [target for target, original in zip(found, originals, strict=True) if at(target) is not original]
    plugin.uninstrument()
    # Some are not in this version, or left alone where a better place is.
    assert len(replaced) > len(found) / 2
    assert all(at(target) is original for target, original in zip(found, originals, strict=True))
    after = everything()
    assert before.keys() == after.keys()
    assert [place for place, one in before.items() if after[place] is not one] == []


def test_every_target_is_known_to_the_plugin():
    """It is patched when its module is imported, which only works for the modules that the plugin waits for."""
    found = made_targets()
    assert {target.module for target in found} <= set(DSPyInstrumentor.modules)
    assert [f"{one.module}:{one.path}" for one in found if at(one) is None and not one.optional] == []


@pytest.fixture
def on(recorder):
    """The plugin, content on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONTENT_VARIABLE, "SPAN_ONLY")
        plugin = DSPyInstrumentor()
        plugin.instrument(**recorder.providers)
        yield plugin
        plugin.uninstrument()


def parts() -> list[Any]:
    """Objects of DSPy's that applications copy, pickle and store."""
    example = dspy.Example(question="q", answer="a").with_inputs("question")
    agent = dspy.ReAct("question -> answer", tools=[add])
    compiled = dspy.LabeledFewShot(k=1).compile(dspy.ChainOfThought("question -> answer"), trainset=[example])
    lm = DummyLM({"q": {"answer": "a"}})
    return [agent, compiled, dspy.Tool(add), example, dspy.Prediction(answer="a"), lm.copy(), Pipe()]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda one: pickle.loads(cloudpickle.dumps(one))])
def test_copies_of_what_was_used(make, on):
    """After a call they can be copied and pickled as before it, hold nothing of ours, and are of the same types."""
    agent = parts()[0]
    lm = DummyLM([{"next_thought": "t", "next_tool_name": "finish", "next_tool_args": {}}, {"answer": "no reasoning"}])
    with dspy.context(lm=lm), pytest.raises(dspy.utils.exceptions.AdapterParseError):
        agent(question="q")
    for one in [*parts(), agent]:
        made = make(one)
        assert type(made) is type(one)
        assert vars(made).keys() == vars(one).keys()
        assert b"spanloom." not in cloudpickle.dumps(made).replace(b"tests.dspy", b"")


def test_whole_programs_are_saved_and_loaded(on, tmp_path):
    """By value, as DSPy does it; loaded and run without us."""
    program = Outer()
    program.save(tmp_path / "whole", save_program=True)
    on.uninstrument()
    again = dspy.load(tmp_path / "whole", allow_pickle=True)
    assert again.dump_state() == program.dump_state()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_the_frames_of_the_application_are_all_there(kind, on):
    """An exception's traceback has every frame that it has without us, in the same order."""

    def frames() -> list[str]:
        with pytest.raises(kind) as caught:
            Failing()(error=kind())
        names = [(one.path.name, one.name) for one in caught.traceback if "spanloom" not in one.path.parts]
        return [f"{file} {name}" for file, name in names]

    observed = frames()
    on.uninstrument()
    assert observed == frames()
