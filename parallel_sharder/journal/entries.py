"""The journal's entries: what each of its records means. Values become maps by field name, and back; no file is opened.

    {"what": "header", "fingerprint": ...}                      what the set is made from and with
    {"what": "dealt", "number": ..., "path": ..., "of": ...}    a shard is about to be written under this name
    {"what": "dealt", "path": ..., "trace": ..., "of": ...}     a file beside the shards is about to be written; it will
                                                                have the trace {"size": ..., "xxh3_128": ...}
    {"what": "done", ..., "of": ...}                            a shard is whole, synced, and has its name: the fields
                                                                of its ShardRecord by name
    {"what": "opened", "epoch": ..., "host": ..., "pid": ..., "time": ..., "anew": ..., "of": ...}
                                                                a run of an array has begun to write this journal
    {"what": "closed", "samples": ..., "seconds": ..., "of": ...}     such a run has written so many samples, and ended

A path is the file's name alone. `of` is the digest of the fingerprint, so that an entry proves to which set it belongs
even where the header is lost. A field that an entry lacks has its default. An entry with an unknown field is unknown.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from parallel_sharder.journal.fingerprint import Fingerprint
from parallel_sharder.journal.records import Payload
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem, ShardRecord
from parallel_sharder.stores.traces import Trace

_TYPES: Mapping[str, type] = {
    "number": int,
    "path": str,
    "samples": int,
    "tar_bytes": int,
    "file_bytes": int,
    "xxh3_128": str,
    "left_out": list,
    "problems": list,
    "md5": str,
    "json_bytes": bytes,
    "mended": list,
}
"""The type of each field of a ShardRecord in a journal."""


class Dealt(NamedTuple):
    """The file called `name` is about to be written: shard `number`, or a file beside the shards if that is None."""

    name: str
    number: int | None = None
    trace: Trace | None = None


class Done(NamedTuple):
    """A shard is done; its `record` has the file's name alone as path."""

    record: ShardRecord


class Opened(NamedTuple):
    """A run has begun to write the journal of a set that several runs write.

    `epoch` is larger than all that the run has found in any journal of the set: so of two entries in two journals, the
    later has the larger epoch. With `anew`, what other journals say in smaller epochs counts no more. `time` is the
    host's, in seconds since 1970, and for people only.
    """

    epoch: int
    host: str
    pid: int
    time: float
    anew: bool = False


class Closed(NamedTuple):
    """A run has ended, after it has written so many samples in so many seconds."""

    samples: int
    seconds: float


Entry = Dealt | Done | Opened | Closed


def header(fingerprint: Fingerprint) -> Payload:
    """Return the first record of the journal of a set with this fingerprint."""
    return {"what": "header", "fingerprint": fingerprint}


def packed(entry: Entry, of: bytes) -> Payload:
    """Return the payload of the entry's record; `of` is the digest of the set's fingerprint."""
    if isinstance(entry, Opened | Closed):
        return {"what": type(entry).__name__.lower(), **entry._asdict(), "of": of}
    if isinstance(entry, Done):
        name = os.path.basename(entry.record.path)
        return {"what": "done", **dataclasses.asdict(dataclasses.replace(entry.record, path=name)), "of": of}
    return {
        "what": "dealt",
        **({} if entry.number is None else {"number": entry.number}),
        "path": entry.name,
        **({} if entry.trace is None else {"trace": entry.trace._asdict()}),
        "of": of,
    }


def unpacked(payload: Payload) -> Entry | None:
    """Return the entry of a record that is no header; None if this version does not know such a record."""
    match payload:
        case {"what": "dealt", "number": int(number), "path": str(name), "of": _, **rest} if not rest:
            return Dealt(name, number)
        case {"what": "dealt", "path": str(name), "of": _, **rest} if not rest:
            return Dealt(name)
        case {"what": "dealt", "path": str(name), "trace": dict(trace), "of": _, **rest} if not rest:
            match trace:
                case {"size": int(size), "xxh3_128": str(digest), **further} if not further:
                    return Dealt(name, None, Trace(size, digest))
        case {"what": "opened", "epoch": int(), "host": str(), "pid": int(), "time": float(), "anew": bool()} if (
            payload.keys() == {"what", "of", *Opened._fields}
        ):
            return Opened(*(payload[name] for name in Opened._fields))
        case {"what": "closed", "samples": int(samples), "seconds": float(seconds), "of": _, **rest} if not rest:
            return Closed(samples, seconds)
        case {"what": "done", "of": _, **fields}:
            record = _record(fields)
            return Done(record) if record is not None else None
    return None


def _record(fields: dict[str, Any]) -> ShardRecord | None:
    """Return the ShardRecord with these fields, or None if they are not valid; fields with a default may be missing."""
    if not all(isinstance(value, _TYPES.get(name, ())) for name, value in fields.items()):
        return None
    try:
        problems = tuple(map(_problem, fields.pop("problems", ())))
        left_out, mended = (tuple(map(_count, fields.pop(name, ()))) for name in ("left_out", "mended"))
        return ShardRecord(left_out=left_out, problems=problems, mended=mended, **fields)
    except (TypeError, ValueError):
        return None


def _problem(value: Any) -> Problem:
    match value:
        case {"kind": str(kind), "path": str(path), "key": str(key), "detail": str(detail), "kept": bool(kept)}:
            return Problem(Kind(kind), path, key, detail, kept)
    raise ValueError(f"{value!r} is no problem")


def _count(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no number")
    return value
