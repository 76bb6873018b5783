"""Living beside other recorders of the same calls: who records, and how the others learn that a call is recorded.

Two directions. ``Neighbours.takes`` says, before a call, whether another package records it. ``claims`` and ``claimed``
write and read "this call is recorded" in the context, in the words that each package understands.
See docs/decisions/009-on-conflict.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry import context as otel

# Packages read the key itself; what is public sets it to a plain True only.
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as _SUPPRESS  # pyright: ignore[reportPrivateUsage]

from spanloom.genai._guard import guarded
from spanloom.genai._recorders import (
    HEARING,
    OFFICIAL,
    Found,
    Recorder,
    asked_by,
    caller,
    found,
    place_of,
    search,
    sink_of,
    wrapper_of,
    wraps,
)
from spanloom.semconv import choice_of

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanloom.genai._telemetry import Telemetry

YIELD, LEAD, BOTH = "YIELD", "LEAD", "BOTH"
SETTING = "SPANLOOM_ON_CONFLICT"

# What opentelemetry-util-genai reads, by kind of call: the key, and the class that its value must be of.
OFFICIAL_KEYS = {
    "inference": ("opentelemetry.genai.client.inference.context", "InferenceData"),
    "embedding": ("opentelemetry.genai.client.embedding.context", "EmbeddingData"),
    "retrieval": ("opentelemetry.genai.client.retrieval.context", "RetrievalData"),
    "fetch_response": ("opentelemetry.genai.client.fetch_response.context", "FetchResponseData"),
}
_UTIL = "opentelemetry.util.genai.invocation"
# OpenLLMetry's plugins of frameworks set it around the model calls that they record themselves.
_LANGUAGE_MODEL_KEY = "suppress_language_model_instrumentation"
# Who may have set one of these keys, and who may have to be told: while none is loaded, nothing is to be done.
_SPEAKERS = (_UTIL, "opentelemetry.semconv_ai")
_LISTENERS = (_UTIL, *(one.prefix for one in HEARING))
_CLIENT, _REQUEST = "_client", "request"
_NOT_SEEN = object()

_log = logging.getLogger("spanloom")
_told: set[tuple[str, str]] = set()
_claims: dict[str, Any] = {}
_removed: list[tuple[type, str, Any, Any]] = []


class _State:
    """The setting, whether anybody is loaded who speaks or listens through the context, and who exports elsewhere."""

    __slots__ = ("elsewhere", "hearing", "hooked", "listeners", "mode", "speakers")

    def __init__(self) -> None:
        self.mode = YIELD
        self.hooked = self.speakers = self.listeners = False
        # A recorder with a tracer provider of its own feeds another backend, which wants its one span as well.
        self.elsewhere: frozenset[Recorder] = frozenset()
        self.hearing = HEARING

    def loaded(self, module: ModuleType) -> None:
        """One of them is imported now."""
        self.speakers |= module.__name__ in _SPEAKERS
        self.listeners |= module.__name__ in _LISTENERS

    def saw(self, recorder: Recorder, elsewhere: bool) -> None:
        """What its last call showed."""
        if elsewhere != (recorder in self.elsewhere):
            self.elsewhere ^= {recorder}
            self.hearing = tuple(one for one in HEARING if one not in self.elsewhere)


_state = _State()


def configure() -> None:
    """Read the setting, and look out for the others; when an instrumentor starts."""
    _state.mode = choice_of(SETTING)
    if not _state.hooked:
        _state.hooked = True
        for name in {*_SPEAKERS, *_LISTENERS}:
            wrapt.register_post_import_hook(_state.loaded, name)


class _Quiet:
    """The suppression key's value below a call that we record: true for those who would record it once more.

    A plain ``True`` would take away the HTTP client's spans as well. So the value looks who asks.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return asked_by(_state.hearing, caller(), 2)


_QUIET = _Quiet()
_NOTHING: Mapping[str, Any] = {}


def claims(context: Context, kind: str = "inference") -> Mapping[str, Any]:
    """What to add to the context of a call of ours, so that the recorders below learn that it is recorded already.

    ``kind`` is a key of ``OFFICIAL_KEYS``; of any other the official family has no word.
    """
    if not _state.listeners or _state.mode == BOTH:
        return _NOTHING
    # Whoever suppressed everything below must stay obeyed.
    added: dict[str, Any] = {} if context.get(_SUPPRESS) else {_SUPPRESS: _QUIET}
    if OFFICIAL not in _state.elsewhere and (official := _official(kind)) is not None:
        added[OFFICIAL_KEYS[kind][0]] = official
    return added


@guarded("genai.conflict.official")
def _official(kind: str) -> Any:
    """An object that util-genai takes for its own. One for all calls: what others publish to it is not kept."""
    if kind not in _claims:
        data = getattr(sys.modules.get(_UTIL), OFFICIAL_KEYS[kind][1] if kind in OFFICIAL_KEYS else "", None)
        if not isinstance(data, type):
            return None
        _claims[kind] = type("Claim", (data,), {"merge": _forget})()
    return _claims[kind]


def _forget(*_: object, **__: object) -> None:
    """In the place of ``merge``."""


def claimed(kind: str = "inference") -> bool:
    """True where another package, further out, says that it records this call."""
    if not _state.speakers or _state.mode == BOTH:
        return False
    context = otel.get_current()
    if context.get(_LANGUAGE_MODEL_KEY):
        return True
    key, _ = OFFICIAL_KEYS.get(kind, ("", ""))
    return OFFICIAL not in _state.elsewhere and context.get(key) is not None


def bound(original: Callable[..., Any]) -> Callable[..., Any]:
    """The same, called with the instance first. A wrapt wrapper must be bound: else it sees none, and calls fail."""
    if type(original) is FunctionType:
        return original
    bind: Callable[..., Any] = original.__get__

    def call(instance: object, /, *args: Any, **kwargs: Any) -> Any:
        return bind(instance, type(instance))(*args, **kwargs)

    return call


class Neighbours:
    """The other recorders of one patched method. ``original`` is to be called in the place of what was patched."""

    __slots__ = ("_inner", "_name", "_outer", "_patched", "_request", "_telemetry", "original")

    def __init__(self, telemetry: Telemetry, original: Callable[..., Any]) -> None:
        self._telemetry = telemetry
        self._patched = original
        self._name = original.__name__
        self.original = bound(original)
        self._inner = found(original, around=False)
        # What stood around and below us when nobody else was found: as long as it does, there is nothing to ask.
        self._outer: Any = _NOT_SEEN
        self._request: Any = _NOT_SEEN

    def takes(self, resource: object, kwargs: Mapping[str, Any], recorded: bool, kind: str = "inference") -> bool:
        """True where this call is not ours to record. ``recorded``: one of ours, further out, records it.

        ``resource`` is what the patched method was called on: a resource of a client, or a client itself.
        """
        try:
            # Clients generated by Stainless send everything through one method, and some packages record there.
            client: object = resource if self._name == _REQUEST else getattr(resource, _CLIENT)
            if (
                getattr(type(resource), self._name) is self._outer
                and getattr(type(client), _REQUEST) is self._request
                and _REQUEST not in client.__dict__
            ):
                return recorded or (_state.speakers and claimed(kind))
        except AttributeError:
            client = None
        return self._takes(resource, client, kwargs, recorded) or recorded or claimed(kind)

    @guarded("genai.conflict", default=False)
    def _takes(self, resource: object, client: object, kwargs: Mapping[str, Any], recorded: bool) -> bool:
        if _state.mode == BOTH:
            return False
        around = tuple(self._around(resource))
        below = () if client is resource else tuple(_below(client))
        if not (around or below or self._inner):
            self._remember(resource, client)
            return False
        here = self._recording((*around, *self._inner, *below), kwargs)
        if recorded:
            return True
        return self._lead(resource, here) if _state.mode == LEAD else _yield(here)

    def _recording(self, others: Iterable[Found], kwargs: Mapping[str, Any]) -> list[Found]:
        """Those whose spans of this call go where ours would."""
        sink = sink_of(self._telemetry.tracer)
        here: list[Found] = []
        for one in others:
            place = place_of(one, sink, kwargs)
            if place is not None:
                _state.saw(one.recorder, place == "elsewhere")
            if place == "here":
                here.append(one)
        return here

    def _remember(self, resource: object, client: object) -> None:
        """Nobody is here. Where a class's own ``request`` calls an inherited one, that may change: nothing is kept."""
        request = getattr(type(client), _REQUEST, None)
        inherited = [one.__dict__[_REQUEST] for one in type(client).__mro__ if _REQUEST in one.__dict__]
        if not inherited or wraps(request, inherited[-1]):
            self._outer = getattr(type(resource), self._name, None)
            self._request = request

    def _around(self, resource: object) -> Iterator[Found]:
        """From what the caller finds down to our own replacement."""
        yield from search(getattr(resource, "__dict__", {}).get(self._name), True, down_to=self._patched)
        yield from found(_static(type(resource), self._name), True, down_to=self._patched)

    def _lead(self, resource: object, recording: list[Found]) -> bool:
        """We record, and those below learn it from the context. One around us has begun: this call is still his."""
        begun = False
        for one in recording:
            if one.recorder.removable and not one.around:
                continue
            if one.recorder.removable and self._remove(resource, one):
                begun = True
                _tell(_log.info, one, "spanloom: %s was taken out of the calls that spanloom records (%s=lead)")
            else:
                _tell(_log.warning, one, _CANNOT_LEAD)
        return begun

    def _remove(self, resource: object, theirs: Found) -> bool:
        """Put our replacement back into the place of a wrapper that is directly around it."""
        for owner in type(resource).__mro__:
            layer = owner.__dict__.get(self._name)
            if layer is not None and wrapper_of(layer) is theirs.wrapper:
                ours = getattr(layer, "__wrapped__", None)
                if getattr(ours, "__wrapped__", None) is not self._patched:
                    return False
                setattr(owner, self._name, ours)
                _removed.append((owner, self._name, ours, layer))
                return True
        return False


def put_back() -> None:
    """Give the wrappers that were taken out their places again; before our own patches are undone."""
    removed, _removed[:] = list(_removed), []
    for owner, name, ours, theirs in reversed(removed):
        if owner.__dict__.get(name) is ours:
            setattr(owner, name, theirs)


def _below(client: object) -> Iterator[Found]:
    """Every wrapper that a request of this client may pass: the instance's own, its class's, and those inherited."""
    yield from search(getattr(client, "__dict__", {}).get(_REQUEST), around=False)
    for owner in type(client).__mro__:
        if _REQUEST in owner.__dict__:
            yield from found(owner.__dict__[_REQUEST], around=False)


def _static(owner: type, name: str) -> Any:
    """An attribute as it stands in the class: asked for the usual way, a wrapt wrapper gives a new object each time."""
    return next((one.__dict__[name] for one in owner.__mro__ if name in one.__dict__), None)


_YIELDS = (
    "spanloom: %s records these calls, so spanloom does not: no span, metric, cost or budget of its own for them; "
    "set %s=lead to have them recorded here instead, or =both to have them twice"
)
_CANNOT_LEAD = "spanloom: %s can't be kept from recording, so its calls are recorded twice (%s=lead)"


def _yield(recording: list[Found]) -> bool:
    for one in recording:
        _tell(_log.warning, one, _YIELDS)
    return bool(recording)


def _tell(log: Callable[..., None], one: Found, message: str) -> None:
    """Once a process and package."""
    if (one.recorder.package, message) not in _told:
        _told.add((one.recorder.package, message))
        log(message, one.recorder.package, SETTING)
