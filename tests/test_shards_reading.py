"""Compressed shards as a source, and staged ones: they are read through once, and give the same new shards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder import Options, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.sources.shards import reading
from parallel_sharder.staging import copy
from tests import made, made_layouts

SETS = {
    "gz": {"*": "gz"},
    "zst": {"*": "zst"},
    "bz2, in a folder": {"*": "bz2"},
    "xz": {"*": "xz"},
    "some": {"old-1.tar": "gz", "old-3.tar": "xz"},
}
"""Which shards are compressed, and how."""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder of shards of several dialects."""
    source = made_layouts.make(tmp_path / "plain", "shards")
    return Path(os.path.dirname(source.root))


def packed_of(plain: Path, folder: Path, how: dict[str, str]) -> Path:
    """A folder with the shards of `plain`, compressed as said."""
    folder.mkdir(parents=True)
    for path in sorted(plain.glob("*.tar")):
        ending = how.get(path.name, how.get("*"))
        data = path.read_bytes()
        name = f"{path.name}.{ending}" if ending else path.name
        (folder / name).write_bytes(made.PACKED[ending](data) if ending else data)
    return folder


def options(root: Path, dest: Path, **choices: object) -> Options:
    its_root = (str(root),)
    return Options(root=its_root, dest=str(dest), workers=0, maxsize="40KB", layout="shards", **choices)  # type: ignore[arg-type]


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


@pytest.mark.parametrize("where", [None, "cls == 1"])
@pytest.mark.parametrize("how", SETS)
def test_compressed_shards(plain: Path, tmp_path: Path, how: str, where: str | None) -> None:
    """The new shards are those of the plain ones, and verify compares them with the compressed source."""
    root = packed_of(plain, tmp_path / "packed" / "raw", SETS[how])
    convert(options(plain, tmp_path / "a", where=where))
    before = made_layouts.state(root)
    assert (
        preview(options(root, tmp_path / "b", where=where)).samples
        == preview(options(plain, tmp_path / "a", where=where)).samples
    )
    assert not (tmp_path / "b").exists()
    convert(options(root, tmp_path / "b", where=where))
    assert shards(tmp_path / "a") == shards(tmp_path / "b") != {}
    assert before == made_layouts.state(root)
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "b"), source=str(root), workers=0))
    assert () == verdict.deviations
    assert verdict.compared == verdict.samples
    assert not [name for name in os.listdir(tmp_path / "b") if name.endswith(".stage")]


def test_changed_member(plain: Path, tmp_path: Path) -> None:
    """A member of a compressed source that differs from what was stored is found, with its key."""
    root = packed_of(plain, tmp_path / "packed" / "raw", {"*": "gz"})
    convert(options(root, tmp_path / "b"))
    data = (plain / "old-0.tar").read_bytes()
    at = data.index(b"caption 0")
    (root / "old-0.tar.gz").write_bytes(made.PACKED["gz"](data[:at] + b"Caption 0" + data[at + 9 :]))
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "b"), source=str(root), workers=0))
    [deviation] = verdict.deviations
    assert ("0/x_0", "its members are not those of the source") == (deviation.key, deviation.detail.partition(",")[0])


@pytest.mark.parametrize("stage", [None, "stage"])
def test_once(plain: Path, tmp_path: Path, stage: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read through is not read again when all is done, nor when a run is continued."""
    root = plain if stage else packed_of(plain, tmp_path / "packed" / "raw", {"*": "gz"})
    choices = options(root, tmp_path / "b", **({"stage": str(tmp_path / stage)} if stage else {}))

    class Stopping(Recording):
        def planned(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(choices, Stopping())
    monkeypatch.setattr(reading, "passed", lambda *_: pytest.fail("the shards are read again"))
    convert(choices)
    done = shards(tmp_path / "b")
    assert done != {}
    assert 0 == convert(choices).made_samples
    assert done == shards(tmp_path / "b")


@pytest.mark.parametrize("size", [700, 5_000, 100_000])
def test_pieces(plain: Path, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members and their headers may lie in several pieces of what is read; verify sees them whole."""
    root = packed_of(plain, tmp_path / "packed" / "raw", {"*": "xz"})
    convert(options(plain, tmp_path / "a"))
    monkeypatch.setattr(copy, "CHUNK_BYTES", size)
    convert(options(root, tmp_path / "b"))
    assert shards(tmp_path / "a") == shards(tmp_path / "b")
    assert () == verify_shards(VerifyOptions(dest=str(tmp_path / "b"), source=str(root), workers=0)).deviations


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data[:-40], "cannot be decompressed any further"),
        (lambda data: made.PACKED["gz"](b"no tar at all" * 100), "is no tar|no header|header"),
        (lambda data: b"\x04\x22\x4d\x18" + data, "compressed by lz4, and only plain tars"),
    ],
)
def test_damaged(plain: Path, tmp_path: Path, change: Callable[[bytes], bytes], complaint: str) -> None:
    """A compressed shard that is cut, holds no tar, or cannot be decompressed is refused by its path."""
    root = packed_of(plain, tmp_path / "packed" / "raw", {"*": "gz"})
    path = root / "old-2.tar.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=complaint) as caught:
        convert(options(root, tmp_path / "b"))
    assert str(path) in str(caught.value)
    assert {} == shards(tmp_path / "b")


def test_stage_none(plain: Path, tmp_path: Path) -> None:
    """Without a stage they cannot be read."""
    root = packed_of(plain, tmp_path / "packed" / "raw", {"*": "gz"})
    with pytest.raises(SourceError, match="4 archives are compressed"):
        convert(options(root, tmp_path / "b", stage="none"))


def test_no_room_for_temporary_files(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where --where has to unpack a shard for a look, and cannot, the message names the folder and TMPDIR."""
    root = packed_of(plain, tmp_path / "packed" / "raw", {"*": "gz"})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(DestinationError, match=f"{tmp_path}/missing, where .* is unpacked to.* TMPDIR"):
        preview(options(root, tmp_path / "b", where="cls == 1"))
