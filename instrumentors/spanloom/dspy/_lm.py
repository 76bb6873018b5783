"""Model calls of DSPy: every ``BaseLM``, whichever engine runs it, and TypeSafe's client. One span each."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, cast

from spanloom.dspy import _attempts, _lm_result, _lm_stream, _transport, _typesafe
from spanloom.dspy._lm_call import LMCall
from spanloom.dspy._lm_request import keep_content, keep_typed, read_settings, read_typed, typed_request
from spanloom.dspy._lm_result import conclude
from spanloom.dspy._origins import link_back
from spanloom.dspy._parts import field
from spanloom.dspy._paths import own
from spanloom.dspy._providers import Peers, split_model
from spanloom.dspy._settings import Settings
from spanloom.dspy._wrap import both
from spanloom.genai import (
    Target,
    Telemetry,
    attempt,
    inference_is_recorded,
    tell_tool_history,
    tool_history,
)
from spanloom.semconv import DSpy, OpenAI, Operation

_BELOW = (_lm_result, _attempts, _lm_stream, _transport, _typesafe)


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """Every LM's call, and the functions below it that know more."""
    yield from both(telemetry, "dspy.clients.base_lm", "BaseLM", functools.partial(begin, Peers()), conclude)
    for part in _BELOW:
        yield from part.targets(telemetry, settings)


def begin(peers: Peers, telemetry: Telemetry, lm: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LMCall | None:
    """Start the span of one model call with all its attempts; ``None`` where one further out records it already."""
    if inference_is_recorded():
        return None
    known: dict[str, Any] = own(lm)
    # Not its `__class__`, which may be the user's code.
    kind = cast("type[object]", type(lm))
    # A property of the class is the user's code, and no text.
    name, given = known.get("model") or getattr(kind, "model", None), known.get("kwargs")
    provider, model = split_model(name) if isinstance(name, str) else (None, None)
    merged: dict[str, Any] = {**given, **kwargs} if isinstance(given, dict) else kwargs
    operation = Operation.TEXT_COMPLETION if known.get("model_type") == "text" else Operation.CHAT
    peer = peers.of(provider, merged.get("api_base") or merged.get("base_url"))
    inference = LMCall(telemetry, operation, model, peer, lm)
    key = merged.get("api_key")
    if isinstance(key, str):
        inference.secrets = lambda: (key,)
    # What a call costs depends on it, recorded or not.
    if isinstance(tier := merged.get("service_tier"), str):
        inference.attributes[OpenAI.REQUEST_SERVICE_TIER] = tier
    if inference.parent is None:
        link_back(inference)
    if peer.address is not None:
        attempt("dspy.lm.peer", _note_peer, inference, peers)
    if inference.recording:
        inference.attributes[DSpy.LM_CLASS] = kind.__name__
        attempt("dspy.lm.request", _read, inference, args, kwargs, merged)
    return inference


def _note_peer(inference: LMCall, peers: Peers) -> None:
    inference.propagates = peers.trusts(inference.peer.address, inference.peer.port)


def _read(inference: LMCall, args: tuple[Any, ...], kwargs: dict[str, Any], merged: dict[str, Any]) -> None:
    request = typed_request(args, kwargs)
    if request is not None:
        # The LM's own settings are no part of it.
        read_typed(inference, request, kwargs)
        _tell_history(inference, field(request, "messages"))
        if inference.captures_content:
            keep_typed(inference, request)
        return
    read_settings(inference, merged)
    _tell_history(inference, kwargs.get("messages"))
    if inference.captures_content:
        keep_content(inference, args, kwargs, merged)


def _tell_history(inference: LMCall, messages: Any) -> None:
    history = tool_history(cast("Iterable[Any]", messages)) if isinstance(messages, (list, tuple)) else None
    if history is not None:
        tell_tool_history(inference, history)
