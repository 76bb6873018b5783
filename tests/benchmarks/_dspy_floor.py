"""The floor of a DSPy program of one predictor: by hand, the two spans, two events and the records that ours writes.

What the spans say is written here beforehand; content is made to JSON anew. Nothing is read of the program, nothing is
guarded, no context is handed to a thread, and a tree with any other module in it would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry import trace

from tests.benchmarks._floor import NO_SPAN, Floor

if TYPE_CHECKING:
    from tests.benchmarks._shape import Shape

_MODULE_START = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "Predict"}
_MODULE_END = {
    "dspy.module": "Predict",
    "dspy.signature": "question -> answer",
    "dspy.instructions.hash": "8e9c96e2db24",
    "spanloom.subtree.llm_calls": 1,
    "spanloom.subtree.input_tokens": 142,
    "spanloom.subtree.output_tokens": 27,
}
_CALL_START = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}
_CALL_END = {
    "dspy.lm.class": "LM",
    "dspy.lm.engine": "custom",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "bench",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 142,
    "gen_ai.usage.output_tokens": 27,
}
_EVENT = {"dspy.adapter": "ChatAdapter"}


def _part(characters: int) -> dict[str, str]:
    return {"type": "text", "content": "x" * characters}


# As long as those of the case.
_CALL_CONTENT: dict[str, Any] = {
    "gen_ai.system_instructions": [_part(600)],
    "gen_ai.input.messages": [{"role": "user", "parts": [_part(150)]}],
    "gen_ai.output.messages": [{"role": "assistant", "parts": [_part(90)]}],
}


class DSPyFloor(Floor):
    """Patches modules and LMs. ``use`` says what is recorded by metrics."""

    _content: ClassVar[bool] = False

    def _patch(self) -> None:
        from dspy.clients.base_lm import BaseLM
        from dspy.primitives.module import Module

        for kind, wrap in ((Module, self._module), (BaseLM, self._call)):
            self._originals.append((kind, "__call__", kind.__call__))
            kind.__call__ = wrap(kind.__call__)

    def use(self, shape: Shape) -> None:
        """Content is written where ours writes some."""
        super().use(shape)
        DSPyFloor._content = any(name.endswith(".messages") for name in shape.at_end) or "dspy.inputs" in shape.at_end

    def _module(self, original: Callable[..., Any]) -> Callable[..., Any]:
        tracer = self._tracer

        def call(module: Any, **kwargs: Any) -> Any:
            span = tracer.start_span("invoke_workflow Predict", attributes=_MODULE_START)
            context = trace.set_span_in_context(span)
            token = otel.attach(context)
            try:
                span.add_event("dspy.adapter.format", _EVENT)
                result = original(module, **kwargs)
                span.add_event("dspy.adapter.parse", _EVENT)
            finally:
                otel.detach(token)
            _end(span, _MODULE_END, {"dspy.inputs": kwargs, "dspy.outputs": result.toDict()})
            return result

        return call

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        tracer = self._tracer

        def call(lm: Any, *args: Any, **kwargs: Any) -> Any:
            span = tracer.start_span("chat gpt-4o-mini", kind=trace.SpanKind.CLIENT, attributes=_CALL_START)
            context = trace.set_span_in_context(span)
            token = otel.attach(context)
            try:
                result = original(lm, *args, **kwargs)
            finally:
                otel.detach(token)
            _end(span, _CALL_END, _CALL_CONTENT)
            _record(context)
            return result

        return call


def _end(span: trace.Span, attributes: dict[str, Any], content: dict[str, Any]) -> None:
    if span.is_recording():
        texts = {}
        if DSPyFloor._content:
            texts = {name: json.dumps(value, ensure_ascii=False) for name, value in content.items()}
        span.set_attributes({**attributes, **texts})
    span.end()


def _record(context: Any) -> None:
    """All of both, with the call."""
    plan = Floor.plan
    assert plan is not None
    for histogram, value, attributes, exemplar in plan.records:
        histogram.record(value, attributes, context if exemplar else NO_SPAN)
    for key, value in plan.adds:
        plan.sums[key] += value
