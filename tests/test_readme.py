"""The README stays short enough to be read, and its links, and those of the pages it leads to, lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
MOST_LINES, MOST_COLUMNS = 260, 120
PAGES = [
    README,
    *(page for room in ("benchmarks", "parallel_sharder", "tests") for page in sorted((CHECKOUT / room).rglob("*.md"))),
]


def test_readme_is_short() -> None:
    """What has no room in it goes to the page of the folder that it is about."""
    lines = README.read_text().splitlines()
    assert MOST_LINES >= len(lines)
    assert [] == [line for line in lines if len(line) > MOST_COLUMNS]


def test_readme_has_every_option() -> None:
    """The table of options has those of --help, all of them."""
    words = [sys.executable, "-m", "parallel_sharder", "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  (?:-h, )?(--[a-z][a-z0-9-]*)", shown, re.MULTILINE)) - {"--help", "--version"}
    _, table, *_ = re.split(r"^### Options$|^## What it takes$", README.read_text(), flags=re.MULTILINE)
    named = {
        option for row in re.findall(r"^\| (.+?`) \|", table, re.MULTILINE) for option in re.findall(r"--[\w-]+", row)
    }
    assert options == named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each file that a page links to exists, with the heading that the link names."""
    for link in re.findall(r"\]\((?!https://)([^)\s]+)\)", page.read_text()):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.is_file(), link
        assert not heading or heading in headings(target), link


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_page_is_found_from_the_readme(page: Path) -> None:
    """One link leads from the README to each other page."""
    assert f"({page.relative_to(CHECKOUT)}" in README.read_text()


def headings(page: Path) -> set[str]:
    """The page's headings, as links name them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}
