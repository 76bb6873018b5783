"""What is to be done with an attribute by its key. Decided once a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Final, NamedTuple

from spanloom.redaction._hit import FAILED, Action
from spanloom.redaction._named import NAMED, secret_name
from spanloom.redaction._rules import Own


class Decision(NamedTuple):
    """``keep``: not to be touched; else an action for the whole value and the rule that says so."""

    keep: bool
    action: Action
    rule: str
    # What the key is to be called, where it has a secret in it.
    name: str = ""


# Look at the value.
SCAN: Final = Decision(False, "replace", "")
KEEP: Final = Decision(True, "replace", "")
# In the place of a value whose attribute is to be left out.
DROP: Final = object()
MAX_KNOWN: Final = 4096
# Keys that the conventions define with words such as "token" and "secret" in them, and no secret as their value.
_HARMLESS: Final = re.compile(r"gen_ai\..*|spanloom\..*|.*\.secretsmanager\.secret\.arn|k8s\.secret\.(?:name|uid)")


class Keys:
    """Rules of attribute keys; own ones first, then ``keep``, then names of secrets."""

    def __init__(
        self, rules: tuple[Own, ...], keep: tuple[str, ...], action: Action, text: Callable[[str], str] = str
    ) -> None:
        self._text = text
        self._rules = [(_globs(rule.attribute), Decision(False, rule.action, rule.name)) for rule in rules]
        self._keep = _globs(keep) if keep else None
        self._named = Decision(False, action, NAMED)
        # Read without a lock: keys only come and, when there are too many, all go.
        self.known: dict[str, Decision] = {}

    def decide(self, key: str) -> Decision:
        """The decision, remembered."""
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        decision = self._decision(key)
        # One that could not be looked at stays: all of those would have the same name.
        if not decision.keep and (name := self._text(key)) not in (key, FAILED):
            decision = decision._replace(name=name)
        self.known[key] = decision
        return decision

    def _decision(self, key: str) -> Decision:
        for globs, decision in self._rules:
            if globs.fullmatch(key):
                return decision
        if self._keep is not None and self._keep.fullmatch(key):
            return KEEP
        return self._named if secret_name(key) and _HARMLESS.fullmatch(key) is None else SCAN


def _globs(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Exact in case; ``*``, ``?`` and ``[abc]``."""
    return re.compile("|".join(map(translate, patterns)))
