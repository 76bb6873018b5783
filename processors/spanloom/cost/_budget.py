"""What a budget is, which calls fall under it, and what a call gets that it refuses. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from spanloom.cost._window import PERIODS, Period
from spanloom.semconv import Caller, GenAI, Spanloom

Action = Literal["tell", "raise"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
THRESHOLDS: Final = (0.5, 0.8, 1.0)
KEYS_IN_METRICS: Final = 20
# Sums are integers of this fraction of a dollar: 64 bits hold nine billion dollars.
NANO: Final = 10**9
MAX_USD: Final = 10**9
# More than one key in all has no meaning beyond these many fields.
MAX_FIELDS: Final = 8

# What a program or a rule file writes for a field of a call.
FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "user": Caller.USER_ID,
        "session": Caller.SESSION_ID,
        "tenant": Spanloom.TENANT,
        "conversation": GenAI.CONVERSATION_ID,
        "prompt": GenAI.PROMPT_NAME,
        "model": GenAI.REQUEST_MODEL,
        "provider": GenAI.PROVIDER_NAME,
    }
)
Key = tuple[str, ...]


def attribute_of(name: str) -> str | None:
    """The attribute that a field's name stands for: ``user`` → ``user.id``; what has a dot is one. ``None``: neither.

    ``tag.plan`` is the tag ``plan`` of ``spanloom.trace.context``.
    """
    if name.startswith("tag."):
        return f"spanloom.{name}"
    return FIELDS.get(name) or (name if "." in name else None)


def nano_of(usd: float | Decimal) -> int:
    """Dollars as whole billionths of a dollar, half to even."""
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(usd))
    return int((exact * NANO).to_integral_value())


@dataclass(frozen=True)
class Budget:
    """A limit of what calls with the same key may spend in one window.

    ``limit_usd``: US dollars, above 0. ``per``: the window, in UTC. ``by``: the fields whose values are the key (none:
    one sum of the process). ``match``: only calls whose fields have one of these values, globs. ``thresholds``: shares
    of the limit that are told as they are reached. ``action``: ``raise`` refuses calls once the limit is reached,
    ``tell`` never does. ``keys_in_metrics``: how many keys have a point in ``spanloom.budget.spent``.

    ``ValueError`` for what makes no sense, by field.
    """

    name: str
    limit_usd: float
    per: Period
    by: Sequence[str] = ()
    match: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    thresholds: Sequence[float] = THRESHOLDS
    action: Action = "tell"
    keys_in_metrics: int = KEYS_IN_METRICS

    def __post_init__(self) -> None:
        mistakes = [f"{name}: {text}" for name, text in problems(self)]
        if mistakes:
            raise ValueError(f"budget {self.name!r}: {'; '.join(mistakes)}")
        given: dict[str, Any] = {
            "by": tuple(self.by),
            "match": MappingProxyType({name: tuple(values) for name, values in self.match.items()}),
            "thresholds": tuple(sorted(set(self.thresholds))),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)


def problems(budget: Budget) -> list[tuple[str, str]]:
    """(field, what is wrong with it)."""
    found: list[tuple[str, str]] = []
    if not budget.name:
        found.append(("name", "is empty"))
    if not 0 < nano_of_or_zero(budget.limit_usd) <= MAX_USD * NANO:
        found.append(("limit_usd", f"{budget.limit_usd!r} is not above 0 and up to {MAX_USD:,} US dollars"))
    for name, value, choices in (("per", budget.per, PERIODS), ("action", budget.action, ACTIONS)):
        if value not in choices:
            found.append((name, f"{value!r} is not one of {', '.join(choices)}"))
    if isinstance(budget.by, str) or len(budget.by) > MAX_FIELDS:
        found.append(("by", f"is not a list of up to {MAX_FIELDS} fields"))
    else:
        found += [("by", field_mistake(one)) for one in budget.by if attribute_of(one) is None]
    found += [("match", field_mistake(one)) for one in budget.match if attribute_of(one) is None]
    found += [
        ("match", f"{name} is one text, not a list") for name, one in budget.match.items() if isinstance(one, str)
    ]
    found += [("thresholds", threshold_mistake(one)) for one in budget.thresholds if not is_threshold(one)]
    if budget.keys_in_metrics < 0:
        found.append(("keys_in_metrics", "is below 0"))
    return found


def nano_of_or_zero(usd: float) -> int:
    """0 for what is no number of dollars, or one with no billionth of a dollar in it."""
    return nano_of(usd) if math.isfinite(usd) else 0


def field_mistake(name: str) -> str:
    """What to say of a field that does not exist."""
    return f"{name!r} is not one of {', '.join(FIELDS)}, tag.NAME or an attribute's whole name"


def is_threshold(value: float) -> bool:
    """A share of the limit: above 0; more than 1 has a sense where nothing is refused."""
    return 0 < value <= 100


def threshold_mistake(value: object) -> str:
    """What to say of a threshold that cannot be one."""
    return f"{value!r} is not a share of the limit above 0 (0.8 means 80 %)"


class BudgetExceeded(RuntimeError):  # noqa: N818 - what people catch says what happened
    """A call was not made, because a budget with ``action: raise`` is spent. Nothing was sent.

    ``budget``: its name. ``key``: whose it is, values by attribute (``{"user.id": "ada"}``). ``spent_usd`` and
    ``limit_usd`` in US dollars. ``resets_at``: when the window ends (UTC), and calls are let through again.
    """

    # As it is imported: it becomes ``error.type`` of the call's span.
    __module__ = "spanloom.cost"

    def __init__(
        self, budget: str, key: Mapping[str, str], spent_usd: float, limit_usd: float, resets_at: datetime
    ) -> None:
        super().__init__(budget, dict(key), spent_usd, limit_usd, resets_at)
        self.budget = budget
        self.key = dict(key)
        self.spent_usd = spent_usd
        self.limit_usd = limit_usd
        self.resets_at = resets_at

    def __str__(self) -> str:
        whose = ", ".join(f"{name}={value}" for name, value in self.key.items())
        return (
            f"budget {self.budget!r}{f' of {whose}' if whose else ''} is spent: {self.spent_usd:.6g} of "
            f"{self.limit_usd:.6g} USD until {self.resets_at.isoformat()}; the call was not sent"
        )


class Line:
    """A budget as it is counted: its fields as attributes, its limit and thresholds as whole numbers."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.limit = nano_of(budget.limit_usd)
        self.fields = tuple(attribute_of(name) or name for name in budget.by)
        self.thresholds = tuple((share, math.ceil(share * self.limit)) for share in budget.thresholds)
        self._match = tuple((attribute_of(name) or name, tuple(values)) for name, values in budget.match.items())

    def key_of(self, call: Mapping[str, Any]) -> Key | None:
        """The values of the key; ``None`` where the call does not fall under this budget, or lacks a field of it."""
        if self._match and not self._fits(call):
            return None
        values = [call.get(name) for name in self.fields]
        return None if None in values else tuple(map(text, values))

    def lacks(self, call: Mapping[str, Any]) -> list[str]:
        """Fields of the key that a call does not have which falls under this budget otherwise."""
        return [name for name in self.fields if call.get(name) is None] if self._fits(call) else []

    def _fits(self, call: Mapping[str, Any]) -> bool:
        for name, globs in self._match:
            value = call.get(name)
            if value is None or not any(fnmatchcase(text(value), one) for one in globs):
                return False
        return True


def text(value: object) -> str:
    """A value as text, as a rule file spells it."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
