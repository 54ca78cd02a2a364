"""The reference: what the known single-process script stores, written independently of the package.

It reads meta.mat and the annotations itself, and writes with webdataset's own ShardWriter.
"""

from __future__ import annotations

import gc
import json
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import scipy.io
import webdataset
import xmltodict


def classes_of(meta: Path) -> dict[str, tuple[int, str]]:
    """Wnid to (ILSVRC2012_ID, words)."""
    synsets = scipy.io.loadmat(meta, squeeze_me=True)["synsets"]
    return {str(row["WNID"]): (int(row["ILSVRC2012_ID"]), str(row["words"])) for row in synsets}


def samples_of(root: Path, split: str) -> Iterator[dict[str, Any]]:
    """The script's samples of a classic tree, one dict each, in no particular order."""
    yield from samples_from(root, (root / split).glob("*/*.JPEG"))


def samples_from(root: Path, images: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The script's samples of some images of the tree at `root`, one dict each, in their order."""
    classes = classes_of(root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat")
    for image in images:
        number, words = classes[image.parent.name]
        xml = image.with_suffix(".xml")
        info = xmltodict.parse(xml.read_text()) if xml.exists() else {}
        info["cls"] = number
        info["cname"] = words
        yield {"__key__": image.stem, "cls": number, "jpg": image.read_bytes(), "json": info}


def write_shards(samples: Iterable[Mapping[str, Any]], pattern: Path) -> None:
    """Store samples as the script does."""
    with webdataset.ShardWriter(str(pattern), maxsize=1e9, mtime=0, verbose=0) as writer:
        for sample in samples:
            writer.write(sample)


def members_of(shards: Iterable[Path]) -> dict[str, bytes]:
    """Name to bytes of every member of some shards, read with Python's tarfile; names must not repeat."""
    members: dict[str, bytes] = {}
    for shard in shards:
        with tarfile.open(shard) as archive:
            for info in archive:
                file = archive.extractfile(info)
                assert file is not None
                assert info.name not in members
                members[info.name] = file.read()
    return members


def read_with_webdataset(urls: Iterable[str]) -> list[dict[str, Any]]:
    """Every sample as the webdataset library decodes it, images left as bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves closing its files to the garbage collector
        samples = list(webdataset.WebDataset(list(urls), shardshuffle=False).decode())
        gc.collect()
    return samples


def expected_members(root: Path, split: str) -> dict[str, bytes]:
    """Name to bytes of what the script stores, by its definition."""
    members = {}
    for sample in samples_of(root, split):
        key = sample["__key__"]
        members[f"{key}.cls"] = str(sample["cls"]).encode()
        members[f"{key}.jpg"] = sample["jpg"]
        members[f"{key}.json"] = json.dumps(sample["json"]).encode()
    return members
