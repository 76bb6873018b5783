"""Token counts of one call, and what a call goes to: plain values that plugins fill in."""

from __future__ import annotations

from spanloom.semconv import GenAI

# In the order of ``Tally``'s counters: input, output, cache read, cache write, reasoning.
Counts = tuple[int | None, int | None, int | None, int | None, int | None]


class Usage:
    """Token counts of one call as the provider reported them, and searches; ``None`` where it did not.

    Input includes cached tokens, output includes reasoning. Those by modality are parts of them.
    """

    __slots__ = (
        "audio_input_tokens",
        "audio_output_tokens",
        "cache_read_input_tokens",
        "cache_write_input_tokens",
        "image_input_tokens",
        "image_output_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
        "reported_cost_usd",
        "storage_searches",
        "text_input_tokens",
        "text_output_tokens",
        "web_searches",
    )

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_input_tokens: int | None = None,
        cache_write_input_tokens: int | None = None,
        reasoning_output_tokens: int | None = None,
        *,
        audio_input_tokens: int | None = None,
        audio_output_tokens: int | None = None,
        image_input_tokens: int | None = None,
        image_output_tokens: int | None = None,
        text_input_tokens: int | None = None,
        text_output_tokens: int | None = None,
        reported_cost_usd: float | None = None,
        web_searches: int | None = None,
        storage_searches: int | None = None,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cache_read_input_tokens = cache_read_input_tokens
        self.cache_write_input_tokens = cache_write_input_tokens
        self.reasoning_output_tokens = reasoning_output_tokens
        # What the provider says that the call costs; no count.
        self.reported_cost_usd = reported_cost_usd
        # Searches of the web and of stored files that the provider made and bills one by one; they are no attributes.
        self.web_searches = web_searches
        self.storage_searches = storage_searches
        self.audio_input_tokens = audio_input_tokens
        self.audio_output_tokens = audio_output_tokens
        self.image_input_tokens = image_input_tokens
        self.image_output_tokens = image_output_tokens
        self.text_input_tokens = text_input_tokens
        self.text_output_tokens = text_output_tokens

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and all(getattr(self, slot) == getattr(other, slot) for slot in Usage.__slots__)

    __hash__ = None  # pyright: ignore[reportAssignmentType] - it is filled in as a stream goes on

    def __repr__(self) -> str:
        known = ((slot, getattr(self, slot)) for slot in Usage.__slots__)
        return f"Usage({', '.join(f'{slot}={count}' for slot, count in known if count is not None)})"

    def attributes(self) -> dict[str, int]:
        """``gen_ai.usage.*`` for what is known; a reported 0 is data, an absent count is not."""
        found: dict[str, int] = {}
        if self.input_tokens is not None:
            found[GenAI.USAGE_INPUT_TOKENS] = self.input_tokens
        if self.output_tokens is not None:
            found[GenAI.USAGE_OUTPUT_TOKENS] = self.output_tokens
        if self.cache_read_input_tokens is not None:
            found[GenAI.USAGE_CACHE_READ_INPUT_TOKENS] = self.cache_read_input_tokens
        if self.cache_write_input_tokens is not None:
            found[GenAI.USAGE_CACHE_WRITE_INPUT_TOKENS] = self.cache_write_input_tokens
        if self.reasoning_output_tokens is not None:
            found[GenAI.USAGE_REASONING_OUTPUT_TOKENS] = self.reasoning_output_tokens
        return {**found, **self._by_modality_attributes()} if self._has_modalities() else found

    def _has_modalities(self) -> bool:
        """Few providers tell them."""
        return not (
            self.audio_input_tokens is None
            and self.audio_output_tokens is None
            and self.image_input_tokens is None
            and self.image_output_tokens is None
            and self.text_input_tokens is None
            and self.text_output_tokens is None
        )

    def _by_modality_attributes(self) -> dict[str, int]:
        rows = ((name, getattr(self, slot)) for slot, name in _BY_MODALITY)
        return {name: count for name, count in rows if count is not None}

    def by_modality(self) -> list[tuple[str, Counts]]:
        """The counts for each modality that was told, and for ``unknown`` what is left of the whole."""
        given, made = self.input_tokens, self.output_tokens
        rows: list[tuple[str, Counts]] = []
        for modality, tokens_in, tokens_out in self._told() if self._has_modalities() else ():
            rows.append((modality, (tokens_in, tokens_out, None, None, None)))
            given, made = _less(given, tokens_in), _less(made, tokens_out)
        rest = given, made, self.cache_read_input_tokens, self.cache_write_input_tokens, self.reasoning_output_tokens
        rows.append(("unknown", rest))
        return rows

    def _told(self) -> list[tuple[str, int | None, int | None]]:
        told: list[tuple[str, int | None, int | None]] = []
        if self.audio_input_tokens is not None or self.audio_output_tokens is not None:
            told.append(("audio", self.audio_input_tokens, self.audio_output_tokens))
        if self.image_input_tokens is not None or self.image_output_tokens is not None:
            told.append(("image", self.image_input_tokens, self.image_output_tokens))
        if self.text_input_tokens is not None or self.text_output_tokens is not None:
            told.append(("text", self.text_input_tokens, self.text_output_tokens))
        return told


def _less(whole: int | None, part: int | None) -> int | None:
    """What is left; where nothing is, there is no count for it. A part greater than the whole leaves nothing."""
    if whole is None or part is None:
        return whole
    return whole - part if whole > part else None


_BY_MODALITY = (
    ("audio_input_tokens", GenAI.USAGE_AUDIO_INPUT_TOKENS),
    ("audio_output_tokens", GenAI.USAGE_AUDIO_OUTPUT_TOKENS),
    ("image_input_tokens", GenAI.USAGE_IMAGE_INPUT_TOKENS),
    ("image_output_tokens", GenAI.USAGE_IMAGE_OUTPUT_TOKENS),
    ("text_input_tokens", GenAI.USAGE_TEXT_INPUT_TOKENS),
    ("text_output_tokens", GenAI.USAGE_TEXT_OUTPUT_TOKENS),
)


class Peer:
    """Whom a client call goes to. ``port`` only together with an address. Not to be changed: peers are shared."""

    __slots__ = ("address", "port", "provider")

    def __init__(self, provider: str | None = None, address: str | None = None, port: int | None = None) -> None:
        self.provider = provider
        self.address = address
        self.port = port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peer) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Peer{self._all()}"

    def _all(self) -> tuple[str | None, str | None, int | None]:
        return self.provider, self.address, self.port
