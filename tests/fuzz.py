"""Coverage-guided fuzzing: python -m tests.fuzz TARGET [INPUTS]. Needs atheris: pip install '.[fuzz]'.

Each target is a function of bytes that fails by an exception, seeded with sound inputs of its kind. An input that fails
is written to crash-*; it becomes a test where the target's other tests are. `make fuzz` runs all of them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
from PIL import Image

from tests.made import JPEG
from tests.shard_files import samples, tar_bytes

with atheris.instrument_imports(include=["parallel_sharder", "xmltodict", "tarfile"]):
    import msgpack

    from parallel_sharder.catalog.card import CardedSet, card
    from parallel_sharder.catalog.manifest import Manifest, signed
    from parallel_sharder.catalog.yamltext import from_yaml
    from parallel_sharder.errors import DestinationError, ManifestError, OptionsError, SampleError, SourceError
    from parallel_sharder.indexes import Shard
    from parallel_sharder.indexes.energon import excluded_in, split_yaml
    from parallel_sharder.journal.fingerprint import fingerprint_digest
    from parallel_sharder.journal.journal import Journal
    from parallel_sharder.journal.past import progress_of
    from parallel_sharder.journal.records import MAGIC, contents_of, pack, records_of
    from parallel_sharder.kinds import Kind
    from parallel_sharder.model import ImageClass
    from parallel_sharder.samples import annotation
    from parallel_sharder.samples.annotation import JSON_BYTES_PER_XML_BYTE, SIZE_LIMIT_BYTES
    from parallel_sharder.samples.boxes import BoxesForm, boxes_json
    from parallel_sharder.samples.image import dimensions, examine
    from parallel_sharder.samples.original import annotated_json
    from parallel_sharder.samples.shapes import Shapes
    from parallel_sharder.shard_writer import encode
    from parallel_sharder.sources.key_rule import LIMIT_BYTES, keys_of
    from parallel_sharder.sources.shards.listed import list_shard
    from parallel_sharder.sources.shards.rows import rows_of
    from parallel_sharder.sources.shards.where import names_in, parse
    from parallel_sharder.sources.table.csv_table import CsvTable
    from parallel_sharder.sources.table.json_lines import JsonLinesTable
    from parallel_sharder.sources.table.table import Choice, Table
    from parallel_sharder.sources.zips import zip_members
    from parallel_sharder.stores.blob import ZipEntry
    from parallel_sharder.tar.headers import Stream, members_within, tar_members
    from parallel_sharder.tar.names import key_and_field
    from parallel_sharder.tar.ustar import HeaderTemplate, member_bytes
    from parallel_sharder.text import code, printable, tsv
    from parallel_sharder.verify.deviations import Deviations
    from parallel_sharder.verify.json_form import fault_in_form
    from parallel_sharder.verify.sample_check import ExpectedSet, faults_in_sample, samples_of
    from parallel_sharder.verify.shard_reader import ShardReader
    from parallel_sharder.verify.tar_check import TarCheck

FRAME = struct.Struct(">II")
SPLIT = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")  # as webdataset does it
SAFE_KEY = re.compile(rb"(?!_)[A-Za-z0-9_=~-]+(?:/(?!_)[A-Za-z0-9_=~-]+)*/?")
VALUES: dict[str, Any] = {"cls": 7, "cname": "it", "width": 0.5, "is_grey": False, "nothing": None, "tags": ["a", 3]}
FRAME_HEADER = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]")
CLASS = ImageClass(7, "it", "n01440764")
JSON_FIELD = BoxesForm().fields(has_classes=True)[-1]


def fuzz_annotation(data: bytes) -> None:
    """Parsed or refused, with a JSON of either form within the bound that the plan counts on, and sound boxes."""
    try:
        document = annotation.parse(data, "x.xml")
        annotation.oddities(document, "n01440764_36")
        described = annotation.describe(document)
        text = annotated_json(document, None)
    except (SampleError, RecursionError):
        return
    assert len(text) <= 2 + JSON_BYTES_PER_XML_BYTE * len(data), (len(text), len(data))
    assert json.loads(text) == document
    assert len(data) <= SIZE_LIMIT_BYTES
    found = boxes_json("n01440764_36.JPEG", CLASS, described, (60, 40), {CLASS.id: CLASS.label}).contents[0]
    assert "" == fault_in_form("n01440764_36", json.loads(found), "boxes", EXPECTED.classes, "skip")
    limit = JSON_FIELD.class_bytes(CLASS, len("n01440764_36")) + JSON_FIELD.times * len(data)
    assert len(found) <= limit, (len(found), len(data))


def fuzz_shapes(data: bytes) -> None:
    """Of two documents, the second filled into the shape of the first: as it is parsed, or not at all."""
    first, _, second = data.partition(b"\xff")
    shapes = Shapes()
    shapes.fill(first, "n01440764_36", b"")
    for xml in (first, second):
        described = shapes.describe(xml)
        assert described is None or described == annotation.describe(annotation.parse(xml, "x.xml"))
        filled = shapes.fill(xml, "n01440764_36", b"")
        if filled is not None:
            document = annotation.parse(xml, "x.xml")
            assert not annotation.oddities(document, "n01440764_36")
            assert filled == annotated_json(document, None)


def fuzz_image(data: bytes) -> None:
    """Whatever is not said to be broken has what a whole image has, whatever is behind it, and less of it has not."""
    size = dimensions(memoryview(data))
    assert size is None or min(size) > 0
    found = examine(memoryview(data))
    if found is None or found[0] is Kind.CMYK:
        frame = FRAME_HEADER.search(data)
        assert data.startswith(b"\xff\xd8")
        assert frame is not None
        assert data.index(b"\xff\xda", frame.end()) < data.rindex(b"\xff\xd9")
        assert found == examine(memoryview(data + b"\xff\xd8 behind"))
        assert _is_bad(data[: frame.end()])
    elif found[0] is Kind.OTHER_FORMAT:
        assert _is_bad(data[:3])


def _is_bad(image: bytes) -> bool:
    found = examine(memoryview(image))
    return found is not None and found[0] is Kind.BAD_IMAGE


def fuzz_sample(data: bytes) -> None:
    """A sample is refused, or its members come back by the names that readers split, to where they belong."""
    key, _, field = data.decode("utf-8", "surrogateescape").partition("|")
    try:
        members = encode({"__key__": key, field: b"1", "json": [key], "_not": b"stored"})
    except ValueError:
        return
    fields = ["json"] if field.startswith("_") else sorted({field, "json"})
    assert [member.name for member in members] == [f"{key}.{each}" for each in fields]
    for name, content in members:
        assert isinstance(content, bytes)
        header = tarfile.TarInfo.frombuf(HeaderTemplate().header(name, len(content)), "ascii", "strict")
        assert (header.name, header.size) == (name, len(content))
        match = SPLIT.fullmatch(name)
        assert match is not None
        assert match[1] == key
        assert os.path.normpath(f"/x/{name}") == f"/x/{name}"


def fuzz_journal(data: bytes) -> None:
    """Any bytes give records, or none; any records a journal to append to, or a refusal that changes nothing.

    The first byte says what the others are: bytes of a file, or payloads that get their checksums, and how these are
    framed. Whatever is recorded, every name is one that the fingerprint gives.
    """
    kind, rest = data[:1], data[1:]
    parts = rest.split(b"\xff\xfe")
    if kind > b"\xc0":  # as of format 3 and before
        rest = b"".join(FRAME.pack(len(part), zlib.crc32(part)) + part for part in parts)
    elif kind > b"\x80":
        framed = [pack([{}])[:4] + FRAME.pack(len(part), zlib.crc32(part)) + part for part in parts]
        rest = MAGIC + (b"" if kind > b"\xa0" else b"damage").join(framed)
    records = [*records_of(rest)]
    assert all(0 <= each.start < each.end <= len(rest) for each in records)
    assert all(one.end <= other.start for one, other in itertools.pairwise(records))
    assert 0 <= contents_of(rest).lost_bytes <= len(rest)
    path.write_bytes(rest)
    try:
        progress_of(str(path))
        with Journal(str(path), FINGERPRINT, overwrite=kind[-1:] in (b"\xbf", b"\xff")) as journal:
            journal.record(dealt=[(1, "x-1.tar")])
            done = set(journal.done)
            names = {os.path.basename(each.path) for each in journal.taken()}
            assert journal.damage is None or rest == Path(journal.damage.kept_as).read_bytes()
    except DestinationError:
        assert rest == path.read_bytes()
        return
    finally:
        for aside in path.parent.glob(f"{path.name}.damaged-*"):
            aside.unlink()
    assert names <= {*NAMES, "x.json", "x.problems.jsonl", "x.classes.tsv"}
    if not journal.is_same:
        return
    with Journal(str(path), FINGERPRINT) as journal:
        assert done == set(journal.done)
        assert "x-1.tar" in (os.path.basename(each.path) for each in journal.taken())


def fuzz_tar(data: bytes) -> None:
    """Any bytes are read to their end, and said to be sound only if they are an archive to the byte."""
    blocks = _with_checksums(data)
    stream, limit, deviations = io.BytesIO(blocks), 1 << 30, Deviations("x.tar")
    tar = TarCheck(ShardReader(stream, "x.tar", limit, with_md5=False), limit, deviations, with_digests=True)
    samples = [*samples_of(tar.members(), EXPECTED)]
    faults = [fault for sample in samples for fault in faults_in_sample(sample, EXPECTED)]
    if not faults and not deviations.found():
        assert stream.tell() == len(blocks)
        with tarfile.open(fileobj=io.BytesIO(blocks)) as archive:
            assert 3 * len(samples) == len(archive.getnames())


def fuzz_archive(data: bytes) -> None:
    """Any bytes are members of a tar, or a refusal; the same from a file and from a stream, and within the archive."""
    blocks = _with_checksums(data)
    found: list[list[tuple[str, int, int]] | None] = []
    for read, end in ((lambda at, size: blocks[at : at + size], len(blocks)), (Stream(io.BytesIO(blocks), "x"), None)):
        try:
            found.append([(each.name, each.data, each.size) for each in tar_members(read, 0, end, "x")])
        except SourceError:
            found.append(None)
    if found[0] is not None:
        assert found[0] == found[1]
        assert all(data + size <= len(blocks) for _, data, size in found[0])


def fuzz_zip(data: bytes) -> None:
    """Any bytes are members of a zip that can be read or are refused, one by one."""
    path.write_bytes(data)
    try:
        for member in zip_members(str(path)):
            if member.size < 1 << 20 and 0 <= member.extent[1] < 1 << 20:
                with contextlib.suppress(SampleError):
                    ZipEntry(str(path), *member.extent, member.size, member.name).read()
    except SourceError:
        return


def fuzz_manifest(data: bytes) -> None:
    """Any bytes are a manifest of which all that follows from it can be made, or a refusal, or nobody's."""
    text = data[1:]
    if data[:1] > b"\x80":  # what passes its digest
        try:
            content = json.loads(text)
            text = signed(content) if isinstance(content, dict) else text
        except (ValueError, RecursionError):
            return
    try:
        manifest = Manifest.parse(text)
    except ManifestError:
        return
    if manifest is None:
        return
    names = [shard.name for shard in manifest.shards]
    assert len(names) == len({*names}) == manifest.totals.shards
    assert not any("/" in name for name in names)
    digests = {shard.name: ("0" * 32, shard.xxh3_128) for shard in manifest.shards}
    for each in (manifest, manifest.with_md5(digests)):
        again = Manifest.parse(each.to_bytes())
        assert again is not None
        assert again.to_bytes() == each.to_bytes()
        assert again.shards == each.shards
    front = from_yaml(card([CardedSet.of(manifest, "/nowhere")]).decode("utf-8").split("---\n")[1])
    assert "other" == front["license"]


def fuzz_yaml(data: bytes) -> None:
    """Any names are what they were when the YAML with them is read, and any text is YAML or refused."""
    text = data.decode("utf-8", "surrogateescape")
    names = text.split("\0")
    splits = from_yaml(split_yaml({name: [Shard(f"{name}-0.tar", 1, 1)] for name in names}, names).decode("ascii"))
    assert names == splits["exclude"]
    assert {"train", "val", "test", *names} == splits["split_parts"].keys()
    for name in names:
        assert printable(name).isprintable()
        assert [tsv([name, name])[:-1]] == tsv([name, name]).splitlines()
        assert 2 == len(tsv([name, name]).split("\t"))
        assert not {"|", "\n"} & {*code(name)}
    with contextlib.suppress(ValueError):
        assert all(isinstance(each, str) for each in excluded_in(text))


def fuzz_keys(data: bytes) -> None:
    """Two paths have two keys, which every reader takes."""
    parts = (part for part in data.split(b"\0") if part and not {b"", b".", b".."} & {*part.split(b"/")})
    paths = [*dict.fromkeys(part + ending for part in parts for ending in (b"", b".jpg"))]
    keys = keys_of(paths)
    assert len(paths) == len(keys) == len({*keys})
    for key in keys:
        assert SAFE_KEY.fullmatch(key), key
        assert len(key) <= LIMIT_BYTES


def fuzz_where(data: bytes) -> None:
    """Any text is a condition, which holds of a sample or does not, or is refused."""
    try:
        condition = parse(data.decode("utf-8", "surrogateescape"))
    except OptionsError:
        return
    for values in ({}, VALUES):
        assert condition.holds(values) in (True, False)
    assert all(isinstance(name, str) for name in names_in(condition))


def fuzz_csv(data: bytes) -> None:
    """Any bytes are rows of which each has a JSON, or a refusal."""
    path.write_bytes(data)
    _check_table(lambda: CsvTable(str(path), ("label",), ","))


def fuzz_jsonl(data: bytes) -> None:
    """Any lines are rows whose JSON has the values that they have, or a refusal."""
    path.write_bytes(data)
    _check_table(lambda: JsonLinesTable(str(path), ("label",)))


def _check_table(opened: Callable[[], Table]) -> None:
    try:
        table = opened()
        label = "label" if "label" in table.columns else ""
        if label:
            table.labels(label)
        in_json = tuple(filter(None, table.columns))
        batches = [*table.batches(Choice("image", label, in_json=in_json))] if "image" in table.columns else []
    except SourceError:
        return
    for batch in batches:
        count = len(batch.images)
        assert {count} == {len(column) for column in (*batch.texts, batch.labels or batch.images)}
        for texts in batch.texts:
            assert all(text.isascii() for text in texts)
            json.loads(f"[{','.join(texts)}]", parse_constant=_no_json)


def _no_json(text: str) -> None:
    raise AssertionError(text)


def fuzz_shards(data: bytes) -> None:
    """Any bytes are samples of which each is one stretch with its members, side by side, or a refusal."""
    blocks = _with_checksums(data)
    path.write_bytes(blocks)
    for rename_keys in (False, True):
        try:
            shard = list_shard(str(path), rename_keys=rename_keys)
        except SourceError:
            continue
        rows, end = rows_of([shard]), 0
        keys = shard.keys.split(b"\0")[:-1]
        columns = [column.tolist() for column in (rows.offset, rows.size, rows.written, rows.shape)]
        for key, start, size, written, shape in zip(keys, *columns, strict=True):
            assert end <= start < start + size <= len(blocks)
            end = start + size
            within = members_within(lambda at, many: blocks[at : at + many], start, end, "x")
            members = [member for member in within if not member.kind and key_and_field(member.name) is not None]
            assert len(rows.shapes[shape]) == len(members)
            assert written == sum(member_bytes(member.size) for member in members)
            names = [member.name.encode("utf-8", "surrogateescape") for member in members]
            assert rename_keys or all(name.startswith(key + b".") for name in names)


def _with_checksums(data: bytes) -> bytes:
    """The blocks behind the first byte; if that says so, with headers that pass their checksum."""
    blocks = bytearray(data[1:])
    for start in range(0, len(blocks) - 511, 512) if data[:1] > b"\x80" else ():
        if blocks[start + 257 : start + 262] == b"ustar":
            total = sum(blocks[start : start + 148]) + 8 * 32 + sum(blocks[start + 156 : start + 512])
            blocks[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(blocks)


def _picture(image_format: str, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (9, 6)).save(data, image_format, **options)
    return data.getvalue()


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ILSVRC/Data/CLS-LOC/train/n01440764/n01440764_1.JPEG", JPEG)
        archive.writestr("LOC_synset_mapping.txt", b"n01440764 it")
    return data.getvalue()


def _shard(samples: int) -> bytes:
    data = b""
    for number in range(samples):
        for field, content in (("cls", b"7"), ("jpg", JPEG), ("json", b'{"cls": 7, "cname": "it"}')):
            header = tarfile.TarInfo(f"n01440764_{number}.{field}")
            header.size, header.mode, header.uname, header.gname = len(content), 0o444, "bigdata", "bigdata"
            data += header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    return data + bytes(1024)


CLASSES = {7: ("n01440764", "it")}
EXPECTED = ExpectedSet(CLASSES, "train", "boxes", "skip", None)
XML = b"""<annotation><folder>n01440764</folder><filename>n01440764_36</filename><size><width>500</width><height>375
</height><depth>3</depth></size><object><name>n01440764</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax>
<ymax>40</ymax></bndbox></object></annotation>"""
PICTURES = [
    *map(_picture, ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000")),
    _picture("JPEG", progressive=True, restart_marker_rows=1),
    _picture("TIFF", big_tiff=True),
]
FINGERPRINT = {"seed": 0, "names of shards": "x-0.tar", "shard count": 3}
NAMES = [f"x-{number}.tar" for number in range(3)]
FOREIGN = [tar_bytes(samples("a/b", "c", fields="jpg txt"), dialect, 1.5) for dialect in ("pax", "gnu")]
PROBLEMS = [{"kind": "changed", "path": "/a", "key": "b", "detail": "why", "kept": False}]
OF = fingerprint_digest(FINGERPRINT)
RECORDS: list[dict[str, Any]] = [
    {"what": "header", "fingerprint": FINGERPRINT},
    {"what": "dealt", "number": 1, "path": "x-1.tar", "of": OF},
    {
        "what": "done", "number": 1, "path": "x-1.tar", "samples": 5, "tar_bytes": 10, "file_bytes": 10,
        "xxh3_128": "00", "left_out": [1], "problems": PROBLEMS, "md5": "", "json_bytes": b"\0" * 20, "mended": [0, 1],
        "of": OF,
    },
    {"what": "dealt", "path": "x.json", "trace": {"size": 5, "xxh3_128": "00"}, "of": OF},
]  # fmt: skip
LISTS: list[list[Any]] = [
    ["header", FINGERPRINT],
    ["dealt", 1, "x-1.tar", None, OF],
    ["done", 1, "x-1.tar", 5, 10, 10, "00", [1], [["changed", "/a", "b", "why", False]], "", b"\0" * 20, [0, 1], OF],
    ["dealt", -1, "x.json", [5, "00"], OF],
]
"""The same as of format 4."""
OLD_RECORDS: list[list[Any]] = [["header", {**FINGERPRINT, "format": 3}], LISTS[1][:3], LISTS[2][:-1]]
MANIFEST = b"""{"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "x", "shardlist": [{"url": "x-00.tar",
"nsamples": 2, "filesize": 9, "md5sum": "00000000000000000000000000000000", "tar_bytes": 9,
"xxh3_128": "00000000000000000000000000000000"}], "tool": {"name": "parallel_sharder", "version": "1"},
"options": {"split": "val", "labels": "sorted", "annotations": "boxes", "seed": 0, "maxsize": 9, "maxcount": null,
"shards": null, "on_bad": "skip"}, "totals": {"samples": 2, "shards": 1, "filesize": 9, "tar_bytes": 9},
"classes": [{"label": 0, "wnid": "n01440764", "name": "tench", "count": 2}]}"""
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "annotation": (
        fuzz_annotation,
        [
            XML,
            XML.replace(b"<xmin>1<", b"<xmin>-9.5<").replace(b"n0", b"%s"),
            b'<?xml version="1.0" encoding="utf-16"?><annotation a="b">&amp;</annotation>',
        ],
    ),
    "shapes": (fuzz_shapes, [XML + b"\xff" + XML.replace(b"<xmin>1<", b"<xmin>23<")]),
    "image": (fuzz_image, [JPEG, *PICTURES]),
    "sample": (fuzz_sample, [b"a/b_1|jpg", b"n01440764_36|left.png"]),
    "journal": (
        fuzz_journal,
        [
            *(kind + b"\xff\xfe".join(map(msgpack.packb, RECORDS)) for kind in (b"\x90", b"\xb0", b"\xbf")),
            *(kind + b"\xff\xfe".join(map(msgpack.packb, LISTS)) for kind in (b"\x90", b"\xbf")),
            *(kind + b"\xff\xfe".join(map(msgpack.packb, OLD_RECORDS)) for kind in (b"\xd0", b"\xff")),
            b"\0" + MAGIC + pack(RECORDS),
            b"\0" + pack(RECORDS),
        ],
    ),
    "manifest": (fuzz_manifest, [b"\xff" + MANIFEST, b"\0" + signed(json.loads(MANIFEST)), b"\0{}"]),
    "yaml": (fuzz_yaml, [b"null\0on\0@a\0x: y", b"split_parts:\n  train: []\nexclude: ['x-0.tar/1']\n"]),
    "archive": (fuzz_archive, [b"\xff" + _shard(2), b"\0" + _shard(1)]),
    "zip": (fuzz_zip, [_zip()]),
    "keys": (fuzz_keys, [b"rose red/a\0rose red/a.jpg\0_b\0" + b"long/" * 20 + b"\0\xc3\xbc/=5F"]),
    "where": (
        fuzz_where,
        [
            b"cls in [3, 5] and not width >= 2.5e3 or (cname != 'it')",
            b'"\\u00fc" in `tags` and is_grey == true',
            b"null",
        ],
    ),
    "csv": (fuzz_csv, [b'\xef\xbb\xbfimage,label,a\r\n"x ""1"", y",7,NaN\r\nb,,1e9\n', b"image,label\na,007\nb,-1\n"]),
    "jsonl": (fuzz_jsonl, [b'{"image": "a", "label": 7, "x": [1.5, null, "\\ud800"]}\n{"image": "b", "y": 1e99}\n']),
    "shards": (fuzz_shards, [b"\xff" + _shard(2), b"\0" + _shard(1), *(b"\xff" + each for each in FOREIGN)]),
    "tar": (fuzz_tar, [b"\xff" + _shard(1), b"\xff" + _shard(2), b"\0" + _shard(0)]),
}
path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / ".x.journal"


def main(target: str, inputs: str = "100000") -> None:
    """Run the target on so many inputs."""
    function, seeds = TARGETS[target]
    corpus = Path(tempfile.mkdtemp())
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-runs={inputs}", "-max_len=6000", "-print_final_stats=1", str(corpus)], function)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
