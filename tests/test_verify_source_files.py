"""Class folders and tables as a source: each difference from what is stored is found, and no other is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import xxhash

from parallel_sharder.errors import SampleError
from parallel_sharder.model import ImageClass
from parallel_sharder.stores.blob import LooseFile
from parallel_sharder.verify.source_files import FilesSource
from parallel_sharder.verify.source_sample import Stored
from tests.test_bad import picture

JPEG = picture()
ROSE = ImageClass(1, "rose red", "rose red")
JSON = b'{"cls": 1, "cname": "rose red", "filename": "rose red/\\\\xff.jpg"}'


def stored(json: bytes = JSON, image: bytes = JPEG, **others: bytes) -> Stored:
    """What the check of a shard knows of a sample."""
    entries = (field.encode() + b"\0" + xxhash.xxh3_128_digest(data) for field, data in others.items())
    parts = map(xxhash.xxh3_128_digest, entries)
    return Stored(xxhash.xxh3_128_digest(image), xxhash.xxh3_128_digest(json), xxhash.xxh3_128_digest(b"".join(parts)))


def blob(folder: Path, name: str, data: bytes) -> LooseFile:
    (folder / name).write_bytes(data)
    return LooseFile(str(folder / name), len(data))


def source(folder: Path, **choices: Any) -> FilesSource:
    """A rose with a text."""
    image, text = blob(folder, "a.jpg", JPEG), blob(folder, "a.txt", b"a rose")
    return FilesSource("k", "rose red/\udcff.jpg", image, (("txt", text),), None, ROSE, None)._replace(**choices)


def differences(sample: FilesSource, what: Stored) -> list[str]:
    return [*sample.differences(what, False)]


def test_nothing_differs(tmp_path: Path) -> None:
    """A sample that is stored as its source has it; a name that is no text is in the JSON as it is shown."""
    assert [] == differences(source(tmp_path), stored(cls=b"1", txt=b"a rose"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (stored(image=b"x", cls=b"1", txt=b"a rose"), "its image is not that of the source, .*/a.jpg"),
        (stored(cls=b"2", txt=b"a rose"), "its other members do not follow from the source: its label, .*/a.txt"),
        (stored(cls=b"1", txt=b"a tulip"), "its other members do not follow"),
        (stored(txt=b"a rose", cls=b"1"), "its other members do not follow"),
        (stored(cls=b"1"), "its other members do not follow"),
        (stored(cls=b"1", caption=b"a rose"), "its other members do not follow"),
        (stored(JSON + b" ", cls=b"1", txt=b"a rose"), "its json does not follow from its class and name"),
    ],
)  # fmt: skip
def test_each_difference_is_found(tmp_path: Path, what: Stored, said: str) -> None:
    """Image, label, side files and their order, and JSON; each is one sentence."""
    [found] = differences(source(tmp_path), what)
    assert re.match(said, found)


def test_a_json_of_theirs(tmp_path: Path) -> None:
    """It is compared byte for byte, and not made from the class."""
    theirs = b'{ "a": 1 }'
    sample = source(tmp_path, sides=(("json", blob(tmp_path, "a.json", theirs)),))
    assert [] == differences(sample, stored(theirs, cls=b"1"))
    [found] = differences(sample, stored(cls=b"1"))
    assert found.startswith("its json does not follow from")


def test_rows_of_a_table(tmp_path: Path) -> None:
    """The JSON follows from class and row; a label that is in no table is in the row alone."""
    row = blob(tmp_path, "row", b'"filename": "a.jpg", "n": 1.5, "t": "\\u00fc"')
    sample = source(tmp_path, sides=(), row=row)
    whole = b'{"cls": 1, "cname": "rose red", "filename": "a.jpg", "n": 1.5, "t": "\\u00fc"}'
    assert [] == differences(sample, stored(whole, cls=b"1"))
    assert ["its json does not follow from its row"] == differences(sample, stored(whole[:-2] + b"x}", cls=b"1"))
    row = blob(tmp_path, "row", b'"cname": "x", "filename": "a.jpg"')
    unlisted = b'{"cls": 123456, "cname": "x", "filename": "a.jpg"}'
    sample = source(tmp_path, sides=(), row=row, image_class=None, label=123_456)
    assert [] == differences(sample, stored(unlisted, cls=b"123456"))
    sample = source(tmp_path, sides=(), row=row, image_class=None)
    assert [] == differences(sample, stored(b'{"cname": "x", "filename": "a.jpg"}'))


def test_faults_of_samples_that_are_left_out(tmp_path: Path) -> None:
    """A sound sample has none; a cut image, and a side file that is gone, have one."""
    assert "" == source(tmp_path).fault()
    cut = blob(tmp_path, "b.jpg", JPEG[:-40])
    assert "cut off" in source(tmp_path, image=cut).fault()
    gone = LooseFile(str(tmp_path / "gone.txt"), 1)
    assert "No such file or directory" == source(tmp_path, sides=(("txt", gone),)).fault()


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    """Whoever compares says so of the sample."""
    sample = source(tmp_path)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(SampleError):
        differences(sample, stored(cls=b"1", txt=b"a rose"))
