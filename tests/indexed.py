"""Sets of shards for the tests of indexes, and what these tests ask of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import IndexOptions, Options, convert, index_shards
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.options import Reader, Split
from tests import made

SHARDS: tuple[tuple[Split, int], ...] = (("train", 3), ("val", 2))

TRAIN = [f"imagenet_train-{number:06}.tar" for number in range(3)]


def finished_sets(folder: Path) -> Path:
    """Train and val side by side, made by the tool."""
    made.classic_train(folder / "train", images=50)
    made.flat_val(folder / "val", images=20)
    for split, count in SHARDS:
        convert(Options(root=folder / split, split=split, dest=str(folder / "out"), shards=count, workers=0))
    return folder / "out"


def broken_source(root: Path) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    for some in (made.classic_train(root / "train", images=50), made.flat_val(root / "val", images=20)):
        for path in sorted(some.root.rglob("*.JPEG"))[::9]:
            path.write_bytes(b"no image")
    return root


def index(folder: Path, *readers: Reader, workers: int = 0, md5: bool = False) -> list[str]:
    indexed = index_shards(IndexOptions(dest=folder, readers=readers, workers=workers, md5=md5))
    return sorted(Path(path).name for path in indexed.written)


def copied(shards: Path, to: Path) -> Path:
    to.mkdir()
    for path in shards.glob("*.tar"):
        (to / path.name).write_bytes(path.read_bytes())
    return to


def dali_index(shard: Path) -> str:
    """The index as wds2idx writes it, computed anew with tarfile."""
    lines: list[str] = []
    last = None
    with tarfile.open(shard) as archive:
        for member in archive:
            key, _, extension = member.name.partition(".")
            field = f"{extension} {member.offset_data} {member.size} {member.name}"
            if key == last:
                lines[-1] += f" {field}"
            else:
                lines.append(field)
            last = key
    return "\n".join([f"v1.2 {len(lines)}", *lines, ""])


def convert_both(root: Path, out: Path, *readers: str, **choices: Any) -> None:
    """Train with three shards and val with two, side by side; what is broken is left out."""
    for split, count in SHARDS:
        all_choices = {"workers": 0, "index": readers, **choices}
        convert(Options(root=root / split, split=split, dest=str(out), shards=count, **all_choices))


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and those within, but the journals."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".journal", ".run.jsonl"))
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def foreign(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 3, 1.5  # which PAX has a header of its own for
            archive.addfile(member, io.BytesIO(b"abc"))


def refusal(dest: Path | str, *readers: Any) -> str:
    with pytest.raises((DestinationError, SourceError)) as caught:
        index_shards(IndexOptions(dest=dest, readers=readers, workers=0))
    return str(caught.value)


def whole(shards: Path, to: Path) -> Path:
    """A copy of the finished sets with their manifests, without a journal."""
    to.mkdir()
    for path in shards.glob("imagenet*"):
        (to / path.name).write_bytes(path.read_bytes())
    return to


def wids_index(*shards: str, samples: int = 7) -> str:
    entries = [{"url": name, "nsamples": samples} for name in shards]
    return json.dumps({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries})
