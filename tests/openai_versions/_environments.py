"""The versions of the OpenAI SDK that the tests of this folder run with."""

from __future__ import annotations

from typing import Any

from tests._support.versions import Library

# The oldest that we support, the last of each line that has ended, and the one of the lock.
VERSIONS = {"oldest": "openai==1.66.0", "last-1": "openai==1.109.1", "last-2": "openai==2.54.0", "newest": "openai"}
_FREE = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "pydantic", "pydantic-core", "anyio", "jiter")
_SDK = Library("openai", VERSIONS, _FREE)


def spans_of(version: str, *arguments: str) -> dict[str, Any]:
    """What the program of this folder prints when it runs with this version."""
    return _SDK.run(version, "tests.openai_versions._program", *arguments)
