"""The check of one shard of another tool: its tar, its members' names and contents, and its samples.

This is the workers' share of `verify` where there is no manifest. Takes a path, reads the file once from its first byte
to its last, and returns what the shard holds, each fault, and the remarks. It never raises an error because of what is
in the file. Keys are returned as digests, with which the caller finds keys that are in several shards, and packed.
Nothing here imports numpy, or a module that writes shards.
"""

from __future__ import annotations

import os
import zlib
from array import array
from dataclasses import dataclass, field

import xxhash

from parallel_sharder.model import Deviation
from parallel_sharder.pattern import COMPRESSIONS
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted
from parallel_sharder.verify.deviations import Deviations, EnoughError
from parallel_sharder.verify.foreign_sample import (
    Fields,
    Shape,
    dotted_keys,
    fault_in_content,
    fault_in_name,
    fields_twice,
    is_read,
    parted,
    remarks_on_name,
)
from parallel_sharder.verify.foreign_tar import ForeignMember, ForeignTar
from parallel_sharder.verify.remarks import Remark, Remarks
from parallel_sharder.verify.shard_reader import ShardReader

_NO_LIMIT = 1 << 62
"""The bytes that are read of a tar whose size no manifest says."""

_SHAPES_LIMIT = 100
"""The most shapes that are returned of a shard: people read no more."""


@dataclass(slots=True)
class ForeignFindings:
    """What a shard holds, with one row for each sample in the shard's order, and what was found in it.

    `keys` is the zlib-compressed text of the keys, joined by newlines, each printable. `key_digests` (native uint64)
    are the XXH3-64 of the keys' bytes, `offsets` (native int64) the offsets of the samples' first headers. `shapes` has
    the first of the shapes, and `other_shapes` counts the samples that have others.
    """

    path: str
    samples: int = 0
    file_bytes: int = 0
    keys: bytes = b""
    key_digests: bytes = b""
    offsets: bytes = b""
    shapes: dict[Fields, Shape] = field(default_factory=dict)
    other_shapes: int = 0
    faults: tuple[Deviation, ...] = ()
    remarks: tuple[Remark, ...] = ()


def check_foreign_shard(path: str) -> ForeignFindings:
    """Check another tool's shard; this is the worker's function. A file that cannot be read is a fault."""
    return _ForeignCheck(path).run()


class _ForeignCheck:
    """The check of one shard while it runs."""

    def __init__(self, path: str) -> None:
        self._findings = ForeignFindings(path)
        self._faults = Deviations(path)
        self._remarks = Remarks(path)
        self._rows: dict[str, int] = {}
        self._digests = array("Q")
        self._offsets = array("q")
        self._fields_of: list[Fields] = []
        self._keys: list[str] = []
        self._shapes: dict[Fields, Shape] = {}
        self._known: dict[Fields, Fields] = {}  # holds equal fields once, to save memory
        self._key, self._offset = "", 0
        self._fields: list[str] = []

    def run(self) -> ForeignFindings:
        try:
            self._check_path()
        except EnoughError:
            self._faults.note_end()
        findings = self._findings
        findings.samples = len(self._keys)
        text = "\n".join(key.replace("\n", r"\n") for key in self._keys)
        findings.keys = zlib.compress(text.encode("utf-8", "surrogateescape"), 1)
        findings.key_digests, findings.offsets = self._digests.tobytes(), self._offsets.tobytes()
        findings.shapes = dict([*self._shapes.items()][:_SHAPES_LIMIT])
        findings.other_shapes = findings.samples - sum(shape.samples for shape in findings.shapes.values())
        findings.faults, findings.remarks = self._faults.found(), self._remarks.found()
        return findings

    def _check_path(self) -> None:
        path = self._findings.path
        try:
            with store_of(path).open(path) as file:
                self._findings.file_bytes = os.fstat(file.fileno()).st_size
                suffix = next(ending for ending in COMPRESSIONS if path.endswith(ending))
                if COMPRESSIONS[suffix] != "none":
                    self._remarks.note(f"the ending {suffix}, which wids, DALI and energon cannot read")
                shard = ShardReader(file, path, _NO_LIMIT, with_md5=False, is_foreign=True)
                for member in ForeignTar(shard, self._faults, self._remarks, is_read).members():
                    self._add(member)
        except FileNotFoundError:
            self._faults.note("is missing")
        except OSError as error:
            self._faults.note(f"cannot be read: {error.strerror or error}")
        self._end_sample()
        for fields, fault in dotted_keys(self._shapes):
            shape = self._shapes[fields]
            more = f" (as {counted(shape.samples - 1, 'more sample')})" if shape.samples > 1 else ""
            self._faults.note(fault + more, shape.key, shape.offset)
        if not (self._keys or self._faults.found()):
            self._remarks.note("no sample")

    def _add(self, member: ForeignMember) -> None:
        """Check a member, and add it to the sample that it belongs to, if any."""
        fault = fault_in_name(member.name)
        if fault:
            self._faults.note(f"{member.name} {fault}", offset=member.offset)
            return
        key, its_field = parted(member.name)
        if not self._fields or key != self._key:
            self._end_sample()
            self._key, self._offset = key, member.offset
        self._fields.append(its_field)
        for remark in remarks_on_name(member.name, its_field):
            self._remarks.note(remark, key, member.offset)
        if member.data is not None:
            if fault := fault_in_content(its_field, member.data, is_whole=member.is_whole):
                self._faults.note(fault, key, member.offset)
            if not member.is_whole:
                self._remarks.note("contents that are too large to be examined as a whole", key, member.offset)

    def _end_sample(self) -> None:
        """Add the row of the sample whose last member was added, if there is one."""
        if not self._fields:
            return
        key, offset, fields = self._key, self._offset, (*self._fields,)
        self._fields = []
        fields = self._known.setdefault(fields, fields)
        shape = self._shapes.get(fields, Shape(0, key, offset))
        self._shapes[fields] = shape._replace(samples=shape.samples + 1)
        for twice in fields_twice(fields):
            self._faults.note(f"has the field {twice} twice", key, offset)
        row = self._rows.setdefault(key, len(self._keys))
        self._keys.append(key)
        self._digests.append(xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogateescape")))
        self._offsets.append(offset)
        self._fields_of.append(fields)
        if row != len(self._keys) - 1:
            self._note_repeat(key, offset, row, fields)

    def _note_repeat(self, key: str, offset: int, row: int, fields: Fields) -> None:
        """Note a key that an earlier sample of the shard has too: with other fields, it is the same sample."""
        there = f"at offset {self._offsets[row]:,}"
        if {*fields} & {*self._fields_of[row]}:
            self._faults.note(f"is stored twice, also {there}", key, offset)
        else:
            detail = f"has members that lie apart, the others {there}: readers take them for two samples"
            self._faults.note(detail, key, offset)
