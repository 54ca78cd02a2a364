"""The command that a journal alone gives: typed, it continues the set of the run that was stopped, in every layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options
from parallel_sharder.cli.main import main
from parallel_sharder.command_words import unknown, words_of_choices
from parallel_sharder.options import StatusOptions
from parallel_sharder.status import status_of
from tests.made_layouts import make
from tests.test_resume import _Interrupter


@pytest.mark.parametrize(
    ("layout", "choices"),
    [
        ("folders", {"image_field": "img", "with_": "txt,json"}),
        ("csv", {}),
        ("csv", {"label": "", "columns": "", "image_field": "img"}),
        ("shards", {"where": "cls != 1", "on_duplicate": "skip", "apart": "join", "rename_keys": True}),
        ("shards", {"seed": 7, "maxsize": "1MB"}),
    ],
)
def test_typed_it_continues(layout: str, choices: dict[str, Any], tmp_path: Path) -> None:
    """With the data set's place put in for ROOT, the command makes the rest, and the set is finished."""
    made = make(tmp_path, layout)
    with pytest.raises(KeyboardInterrupt):
        made.convert(monitor=_Interrupter(20), **choices)
    [found] = status_of(StatusOptions(dest=made.out)).sets
    [words] = found.next_commands
    assert 0 == main([*(re.sub("^ROOT", made.root, word) for word in words[1:]), "--quiet", "--workers", "0"])
    [after] = status_of(StatusOptions(dest=made.out)).sets
    assert (True, ()) == (after.is_finished, after.missing)


def test_imagenet_has_its_own_choices() -> None:
    """What is not given is not in the command; no --layout is, because ImageNet's is found."""
    assert [] == words_of_choices(Options().choices)
    assert ["--split", "val", "--no-shuffle"] == words_of_choices(Options(split="val", shuffle=False).choices)


def test_lists_are_not_known() -> None:
    """A list's digest gives the option, and people are told what to put in."""
    words = ["--root", "ROOT", *words_of_choices({"form": "folders", "split": None, "meta": "00ff", "with": []})]
    assert ["--root", "ROOT", "--layout", "folders", "--meta", "FILE"] == words
    assert ["data set's folder", "digest alone", "--card"] == [
        re.findall("data set's folder|digest alone|--card", line)[0] for line in unknown(words)
    ]
    assert [] == unknown(["--root", "/raw"])


def test_columns_that_cannot_be_typed() -> None:
    """Columns are separated by commas, so if one has a comma, all were taken, and no column is named."""
    assert ["--layout", "table"] == words_of_choices({"form": "table", "columns": ["a,b", "c"]})
