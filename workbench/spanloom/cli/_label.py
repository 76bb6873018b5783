"""What a span is called on its line, and what is worth a note beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from spanloom.cli._format import counted, duration
from spanloom.cli._stories import Stories
from spanloom.cli._style import Glyphs
from spanloom.record import Span
from spanloom.semconv import DSpy, GenAI, HTTPServer, Spanloom, SpanloomEvent

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE"))


def label(span: Span, glyphs: Glyphs) -> str:
    """The span's name; for HTTP method, route (or address, for the side that calls) and status."""
    method = span.text(HTTPServer.METHOD) or span.text(HTTPServer.METHOD_OLD)
    if method is None:
        return span.name or "(no name)"
    status = span.count(HTTPServer.STATUS_CODE) or span.count(HTTPServer.STATUS_CODE_OLD)
    calls = span.kind == "client"
    where = _address(span) if calls else _route(span)
    parts = (method, where or _rest_of(span.name), str(status or ""))
    return (glyphs.calls if calls else "") + " ".join(filter(None, parts))


def _route(span: Span) -> str | None:
    path = span.text(HTTPServer.ROUTE) or span.text(HTTPServer.URL_PATH) or span.text(HTTPServer.TARGET_OLD)
    return path.partition("?")[0] if path else None


def _address(span: Span) -> str | None:
    """Host and path, without user, password and query."""
    url = span.text(HTTPServer.URL) or span.text(HTTPServer.URL_OLD)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.netloc.rpartition("@")[2] + parts.path


def _rest_of(name: str) -> str:
    """The name without the method in front."""
    first, _, rest = name.partition(" ")
    return rest if first in _METHODS else name


def _of_optimizers(span: Span) -> Iterator[str]:
    """Which candidate, and how it was judged; the same hash stands at its evaluations."""
    index, rejected = span.count(DSpy.CANDIDATE_INDEX), span.text(DSpy.CANDIDATE_OUTCOME) == "rejected"
    if index is not None or rejected:
        yield "rejected" if index is None else f"#{index}"
    scores = (span.amount(name) for name in (DSpy.CANDIDATE_SCORE, DSpy.EVALUATE_SCORE, DSpy.COMPILE_SCORE))
    score = next((one for one in scores if one is not None), None)
    if score is not None:
        yield f"score {float(score):.4g}"
    digest = span.text(DSpy.CANDIDATE_HASH)
    if digest is not None:
        yield digest


def _server_tools(span: Span) -> Iterator[str]:
    """The tools that the provider ran, in the order in which they were first called."""
    told = (one.attributes.get(GenAI.TOOL_NAME) for one in span.events if one.name == SpanloomEvent.SERVER_TOOL_CALL)
    return counted(name for name in told if isinstance(name, str) and name)


def notes(span: Span, service_above: str, glyphs: Glyphs, stories: Stories | None = None) -> list[tuple[str, str]]:
    """Short texts with their colour, the most telling one first."""
    found: list[tuple[str, str]] = []
    if span.failed:
        # The class is what one looks for; its module is in --json.
        found.append(((span.error_type or "failed").rpartition(".")[2], "red"))
    if span.service and service_above and span.service != service_above:
        found.append((f"in {span.service}", "cyan"))
    if span.cached:
        found.append(("cached", "dim"))
    found += [(text, "dim") for text in _of_optimizers(span)]
    found += [(text, "dim") for text in _server_tools(span)]
    if stories is not None:
        found += stories.notes(span)
    attempts = span.count(Spanloom.REQUEST_ATTEMPTS)
    if attempts is not None:
        found.append((f"{attempts} attempts", "dim"))
    if span.first_chunk_s is not None and span.first_chunk_s >= 0:
        found.append((f"first {duration(round(span.first_chunk_s * 1e9), glyphs)}", "dim"))
    return found
