"""Found: which table is read, and where its images lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.table.found import TablePlace, found_table, table_place


def made(root: Path, *files: str) -> str:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return str(root)


def place(root: str, **choices: Any) -> TablePlace:
    return table_place(SourceOptions(root=(root,), **choices))


def test_a_named_table(tmp_path: Path) -> None:
    """Its paths are relative to the root."""
    root = made(tmp_path, "t.csv", "train/x.jpg")
    table = f"{root}/t.csv"
    assert TablePlace(table, root) == place(root, table=table)
    assert TablePlace(table, root, "train", "train") == place(root, table=table, split="train")
    assert f"{root}/train" == place(root, table=table, split="train").folder


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_hugging_faces_table_is_found(tmp_path: Path, name: str) -> None:
    """At the root, or in the folder of a split, to which its paths then are relative."""
    root = made(tmp_path / "a", name)
    assert f"{root}/{name}" == found_table(root)
    assert TablePlace(f"{root}/{name}", root) == place(root)
    root = made(tmp_path / "b", f"train/{name}", f"Validation/{name}", "other/metadata.csv")
    assert found_table(root) is not None
    of_train, of_val = f"{root}/train/{name}", f"{root}/Validation/{name}"
    assert TablePlace(of_train, f"{root}/train", split="train", others=(of_val,)) == place(root)
    found = place(root, split="val")
    assert TablePlace(of_val, f"{root}/Validation", split="val", others=(of_train,)) == found
    assert found == place(root, table=found.table, split="val")  # as verify names it


def test_no_table(tmp_path: Path) -> None:
    """Nothing is found, and the message says what is looked for."""
    root = made(tmp_path, "x/metadata.csv")
    assert found_table(root) is None
    with pytest.raises(SourceError, match=r"has no table: there is no metadata\.csv, .*Name the table"):
        place(root)


@pytest.mark.parametrize(
    ("files", "split", "message"),
    [
        (("metadata.csv", "metadata.jsonl"), None, "are both there"),
        (("metadata.csv", "train/metadata.csv"), None, "are both there"),
        (("val/metadata.csv", "test/metadata.csv"), None, "tables of several splits; it has .*Choose one"),
        (("val/metadata.csv",), "train", "no table of the split train; it has val"),
        (("metadata.csv", "train/x.jpg"), "val", r"folder val/ of .*; its folders named as splits are train\."),
        (("metadata.csv",), "val", "it has no such folder"),
        (("val/metadata.csv", "valid/metadata.csv"), None, "both have a name of the split val"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, files: tuple[str, ...], split: str | None, message: str) -> None:
    """The message has what is there, and the option that settles it."""
    with pytest.raises(SourceError, match=message):
        place(made(tmp_path, *files), split=split)


def test_the_only_split_is_read(tmp_path: Path) -> None:
    """It need not be named."""
    assert "val" == place(made(tmp_path, "val/metadata.csv")).split
