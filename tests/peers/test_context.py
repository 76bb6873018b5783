"""What a call of ours tells the recorders below it, and what we hear from those further out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import wrapt
from opentelemetry import context as otel
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation

from spanloom.genai import _conflict
from spanloom.genai._conflict import BOTH, LEAD, OFFICIAL_KEYS, YIELD, claimed, claims, configure
from spanloom.genai._recorders import OFFICIAL, RECORDERS
from tests.peers._fakes import LANGFUSE, LITELLM, LOGFIRE, OPENINFERENCE, OPENLLMETRY, code_of

UTIL = "opentelemetry.util.genai.invocation"
HEARING = (OPENINFERENCE, OPENLLMETRY, LOGFIRE, *LITELLM)


@dataclass
class InferenceData:
    """As in util-genai: what calls below publish is merged into it."""

    usage: int | None = None

    def merge(self, other: InferenceData, *, overwrite: bool = True) -> None:
        self.usage = other.usage


@pytest.fixture
def util(monkeypatch: pytest.MonkeyPatch) -> None:
    """util-genai is loaded."""
    module = ModuleType(UTIL)
    module.InferenceData = InferenceData
    monkeypatch.setitem(sys.modules, UTIL, module)
    _conflict._state.loaded(module)


@pytest.fixture
def openinference() -> None:
    """One that asks for the suppression key is loaded."""
    _conflict._state.loaded(ModuleType("openinference.instrumentation.openai"))


@contextmanager
def attached(values: dict[str, Any]) -> Iterator[None]:
    """These values in the current context."""
    token = otel.attach(Context({**otel.get_current(), **values}))
    yield
    otel.detach(token)


def test_where_nobody_listens_nothing_is_added():
    """The usual process pays nothing."""
    assert claims(otel.get_current()) == {}
    assert not claimed()


@pytest.mark.parametrize("module", HEARING)
def test_those_who_would_record_again_hear_that_they_are_suppressed(module, openinference):
    """The value is true for code of the recorders that ask for the key."""
    value = claims(otel.get_current())[SUPPRESS]
    assert code_of(module).ask(value) is True


@pytest.mark.parametrize("module", ["httpx", "opentelemetry.instrumentation.utils", "openinference.other", LANGFUSE])
def test_everybody_else_goes_on(module, openinference):
    """HTTP clients and whoever else asks keep their spans."""
    value = claims(otel.get_current())[SUPPRESS]
    assert code_of(module).ask(value) is False
    with attached({SUPPRESS: value}):
        assert is_instrumentation_enabled()


def test_only_the_one_who_asks_counts(openinference):
    """An HTTP client asks below a recorder's own wrapper, some frames further in, and keeps its span."""
    value = claims(otel.get_current())[SUPPRESS]
    answers: list[bool] = []

    def transport() -> None:
        answers.append(code_of("httpx").ask(value))

    code_of(OPENINFERENCE).recorder(None, [])(transport, None, (), {})
    assert answers == [False]


def test_one_who_exports_elsewhere_is_not_silenced(openinference):
    """Its backend wants its span of this call."""
    (recorder,) = [one for one in RECORDERS if one.prefix == "openinference.instrumentation.openai"]
    value = claims(otel.get_current())[SUPPRESS]
    _conflict._state.saw(recorder, elsewhere=True)
    assert code_of(OPENINFERENCE).ask(value) is False
    assert code_of(LOGFIRE).ask(value) is True
    _conflict._state.saw(recorder, elsewhere=False)
    assert code_of(OPENINFERENCE).ask(value) is True


def test_who_suppressed_everything_stays_obeyed(openinference):
    """Our value does not take the place of a plain true."""
    with suppress_instrumentation():
        assert SUPPRESS not in claims(otel.get_current())


def test_the_official_family_hears_it_in_its_own_words(util):
    """The value is one that its ``isinstance`` takes for its own."""
    key, _ = OFFICIAL_KEYS["inference"]
    first, second = claims(otel.get_current())[key], claims(otel.get_current())[key]
    assert isinstance(first, InferenceData)
    assert first is second


def test_what_is_published_to_us_is_not_kept(util):
    """One value serves all calls, so nothing of a call may stay in it."""
    value = claims(otel.get_current())[OFFICIAL_KEYS["inference"][0]]
    value.merge(InferenceData(usage=7), overwrite=True)
    assert value.usage is None


def test_kinds_that_the_official_family_does_not_know_claim_nothing(util):
    """A kind of ours, and one whose class is missing in this version."""
    keys = {key for key, _ in OFFICIAL_KEYS.values()}
    assert not keys & claims(otel.get_current(), "call").keys()
    assert not keys & claims(otel.get_current(), "embedding").keys()


def test_an_official_plugin_with_a_backend_of_its_own_is_left_alone(util):
    """It is neither told nor heard."""
    _conflict._state.saw(OFFICIAL, elsewhere=True)
    key, _ = OFFICIAL_KEYS["inference"]
    assert key not in claims(otel.get_current())
    with attached({key: InferenceData()}):
        assert not claimed()


def test_their_key_further_out_means_that_they_record(util):
    """Of its own kind only: an inference below a retrieval is an inference."""
    key, _ = OFFICIAL_KEYS["inference"]
    with attached({key: InferenceData()}):
        assert claimed()
        assert not claimed("retrieval")
        assert not claimed("call")


def test_the_key_of_openllmetry_is_heard():
    """Its plugins of frameworks set it around the model calls they record."""
    _conflict._state.loaded(ModuleType("opentelemetry.semconv_ai"))
    assert not claimed()
    with attached({"suppress_language_model_instrumentation": True}):
        assert claimed()
        assert claimed("call")


def test_both_neither_tells_nor_hears(util, openinference):
    """Each records as if alone."""
    _conflict._state.mode = BOTH
    assert claims(otel.get_current()) == {}
    with attached({OFFICIAL_KEYS["inference"][0]: InferenceData()}):
        assert not claimed()


@pytest.mark.parametrize(("value", "mode"), [("", YIELD), ("yield", YIELD), ("Lead", LEAD), ("both", BOTH)])
def test_the_setting_is_read_when_an_instrumentor_starts(monkeypatch, value, mode):
    """In any case; the default is to step aside."""
    monkeypatch.setenv("SPANLOOM_ON_CONFLICT", value)
    configure()
    assert _conflict._state.mode == mode


def test_an_unknown_value_means_the_default_and_one_line(monkeypatch, caplog):
    """A mistake in the setting stops nothing."""
    caplog.set_level(logging.WARNING, logger="spanloom.semconv")
    monkeypatch.setenv("SPANLOOM_ON_CONFLICT", "win")
    configure()
    configure()
    assert _conflict._state.mode == YIELD
    assert len([one for one in caplog.records if "SPANLOOM_ON_CONFLICT" in one.getMessage()]) == 1


def test_it_is_noticed_when_one_of_them_is_imported_later(monkeypatch, tmp_path):
    """The import itself tells us, so that no call has to look."""
    package = tmp_path / "opentelemetry_semconv_ai_stand_in.py"
    package.write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_conflict, "_SPEAKERS", (package.stem,))
    monkeypatch.setattr(_conflict, "_LISTENERS", (package.stem,))
    registered: list[str] = []
    register = wrapt.register_post_import_hook
    monkeypatch.setattr(
        wrapt, "register_post_import_hook", lambda hook, name: (registered.append(name), register(hook, name))
    )
    configure()
    configure()
    assert registered == [package.stem]
    assert not _conflict._state.speakers
    __import__(package.stem)
    assert _conflict._state.speakers
    assert _conflict._state.listeners
