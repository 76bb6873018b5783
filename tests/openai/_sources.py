"""Which requests the methods of the installed SDK make, read off its source: for the test of our table of endpoints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import openai

_VERBS = {"_post", "_get", "_patch", "_put", "_delete", "_get_api_list"}
_ROOT = Path(openai.__file__).parent / "resources"


def requests() -> list[tuple[str, str, str]]:
    """``(files.content, GET, /files/{}/content)`` for each method of each resource; asynchronous ones alike."""
    found = {row for path in sorted(_ROOT.rglob("*.py")) for row in _of_file(path)}
    return sorted(found)


def _of_file(path: Path) -> Iterator[tuple[str, str, str]]:
    parts = list(path.relative_to(_ROOT).with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == parts[-2]:
        parts.pop()
    for owner in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(owner, ast.ClassDef):
            for method in owner.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield from ((".".join([*parts, method.name]), *one) for one in _of_method(method))


def _of_method(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _VERBS:
            verb = node.func.attr.strip("_").upper()
            if verb == "GET_API_LIST":
                named = [one.value.value for one in node.keywords if one.arg == "method"]
                verb = named[0].upper() if named else "GET"
            yield verb, _path(node.args[0])


def _path(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value.partition("?")[0]
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values).partition("?")[0]
    assert isinstance(node, ast.Call), ast.dump(node)
    return re.sub(r"\{\w+\}", "{}", node.args[0].value).partition("?")[0]
