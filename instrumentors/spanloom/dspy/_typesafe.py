"""TypeSafe's client (``dspy.clients.typesafe``), which judges instead of writing: the same span as an LM's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from spanloom.dspy._frames import at_home
from spanloom.dspy._lm_call import LMCall, current_call
from spanloom.dspy._lm_result import write
from spanloom.dspy._paths import own
from spanloom.dspy._providers import Peers
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import Target, Telemetry, guard, guarded, inference_is_recorded, json_text
from spanloom.semconv import DSpy, GenAI, Operation, OtherProvider

_MODULE = "dspy.clients.typesafe"


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Its call, and the function that knows what came of it. DSPy 3.3 has no such client."""
    del settings
    yield from both(telemetry, _MODULE, "TypeSafe", functools.partial(begin, Peers()), conclude, optional=True)
    yield Target(_MODULE, "TypeSafe._finish", wrap_finish, optional=True)


def begin(
    peers: Peers, telemetry: Telemetry, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> LMCall | None:
    """Start the span of one call: ``(state, questions)``."""
    if inference_is_recorded():
        return None
    known = own(client)
    model = known.get("model")
    peer = peers.of(OtherProvider.TYPESAFE, known.get("base_url"))
    inference = LMCall(telemetry, Operation.CHAT, model if isinstance(model, str) else None, peer, client)
    with guard("dspy.typesafe.request"):
        inference.propagates = peers.trusts(peer.address, peer.port)
        inference.attributes[DSpy.LM_CLASS] = type(client).__name__
        if inference.captures_content:
            asked = {**dict(zip(("state", "questions"), args, strict=False)), **kwargs}
            inference.input_content = {GenAI.INPUT_MESSAGES: lambda: _message("user", asked)}
    return inference


def conclude(inference: LMCall, answers: Any) -> Any:
    """End the span with the answers."""
    with guard("dspy.typesafe.result"):
        if inference.captures_content:
            inference.output_content = {GenAI.OUTPUT_MESSAGES: lambda: _message("assistant", answers)}
    inference.stop()
    return answers


def _message(role: str, value: Any) -> list[dict[str, Any]]:
    return [{"role": role, "parts": [{"type": "text", "content": json_text(value)}]}]


def wrap_finish(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_finish(self, request, response, cache_hit)``."""

    def finish(self: Any, request: Any, response: Any, cache_hit: Any, *args: Any, **kwargs: Any) -> Any:
        _read(response, cache_hit)
        return original(self, request, response, cache_hit, *args, **kwargs)

    return at_home(finish, original)


@guarded("dspy.typesafe.finish")
def _read(response: Any, cache_hit: Any) -> None:
    inference = current_call()
    if inference is not None:
        told = {"usage": response.get("usage"), "cache_hit": cache_hit, "model": response.get("model")}
        write(inference, told, (told,))
