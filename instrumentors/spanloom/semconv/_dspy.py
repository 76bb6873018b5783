"""Names of what DSPy's programs tell about themselves. The registry has none; all of them are ours."""

from __future__ import annotations


class DSpy:
    """What a DSPy program tells about itself; no convention has names for it."""

    MODULE = "dspy.module"
    # Below the outermost module that runs, as ``named_sub_modules`` spells it.
    MODULE_PATH = "dspy.module.path"
    # True for a module that an optimizer has made.
    MODULE_COMPILED = "dspy.module.compiled"
    SIGNATURE = "dspy.signature"
    SIGNATURE_NAME = "dspy.signature.name"
    # The beginning of the SHA-256 of the instructions: which version of the prompt ran.
    INSTRUCTIONS_HASH = "dspy.instructions.hash"
    DEMOS_COUNT = "dspy.demos.count"
    INPUTS = "dspy.inputs"
    OUTPUTS = "dspy.outputs"

    # ``BestOfN`` and ``Refine``: which attempt a module runs for, from 0 on, what it was worth, and which was taken.
    ATTEMPT_INDEX = "dspy.attempt.index"
    ATTEMPT_REWARD = "dspy.attempt.reward"
    ATTEMPT_CHOSEN = "dspy.attempt.chosen"

    AGENT_ITERATIONS = "dspy.agent.iterations"
    # "finish", "max_iters", "parse_error", "context_window" or "empty_tool_calls".
    AGENT_TERMINATION = "dspy.agent.termination"

    LM_CLASS = "dspy.lm.class"
    # "lm15" (DSPy's own client), "litellm", "custom" (an engine of the application's) or "legacy" (``forward``).
    LM_ENGINE = "dspy.lm.engine"
    LM_ROLLOUT_ID = "dspy.lm.rollout_id"
    CACHE_HIT = "dspy.cache.hit"
    # Which attempt failed, from 1 on, and how long the server asks to wait.
    LM_ATTEMPT = "dspy.lm.attempt"
    LM_RETRY_AFTER_S = "dspy.lm.retry_after_s"

    ADAPTER = "dspy.adapter"
    ADAPTER_FROM = "dspy.adapter.from"
    ADAPTER_TO = "dspy.adapter.to"
    # What the model said that could not be parsed: content.
    ADAPTER_LM_RESPONSE = "dspy.adapter.lm_response"

    # What runs the code that a model wrote.
    INTERPRETER = "dspy.interpreter"

    PARALLEL_SIZE = "dspy.parallel.size"
    PARALLEL_THREADS = "dspy.parallel.num_threads"
    PARALLEL_FAILED = "dspy.parallel.failed"
    # True for an item that was handed out once more, since it was slow.
    PARALLEL_RESUBMITTED = "dspy.parallel.resubmitted"

    EVALUATE_METRIC = "dspy.evaluate.metric"
    EVALUATE_SIZE = "dspy.evaluate.devset.size"
    # Of the whole set, in per cent, as ``Evaluate`` returns it; of one example, as the metric does.
    EVALUATE_SCORE = "dspy.evaluate.score"
    EVALUATE_FAILED = "dspy.evaluate.failed"
    # What an optimizer says of this evaluation.
    EVALUATE_METADATA = "dspy.evaluate.metadata"
    EXAMPLE_INDEX = "dspy.example.index"

    OPTIMIZER = "dspy.optimizer"
    # JSON: the optimizer's plain settings.
    COMPILE_CONFIG = "dspy.compile.config"
    COMPILE_TRAINSET_SIZE = "dspy.compile.trainset.size"
    COMPILE_VALSET_SIZE = "dspy.compile.valset.size"
    # The score of what is returned, where the optimizer tells it.
    COMPILE_SCORE = "dspy.compile.score"
    COMPILE_CANDIDATES = "dspy.compile.candidates"
    COMPILE_BEST = "dspy.compile.best"
    COMPILE_METRIC_CALLS = "dspy.compile.metric_calls"
    # The most metric calls that the optimizer may make.
    COMPILE_BUDGET = "dspy.compile.budget"
    COMPILE_DEMOS = "dspy.compile.bootstrapped_demos"
    # The optimizers, by the names that the application gave them, that made what is returned ("p -> w"); and true where
    # one of them failed, so that those after it did not run (BetterTogether).
    COMPILE_STRATEGY = "dspy.compile.strategy"
    COMPILE_STEP_FAILED = "dspy.compile.step_failed"
    # How many rounds there were, and their scores by number, as JSON, where they have one (SIMBA).
    COMPILE_TRIALS = "dspy.compile.trials"
    COMPILE_TRIAL_SCORES = "dspy.compile.trial_scores"

    CANDIDATE_INDEX = "dspy.candidate.index"
    CANDIDATE_SCORE = "dspy.candidate.score"
    # The beginning of the SHA-256 of instructions and demos: the same program has the same one in every event and span.
    CANDIDATE_HASH = "dspy.candidate.hash"
    CANDIDATE_PARENTS = "dspy.candidate.parents"
    # The candidate's instructions by predictor, as JSON: content.
    CANDIDATE_INSTRUCTIONS = "dspy.candidate.instructions"
    # "full" or "minibatch": what its score is of.
    CANDIDATE_EVALUATION = "dspy.candidate.evaluation"
    CANDIDATE_SEED = "dspy.candidate.seed"
    # Which optimizers made it; the program as it was has none (BetterTogether).
    CANDIDATE_STRATEGY = "dspy.candidate.strategy"
    # "accepted" or "rejected", by an optimizer that decides on each (GEPA), and why it was rejected. A reason that is
    # not GEPA's own is content.
    CANDIDATE_OUTCOME = "dspy.candidate.outcome"
    CANDIDATE_REASON = "dspy.candidate.reason"
    # Which instruction and which set of demos each predictor has, as JSON (MIPROv2).
    CANDIDATE_PARAMETERS = "dspy.candidate.parameters"
    ITERATION = "dspy.iteration"


class DSpySpan:
    """Spans of DSPy's that no operation of the conventions fits; modules have their class and path."""

    ADAPTER_FORMAT = "dspy.adapter.format"
    ADAPTER_PARSE = "dspy.adapter.parse"
    PARALLEL = "dspy.parallel"
    EVALUATE = "dspy.evaluate"
    EVALUATE_EXAMPLE = "dspy.evaluate.example"
    COMPILE = "dspy.compile"
    # One candidate of an optimizer with its score. A span and no event: an SDK keeps the last 128 events of a span.
    CANDIDATE = "dspy.candidate"
    # An ``Embedder`` of a function: it runs in the process.
    EMBEDDER = "dspy.embedder"


class DSpyEvent:
    """Span events."""

    ADAPTER_FORMAT = "dspy.adapter.format"
    ADAPTER_PARSE = "dspy.adapter.parse"
    # The first adapter could not read the answer, another one asks again.
    ADAPTER_FALLBACK = "dspy.adapter.fallback"
    # An attempt of ``BestOfN`` or ``Refine`` has its reward, or the reward function failed.
    ATTEMPT = "dspy.attempt"
    # One attempt of a model call failed, and another may follow.
    LM_ATTEMPT_FAILED = "dspy.lm.attempt_failed"
