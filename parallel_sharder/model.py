"""The values that pass between the modules, and all that crosses a process.

Frozen, and without behaviour beyond what follows from their own fields. A Listing and a Plan hold numpy columns and
stay in the coordinator; a Chunk, a ShardRecord and a Problem cross to a worker and back, so this module does not
import numpy: a worker has no use for it.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from parallel_sharder.kinds import Kind
from parallel_sharder.text import printable

if TYPE_CHECKING:
    from parallel_sharder.columns import Bytes, Extents, Int32s, Int64s, Keys


WNID = re.compile("n[0-9]{8}")
"""A WordNet ID, the name of a class folder."""

IMAGE_SUFFIX = ".JPEG"
XML_SUFFIX = ".xml"

IMAGE_ENDINGS = frozenset((
    ".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl",
))  # fmt: skip
"""In lower case: what names of images end in, whoever has renamed or converted them. None is longer than IMAGE_SUFFIX,
which the plan relies on. What a file holds is seen when it is read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One file of the source with which something is the matter; `key` is "" where the file is no sample's.

    `kept` tells of a broken sample that it is stored all the same, because the user wants it so. The text is for
    people: it is made printable here, whatever names and values it has from the data.
    """

    kind: Kind
    path: str
    key: str
    detail: str
    kept: bool = False

    def __post_init__(self) -> None:
        _make_printable(self, "path", "key", "detail")

    @property
    def leaves_out_sample(self) -> bool:
        """Whether one image of the source is missing from the shards because of it."""
        return self.kind.leaves_out_sample and not self.kept

    @property
    def leaves_out_class(self) -> bool:
        """Whether a class of the source is missing from the shards because of it; how many images, nobody knows."""
        return self.kind.leaves_out_class

    @property
    def leaves_out(self) -> bool:
        """Whether something of the source is missing from the shards because of it."""
        return self.leaves_out_sample or self.leaves_out_class


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something in a finished set that is not as it should be, in the file at `path`.

    `offset` counts bytes of the tar before compression, None where there is no such place; `key` is "" where it is not
    about one sample. The text is made printable here, as a Problem's is.
    """

    path: str
    detail: str
    key: str = ""
    offset: int | None = None

    def __post_init__(self) -> None:
        _make_printable(self, "path", "detail", "key")


def _make_printable(value: Problem | Deviation, *fields: str) -> None:
    for field in fields:
        object.__setattr__(value, field, printable(getattr(value, field)))


@dataclass(frozen=True, slots=True)
class ImageClass:
    """One class of the set: its label in the chosen order, its name for people, and the ID that the source has for it.

    ImageNet's names are the words of synsets, and its IDs are WordNet's.
    """

    label: int
    name: str
    id: str


class Place(NamedTuple):
    """Where files of the source are: a folder, or an archive.

    `path` is what is opened; `name` is what people are told, which is another for what was unpacked into a spool.
    """

    path: str
    name: str


class Archive(NamedTuple):
    """An archive of the source as it was when it was indexed: its size in bytes, its time in nanoseconds since 1970."""

    path: str
    size: int
    mtime_ns: int


class Role(enum.StrEnum):
    """What the files of a Part are for."""

    IMAGE = "image"
    ANNOTATION = "annotation"


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One column of files of a Listing: row i is the file that sample i has for this role.

    The file lies in `places[place[i]]` of the Listing, has `size[i]` bytes, and is called `keys[i]` and an ending:
    `endings[ending[i]]`, or the only one of `endings` throughout where `ending` is None. `place` and `size` are -1
    where a sample has no such file. Where places are archives, `extent` says where in them (see columns.Extents); it is
    None for loose files.
    """

    role: Role
    endings: tuple[str, ...]
    place: Int32s
    size: Int64s
    extent: Extents | None = None
    ending: Bytes | None = None

    def pack(self, rows: Int32s) -> PackedPart:
        """The files of these rows, for a Chunk."""
        further = (b"" if column is None else column.take(rows, 0).tobytes() for column in (self.extent, self.ending))
        return PackedPart(
            self.role, self.endings, self.place.take(rows).tobytes(), self.size.take(rows).tobytes(), *further
        )


class PackedPart(NamedTuple):
    """What a Chunk has of a Part, as bytes: native int32 places, int64 sizes and extents, and a byte for each ending.

    They mean what they mean in the Part. `extent` is empty for loose files, and `ending` where all have the same.
    """

    role: Role
    endings: tuple[str, ...]
    place: bytes
    size: bytes
    extent: bytes = b""
    ending: bytes = b""


@dataclass(frozen=True, eq=False)
class Listing:
    """What there is: one row a sample, as columns, sorted by key (bytewise).

    Row i is the sample `keys[i]`, of class `classes[class_index[i]]`; its files are rows i of the `parts`, one part a
    role. `class_index` is -1 throughout where `classes` is empty (test). `archives` are those that the run relies on.
    `found` names what was found and where, `notices` are sentences on what people should know of it.
    """

    found: tuple[tuple[str, str], ...]
    places: tuple[Place, ...]
    classes: tuple[ImageClass, ...]
    keys: Keys
    class_index: Int32s
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]
    archives: tuple[Archive, ...] = ()
    notices: tuple[str, ...] = ()

    def part(self, role: Role) -> Part:
        """The column of the files with this role. Raises KeyError if the source has none."""
        return {part.role: part for part in self.parts}[role]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def left_out(self) -> int:
        """Images of the source that are no rows, for a reason that `problems` gives."""
        return sum(problem.leaves_out_sample for problem in self.problems)


@dataclass(frozen=True, eq=False)
class Plan:
    """The order of the samples and where to cut it.

    `order` holds the rows of the Listing in the order they are stored. Shard i holds `order[cuts[i]:cuts[i + 1]]`
    and has at most `shard_bytes[i]` bytes before compression, end blocks included.
    """

    order: Int32s
    cuts: Int64s
    shard_bytes: Int64s

    @property
    def shard_count(self) -> int:
        """How many shards; their numbers are 0 to this, less one."""
        return len(self.cuts) - 1


@dataclass(frozen=True, slots=True)
class Job:
    """What all chunks of a run share: the tables that a Chunk's columns point into, and how shards are written.

    `form` and `on_bad` are Options' choices; `md5` asks for the MD5 of each shard.
    """

    places: tuple[Place, ...]
    classes: tuple[ImageClass, ...]
    compression: str
    compression_threads: int
    form: str
    on_bad: str
    md5: bool = False

    def pack(self) -> bytes:
        """The job as compressed msgpack: made once a run, sent with each chunk, and unpacked once by each worker."""
        rows = [dataclasses.astuple(row) for row in self.classes]
        places = [tuple(map(os.fsencode, place)) for place in self.places]
        rest = self.compression, self.compression_threads, self.form, self.on_bad, self.md5
        return zlib.compress(msgpack.packb((places, rows, *rest)))

    @classmethod
    def unpack(cls, packed: bytes) -> Job:
        """The inverse of `pack`."""
        places, rows, compression, threads, form, on_bad, md5 = msgpack.unpackb(zlib.decompress(packed))
        unpacked = tuple(Place(*map(os.fsdecode, place)) for place in places)
        classes = tuple(ImageClass(*row) for row in rows)
        return cls(unpacked, classes, compression, threads, form, on_bad, md5)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One shard's work: a contiguous slice of the shuffled order, as packed columns.

    `path` is the shard's final name. `job` is a packed Job. `keys` holds the keys NUL-padded to `key_width` bytes;
    `class_index` is native int32, and means what it means in a Listing; each of `parts` is one of the Listing's.
    `mends` says that what has the shard's name was recorded as finished, and is replaced if it is a damaged copy.
    """

    number: int
    path: str
    job: bytes
    key_width: int
    keys: bytes
    class_index: bytes
    parts: tuple[PackedPart, ...]
    mends: bool = False


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One finished shard: whole, synced, and under its final name.

    `tar_bytes` counts the tar before compression, `file_bytes` the file; `xxh3_128` is the file's digest in hex.
    `left_out` holds the positions within the chunk of the samples that are not in the shard, in order, and
    `problems` says why. `md5` is the file's, in hex, "" if it was not asked for. `json_bytes` (native uint32) are the
    sizes of the samples' JSONs: all that the plan does not know of where each member is. `mended` are the counts of
    mended.Mended, empty for another form of annotations.
    """

    number: int
    path: str
    samples: int
    tar_bytes: int
    file_bytes: int
    xxh3_128: str
    left_out: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    md5: str = ""
    json_bytes: bytes = b""
    mended: tuple[int, ...] = ()

    @property
    def is_provisional(self) -> bool:
        """Whether samples are missing that may be there the next time: not broken, but unreadable or just changing."""
        return any(problem.kind in (Kind.UNREADABLE, Kind.CHANGED) for problem in self.problems)
