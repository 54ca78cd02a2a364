"""Headers of finished shards that are read for indexes: compressed ones, and damaged ones."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.options import Reader
from tests.indexed import broken_source, foreign, index, refusal


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    return broken_source(tmp_path_factory.mktemp("raw"))


@pytest.mark.parametrize("suffix", ["tgz", "tar.gz", "tar.zst"])
def test_counts_of_compressed_shards(raw: Path, tmp_path: Path, suffix: str) -> None:
    """Timm and open_clip want no more than counts, which are those that the conversion writes, and of foreign ones."""
    dest = str(tmp_path / f"a_val-%02d.{suffix}")
    convert(Options(root=raw / "val", split="val", dest=dest, workers=0, shards=3, index=("timm", "openclip")))
    indexes = [tmp_path / "sizes.json", tmp_path / "_info.json"]
    expected = [path.read_bytes() for path in indexes]
    for path in indexes:
        path.unlink()
    for where in (tmp_path, dest):
        assert ["_info.json", "sizes.json"] == index(Path(where), "timm", "openclip", workers=2)
        assert expected == [path.read_bytes() for path in indexes]
    for unable in ("dali", "wids"):
        assert (
            f"{tmp_path}/a_val-00.{suffix} is compressed, so its samples have no place in the file from which {unable} "
            "could read them. Make uncompressed shards, name others by a pattern, or write readers timm,openclip alone."
        ) == refusal(dest, unable)
    assert "from which wids or dali or energon could read them" in refusal(tmp_path, "all")
    assert expected == [path.read_bytes() for path in indexes]


@pytest.mark.parametrize("suffix", ["tgz", "tar.zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_damaged_compressed_shards(raw: Path, tmp_path: Path, suffix: str, damage: str) -> None:
    """Each is named with what to do, and nothing is written."""
    convert(Options(root=raw / "val", split="val", dest=str(tmp_path / f"x-%02d.{suffix}"), workers=0, shards=1))
    shard = tmp_path / f"x-00.{suffix}"
    data = bytearray(shard.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    shard.write_bytes({"cut": bytes(data[:-1000]), "flipped": bytes(data), "other": b"<html>404</html>"}[damage])
    message = refusal(tmp_path, "openclip")
    assert message.startswith(f"{shard}, at offset ")
    remedies = "Download or copy it again. If a conversion made the shard, check with it makes the shard anew."
    assert message.endswith(f". {remedies}")
    assert not (tmp_path / "sizes.json").exists()


@pytest.mark.parametrize("reader", ["wids", "dali", "energon", "timm"])
@pytest.mark.parametrize(
    ("names", "number", "what"),
    [
        (["a.jpg", "b.jpg", "b.cls", "a.cls"], 3, "the key a is also at offset 0, and other members lie between"),
        (["a.jpg", "a.cls", "b.jpg", "a.jpg"], 3, "the key a is also at offset 0, and other members lie between"),
        (["a.jpg", "b.jpg", "b.JPG"], 1, "b has the field jpg twice"),
        (["./a__b/a.jpg", "./a__b/c.jpg", "./a__b/a.cls"], 2, "the key ./a__b/a is also at offset 0"),
    ],
)
def test_shards_that_an_index_would_misdescribe(
    tmp_path: Path, reader: Reader, names: list[str], number: int, what: str
) -> None:
    """Members that lie apart, a key twice and a field twice are refused with the place and the remedy."""
    shard = tmp_path / "x-0.tar"
    foreign(shard, names)
    with tarfile.open(shard) as archive:
        offset = archive.getmembers()[number].offset
    message = refusal(tmp_path, reader)
    assert message.startswith(f"{shard}, at offset {offset:,}: {what}")
    assert f"`parallel-sharder verify {shard}` names every such sample" in message
    assert [shard] == [path for path in tmp_path.iterdir() if path.is_file() and not path.name.startswith(".")]
