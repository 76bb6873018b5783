"""Each attempt of a model call: which engine makes it, and why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from spanloom.dspy._frames import at_home
from spanloom.dspy._lm_call import SEES_CHUNKS, LMCall, current_call, left
from spanloom.dspy._providers import BY_ROUTE, address_of, litellms_base
from spanloom.dspy._settings import Settings
from spanloom.genai import Target, Telemetry, error_type, guarded
from spanloom.semconv import DSpy, DSpyEvent, Error, Spanloom

_EXECUTION: Final = "dspy.clients.execution"
_LM15, _LITELLM, _LEGACY, _CUSTOM = "lm15", "litellm", "legacy", "custom"
_ENGINES: Final = {
    "LM15Engine": _LM15,
    "AsyncLM15Engine": _LM15,
    "LiteLLMEngine": _LITELLM,
    "AsyncLiteLLMEngine": _LITELLM,
    "LegacyEngine": _LEGACY,
    "AsyncLegacyEngine": _LEGACY,
}
_MAX_DELAY_S: Final = 1e9


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """DSPy's own loop over attempts. DSPy 3.3 leaves them to LiteLLM, which does not tell; it asks nobody else."""
    del telemetry, settings
    for name in ("_attempt", "_aattempt"):
        yield Target(_EXECUTION, name, wrap_attempt, optional=True)
    yield Target(_EXECUTION, "_retryable", wrap_retryable, optional=True)
    yield Target("dspy.clients.lm", "_add_dspy_identifier_to_headers", wrap_request, optional=True)


def wrap_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_attempt(lm, call, backend, request, provider, ...)``, and its asynchronous twin."""

    def attempt(*args: Any, **kwargs: Any) -> Any:
        _begins(*args[:5])
        return original(*args, **kwargs)

    return at_home(attempt, original)


def wrap_retryable(original: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap ``_retryable(state, error, attempt, retries)``, which is asked after each attempt that failed."""

    def retryable(*args: Any, **kwargs: Any) -> bool:
        _failed(args[1])
        return original(*args, **kwargs)

    return at_home(retryable, original)


def wrap_request(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what makes the headers of each request in DSPy 3.3, which knows no engine but LiteLLM."""
    if SEES_CHUNKS in original.__globals__:
        return original

    def headers(*args: Any, **kwargs: Any) -> Any:
        _asks_litellm()
        return original(*args, **kwargs)

    return at_home(headers, original)


@guarded("dspy.lm.engine")
def _asks_litellm() -> None:
    inference = current_call()
    if inference is not None:
        inference.attributes[DSpy.LM_ENGINE] = _LITELLM
        _learn_base(inference)


def _learn_base(inference: LMCall) -> None:
    """Where LiteLLM sends a call whose settings name no host. Its requests are not seen here."""
    base = litellms_base(inference.provider) if inference.peer.address is None else None
    address = address_of(base) if base else None
    if address is not None:
        inference.learn_address(*address)


@guarded("dspy.lm.attempt")
def _begins(lm: object, call: object, backend: object, request: object, provider: object) -> None:
    del call, request
    inference = current_call()
    if inference is None or inference.lm is not lm:
        return
    # Several choices are several requests where none has failed.
    if inference.failed:
        inference.failed = False
        inference.attempts += 1
        if inference.attempts > 1:
            inference.attributes[Spanloom.REQUEST_ATTEMPTS] = inference.attempts
            return
        inference.attributes[DSpy.LM_ENGINE] = engine_of(backend)
        if inference.provider is None and (known := BY_ROUTE.get(provider)) is not None:
            inference.learn_provider(known)
        if inference.attributes[DSpy.LM_ENGINE] == _LITELLM:
            _learn_base(inference)


def engine_of(backend: object) -> str:
    """Which kind of engine it is: one of DSPy's own, or the application's."""
    kind = type(backend)
    ours = kind.__module__.startswith("dspy.clients.engines.")
    return _ENGINES.get(kind.__name__, _CUSTOM) if ours else _CUSTOM


@guarded("dspy.lm.attempt_failed")
def _failed(error: BaseException) -> None:
    inference = current_call()
    # An inner LM has no attempts of its own here; and who left a stream has not failed it.
    if inference is None or inference.failed or (inference.streams and left(error)):
        return
    inference.failed = True
    told: dict[str, Any] = {Error.TYPE: error_type(error), DSpy.LM_ATTEMPT: inference.attempts}
    wait = vars(error).get("retry_after")
    if isinstance(wait, (int, float)) and not isinstance(wait, bool) and 0 <= wait < _MAX_DELAY_S:
        told[DSpy.LM_RETRY_AFTER_S] = float(wait)
    inference.add_event(DSpyEvent.LM_ATTEMPT_FAILED, told)
