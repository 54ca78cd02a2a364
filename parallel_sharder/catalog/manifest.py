"""The manifest: the list of a finished set's shards, written last, and read only if it is as this tool writes it.

It is a wids index (`wids-shard-index-v1`), so that wids and webdataset can read it, with further keys for people and
tools. It is a function of the source, the choices and the tool's version: what differs from run to run (times, rates,
workers) is in the summary, never here. Bytes come in and go out as a Manifest: only this module and `manifest_shape`
know the JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import xxhash

from parallel_sharder import __version__
from parallel_sharder.catalog.manifest_shape import DIGEST, TOOL, is_ours, manifest_fault, totals_of
from parallel_sharder.errors import ManifestError
from parallel_sharder.model import ImageClass, ShardRecord
from parallel_sharder.samples.mended import Mended
from parallel_sharder.stores import store_of

_IN_ALL = {True: "all", False: "some"}
"""How the manifest says whether all samples have a field."""


class ListedShard(NamedTuple):
    """A shard of the set: its file's name, counts and digests in hex; `md5` is "" if it is not known."""

    name: str
    samples: int
    file_bytes: int
    tar_bytes: int
    xxh3_128: str
    md5: str = ""

    @classmethod
    def of(cls, record: ShardRecord, with_md5: bool) -> ListedShard:
        """Return the shard of a record, with the record's MD5 or without."""
        name = os.path.basename(record.path)
        md5 = record.md5 if with_md5 else ""
        return cls(name, record.samples, record.file_bytes, record.tar_bytes, record.xxh3_128, md5)


class ListedClass(NamedTuple):
    """A class of the set: its label, ID and name, and how many samples of it are stored.

    The ID is ImageNet's WordNet ID, or the name that a class has in its source.
    """

    label: int
    id: str
    name: str
    samples: int


class Totals(NamedTuple):
    """The sums over all shards."""

    samples: int
    shards: int
    file_bytes: int
    tar_bytes: int


class Choices(NamedTuple):
    """The options that the bytes of the shards depend on, as in Options; `seed` None means no shuffling.

    ImageNet's sets have `labels` and `annotations`, which is then the form. Other sets have a `form`, and `split` is
    None where there are no splits.
    """

    split: str | None
    seed: int | None
    maxsize: int
    maxcount: int | None
    shards: int | None
    on_bad: str
    labels: str | None = None
    annotations: str = "original"
    form: str = ""

    @property
    def its_form(self) -> str:
        """The form of the samples, one of samples.forms.FORMS."""
        return self.form or self.annotations

    @property
    def is_of_imagenet(self) -> bool:
        """Whether the set is ImageNet."""
        return not self.form


@dataclass(frozen=True, slots=True)
class Manifest:
    """A set's manifest. Each field has a valid value, and values that follow from others agree with them.

    `shards` are in order of number, and there is at least one; `classes` are in order of label. `mended` is None where
    annotations have another form than boxes. `selection` is that of the Listing, and is empty for ImageNet's own
    splits. `fields` has the fields of its samples, in the tar's order, each with whether all samples have it;
    ImageNet's are known from the form, and not here. Values that older versions did not write have their defaults:
    "original" as annotations, and no MD5. `content` is the JSON without its digest; it includes entries of later
    versions.
    """

    name: str
    tool_version: str
    options: Choices
    totals: Totals
    shards: tuple[ListedShard, ...]
    classes: tuple[ListedClass, ...]
    mended: Mended | None
    selection: Mapping[str, Any]
    fields: tuple[tuple[str, bool], ...]
    content: Mapping[str, Any]

    @classmethod
    def made(
        cls,
        name: str,
        choices: Mapping[str, Any],
        shards: Sequence[ListedShard],
        classes: Sequence[tuple[ImageClass, int]],
        mended: Mended | None,
        selection: Mapping[str, Any] | None = None,
        fields: Sequence[tuple[str, bool]] = (),
    ) -> Manifest:
        """Return the manifest of the set of `shards`, in order of number, that this version of the tool has made.

        `choices` are Options.choices, and `selection` is that of the Listing; each of `classes` has the number of its
        stored samples. Source of the wids keys: webdataset 0.2.x, wids/wids_specs.py; the reader needs `wids_version`,
        and `url` and `nsamples` of each shard.
        """
        entries = [_entry(shard) for shard in shards]
        table = sorted(classes, key=lambda row: row[0].label)
        id_field = "id" if choices.get("form") else "wnid"
        content: dict[str, Any] = {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "name": name,
            "shardlist": entries,
            "tool": {"name": TOOL, "version": __version__},
            "options": dict(choices),
            **({"source": dict(selection)} if selection else {}),
            **({"fields": {name: _IN_ALL[is_in_all] for name, is_in_all in fields}} if choices.get("form") else {}),
            "totals": totals_of(entries),
            **({"mended": mended._asdict()} if mended is not None else {}),
            "classes": [
                {"label": row.label, id_field: row.id, "name": row.name, "count": int(count)} for row, count in table
            ],
        }
        return cls._from_content(content)

    @classmethod
    def read(cls, path: str) -> Manifest | None:
        """Return the manifest at `path` as `parse` returns it: None if the file is JSON, but no manifest of this tool.

        Raises ManifestError as `parse` does, and if the file is missing or cannot be read.
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
        """Return the manifest with these bytes, or None if they are JSON, but no manifest of this tool.

        Raises ManifestError if the manifest is damaged: it is not JSON, it differs from what its digest was made of, or
        a value is not valid, which the message names.
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
            raise ManifestError("is damaged: its content does not have the digest that it ends with")
        if found := manifest_fault(content):
            raise ManifestError(f"is damaged: {found}")
        return cls._from_content(content)

    @classmethod
    def _from_content(cls, content: Mapping[str, Any]) -> Manifest:
        """Return the manifest with this content, which is valid."""
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
            tuple(
                ListedClass(row["label"], row.get("wnid", row.get("id")), row["name"], row["count"])
                for row in content["classes"]
            ),
            _mended(content.get("mended")),
            content.get("source", {}),
            tuple((name, value == _IN_ALL[True]) for name, value in content.get("fields", {}).items()),
            _undigested(content),
        )

    @property
    def tool(self) -> str:
        """The tool that has made the set, and its version."""
        return f"{TOOL} {self.tool_version}"

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON. Its last entry is the digest of all entries before it, which shows damage."""
        return signed(self.content)

    def with_md5(self, digests: Mapping[str, tuple[str, str]]) -> Manifest:
        """Return the manifest with the MD5 of each shard; `digests` has MD5 and XXH3-128 by the shard's name.

        Raises ManifestError for a shard whose XXH3-128 is not the manifest's.
        """
        entries = []
        for shard, entry in zip(self.shards, self.content["shardlist"], strict=True):
            md5, xxh3_128 = digests[shard.name]
            if xxh3_128 != shard.xxh3_128:
                raise ManifestError(
                    f"has {shard.xxh3_128} as digest (XXH3-128) of {shard.name}, and the file has {xxh3_128}: it has "
                    "changed since it was finished. No MD5 was written. Copy the shard again, or convert again with "
                    "--check, which makes it anew."
                )
            rest = {field: value for field, value in entry.items() if field != "md5sum"}
            entries.append(_with_md5(rest, md5))
        return Manifest._from_content({**self.content, "shardlist": entries})

    def is_copy_at(self, path: str) -> bool:
        """Return whether `path` has another name than the set's: then the file is a copy, and counts as no set."""
        return os.path.basename(path) != f"{self.name}.json"


def signed(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of the manifest with this content, and with the content's digest."""
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
    """Return the entry of a shard with its MD5 in wids' position, after the size of the file."""
    parted: dict[str, Any] = {}
    for field, value in entry.items():
        parted[field] = value
        if field == "filesize":
            parted["md5sum"] = md5
    return parted


def _mended(counts: object) -> Mended | None:
    """Return the counts of what was mended; a value that is no count is 0."""
    if not isinstance(counts, dict):
        return None
    return Mended(**{name: counts[name] for name in Mended._fields if type(counts.get(name)) is int})


def is_manifest(path: str) -> bool:
    """Return whether the file at `path` is a sound manifest of this tool, and no link."""
    try:
        return not os.path.islink(path) and Manifest.read(path) is not None
    except ManifestError:
        return False


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode("ascii")
