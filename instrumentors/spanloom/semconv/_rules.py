"""Rules of the conventions that are code: how a span is named, and which generation of names is written."""

from __future__ import annotations

from spanloom.semconv._names import GenAI
from spanloom.semconv._options import names_of, warn_once
from spanloom.semconv._spec import Mode

_VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
# The last set in OpenTelemetry's core conventions is v1.41, which OpenTelemetry's own packages wrote for long: what is
# spelt otherwise in the registry, by its name there. ``gen_ai.system`` went in v1.37 already, with other values.
OLD_ATTRIBUTES: dict[str, str] = {
    GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
    GenAI.RETRIEVAL_TOP_K: GenAI.REQUEST_TOP_K,
}
_MODES: dict[str, frozenset[Mode]] = {
    "gen_ai": frozenset(("current",)),
    # What was planned upstream, and what its users have set since: the newest names.
    "gen_ai_latest_experimental": frozenset(("current",)),
    "gen_ai/dup": frozenset(("current", "old")),
    "gen_ai/old": frozenset(("old",)),
}


def span_name(operation: str, target: str | None) -> str:
    """``{operation} {target}``, or the bare operation where the target is unknown (the conventions' rule)."""
    return f"{operation} {target}" if target else operation


def modes() -> frozenset[Mode]:
    """The generations of names to write. Values of other domains (``http/dup``) are theirs."""
    chosen: frozenset[Mode] = frozenset()
    for value in names_of(_VARIABLE):
        if value in _MODES:
            chosen |= _MODES[value]
        elif value.startswith("gen_ai"):
            warn_once(_VARIABLE, value, f"one of {', '.join(_MODES)}", "the current names")
    return chosen or frozenset(("current",))
