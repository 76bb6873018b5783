"""DSPy modules: the outermost is the workflow, agents are agents, everything inside is a step with its path."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from typing import Any, cast

from spanloom.dspy._scopes import enclosing_module
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import Agent, Invocation, Step, Target, Telemetry, Workflow, current, guard
from spanloom.semconv import DSpy

_AGENTS = frozenset({"ReAct", "ReActV2", "CodeAct", "RLM", "Avatar"})
_MAX_SIGNATURE_CHARS = 256
_SETTINGS = ("config", "demos", "lm", "new_signature", "signature")
# A program's list of passages is no list of modules.
_MAX_ITEMS = 1_000

# Walking a program costs as much as calling it, so it is done once a root object. Kept by identity: users' modules may
# define equality. Weak references tell a submodule from another one that got its id later.
_Paths = dict[int, "tuple[weakref.ref[Any], str]"]
_known: dict[int, tuple[weakref.ref[Any], _Paths]] = {}
_signatures: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Every module's call."""
    del settings
    yield from both(telemetry, "dspy.primitives.module", "Module", begin, conclude)


def begin(telemetry: Telemetry, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation:
    """Start the span of one module call."""
    around = enclosing_module(current())
    name = type(module).__name__
    details: dict[str, Any] = {DSpy.MODULE: name}
    with guard("dspy.module.details"):
        details.update(_details(module))
    path = None
    with guard("dspy.module.path"):
        path = _path(around, module)
    if path is not None:
        details[DSpy.MODULE_PATH] = path
    if _is_agent(module):
        step: Step = Agent(telemetry, name, module, details)
    elif around is None:
        step = Workflow(telemetry, name, module, details)
    else:
        step = Step(telemetry, f"{name} {path}" if path else name, module, details)
    if step.captures_content:
        given = _inputs(module, args, kwargs)
        step.content = {DSpy.INPUTS: lambda: given}
    return step


def _inputs(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What was given; without a predictor's settings, among which may be keys."""
    settings = _SETTINGS if "signature" in _own(module) else ()
    given = {name: value for name, value in kwargs.items() if name not in settings}
    return {"args": list(args), **given} if args else given


def conclude(step: Step, result: Any) -> Any:
    """End it with what it gave back."""
    with guard("dspy.module.result"):
        if step.captures_content:
            step.content = {**step.content, DSpy.OUTPUTS: lambda: _outputs(result)}
    step.stop()
    return result


def _path(around: Step | None, module: Any) -> str | None:
    """The path below the outermost module that is running."""
    if around is None:
        return None
    outer: Step | None = around
    while outer is not None:
        around, outer = outer, enclosing_module(outer.parent)
    return path_below(around.owner, module)


def path_below(root: Any, module: Any) -> str | None:
    """The attribute path of a module inside its program (``draft.predict``); ``None`` where it is not reached.

    A submodule that was exchanged after the program's first call is found only as an attribute of the root itself.
    """
    entry = _known.get(id(root))
    if entry is None or entry[0]() is not root:
        key = id(root)
        entry = (weakref.ref(root, functools.partial(_forget, key)), dict(_walk(root)))
        _known[key] = entry
    found = entry[1].get(id(module))
    if found is not None and found[0]() is module:
        return found[1]
    return next((name for name, value in list(_own(root).items()) if value is module), None)


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    entry = _known.get(key)
    if entry is not None and entry[0] is reference:
        del _known[key]


def _walk(root: Any) -> Iterator[tuple[int, tuple[weakref.ref[Any], str]]]:
    """Every module below the root with its path, as DSPy names them; each once, the shortest path first."""
    waiting = list(_own(root).items())
    seen = {id(root)}
    while waiting:
        following: list[tuple[str, Any]] = []
        for path, value in waiting:
            if id(value) in seen:
                continue
            inside = _inside(path, value)
            if inside is None:
                continue
            seen.add(id(value))
            following += inside
            if _is_module(value):
                yield id(value), (weakref.ref(value), path)
        waiting = following


def _inside(path: str, value: Any) -> list[tuple[str, Any]] | None:
    """What may hold modules: a module's attributes, the items of a container; ``None`` for anything else."""
    if _is_module(value):
        return [(f"{path}.{name}", item) for name, item in list(_own(value).items())]
    if isinstance(value, (list, tuple, dict)) and len(cast("list[Any]", value)) <= _MAX_ITEMS:
        items = cast("Any", value)
        pairs = list(items.items()) if isinstance(value, dict) else enumerate(items)
        return [(f"{path}[{key}]", item) for key, item in pairs]
    return None


def _own(value: Any) -> dict[str, Any]:
    return value.__dict__


def _is_module(value: Any) -> bool:
    return hasattr(cast("type[object]", type(value)), "named_sub_modules")


def _is_agent(module: Any) -> bool:
    return any(base.__name__ in _AGENTS and base.__module__.startswith("dspy.predict") for base in type(module).__mro__)


def _details(module: Any) -> Iterator[tuple[str, Any]]:
    # Not ``getattr``: a property would run the user's code.
    own = _own(module)
    signature = own.get("signature")
    if isinstance(signature, type):
        yield DSpy.SIGNATURE, _signature_text(signature)
    demos = own.get("demos")
    if isinstance(demos, list) and demos:
        yield DSpy.DEMOS_COUNT, len(demos)  # pyright: ignore[reportUnknownArgumentType]


def _signature_text(signature: Any) -> str:
    text = _signatures.get(signature)
    if text is None:
        fields = (signature.input_fields, signature.output_fields)
        text = " -> ".join(", ".join(names) for names in fields)
        _signatures[signature] = text = text[:_MAX_SIGNATURE_CHARS]
    return text


def _outputs(result: Any) -> Any:
    convert = getattr(result, "toDict", None)
    return convert() if callable(convert) else result
