"""Names that the registry does not have (yet), each with its source."""

from __future__ import annotations


class Spanloom:
    """Our own namespace, and names of conventions still in review."""

    # semantic-conventions-genai#443 (open): the cost of one inference, on inference spans only.
    COST_AMOUNT = "gen_ai.usage.cost.amount"
    COST_CURRENCY = "gen_ai.usage.cost.currency"
    COST_SOURCE = "gen_ai.usage.cost.source"
    # Ours: why a call has an amount, or none: priced, provider (the provider told it), free, cached, unknown_model,
    # unknown_deployment, unknown_usage, unknown_price.
    COST_STATUS = "spanloom.cost.status"
    # Ours: the data that the price is from.
    COST_PRICE_VERSION = "spanloom.cost.price_version"
    # Ours: the parts of the amount, in its currency, where they are asked for. No token is in two of them.
    COST_INPUT = "spanloom.cost.input"
    COST_OUTPUT = "spanloom.cost.output"
    COST_CACHE_READ = "spanloom.cost.cache_read"
    COST_CACHE_WRITE = "spanloom.cost.cache_write"
    COST_REASONING = "spanloom.cost.reasoning"
    COST_OTHER = "spanloom.cost.other"

    # Ours: what was counted against a limit of money, the values of its key joined by commas, and how much of it.
    BUDGET_NAME = "spanloom.budget.name"
    BUDGET_KEY = "spanloom.budget.key"
    # The share of the limit that was reached, from 0 on.
    BUDGET_THRESHOLD = "spanloom.budget.threshold"
    BUDGET_SPENT_USD = "spanloom.budget.spent_usd"
    BUDGET_LIMIT_USD = "spanloom.budget.limit_usd"
    # When the window ends, and the sum begins at 0 again: ISO 8601, UTC.
    BUDGET_RESETS_AT = "spanloom.budget.resets_at"

    # Ours: sums over the spans below, under names of their own so that summing gen_ai.* never counts twice.
    SUBTREE_INPUT_TOKENS = "spanloom.subtree.input_tokens"
    SUBTREE_OUTPUT_TOKENS = "spanloom.subtree.output_tokens"
    SUBTREE_LLM_CALLS = "spanloom.subtree.llm_calls"
    SUBTREE_CACHE_HITS = "spanloom.subtree.cache_hits"
    SUBTREE_COST = "spanloom.subtree.cost"
    SUBTREE_UNPRICED_CALLS = "spanloom.subtree.unpriced_calls"
    # True where a call below has ended after a span between: that span's own sums are without it.
    SUBTREE_INCOMPLETE = "spanloom.subtree.incomplete"

    # Ours: how a streamed call ended when its reader did not see the end: "closed", "cancelled" or "dropped".
    STREAM_END = "spanloom.stream.end"
    STREAM_CHUNKS = "spanloom.stream.chunks"
    # Ours: seconds between two chunks of the stream.
    STREAM_CHUNK_INTERVAL_MIN_S = "spanloom.stream.chunk_interval_min_s"
    STREAM_CHUNK_INTERVAL_MEAN_S = "spanloom.stream.chunk_interval_mean_s"
    STREAM_CHUNK_INTERVAL_MAX_S = "spanloom.stream.chunk_interval_max_s"

    # Ours: the path below the base URL, of calls that the conventions have no operation for.
    OPENAI_ENDPOINT = "spanloom.openai.endpoint"
    # Ours: HTTP requests made for one call, the first one and its retries.
    REQUEST_ATTEMPTS = "spanloom.request.attempts"
    # Ours, from headers of the response: x-request-id (or apim-request-id), openai-processing-ms,
    # x-ratelimit-remaining-*.
    RESPONSE_REQUEST_ID = "spanloom.response.request_id"
    RESPONSE_PROCESSING_S = "spanloom.response.processing_s"
    RATELIMIT_REMAINING_REQUESTS = "spanloom.ratelimit.remaining_requests"
    RATELIMIT_REMAINING_TOKENS = "spanloom.ratelimit.remaining_tokens"
    # Ours: true where the response is made in the background, and this call only started it.
    RESPONSE_BACKGROUND = "spanloom.response.background"
    # Ours, of a tool that the provider runs: its kind (``mcp``, where the tool's name is the server's), and what the
    # response says of it ("completed", "failed", ...).
    SERVER_TOOL = "spanloom.server_tool"
    SERVER_TOOL_STATUS = "spanloom.server_tool.status"
    # Ours: the texts of an embeddings request, which the registry has no name for; of token ids only their number.
    EMBEDDINGS_INPUT = "spanloom.embeddings.input"

    # Ours: the conventions have id and version of remote agents only (semantic-conventions-genai#242, #322). One of
    # this process has them as well, and its version is what changes from one deployment to the next.
    AGENT_ID = "spanloom.agent.id"
    AGENT_VERSION = "spanloom.agent.version"
    # Ours: what an agent thought, in its own words: content.
    AGENT_THOUGHT = "spanloom.agent.thought.text"

    # Ours, of links: what the span that is linked to is to this one (``Link``).
    LINK = "spanloom.link"
    # Ours: why something was let go before its time: "full" or "expired".
    DROP_REASON = "spanloom.drop.reason"

    # Ours, by ``spanloom.trace.context``: whose data it is where one service has several customers; what the program
    # says besides, below this name; true where tail sampling is to keep the trace.
    TENANT = "spanloom.tenant"
    TAG = "spanloom.tag"
    KEEP = "spanloom.keep"
    # Ours: the rule that kept this span's trace, "baseline", "skeleton" for the root of one that was dropped, "fault"
    # where one of ours left it undecided.
    SAMPLING_REASON = "spanloom.sampling.reason"
    # Ours, of metrics: "kept" or "dropped"; and the bound at which a trace was decided before its end.
    SAMPLING_DECISION = "spanloom.sampling.decision"
    SAMPLING_BOUND = "spanloom.sampling.bound"
    # Ours: the rule that something was redacted by.
    REDACTION_RULE = "spanloom.redaction.rule"

    # Ours: the place in our code where a fault was caught (attribute of spanloom.internal.errors).
    PLACE = "spanloom.place"


class Caller:
    """Who is behind a request: names of the core conventions."""

    USER_ID = "user.id"
    SESSION_ID = "session.id"


class SpanloomEvent:
    """Span events of our own."""

    # A call after which a budget was spent by one of its thresholds.
    BUDGET_THRESHOLD = "spanloom.budget.threshold_reached"
    # One call of a tool that the provider ran while it made the response.
    SERVER_TOOL_CALL = "spanloom.server_tool_call"
    # The turns of an agent that is told by hand: what it thought, which tool it chose, what it saw.
    AGENT_THOUGHT = "spanloom.agent.thought"
    AGENT_ACTION = "spanloom.agent.action"
    AGENT_OBSERVATION = "spanloom.agent.observation"
    # A request has a tool call of the model's without its answer; and an answer to a call that nobody asked for.
    TOOL_UNANSWERED = "spanloom.tool.unanswered"
    TOOL_UNASKED = "spanloom.tool.unasked"


class ForeignContent:
    """Where other instrumentations write prompts and answers. Read, never written."""

    # OpenLLMetry 0.5x and OpenLIT 1.4x; before the conventions had names.
    TRACELOOP_INPUT = "traceloop.entity.input"
    TRACELOOP_OUTPUT = "traceloop.entity.output"
    PROMPT = "gen_ai.prompt"
    COMPLETION = "gen_ai.completion"
    # OpenInference 0.1.
    INPUT_VALUE = "input.value"
    OUTPUT_VALUE = "output.value"
    LLM_PROMPTS = "llm.prompts"
    LLM_INVOCATION_PARAMETERS = "llm.invocation_parameters"
    # Logfire 5.
    REQUEST_DATA = "request_data"
    RESPONSE_DATA = "response_data"
    ALL_MESSAGES = "all_messages_events"
    EVENTS = "events"
    # With an index and a field behind them (``gen_ai.prompt.0.content``).
    INDEXED = ("gen_ai.prompt.", "gen_ai.completion.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.")


class ForeignCall:
    """Where other instrumentations write what a model call is priced by. Read, never written. Each in order of age.

    OpenLLMetry 0.5x (``gen_ai.usage.prompt_tokens``, ``llm.request.type``, ``llm.usage.*``), OpenInference 0.1
    (``llm.token_count.*``), the conventions until v1.41 (``cache_creation``), Logfire 5 and OpenLIT 1.4x.
    """

    REQUEST_TYPE = "llm.request.type"
    SPAN_KIND = "openinference.span.kind"
    PROVIDER = ("llm.provider", "llm.system")
    REQUEST_MODEL = ("llm.request.model_name", "llm.model_name", "embedding.model_name", "llm.request.model")
    RESPONSE_MODEL = ("llm.response.model_name", "llm.response.model")
    INPUT_TOKENS = ("gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens")
    OUTPUT_TOKENS = ("gen_ai.usage.completion_tokens", "llm.token_count.completion", "llm.usage.completion_tokens")
    TOTAL_TOKENS = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens")
    CACHE_READ_TOKENS = ("gen_ai.usage.cache_read_input_tokens", "llm.token_count.prompt_details.cache_read")
    CACHE_WRITE_TOKENS = (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    )
    REASONING_TOKENS = (
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "llm.usage.reasoning_tokens",
    )


class CostCopy:
    """The amount by the names of other backends, where ``SPANLOOM_COST_COMPAT`` asks for them."""

    # Logfire 5.
    LOGFIRE = "operation.cost"
    # OpenInference 0.1.
    OPENINFERENCE = "llm.cost.total"


class Link:
    """Values of ``spanloom.link``: what the other span has done."""

    # The inference whose answer asks for this tool call, or for those that this request answers.
    ASKED_BY = "asked_by"
    # The execution of a tool whose result this request brings to the model.
    EXECUTED_BY = "executed_by"


class OtherProvider:
    """Providers without a value in the registry, which is open: as LiteLLM 1.83 spells them, unless said otherwise.

    LiteLLM's are the names that most programs already write before the model (``together_ai/...``), and the ones that
    the price table is asked with.
    """

    # Aggregators and gateways.
    CLOUDFLARE = "cloudflare"
    GITHUB = "github"
    GITHUB_COPILOT = "github_copilot"
    HUGGINGFACE = "huggingface"
    OPENROUTER = "openrouter"
    VERCEL_AI_GATEWAY = "vercel_ai_gateway"
    # Hosts of models.
    AI21 = "ai21"
    BASETEN = "baseten"
    CEREBRAS = "cerebras"
    CHUTES = "chutes"
    DASHSCOPE = "dashscope"
    DATABRICKS = "databricks"
    DEEPINFRA = "deepinfra"
    FEATHERLESS_AI = "featherless_ai"
    FIREWORKS_AI = "fireworks_ai"
    FRIENDLIAI = "friendliai"
    HYPERBOLIC = "hyperbolic"
    LAMBDA_AI = "lambda_ai"
    META_LLAMA = "meta_llama"
    MINIMAX = "minimax"
    NEBIUS = "nebius"
    NOVITA = "novita"
    NSCALE = "nscale"
    # The product's name (NIM), as LiteLLM has it: NVIDIA makes more than one thing.
    NVIDIA = "nvidia_nim"
    OVHCLOUD = "ovhcloud"
    SAMBANOVA = "sambanova"
    SNOWFLAKE = "snowflake"
    TOGETHER_AI = "together_ai"
    # Not in LiteLLM; as DSPy calls it.
    TYPESAFE = "typesafe"
    VOLCENGINE = "volcengine"
    WANDB = "wandb"
    ZAI = "zai"
    # Servers that one runs oneself.
    DOCKER_MODEL_RUNNER = "docker_model_runner"
    LITELLM_PROXY = "litellm_proxy"
    # Not in LiteLLM; the project's own name (llama.cpp) in the registry's way of writing.
    LLAMA_CPP = "llama_cpp"
    LLAMAFILE = "llamafile"
    LM_STUDIO = "lm_studio"
    OLLAMA = "ollama"
    # Not in LiteLLM; the project's own name.
    SGLANG = "sglang"
    VLLM = "vllm"
    XINFERENCE = "xinference"


class OlderGenAI:
    """Names that the conventions have dropped, and other recorders still write: they are read, never written."""

    # Until v1.37.
    SYSTEM = "gen_ai.system"


class HTTPServer:
    """What is read from, or told beside, HTTP: the core conventions' stable and older names."""

    METHOD = "http.request.method"
    METHOD_OLD = "http.method"
    ROUTE = "http.route"
    TARGET_OLD = "http.target"
    URL = "url.full"
    URL_OLD = "http.url"
    URL_PATH = "url.path"
    STATUS_CODE = "http.response.status_code"
    STATUS_CODE_OLD = "http.status_code"


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
