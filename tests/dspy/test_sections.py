"""Small programs, each under one span of the user's: one trace, a golden tree, every token where it belongs.

The trees are in ``snapshots/sections.json``; ``make snapshots`` rewrites them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dspy
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from spanloom.semconv import DSpy, DSpyEvent, GenAI, Spanloom
from tests._support.conformance import problems
from tests._support.snapshot import check_snapshot
from tests._support.spans import Recorder
from tests.dspy.sections import SECTIONS, Section, Stage

if not hasattr(dspy, "lm15"):
    pytest.skip("the trees are those of the newest DSPy", allow_module_level=True)

SNAPSHOT = Path(__file__).parent / "snapshots" / "sections.json"
ROOT = "user"
MODEL_CALLS = ("chat", "text_completion", "embeddings")
# Of every predictor: they would be on every other line.
USUAL = (DSpyEvent.ADAPTER_FORMAT, DSpyEvent.ADAPTER_PARSE, "exception")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
ALL = pytest.mark.parametrize("section", SECTIONS.values(), ids=lambda one: one.name)


@pytest.fixture
def stage(server, tmp_path) -> Stage:
    """Where a section runs."""
    one = Stage(server, tmp_path)
    one.reset()
    return one


@pytest.fixture(scope="module")
def golden() -> Iterable[dict[str, Any]]:
    """The trees seen in this run by section; compared with the file, or written there, when all are known."""
    seen: dict[str, Any] = {}
    yield seen
    if seen.keys() == SECTIONS.keys():
        check_snapshot(SNAPSHOT, seen)


def recorded(section: Section, stage: Stage, recorder: Recorder) -> list[ReadableSpan]:
    """The spans of a section that runs below a span of the user's."""
    with recorder.tracer_provider.get_tracer("theirs").start_as_current_span(ROOT):
        if section.fails:
            with pytest.raises(BaseException):  # noqa: B017 - which one is the differential suite's to see
                section.run(stage)
        else:
            section.run(stage)
    # The conventions are for our own spans.
    spans = recorder.spans
    found = problems([span for span in spans if span.name != ROOT], recorder.metrics_data(), recorder.events)
    recorder.clear()
    assert not found, "\n".join(found)
    return spans


def tree(spans: Iterable[ReadableSpan], any_order: bool) -> list[str]:
    """Indented lines: name, ``!`` for an error, events that tell something. Free siblings are sorted."""
    below: dict[int | None, list[ReadableSpan]] = {}
    for span in spans:
        below.setdefault(span.parent.span_id if span.parent else None, []).append(span)

    def branches(parent: int | None) -> list[str]:
        found = [f"{line(span)}{_indented(branches(span.context.span_id))}" for span in below.get(parent, ())]
        return sorted(found) if any_order else found

    return "\n".join(branches(None)).split("\n")


def _indented(branches: list[str]) -> str:
    return "".join("\n  " + branch.replace("\n", "\n  ") for branch in branches)


def line(span: ReadableSpan) -> str:
    """One span."""
    events = [event.name for event in span.events if event.name not in USUAL]
    marks = [f"[{name}]" if events.count(name) == 1 else f"[{events.count(name)} {name}]" for name in _distinct(events)]
    marks += ["(from the cache)"] if span.attributes.get(DSpy.CACHE_HIT) else []
    marks += ["-> link"] * len(span.links)
    return " ".join([span.name + ("!" if span.status.status_code.name == "ERROR" else ""), *marks])


def _distinct(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


@ALL
def test_golden_trees(section, stage, plugin, recorder, golden):
    """Names, parents, errors and events of each program, in one trace."""
    spans = recorded(section, stage, recorder)
    golden[section.name] = tree(spans, section.any_order)
    assert len({span.context.trace_id for span in spans}) == section.traces
    known = {span.context.span_id for span in spans}
    assert all(span.parent is None or span.parent.span_id in known for span in spans)
    if not os.environ.get("SPANLOOM_UPDATE_SNAPSHOTS"):
        assert golden[section.name] == json.loads(SNAPSHOT.read_text(encoding="utf-8"))[section.name]


def is_model_call(span: ReadableSpan) -> bool:
    """True for what is billed."""
    return span.attributes.get(GenAI.OPERATION_NAME) in MODEL_CALLS


def billed(span: ReadableSpan) -> tuple[int | None, int | None]:
    """The tokens on one span."""
    return tuple(span.attributes.get(name) for name in (GenAI.USAGE_INPUT_TOKENS, GenAI.USAGE_OUTPUT_TOKENS))


def total(spans: Iterable[ReadableSpan]) -> tuple[int, int]:
    """Over some spans."""
    each = [billed(span) for span in spans]
    return sum(one[0] or 0 for one in each), sum(one[1] or 0 for one in each)


def descendants(spans: list[ReadableSpan], root: ReadableSpan) -> list[ReadableSpan]:
    """Everything below one span."""
    above = {root.context.span_id}
    found = []
    for span in spans:  # in the order of their start: parents first
        if span.parent is not None and span.parent.span_id in above:
            above.add(span.context.span_id)
            found.append(span)
    return found


@ALL
def test_tokens(section, stage, plugin, recorder):
    """What was billed is on the model calls, once; every level above has the sum of what is below it."""
    spans = recorded(section, stage, recorder)
    assert total(filter(is_model_call, spans)) == stage.tokens
    for span in spans:
        if not is_model_call(span):
            assert not [name for name in span.attributes if name.startswith("gen_ai.usage")], span.name
            if span.kind.name == "INTERNAL":
                check_sums(span, [one for one in descendants(spans, span) if is_model_call(one)])


def check_sums(span: ReadableSpan, calls: list[ReadableSpan]) -> None:
    """A span's roll-ups against the model calls below it."""
    told = tuple(
        span.attributes.get(name, 0) for name in (Spanloom.SUBTREE_INPUT_TOKENS, Spanloom.SUBTREE_OUTPUT_TOKENS)
    )
    assert told == total(calls), span.name
    inferences = [one for one in calls if one.attributes[GenAI.OPERATION_NAME] != "embeddings"]
    assert span.attributes.get(Spanloom.SUBTREE_LLM_CALLS, 0) == len(inferences), span.name
    hits = [one for one in calls if one.attributes.get(DSpy.CACHE_HIT)]
    assert span.attributes.get(Spanloom.SUBTREE_CACHE_HITS, 0) == len(hits), span.name


@ALL
def test_nothing_leaks_without_content(section, stage, plugin, recorder):
    """Content off: no question, no answer and no piece of code is anywhere."""
    spans = recorded(section, stage, recorder)
    text = " ".join(str(dict(span.attributes)) + str([dict(e.attributes) for e in span.events]) for span in spans)
    for word in ("Dresden", "Which", "You asked", "SUBMIT(", "print("):
        assert word not in text, word
