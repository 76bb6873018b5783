"""The pages say what the code does."""

from __future__ import annotations

import re

import pytest

from spanloom import semconv
from tests._support.wheel import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short():
    """At most 120 lines: what it is, install, two commands, a picture, a table, links."""
    assert len(README.splitlines()) <= 120


def settings():
    """Name and default of each setting of the table; a row may have several, in the same order."""
    for line in README.splitlines():
        if line.startswith("| `"):
            names, defaults = ([one.strip() for one in cell.split(",")] for cell in line.split("|")[1:3])
            yield from zip(names, defaults, strict=True)


@pytest.mark.parametrize("option", semconv.OPTIONS.values(), ids=lambda option: option.name)
def test_every_setting_is_in_the_readme_with_its_default(option):
    """Each setting once, and the default beside it is the one that the code takes."""
    (shown,) = [default for name, default in settings() if name == f"`{option.name}`"]
    assert shown == (f"`{option.default}`" if option.default else "")


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")], ids=str)
def test_links_between_pages_lead_somewhere(page):
    """Relative links name files that exist."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_verb_of_the_pages_exists():
    """`make verb` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "docs" / "CONTRIBUTING.md"):
        named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert named
        assert set(named) <= targets, page


def test_every_decision_is_listed():
    """The index of decisions has each record, by its number."""
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for record in folder.glob("[0-9]*.md"):
        assert f"({record.name})" in index
