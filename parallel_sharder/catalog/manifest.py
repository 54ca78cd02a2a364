"""The manifest: the index of a finished set, written last, and read only if it is as this tool writes it.

A wids index (`wids-shard-index-v1`), so that wids and webdataset read it as it is, with further keys for people and
tools. It is a function of the source, the choices and the tool's version: what differs from run to run (times, rates,
workers) is in the summary, never here. Only this module and `manifestshape` know it as JSON: others get a Manifest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import xxhash

from parallel_sharder import __version__
from parallel_sharder.catalog.manifest_shape import DIGEST, TOOL, fault_in, is_ours, totals_of
from parallel_sharder.errors import ManifestError
from parallel_sharder.model import ImageClass, ShardRecord
from parallel_sharder.samples.mended import Mended
from parallel_sharder.stores import store_of


class ListedShard(NamedTuple):
    """A shard of the set: its file's name, and what is in it; digests are in hex, `md5` is "" if it is not known."""

    name: str
    samples: int
    file_bytes: int
    tar_bytes: int
    xxh3_128: str
    md5: str = ""

    @classmethod
    def of(cls, record: ShardRecord, with_md5: bool) -> ListedShard:
        """The shard that a record is of."""
        name = os.path.basename(record.path)
        md5 = record.md5 if with_md5 else ""
        return cls(name, record.samples, record.file_bytes, record.tar_bytes, record.xxh3_128, md5)


class ListedClass(NamedTuple):
    """A class of the set: its label, WordNet ID and words, and how many samples of it are stored."""

    label: int
    wnid: str
    name: str
    samples: int


class Totals(NamedTuple):
    """What the shards add up to."""

    samples: int
    shards: int
    file_bytes: int
    tar_bytes: int


class Choices(NamedTuple):
    """The options that the bytes of the shards follow from, as Options has them; `seed` None is no shuffling."""

    split: str
    labels: str
    seed: int | None
    maxsize: int
    maxcount: int | None
    shards: int | None
    on_bad: str
    annotations: str = "original"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A set's manifest. Each field has a value that can be, and those that follow from others agree with them.

    `shards` are in order of number, and at least one; `classes` in order of label. `mended` is None where annotations
    have another form than boxes. What older versions did not write has its default: that is "original" for the
    annotations of the options, and no MD5. `content` is the JSON behind it but for the digest, with the entries of
    later versions too.
    """

    name: str
    tool_version: str
    options: Choices
    totals: Totals
    shards: tuple[ListedShard, ...]
    classes: tuple[ListedClass, ...]
    mended: Mended | None
    content: Mapping[str, Any]

    @classmethod
    def made(
        cls,
        name: str,
        choices: Mapping[str, Any],
        shards: Sequence[ListedShard],
        classes: Sequence[tuple[ImageClass, int]],
        mended: Mended | None,
    ) -> Manifest:
        """The manifest of the set of `shards`, in order of number, that this version of the tool has made.

        `choices` are Options.choices; `classes` come with the number of their stored samples. Source of the wids keys:
        webdataset 0.2.x, wids/wids_specs.py; the reader wants `wids_version`, and `url` and `nsamples` of each shard.
        """
        entries = [_entry(shard) for shard in shards]
        table = sorted(classes, key=lambda row: row[0].label)
        content: dict[str, Any] = {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "name": name,
            "shardlist": entries,
            "tool": {"name": TOOL, "version": __version__},
            "options": dict(choices),
            "totals": totals_of(entries),
            **({"mended": mended._asdict()} if mended is not None else {}),
            "classes": [
                {"label": row.label, "wnid": row.id, "name": row.name, "count": int(count)} for row, count in table
            ],
        }
        return cls._of(content)

    @classmethod
    def read(cls, path: str) -> Manifest | None:
        """The manifest at `path`, as `parse` gives it, or None if what is there is JSON, but not one of ours.

        Raises ManifestError if it is missing or cannot be read too.
        """
        try:
            data = store_of(path).read(path)
        except FileNotFoundError as error:
            raise ManifestError("is missing: the set is not finished") from error
        except OSError as error:
            raise ManifestError(f"cannot be read: {error.strerror}") from error
        return cls.parse(data)

    @classmethod
    def parse(cls, data: bytes) -> Manifest | None:
        """The manifest that these bytes are, or None if they are JSON, but not one of ours.

        Raises ManifestError if it is damaged: not JSON, not to the byte what its digest was made of, or with a value
        that cannot be; then the message says where.
        """
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"is damaged: it is not JSON: {error}") from error
        if not isinstance(content, dict) or not is_ours(content):
            return None
        try:
            digest = xxhash.xxh3_128_hexdigest(_text(_undigested(content)))
            holds = data == _text(content) and content.get(DIGEST) == digest
        except RecursionError:
            holds = False
        if not holds:
            raise ManifestError("is damaged: its content does not give the digest that it ends with")
        if found := fault_in(content):
            raise ManifestError(f"is damaged: {found}")
        return cls._of(content)

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Manifest:
        """The manifest with this content, in which all is as it should be."""
        choices = {name: value for name, value in content["options"].items() if name in Choices._fields}
        totals = content["totals"]
        return cls(
            content["name"],
            content["tool"]["version"],
            Choices(**choices),
            Totals(totals["samples"], totals["shards"], totals["filesize"], totals["tar_bytes"]),
            tuple(
                ListedShard(
                    entry["url"],
                    entry["nsamples"],
                    entry["filesize"],
                    entry["tar_bytes"],
                    entry["xxh3_128"],
                    entry.get("md5sum", ""),
                )
                for entry in content["shardlist"]
            ),
            tuple(ListedClass(row["label"], row["wnid"], row["name"], row["count"]) for row in content["classes"]),
            _mended(content.get("mended")),
            _undigested(content),
        )

    @property
    def tool(self) -> str:
        """The tool that has made the set, and its version."""
        return f"{TOOL} {self.tool_version}"

    def to_bytes(self) -> bytes:
        """The manifest as text in JSON. Its last entry is the digest of all before it, which makes damage noticed."""
        return signed(self.content)

    def with_md5(self, digests: Mapping[str, tuple[str, str]]) -> Manifest:
        """The same with the MD5 of each shard, of which MD5 and XXH3-128 are given by its name.

        Raises ManifestError for a shard that has not the digest that the manifest has.
        """
        entries = []
        for shard, entry in zip(self.shards, self.content["shardlist"], strict=True):
            md5, xxh3_128 = digests[shard.name]
            if xxh3_128 != shard.xxh3_128:
                raise ManifestError(
                    f"has {shard.xxh3_128} as digest (XXH3-128) of {shard.name}, and the file has {xxh3_128}: it is "
                    "not as it was finished. No MD5 was written. Copy it again, or convert again with --check, which "
                    "makes it anew."
                )
            rest = {field: value for field, value in entry.items() if field != "md5sum"}
            entries.append(_with_md5(rest, md5))
        return Manifest._of({**self.content, "shardlist": entries})

    def is_copy_at(self, path: str) -> bool:
        """Whether `path` has another name than the set's: the file there is a copy, and stands for no set."""
        return os.path.basename(path) != f"{self.name}.json"


def signed(content: Mapping[str, Any]) -> bytes:
    """The text of the manifest with this content, and with the digest of it."""
    rest = _undigested(content)
    return _text({**rest, DIGEST: xxhash.xxh3_128_hexdigest(_text(rest))})


def _undigested(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != DIGEST}


def _entry(shard: ListedShard) -> dict[str, Any]:
    entry = {
        "url": shard.name,
        "nsamples": shard.samples,
        "filesize": shard.file_bytes,
        "tar_bytes": shard.tar_bytes,
        "xxh3_128": shard.xxh3_128,
    }
    return _with_md5(entry, shard.md5) if shard.md5 else entry


def _with_md5(entry: Mapping[str, Any], md5: str) -> dict[str, Any]:
    """The entry of a shard with its MD5 where wids has it, behind the size of the file."""
    parted: dict[str, Any] = {}
    for field, value in entry.items():
        parted[field] = value
        if field == "filesize":
            parted["md5sum"] = md5
    return parted


def _mended(counts: object) -> Mended | None:
    """What a manifest says of it; what is no count counts as none."""
    if not isinstance(counts, dict):
        return None
    return Mended(**{name: counts[name] for name in Mended._fields if type(counts.get(name)) is int})


def is_manifest(path: str) -> bool:
    """Whether what is at `path` is a manifest of this tool that holds its own digest."""
    try:
        return not os.path.islink(path) and Manifest.read(path) is not None
    except ManifestError:
        return False


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode("ascii")
