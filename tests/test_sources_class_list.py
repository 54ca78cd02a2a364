"""The class list of any images: its order is that of its lines, and names may hold what separates them from words."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.class_list import read_class_list

KNOWN = {"rose", "rose red", "a,b", "#1", "n1"}


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("rose", "rose", "rose"),
        ("rose red", "rose red", "rose red"),
        ("rose red, a flower", "rose red", "a flower"),
        ("rose\tred, a flower", "rose", "red, a flower"),
        ("rose white", "rose", "white"),
        ("a,b,letters", "a,b", "letters"),
        ("#1 first", "#1", "first"),
        ("n1  tench, Tinca tinca", "n1", "tench, Tinca tinca"),
        ("unknown one\ttwo, three", "unknown one", "two, three"),
        ("unknown one, two three", "unknown one", "two three"),
        ("unknown one", "unknown", "one"),
        ("Blüte\r", "Blüte", "Blüte"),
    ],
)
def test_names_and_words(tmp_path: Path, line: str, name: str, words: str) -> None:
    """The longest beginning that is a class is its name; of an unknown class a tab ends it first, and blanks last."""
    (tmp_path / "list").write_text(f"\n# a comment\n{line}\n", encoding="utf-8-sig", newline="\n")
    assert {name: words} == read_class_list(tmp_path / "list", KNOWN)


def test_the_order_is_the_lines(tmp_path: Path) -> None:
    """And is not that of the names."""
    (tmp_path / "list").write_text("rose red\nn1\na,b\nrose\n")
    assert ["rose red", "n1", "a,b", "rose"] == list(read_class_list(tmp_path / "list", KNOWN))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"n1 one\nrose\nn1 two\n", "line 3 lists n1, which line 1 lists already"),
        (b"\n# nothing\n", "lists 0 classes"),
        (b"n1\xff\n", "not text in UTF-8, from byte 2 on"),
        (b"\xff\xfen\0", "text in UTF-16"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, content: bytes, told: str) -> None:
    """They are refused, with the line and what a line should be."""
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(SourceError, match=told):
        read_class_list(tmp_path / "list", KNOWN)
