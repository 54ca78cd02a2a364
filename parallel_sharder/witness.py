"""The witness: whether a shard, or a stretch of the source, is what the manifest says. It has no part in the writing.

A worker's share of `verify`: reads shards with Python's own tarfile and zlib, and zstandard (see shardreader), lays
expected headers out with tarfile, and knows the members' names and order for itself. It imports neither ustar nor
tarwriter nor worker nor members, so that no mistake of theirs can hide here. No numpy: workers have no use for it.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from typing import Any, NamedTuple

import xxhash

from parallel_sharder import annotation
from parallel_sharder.blob import Blob
from parallel_sharder.errors import SampleError
from parallel_sharder.form import NEEDS_SIZE, expected_json, fault_in_form, fault_in_image, parsed, size_in
from parallel_sharder.image import dimensions, examine
from parallel_sharder.model import Deviation, ImageClass, Kind
from parallel_sharder.regular import open_regular
from parallel_sharder.shardreader import READ_BYTES, Content, ShardReader, TooLongError
from parallel_sharder.text import counted

_BLOCK_BYTES = tarfile.BLOCKSIZE
_KEY = re.compile(r"[!-~]{1,99}")
_KEYS_OF = {
    "train": re.compile("n[0-9]{8}_[0-9]{1,20}"),
    "val": re.compile("ILSVRC2012_val_[0-9]{8}"),
    "test": re.compile("ILSVRC2012_test_[0-9]{8}"),
}
_LABEL = re.compile(rb"0|[1-9][0-9]{0,9}")
_NOTHING = Content(b"", xxhash.xxh3_128_digest(b""))

_DEVIATIONS_LIMIT = 1_000
"""Of a shard. Each takes half a kilobyte, and a shard that was made to can have one in each block."""

_DETAIL_LIMIT = 500
"""Characters of a deviation's detail, which can quote what is in the shard."""

_NAMES_LIMIT = 20
"""Members of one key that are told apart; there should be three."""


@dataclass(frozen=True, slots=True)
class ExpectedShard:
    """What the manifest says of the shard at `path`, and of the whole set.

    `md5` is "" where the manifest has none. `classes` gives wnid and name of each label, and is empty for a set without
    classes. `seed` is that of the order, None for the order of the keys. `annotations` is the form of the JSON, and
    `on_bad` what became of broken samples. `with_digests` asks for those of the samples, for comparing them with the
    source.
    """

    path: str
    samples: int
    file_bytes: int
    tar_bytes: int
    xxh3_128: str
    md5: str
    classes: Mapping[int, tuple[str, str]]
    split: str
    seed: int | None
    annotations: str
    on_bad: str
    with_digests: bool


@dataclass(slots=True)
class ShardFindings:
    """What a shard holds: a row a sample, in its order, and what is wrong with it.

    `keys` are joined by newlines; `offsets` (native int64) say where each sample's first header is. `image_digests` and
    `json_digests` hold 16 bytes each, XXH3-128 of the member, if they were asked for. `labels` counts samples by label.
    `first` and `last` are the places in the order, of the first and the last sample.
    """

    path: str
    keys: str = ""
    offsets: bytes = b""
    image_digests: bytes = b""
    json_digests: bytes = b""
    labels: Counter[int] = field(default_factory=Counter)
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None
    deviations: tuple[Deviation, ...] = ()


def check_shard(expected: ExpectedShard) -> ShardFindings:
    """Read the shard from its first byte to its last, and say what it holds and what is wrong with it.

    Never raises for what the file holds; a file that cannot be read is a deviation.
    """
    return _Check(expected).run()


class SourceSample(NamedTuple):
    """A sample of the source: `xml` is None where it has no annotation, or none is wanted, `image_class` where the set
    has no classes. `annotations` is the form of its JSON.
    """

    key: str
    image: Blob
    xml: Blob | None
    image_class: ImageClass | None
    annotations: str


class ExpectedSample(NamedTuple):
    """What `source` should have become, and what was found of it: in the shard at `path`, at `offset`.

    `without_annotation` tells that it is listed as stored without its annotation, which is broken. `labels` are those
    of all classes by WordNet ID.
    """

    path: str
    offset: int
    source: SourceSample
    without_annotation: bool
    labels: Mapping[str, int]
    image_digest: bytes
    json_digest: bytes


class LeftOutSample(NamedTuple):
    """A sample of the source that is in no shard, because of what the list of problems at `path` says of it."""

    path: str
    source: SourceSample
    kind: Kind
    detail: str


def compare_samples(samples: Sequence[ExpectedSample]) -> list[Deviation]:
    """Read the sources of `samples`, and say which of them are stored otherwise."""
    return [
        Deviation(sample.path, detail, sample.source.key, sample.offset)
        for sample in samples
        for detail in _compare(sample)
    ]


def look_again(samples: Sequence[LeftOutSample]) -> list[Deviation]:
    """Read the sources of `samples`, and say which of them could have been stored."""
    found = []
    for path, source, kind, detail in samples:
        if _fault_in(source):
            continue
        what = f"{source.image.path} is left out ({kind.meaning}: {detail[:_DETAIL_LIMIT]})"
        now = "it can be read now" if kind in (Kind.UNREADABLE, Kind.CHANGED) else "it is sound"
        found.append(Deviation(path, f"says that {what}, and {now}; a conversion would store it", source.key))
    return found


def _fault_in(source: SourceSample) -> str:
    """Why a sample of the source cannot be stored; "" if it can be."""
    try:
        document = _document(source.xml)
        json.dumps(document)
        image = memoryview(source.image.read())
    except SampleError as error:
        return error.detail
    except RecursionError:
        return "its elements are nested too deeply"
    found = examine(image)
    if found is not None and found[0] is Kind.BAD_IMAGE:
        return found[1]
    is_without_size = source.annotations in NEEDS_SIZE and not (size_in(document) or dimensions(image))
    return "its width and height cannot be found" if is_without_size else ""


def _compare(sample: ExpectedSample) -> Iterator[str]:
    source = sample.source
    try:
        image = source.image.read()
        if xxhash.xxh3_128_digest(image) != sample.image_digest:
            yield f"its image is not that of the source, {source.image.path}"
        if sample.without_annotation:
            yield from _compare_annotation(source)
            source = source._replace(xml=None)
        expected = _expected_json(source, image, sample.labels)
    except SampleError as error:
        yield f"its source {error.path} cannot be compared: {error.detail}"
        return
    except RecursionError:
        yield f"its annotation {source.xml.path if source.xml else ''} is nested too deeply to be compared"
        return
    if xxhash.xxh3_128_digest(expected) != sample.json_digest:
        where = f"the annotation {source.xml.path} and " if source.xml is not None else ""
        its_class = source.image_class
        what = f"{its_class.label} ({its_class.name})" if its_class else "none"
        yield f"its json is not what {where}the class {what} of the source give"


def _compare_annotation(source: SourceSample) -> Iterator[str]:
    """What to say of an annotation that is listed as broken, if it is not."""
    try:
        json.dumps(_document(source.xml))
    except (SampleError, RecursionError):
        return
    what = "has none" if source.xml is None else f"has {source.xml.path}, which is sound"
    yield f"its annotation is listed as broken, and the source {what}"


def _document(xml: Blob | None) -> dict[str, Any] | None:
    """The parsed annotation, if there is one. Raises SampleError."""
    if xml is None:
        return None
    if xml.length > annotation.SIZE_LIMIT_BYTES:
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, f"{xml.length:,} bytes are too many for an annotation")
    return annotation.parse(xml.read(), xml.path)


def _expected_json(source: SourceSample, image: bytes, labels: Mapping[str, int]) -> bytes:
    document = _document(source.xml)
    size = dimensions(memoryview(image)) or (0, 0)
    filename = re.split("[/:]", source.image.path)[-1]
    made = expected_json(source.annotations, source.image_class, document, size, labels, filename)
    return json.dumps(made).encode("ascii")


class _Sample(NamedTuple):
    """What was found of a sample: its members' names without the key, and the content of those that it should have."""

    key: str
    offset: int
    names: list[str]
    members: dict[str, Content]


class _EnoughError(Exception):
    """So much is wrong with a shard that nobody wants to know the rest."""


class _Check:
    """One shard's check in hand."""

    def __init__(self, expected: ExpectedShard) -> None:
        self._expected = expected
        self._fields = ["cls", "jpg", "json"] if expected.classes else ["jpg", "json"]
        self._findings = ShardFindings(expected.path)
        self._deviations: list[Deviation] = []
        self._keys: list[str] = []
        self._offsets = array("q")
        self._image_digests = bytearray()
        self._json_digests = bytearray()

    def run(self) -> ShardFindings:
        try:
            with open(self._expected.path, "rb", buffering=0, opener=open_regular) as file:
                self._check_file(file)
        except FileNotFoundError:
            self._note("is missing")
        except OSError as error:
            self._note(f"cannot be read: {error.strerror or error}")
        except _EnoughError:
            more = f"has more than {_DEVIATIONS_LIMIT:,} deviations, and was read no further"
            self._deviations.insert(0, Deviation(self._expected.path, more))  # of which people are shown the first
        findings = self._findings
        findings.keys, findings.offsets = "\n".join(self._keys), self._offsets.tobytes()
        findings.image_digests, findings.json_digests = bytes(self._image_digests), bytes(self._json_digests)
        findings.deviations = tuple(self._deviations)
        return findings

    def _check_file(self, file: FileIO) -> None:
        """Its samples, then what the manifest says of the whole file."""
        expected, size = self._expected, os.fstat(file.fileno()).st_size
        shard = ShardReader(file, expected.path, expected.tar_bytes, with_md5=bool(expected.md5))
        self._read(shard)
        if size == expected.file_bytes:
            shard.read_on()
            size = shard.file_bytes
        self._compare_counts("byte", size, expected.file_bytes)
        if size == expected.file_bytes:
            said_of_it = expected.xxh3_128, expected.md5
            for name, found, said in zip(("XXH3-128", "MD5"), shard.digests, said_of_it, strict=True):
                if found != said:
                    self._note(f"has {found} as digest ({name}); the manifest says {said}")
        if expected.file_bytes != expected.tar_bytes:
            if shard.is_too_long:
                limit = counted(expected.tar_bytes, "byte")
                self._note(f"has more before compression than the {limit} that the manifest says")
            else:
                self._compare_counts("byte", shard.position, expected.tar_bytes, " before compression")
        self._compare_counts("sample", len(self._keys), expected.samples)

    def _note(self, detail: str, key: str = "", offset: int | None = None) -> None:
        if len(self._deviations) == _DEVIATIONS_LIMIT:
            raise _EnoughError
        if len(detail) > _DETAIL_LIMIT:
            detail = f"{detail[:_DETAIL_LIMIT]}..."
        self._deviations.append(Deviation(self._expected.path, detail, key, offset))

    def _compare_counts(self, noun: str, found: int, expected: int, where: str = "") -> None:
        if found != expected:
            self._note(f"has {counted(found, noun)}{where}; the manifest says {expected:,}")

    def _read(self, shard: ShardReader) -> None:
        """All samples, and the end of the archive."""
        sample: _Sample | None = None
        for name, offset, content in self._members(shard):
            key, _, its_field = name.partition(".")
            if sample is None or key != sample.key:
                self._check_sample(sample)
                sample = _Sample(key, offset, [], {})
            if len(sample.names) < _NAMES_LIMIT:
                sample.names.append(its_field)
            if its_field in self._fields:
                sample.members[its_field] = content
        self._check_sample(sample)

    def _members(self, shard: ShardReader) -> Iterator[tuple[str, int, Content]]:
        """Name, offset and content of each member, checked as tar. Ends where nothing that follows can be trusted."""
        try:
            while (header := self._header(shard)) is not None:
                name, start = header.name, shard.position - _BLOCK_BYTES
                content = shard.content(header.size, with_digest=self._expected.with_digests)
                padding = shard.read(-header.size % _BLOCK_BYTES)
                if shard.position < start + _BLOCK_BYTES + header.size + -header.size % _BLOCK_BYTES:
                    self._note(f"ends within {name}, of {counted(header.size, 'byte')}", offset=shard.position)
                    return
                if padding.count(0) < len(padding):
                    offset = shard.position - len(padding)
                    self._note(f"has other bytes than zero behind {name}", offset=offset)
                yield name, start, content
        except (MemoryError, _EnoughError):  # the first is no fault of the shard
            raise
        except TooLongError:
            pass  # which the sizes say
        except Exception as error:  # of tarfile's parsers and of two decompressors; none says what it can raise
            self._note(f"cannot be read on: {error}", offset=shard.position)

    def _header(self, shard: ShardReader) -> tarfile.TarInfo | None:
        """The next header; None at the end of what can be trusted, with a note if that is not the archive's."""
        start = shard.position
        block = shard.read(_BLOCK_BYTES)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            self._check_end(shard, start, block)
            return None
        name, left = header.name, self._expected.tar_bytes - shard.position
        if header.type != tarfile.REGTYPE or header.size < 0:
            self._note(f"{name!r} is no plain file of a ustar archive", offset=start)
            return None
        if header.size > left:
            size = counted(header.size, "byte")
            self._note(f"{name} has {size} by its header, and the manifest has room for {max(0, left):,}", offset=start)
            return None
        self._check_header(header, block, start)
        return header

    def _check_end(self, shard: ShardReader, end: int, block: bytes) -> None:
        """Two blocks of zeros, and nothing behind them; `block` is what is there instead of a header."""
        zeros = 0
        while block and block.count(0) == len(block):
            zeros += len(block)
            block = shard.read(READ_BYTES if zeros > 2 * _BLOCK_BYTES else _BLOCK_BYTES)
        if block and zeros:
            self._note("has an archive's end, and goes on behind it", offset=end)
        elif block:
            self._note("has neither a whole header nor the archive's end", offset=end)
        elif zeros != 2 * _BLOCK_BYTES:
            self._note(f"ends with {counted(zeros, 'byte')} of zeros; a tar ends with {2 * _BLOCK_BYTES:,}", offset=end)

    def _check_header(self, header: tarfile.TarInfo, block: bytes, offset: int) -> None:
        """The very bytes that tarfile would write for a file of this name and size."""
        model = tarfile.TarInfo(header.name)
        model.size, model.mode, model.uname, model.gname = header.size, 0o444, "bigdata", "bigdata"
        try:
            if block == model.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"):
                return
        except ValueError:
            pass
        odd = [f"mode {header.mode:04o}"] if header.mode != model.mode else []
        for name in ("uid", "gid", "mtime", "uname", "gname"):
            if getattr(header, name) != getattr(model, name):
                odd.append(f"{name} {getattr(header, name)!r}")
        what = ", ".join(odd) or "bytes that are not plain ustar"
        self._note(f"the header of {header.name} has {what}", offset=offset)

    def _check_sample(self, sample: _Sample | None) -> None:
        if sample is None:
            return
        key, offset, names, members = sample
        if not _KEY.fullmatch(key):
            self._note("is not the name of a sample", key, offset)
            return
        if names != self._fields:
            self._note(f"has the members {', '.join(names)}; expected were {', '.join(self._fields)}", key, offset)
        if not _KEYS_OF.get(self._expected.split, _KEY).fullmatch(key):
            self._note(f"is not the key of an image of {self._expected.split}", key, offset)
        image, metadata = members.get("jpg", _NOTHING), members.get("json", _NOTHING)
        if "jpg" in members and self._expected.on_bad != "keep" and (fault := fault_in_image(image.data)):
            self._note(f"its image is broken, and was to be left out: {fault}", key, offset)
        if "json" in members:
            self._check_metadata(key, offset, members.get("cls", _NOTHING).data, metadata.data)
        self._check_order(key, offset)
        self._keys.append(key)
        self._offsets.append(offset)
        if self._expected.with_digests:
            self._image_digests += image.digest
            self._json_digests += metadata.digest

    def _check_metadata(self, key: str, offset: int, cls: bytes, text: bytes) -> None:
        """Cls and json: each well-formed, and both of one class, which is the one that the key tells."""
        expected = self._expected
        metadata, fault = parsed(text)
        if metadata is not None:
            fault = fault_in_form(key, metadata, expected.annotations, expected.classes, expected.on_bad)
        if fault:
            self._note(f"its json {fault}", key, offset)
        if metadata is None or not expected.classes:
            return
        if not _LABEL.fullmatch(cls) or int(cls) not in expected.classes:
            self._note(f"its cls is {cls[:40]!r}, which is no label of the manifest's", key, offset)
            return
        label = int(cls)
        wnid, name = expected.classes[label]
        self._findings.labels[label] += 1
        its_label, its_name = metadata.get("cls"), metadata.get("cname")
        if type(its_label) is not int or (its_label, its_name) != (label, name):
            detail = f"its json is of class {its_label} ({its_name})"
            self._note(f"its cls is {label} ({name}), and {detail}", key, offset)
        if expected.split == "train" and key.partition("_")[0] != wnid:
            self._note(f"its cls is {label}, which is {wnid}", key, offset)

    def _check_order(self, key: str, offset: int) -> None:
        seed = self._expected.seed
        place = (0 if seed is None else xxhash.xxh3_64_intdigest(key.encode("ascii"), seed), key)
        findings = self._findings
        if findings.last is not None and place <= findings.last:
            self._note(f"does not follow {findings.last[1]} in the order of the set", key, offset)
        findings.first = findings.first or place
        findings.last = place
