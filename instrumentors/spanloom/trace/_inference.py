"""``inference``: a call of a model by a client that no plugin knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from spanloom.semconv import Operation
from spanloom.trace._block import Block
from spanloom.trace._check import left_out, one_of, text_or_none

if TYPE_CHECKING:
    from spanloom.trace._inference_call import InferenceCall

_OPERATIONS: Final = (Operation.CHAT, Operation.TEXT_COMPLETION, Operation.GENERATE_CONTENT)


class inference(Block["InferenceCall"]):  # noqa: N801 - read as a statement: `with inference(...) as call:`
    """Record a call of a model as ``{operation} {model}``, with tokens, cost, duration, and content where it is on::

        with trace.inference(model="llama-3", provider="acme", address="llm.acme.example", port=443) as call:
            call.request(temperature=0.2, max_tokens=100)
            call.input(messages)
            answer = client.chat(messages, temperature=0.2, max_tokens=100)
            call.output(answer.text, finish_reasons=[answer.reason])
            call.usage(input_tokens=answer.tokens_in, output_tokens=answer.tokens_out)

    The block gives an ``InferenceCall``. It covers one answer with all retries. ``operation`` is ``chat``,
    ``text_completion`` or ``generate_content``; ``provider`` is the conventions' ``gen_ai.provider.name``, which the
    conventions want of every call, and by which it is priced; ``address`` and ``port`` are the server's, and come
    together. What is not given is not guessed.

    An exception fails the call and passes unchanged; to close a generator early is no failure. A gate
    (``spanloom.genai.hooks``) may refuse the call: its exception comes out of ``with``. Where a client around or inside
    the block records the same call, there is one span: the outer one's. Hand a streamed answer out by
    ``InferenceCall.stream``.

    ``operation`` stands in the source and is checked here: ``TypeError`` where it is no text, ``ValueError`` where it
    is another one. Everything else comes from elsewhere and never raises: it is left out where it is not what it should
    be, with one line in the log.
    """

    def __init__(
        self,
        *,
        model: str | None,
        provider: str | None = None,
        operation: Literal["chat", "text_completion", "generate_content"] = "chat",
        address: str | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__()
        self._operation = one_of("inference(operation)", operation, _OPERATIONS)
        self._model = text_or_none("inference(model)", model)
        self._provider = text_or_none("inference(provider)", provider)
        self._address, self._port = _place(address, port)

    def _begin(self) -> InferenceCall:
        from spanloom.trace import _inference_call

        started = _inference_call.started(self._operation, self._model, self._provider, self._address, self._port)
        return _inference_call.InferenceCall(started)


def _place(address: Any, port: Any) -> tuple[str | None, int | None]:
    """The conventions have both or neither."""
    if address is None and port is None:
        return None, None
    if isinstance(address, str) and address and type(port) is int and 0 < port < 65536:
        return address, port
    left_out("inference(address, port)", "they come together, as a host and a number")
    return None, None
