"""The DSPy program behind ``POST /ask``: retrieve, rerank, draft, then let an agent check stock and delivery."""

from __future__ import annotations

import dspy

from rag import corpus
from rag.tools import delivery_days, stock_level


class Rerank(dspy.Signature):
    """Choose the passages that help to answer the question."""

    question: str = dspy.InputField()
    passages: list[str] = dspy.InputField()
    best: list[int] = dspy.OutputField(desc="positions of the helpful passages, counted from 0, best first")


class Draft(dspy.Signature):
    """Answer the question from the context."""

    question: str = dspy.InputField()
    context: list[str] = dspy.InputField()
    draft: str = dspy.OutputField()


class Answer(dspy.Signature):
    """Complete the draft with what the tools know about stock and delivery."""

    question: str = dspy.InputField()
    draft: str = dspy.InputField()
    answer: str = dspy.OutputField()


class HandbookProgram(dspy.Module):
    """question -> answer, sources."""

    def __init__(self) -> None:
        super().__init__()
        self.rerank = dspy.Predict(Rerank)
        self.draft = dspy.ChainOfThought(Draft)
        self.agent = dspy.ReAct(Answer, tools=[stock_level, delivery_days], max_iters=4)

    def forward(self, question: str) -> dspy.Prediction:
        """Answer one question."""
        found = corpus.search(question)
        ranked = self.rerank(question=question, passages=[document.text for document in found])
        sources = [found[position] for position in ranked.best if 0 <= position < len(found)][:2]
        drafted = self.draft(question=question, context=[document.text for document in sources])
        final = self.agent(question=question, draft=drafted.draft)
        return dspy.Prediction(answer=final.answer, sources=[document.id for document in sources])
