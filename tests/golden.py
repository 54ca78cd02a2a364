"""Digests of what the package makes of small made sets: every layout, form and compression, with all indexes and cards.

`python -m tests.golden` writes golden.json beside this file; what is there was written by it at commit 305386f.
`make_sources` makes the sets in the current folder, from a seed and without an image library. `convert_case` converts
one of CASES there, and `golden_files` returns a digest of each file but the journals and the saved indexes of archives.
Nothing depends on the machine:

- In lists of problems the current folder is HERE; in manifests and cards the tool's version is VERSION. The manifest's
  own digest is checked, and left out.
- Of energon's table the schema and the sorted rows count, because SQLite's versions write other files.
- What follows from the library that compresses has a second digest, `inside`, which does not: of the tar in a shard,
  and of a manifest, card or `_info.json` without the sizes and digests of compressed files.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import os
import platform
import random
import re
import sqlite3
import struct
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import isal
import xxhash
import zstandard

import parallel_sharder
from parallel_sharder import Options, convert
from tests import made

GOLDEN = Path(__file__).with_name("golden.json")
VERSION = "VERSION"
MTIME_NS = 1_600_000_000_123_456_789
"""Of all files of the sources: a journal holds the times of archives."""

LAYOUTS = ("tree", "kaggle", "archives", "zip")
FORMS = ("original", "boxes", "none")
LIMITS: dict[str, dict[str, Any]] = {"tar": {"shards": 3}, "tgz": {"maxcount": 13}, "tar.zst": {"maxsize": 80_000}}
CLASSES = made.WNIDS[:5]

Entry = dict[str, Any]
"""Of a file: its `bytes` and `xxh3_128`, and `inside` where these follow from the library that compresses."""


class Case(NamedTuple):
    """One way to convert the three splits of one source into one folder."""

    name: str
    root: str
    ending: str
    options: dict[str, Any]


def _cases() -> Iterator[Case]:
    for number, (layout, form, ending) in enumerate(itertools.product(LAYOUTS, FORMS, LIMITS)):
        options = {
            "layout": layout,
            "annotations": form,
            "on_bad": ("skip", "keep")[(LAYOUTS.index(layout) + FORMS.index(form)) % 2],
            "labels": ("devkit", "sorted")[number // 2 % 2],
            **({"shuffle": False} if number % 5 == 4 else {"seed": number}),
            "md5": number % 4 == 0,
            **LIMITS[ending],
        }
        yield Case(f"{layout} {form} {ending}", layout, ending, options)
    for number, form in enumerate(FORMS):
        options = {"annotations": form, "on_bad": ("keep", "skip")[number % 2], "maxcount": 9}
        yield Case(f"renamed {form} tar", "renamed", "tar", options)


CASES = {case.name: case for case in _cases()}


def covering() -> list[str]:
    """The names of so many cases that of layout, form and compression each two values are in one of them."""
    every = itertools.product(range(len(LAYOUTS)), range(len(FORMS)), range(len(LIMITS)))
    return [name for name, places in itertools.zip_longest(CASES, every) if places is None or sum(places) % 3 == 0]


def convert_case(case: Case) -> Path:
    """Convert the case's splits, from the source in the current folder; returns the folder that it was converted to."""
    out = Path("out", case.name.replace(" ", "_"))
    readers = ("all",) if case.ending == "tar" else ("timm", "openclip")
    for split in ("train", "val", "test"):
        dest = f"{out}/imagenet_{split}-%06d.{case.ending}"
        choices: dict[str, Any] = {"index": readers, "card": True, "workers": 0, **case.options}
        convert(Options(root=case.root, split=split, dest=dest, **choices))
    return out


# The sources.


class Sample(NamedTuple):
    """A sample of the sources: `folder` is the class that it lies in, "" in a flat split."""

    split: str
    folder: str
    key: str
    image: bytes
    xml: bytes | None


def make_sources() -> None:
    """Make a source of each layout in the current folder, and one whose files have other names than ImageNet's."""
    samples = list(_samples())
    wnid_of = {key: wnid for split, wnid, key, _, _ in samples if split == "val"}
    _write_tree(Path("tree"), samples, wnid_of)
    _write_kaggle(Path("kaggle"), samples, wnid_of)
    _write_renamed(Path("renamed"), samples, wnid_of)
    _set_times(Path("tree"), Path("kaggle"), Path("renamed"))
    _write_archives(Path("archives"), Path("tree"))
    made.kaggle_zip(Path("zip"), Path("kaggle"))
    _set_times(Path("archives"), Path("zip"))
    for images in ("tree/train", "kaggle/ILSVRC/Data/CLS-LOC/train"):  # an archive with such a file is refused
        _write(Path(images, CLASSES[0], f"{CLASSES[1]}_50000.JPEG"), made.JPEG)


def source_digest() -> str:
    """The digest of all files of the unpacked sources, so that a change of these is not taken for one of the tool."""
    digest = xxhash.xxh3_128()
    for root in ("tree", "kaggle", "renamed"):
        for path in sorted(Path(root).rglob("*")):
            if path.is_file() and path.suffix != ".mat":  # which has the time in it
                data = path.read_bytes()
                digest.update(f"{path}\0{len(data)}\0".encode())
                digest.update(data)
    return digest.hexdigest()


def _samples() -> Iterator[Sample]:
    """All samples, sound ones and odd ones. In val, `folder` is the class, in whatever layout."""
    draw = random.Random(305386)
    for number in range(25):
        wnid = CLASSES[number % 5]
        key = f"{wnid}_{draw.randrange(1, 20_000)}"
        yield Sample("train", wnid, key, _jpeg(draw), _xml(draw, wnid, key) if draw.random() < 0.6 else None)
    for number, image in enumerate(_odd_images(draw)):
        wnid = CLASSES[number % 5]
        key = f"{wnid}_{30_000 + number}"
        yield Sample("train", wnid, key, image, _xml(draw, wnid, key) if number % 2 else None)
    for number in range(len(_odd_xmls("", ""))):
        wnid = CLASSES[number % 5]
        key = f"{wnid}_{40_000 + number * 7}"
        yield Sample("train", wnid, key, _jpeg(draw), _odd_xmls(wnid, key)[number])
    for number in range(1, 15):
        wnid, key = CLASSES[draw.randrange(5)], made.val_key(number)
        image = b"" if number == 5 else _jpeg(draw, components=4 if number == 6 else 3)
        xml = b"<annotation>" if number == 7 else _xml(draw, wnid, key) if number % 4 else None
        yield Sample("val", wnid, key, image, xml)
    for number in range(1, 13):
        image = _jpeg(draw)[: -2 if number == 3 else None]
        yield Sample("test", "", f"ILSVRC2012_test_{number:08}", image, None)


def _jpeg(draw: random.Random, frame: int = 0xC0, components: int = 3, data_bytes: int | None = None) -> bytes:
    """A JPEG that is sound in all but its image data (ITU-T T.81, annex B)."""
    height, width = draw.randrange(180, 376), draw.randrange(200, 501)
    parts = [struct.pack(">BBB", number, 0x11, 0) for number in range(1, components + 1)]
    header = struct.pack(">BHHB", 8, height, width, components) + b"".join(parts)
    scan = bytes([components]) + b"".join(bytes([number, 0]) for number in range(1, components + 1)) + b"\0\x3f\0"
    data = draw.randbytes(draw.randrange(200, 3000) if data_bytes is None else data_bytes).replace(b"\xff", b"\xfe")
    segments = ((0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), (0xFE, b"made"), (frame, header), (0xDA, scan))
    text = b"".join(struct.pack(">BBH", 0xFF, code, len(content) + 2) + content for code, content in segments)
    return b"\xff\xd8" + text + data + b"\xff\xd9"


def _png(width: int, height: int) -> bytes:
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"made"), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _odd_images(draw: random.Random) -> list[bytes]:
    gif = b"GIF89a" + struct.pack("<HHBBB", 70, 50, 0, 0, 0) + b"\x2c" + bytes(9) + b"\2\1\x44\0;"
    bmp = b"BM" + struct.pack("<IHHI", 66, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 31, -21, 1, 24, *[0] * 6)
    return [
        b"",
        _jpeg(draw)[:-100],
        b"<html>404</html>",
        _png(90, 60),
        gif,
        bmp + bytes(12),
        _jpeg(draw, components=4),
        _jpeg(draw, frame=0xC2),
        _jpeg(draw, components=1),
        _jpeg(draw, data_bytes=40_000),
        _jpeg(draw) + b"bytes behind the end",
        _jpeg(draw, frame=0xC1, data_bytes=17_000)[:-2],
    ]


def _xml(draw: random.Random, wnid: str, key: str) -> bytes:
    objects = range(draw.choice((1, 1, 2, 3)))
    boxes = [
        (draw.randrange(249), draw.randrange(186), draw.randrange(250, 500), draw.randrange(187, 375)) for _ in objects
    ]
    return made.annotation_xml(wnid, key, (500, 375), boxes).encode()


def _odd_xmls(wnid: str, key: str) -> list[bytes]:
    """Annotations with each defect of the real set, others that are well-formed, and broken ones."""

    def with_boxes(*boxes: tuple[int, int, int, int]) -> str:
        return made.annotation_xml(wnid, key, (500, 375), boxes)

    usual = with_boxes((1, 2, 30, 40), (5, 6, 70, 80))
    texts = [
        with_boxes((30, 2, 1, 40)),
        with_boxes((-1, 2, 511, 40)),
        with_boxes((1, 2, 1, 40), (1, 2, 30, 40)),
        with_boxes(),
        usual.replace(key, "n00000000_1"),
        usual.replace(key, "%s"),
        usual.replace(key, f"{key}.JPEG"),
        usual.replace(f"<folder>{wnid}", f"<folder>{wnid[1:]}"),
        usual.replace("<width>500", "<width>0"),
        usual.replace(f"<name>{wnid}", "<name>Border_collie"),
        usual.replace(f"<name>{wnid}", f"<name>{CLASSES[4]}", 1).replace("<truncated>0", "<truncated>1", 1),
        usual.replace("<difficult>0</difficult>", "").replace("<xmin>1<", "<xmin>1.4<"),
        usual.replace("<xmin>1<", "<xmin>one<"),
        usual.replace("\n", "\r\n"),
        usual.replace("<annotation>", '<?xml version="1.0"?>\n<!-- made -->\n<annotation verified="yes">'),
        usual.replace("<pose>Unspecified</pose>", "<pose><![CDATA[a < b]]></pose><pose>&#233; &amp; &quot;</pose>"),
        usual.replace("\t", "").replace("\n", ""),
        usual.replace("<segmented>0</segmented>", "<segmented/><more><a b='c'>d</a>e</more>"),
        "<annotation>",
        usual.replace("</annotation>", ""),
        "<html>404</html>",
        "",
    ]
    latin = usual.replace("<annotation>", '<?xml version="1.0" encoding="ISO-8859-1"?><annotation>')
    return [*(text.encode() for text in texts), latin.replace("ILSVRC_2012", "pêche").encode("iso-8859-1")]


def _names() -> dict[str, str]:
    """The words of the classes, with some that need an escape somewhere."""
    odd = ("\"quoted\", 'so'", "crème brûlée", "a\tb \\ c", "<b>&amp;</b> | `x`")
    return {**made.NAMES, **dict(zip(CLASSES, odd, strict=False))}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_images(samples: list[Sample], images: Path, xmls: Path) -> None:
    """Write images and annotations of all splits below two folders, and what belongs to neither."""
    for split, wnid, key, image, xml in samples:
        folder = Path(split, wnid) if split == "train" else Path(split)
        _write(images / folder / f"{key}.JPEG", image)
        if xml is not None:
            _write(xmls / folder / f"{key}.xml", xml)
    _write(xmls / "train" / CLASSES[2] / f"{CLASSES[2]}_77.xml", _odd_xmls(CLASSES[2], f"{CLASSES[2]}_77")[0])


def _write_devkit(root: Path, wnid_of: Mapping[str, str]) -> None:
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    made.write_meta(data / "meta.mat", _names())
    id_of = {wnid: number for number, wnid in enumerate(_names(), 1)}
    labels = [id_of[wnid_of.get(made.val_key(number), CLASSES[0])] for number in range(1, 50_001)]
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{label}\n" for label in labels))


def _write_tree(root: Path, samples: list[Sample], wnid_of: Mapping[str, str]) -> None:
    _write_images(samples, root, root)
    _write(root / "train" / CLASSES[3] / "notes.txt", b"no image")
    _write_devkit(root, wnid_of)


def _write_kaggle(root: Path, samples: list[Sample], wnid_of: Mapping[str, str]) -> None:
    _write_images(samples, root / "ILSVRC" / "Data" / "CLS-LOC", root / "ILSVRC" / "Annotations" / "CLS-LOC")
    _write(root / "ILSVRC" / "Data" / "CLS-LOC" / "train" / CLASSES[3] / "notes.txt", b"no image")
    names = _names()
    _write(root / "LOC_synset_mapping.txt", "".join(f"{wnid} {names[wnid]}\n" for wnid in made.WNIDS).encode())
    rows = [f"{key},{wnid} 1 2 30 40 \n" for key, wnid in wnid_of.items()]
    _write(root / "LOC_val_solution.csv", "".join(["ImageId,PredictionString\n", *rows]).encode())


def _write_archives(root: Path, raw: Path) -> None:
    """The official archives of the tree at `raw`, those of val's annotations and of test too."""
    made.official_archives(root, raw)
    with tarfile.open(root / "ILSVRC2012_bbox_val_v3.tgz", "w:gz") as archive:
        for path in sorted((raw / "val").glob("*.xml")):
            archive.add(path, f"val/{path.name}")
    with tarfile.open(root / "ILSVRC2012_img_test_v10102019.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted((raw / "test").iterdir()):
            archive.add(path, f"test/{path.name}")


def _write_renamed(root: Path, samples: list[Sample], wnid_of: Mapping[str, str]) -> None:
    """A tree whose images end in .jpg, .png and the like, with val in class folders, and what is left out by name."""
    endings = itertools.cycle((".JPEG", ".jpg", ".png", ".JPG"))
    for split, wnid, key, image, xml in samples:
        _write(root / split / wnid / f"{key}{next(endings)}", image)
        if xml is not None:
            _write(root / split / wnid / f"{key}.xml", xml)
    _write(root / "train" / CLASSES[1] / f"{CLASSES[1]}_8.txt", b"named like an image")
    _write(root / "train" / CLASSES[1] / f"._{CLASSES[1]}_8.JPEG", b"left by macOS")
    _write(root / "train" / f"{made.WNIDS[7]}.tar", bytes(10_240))
    (root / "train" / made.WNIDS[6]).mkdir()
    _write_devkit(root, wnid_of)


def _set_times(*roots: Path) -> None:
    for root in roots:
        for path in root.rglob("*"):
            os.utime(path, ns=(MTIME_NS, MTIME_NS))


# What is compared.


def libraries() -> dict[str, str]:
    """Returns the libraries that compress, by the ending of their files, and the processor that they choose code by."""
    isa_l, zstd = isal.ISAL_VERSION, ".".join(map(str, zstandard.ZSTD_VERSION))
    return {
        "tgz": f"isal {isal.__version__} (ISA-L {isa_l}) on {platform.machine()}{_instruction_sets()}",
        "tar.zst": f"zstandard {zstandard.__version__} (zstd {zstd}) on {platform.machine()}",
    }


def _instruction_sets() -> str:
    """Those of which ISA-L has an own version of its code, which may compress into other bytes."""
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return ""
    return "".join(f" {name}" for name in ("sse4_2", "avx", "avx2", "avx512bw", "vpclmulqdq") if name in flags)


def golden_files(folder: Path) -> dict[str, Entry]:
    """What is compared of each file in a folder of finished sets, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    is_private = re.compile(r"\..*\.(journal|index|run\.jsonl)").fullmatch
    is_compressed = any(path.name.endswith((".tgz", ".zst")) for path in paths)
    return {
        path.relative_to(folder).as_posix(): _entry(path, is_compressed) for path in paths if not is_private(path.name)
    }


def _entry(path: Path, is_compressed: bool) -> Entry:
    data = path.read_bytes()
    inside = None
    if path.suffix == ".tgz":
        inside = gzip.decompress(data)
    elif path.suffix == ".zst":
        inside = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    elif path.suffix == ".sqlite":
        data = _rows(path)
    elif path.suffix == ".jsonl":
        data = data.replace(json.dumps(os.getcwd())[1:-1].encode(), b"HERE")
    elif path.name == "README.md":
        data = _without_version(data)
        inside = re.sub(rb"(\| [\d,]+ \| [\d,]+ \|) [^|]+ \|", rb"\1 SIZE |", data)
    elif path.name.startswith("imagenet_") and path.suffix == ".json":
        data = _manifest(data)
        inside = re.sub(rb'"(filesize|xxh3_128|md5sum)": ("[0-9a-f]+"|\d+)', rb'"\1": 0', data)
    elif path.name == "_info.json":
        inside = re.sub(rb'"filesize": \d+', b'"filesize": 0', data)
    assert os.fsencode(os.getcwd()) not in data
    entry: Entry = {"bytes": len(data), "xxh3_128": xxhash.xxh3_128_hexdigest(data)}
    if is_compressed and inside is not None:
        entry["inside"] = {"bytes": len(inside), "xxh3_128": xxhash.xxh3_128_hexdigest(inside)}
    return entry


def _without_version(card: bytes) -> bytes:
    tool = f"parallel_sharder {parallel_sharder.__version__}".encode()
    assert 1 == card.count(tool)
    return card.replace(tool, b"parallel_sharder " + VERSION.encode())


def _manifest(data: bytes) -> bytes:
    """The manifest's text with VERSION as the tool's, without its own digest, which is right."""
    content = json.loads(data)
    assert data == _text(content)
    own = content.pop("xxh3_128")
    assert own == xxhash.xxh3_128_hexdigest(_text(content))
    assert parallel_sharder.__version__ == content["tool"]["version"]
    content["tool"]["version"] = VERSION
    return _text(content)


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1) + "\n").encode("ascii")


def _rows(path: Path) -> bytes:
    """Schema and rows of a database, a line each."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")]
        rows: list[Any] = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 2").fetchall()
        for table in tables:
            width = len(database.execute(f"SELECT * FROM {table} LIMIT 1").description)
            order = ", ".join(map(str, range(1, width + 1)))
            rows += database.execute(f"SELECT * FROM {table} ORDER BY {order}")
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_golden(path: Path) -> None:
    """Make everything in a temporary folder, and write the digests: a line for each file."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_sources()
        lines = [f' "libraries": {json.dumps(libraries())},', f' "source": "{source_digest()}",', ' "sets": {']
        for place, case in enumerate(CASES.values()):
            files = golden_files(convert_case(case))
            lines += [f'  "{case.name}": {{', f'   "options": {json.dumps(case.options)},', '   "files": {']
            lines += [",\n".join(f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in files.items())]
            lines += ["   }", "  }," if place + 1 < len(CASES) else "  }"]
    path.write_text("\n".join(["{", *lines, " }", "}"]) + "\n")


if __name__ == "__main__":
    write_golden(Path(sys.argv[1] if len(sys.argv) > 1 else GOLDEN).absolute())
