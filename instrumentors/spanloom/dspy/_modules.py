"""DSPy modules: the outermost is the workflow, agents are agents, everything inside is a step with its path."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from spanloom.dspy import _agents, _copies
from spanloom.dspy._origins import link_back
from spanloom.dspy._paths import own
from spanloom.dspy._scopes import enclosing_module, is_resubmitted
from spanloom.dspy._settings import ALL, COLLAPSED, NONE, Settings
from spanloom.dspy._signatures import described
from spanloom.dspy._wrap import both
from spanloom.genai import (
    Agent,
    Invocation,
    Step,
    Target,
    Telemetry,
    Workflow,
    attempt,
    current,
    followed,
    guarded,
    is_generator,
    is_suppressed,
)
from spanloom.semconv import DSpy

_SETTINGS = ("config", "demos", "lm", "new_signature", "signature")
_INNER = "predict"


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Every module's call, and the place where a predictor refuses its arguments before it is called."""
    begin_by = functools.partial(begin, modules=settings.modules)
    yield from both(telemetry, "dspy.primitives.module", "Module", begin_by, conclude)
    if settings.modules != NONE:
        wrap = functools.partial(_wrap_refusal, telemetry)
        yield Target("dspy.predict.predict", "Predict._get_positional_args_error_message", wrap, optional=True)


def begin(
    telemetry: Telemetry, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], modules: str = ALL
) -> Step | None:
    """Start the span of one module call; ``None`` where the user does not want to see it."""
    class_ = cast("type[object]", type(module))
    kind = _agents.kind_of(class_)
    if modules == NONE and kind is None:
        return None
    innermost = current()
    around = None if innermost is None else enclosing_module(innermost)
    if modules == COLLAPSED and around is not None and _inner_of(around.owner) is module:
        return None
    name = class_.__name__
    path = _path(around, module)
    step: Step
    if kind is not None:
        step = _agents.LoopAgent(telemetry, name, module, {}, _agents.limit_of(module, kwargs))
    elif around is None:
        step = Workflow(telemetry, name, module, {})
    else:
        step = _Part(telemetry, f"{name} {path}" if path else name, module, {})
    if innermost is None:
        link_back(step)
    if step.recording:
        attempt("dspy.module.details", _add_details, step.attributes, module, name, path, innermost, modules)
    if step.captures_content:
        given = _inputs(module, args, kwargs)
        step.content = {DSpy.INPUTS: lambda: given}
    return step


class _Part(Step):
    """A module inside another one. An agent is told how the predictor of its loop has ended."""

    __slots__ = ()

    def _finish(self) -> None:
        if isinstance(self.parent, _agents.LoopAgent) and type(self.owner).__name__ == "Predict":
            self.parent.note_turn(self.error_type)


def conclude(step: Step, result: Any) -> Any:
    """End it with what it gave back; a generator ends it when it is read."""
    if is_generator(result):
        return followed(step, result)
    if step.captures_content:
        step.content = {**step.content, DSpy.OUTPUTS: lambda: _outputs(result)}
    if isinstance(step, Agent) and step.recording:
        attempt("dspy.module.result", _agents.note_end, step, result)
    step.stop()
    return result


def _inputs(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What was given; without a predictor's settings, among which may be keys."""
    given = dict(kwargs)
    if "signature" in own(module):
        for name in _SETTINGS:
            given.pop(name, None)
    return {"args": list(args), **given} if args else given


@guarded("dspy.module.path")
def _path(around: Step | None, module: Any) -> str | None:
    return _copies.path_in(around, module)


def _inner_of(module: Any) -> Any:
    """The predictor that a ``ChainOfThought`` is a wrapper of; ``None`` for any other module."""
    is_wrapper = any(
        one.__name__ == "ChainOfThought" and one.__module__.startswith("dspy.") for one in type(module).__mro__
    )
    return own(module).get(_INNER) if is_wrapper else None


def _add_details(
    attributes: dict[str, Any], module: Any, name: str, path: str | None, innermost: Invocation | None, modules: str
) -> None:
    attributes[DSpy.MODULE] = name
    if path is not None:
        attributes[DSpy.MODULE_PATH] = path
    if _copies.known and (index := _copies.attempt_of(module)) is not None:
        attributes[DSpy.ATTEMPT_INDEX] = index
    if innermost is not None and is_resubmitted(innermost):
        attributes[DSpy.PARALLEL_RESUBMITTED] = True
    mine = own(module)
    if mine.get("_compiled") is True:
        attributes[DSpy.MODULE_COMPILED] = True
    inner = _inner_of(module) if modules == COLLAPSED else None
    predictor = mine if inner is None else own(inner)
    signature = predictor.get("signature")
    if isinstance(signature, type):
        attributes.update(described(signature))
    demos = predictor.get("demos")
    if isinstance(demos, list) and demos:
        attributes[DSpy.DEMOS_COUNT] = len(demos)  # pyright: ignore[reportUnknownArgumentType]


def _outputs(result: Any) -> Any:
    convert = getattr(result, "toDict", None)
    return convert() if callable(convert) else result


def _wrap_refusal(telemetry: Telemetry, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what words the refusal of positional arguments: raised before there is a call, it would have no span."""

    @functools.wraps(original)
    def message(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if telemetry.enabled and not is_suppressed():
            _note_refusal(telemetry, self)
        return original(self, *args, **kwargs)

    return message


@guarded("dspy.module.refused")
def _note_refusal(telemetry: Telemetry, module: Any) -> None:
    step = begin(telemetry, module, (), {})
    if step is not None:
        step.fail_as(ValueError.__name__)
