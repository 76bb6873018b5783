"""Adapters, which make the prompt and read the answer: events on the span around, or spans. A fallback is an event.

Patched is what every adapter's call goes through once, not ``format`` and ``parse``: DSPy wraps these anew in each
subclass. An adapter whose ``__call__`` never comes to its base class's has none of them.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from opentelemetry import context as otel

from spanloom.dspy._frames import at_home
from spanloom.dspy._scopes import Scope
from spanloom.dspy._settings import OFF, SPANS, Settings
from spanloom.dspy._threads import StandIn
from spanloom.dspy._wrap import method
from spanloom.genai import (
    Invocation,
    OnError,
    Target,
    Telemetry,
    current,
    error_type,
    guarded,
    is_suppressed,
    json_text,
)
from spanloom.semconv import DSpy, DSpyEvent, DSpySpan, Error

_BASE = "dspy.adapters.base"
_TWO_STEP = "dspy.adapters.two_step_adapter"
_Function = Callable[..., Any]


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """What the setting asks for."""
    if settings.adapters == OFF:
        return
    make = functools.partial(_wrap_fallback, telemetry)
    yield Target("dspy.adapters.chat_adapter", "ChatAdapter._make_json_adapter_fallback", make, optional=True)
    yield from _spans(telemetry) if settings.adapters == SPANS else _events(telemetry)


def _events(telemetry: Telemetry) -> Iterator[Target]:
    for path, wrap in (("_call_preprocess", _wrap_preprocess), ("_call_postprocess", _wrap_postprocess)):
        yield Target(_BASE, f"Adapter.{path}", functools.partial(wrap, telemetry), optional=True)
    yield Target(_TWO_STEP, "TwoStepAdapter.acall", functools.partial(_wrap_two_steps, telemetry), optional=True)


def _spans(telemetry: Telemetry) -> Iterator[Target]:
    yield Target(_BASE, "Adapter.__call__", functools.partial(_wrap_call, telemetry))
    yield Target(_BASE, "Adapter.acall", functools.partial(_wrap_acall, telemetry))
    yield method(telemetry, _BASE, "Adapter._call_postprocess", _begin_parse, _conclude, optional=True)
    wrap = functools.partial(_wrap_two_steps_in_spans, telemetry)
    yield Target(_TWO_STEP, "TwoStepAdapter.acall", wrap, optional=True)


def _around(telemetry: Telemetry) -> Invocation | None:
    """The invocation that an adapter works for, if somebody keeps its span."""
    context = otel.get_current()
    around = current(context)
    if around is None or not around.recording or around.ended:
        return None
    return around if telemetry.enabled and not is_suppressed(context) else None


@guarded("dspy.adapter.event")
def _tell(telemetry: Telemetry, name: str, adapter: object, error: BaseException | None = None) -> None:
    around = _around(telemetry)
    if around is None:
        return
    details = {DSpy.ADAPTER: type(adapter).__name__}
    if error is None:
        # The name of a class is always encodable; each call has two of these.
        around.span.add_event(name, details)
    else:
        around.add_event(name, {**details, Error.TYPE: error_type(error)})


def _wrap_preprocess(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap what each call does first; making the prompt follows."""

    def preprocess(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        _tell(telemetry, DSpyEvent.ADAPTER_FORMAT, self)
        return result

    return at_home(preprocess, original)


def _wrap_postprocess(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap what each call does with the answers."""

    def postprocess(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        failed = True
        try:
            result = original(self, *args, **kwargs)
            failed = False
        finally:
            _tell(telemetry, DSpyEvent.ADAPTER_PARSE, self, sys.exc_info()[1] if failed else None)
        return result

    return at_home(postprocess, original)


def _is_own(original: _Function) -> bool:
    """True while ``TwoStepAdapter`` has an ``acall`` of its own, which goes past its base class."""
    return original.__qualname__.startswith("TwoStepAdapter.")


def _tell_unread(telemetry: Telemetry, adapter: Any, error: BaseException) -> None:
    if type(error).__name__ == "AdapterParseError":
        _tell(telemetry, DSpyEvent.ADAPTER_PARSE, adapter, error)


def _wrap_two_steps(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap the asynchronous call of the adapter that has another model read the answer."""

    async def acall(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _tell(telemetry, DSpyEvent.ADAPTER_FORMAT, self)
        with OnError(functools.partial(_tell_unread, telemetry, self)):
            result = await original(self, *args, **kwargs)
        _tell(telemetry, DSpyEvent.ADAPTER_PARSE, self)
        return result

    return at_home(acall, original) if _is_own(original) else original


def _wrap_fallback(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap what makes the adapter that asks again; it is called while the failure is handled."""

    def make(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        _tell_fallback(telemetry, self, made, sys.exc_info()[1])
        return made

    return at_home(make, original)


@guarded("dspy.adapter.fallback")
def _tell_fallback(telemetry: Telemetry, adapter: object, made: object, error: BaseException | None) -> None:
    around = _around(telemetry)
    if around is None or error is None:
        return
    details = {
        DSpy.ADAPTER_FROM: type(adapter).__name__,
        DSpy.ADAPTER_TO: type(made).__name__,
        Error.TYPE: error_type(error),
    }
    response = vars(error).get("lm_response")
    if around.on_span and isinstance(response, str):
        # What cuts JSON text within the limit leaves a text a text.
        details[DSpy.ADAPTER_LM_RESPONSE] = json.loads(json_text(response, telemetry.max_content_bytes))
    around.add_event(DSpyEvent.ADAPTER_FALLBACK, details)


@guarded("dspy.adapter.span")
def _begin(telemetry: Telemetry, name: str, adapter: object) -> Scope | None:
    if not telemetry.enabled or is_suppressed():
        return None
    return Scope(telemetry, name, {DSpy.ADAPTER: type(adapter).__name__}, starts_anew=False)


def _begin_parse(telemetry: Telemetry, adapter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Scope | None:
    del args, kwargs
    return _begin(telemetry, DSpySpan.ADAPTER_PARSE, adapter)


def _conclude(scope: Scope, result: Any) -> Any:
    scope.stop()
    return result


def _formatting(telemetry: Telemetry, original: _Function) -> Callable[[Any], _Function]:
    """Gives, by the adapter, what is seen in the place of its ``format``: the same in a span."""

    def run(adapter: Any, function: _Function, /, *args: Any, **kwargs: Any) -> Any:
        scope = _begin(telemetry, DSpySpan.ADAPTER_FORMAT, adapter)
        if scope is None:
            return function(*args, **kwargs)
        with scope:
            result = function(*args, **kwargs)
        return _conclude(scope, result)

    home = at_home(run, original)
    return lambda adapter: functools.partial(functools.partial, home, adapter)


def _wrap_call(telemetry: Telemetry, original: _Function) -> _Function:
    formatting = _formatting(telemetry, original)

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return original(StandIn(self, {"format": formatting(self)}), *args, **kwargs)

    return at_home(call, original)


def _wrap_acall(telemetry: Telemetry, original: _Function) -> _Function:
    formatting = _formatting(telemetry, original)

    async def acall(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await original(StandIn(self, {"format": formatting(self)}), *args, **kwargs)

    return at_home(acall, original)


def _wrap_two_steps_in_spans(telemetry: Telemetry, original: _Function) -> _Function:
    """Wrap the same ``acall``: it reads the answer from where it makes the signature of the second question on."""
    formatting = _formatting(telemetry, original)

    async def acall(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as parsing:

            def see(make: _Function) -> _Function:
                _enter(telemetry, self, parsing)
                return make

            seen = {"format": formatting(self), "_create_extractor_signature": see}
            return await original(StandIn(self, seen), *args, **kwargs)

    return at_home(acall, original) if _is_own(original) else original


def _enter(telemetry: Telemetry, adapter: object, parsing: ExitStack) -> None:
    scope = _begin(telemetry, DSpySpan.ADAPTER_PARSE, adapter)
    if scope is not None:
        parsing.callback(scope.stop)
        parsing.enter_context(scope)
