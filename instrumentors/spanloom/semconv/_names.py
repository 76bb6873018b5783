"""Names of the GenAI registry, one class a namespace. Plain strings: attribute keys go straight into spans."""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"


class Operation:
    """Values of ``gen_ai.operation.name``."""

    CHAT = "chat"
    TEXT_COMPLETION = "text_completion"
    GENERATE_CONTENT = "generate_content"
    EMBEDDINGS = "embeddings"
    EXECUTE_TOOL = "execute_tool"
    INVOKE_AGENT = "invoke_agent"
    INVOKE_WORKFLOW = "invoke_workflow"


class Provider:
    """Values of ``gen_ai.provider.name``."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure.ai.openai"
    AZURE_INFERENCE = "azure.ai.inference"
    ANTHROPIC = "anthropic"
    AWS_BEDROCK = "aws.bedrock"
    COHERE = "cohere"
    DEEPSEEK = "deepseek"
    GEMINI = "gcp.gemini"
    VERTEX_AI = "gcp.vertex_ai"
    GROQ = "groq"
    MISTRAL = "mistral_ai"
    MOONSHOT = "moonshot_ai"
    PERPLEXITY = "perplexity"
    WATSONX = "ibm.watsonx.ai"
    X_AI = "x_ai"


class GenAI:
    """Attributes of the ``gen_ai`` namespace."""

    OPERATION_NAME = "gen_ai.operation.name"
    PROVIDER_NAME = "gen_ai.provider.name"
    OUTPUT_TYPE = "gen_ai.output.type"
    CONVERSATION_ID = "gen_ai.conversation.id"
    WORKFLOW_NAME = "gen_ai.workflow.name"
    AGENT_NAME = "gen_ai.agent.name"

    REQUEST_MODEL = "gen_ai.request.model"
    REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
    REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
    REQUEST_SEED = "gen_ai.request.seed"
    REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
    REQUEST_STREAM = "gen_ai.request.stream"
    REQUEST_TEMPERATURE = "gen_ai.request.temperature"
    REQUEST_TOP_P = "gen_ai.request.top_p"

    RESPONSE_ID = "gen_ai.response.id"
    RESPONSE_MODEL = "gen_ai.response.model"
    RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
    RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"

    INPUT_MESSAGES = "gen_ai.input.messages"
    OUTPUT_MESSAGES = "gen_ai.output.messages"
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
    TOOL_DEFINITIONS = "gen_ai.tool.definitions"

    TOOL_NAME = "gen_ai.tool.name"
    TOOL_TYPE = "gen_ai.tool.type"
    TOOL_DESCRIPTION = "gen_ai.tool.description"
    TOOL_CALL_ID = "gen_ai.tool.call.id"
    TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
    TOOL_CALL_RESULT = "gen_ai.tool.call.result"

    TOKEN_MODALITY = "gen_ai.token.modality"
    USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
    USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
    USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"


class OpenAI:
    """Attributes of the ``openai`` namespace."""

    API_TYPE = "openai.api.type"
    REQUEST_SERVICE_TIER = "openai.request.service_tier"
    RESPONSE_SERVICE_TIER = "openai.response.service_tier"
    RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"


class Server:
    """The peer of a client span."""

    ADDRESS = "server.address"
    PORT = "server.port"


class HTTPServer:
    """What the workbench reads from HTTP spans of other instrumentations (stable and older names)."""

    METHOD = "http.request.method"
    METHOD_OLD = "http.method"
    ROUTE = "http.route"
    TARGET_OLD = "http.target"
    URL = "url.full"
    URL_OLD = "http.url"
    URL_PATH = "url.path"
    STATUS_CODE = "http.response.status_code"
    STATUS_CODE_OLD = "http.status_code"


class Error:
    """Attributes of failures."""

    TYPE = "error.type"
    OTHER = "_OTHER"


def span_name(operation: str, target: str | None) -> str:
    """``{operation} {target}``, or the bare operation where the target is unknown (the conventions' rule)."""
    return f"{operation} {target}" if target else operation
