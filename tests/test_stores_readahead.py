"""Reading ahead: which files the system is told of, and when."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from parallel_sharder.stores import readahead
from parallel_sharder.stores.blob import LooseFile
from parallel_sharder.stores.readahead import CHECK_EVERY, SAMPLES_AHEAD, ReadAhead


class _Recorded(LooseFile):
    """A blob that notes its name when the system is told of it."""

    told: ClassVar[list[str]] = []

    def announce(self) -> None:
        self.told.append(self.path)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the system says has been read from disks, in its last element."""
    counter = [0]
    monkeypatch.setattr(readahead, "blocks_read", lambda: counter[-1])
    _Recorded.told.clear()
    return counter


def samples(count: int) -> list[list[LooseFile]]:
    return [[_Recorded(f"{number}.xml", 1), _Recorded(f"{number}.JPEG", 1)] for number in range(count)]


def _read(reading: ReadAhead, position: int) -> None:
    """What a worker does before it reads this sample."""
    if position % CHECK_EVERY == 0:
        reading.look()
    if reading.is_on:
        reading.before(position)


def test_nothing_is_told_of_files_in_memory(blocks: list[int]) -> None:
    """They cost one look now and then."""
    reading = ReadAhead(samples(200))
    for position in range(200):
        _read(reading, position)
    assert [] == _Recorded.told


def test_files_from_a_disk_are_told_of_in_time(blocks: list[int]) -> None:
    """Each once, both files of a sample, in order, SAMPLES_AHEAD before it is read, and none that is read already."""
    reading = ReadAhead(samples(300))
    for position in range(300):
        blocks.append(position)
        _read(reading, position)
        last = int(_Recorded.told[-1].split(".")[0]) if _Recorded.told else -1
        if position >= CHECK_EVERY:
            assert min(299, position + SAMPLES_AHEAD) == last
    first = CHECK_EVERY + 1  # at 0 nothing had been read yet
    expected = [f"{number}.{kind}" for number in range(first, 300) for kind in ("xml", "JPEG")]
    assert expected == _Recorded.told


def test_it_ends_and_begins_again(blocks: list[int]) -> None:
    """When reads no longer go to a disk nothing is told; when they do again, what has been read is passed over."""
    reading = ReadAhead(samples(400))
    for position in range(400):
        if position < 100 or position >= 300:
            blocks.append(position + 1)
        _read(reading, position)
    told = {int(name.split(".")[0]) for name in _Recorded.told}
    assert set(range(17, 100)) <= told
    assert not told & set(range(100 + SAMPLES_AHEAD + 2 * CHECK_EVERY, 300))
    assert set(range(300 + CHECK_EVERY, 400)) <= told
    assert len(_Recorded.told) == len(set(_Recorded.told))


def test_telling_of_a_real_file_and_of_none(tmp_path: Path) -> None:
    """What cannot be read is no error yet, and the counter is there to be asked."""
    (tmp_path / "a").write_bytes(b"abc")
    LooseFile(str(tmp_path / "a"), 3).announce()
    LooseFile(str(tmp_path / "none"), 3).announce()
    assert 0 <= readahead.blocks_read()
