"""``ot=th`` on spans that are kept: how many spans each of them stands for."""

from __future__ import annotations

from opentelemetry.trace import SpanContext, TraceState

from spanloom.sampling import parse, with_threshold


class Thresholds:
    """Raises the threshold in span contexts. All spans of a trace share one trace state, so the last answer is kept."""

    def __init__(self) -> None:
        # One tuple, read and replaced as a whole: threads may meet here.
        self._last: tuple[TraceState | None, int, TraceState | None] | None = None

    def told(self, context: SpanContext | None, threshold: int) -> SpanContext | None:
        """The same context, or one with ``th`` where it had none or a lower one."""
        if context is None:
            return None
        state = self._state(context.trace_state, threshold)
        if state is context.trace_state:
            return context
        return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, state)

    def _state(self, state: TraceState, threshold: int) -> TraceState | None:
        last = self._last
        if last is not None and last[0] is state and last[1] == threshold:
            return last[2]
        had = parse(state).threshold
        told = state if had is not None and had >= threshold else with_threshold(state, threshold)
        self._last = (state, threshold, told)
        return told
