"""A client library, and other recorders around its methods, in memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import wrapt
from opentelemetry.sdk.trace import TracerProvider

from spanloom.genai._conflict import Neighbours, _static

OPENINFERENCE = "openinference.instrumentation.openai._request"
OPENLLMETRY = "opentelemetry.instrumentation.openai.utils"
OFFICIAL = "opentelemetry.instrumentation.genai.openai"
LOGFIRE = "logfire._internal.integrations.llm_providers.llm_provider"
LANGFUSE = "langfuse.openai"
LITELLM = ("openinference.instrumentation.litellm", "opentelemetry.instrumentation.litellm")

_CODE = """
def recorder(tracer, seen):
    def wrapper(wrapped, instance, args, kwargs):
        seen.append(tracer)
        return wrapped(*args, **kwargs)
    return wrapper

def plain(original, tracer):
    def wrapper(*args, **kwargs):
        assert tracer is not None
        return original(*args, **kwargs)
    wrapper.__wrapped__ = original
    return wrapper

def ask(value):
    return bool(value)
"""


def library() -> tuple[type, type]:
    """New classes of a client and of a resource, so that no test sees the patches of another."""

    class Client:
        def request(self) -> str:
            return "answer"

    class Resource:
        def __init__(self, client: Any) -> None:
            self._client = client

        def create(self, **_: Any) -> str:
            return self._client.request()

    return Client, Resource


def provider() -> TracerProvider:
    """A provider that exports nothing."""
    return TracerProvider(shutdown_on_exit=False)


def code_of(module: str) -> SimpleNamespace:
    """Functions whose code is in this module."""
    scope: dict[str, Any] = {"__name__": module}
    exec(_CODE, scope)
    return SimpleNamespace(**scope)


def put_around(owner: Any, name: str, module: str, tracer: Any, seen: list[Any] | None = None) -> Any:
    """Wrap a method the way the others do; gives back the wrapt wrapper."""
    recorder = code_of(module).recorder(tracer, [] if seen is None else seen)
    return wrapt.wrap_function_wrapper(owner, name, recorder)


class Ours:
    """A plugin of ours on one method, as short as it can be: it notes what it recorded."""

    def __init__(self, resource: type, tracer: Any, name: str = "create") -> None:
        self.recorded: list[dict[str, Any]] = []
        # Whether a call of ours further out records the inference.
        self.below = False
        original = _static(resource, name)
        self.neighbours = Neighbours(SimpleNamespace(tracer=tracer), original)
        self.replacement = self._replace(original)
        setattr(resource, name, self.replacement)

    def _replace(self, original: Callable[..., Any]) -> Callable[..., Any]:
        neighbours = self.neighbours

        @functools.wraps(original)
        def create(resource: Any, /, **kwargs: Any) -> Any:
            if not neighbours.takes(resource, kwargs, self.below):
                self.recorded.append(kwargs)
            return neighbours.original(resource, **kwargs)

        return create

    @property
    def count(self) -> int:
        """How many calls were recorded."""
        return len(self.recorded)
