"""Stands for Deno and Pyodide: speaks the protocol of DSPy's ``PythonInterpreter`` over its pipes, in plain Python."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys
from typing import Any

_ids = itertools.count(1)
_scope: dict[str, Any] = {}


class Final(BaseException):
    """What the code submits."""


def write(message: dict[str, Any]) -> None:
    """One line to the host."""
    sys.__stdout__.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.__stdout__.flush()


def call(name: str, kwargs: dict[str, Any]) -> Any:
    """One function of the host's."""
    write({"method": "tool_call", "id": f"t{next(_ids)}", "params": {"name": name, "kwargs": kwargs}})
    answer = json.loads(sys.stdin.readline())
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])
    result = answer["result"]
    return json.loads(result["value"]) if result["type"] == "json" else result["value"]


def submit(*args: Any, **kwargs: Any) -> None:
    """Ends the code."""
    raise Final(kwargs or args[0])


def register(params: dict[str, Any]) -> dict[str, Any]:
    """The names of the host's functions."""
    for tool in params.get("tools", ()):
        _scope[tool["name"]] = lambda _name=tool["name"], **kwargs: call(_name, kwargs)
    return {}


def execute(params: dict[str, Any]) -> dict[str, Any]:
    """What the code printed or submitted."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(params["code"], _scope)
    except Final as final:
        return {"final": final.args[0]}
    return {"output": printed.getvalue()}


def main() -> None:
    """One request a line."""
    _scope["SUBMIT"] = submit
    for line in sys.stdin:
        request = json.loads(line)
        if request["method"] == "shutdown":
            return
        method = {"register": register, "execute": execute}[request["method"]]
        try:
            answer = {"result": method(request["params"])}
        except SyntaxError as error:
            answer = {"error": {"code": -32000, "message": str(error), "data": {"type": "SyntaxError"}}}
        except Exception as error:
            data = {"type": type(error).__name__, "args": [str(error)]}
            answer = {"error": {"code": -32007, "message": str(error), "data": data}}
        write({"id": request["id"], **answer})


if __name__ == "__main__":
    main()
