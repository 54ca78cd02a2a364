"""The journal's records: from a file's bytes to its whole records, even if it is damaged, and back to bytes.

    file    = magic record ...
    record  = mark length checksum payload     4 bytes; length and CRC-32 of the payload as big-endian uint32
    payload = msgpack of a map

After a damaged record, the next one is found by its mark. Up to format 4 a payload was a list; the names of its
positions are here. Up to format 3 there was neither magic nor mark. This module opens no file.
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
"""The names of the positions of a list, up to format 4."""

Payload = Mapping[str, Any]
"""The fields of a record, by name."""

_LOOKED_THROUGH = 100
"""How many times its size of a file's bytes may pass the checksum in the search for records. Without a limit, a file
full of marks, made on purpose, would take for ever."""


class State(Enum):
    """What a file with the name of a journal is."""

    NEW = "empty, or hardly begun"
    SOUND = "a journal; after its last record there may be one that a crash has torn"
    DAMAGED = "a journal with damage that no crash can leave"
    OLD = "a journal of format 3 or earlier"
    FOREIGN = "something else"


class Record(NamedTuple):
    """A whole record: its payload, and where it begins and ends in the file."""

    payload: dict[str, Any]
    start: int
    end: int


class Contents(NamedTuple):
    """What a journal's file holds: its whole records, and how many of its bytes belong to none, but for a torn end."""

    state: State
    records: tuple[Record, ...]
    lost_bytes: int = 0

    @property
    def end(self) -> int:
        """The offset at which the last whole record ends."""
        return self.records[-1].end if self.records else 0

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The payloads of the records."""
        return [record.payload for record in self.records]


def contents_of(data: bytes) -> Contents:
    """Return the state and the records of a file with the name of a journal, from its bytes."""
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
    """Yield the whole records in a journal's bytes, also those after damaged ones."""
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
    """Return the bytes of records with these payloads."""
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
    """Return the payload that these bytes are; None if they are no payload, or have another checksum."""
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
    """Return a payload of format 4 or earlier by the names of today's fields; an empty one for an unknown record.

    Up to format 3, records did not have the digest of their set's fingerprint.
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
    """Return the fields of an old "dealt" record; files beside shards had a negative number, and some a trace."""
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
    """Return whether the payload is that of a header, with which a journal begins."""
    if payload.keys() != {"what", "fingerprint"} or payload["what"] != "header":
        return False
    fingerprint = payload["fingerprint"]
    return isinstance(fingerprint, dict) and all(isinstance(name, str) for name in fingerprint)


def _is_torn(rest: bytes) -> bool:
    """Return whether a crash can have left these bytes at the end: the beginning of a record, or blocks of zeros."""
    return rest.startswith(_MARK) or _MARK.startswith(rest) or not any(rest)
