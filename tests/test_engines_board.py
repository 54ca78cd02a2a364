"""The board: what one side writes, the other sees; and where it can be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder import Options, SharderError, convert
from parallel_sharder.engines import board
from parallel_sharder.engines.board import Board
from tests import made


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set."""
    root = tmp_path_factory.mktemp("board") / "raw"
    made.classic_train(root)
    return root


def test_board_is_shared() -> None:
    """Two views of one file are one board."""
    descriptor = Board.create(3)
    ours, theirs = Board.at(descriptor), Board.at(descriptor)
    os.close(descriptor)
    progress = theirs.slot(2)
    progress.tell(5, 700)
    assert not progress.stopped
    ours.stop()
    assert ((5, 700), True) == (ours.told(), progress.stopped)


def test_slots_are_apart() -> None:
    """What is told in one slot replaces what was told there, and nothing else."""
    descriptor = Board.create(2)
    both = Board.at(descriptor)
    os.close(descriptor)
    for slot, samples, written_bytes in ((0, 1, 10), (1, 2, 20), (0, 3, 30)):
        both.slot(slot).tell(samples, written_bytes)
    assert (5, 50) == both.told()


def test_board_without_files_in_memory(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without memfd_create, the board is a temporary file; where there can be none, that is said."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert 60 == convert(Options(root=raw, dest=tmp_path / "one", workers=2)).samples
    made_in: list[str | None] = []

    def temporary(folder: str | None) -> int:
        made_in.append(folder)
        if folder is not None:
            raise OSError(30, "Read-only file system")
        return os.open(tmp_path / "board", os.O_RDWR | os.O_CREAT)

    monkeypatch.setattr(board, "unnamed_file", temporary)
    assert 60 == convert(Options(root=raw, dest=tmp_path / "two", workers=2)).samples
    assert ["/dev/shm", None] == made_in
    monkeypatch.setattr(board, "unnamed_file", _raise(OSError(28, "No space left on device")))
    with pytest.raises(SharderError, match="^a worker cannot be started: No space left on device. Use workers 0.$"):
        convert(Options(root=raw, dest=tmp_path / "three", workers=2))


def _raise(error: Exception) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise error

    return fail
