"""``dspy.Embedder``: texts made into vectors, by a hosted model (through LiteLLM) or by a function.

A function runs in the process and nobody knows what it asks: the conventions' embeddings span is a call to a provider,
so it gets a step of the program's own, below which a plugin that knows what the function calls makes that span.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from spanloom.dspy._lm_result import usage_of
from spanloom.dspy._paths import own
from spanloom.dspy._providers import Peers, address_of, split_model
from spanloom.dspy._scopes import Scope
from spanloom.dspy._settings import Settings
from spanloom.dspy._threads import StandIn, mates
from spanloom.dspy._wrap import both
from spanloom.genai import Embeddings, Target, Telemetry, Usage, current, guard, inference_is_recorded
from spanloom.semconv import DSpy, DSpySpan, GenAI, Spanloom

_MODULE = "dspy.clients.embedding"


def targets(telemetry: Telemetry, settings: Settings) -> Iterator[Target]:
    """An embedder's call, and where it gets LiteLLM from, whose responses it keeps to itself."""
    del settings
    yield from both(telemetry, _MODULE, "Embedder", functools.partial(begin, Peers()), conclude)
    yield Target(_MODULE, "_get_litellm", _wrap_litellm, optional=True)


class _Hosted(Embeddings):
    """One call of an embedder: a request for each batch that DSPy's cache does not have."""

    __slots__ = ("_answers", "_fresh", "_tokens", "may_be_cached")

    def __init__(self, telemetry: Telemetry, model: str, peers: Peers, given: Mapping[str, Any]) -> None:
        provider, name = split_model(model)
        peer = peers.of(provider, given.get("api_base") or given.get("base_url"))
        self._answers = self._fresh = 0
        self._tokens: int | None = 0
        self.may_be_cached = False
        super().__init__(telemetry, name, peer)
        self.propagates = peers.trusts(peer.address, peer.port)

    def note(self, response: Any) -> None:
        """What one response of LiteLLM's says of itself. What its cache had was paid for by an earlier call."""
        self._answers += 1
        model, hidden = getattr(response, "model", None), _hidden(response)
        if isinstance(model, str) and model:
            self.response_model = model
        self._learn(hidden.get("custom_llm_provider"), hidden.get("api_base"))
        if hidden.get("cache_hit") is True:
            return
        self._fresh += 1
        usage = usage_of(getattr(response, "usage", None))
        told = usage.input_tokens if usage is not None else None
        # The tokens of some batches are not the tokens of the call.
        self._tokens = None if told is None or self._tokens is None else self._tokens + told
        self.usage = None if self._tokens is None else Usage(input_tokens=self._tokens)

    def _learn(self, provider: Any, base: Any) -> None:
        """Whom LiteLLM asked, where the program does not say."""
        known = split_model(f"{provider}/x")[0]
        if known is not None:
            self.learn_provider(known)
        address = address_of(base) if isinstance(base, str) else None
        if address is not None:
            self.learn_address(*address)

    def note_end(self) -> None:
        """All of it is there. Where nobody was asked, it came from a cache."""
        self.cache_hit = bool(self._answers or self.may_be_cached) and not self._fresh
        if self.cache_hit:
            self.attributes[DSpy.CACHE_HIT] = True


def _hidden(response: Any) -> Mapping[str, Any]:
    """What LiteLLM keeps beside the answer."""
    hidden = getattr(response, "_hidden_params", None)
    return cast("Mapping[str, Any]", hidden) if isinstance(hidden, Mapping) else {}


def begin(
    peers: Peers, telemetry: Telemetry, embedder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Hosted | Scope | None:
    """Start the span of one call; ``None`` where one further out records it already."""
    settings = own(embedder)
    model = settings.get("model")
    inputs = _kept(args[0] if args else kwargs.get("inputs"))
    if not isinstance(model, str):
        return _begin_function(telemetry, inputs)
    if inference_is_recorded():
        return None
    defaults = settings.get("default_kwargs")
    given: dict[str, Any] = {**(defaults if isinstance(defaults, dict) else {}), **kwargs}
    call = _Hosted(telemetry, model, peers, given)
    with guard("dspy.embedder.request"):
        call.attributes.update(_requested(embedder, given))
        call.may_be_cached = bool(inputs) and _caching(settings, args, kwargs)
        if call.captures_content and inputs is not None:
            call.input_content = {Spanloom.EMBEDDINGS_INPUT: lambda: inputs}
        _link_mates(call)
    return call


def _begin_function(telemetry: Telemetry, inputs: list[Any] | None) -> Scope:
    step = Scope(telemetry, DSpySpan.EMBEDDER, {}, starts_anew=False)
    with guard("dspy.embedder.function"):
        if step.captures_content and inputs is not None:
            step.content = {Spanloom.EMBEDDINGS_INPUT: lambda: inputs}
        _link_mates(step)
    return step


def _link_mates(call: _Hosted | Scope) -> None:
    for mate in mates():
        call.span.add_link(mate)


def _kept(inputs: Any) -> list[Any] | None:
    """The texts; ``None`` for what may be read only once."""
    if isinstance(inputs, str):
        return [inputs]
    return list(cast("Sequence[Any]", inputs)) if isinstance(inputs, (list, tuple)) else None


def _caching(settings: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """``__call__(inputs, batch_size, caching)``; ``None`` is the embedder's own setting."""
    asked = args[2] if len(args) > 2 else kwargs.get("caching")
    return bool(settings.get("caching") if asked is None else asked)


def _requested(embedder: Any, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield DSpy.LM_CLASS, type(embedder).__name__
    dimensions, encoding = given.get("dimensions"), given.get("encoding_format")
    if isinstance(dimensions, int) and not isinstance(dimensions, bool):
        yield GenAI.EMBEDDINGS_DIMENSION_COUNT, dimensions
    if isinstance(encoding, str) and encoding:
        yield GenAI.REQUEST_ENCODING_FORMATS, [encoding]


def conclude(call: _Hosted | Scope, result: Any) -> Any:
    """End it. The vectors are never recorded."""
    with guard("dspy.embedder.result"):
        if isinstance(call, _Hosted):
            call.note_end()
    call.stop()
    return result


def _wrap_litellm(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_get_litellm``: an embedder's call sees LiteLLM through us. LiteLLM itself stays as it is."""

    def get_litellm(*args: Any, **kwargs: Any) -> Any:
        litellm, call = original(*args, **kwargs), current()
        return _seen_by(call, litellm) if isinstance(call, _Hosted) else litellm

    return functools.wraps(original)(get_litellm)


def _seen_by(call: _Hosted, litellm: Any) -> StandIn:
    def see_embedding(embedding: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: _noted(call, embedding(*args, **kwargs))

    def see_aembedding(aembedding: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return _noted(call, await aembedding(*args, **kwargs))

        return awaited

    return StandIn(litellm, {"embedding": see_embedding, "aembedding": see_aembedding})


def _noted(call: _Hosted, response: Any) -> Any:
    with guard("dspy.embedder.response"):
        call.note(response)
    return response
