"""Arguments whose names say that they are secrets are not told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from spanloom.genai._content import plain

HIDDEN: Final = "[hidden]"
# ``apiKey``, ``APIKey`` and ``x-api-key`` are words, too.
_BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
# Whole words: of ``max_tokens``, ``keyboard`` and ``tokenizer`` none is meant. A number may follow.
_SECRET: Final = re.compile(
    r"(?:^|_)(?:(?:api|access|private)_?keys?|(?:client_?)?secrets?|passwords?|passwd|pwd"
    r"|(?:access_?|auth_?|refresh_?|session_?)?token|bearer|authorization|credentials?|cookies?)\d*(?:_|$)"
)


def is_secret(name: str) -> bool:
    """Whether an argument of this name is one: it contains a word such as ``password``, ``token`` or ``api_key``."""
    return _SECRET.search(_BETWEEN_WORDS.sub("_", name).lower()) is not None


def without_secrets(arguments: Any) -> Any:
    """The arguments in JSON's terms, with ``[hidden]`` in the place of what is a secret by its name, at any depth."""
    return _hidden(plain(arguments))


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        rows = cast("Mapping[str, Any]", value).items()
        return {name: HIDDEN if is_secret(name) else _hidden(item) for name, item in rows}
    if isinstance(value, list):
        return [_hidden(item) for item in cast("list[Any]", value)]
    return value
