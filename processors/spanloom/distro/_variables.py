"""Variables that look like ours and are not: a typing error must not pass for a setting."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from spanloom import semconv

_PREFIX = "SPANLOOM_"


def unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """One line for each ``SPANLOOM_…`` variable that is a misspelt option. The Collector has variables of its own."""
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in semconv.OPTIONS:
            continue
        near = difflib.get_close_matches(name, semconv.OPTIONS, n=1, cutoff=0.85)
        if near:
            yield f"{name} is not a setting and has no effect; did you mean {near[0]}?"
