"""Words, overlap and quotes: the little language sense that the answers need. Pure functions."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"[\"'“«]([^\"'”»]{2,60})[\"'”»]")
_ARITHMETIC = re.compile(r"\(*-?\d[\d\s.()+*/-]*[+*/-][\d\s.()+*/-]*\d\)*")
_PROPER = re.compile(r"[A-Z][\w-]*(?:\s+[A-Z][\w-]*)*")
_STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        "a about after all also an and any are as ask at be been but by can could did do does each for from get give "
        "had has have how i if in into is it its me more much many may my need no not of on one or our out over please "
        "should so some tell than that the their them then there these they this those to up use using was we were "
        "what when where which who why will with would you your",
    )
)


def stem(word: str) -> str:
    """A crude common form, so that "deliver", "delivery" and "delivers" meet."""
    word = word.lower()
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:6]


def keywords(text: str) -> list[str]:
    """The distinct words that carry meaning, in order, as written."""
    found: dict[str, str] = {}
    for word in _WORD.findall(text):
        if word.lower() not in _STOPWORDS:
            found.setdefault(stem(word), word)
    return list(found.values())


def stems(text: str) -> frozenset[str]:
    """The set of stems of the keywords of a text."""
    return frozenset(stem(word) for word in keywords(text))


def overlap(question: str, text: str) -> int:
    """How many keywords of the question occur in the text."""
    return len(stems(question) & stems(text))


def coverage(question: str, text: str) -> float:
    """The share, 0 to 1, of the question's keywords that occur in the text."""
    wanted = stems(question)
    return round(len(wanted & stems(text)) / len(wanted), 2) if wanted else 0.0


def best_sentences(question: str, texts: list[str], limit: int = 2) -> list[str]:
    """The sentences that share most keywords with the question, best first; none that share nothing."""
    sentences = [part.strip(" -*•") for text in texts for part in _SENTENCE_END.split(text) if part.strip(" -*•")]
    scored = [(overlap(question, sentence), sentence) for sentence in dict.fromkeys(sentences)]
    ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
    return [sentence for _, sentence in ranked[:limit]]


def numbers(text: str) -> list[float]:
    """The plain numbers of a text, in order."""
    return [float(found) for found in _NUMBER.findall(text)]


def arithmetic(text: str) -> str | None:
    """The first arithmetic expression of a text, such as ``3 * (4 + 5)``."""
    found = _ARITHMETIC.search(text)
    return found.group().strip() if found else None


def subject(question: str, ignore: str = "") -> str:
    """What a question is about: a quoted phrase, else a name, else its keywords without those of `ignore`."""
    quoted = _QUOTED.search(question)
    if quoted:
        return quoted.group(1)
    names = [_without_leading_stopwords(found) for found in _PROPER.findall(question)]
    names = [name for name in names if name]
    if names:
        return max(names, key=lambda name: len(name.split()))
    skipped = stems(ignore)
    return " ".join(word for word in keywords(question) if stem(word) not in skipped) or question


def _without_leading_stopwords(phrase: str) -> str:
    words = phrase.split()
    while words and words[0].lower() in _STOPWORDS:
        words.pop(0)
    return " ".join(words)


def pieces(text: str) -> list[str]:
    """A text cut after each run of white space, as a stream sends it; joined they are the text again."""
    return re.findall(r"\S+\s*|\s+", text)
