"""Our indexes are those that the readers' own tools make of the same shards, or mean to the reader what they shall."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest

from parallel_sharder import IndexOptions, index_shards
from parallel_sharder.options import Split
from tests.readers.conftest import SAMPLES, SHARDS, Readers, needs_package, tool


@pytest.fixture
def copy(shards: Path, tmp_path: Path) -> Path:
    """The shards alone, without any index."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in shards.glob("*.tar"):
        shutil.copyfile(path, folder / path.name)
    return folder


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_dali(readers: Readers, shards: Path, copy: Path) -> None:
    """Each index is byte for byte that of wds2idx."""
    needs_package("nvidia-dali-cuda120")
    made = readers.read("wds2idx", *names(copy, "*.tar"), folder=copy)
    assert sum(SHARDS.values()) == len(made)
    for name in made:
        assert (copy / name).read_bytes() == (shards / name).read_bytes()


def test_energon(readers: Readers, shards: Path, copy: Path) -> None:
    """Tables, offsets, counts, splits and configuration are those of `energon prepare`."""
    parts = [word for split in (*SHARDS, "test") for word in ("--split-parts", f"{split}:imagenet_{split}-.*")]
    fields = json.dumps({"image": "jpg", "label": "cls", "label_name": "json[cname]"})
    sample = ["--sample-type", "ImageClassificationSample", "--field-map", fields]
    options = ["--non-interactive", "--no-progress", "--num-workers", "2"]
    readers.run([tool("energon"), "prepare", ".", *options, *parts, *sample], folder=copy)
    theirs, ours = copy / ".nv-meta", shards / ".nv-meta"
    assert names(theirs, "*") == names(ours, "*")
    for name in (".info.json", "split.yaml", "dataset.yaml"):
        assert (theirs / name).read_text() == (ours / name).read_text()
    assert tables(theirs / "index.sqlite") == tables(ours / "index.sqlite")
    assert names(copy, "*.tar.idx") == names(shards, "*.tar.idx")
    for path in copy.glob("*.tar.idx"):
        assert path.read_bytes() == (shards / path.name).read_bytes()


def tables(path: Path) -> list[object]:
    """All that a database says: how it was made, white space aside, and the rows of its tables, sorted."""
    database = sqlite3.connect(path)
    schema = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    rows = [sorted(database.execute(f"SELECT * FROM {table}")) for table in ("samples", "sample_parts")]
    database.close()
    return [[(kind, name, re.sub(r"\s", "", sql or "")) for kind, name, sql in schema], rows]


def test_energon_lint_by_default(readers: Readers) -> None:
    """Energon's lint, called without options, looks at train, val and test, and finds nothing."""
    readers.run([tool("energon"), "lint", "."])


@pytest.mark.parametrize("split", list(SAMPLES))
def test_wids(readers: Readers, copy: Path, tmp_path: Path, split: str) -> None:
    """An index says what that of `widsindex create` says."""
    needs_package("wids")
    output, name = tmp_path / "theirs.json", f"imagenet_{split}"
    readers.read("widsindex", str(output), name, *names(copy, f"{name}-*.tar"), folder=copy)
    index_shards(IndexOptions(dest=copy, readers=("wids",), workers=0, md5=True))
    assert json.loads(output.read_text()) == json.loads((copy / f"{name}.json").read_text())


def counted(shards: Path, split: str) -> dict[str, int]:
    """Samples of each shard of a split, counted by tarfile."""
    counts = {}
    for name in names(shards, f"imagenet_{split}-*.tar"):
        with tarfile.open(shards / name) as archive:
            counts[name] = len(archive.getnames()) // 3
    return counts


@pytest.mark.parametrize("split", list(SAMPLES))
def test_timm(readers: Readers, shards: Path, split: Split) -> None:
    """Timm takes the split's shards, their samples and the sum from `_info.json`; it has no tool that writes one."""
    needs_package("timm")
    counts = counted(shards, split)
    assert [split, tuple(counts), tuple(counts.values()), SAMPLES[split]] == readers.read("timm_info", split)


@pytest.mark.parametrize("split", list(SAMPLES))
def test_open_clip(readers: Readers, split: Split) -> None:
    """open_clip takes the number of samples from `sizes.json`; it has no tool that writes one."""
    needs_package("open_clip_torch")
    assert [SAMPLES[split], SHARDS[split]] == readers.read("open_clip_size", split)
