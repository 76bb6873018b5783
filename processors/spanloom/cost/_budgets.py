"""The budgets of this process: from code, and from the file that ``SPANLOOM_BUDGETS`` names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from spanloom import semconv
from spanloom.cost._budget import (
    ACTIONS,
    KEYS_IN_METRICS,
    MAX_FIELDS,
    MAX_USD,
    THRESHOLDS,
    Action,
    Budget,
    attribute_of,
    field_mistake,
    is_threshold,
    text,
    threshold_mistake,
)
from spanloom.cost._ledger import Ledger
from spanloom.cost._store import BudgetStore, MemoryStore
from spanloom.cost._window import PERIODS, Period
from spanloom.genai import hooks
from spanloom.rulefile import Section, read, read_text

SETTING: Final = "SPANLOOM_BUDGETS"
VERSION: Final = 1

_log = logging.getLogger("spanloom")
_changing = threading.Lock()
# Made with the first budget; without one, calls pay for one look at this name.
ledger: Ledger | None = None
_remove_gate: Callable[[], None] | None = None


def add_budget(
    name: str,
    limit_usd: float,
    *,
    per: Period,
    by: str | Sequence[str] = (),
    match: Mapping[str, Sequence[str]] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    action: Action = "tell",
    keys_in_metrics: int = KEYS_IN_METRICS,
    store: BudgetStore | None = None,
) -> Callable[[], None]:
    """Limit what calls spend; the function that is returned takes the budget out again (twice is harmless)::

        add_budget("users", 5.00, per="day", by="user", action="raise")

    ``limit_usd`` is in US dollars, above 0, for each ``"minute"``, ``"hour"``, ``"day"`` or ``"month"`` of UTC.
    ``by``: one sum for each value of ``user``, ``session``, ``tenant``, ``conversation``, ``prompt`` (which
    ``spanloom.trace.context`` says), ``model``, ``provider``, ``tag.NAME``, any attribute that the context carries, or
    of several of these; without it there is one sum.
    ``match``: only calls with one of these values (globs) in a field: ``{"model": ["gpt-5*"]}``.
    ``thresholds``: shares of the limit that are told once in each window, as log line, metric and span event.
    ``action="raise"``: a call that begins when the limit is reached gets ``BudgetExceeded``, and nothing is sent.
    ``keys_in_metrics``: keys with a point in ``spanloom.budget.spent``, those that spent most.
    ``store``: where the sums are kept; by default in this process.

    ``ValueError`` for what makes no sense, with its field, and for a name that is taken.
    """
    keys = (by,) if isinstance(by, str) else tuple(by)
    budget = Budget(name, limit_usd, per, keys, match or {}, thresholds, action, keys_in_metrics)
    return add(budget, store)


def add(budget: Budget, store: BudgetStore | None = None) -> Callable[[], None]:
    """The same with a whole ``Budget``."""
    global ledger, _remove_gate
    with _changing:
        if ledger is None:
            ledger = Ledger()
        counted_by = ledger
        forget = counted_by.add(budget, store or MemoryStore())
        _remove_gate = _remove_gate or hooks.add_gate(counted_by.gate)

    def remove() -> None:
        global _remove_gate
        with _changing:
            forget()
            if counted_by.is_empty and _remove_gate is not None:
                _remove_gate()
                _remove_gate = None

    return remove


def load_budgets(path: str) -> tuple[Budget, ...]:
    """The budgets of a file. Raises ``RuleFileError`` with every mistake, one a line: ``file:line: field: ...``."""
    return _budgets(read(path))


def loads_budgets(text: str, name: str = "budgets.yaml") -> tuple[Budget, ...]:
    """The budgets of a file's text; ``name`` stands before each mistake."""
    return _budgets(read_text(text, name))


def budgets_from_settings() -> None:
    """Add the budgets of ``SPANLOOM_BUDGETS``.

    Never raises: what is wrong is logged, a line for each mistake, and the service runs without any of the file's.
    """
    path = semconv.text(SETTING)
    if not path:
        return
    added: list[Callable[[], None]] = []
    try:
        for budget in load_budgets(path):
            added.append(add(budget))  # noqa: PERF401 - those before a name that is taken are taken out again
    except ValueError as error:
        for remove in added:
            remove()
        for line in str(error).splitlines():
            _log.warning("spanloom: %s: %s", SETTING, line)
        _log.warning("spanloom: %s: the file is not used, and NOTHING is limited by it", SETTING)


def _budgets(top: Section) -> tuple[Budget, ...]:
    top.version(VERSION)
    if "budgets" not in top:
        top.fail("budgets", "is missing")
    names: set[str] = set()
    found = tuple(_budget(row, names) for row in top.sections("budgets"))
    top.close()
    top.check()
    return found


def _budget(row: Section, names: set[str]) -> Budget:
    for name in ("name", "limit_usd", "per"):
        if name not in row:
            row.fail("", f"has no {name}")
    values: dict[str, Any] = {
        "name": _name(row, names),
        "limit_usd": _limit(row),
        "per": row.text("per", "day", PERIODS),
        "by": _by(row),
        "match": _match(row),
        "thresholds": _thresholds(row),
        "action": row.text("action", "tell", ACTIONS),
        "keys_in_metrics": row.integer("keys_in_metrics", KEYS_IN_METRICS, low=0),
    }
    row.close()
    return Budget(**values)


def _name(row: Section, names: set[str]) -> str:
    name = row.text("name", "?")
    if name in names:
        row.fail("name", f"{name} is the name of an earlier budget; it tells budgets apart")
    names.add(name)
    return name


def _limit(row: Section) -> float:
    limit = row.number("limit_usd", high=MAX_USD)
    if limit is not None and limit < 1e-9:
        row.fail("limit_usd", "would let nothing through; a limit is a billionth of a dollar or more")
        return 1.0
    return 1.0 if limit is None else limit


def _by(row: Section) -> tuple[str, ...]:
    fields = row.texts("by")
    wrong = [one for one in fields if attribute_of(one) is None]
    for one in wrong:
        row.fail("by", field_mistake(one))
    if len(fields) > MAX_FIELDS:
        row.fail("by", f"has more than {MAX_FIELDS} fields")
    return () if wrong else fields[:MAX_FIELDS]


def _match(row: Section) -> dict[str, tuple[str, ...]]:
    below = row.section("match")
    found: dict[str, tuple[str, ...]] = {}
    for name in below.names() if below else ():
        assert below is not None
        values = tuple(text(one) for one in below.values(name))
        if attribute_of(name) is None:
            below.fail(name, field_mistake(name))
        elif below.is_empty(name):
            below.fail(name, "is an empty list, which no call fits")
        else:
            found[name] = values
    return found


def _thresholds(row: Section) -> tuple[float, ...]:
    if "thresholds" not in row:
        return THRESHOLDS
    found: list[float] = []
    for value in row.values("thresholds"):
        if isinstance(value, (str, bool)) or not is_threshold(value):
            row.fail("thresholds", threshold_mistake(value))
        else:
            found.append(float(value))
    return tuple(found)
