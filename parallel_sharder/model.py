"""The model: the frozen values that pass between the modules, and between processes.

They have no behaviour beyond what follows from their own fields. A Listing and a Plan hold numpy columns and stay in
the coordinator; a Chunk crosses to a worker, and a ShardRecord with its Problems comes back. Workers do without numpy,
so this module does not import it.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from parallel_sharder.kinds import Kind
from parallel_sharder.text import printable

if TYPE_CHECKING:
    from parallel_sharder.columns import Bytes, Extents, Int32s, Int64s, Texts


IMAGE_SUFFIX = ".JPEG"
XML_SUFFIX = ".xml"

IMAGE_ENDINGS = frozenset((
    ".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl",
))  # fmt: skip
"""The endings, in lower case, that names of images have after somebody has renamed or converted them. None is longer
than IMAGE_SUFFIX, on which the plan relies. What a file holds is found when it is read."""


_TEXT: dict[str, str] = {"unicode_errors": "surrogateescape"}
"""How msgpack stores names of classes, which may be those of folders and hold any bytes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One file of the source in which something is wrong; `key` is "" where the file belongs to no sample.

    `kept` is true of a broken sample that was stored nevertheless, by --on-bad keep. The text is for people: it can
    hold names and values from the data, and is made printable here.
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
        """Whether the shards lack one image of the source because of it."""
        return self.kind.leaves_out_sample and not self.kept

    @property
    def leaves_out_class(self) -> bool:
        """Whether the shards lack a class of the source because of it; how many images the class has is not known."""
        return self.kind.leaves_out_class

    @property
    def leaves_out(self) -> bool:
        """Whether the shards lack an image or a class of the source because of it."""
        return self.leaves_out_sample or self.leaves_out_class


@dataclass(frozen=True, slots=True)
class Deviation:
    """A fault of a finished set, in the file at `path`.

    `offset` counts bytes of the tar before compression, and is None where the fault has no such place; `key` is ""
    where the fault is not of one sample. The text is made printable here, as a Problem's is.
    """

    path: str
    detail: str
    key: str = ""
    offset: int | None = None

    def __post_init__(self) -> None:
        _make_printable(self, "path", "detail", "key")


def _make_printable(value: Problem | Deviation, *fields: str) -> None:
    for name in fields:
        object.__setattr__(value, name, printable(getattr(value, name)))


@dataclass(frozen=True, slots=True)
class ImageClass:
    """One class of the set: its label in the chosen order, its name for people, and its ID in the source.

    ImageNet's names are the words of synsets, and its IDs are WordNet's. The ID of a class folder is its name.
    """

    label: int
    name: str
    id: str


class Place(NamedTuple):
    """A folder or an archive in which files of the source are.

    `path` is the path that is opened. Messages show `name`, which differs for files that were unpacked into a spool.
    """

    path: str
    name: str


class Archive(NamedTuple):
    """An archive of the source when it was indexed: size in bytes, modification time in nanoseconds since 1970."""

    path: str
    size: int
    mtime_ns: int


class Role(enum.StrEnum):
    """What the files of a Part are for. A Part can also have the name of a field as its role, such as "txt".

    A `row` is what a row of a table adds to the JSON; `members` are all members of a sample that lies in a shard.
    """

    IMAGE = "image"
    ANNOTATION = "annotation"
    ROW = "row"
    MEMBERS = "members"


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One column of files of a Listing: row i is the file that sample i has for this role.

    The file lies in `places[place[i]]` of the Listing and has `size[i]` bytes. Its name is `names[i]`; where that is
    empty, or `names` is None, it is `keys[i]` with the ending `endings[ending[i]]`. Where `ending` is None, `endings`
    has one entry, which is the ending of all names. `place` and `size` are -1 where a sample has no such file. Where
    places are archives, `extent` has the places of the files in them (see columns.Extents); it is None for loose files.
    """

    role: str
    endings: tuple[str, ...]
    place: Int32s
    size: Int64s
    extent: Extents | None = None
    ending: Bytes | None = None
    names: Texts | None = None

    def pack(self, rows: Int32s) -> PackedPart:
        """Return the files of these rows, for a Chunk."""
        extent, ending = (
            b"" if column is None else column.take(rows, 0).tobytes() for column in (self.extent, self.ending)
        )
        return PackedPart(
            self.role,
            self.endings,
            self.place.take(rows).tobytes(),
            self.size.take(rows).tobytes(),
            extent,
            ending,
            b"" if self.names is None else self.names.joined(rows),
        )

    def ending_of(self, row: int) -> str:
        """Return the ending of the name of this row's file."""
        return self.endings[0 if self.ending is None else self.ending[row]]


class PackedPart(NamedTuple):
    """A Chunk's rows of a Part, as bytes: native int32 places, int64 sizes and extents, and a byte for each ending.

    The fields mean what they mean in the Part. `extent` is empty for loose files; `ending` is empty where all names
    have the same ending. `names` are joined by NULs, and empty where all follow from the keys.
    """

    role: str
    endings: tuple[str, ...]
    place: bytes
    size: bytes
    extent: bytes = b""
    ending: bytes = b""
    names: bytes = b""


class SetKind(NamedTuple):
    """What a source says that it is, from names alone; the options that nobody has given follow from it.

    `layout` is one of options.LAYOUTS, and `form` the form in which its samples are stored; "" leaves that to
    --annotations. `split` is None where the source has no splits. `name` is the root folder's, for the name of the set.
    `besides` says, for people, how the same files could be read too; it is "" if there is no other way.
    """

    layout: str
    form: str
    split: str | None
    name: str
    besides: str = ""

    @property
    def is_imagenet(self) -> bool:
        """Whether the source is ImageNet."""
        return not self.form


@dataclass(frozen=True, eq=False)
class Listing:
    """The samples of a source: one row a sample, as columns, sorted by key (bytewise).

    Row i is the sample `keys[i]`, of class `classes[class_index[i]]`; its files are rows i of the `parts`, one part a
    role. `class_index` is -1 where a sample has no class, in all rows of ImageNet's test. With `has_row_labels` there
    are too many classes for a table: `classes` is empty, and `class_index` has the labels themselves. `archives` are
    the archives that the run relies on. `found` has the name and the place of each thing that was found; `notices` are
    sentences about these, for people. `selection` has, by name, all that decides which rows are read and how, besides
    the options of every set; its values are JSON's. `source_order` has the rows in the order of the source, where that
    is not the order of the keys. `fields` has the names of the samples' fields, in the order of the tar, each with how
    many samples have it; it is empty where the form alone says that.
    """

    found: tuple[tuple[str, str], ...]
    places: tuple[Place, ...]
    classes: tuple[ImageClass, ...]
    keys: Texts
    class_index: Int32s
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]
    archives: tuple[Archive, ...] = ()
    notices: tuple[str, ...] = ()
    has_row_labels: bool = False
    selection: Mapping[str, Any] = field(default_factory=dict)
    source_order: Int32s | None = None
    fields: tuple[tuple[str, int], ...] = ()

    def part(self, role: str) -> Part:
        """Return the column of the files with this role. Raises KeyError if the source has none."""
        return {part.role: part for part in self.parts}[role]

    def name_of(self, part: Part, row: int) -> str:
        """Return the name, in its place, of the file that a row has in a part of this listing."""
        name = part.names[row] if part.names is not None else b""
        return os.fsdecode(name) if name else self.keys[row].decode("ascii") + part.ending_of(row)

    def path_of(self, part: Part, row: int) -> str:
        """Return the path of the loose file that a row has in a part of this listing."""
        return os.path.join(self.places[part.place[row]].path, self.name_of(part, row))

    @property
    def selection_with_labels(self) -> dict[str, Any]:
        """The `selection`, with "has_row_labels" if that is so."""
        return {**self.selection, **({"has_row_labels": True} if self.has_row_labels else {})}

    @property
    def is_labelled(self) -> bool:
        """Whether samples have a label."""
        return bool(self.classes) or self.has_row_labels

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def left_out(self) -> int:
        """How many images of the source have no row; `problems` has the reasons."""
        return sum(problem.leaves_out_sample for problem in self.problems)


@dataclass(frozen=True, eq=False)
class Plan:
    """The order of the samples, and the cuts between the shards.

    `order` holds the rows of the Listing in the order in which they are stored. Shard i holds
    `order[cuts[i]:cuts[i + 1]]`, and has at most `shard_bytes[i]` bytes before compression, end blocks included.
    """

    order: Int32s
    cuts: Int64s
    shard_bytes: Int64s

    @property
    def shard_count(self) -> int:
        """How many shards there are; they are numbered from 0 on."""
        return len(self.cuts) - 1


@dataclass(frozen=True, slots=True)
class Job:
    """What all chunks of a run share: the tables that a Chunk's columns point into, and the options of writing.

    `form` is Options.form, and `on_bad` is Options.on_bad; `md5` asks for the MD5 of each shard. `image_field` is the
    field of all images, "" where their endings decide. `has_row_labels` means what it means in a Listing.
    """

    places: tuple[Place, ...]
    classes: tuple[ImageClass, ...]
    compression: str
    compression_threads: int
    form: str
    on_bad: str
    md5: bool = False
    image_field: str = ""
    has_row_labels: bool = False

    def pack(self) -> bytes:
        """Return the job as compressed msgpack: packed once a run, sent with each chunk, unpacked once a worker."""
        rows = [dataclasses.astuple(row) for row in self.classes]
        places = [tuple(map(os.fsencode, place)) for place in self.places]
        rest = (
            self.compression,
            self.compression_threads,
            self.form,
            self.on_bad,
            self.md5,
            self.image_field,
            self.has_row_labels,
        )
        return zlib.compress(msgpack.packb((places, rows, *rest), **_TEXT))

    @classmethod
    def unpack(cls, packed: bytes) -> Job:
        """Return the job that `pack` has packed."""
        places, rows, *rest = msgpack.unpackb(zlib.decompress(packed), **_TEXT)
        unpacked = tuple(Place(*map(os.fsdecode, place)) for place in places)
        classes = tuple(ImageClass(*row) for row in rows)
        return cls(unpacked, classes, *rest)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One shard's work: a contiguous slice of the shuffled order, as packed columns.

    `path` is the shard's final path. `job` is a packed Job. `keys` holds the keys, each NUL-padded to `key_width`
    bytes; `class_index` is native int32, and means what it means in a Listing; `parts` are slices of the Listing's.
    With `replaces_damaged`, a file that has the shard's name and is a damaged copy of the shard is replaced.
    """

    number: int
    path: str
    job: bytes
    key_width: int
    keys: bytes
    class_index: bytes
    parts: tuple[PackedPart, ...]
    replaces_damaged: bool = False


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One finished shard: whole, synced, and under its final name.

    `tar_bytes` is the size of the tar before compression, `file_bytes` that of the file; `xxh3_128` is the file's
    digest in hex. `left_out` holds the positions, within the chunk, of the samples that are not in the shard, in order;
    `problems` has the reasons. `md5` is the file's MD5 in hex, "" if it was not asked for. `json_bytes` (native uint32)
    holds the size of each sample's JSON: with the plan, that is enough to compute the offset of each member. `mended`
    holds the counts of samples.mended.Mended, and is empty where annotations have another form than boxes.
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
        """Whether it lacks samples that another run may store: those were not broken, but unreadable or changing."""
        return any(problem.kind in (Kind.UNREADABLE, Kind.CHANGED) for problem in self.problems)
