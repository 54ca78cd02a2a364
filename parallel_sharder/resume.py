"""Resuming: what of an earlier run's shards is still as the journal has it, and what a run is recognised by."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import xxhash

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.fingerprint import FORMAT
from parallel_sharder.model import Archive, Listing, Plan, Role, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.stores import store_of
from parallel_sharder.stores.digests import digest_if_readable
from parallel_sharder.tar import compress


def fingerprint(options: Options, listing: Listing, plan: Plan) -> dict[str, object]:
    """What the bytes of a set follow from, by the names that people know it by.

    The source counts by its names, sizes and classes, not by the folder it is in: a set that is mounted elsewhere is
    still the same set. An archive counts by its time too: what is in it is not looked at again. So does the library
    that compresses, for another version of it can give other bytes.
    """
    source = xxhash.xxh3_128()
    classes = repr([(row.label, row.id, row.name) for row in listing.classes])
    source.update(classes.encode())
    images, annotations = listing.part(Role.IMAGE), listing.part(Role.ANNOTATION)
    for column in (listing.keys, listing.class_index, images.size, annotations.size):
        source.update(column.tobytes())
    if images.ending is not None:  # the form with boxes has the file's name
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
    """The path of each archive of the source, by the entry of the fingerprint that holds its time."""
    return {_time_of(archive): archive.path for archive in listing.archives}


def _time_of(archive: Archive) -> str:
    return f"time of {os.path.basename(archive.path)}"


def _exact_time(archive: Archive) -> str:
    """To the nanosecond, as `touch -d` takes it."""
    seconds, nanoseconds = divmod(archive.mtime_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def intact(records: Iterable[ShardRecord], engine: Engine, check: bool) -> list[ShardRecord]:
    """Those of `records` that can stay: the file is there with its size and, if `check`, its digest; none provisional.

    Workers read the files for their digests.
    """
    there = [record for record in records if _has_size(record) and not record.is_provisional]
    if not check:
        return there
    digests = dict(engine.each(digest_if_readable, [record.path for record in there]))
    return [record for record in there if digests[record.path] == record.xxh3_128]


def refuse_changed(records: Iterable[ShardRecord]) -> None:
    """Raise DestinationError if a shard is not there any more, as it was finished: no manifest may tell of it."""
    for record in records:
        if not _has_size(record):
            raise DestinationError(
                f"{record.path} was finished, and is now missing or of another size: something else is at work there."
            )


def _has_size(record: ShardRecord) -> bool:
    try:
        return store_of(record.path).size(record.path) == record.file_bytes
    except OSError:
        return False
