"""Spans put together to traces. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from spanloom.record._model import Node, Span, Trace


def traces_of(spans: Iterable[Span]) -> list[Trace]:
    """Traces, the one that began last at the end. A span recorded twice counts once (the later one)."""
    by_trace: dict[str, dict[str, Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, {})[span.span_id] = span
    traces = [_trace(trace_id, rows) for trace_id, rows in by_trace.items()]
    return sorted(traces, key=lambda trace: (trace.start_ns, trace.trace_id))


def _trace(trace_id: str, spans: dict[str, Span]) -> Trace:
    nodes = {span_id: Node(span_id, span) for span_id, span in spans.items()}
    roots: list[Node] = []
    absent: dict[str, Node] = {}
    for span_id, node in nodes.items():
        parent_id = spans[span_id].parent_id
        if not parent_id:
            roots.append(node)
        elif parent_id in nodes:
            nodes[parent_id].children.append(node)
        else:
            absent.setdefault(parent_id, Node(parent_id, None)).children.append(node)
    roots.extend(absent.values())
    roots.extend(_cut_circles(roots, nodes))
    for node in (*nodes.values(), *absent.values()):
        node.children.sort(key=_by_start)
    for root in roots:
        _sum_up(root)
    return Trace(trace_id, sorted(roots, key=_by_start))


def _by_start(node: Node) -> tuple[int, str]:
    return node.start_ns, node.span_id


def _cut_circles(roots: list[Node], nodes: dict[str, Node]) -> list[Node]:
    """Roots for spans that are their own ancestors: broken data, shown all the same."""
    reached = {node.span_id for root in roots for _, node in root.walk()}
    cut: list[Node] = []
    for span_id in sorted(nodes.keys() - reached):
        if span_id in reached:
            continue
        first = min(_circle(span_id, nodes))
        parent = nodes[_parent_id(nodes[first])]
        parent.children.remove(nodes[first])
        cut.append(nodes[first])
        reached.update(node.span_id for _, node in nodes[first].walk())
    return cut


def _circle(span_id: str, nodes: dict[str, Node]) -> list[str]:
    """The ids on the circle of parents that begins above this span."""
    path: dict[str, None] = {}
    while span_id not in path:
        path[span_id] = None
        span_id = _parent_id(nodes[span_id])
    on_path = list(path)
    return on_path[on_path.index(span_id) :]


def _parent_id(node: Node) -> str:
    return node.span.parent_id if node.span is not None else ""


def _sum_up(root: Node) -> None:
    """Totals of a tree, children before parents."""
    for _, node in reversed(list(root.walk())):
        total, span = node.total, node.span
        for child in node.children:
            total.merge(child.total)
        if span is not None and not (span.aggregates and total.used):
            total.add(span)
        if span is not None and span.failed and not total.errors:
            total.errors = 1
