"""Resuming: the fingerprint by which a run recognises an earlier one, and the shards of that run that can stay.

Options, a Listing and a Plan come in, and the fingerprint's entries go out; ShardRecords come in, and those whose files
are as recorded go out. This module changes nothing. Where the records are kept is the journal's to know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.journal.fingerprint import FORMAT
from parallel_sharder.model import Archive, Listing, Plan, Role, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.stores import store_of
from parallel_sharder.stores.digests import digest_if_readable
from parallel_sharder.tar import compress

if TYPE_CHECKING:
    from parallel_sharder.journal.journal import Journal
    from parallel_sharder.sources.source import Source


_ARCHIVES_NAMED = 8
"""The most archives whose times are entries of their own: ImageNet has one or two, and shards come by the thousand."""

_ROLES: dict[str, str] = {Role.IMAGE: "images", Role.ROW: "rows", Role.MEMBERS: "samples"}


def fingerprint(options: Options, listing: Listing, plan: Plan) -> dict[str, object]:
    """Return the entries of the set's fingerprint: all that its bytes depend on, by names for people.

    The source is represented by its names, sizes and classes, not by its folder: a source that is mounted elsewhere is
    the same source. An archive is also represented by its modification time, because its content is not looked at
    again. The compression library is an entry, because another version of it can write other bytes.
    """
    compression, selection = options.pattern.compression, dict(listing.selection)
    if "table" in selection:  # its path depends on where it and the root lie, and its rows have a digest
        selection["table"] = os.path.basename(selection["table"])
    return {
        **_times(listing.archives),
        **({} if compression == "none" else {"compressor": compress.library_version(compression)}),
        "format": FORMAT,
        "names of shards": os.path.basename(options.pattern.path(0)),
        **options.choices,
        **{name.replace("_", " "): value for name, value in selection.items()},
        "shard count": plan.shard_count,
        "samples": len(listing),
        **_bytes_of(listing),
        "digest of names, sizes and classes": _digest(listing),
    }


def _times(archives: Sequence[Archive]) -> dict[str, str]:
    """Return the modification times of the archives by name; of many, such as shards, one digest for all."""
    if len(archives) <= _ARCHIVES_NAMED:
        return {entry: _exact_time(archive) for entry, archive in _by_entry(archives).items()}
    digest = xxhash.xxh3_128()
    for archive in archives:
        digest.update(repr((os.path.basename(archive.path), archive.size, archive.mtime_ns)).encode())
    return {f"times of {len(archives):,} archives": digest.hexdigest()}


def _bytes_of(listing: Listing) -> dict[str, int]:
    """Return the bytes of the files of each role, and how many samples are annotated, if any could be."""
    sizes = {f"bytes of {_ROLES.get(part.role, part.role)}": int(part.size.clip(0).sum()) for part in listing.parts}
    for part in listing.parts:
        if part.role == Role.ANNOTATION:
            del sizes[f"bytes of {Role.ANNOTATION}"]
            sizes["annotated samples"] = int(np.count_nonzero(part.size >= 0))
    return sizes


def _digest(listing: Listing) -> str:
    """Return the digest of all in a Listing that decides the bytes of shards, but for the content of files."""
    digest = xxhash.xxh3_128()
    digest.update(repr([(row.label, row.id, row.name) for row in listing.classes]).encode("utf-8", "surrogateescape"))
    listing.keys.update(digest)
    digest.update(listing.class_index.tobytes())
    for part in listing.parts:
        digest.update(part.size.tobytes())
    for part in listing.parts:
        # Forms store the file's name, or choose a field by it. Of ImageNet's images, one ending alone is no news.
        if part.role == Role.IMAGE and (part.ending is not None or "key_rule" in listing.selection):
            digest.update(repr(part.endings).encode() + (b"" if part.ending is None else part.ending.tobytes()))
        if part.names is not None:
            part.names.update(digest)
    if listing.source_order is not None:
        digest.update(listing.source_order.tobytes())
    return digest.hexdigest()


def archives_by_entry(listing: Listing) -> dict[str, str]:
    """Return the path of each archive of the source, by the entry of the fingerprint that has its modification time."""
    named = listing.archives if len(listing.archives) <= _ARCHIVES_NAMED else ()
    return {entry: archive.path for entry, archive in _by_entry(named).items()}


def _by_entry(archives: Sequence[Archive]) -> dict[str, Archive]:
    """Return the archives by the entries that have their times; shards of several folders can have equal names."""
    found: dict[str, Archive] = {}
    for archive in archives:
        entry = first = f"time of {os.path.basename(archive.path)}"
        number = 1
        while entry in found:
            number += 1
            entry = f"{first} ({number})"
        found[entry] = archive
    return found


def _exact_time(archive: Archive) -> str:
    """Return the archive's modification time to the nanosecond, in the form that `touch -d` takes."""
    seconds, nanoseconds = divmod(archive.mtime_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def intact(records: Iterable[ShardRecord], engine: Engine, check: bool) -> list[ShardRecord]:
    """Return the records of the shards that can stay.

    Their files exist with the recorded size and, if `check`, with the recorded digest, and they are not provisional.
    The engine's workers read the files for the digests.
    """
    there = [record for record in records if is_there(record) and not record.is_provisional]
    if not check:
        return there
    digests = dict(engine.each(digest_if_readable, [record.path for record in there]))
    return [record for record in there if digests[record.path] == record.xxh3_128]


def refuse_changed_shards(records: Iterable[ShardRecord]) -> None:
    """Raise DestinationError if a shard is missing or has another size than recorded: no manifest may list it."""
    for record in records:
        if not is_there(record):
            raise DestinationError(
                f"{record.path} was finished, and is now missing or of another size: something else is at work there."
            )


def refuse_changed_source(source: Source, journal: Journal, made: Sequence[ShardRecord]) -> None:
    """Raise SourceError if the source is not as it was. What this run has made is then recorded as unfinished."""
    try:
        source.refuse_changes()
    except SourceError:
        journal.record(dealt=[(record.number, record.path) for record in made])
        raise


def is_there(record: ShardRecord) -> bool:
    """Return whether the shard's file exists with the recorded size."""
    try:
        return store_of(record.path).size(record.path) == record.file_bytes
    except OSError:
        return False
