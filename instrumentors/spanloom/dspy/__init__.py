"""DSPy programs as one tree: modules, predictors, model calls and tools."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from spanloom.genai import Instrumentor

if TYPE_CHECKING:
    from spanloom.genai import Target, Telemetry

__all__ = ["DSPyInstrumentor"]


class DSPyInstrumentor(Instrumentor):
    """Records DSPy (3.3 up to 3.x) by patches of its classes: no callbacks, no ``dspy.configure``, no usage tracker."""

    scope = "spanloom.dspy"
    entry_point = "spanloom_dspy"
    requires = ("dspy >= 3.3, < 4",)
    # Nothing is patched in the first one: a version that is too old or too new may have none of the others, and is told
    # of.
    modules = (
        "dspy",
        "dspy._vendor.lm15.transports._async",
        "dspy._vendor.lm15.transports._sync",
        "dspy.adapters.base",
        "dspy.adapters.chat_adapter",
        "dspy.adapters.two_step_adapter",
        "dspy.adapters.types.tool",
        "dspy.clients.base_lm",
        "dspy.clients.embedding",
        "dspy.clients.engines.streaming",
        "dspy.clients.execution",
        "dspy.clients.lm",
        "dspy.clients.typesafe",
        "dspy.dsp.colbertv2",
        "dspy.dsp.utils.settings",
        "dspy.evaluate.evaluate",
        "dspy.predict.best_of_n",
        "dspy.predict.knn",
        "dspy.predict.predict",
        "dspy.predict.program_of_thought",
        "dspy.predict.react",
        "dspy.predict.react_v2",
        "dspy.predict.refine",
        "dspy.predict.rlm",
        "dspy.primitives.local_interpreter",
        "dspy.primitives.module",
        "dspy.primitives.python_interpreter",
        "dspy.retrievers.embeddings",
        "dspy.retrievers.retrieve",
        "dspy.teleprompt.avatar_optimizer",
        "dspy.teleprompt.bettertogether",
        "dspy.teleprompt.bootstrap",
        "dspy.teleprompt.bootstrap_finetune",
        "dspy.teleprompt.copro_optimizer",
        "dspy.teleprompt.ensemble",
        "dspy.teleprompt.gepa.gepa",
        "dspy.teleprompt.grpo",
        "dspy.teleprompt.infer_rules",
        "dspy.teleprompt.knn_fewshot",
        "dspy.teleprompt.mipro_optimizer_v2",
        "dspy.teleprompt.random_search",
        "dspy.teleprompt.reanchor.reanchor",
        "dspy.teleprompt.signature_opt",
        "dspy.teleprompt.simba",
        "dspy.teleprompt.teleprompt",
        "dspy.teleprompt.teleprompt_optuna",
        "dspy.teleprompt.vanilla",
        "dspy.utils.parallelizer",
        "dspy.utils.unbatchify",
        # GEPA's engine is a package of its own.
        "gepa",
    )

    def targets(self, telemetry: Telemetry) -> Iterable[Target]:
        """The classes and functions of ``_targets``."""
        from spanloom.dspy._targets import targets

        return targets(telemetry)

    def _uninstrument(self, **kwargs: Any) -> None:
        compiling = sys.modules.get("spanloom.dspy._compile")
        if compiling is not None:
            compiling.put_back()
        super()._uninstrument(**kwargs)
