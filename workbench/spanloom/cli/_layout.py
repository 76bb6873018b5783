"""A trace as lines of text: a header, then one line a span with its figures in columns. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from spanloom.cli import _content, _format
from spanloom.cli._label import label, notes
from spanloom.cli._stories import Stories
from spanloom.cli._style import Style
from spanloom.cli._text import clean, cut, left, right, width, wrap
from spanloom.record import Node, Span, Trace
from spanloom.semconv import Spanloom

_COLUMN_GAP = 2
# Below this the name says nothing any more; columns go first.
_MIN_NAME = 24
_MIN_LABEL = 12
_MIN_NOTE = 6
_MAX_CONTENT_LINES = 12

# A short text and its colour.
_Note = tuple[str, str]


@dataclass(frozen=True)
class _Cell:
    """A figure; ``dim`` where it is a sum of what stands below."""

    text: str = ""
    dim: bool = False

    @property
    def shown(self) -> str:
        return f"({self.text})" if self.dim and self.text else self.text


@dataclass(frozen=True)
class _Row:
    """One line of a tree before it is laid out. ``prefix`` draws the tree, ``under`` goes on below the line."""

    prefix: str
    under: str
    label: str
    failed: bool = False
    missing: bool = False
    notes: list[_Note] = field(default_factory=list[_Note])
    cells: tuple[_Cell, ...] = (_Cell(), _Cell(), _Cell())
    content: list[_Note] = field(default_factory=list[_Note])


def trace_lines(trace: Trace, style: Style, *, content: bool) -> Iterator[str]:
    """Header, tree, and with ``content`` what was said below each span."""
    yield from _header(trace, style)
    rows = list(_rows(trace, style, content=content))
    columns = _columns(rows, style)
    name_width = style.width - sum(columns[at] + _COLUMN_GAP for at in columns)
    for row in rows:
        yield _line(row, columns, name_width, style)
        for title, text in row.content:
            yield from _content_lines(row, title, text, style)


def _header(trace: Trace, style: Style) -> Iterator[str]:
    dot, figures = style.glyphs.dot, trace.figures
    title = label(trace.root, style.glyphs)
    about = [trace.trace_id[:8], _format.moment(trace.start_ns), ", ".join(trace.services)]
    title = clean(title, style.encoding)
    rest = clean(dot.join(filter(None, about)), style.encoding)
    title = cut(title, max(_MIN_NAME, style.width - width(rest) - width(dot)), style.glyphs.cut)
    rest = cut(rest, style.width - width(title) - width(dot), style.glyphs.cut)
    yield style.paint(title, "bold") + style.paint(dot + rest, "dim")
    tokens = _format.tokens(figures.input_tokens, figures.output_tokens, style.glyphs)
    yield from _packed(
        [
            (_format.duration(trace.duration_ns, style.glyphs), ""),
            (_format.several(len(trace.spans), "span"), ""),
            (f"{tokens} tokens" if tokens else "", ""),
            (_format.cost(figures.costs, figures.unpriced), ""),
            (_format.several(figures.errors, "error") if figures.errors else "", "red"),
            (f"{_format.several(trace.missing, 'parent')} missing" if trace.missing else "", "yellow"),
        ],
        style,
    )


def _packed(parts: list[_Note], style: Style) -> Iterator[str]:
    """The parts that are not empty, with dots between them, in as few lines as hold them."""
    dot, line, used = style.glyphs.dot, "", 0
    for text, colour in parts:
        if not text:
            continue
        if used and used + width(dot) + width(text) > style.width:
            yield line
            line, used = "", 0
        line += (dot if used else "") + style.paint(text, colour)
        used += (width(dot) if used else 0) + width(text)
    yield line


def _rows(trace: Trace, style: Style, *, content: bool) -> Iterator[_Row]:
    """Rows in the order of the tree, with what draws its branches."""
    glyphs = style.glyphs
    stories = Stories(trace.spans)
    pending = [(root, "", "", "") for root in reversed(trace.roots)]
    while pending:
        node, prefix, below, service = pending.pop()
        yield _row(node, prefix, below, service, style, stories, content=content)
        service = node.span.service if node.span is not None else service
        last = len(node.children) - 1
        for at in range(last, -1, -1):
            connector, gap = (glyphs.end, glyphs.gap) if at == last else (glyphs.fork, glyphs.line)
            pending.append((node.children[at], below + connector, below + gap, service))


def _row(node: Node, prefix: str, below: str, service: str, style: Style, stories: Stories, *, content: bool) -> _Row:
    under = below + (style.glyphs.line if node.children else style.glyphs.gap)
    span = node.span
    if span is None:
        return _Row(prefix, under, f"(parent {node.span_id} is not in the record)", missing=True)
    found = [(clean(text, style.encoding), colour) for text, colour in notes(span, service, style.glyphs, stories)]
    return _Row(
        prefix,
        under,
        clean(label(span, style.glyphs), style.encoding),
        failed=span.failed,
        notes=found,
        cells=(_Cell(_format.duration(span.duration_ns, style.glyphs)), *_usage(node, span, style)),
        content=list(_content.texts(span)) if content else [],
    )


def _usage(node: Node, span: Span, style: Style) -> tuple[_Cell, _Cell]:
    """Tokens and money: of the call itself, or in parentheses the sum of those below."""
    sums = node.children and any(child.total.used for child in node.children)
    if not sums and span.count(Spanloom.SUBTREE_LLM_CALLS) is None:
        costs = {span.currency: span.cost} if span.cost is not None else {}
        money = _format.monies(costs) or ("unpriced" if span.unpriced else "")
        return _Cell(_format.tokens(span.input_tokens, span.output_tokens, style.glyphs)), _Cell(money)
    # What the service summed up itself includes calls whose spans were not recorded.
    total = node.total
    tokens_in, tokens_out = span.count(Spanloom.SUBTREE_INPUT_TOKENS), span.count(Spanloom.SUBTREE_OUTPUT_TOKENS)
    if tokens_in is None and tokens_out is None:
        tokens_in, tokens_out = total.input_tokens, total.output_tokens
    if not tokens_in and not tokens_out:  # calls that told nothing add up to 0
        tokens_in = tokens_out = None
    recorded = span.amount(Spanloom.SUBTREE_COST)
    costs = {span.currency: recorded} if recorded is not None else total.costs
    unpriced = span.count(Spanloom.SUBTREE_UNPRICED_CALLS) or total.unpriced
    money = _format.monies(costs) + ("+?" if costs and unpriced else "") or ("unpriced" if unpriced else "")
    return _Cell(_format.tokens(tokens_in, tokens_out, style.glyphs), dim=True), _Cell(money, dim=True)


def _columns(rows: list[_Row], style: Style) -> dict[int, int]:
    """Width of each column that has anything in it; where the names get no room, tokens go, then money."""
    widths = {at: max(width(row.cells[at].shown) for row in rows) for at in range(3)}
    widths = {at: columns for at, columns in widths.items() if columns}
    for expendable in (1, 2):
        if style.width - sum(columns + _COLUMN_GAP for columns in widths.values()) < _MIN_NAME:
            widths.pop(expendable, None)
    return widths


def _line(row: _Row, columns: dict[int, int], name_width: int, style: Style) -> str:
    prefix = _bounded(row.prefix, name_width - _MIN_LABEL - width(style.glyphs.failed), style)
    mark = style.glyphs.failed if row.failed else ""
    room = name_width - width(prefix) - width(mark)
    shown, noted = _fit(row, room, style)
    parts = [style.paint(prefix, "dim"), style.paint(mark, "red"), style.paint(shown, "yellow" if row.missing else "")]
    parts.extend("  " + style.paint(text, colour) for text, colour in noted)
    used = width(prefix) + width(mark) + width(shown) + sum(2 + width(text) for text, _ in noted)
    parts.append(" " * (name_width - used))
    for at, columns_wide in columns.items():
        cell = row.cells[at]
        parts.append(" " * _COLUMN_GAP + style.paint(right(cell.shown, columns_wide), "dim" if cell.dim else ""))
    return "".join(parts).rstrip()


def _fit(row: _Row, room: int, style: Style) -> tuple[str, list[_Note]]:
    """Label and notes that fit. What failed stays longest, cut if it must be."""
    noted: list[_Note] = list(row.notes)
    while noted and min(width(row.label), _MIN_LABEL) + sum(2 + width(text) for text, _ in noted) > room:
        text, colour = noted.pop()
        rest = room - min(width(row.label), _MIN_LABEL) - sum(2 + width(other) for other, _ in noted) - 2
        if not noted and colour == "red" and rest >= _MIN_NOTE:
            noted = [(cut(text, rest, style.glyphs.cut), colour)]
    return cut(row.label, room - sum(2 + width(text) for text, _ in noted), style.glyphs.cut), noted


def _bounded(prefix: str, columns: int, style: Style) -> str:
    """Deep trees: only the last branches are drawn, so that there is room for the name."""
    if len(prefix) <= columns:
        return prefix
    more = style.glyphs.more
    step = len(style.glyphs.gap)
    keep = max(step, (columns - len(more)) // step * step)
    return more + prefix[-keep:]


def _content_lines(row: _Row, title: str, text: str, style: Style) -> Iterator[str]:
    """A text below its span: wrapped, and cut after a dozen lines."""
    prefix = _bounded(row.under, style.width // 2, style)
    indent = " " * (len(title) + 2)
    room = max(_MIN_LABEL, style.width - width(prefix) - len(indent))
    raw = text.splitlines() or [""]
    lines = [line for one in raw for line in wrap(clean(one, style.encoding), room)]
    kept = lines[:_MAX_CONTENT_LINES]
    for at, line in enumerate(kept):
        start = left(f"{title}:", len(indent)) if at == 0 else indent
        yield (style.paint(prefix, "dim") + style.paint(start, "cyan") + line).rstrip()
    if len(lines) > len(kept):
        left_out = f"({_format.several(len(lines) - len(kept), 'more line')}: --json has all)"
        yield style.paint(prefix, "dim") + indent + style.paint(left_out, "dim")
