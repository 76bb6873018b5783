"""From a file to its outermost section. YAML is read with PyYAML, which is loaded where there is a file to read."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final, cast

from spanloom.rulefile._section import Node, Problems, RuleFileError, Section

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32


def read(path: str) -> Section:
    """The outermost mapping of a file. Raises ``RuleFileError`` where it is missing, unreadable or no mapping."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RuleFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:
        raise RuleFileError(f"{path}: larger than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuleFileError(f"{path}: not UTF-8 at byte {error.start}") from error
    return read_text(text, path)


def read_text(text: str, name: str) -> Section:
    """The outermost mapping of a file's text; ``name`` stands before each mistake."""
    import yaml

    problems = Problems(name)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        node = Node({}, 1) if root is None else _Reader(loader, problems).plain(root, "", ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RuleFileError(f"{name}:{line}: no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise RuleFileError(f"{name}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node.value, dict):
        raise RuleFileError(f"{name}:{node.line}: the file is no mapping of fields")
    problems.raise_any()
    return Section(node, "", problems)


class _Reader:
    """YAML nodes to ours. Aliases stay shared, so that a small file cannot become a large one."""

    def __init__(self, loader: Any, problems: Problems) -> None:
        self._loader = loader
        self._problems = problems
        self._known: dict[int, Node] = {}

    def plain(self, node: Any, path: str, around: tuple[int, ...]) -> Node:
        line = node.start_mark.line + 1
        if id(node) in around or len(around) >= MAX_DEPTH:
            self._problems.add(line, path, "nested too deep, or in itself")
            return Node(None, line)
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = Node(self._value(node, path, (*around, id(node))), line)
        return known

    def _value(self, node: Any, path: str, around: tuple[int, ...]) -> Any:
        import yaml

        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, around)
        if isinstance(node, yaml.SequenceNode):
            items = cast("list[Any]", node.value)
            return [self.plain(item, f"{path}[{index}]", around) for index, item in enumerate(items)]
        try:
            value = self._loader.construct_object(node)
        except ValueError:
            # 2026-02-30 looks like a day; whoever reads the field says what is wrong with the text.
            value = node.value
        # Dates and binaries are texts here.
        return value if value is None or isinstance(value, (str, bool, int, float)) else str(node.value)

    def _mapping(self, node: Any, path: str, around: tuple[int, ...]) -> dict[str, Node]:
        rows: dict[str, Node] = {}
        for key_node, value_node in cast("list[tuple[Any, Any]]", node.value):
            key = cast("Hashable", key_node.value)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                self._problems.add(line, path, "a field's name must be a text")
            elif key in rows:
                self._problems.add(line, f"{path}.{key}" if path else key, "stands twice")
            else:
                rows[key] = self.plain(value_node, f"{path}.{key}" if path else key, around)._replace(line=line)
        return rows
