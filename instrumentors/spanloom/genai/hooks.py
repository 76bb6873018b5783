"""The only door of the core for other rooms (pipeline, cost, the workbench): before a call, at its end, in its context.

A *gate* is asked before each call to a provider, in the order of registration. It may refuse the call by returning an
exception, which the application gets in the place of an answer; the call's span fails with it.

A *finisher* is given each finished model call before its span ends, in the order of registration. It may write span
attributes and say what the call cost. Both run in the caller's thread, so they must be quick; a fault in one costs its
own contribution only.

``context_attributes`` is what every span that starts in a context is to carry; ``set_redactor`` is asked before content
is handed to a completion hook; ``cut_content`` shortens a content attribute; ``add_call`` counts a call that somebody
else records towards the spans above it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import context as otel

from spanloom.genai import _registry
from spanloom.genai._carried import context_attributes
from spanloom.genai._context import INFERENCE_SPAN_KEY, current
from spanloom.genai._foreign import add_call
from spanloom.genai._guard import attempt, attempted, guard, guarded, report, tolerant
from spanloom.genai._roots import span_started

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanloom.genai._invocation import Invocation

__all__ = [
    "FinishedCall",
    "Finisher",
    "Gate",
    "PendingCall",
    "Redactor",
    "UsageView",
    "add_call",
    "add_finisher",
    "add_gate",
    "attempt",
    "attempted",
    "blocks_propagation",
    "close_completion_hook",
    "context_attributes",
    "cut_content",
    "end_open_streams",
    "guard",
    "guarded",
    "inference_is_recorded",
    "is_secret_name",
    "report",
    "set_redactor",
    "span_started",
    "tolerant",
]


class UsageView(Protocol):
    """Token counts as the provider reported them; ``None`` where it did not. Input includes cached tokens.

    ``web_searches`` and ``storage_searches``: what its tools are billed for besides; ``None`` where none was told of.
    """

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cache_read_input_tokens(self) -> int | None: ...
    @property
    def cache_write_input_tokens(self) -> int | None: ...
    @property
    def reasoning_output_tokens(self) -> int | None: ...
    @property
    def audio_input_tokens(self) -> int | None: ...
    @property
    def audio_output_tokens(self) -> int | None: ...
    @property
    def image_input_tokens(self) -> int | None: ...
    @property
    def image_output_tokens(self) -> int | None: ...
    @property
    def web_searches(self) -> int | None: ...
    @property
    def storage_searches(self) -> int | None: ...


class PendingCall(Protocol):
    """A call that is about to be made. ``attributes`` goes onto the span; the rest is to be read.

    ``operation`` is ``None`` for what the conventions have no operation for.
    """

    @property
    def operation(self) -> str | None: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def request_model(self) -> str | None: ...
    @property
    def server_address(self) -> str | None: ...
    @property
    def attributes(self) -> dict[str, Any]: ...
    @property
    def carried(self) -> Mapping[str, Any]: ...


class FinishedCall(Protocol):
    """A finished model call. ``attributes`` goes onto the span; the rest is to be read.

    ``reported_cost_usd``: what the provider says that it costs. ``carried``: what ``context_attributes`` said when the
    call began, for a stream may end anywhere.
    """

    @property
    def operation(self) -> str | None: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def request_model(self) -> str | None: ...
    @property
    def response_model(self) -> str | None: ...
    @property
    def server_address(self) -> str | None: ...
    @property
    def usage(self) -> UsageView | None: ...
    @property
    def cache_hit(self) -> bool: ...
    @property
    def reported_cost_usd(self) -> float | None: ...
    @property
    def attributes(self) -> dict[str, Any]: ...
    @property
    def metric_attributes(self) -> Mapping[str, Any]: ...
    @property
    def carried(self) -> Mapping[str, Any]: ...

    def add_cost(self, usd: float) -> None:
        """Count this amount (USD) towards the spans above."""
        ...

    def add_unpriced(self) -> None:
        """Count this call as one without a known price towards the spans above."""
        ...

    def add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Something that happened with this call, as an event of its span."""
        ...


Gate = Callable[[PendingCall], "BaseException | None"]
Finisher = Callable[[FinishedCall], None]
# A value in JSON's terms to the same without what nobody may see.
Redactor = Callable[[Any], Any]


def add_gate(gate: Gate) -> Callable[[], None]:
    """Register a gate; the returned function takes it out again (twice is harmless)."""
    _registry.gates = (*_registry.gates, gate)

    def remove() -> None:
        _registry.gates = tuple(one for one in _registry.gates if one is not gate)

    return remove


def blocks_propagation(context: Context | None = None) -> bool:
    """True where code runs on behalf of a call whose host must not get our trace context."""
    call = current(context)
    return call is not None and _is_blocking(call)


def inference_is_recorded(context: Context | None = None) -> bool:
    """True below an inference that somebody records: what is made there is no second one."""
    return bool((otel.get_current() if context is None else context).get(INFERENCE_SPAN_KEY))


def _is_blocking(call: Invocation) -> bool:
    from spanloom.genai._client import ClientCall  # the core is loaded where there is a call, and not before

    return isinstance(call, ClientCall) and not call.propagates


def is_secret_name(name: str) -> bool:
    """Whether what is so named is a secret: the name contains a word such as ``password``, ``token`` or ``api_key``."""
    from spanloom.genai._secrets import is_secret  # loaded where redaction asks

    return is_secret(name)


def close_completion_hook() -> None:
    """Let a completion hook finish its uploads, for a process that is about to end."""
    completion = sys.modules.get("spanloom.genai._completion")
    if completion is not None:
        completion.close()


def end_open_streams() -> None:
    """End the inference of every stream that is open, for a process that is about to end."""
    streams = sys.modules.get("spanloom.genai._stream")
    if streams is not None:
        streams.end_open_streams()


def add_finisher(finisher: Finisher) -> Callable[[], None]:
    """Register a finisher; the returned function takes it out again (twice is harmless)."""
    _registry.finishers = (*_registry.finishers, finisher)

    def remove() -> None:
        _registry.finishers = tuple(one for one in _registry.finishers if one is not finisher)

    return remove


def set_redactor(redactor: Redactor | None, *, unless_set: bool = False) -> None:
    """What completion hooks are given goes through this function first; ``None`` takes it away.

    ``unless_set`` leaves another one in its place.

    It is given plain values (lists of messages, parts or tools; the attributes of an event, by name) and returns values
    of the same shape. It runs in the caller's thread. Where it fails nothing is handed out, and the fault is reported.
    """
    if not (unless_set and _registry.redactor):
        _registry.redactor = redactor


def cut_content(text: str, max_bytes: int) -> str:
    """The text of a content attribute within ``max_bytes`` of UTF-8: JSON stays JSON, its longest texts are cut.

    What is no JSON keeps its beginning. Both say how much is gone; ``max_bytes`` below what that takes (about 200 of
    JSON) is not kept to. Never raises.
    """
    from spanloom.genai._content import cut_text  # loaded where there is something to cut

    return cut_text(text, max_bytes)
