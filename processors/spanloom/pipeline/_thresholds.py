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
        state, last = context.trace_state, self._last
        if last is None or last[0] is not state or last[1] != threshold:
            last = self._last = (state, threshold, _raised(state, threshold))
        if last[2] is state:
            return context
        return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, last[2])


def _raised(state: TraceState, threshold: int) -> TraceState | None:
    had = parse(state).threshold
    return state if had is not None and had >= threshold else with_threshold(state, threshold)
