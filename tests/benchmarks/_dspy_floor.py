"""The floor of DSPy programs: by hand, the spans, events and records that ours writes.

Each program is the same each time, so its modules, model calls, tools and fan-outs take what is planned for them in
turn. Nothing is read of the program and nothing is guarded; any other program would be told all wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from opentelemetry import context as otel
from opentelemetry import trace

from tests.benchmarks._floor import Floor, SpanPlan

if TYPE_CHECKING:
    from tests.benchmarks._shape import Shape

_MODULES, _CALLS, _TOOLS, _FAN_OUTS = "modules", "calls", "tools", "fan-outs"
# An agent's own way to say that it is done.
_NO_TOOL = "finish"


def _what_makes(span: SpanPlan) -> str:
    if span.kind is trace.SpanKind.CLIENT:
        return _CALLS
    if span.name == "dspy.parallel":
        return _FAN_OUTS
    return _TOOLS if span.name.startswith("execute_tool ") else _MODULES


class DSPyFloor(Floor):
    """Patches modules, LMs, tools and fan-outs. ``use`` says what they write."""

    # Items of a fan-out are alike, so it does not matter which thread takes which.
    _turns: ClassVar[dict[str, Iterator[SpanPlan]]] = {}

    def _patch(self) -> None:
        from dspy.adapters.types.tool import Tool
        from dspy.clients.base_lm import BaseLM
        from dspy.primitives.module import Module
        from dspy.utils.parallelizer import ParallelExecutor

        self._replace(Module, "__call__", _module)
        self._replace(BaseLM, "__call__", _call)
        self._replace(Tool, "__call__", _tool)
        self._replace(ParallelExecutor, "execute", _fan_out)

    def _replace(self, kind: Any, name: str, wrap: Callable[..., Any]) -> None:
        original = getattr(kind, name)
        self._originals.append((kind, name, original))
        setattr(kind, name, wrap(original, self._turns))

    def use(self, shape: Shape) -> None:
        super().use(shape)
        assert Floor.plan is not None
        by: dict[str, list[SpanPlan]] = {}
        for span in Floor.plan.spans:
            by.setdefault(_what_makes(span), []).append(span)
        self._turns.update({what: itertools.cycle(spans) for what, spans in by.items()})


def _module(original: Callable[..., Any], turns: dict[str, Iterator[SpanPlan]]) -> Callable[..., Any]:
    def call(module: Any, **kwargs: Any) -> Any:
        planned = next(turns[_MODULES])
        span = planned.start()
        context = trace.set_span_in_context(span)
        token = otel.attach(context)
        try:
            for name, attributes in planned.events[:1]:
                span.add_event(name, attributes)
            result = original(module, **kwargs)
            for name, attributes in planned.events[1:]:
                span.add_event(name, attributes)
        finally:
            otel.detach(token)
        planned.end(span)
        if planned.at_start:
            # The outermost one: it alone has an operation. It writes the records of all that was below.
            assert Floor.plan is not None
            Floor.plan.record(context)
        return result

    return call


def _call(original: Callable[..., Any], turns: dict[str, Iterator[SpanPlan]]) -> Callable[..., Any]:
    def call(lm: Any, *args: Any, **kwargs: Any) -> Any:
        return _in_span(next(turns[_CALLS]), original, lm, *args, **kwargs)

    return call


def _tool(original: Callable[..., Any], turns: dict[str, Iterator[SpanPlan]]) -> Callable[..., Any]:
    def call(tool: Any, **kwargs: Any) -> Any:
        if tool.name == _NO_TOOL:
            return original(tool, **kwargs)
        return _in_span(next(turns[_TOOLS]), original, tool, **kwargs)

    return call


def _in_span(planned: SpanPlan, original: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    span = planned.start()
    token = otel.attach(trace.set_span_in_context(span))
    try:
        result = original(*args, **kwargs)
    finally:
        otel.detach(token)
    planned.end(span)
    return result


def _fan_out(original: Callable[..., Any], turns: dict[str, Iterator[SpanPlan]]) -> Callable[..., Any]:
    def execute(executor: Any, function: Callable[..., Any], data: Any) -> Any:
        planned = next(turns[_FAN_OUTS])
        span = planned.start()
        context = trace.set_span_in_context(span)

        def carried(item: Any) -> Any:
            token = otel.attach(context)
            try:
                return function(item)
            finally:
                otel.detach(token)

        result = original(executor, carried, data)
        planned.end(span)
        return result

    return execute
