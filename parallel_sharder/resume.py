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


def fingerprint(options: Options, listing: Listing, plan: Plan) -> dict[str, object]:
    """Return the entries of the set's fingerprint: all that its bytes depend on, by names for people.

    The source is represented by its names, sizes and classes, not by its folder: a source that is mounted elsewhere is
    the same source. An archive is also represented by its modification time, because its content is not looked at
    again. The compression library is an entry, because another version of it can write other bytes.
    """
    source = xxhash.xxh3_128()
    classes = repr([(row.label, row.id, row.name) for row in listing.classes])
    source.update(classes.encode())
    images, annotations = listing.part(Role.IMAGE), listing.part(Role.ANNOTATION)
    for column in (listing.keys, listing.class_index, images.size, annotations.size):
        source.update(column.tobytes())
    if images.ending is not None:  # the form with boxes stores the file's name
        source.update(repr(images.endings).encode() + images.ending.tobytes())
    compression = options.pattern.compression
    return {
        **{_time_of(archive): _exact_time(archive) for archive in listing.archives},
        **({} if compression == "none" else {"compressor": compress.library_version(compression)}),
        "format": FORMAT,
        "names of shards": os.path.basename(options.pattern.path(0)),
        **options.choices,
        "shard count": plan.shard_count,
        "samples": len(listing),
        "bytes of images": int(images.size.sum()),
        "annotated samples": int(np.count_nonzero(annotations.size >= 0)),
        "digest of names, sizes and classes": source.hexdigest(),
    }


def archives_by_entry(listing: Listing) -> dict[str, str]:
    """Return the path of each archive of the source, by the entry of the fingerprint that has its modification time."""
    return {_time_of(archive): archive.path for archive in listing.archives}


def _time_of(archive: Archive) -> str:
    return f"time of {os.path.basename(archive.path)}"


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
