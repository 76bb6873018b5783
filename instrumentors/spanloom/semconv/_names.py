"""Names of the GenAI registry, one class a namespace: plain strings, which go straight into spans."""

# Generated from tests/fixtures/semconv by `make semconv`: change the data or tests/semconv/_generate.py.

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"


class Operation:
    """Values of ``gen_ai.operation.name``."""

    CHAT = "chat"
    GENERATE_CONTENT = "generate_content"
    TEXT_COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"
    RETRIEVAL = "retrieval"
    FETCH_RESPONSE = "fetch_response"
    EXECUTE_TOOL = "execute_tool"
    CREATE_AGENT = "create_agent"
    INVOKE_AGENT = "invoke_agent"
    INVOKE_WORKFLOW = "invoke_workflow"
    PLAN = "plan"


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
    GOOGLE_GEN_AI = "gcp.gen_ai"
    VERTEX_AI = "gcp.vertex_ai"
    GROQ = "groq"
    WATSONX = "ibm.watsonx.ai"
    MISTRAL = "mistral_ai"
    MOONSHOT = "moonshot_ai"
    PERPLEXITY = "perplexity"
    X_AI = "x_ai"


class OutputType:
    """Values of ``gen_ai.output.type``."""

    TEXT = "text"
    JSON = "json"
    IMAGE = "image"
    SPEECH = "speech"


class FinishReason:
    """Values of ``gen_ai.response.finish_reasons``."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALL = "tool_call"
    COMPACTION = "compaction"
    ERROR = "error"


class ResponseStatus:
    """Values of ``gen_ai.response.status``."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ToolType:
    """Values of ``gen_ai.tool.type``."""

    FUNCTION = "function"
    EXTENSION = "extension"
    DATASTORE = "datastore"


class Modality:
    """Values of ``gen_ai.token.modality``."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    UNKNOWN = "unknown"


class TokenType:
    """Values of ``gen_ai.token.type``."""

    INPUT = "input"
    OUTPUT = "output"


class ApiType:
    """Values of ``openai.api.type``."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"


class GenAI:
    """Attributes of the ``gen_ai`` namespace."""

    AGENT_DESCRIPTION = "gen_ai.agent.description"
    AGENT_ID = "gen_ai.agent.id"
    AGENT_NAME = "gen_ai.agent.name"
    AGENT_VERSION = "gen_ai.agent.version"
    CONVERSATION_COMPACTED = "gen_ai.conversation.compacted"
    CONVERSATION_ID = "gen_ai.conversation.id"
    DATA_SOURCE_ID = "gen_ai.data_source.id"
    EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count"
    EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"
    EVALUATION_NAME = "gen_ai.evaluation.name"
    EVALUATION_SCORE_LABEL = "gen_ai.evaluation.score.label"
    EVALUATION_SCORE_VALUE = "gen_ai.evaluation.score.value"
    INPUT_MESSAGES = "gen_ai.input.messages"
    MEMORY_QUERY_TEXT = "gen_ai.memory.query.text"
    MEMORY_RECORD_COUNT = "gen_ai.memory.record.count"
    MEMORY_RECORD_ID = "gen_ai.memory.record.id"
    MEMORY_RECORDS = "gen_ai.memory.records"
    MEMORY_STORE_ID = "gen_ai.memory.store.id"
    OPERATION_NAME = "gen_ai.operation.name"
    OUTPUT_MESSAGES = "gen_ai.output.messages"
    OUTPUT_TYPE = "gen_ai.output.type"
    PROMPT_NAME = "gen_ai.prompt.name"
    PROMPT_VARIABLE = "gen_ai.prompt.variable"
    PROMPT_VERSION = "gen_ai.prompt.version"
    PROVIDER_NAME = "gen_ai.provider.name"
    REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
    REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats"
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
    REQUEST_MODEL = "gen_ai.request.model"
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
    REQUEST_PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id"
    REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
    REQUEST_SEED = "gen_ai.request.seed"
    REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
    REQUEST_STREAM = "gen_ai.request.stream"
    REQUEST_STREAM_CURSOR = "gen_ai.request.stream_cursor"
    REQUEST_TEMPERATURE = "gen_ai.request.temperature"
    REQUEST_TOP_K = "gen_ai.request.top_k"
    REQUEST_TOP_P = "gen_ai.request.top_p"
    RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
    RESPONSE_ID = "gen_ai.response.id"
    RESPONSE_MODEL = "gen_ai.response.model"
    RESPONSE_STATUS = "gen_ai.response.status"
    RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
    RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
    RETRIEVAL_QUERY_TEXT = "gen_ai.retrieval.query.text"
    RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
    TOKEN_MODALITY = "gen_ai.token.modality"
    TOKEN_TYPE = "gen_ai.token.type"
    TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
    TOOL_CALL_ID = "gen_ai.tool.call.id"
    TOOL_CALL_RESULT = "gen_ai.tool.call.result"
    TOOL_DEFINITIONS = "gen_ai.tool.definitions"
    TOOL_DESCRIPTION = "gen_ai.tool.description"
    TOOL_NAME = "gen_ai.tool.name"
    TOOL_TYPE = "gen_ai.tool.type"
    USAGE_AUDIO_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.audio.cache_read.input_tokens"
    USAGE_AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens"
    USAGE_AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens"
    USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
    USAGE_IMAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.image.cache_read.input_tokens"
    USAGE_IMAGE_INPUT_TOKENS = "gen_ai.usage.image.input_tokens"
    USAGE_IMAGE_OUTPUT_TOKENS = "gen_ai.usage.image.output_tokens"
    USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
    USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"
    USAGE_TEXT_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.text.cache_read.input_tokens"
    USAGE_TEXT_INPUT_TOKENS = "gen_ai.usage.text.input_tokens"
    USAGE_TEXT_OUTPUT_TOKENS = "gen_ai.usage.text.output_tokens"
    WORKFLOW_NAME = "gen_ai.workflow.name"


class OpenAI:
    """Attributes of the ``openai`` namespace."""

    API_TYPE = "openai.api.type"
    REQUEST_SERVICE_TIER = "openai.request.service_tier"
    RESPONSE_SERVICE_TIER = "openai.response.service_tier"
    RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"


class Mcp:
    """Attributes of the Model Context Protocol."""

    METHOD_NAME = "mcp.method.name"
    PROTOCOL_VERSION = "mcp.protocol.version"
    RESOURCE_URI = "mcp.resource.uri"
    SESSION_ID = "mcp.session.id"


class JsonRpc:
    """Attributes of the protocol below MCP."""

    PROTOCOL_VERSION = "jsonrpc.protocol.version"
    REQUEST_ID = "jsonrpc.request.id"


class Rpc:
    """Attributes of remote procedure calls that MCP spans share."""

    RESPONSE_STATUS_CODE = "rpc.response.status_code"


class Network:
    """The transport of an MCP span."""

    PROTOCOL_NAME = "network.protocol.name"
    PROTOCOL_VERSION = "network.protocol.version"
    TRANSPORT = "network.transport"


class Server:
    """The peer of a client span."""

    ADDRESS = "server.address"
    PORT = "server.port"


class Client:
    """The peer of a server span."""

    ADDRESS = "client.address"
    PORT = "client.port"


class Error:
    """Attributes of failures."""

    TYPE = "error.type"
    OTHER = "_OTHER"


class Exceptions:
    """Attributes of the exception event."""

    MESSAGE = "exception.message"
    STACKTRACE = "exception.stacktrace"
    TYPE = "exception.type"


class Event:
    """Names of events (log records)."""

    INFERENCE_DETAILS = "gen_ai.client.inference.operation.details"
    EXCEPTION = "gen_ai.client.operation.exception"
    EVALUATION_RESULT = "gen_ai.evaluation.result"
