"""Personal data: recall and precision over labelled strings, by kind and in all."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from spanloom.redaction import PII, Redactor
from spanloom.redaction._hit import merged
from spanloom.redaction._rules import Scan, look

CORPUS = Path(__file__).with_name("pii_corpus.txt")
MARK = re.compile(r"⟦(\w+)\|([^⟧]*)⟧")
SCAN = Scan(frozenset(PII), ())
Place = tuple[int, int, str]


def rows() -> list[tuple[str, set[Place]]]:
    """Each string without its marks, and the places that they labelled."""
    found = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(("# ", "## ")):
            continue
        text, labels, at = "", set(), 0
        for mark in MARK.finditer(line):
            text += line[at : mark.start()]
            labels.add((len(text), len(text) + len(mark[2]), mark[1]))
            text += mark[2]
            at = mark.end()
        found.append((text + line[at:], labels))
    return found


ROWS = rows()


def found_in(text: str) -> set[Place]:
    """What the redactor would take out."""
    bits = SCAN.suspect(text)
    return {(hit.start, hit.end, hit.rule) for hit in merged(look(SCAN, text, bits))} if bits else set()


def test_the_corpus_is_large_and_has_its_share_of_negatives():
    """At least 300 strings, 40 % of them with nothing to find, none twice, and every kind a dozen times and more."""
    texts = [text for text, _ in ROWS]
    assert len(texts) >= 300
    assert len(set(texts)) == len(texts)
    assert sum(not labels for _, labels in ROWS) / len(ROWS) >= 0.4
    kinds = Counter(kind for _, labels in ROWS for _, _, kind in labels)
    assert set(kinds) == set(PII)
    assert min(kinds.values()) >= 15


def figures() -> dict[str, tuple[float, float]]:
    """Recall and precision by kind, and in all; a place counts only where start, end and kind are right."""
    right, missed, wrong = Counter(), Counter(), Counter()
    for text, labels in ROWS:
        found = found_in(text)
        for counter, places in ((right, found & labels), (missed, labels - found), (wrong, found - labels)):
            counter.update(kind for _, _, kind in places)
            counter.update("all" for _ in places)
    return {
        kind: (right[kind] / (right[kind] + missed[kind]), right[kind] / ((right[kind] + wrong[kind]) or 1))
        for kind in (*PII, "all")
    }


@pytest.mark.parametrize("kind", [*PII, "all"])
def test_recall_and_precision(kind):
    """Recall of 0.95 and precision of 0.99, for each kind and in all."""
    recall, precision = figures()[kind]
    assert recall >= 0.95, [(t, labels - found_in(t)) for t, labels in ROWS if labels - found_in(t)]
    assert precision >= 0.99, [(t, found_in(t) - labels) for t, labels in ROWS if found_in(t) - labels]


@pytest.mark.parametrize("kind", PII)
def test_a_kind_alone_finds_its_own_and_nothing_else(kind):
    """Kinds can be switched on one by one."""
    redactor = Redactor(pii=[kind])
    for text, labels in ROWS:
        for start, end, label in labels:
            if (start, end, label) in found_in(text):
                assert (text[start:end] in redactor.text(text)) is (label != kind) or text.count(text[start:end]) > 1
    assert set(redactor.counts()) == {kind}


def test_without_a_kind_nothing_of_the_corpus_changes():
    """Personal data is opt-in, and no rule of secrets takes any of it."""
    redactor = Redactor()
    assert [text for text, _ in ROWS if redactor.text(text) is not text] == []
    assert redactor.counts() == {}
