"""Finished sets for the tests of verify: made, damaged, and sealed, so that the manifest agrees with the damage.

Then only what is in the shards, or in the source, can show that something is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import xxhash

from parallel_sharder import Options, Verdict, VerifyOptions, convert, verify_shards
from parallel_sharder.catalog.manifest_shape import DIGEST
from tests import made
from tests.test_bad import picture

Members = list[tuple[str, bytes]]
FIRST = "imagenet_train-000000.tar"
SECOND = "imagenet_train-000001.tar"


def make(folder: Path, suffix: str = "tar", **choices: Any) -> Path:
    """A set of small pictures, half of them annotated, and its two shards, in raw/ and out/; the first shard."""
    expected = made.classic_train(folder / "raw", classes=3, images=12, annotated=0)
    for number, key in enumerate(sorted(expected.wnids)):
        (folder / "raw" / "train" / expected.wnids[key] / f"{key}.JPEG").write_bytes(picture())
        if number % 2:
            expected.xml(f"train/{expected.wnids[key]}", key)
    return run(folder, suffix, **choices)


def run(folder: Path, suffix: str = "tar", **choices: Any) -> Path:
    """Convert raw/ to two shards in out/; the first shard."""
    dest = str(folder / "out" / f"imagenet_train-%06d.{suffix}")
    convert(Options(root=folder / "raw", dest=dest, shards=2, workers=0, **choices))
    return folder / "out" / f"imagenet_train-000000.{suffix}"


def verify(folder: Path, *, source: bool = False, workers: int = 0) -> Verdict:
    return verify_shards(VerifyOptions(dest=folder / "out", source=folder / "raw" if source else None, workers=workers))


def said(verdict: Verdict) -> str:
    return "\n".join(
        f"{os.path.basename(each.path)} {each.key} {each.offset}: {each.detail}" for each in verdict.deviations
    )


def members_in(shard: Path) -> Members:
    with tarfile.open(shard) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def packed(members: Iterable[tuple[str, bytes]], tar_format: Any = tarfile.USTAR_FORMAT, **fields: Any) -> bytes:
    """A tar as the tool writes it, made with Python's own tarfile; `fields` are other values of all headers."""
    data = b""
    for name, content in members:
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.uname, header.gname = len(content), 0o444, "bigdata", "bigdata"
        for field, value in fields.items():
            setattr(header, field, value)
        data += header.tobuf(tar_format) + content + bytes(-len(content) % 512)
    return data + bytes(1024)


def seal(out: Path, tar_bytes: int | None = None, name: str = "imagenet_train", **changes: Any) -> None:
    """Let the manifest of `name` say of all shards what they are now, but for their samples, as if made so.

    Then only what is in the shards can show that something is wrong. `tar_bytes` is what compressed shards have before
    compression, if that is to change; `changes` are other values of the manifest's fields.
    """
    path = out / f"{name}.json"
    manifest = json.loads(path.read_text())
    manifest.update(changes)
    for entry in manifest["shardlist"]:
        data = (out / entry["url"]).read_bytes()
        entry["filesize"] = len(data)
        if tar_bytes is not None or entry["url"].endswith(".tar"):
            entry["tar_bytes"] = tar_bytes or len(data)
        entry["xxh3_128"] = xxhash.xxh3_128_hexdigest(data)
        if "md5sum" in entry:
            entry["md5sum"] = hashlib.md5(data).hexdigest()
    if "totals" not in changes:
        for name in ("filesize", "tar_bytes"):
            manifest["totals"][name] = sum(entry[name] for entry in manifest["shardlist"])
    sign(path, manifest)


def sign(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with the digest that its content gives."""
    content = {name: value for name, value in manifest.items() if name != DIGEST}
    content[DIGEST] = xxhash.xxh3_128_hexdigest(f"{json.dumps(content, indent=1)}\n".encode())
    path.write_text(json.dumps(content, indent=1) + "\n")


def check_damage(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """Were the writer to make such a shard and its digest, reading it would show it; and without, the digest does."""
    damage(folder / "out")
    assert any("the manifest says" in each.detail for each in verify(folder).deviations)
    seal(folder / "out")
    verdict = verify(folder)
    assert 1 == verdict.exit_code
    assert re.search(finding, said(verdict) + "\n"), said(verdict)


def manifest_path(folder: Path) -> Path:
    return folder / "out" / "imagenet_train.json"


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manifest_path(folder).read_text())
    return content


def total(content: dict[str, Any]) -> None:
    """Let the totals say what the list of shards gives."""
    shards = content["shardlist"]
    fields = {"samples": "nsamples", "filesize": "filesize", "tar_bytes": "tar_bytes"}
    content["totals"].update({total: sum(entry[field] for entry in shards) for total, field in fields.items()})
    content["totals"].update(shards=len(shards))


def with_member(shard: Path, ending: str, change: Callable[[bytes], bytes]) -> str:
    """Change what the last member of that ending holds, in a shard that is not compressed; its key."""
    members = members_in(shard)
    last = max(number for number, (name, _) in enumerate(members) if name.endswith(ending))
    name, content = members[last]
    members[last] = name, change(content)
    shard.write_bytes(packed(members))
    return name.partition(".")[0]


def labels_swapped(out: Path) -> None:
    """As a whole: cls and json of two samples of different classes."""
    members = members_in(out / FIRST)
    other = next(i for i in range(3, len(members), 3) if members[i][1] != members[0][1])
    for field in (0, 2):
        one, two = members[field], members[other + field]
        members[field], members[other + field] = (one[0], two[1]), (two[0], one[1])
    (out / FIRST).write_bytes(packed(members))


def other_headers(**fields: Any) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        (out / FIRST).write_bytes(packed(members_in(out / FIRST), **fields))

    return damage


def problems_path(folder: Path) -> Path:
    return folder / "out" / "imagenet_train.problems.jsonl"


def listed(path: Path, kind: str, **changes: Any) -> str:
    """A line of the list, by which the sample of the file at `path` is left out."""
    fields = {"path": str(path), "key": path.stem, "kind": kind, "detail": "why", "left_out": True}
    return json.dumps(fields | changes) + "\n"


def left_out(folder: Path) -> Path:
    """Take the first sample out of its shard, and out of the manifest; the path of its image."""
    shard = folder / "out" / "imagenet_train-000000.tar"
    members = members_in(shard)
    shard.write_bytes(packed(members[3:]))
    seal(folder / "out")
    manifest = manifest_of(folder)
    manifest["shardlist"][0]["nsamples"] -= 1
    manifest["totals"]["samples"] -= 1
    next(row for row in manifest["classes"] if row["label"] == int(members[0][1]))["count"] -= 1
    sign(manifest_path(folder), manifest)
    [path] = folder.glob(f"raw/train/*/{members[0][0].partition('.')[0]}.JPEG")
    return path
