"""The witness: whether a shard, or a stretch of the source, is what the manifest says. It has no part in the writing.

A worker's share of `verify`: reads shards with Python's own tarfile, gzip and zstandard, lays expected headers out with
tarfile, and knows the members' names and order for itself. It imports neither ustar nor tarwriter nor worker nor
members, so that no mistake of theirs can hide here. No numpy: workers have no use for it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple, Self, cast

import xxhash

from parallel_sharder import annotation
from parallel_sharder.blob import Blob
from parallel_sharder.errors import SampleError
from parallel_sharder.form import expected_boxes, fault_in_form
from parallel_sharder.image import size_of
from parallel_sharder.model import Deviation, ImageClass
from parallel_sharder.text import counted, printable

_READ_BYTES = 1 << 20
_BLOCK_BYTES = tarfile.BLOCKSIZE
_KEY = re.compile(r"[!-~]{1,99}")
_LABEL = re.compile(rb"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class ExpectedShard:
    """What the manifest says of the shard at `path`, and of the whole set.

    `classes` gives wnid and name of each label, and is empty for a set without classes; where `key_tells_class`, keys
    begin with the wnid. `seed` is that of the order, None for the order of the keys. `annotations` is the form of the
    JSON. `with_digests` asks for those of the samples, for comparing them with the source.
    """

    path: str
    samples: int
    file_bytes: int
    tar_bytes: int
    xxh3_128: str
    classes: Mapping[int, tuple[str, str]]
    key_tells_class: bool
    seed: int | None
    annotations: str
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


class ExpectedSample(NamedTuple):
    """A sample of the source, and what was found of it: in the shard at `path`, at `offset`.

    `xml` is None where its JSON holds no annotation, `image_class` where the set has no classes. `annotations` is the
    form of its JSON, and `labels` are those of all classes by WordNet ID.
    """

    path: str
    offset: int
    key: str
    image: Blob
    xml: Blob | None
    image_class: ImageClass | None
    annotations: str
    labels: Mapping[str, int]
    image_digest: bytes
    json_digest: bytes


def compare_samples(samples: Sequence[ExpectedSample]) -> list[Deviation]:
    """Read the sources of `samples`, and say which of them are stored otherwise."""
    return [
        Deviation(sample.path, detail, sample.key, sample.offset) for sample in samples for detail in _compare(sample)
    ]


def _compare(sample: ExpectedSample) -> Iterator[str]:
    try:
        image = sample.image.read()
        if xxhash.xxh3_128_digest(image) != sample.image_digest:
            yield f"its image is not that of the source, {printable(sample.image.path)}"
        expected = _expected_json(sample, image)
    except SampleError as error:
        yield f"its source {printable(error.path)} cannot be compared: {error.detail}"
        return
    except RecursionError:
        yield f"its annotation {printable(sample.xml.path if sample.xml else '')} is nested too deeply to be compared"
        return
    if xxhash.xxh3_128_digest(expected) != sample.json_digest:
        where = f"the annotation {printable(sample.xml.path)} and " if sample.xml is not None else ""
        its_class = sample.image_class
        what = f"{its_class.label} ({its_class.name})" if its_class else "none"
        yield f"its json is not what {where}the class {what} of the source give"


def _expected_json(sample: ExpectedSample, image: bytes) -> bytes:
    document = annotation.parse(sample.xml.read(), sample.xml.path) if sample.xml is not None else None
    if sample.annotations == "boxes":
        size = size_of(memoryview(image)) or (0, 0)
        filename = re.split("[/:]", sample.image.path)[-1]
        made = expected_boxes(sample.image_class, document, size, sample.labels, filename)
        return json.dumps(made).encode("ascii")
    metadata = document or {}
    if sample.image_class is not None:
        metadata |= {"cls": sample.image_class.label, "cname": sample.image_class.name}
    return json.dumps(metadata).encode("ascii")


class _Header(tarfile.TarInfo):
    """A header as tarfile understands it, with the bytes it was read from."""

    block: bytes

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        header.block = bytes(buf)
        return header


class _Hashed:
    """A file that is hashed and counted as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = xxhash.xxh3_128()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size < _READ_BYTES else _READ_BYTES)
        self.digest.update(data)
        self.size += len(data)
        return data


class _Tar:
    """The tar of a shard, read once from front to back; what tarfile is given as its file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._position = 0
        self.block = b""
        """What was read last."""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        while self._position < position and self.read(min(position - self._position, _READ_BYTES)):
            pass

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end. Takes no more memory than there is to read, whatever a header says."""
        parts = []
        while size > 0 and (part := self._stream.read(min(size, _READ_BYTES))):
            parts.append(part)
            size -= len(part)
        self.block = b"".join(parts)
        self._position += len(self.block)
        return self.block


def _decompressed(path: str, file: _Hashed) -> Any:
    if path.endswith(".tar"):
        return file
    if path.endswith(".zst"):
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", file), closefd=False)
    return gzip.GzipFile(fileobj=cast("IO[bytes]", file), mode="rb")


def _headers(tar: _Tar) -> Iterator[_Header]:
    """The headers that tarfile finds, until it finds none: at the archive's end, or at something that is no header."""
    with contextlib.suppress(tarfile.ReadError):
        archive: Any = tarfile.TarFile(fileobj=cast("IO[bytes]", tar), tarinfo=_Header)
        while (header := archive.next()) is not None:
            archive.members.clear()  # it keeps them all
            yield header


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
        expected = self._expected
        try:
            with open(expected.path, "rb", buffering=0) as file:
                hashed = _Hashed(file)
                tar = _Tar(_decompressed(expected.path, hashed))
                self._read(tar)
                while hashed.read(_READ_BYTES):
                    pass
        except FileNotFoundError:
            self._note("is missing")
        except OSError as error:
            self._note(f"cannot be read: {error.strerror or error}")
        else:
            self._compare_counts("byte", hashed.size, expected.file_bytes)
            digest = hashed.digest.hexdigest()
            if hashed.size == expected.file_bytes and digest != expected.xxh3_128:
                self._note(f"has {digest} as digest (XXH3-128); the manifest says {expected.xxh3_128}")
            if expected.file_bytes != expected.tar_bytes:
                self._compare_counts("byte", tar.tell(), expected.tar_bytes, " before compression")
            self._compare_counts("sample", len(self._keys), expected.samples)
        findings = self._findings
        findings.keys, findings.offsets = "\n".join(self._keys), self._offsets.tobytes()
        findings.image_digests, findings.json_digests = bytes(self._image_digests), bytes(self._json_digests)
        findings.deviations = tuple(self._deviations)
        return findings

    def _note(self, detail: str, key: str = "", offset: int | None = None) -> None:
        self._deviations.append(Deviation(self._expected.path, detail, printable(key), offset))

    def _compare_counts(self, noun: str, found: int, expected: int, where: str = "") -> None:
        if found != expected:
            self._note(f"has {counted(found, noun)}{where}; the manifest says {expected:,}")

    def _read(self, tar: _Tar) -> None:
        """All samples, and the end of the archive."""
        key, offset = "", 0
        members: list[tuple[str, bytes]] = []
        for header, data in self._members(tar):
            its_key, _, its_field = header.name.partition(".")
            if its_key != key or not members:
                self._check_sample(key, offset, members)
                key, offset, members = its_key, header.offset, []
            members.append((its_field, data))
        self._check_sample(key, offset, members)

    def _members(self, tar: _Tar) -> Iterator[tuple[_Header, bytes]]:
        """Each member with its data, checked as tar. Ends where nothing that follows can be trusted."""
        end = 0
        try:
            for header in _headers(tar):
                if header.type != tarfile.REGTYPE or header.offset_data != end + _BLOCK_BYTES:
                    self._note(f"{printable(header.name)!r} is no plain file of a ustar archive", offset=end)
                    return
                self._check_header(header)
                data = tar.read(header.size)
                padding = tar.read(-header.size % _BLOCK_BYTES)
                end = header.offset_data + header.size + -header.size % _BLOCK_BYTES
                if tar.tell() < end:
                    self._note(
                        f"ends within {printable(header.name)}, of {counted(header.size, 'byte')}", offset=tar.tell()
                    )
                    return
                if padding.count(0) < len(padding):
                    self._note(f"has other bytes than zero behind {printable(header.name)}", offset=end - len(padding))
                yield header, data
            self._check_end(tar, end)
        except MemoryError:  # which is no fault of the shard
            raise
        except Exception as error:  # of tarfile's parsers and of three decompressors; none says what it can raise
            self._note(f"cannot be read on: {error}", offset=tar.tell())

    def _check_end(self, tar: _Tar, end: int) -> None:
        """Two blocks of zeros, and nothing behind them."""
        block = tar.block if tar.tell() > end else b""
        zeros = 0
        while block and block.count(0) == len(block):
            zeros += len(block)
            block = tar.read(_READ_BYTES if zeros > 2 * _BLOCK_BYTES else _BLOCK_BYTES)
        if block and zeros:
            self._note("has an archive's end, and goes on behind it", offset=end)
        elif block:
            self._note("has neither a whole header nor the archive's end", offset=end)
        elif zeros != 2 * _BLOCK_BYTES:
            self._note(f"ends with {counted(zeros, 'byte')} of zeros; a tar ends with {2 * _BLOCK_BYTES:,}", offset=end)

    def _check_header(self, header: _Header) -> None:
        """The very bytes that tarfile would write for a file of this name and size."""
        model = tarfile.TarInfo(header.name)
        model.size, model.mode, model.uname, model.gname = header.size, 0o444, "bigdata", "bigdata"
        try:
            if header.block == model.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"):
                return
        except ValueError:
            pass
        odd = [f"mode {header.mode:04o}"] if header.mode != model.mode else []
        for name in ("uid", "gid", "mtime", "uname", "gname"):
            if getattr(header, name) != getattr(model, name):
                odd.append(f"{name} {getattr(header, name)!r}")
        what = ", ".join(odd) or "bytes that are not plain ustar"
        self._note(f"the header of {printable(header.name)} has {what}", offset=header.offset)

    def _check_sample(self, key: str, offset: int, members: Sequence[tuple[str, bytes]]) -> None:
        if not members:
            return
        if not _KEY.fullmatch(key):
            self._note("is not the name of a sample", key, offset)
            return
        content = dict(members)
        names = [name for name, _ in members]
        if names != self._fields:
            self._note(f"has the members {', '.join(names)}; expected were {', '.join(self._fields)}", key, offset)
        if "json" in content:
            self._check_metadata(key, offset, content.get("cls"), content["json"])
        self._check_order(key, offset)
        self._keys.append(key)
        self._offsets.append(offset)
        if self._expected.with_digests:
            self._image_digests += xxhash.xxh3_128_digest(content.get("jpg", b""))
            self._json_digests += xxhash.xxh3_128_digest(content.get("json", b""))

    def _check_metadata(self, key: str, offset: int, cls: bytes | None, text: bytes) -> None:
        """Cls and json: each well-formed, and both of one class, which is the one that the key tells."""
        try:
            metadata = json.loads(text)
            well_formed = isinstance(metadata, dict) and json.dumps(metadata).encode("ascii") == text
        except (ValueError, RecursionError):
            well_formed = False
        if not well_formed:
            self._note("its json is not a JSON object as json.dumps writes it", key, offset)
            return
        fault = fault_in_form(key, metadata, self._expected.annotations, self._expected.classes)
        if fault:
            self._note(f"its json {fault}", key, offset)
        if not self._expected.classes:
            return
        if cls is None or not _LABEL.fullmatch(cls) or int(cls) not in self._expected.classes:
            self._note(f"its cls is {(cls or b'')[:40]!r}, which is no label of the manifest's", key, offset)
            return
        label = int(cls)
        wnid, name = self._expected.classes[label]
        self._findings.labels[label] += 1
        if (metadata.get("cls"), metadata.get("cname")) != (label, name):
            detail = f"its json is of class {metadata.get('cls')} ({metadata.get('cname')})"
            self._note(f"its cls is {label} ({name}), and {detail}", key, offset)
        if self._expected.key_tells_class and key.partition("_")[0] != wnid:
            self._note(f"its cls is {label}, which is {wnid}", key, offset)

    def _check_order(self, key: str, offset: int) -> None:
        seed = self._expected.seed
        place = (0 if seed is None else xxhash.xxh3_64_intdigest(key.encode("ascii"), seed), key)
        findings = self._findings
        if findings.last is not None and place <= findings.last:
            self._note(f"does not follow {findings.last[1]} in the order of the set", key, offset)
        findings.first = findings.first or place
        findings.last = place
