"""The journal's bytes: from a file to its records and back, whatever has become of the file. Opens nothing.

    file    = magic record ...
    record  = mark length checksum payload     4 bytes; length and CRC-32 of the payload as big-endian uint32
    payload = msgpack of a map

Behind a damaged record the next one is looked for by its mark. Up to format 4 a payload was a list, whose positions
have their names here; up to format 3 there was neither magic nor mark.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

import msgpack

MAGIC = b"parallel_sharder journal\n"

_MARK = b"\xa7JR\xd1"
_FRAME = struct.Struct(">4sII")
_OLD_FRAME = struct.Struct(">II")

_OLD_FORMATS = 1, 2, 3

_OLD_DONE = (
    "number", "path", "samples", "tar_bytes", "file_bytes", "xxh3_128", "left_out", "problems", "md5", "json_bytes",
    "mended",
)  # fmt: skip
_OLD_PROBLEM = "kind", "path", "key", "detail", "kept"
"""What stood at each position of a list, up to format 4."""

Payload = Mapping[str, Any]
"""What a record says, by the names of its fields."""

_LOOKED_THROUGH = 100
"""How many times the bytes of a file may be summed up in the search for records: who writes marks on purpose could have
that take for ever."""


class State(Enum):
    """What a file is that has the name of a journal."""

    NEW = "empty, or hardly begun"
    SOUND = "a journal; behind its last record there may be one that a crash has torn"
    DAMAGED = "a journal in which something else is than a crash can leave"
    OLD = "a journal of format 3 or earlier"
    FOREIGN = "something else"


class Record(NamedTuple):
    """A whole record: its payload, and where it begins and ends in the file."""

    payload: dict[str, Any]
    start: int
    end: int


class Contents(NamedTuple):
    """What a journal's file holds: all whole records, and how many bytes before the last one's end are none."""

    state: State
    records: tuple[Record, ...]
    lost_bytes: int = 0

    @property
    def end(self) -> int:
        """Where the last whole record ends."""
        return self.records[-1].end if self.records else 0

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """Those of the records."""
        return [record.payload for record in self.records]


def contents_of(data: bytes) -> Contents:
    """What the bytes of a file hold that has the name of a journal."""
    if MAGIC.startswith(data):
        return Contents(State.NEW, ())
    records = tuple(records_of(data))
    has_magic = data.startswith(MAGIC)
    if not has_magic and not records:
        old = tuple(_old_records(data))
        is_old = bool(old) and is_header(old[0].payload) and old[0].payload["fingerprint"].get("format") in _OLD_FORMATS
        return Contents(State.OLD, old) if is_old else Contents(State.FOREIGN, ())
    end = records[-1].end if records else len(MAGIC)
    lost = end - len(MAGIC) * has_magic - sum(record.end - record.start for record in records)
    is_begun = bool(records) and is_header(records[0].payload)
    if has_magic and not lost and _is_torn(data[end:]) and (is_begun or not records):
        return Contents(State.SOUND if records else State.NEW, records)
    return Contents(State.DAMAGED, records, lost + (0 if _is_torn(data[end:]) else len(data) - end))


def records_of(data: bytes) -> Iterator[Record]:
    """The whole records in a journal's bytes: each as it is, also behind damaged ones."""
    start, looked_through = len(MAGIC) if data.startswith(MAGIC) else data.find(_MARK), 0
    while 0 <= start <= len(data) - _FRAME.size and looked_through <= _LOOKED_THROUGH * len(data):
        mark, size, checksum = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + size
        payload = _payload(data[start + _FRAME.size : end], checksum) if mark == _MARK and end <= len(data) else None
        if payload is not None:
            yield Record(payload, start, end)
            start = end
        else:
            looked_through += min(size, len(data)) if mark == _MARK else 0
            start = data.find(_MARK, start + 1)


def pack(payloads: Iterable[Payload]) -> bytes:
    """These payloads as records."""
    packed = [msgpack.packb(payload) for payload in payloads]
    return b"".join(_FRAME.pack(_MARK, len(each), zlib.crc32(each)) + each for each in packed)


def _old_records(data: bytes) -> Iterator[Record]:
    start = 0
    while start + _OLD_FRAME.size <= len(data):
        size, checksum = _OLD_FRAME.unpack_from(data, start)
        end = start + _OLD_FRAME.size + size
        payload = _payload(data[start + _OLD_FRAME.size : end], checksum) if end <= len(data) else None
        if payload is None:
            return
        yield Record(payload, start, end)
        start = end


def _payload(packed: bytes, checksum: int) -> dict[str, Any] | None:
    """The map that is packed so; None if it is none, or not of this checksum."""
    if zlib.crc32(packed) != checksum:
        return None
    try:
        payload = msgpack.unpackb(packed)
    except (ValueError, msgpack.UnpackException):
        return None
    if isinstance(payload, list):
        return _named(payload)
    return payload if isinstance(payload, dict) else None


def _named(payload: list[Any]) -> dict[str, Any]:
    """A record of format 4 or earlier by the names of today's fields; empty for what is none of these.

    Up to format 3 records did not say of which set they are.
    """
    match payload:
        case ["header", fingerprint]:
            return {"what": "header", "fingerprint": fingerprint}
        case ["dealt", number, path]:
            return {"what": "dealt", **_dealt(number, path, None)}
        case ["dealt", number, path, trace, of]:
            return {"what": "dealt", **_dealt(number, path, trace), "of": of}
        case ["done", *fields] if len(fields) in (len(_OLD_DONE), len(_OLD_DONE) + 1):
            named = dict(zip((*_OLD_DONE, "of"), fields, strict=False))
            if isinstance(named["problems"], list):
                named["problems"] = [_problem(each) for each in named["problems"]]
            return {"what": "done", **named}
    return {}


def _dealt(number: Any, path: Any, trace: Any) -> dict[str, Any]:
    """What was dealt: a shard, or a file beside the shards, which had a negative number, and could have a trace."""
    named = {"path": path} if number in (-1, -2, -3) else {"number": number, "path": path}
    if trace is not None:
        match trace:
            case [size, digest]:
                named["trace"] = {"size": size, "xxh3_128": digest}
            case _:
                named["trace"] = trace
    return named


def _problem(fields: Any) -> Any:
    is_whole = isinstance(fields, list) and len(fields) == len(_OLD_PROBLEM)
    return dict(zip(_OLD_PROBLEM, fields, strict=True)) if is_whole else fields


def is_header(payload: Payload) -> bool:
    """Whether a record is the one that a journal begins with."""
    if payload.keys() != {"what", "fingerprint"} or payload["what"] != "header":
        return False
    fingerprint = payload["fingerprint"]
    return isinstance(fingerprint, dict) and all(isinstance(name, str) for name in fingerprint)


def _is_torn(rest: bytes) -> bool:
    """Whether a crash can have left that behind the last record: the beginning of one, or blocks of zeros."""
    return rest.startswith(_MARK) or _MARK.startswith(rest) or not any(rest)
