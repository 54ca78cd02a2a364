"""What lies beside shards: one interface for all of it, and what a file that the journal knows may replace."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from parallel_sharder import Options
from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.errors import DestinationError
from parallel_sharder.indexes.folder import READERS
from parallel_sharder.options import INDEXES, SEEKING
from parallel_sharder.publish import besides
from parallel_sharder.stores import durable
from parallel_sharder.stores.traces import Trace, trace_of


def test_each_reader_has_one_index() -> None:
    """The readers that the options name are those of which there is an index, and so are those that seek."""
    assert sorted(INDEXES) == sorted(index.reader for index in READERS)
    assert {*SEEKING} == {index.reader for index in READERS if index.seeks}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, ["ProblemsFile", "ManifestFile"]),
        ({"index": "none"}, ["ProblemsFile", "ManifestFile"]),
        ({"index": "timm"}, ["ProblemsFile", "ReaderIndexes", "ManifestFile"]),
        ({"card": True}, ["ProblemsFile", "ClassTable", "Card", "ManifestFile"]),
        ({"index": "all", "card": True}, ["ProblemsFile", "ReaderIndexes", "ClassTable", "Card", "ManifestFile"]),
    ],
)
def test_what_is_written(choices: dict[str, Any], expected: list[str]) -> None:
    """It follows from the options, and the manifest is always the last: with it the set is finished."""
    assert expected == [type(beside).__name__ for beside in besides(Options(**choices))]


class Book:
    """A journal's part in this, in memory; it notes whether the file was there when its trace was recorded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.recorded: list[Trace] = []
        self.was_there: list[bool] = []

    def traces(self, path: str) -> list[Trace]:
        """All that was recorded."""
        return self.recorded

    def record_beside(self, path: str, trace: Trace) -> None:
        """Record the trace."""
        self.recorded.append(trace)
        self.was_there.append(self._path.exists())


class Words(RecordedFile):
    """A file that holds these words."""

    def __init__(self, path: Path, words: bytes = b"words") -> None:
        super().__init__(str(path))
        self._words = words

    def content(self, finished: FinishedSet) -> bytes:
        """The words."""
        return self._words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of these tests goes."""
    return tmp_path / "x.words"


@pytest.fixture
def finished(path: Path) -> FinishedSet:
    """A set of which only the journal matters."""
    values: dict[str, Any] = {field.name: Mock() for field in dataclasses.fields(FinishedSet)}
    return FinishedSet(**{**values, "journal": Book(path)})


def test_file_is_recorded_before_it_is_begun(path: Path, finished: FinishedSet) -> None:
    """The journal has the trace first; a file that holds just that is not written again."""
    Words(path).write(finished)
    assert b"words" == path.read_bytes()
    assert ([trace_of(b"words")], [False]) == (finished.journal.recorded, finished.journal.was_there)  # type: ignore[attr-defined]
    before = path.stat()
    Words(path).write(finished)
    assert before == path.stat()


def test_own_file_is_replaced_and_removed(path: Path, finished: FinishedSet) -> None:
    """What the journal has a trace of gives way to other content, and goes where there is none."""
    Words(path).write(finished)
    Words(path, b"other words").write(finished)
    assert b"other words" == path.read_bytes()
    Words(path, b"").write(finished)
    assert not path.exists()
    Words(path, b"").write(finished)


@pytest.mark.parametrize("words", [b"words", b""])
def test_foreign_file_stays(path: Path, finished: FinishedSet, words: bytes) -> None:
    """What the journal has no trace of is named, and stays."""
    path.write_bytes(b"mine")
    with pytest.raises(DestinationError, match=f"{path} cannot be written: .*{durable.TAKEN}"):
        Words(path, words).write(finished)
    assert b"mine" == path.read_bytes()


def test_partials_of_one_file(path: Path) -> None:
    """Only what is left of this file is removed."""
    for name in (".x.words.01234567.partial", ".y.words.01234567.partial"):
        (path.parent / name).touch()
    Words(path).remove_partials()
    assert [".y.words.01234567.partial"] == [each.name for each in path.parent.iterdir()]
