"""The pages say what the code does."""

from __future__ import annotations

import re

import pytest

from spanloom import semconv
from tests._support.wheel import ROOT
from tests.semconv._settings import settings_page

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short():
    """At most 120 lines: what it is, install, two commands, a picture, a table, links."""
    assert len(README.splitlines()) <= 120


def settings(page: str):
    """Name and default of each setting of a table."""
    for line in page.splitlines():
        if line.startswith("| `"):
            name, default = (cell.strip() for cell in line.split("|")[1:3])
            yield name.strip("`"), default.strip("`")


def test_the_page_of_settings_is_made_from_the_table():
    """`make semconv` writes it: each setting with its default, unit and meaning."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_settings_in_the_readme_have_the_default_that_the_code_takes():
    """The README has the main ones."""
    shown = {name: default for name, default in settings(README) if name in semconv.OPTIONS}
    assert len(shown) >= 8
    assert shown == {name: semconv.OPTIONS[name].default for name in shown}


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
