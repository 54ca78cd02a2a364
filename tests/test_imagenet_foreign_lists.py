"""Class lists of other projects: pairs of WordNet ID and words, from files of which nothing is run."""

from __future__ import annotations

import json

import pytest

from parallel_sharder.sources.imagenet.foreign_lists import (
    is_from_torch,
    rows_from_json,
    rows_from_python,
    rows_from_torch,
)

PAIRS = [("n01440764", "tench, Tinca tinca"), ("n01443537", "goldfish")]


@pytest.mark.parametrize("content", [{str(n): pair for n, pair in enumerate(PAIRS)}, dict(PAIRS)])
def test_json_by_number_and_by_wordnet_id(content: object) -> None:
    """Keras's form, and the plain one."""
    assert PAIRS == rows_from_json(json.dumps(content))


@pytest.mark.parametrize(
    "text", [f"x = {dict(PAIRS)!r}", f"x = OrderedDict({dict(PAIRS)!r})", f"x: dict = {dict(PAIRS)!r}"]
)
def test_python_that_assigns_a_dict(text: str) -> None:
    """By itself, or handed to a call; other statements before it do not matter."""
    assert PAIRS == rows_from_python(f"import collections\n{text}\n")


@pytest.mark.parametrize("text", ["", "x = 1", "(", "x = {1: 2}", "x = open('/etc/passwd')"])
def test_other_python_is_an_error(text: str) -> None:
    """None of it is run."""
    with pytest.raises(ValueError):
        rows_from_python(text)


def test_files_of_torch_are_known_by_their_beginning() -> None:
    """What only begins as one is an error that says so."""
    assert not is_from_torch(b"n01440764 tench")
    assert is_from_torch(b"PK\x03\x04 and no zip")
    with pytest.raises(ValueError, match="it is not torchvision's meta.bin"):
        rows_from_torch(b"PK\x03\x04 and no zip")
