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
    COST_AUDIO = "spanloom.cost.audio"
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
    # True where sums lack a call: one was open when the span ended, or ended after a span between, whose sums lack it.
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
    AUDIO_INPUT_TOKENS = ("llm.token_count.prompt_details.audio",)
    AUDIO_OUTPUT_TOKENS = ("llm.token_count.completion_details.audio",)
    SERVER_ADDRESS = ("net.peer.name", "gen_ai.openai.api_base")
    RESPONSE_SERVICE_TIER = ("gen_ai.openai.response.service_tier",)
    REQUEST_SERVICE_TIER = ("gen_ai.openai.request.service_tier",)
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
