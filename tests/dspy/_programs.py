"""Programs and LMs as applications have them."""

from __future__ import annotations

from typing import Any

import dspy
from dspy.utils.dummies import DummyLM

ERRORS = Exception


class Pipe(dspy.Module):
    """Predictors as attributes, in a list and in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = dspy.ChainOfThought("question -> answer")
        self.checks = [dspy.Predict("answer -> verdict"), dspy.Predict("answer -> verdict")]
        self.named = {"final": dspy.Predict("question, answer -> summary")}

    def forward(self, question: str) -> dspy.Prediction:
        answer = self.draft(question=question).answer
        for check in self.checks:
            check(answer=answer)
        return self.named["final"](question=question, answer=answer)

    async def aforward(self, question: str) -> dspy.Prediction:
        answer = (await self.draft.acall(question=question)).answer
        for check in self.checks:
            await check.acall(answer=answer)
        return await self.named["final"].acall(question=question, answer=answer)


class Outer(dspy.Module):
    """A program in a program."""

    def __init__(self) -> None:
        super().__init__()
        self.pipe = Pipe()

    def forward(self, question: str) -> dspy.Prediction:
        return self.pipe(question=question)


class Failing(dspy.Module):
    """Raises what it is given."""

    def forward(self, error: BaseException) -> None:
        raise error


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def divide(a: int, b: int) -> float:
    """Divides two numbers."""
    return a / b


async def later(a: int) -> int:
    """Gives it back."""
    return a


def step(tool: str, **args: Any) -> dict[str, Any]:
    """One step of an agent."""
    return {"next_thought": f"I use {tool}", "next_tool_name": tool, "next_tool_args": args}


def agent_lm() -> DummyLM:
    """Adds, fails to divide, finishes, answers."""
    end = [step("finish"), {"reasoning": "done", "answer": "3"}]
    return DummyLM([step("add", a=1, b=2), step("divide", a=1, b=0), *end])


def agent() -> dspy.ReAct:
    """Two tools."""
    return dspy.ReAct("question -> answer", tools=[add, divide])


class Legacy(dspy.BaseLM):
    """An LM of the application's own, as people wrote them for years."""

    def __init__(self, model: str = "house/model-1", **kwargs: Any) -> None:
        super().__init__(model, **kwargs)

    def forward(self, prompt: str | None = None, messages: Any = None, **kwargs: Any) -> Any:
        from openai.types.chat import ChatCompletion

        return ChatCompletion.model_validate(
            {
                "id": "house-1",
                "object": "chat.completion",
                "created": 1,
                "model": "model-1-turbo",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": "[[ ## answer ## ]]\nblue\n[[ ## completed ## ]]"},
                    }
                ],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }
        )
