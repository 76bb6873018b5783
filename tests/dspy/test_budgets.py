"""Budgets and DSPy: a program whose budget is spent stops before its next model call."""

from __future__ import annotations

import dspy
import pytest

from spanloom import trace
from spanloom.cost import BudgetExceeded
from tests._support.budgets import ledger

__all__ = ["ledger"]
pytestmark = pytest.mark.usefixtures("plugin")
ADA = {"user.id": "ada"}


def test_nothing_is_sent(lm, server, ledger, recorder):
    """Neither by an LM itself nor by a predictor, whose adapter would try another way after a failure."""
    ledger.spend(ADA, 1.0)
    with trace.context(user="ada"):
        with pytest.raises(BudgetExceeded):
            lm("Hi")
        with pytest.raises(BudgetExceeded):
            dspy.Predict("question -> answer")(question="Which river?")
    assert server.ledger.entries == []
    failed = [span for span in recorder.spans if "spanloom.budget.name" in span.attributes]
    assert {span.attributes["error.type"] for span in failed} == {"spanloom.cost.BudgetExceeded"}


def test_threads_of_dspy_have_the_caller_s_user(lm, server, ledger):
    """``dspy.Parallel`` carries the context on: no item is sent for a user whose dollar is gone."""
    ledger.spend(ADA, 1.0)
    program = dspy.Predict("question -> answer")
    pairs = [(program, {"question": f"Which river? {number}"}) for number in range(4)]
    with trace.context(user="ada"):
        run = dspy.Parallel(num_threads=2, max_errors=100, disable_progress_bar=True)
        assert run(pairs) == [None] * 4
    assert server.ledger.entries == []
    with trace.context(user="bob"):
        assert None not in dspy.Parallel(num_threads=2, disable_progress_bar=True)(pairs)
