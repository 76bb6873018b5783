"""DSPy modules: the outermost is the workflow, agents are agents, everything inside is a step with its path."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any

from spanloom.genai import Agent, Invocation, Step, Telemetry, Workflow, current, guard
from spanloom.semconv import DSpy

_AGENTS = frozenset({"ReAct", "ReActV2", "CodeAct", "RLM", "Avatar"})
_MAX_SIGNATURE_CHARS = 256

# Walking a program costs as much as calling it, so it is done once a root object. Ids of submodules stay valid while
# the root holds them; a submodule that was exchanged later is simply not found.
_paths: MutableMapping[Any, dict[int, str]] = weakref.WeakKeyDictionary()
_signatures: MutableMapping[Any, str] = weakref.WeakKeyDictionary()


def begin(telemetry: Telemetry, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Invocation:
    """Start the span of one module call."""
    around = _enclosing_step()
    name = type(module).__name__
    details: dict[str, Any] = {DSpy.MODULE: name}
    with guard("dspy.module.details"):
        details.update(_details(module))
    if _is_agent(module):
        step: Step = Agent(telemetry, name, module, details)
    elif around is None:
        step = Workflow(telemetry, name, module, details)
    else:
        step = _inner(telemetry, name, module, details, around)
    if step.captures_content:
        given = dict(kwargs) if not args else {"args": list(args), **kwargs}
        step.content = {DSpy.INPUTS: lambda: given}
    return step


def conclude(step: Step, result: Any) -> None:
    """End it with what it gave back."""
    with guard("dspy.module.result"):
        if step.captures_content:
            step.content = {**step.content, DSpy.OUTPUTS: lambda: _outputs(result)}
    step.stop()


def _enclosing_step() -> Step | None:
    around = current()
    while around is not None and not isinstance(around, Step):
        around = around.parent
    return around


def _inner(telemetry: Telemetry, name: str, module: Any, details: dict[str, Any], around: Step) -> Step:
    path = None
    with guard("dspy.module.path"):
        path = path_below(_outermost(around).owner, module)
    if path is not None:
        details[DSpy.MODULE_PATH] = path
    return Step(telemetry, f"{name} {path}" if path else name, module, details)


def _outermost(step: Step) -> Step:
    found = step
    around = step.parent
    while around is not None:
        if isinstance(around, Step):
            found = around
        around = around.parent
    return found


def path_below(root: Any, module: Any) -> str | None:
    """The attribute path of a module inside its program (``draft.predict``); ``None`` where it is not reached."""
    known = _paths.get(root)
    if known is None:
        known = _paths[root] = dict(_walk(root))
    return known.get(id(module))


def _walk(root: Any) -> Iterator[tuple[int, str]]:
    for path, found in root.named_sub_modules():
        if found is not root:
            yield id(found), path.removeprefix("self.")


def _is_agent(module: Any) -> bool:
    return any(base.__name__ in _AGENTS and base.__module__.startswith("dspy.predict") for base in type(module).__mro__)


def _details(module: Any) -> Iterator[tuple[str, Any]]:
    signature = getattr(module, "signature", None)
    if isinstance(signature, type):
        yield DSpy.SIGNATURE, _signature_text(signature)
    demos = getattr(module, "demos", None)
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
