"""Optimizers: every ``compile`` is a span with its configuration and sizes; what came of it is in ``_outcomes``."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, NamedTuple, cast

from spanloom.dspy import _gepa, _outcomes
from spanloom.dspy._copies import stands_for
from spanloom.dspy._identity import leaving
from spanloom.dspy._paths import own
from spanloom.dspy._scopes import Compile, enclosing, enclosing_module
from spanloom.dspy._settings import OFF, Settings
from spanloom.dspy._wrap import wrapped
from spanloom.genai import Target, Telemetry, guard, guarded, json_text
from spanloom.semconv import DSpy, DSpySpan, span_name

_ROOM = "dspy.teleprompt"
_BASE = f"{_ROOM}.teleprompt"
# Those that define a ``compile``; InferRules and the others of a family have their own beside what they inherit.
_OPTIMIZERS = (
    (f"{_ROOM}.avatar_optimizer", "AvatarOptimizer"),
    (f"{_ROOM}.bettertogether", "BetterTogether"),
    (f"{_ROOM}.bootstrap", "BootstrapFewShot"),
    (f"{_ROOM}.bootstrap_finetune", "BootstrapFinetune"),
    (f"{_ROOM}.copro_optimizer", "COPRO"),
    (f"{_ROOM}.ensemble", "Ensemble"),
    (f"{_ROOM}.gepa.gepa", "GEPA"),
    (f"{_ROOM}.grpo", "GRPO"),
    (f"{_ROOM}.infer_rules", "InferRules"),
    (f"{_ROOM}.knn_fewshot", "KNNFewShot"),
    (f"{_ROOM}.mipro_optimizer_v2", "MIPROv2"),
    (f"{_ROOM}.random_search", "BootstrapFewShotWithRandomSearch"),
    (f"{_ROOM}.reanchor.reanchor", "ReAnchor"),
    (f"{_ROOM}.signature_opt", "SignatureOptimizer"),
    (f"{_ROOM}.simba", "SIMBA"),
    (f"{_ROOM}.teleprompt_optuna", "BootstrapFewShotWithOptuna"),
    (f"{_ROOM}.vanilla", "LabeledFewShot"),
)
_METHOD = "compile"
_KNN_FORWARD = "KNNFewShot.compile.<locals>.forward_pass"
_MAX_CONFIG_BYTES = 4096
_MAX_TEXT_CHARS = 128
_SECRETS = ("auth", "cookie", "credential", "key", "passw", "pwd", "secret", "token")
# Optimizers of the application's own that exist when we start, or are defined later; those that are gone do not count.
_MAX_ADOPTED = 256


class _Adopted(NamedTuple):
    """Nothing here keeps the class alive: its method may refer to it (``super()``)."""

    kind: weakref.ref[Any]
    replacement: weakref.ref[Any]


_adopted: dict[int, _Adopted] = {}


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Each optimizer of DSPy's, and what makes every other class one."""
    if settings.optimizers == OFF:
        return
    wrap = functools.partial(wrapped, telemetry, _METHOD, begin, conclude)
    for module, owner in _OPTIMIZERS:
        yield Target(module, f"{owner}.{_METHOD}", wrap, optional=True)
    yield Target(_BASE, "Teleprompter.__init_subclass__", functools.partial(_wrap_definition, wrap), optional=True)
    yield from _gepa.targets(telemetry, settings)


def begin(telemetry: Telemetry, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compile | None:
    """Start the span of one compilation; ``None`` where the same optimizer is at it already (``super().compile()``)."""
    around = enclosing(Compile)
    if isinstance(around, Compile) and around.optimizer is optimizer:
        return None
    name = type(optimizer).__name__
    scope = Compile(telemetry, span_name(DSpySpan.COMPILE, name), {DSpy.OPTIMIZER: name}, optimizer)
    with guard("dspy.compile.details"):
        scope.student = args[0] if args else kwargs.get("student")
        if scope.recording:
            scope.attributes.update(_details(optimizer, _by_name(optimizer, args, kwargs)))
    return scope


def conclude(scope: Compile, result: Any) -> Any:
    """End it with what the optimizer tells of its candidates."""
    _note_stand_in(scope, result)
    with guard("dspy.compile.result"):
        if scope.recording:
            _outcomes.tell(scope, result)
    scope.stop()
    return result


@guarded("dspy.compile.stand_in")
def _note_stand_in(scope: Compile, result: Any) -> None:
    """``KNNFewShot`` compiles a program for each question, and runs it in the place of the one that was asked."""
    around = enclosing_module(scope.parent)
    forward = None if around is None else own(around.owner).get("forward")
    if around is None or not isinstance(forward, MethodType):
        return
    if getattr(forward.__func__, "__qualname__", None) == _KNN_FORWARD:
        stands_for(result, around.owner)


def _by_name(optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What was given; an optimizer of the application's own may take its data by position."""
    kind = cast("Any", type(optimizer))
    names = list(inspect.signature(kind.compile).parameters)[1:] if args[1:] else ()
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _details(optimizer: Any, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    stated: dict[str, Any] = optimizer.__dict__
    config = {key: told for key, value in stated.items() if (told := _plain(key, value)) is not None}
    if config:
        yield DSpy.COMPILE_CONFIG, json_text(config, _MAX_CONFIG_BYTES)
    for key, name in (("trainset", DSpy.COMPILE_TRAINSET_SIZE), ("valset", DSpy.COMPILE_VALSET_SIZE)):
        data = given.get(key)
        if isinstance(data, (list, tuple)):
            yield name, len(cast("list[Any]", data))


def _plain(key: str, value: Any) -> Any:
    """A setting as it may be told: numbers, short texts, the names of functions and models. No data, no secret."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        # An address may hold a password.
        secret = any(word in key.lower() for word in _SECRETS) or ("://" in value and "@" in value)
        return None if secret or len(value) > _MAX_TEXT_CHARS else value
    if isinstance(value, (FunctionType, MethodType)):
        return value.__name__
    kind = cast("type[object]", type(value))
    if any(one.__name__ == "BaseLM" for one in kind.__mro__):
        return f"{kind.__name__}({value.__dict__.get('model')})"
    # A metric that is an object.
    return kind.__name__ if "metric" in key and callable(value) else None


# Optimizers that DSPy does not bring.


def _wrap_definition(wrap: Callable[[Any], Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Teleprompter.__init_subclass__``: a class that is defined from now on is recorded as DSPy's own are."""
    _adopt_known(wrap)

    @functools.wraps(original)
    def define(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = original(cls, *args, **kwargs)
        _adopt(wrap, cls)
        return result

    return define


@guarded("dspy.compile.known")
def _adopt_known(wrap: Callable[[Any], Any]) -> None:
    waiting: list[Any] = [getattr(sys.modules.get(_BASE), "Teleprompter", None)]
    while waiting:
        known = waiting.pop()
        found = type.__subclasses__(known) if isinstance(known, type) else []
        waiting += found
        for one in found:
            _adopt(wrap, one)


@guarded("dspy.compile.adopt")
def _adopt(wrap: Callable[[Any], Any], kind: Any) -> None:
    """Replace the ``compile`` that a class of the application's defines itself."""
    original = kind.__dict__.get(_METHOD)
    of_dspy = kind.__module__.startswith(f"{_ROOM}.")
    if of_dspy or type(original) is not FunctionType or len(_adopted) >= _MAX_ADOPTED:
        return
    replacement = wrap(original)
    setattr(kind, _METHOD, replacement)
    _adopted[id(kind)] = _Adopted(leaving(_adopted, kind), weakref.ref(replacement))


def put_back() -> None:
    """Give these classes their own method again, where nobody has replaced ours."""
    while _adopted:
        kind, replacement = (reference() for reference in _adopted.popitem()[1])
        if kind is not None and replacement is not None and kind.__dict__.get(_METHOD) is replacement:
            setattr(kind, _METHOD, replacement.__wrapped__)
