"""Variables that look like ours and are not: a typing error must not pass for a setting."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from spanloom import semconv

_PREFIX = "SPANLOOM_"
# Read by the tools of the repository, not by the library.
_ELSEWHERE = frozenset({"SPANLOOM_CACHE_DIR"})


def unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """One line for each ``SPANLOOM_…`` variable that is no option."""
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in semconv.OPTIONS or name in _ELSEWHERE:
            continue
        near = difflib.get_close_matches(name, semconv.OPTIONS, n=1)
        cure = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(semconv.OPTIONS))}"
        yield f"{name} is not a setting and has no effect; {cure}"
