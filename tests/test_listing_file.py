"""The listing's file: what was listed comes back, wherever the source is mounted; damage is always found."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import xxhash

from parallel_sharder import listing_file
from parallel_sharder.columns import Texts
from parallel_sharder.engines.inline import Inline
from parallel_sharder.kinds import Kind
from parallel_sharder.listing_file import MAGIC, Folders, ListingFile, ListingFileError
from parallel_sharder.model import Archive, ImageClass, Listing, Part, Place, Problem, Role
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from tests import golden

MADE_FOR = {"nodes": 3, "fingerprint": {"seed": None, "maxsize": 10**9}, "command": ["parallel-sharder"]}
FOLDERS = Folders("/raw", "/shards")
EMPTY = np.array([], np.int32)


FORMAT_1 = (
    "aA9&`Y;0w0Uvp?-"
    "a%5$4AZ%%KbZKs93IG5B|BI$(Z*py6bOESsVPs`rW^ZzXrEYIzWpe|oW@&C`WpZ$GX>N3aq;q9uWWc9wVR&<CdS%W#n#usDV{dJ3"
    "VQyrRuyA2=VQg$=Y%OzWVRB?;a-?!^Z*-(Da$$F+W^Z+FWRjAmY+-qCb#$_Ha%E*8X>K4da$$EbbaG*7Zjz^CY+-"
    "YAWplVPAZczOFJ)|VWp`+0a%C@VWprUKZDDk$Zf|sHV`X!Z*(5R`W@&6?b0A`6Y;SiUFLGgbFLq&UAYpQ4AZ%r3bRchabS|cFY++"
    "+%bCZ&iq;hX>bfN!}q;hX>bfN!}lBRQLVRB@1s4jReb8v5OY?7pMZ*O#^crJ8jdXkc$qAz)pprS8%s9|zrXlZt3bCHvhq;hX>bft"
    "JMbZ2@A&lWUSh2Q(l6{lltVRLh3bCQz*q+u)|Vxn#_lLDf{yrOP0sBm&`Vr*q?bCQ*(V`yP+XJurPq;hX>bfIFQVxxCxdBT;aV`y"
    "P+XJurPprS8&prdzadBde}VRCeHl9Z)sZDD6+lBF(6P(??iE^uyV!o!rRVQy}3bYXO9Z*GyKE_iKh!@{RyZ)|mKZgZHEqkK~`kpc"
    "~qqdaLekpdBuqdaLekpdBuqdaLikpdZ$qkMHSkpc^oqdaLekpdBuqdaLikpdZ$qdaLik^%x3D77#BAOs-"
    "*0AT=PV<@#R{U8WI0000000031001bpFa010K>z>%000000000ewJ-f35P<*y1poj5000001^@s600000D77#BAOaBp0003fwJ-"
    "f32tfb<0RR91|NsC0D77#BAP|8700#g7000000RR90|NsC0|0uOD{U9K9001Ze00#j70}udR3_M@~nj;=617ucHO6u8;two=6"
)
"""The file of `small` in format 1, as commit 2bcade3 made it, in base 85."""


def small() -> Listing:
    """A listing that has something of everything: bytes that are no text in a path, no sample without a class."""
    places, sizes = np.array([0, 0], np.int32), np.array([5, 6])
    extents = np.array([[0, 7], [-1, -1]])
    return Listing(
        found=(("layout", "tree in /raw/train"), ("classes", "2 in /elsewhere/meta.mat")),
        places=(Place("/raw/\udcff", "/raw/\udcff"), Place("/shards/.x.spool", "/raw/x.tgz"), Place("/y", "/y")),
        classes=(ImageClass(1, "a, b", "n1"), ImageClass(2, "ü", "n2")),
        keys=Texts.of([b"a", b"bc"]),
        class_index=np.array([0, 1], np.int32),
        parts=(
            Part(Role.IMAGE, (".JPEG", ".png"), places, sizes, None, np.array([0, 1], np.uint8)),
            Part(Role.ANNOTATION, (".xml",), np.array([1, -1], np.int32), np.array([7, -1]), extents),
        ),
        problems=(Problem(Kind.CHANGED, "/raw/b", "b", "why"), Problem(Kind.CHANGED, "/z", "", "why", True)),
        archives=(Archive("/raw/x.tgz", 9, 1_600_000_000_123_456_789),),
        notices=("2 files below /raw/val are left out.",),
    )


def packed(listing: Listing, folders: Folders = FOLDERS) -> bytes:
    return b"".join(listing_file.to_bytes(listing, folders, MADE_FOR))


def facts(value: Any) -> Any:
    """What a listing holds, in values that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Texts):
        return [*map(facts, value.arrays)]
    if dataclasses.is_dataclass(value):
        return type(value).__name__, [facts(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return (type(value).__name__, [*map(facts, value)]) if isinstance(value, tuple) else value


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        golden.make_sources()
        yield folder


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("layout", [*golden.LAYOUTS, "renamed"])
def test_listings_of_all_layouts_come_back(sources: Path, layout: str, split: str) -> None:
    """Whatever the layout is, all that the scan has found is there again, field for field and byte for byte."""
    options = SourceOptions(root=(str(sources / layout),), split=split, labels="devkit")
    with open_source(options) as source:
        listing = source.scan(Inline(), Silent(), Scratch(is_preview=True))
        folders = Folders(str(sources / layout), "/shards")
        assert facts(listing) == facts(ListingFile(packed(listing, folders)).listing(folders))


def test_everything_comes_back() -> None:
    """Paths that are no text, endings, places in archives and problems come back, and what the listing is for."""
    data = packed(small())
    assert facts(small()) == facts(ListingFile(data).listing(FOLDERS))
    assert MADE_FOR == ListingFile(data).made_for


def others() -> Listing:
    """A listing that has what only sets other than ImageNet have: long keys, names, labels of rows, a selection."""
    keys = Texts.of([b"a" * 50, b"b/c=20d", b"e"])
    places, sizes = np.array([0, 0, -1], np.int32), np.array([5, 6, -1])
    return Listing(
        found=(),
        places=(Place("/raw", "/raw"),),
        classes=(),
        keys=keys,
        class_index=np.array([100_001, -1, 7], np.int32),
        parts=(
            Part(Role.IMAGE, (".jpg",), abs(places), abs(sizes), names=Texts.of([b"\xff" * 40, b"b/c d.jpg", b""])),
            Part("txt", (".txt",), places, sizes, names=Texts.of([b"x", b"", b""])),
        ),
        problems=(),
        has_row_labels=True,
        selection={"key_rule": 1, "with": ["txt"], "image": None},
        source_order=np.array([2, 0, 1], np.int32),
        fields=(("jpg", 3), ("txt", 2)),
    )


def test_other_sets_come_back() -> None:
    """Keys and names of any length, labels without a table, the order of a source, and what selects rows come back."""
    assert facts(others()) == facts(ListingFile(packed(others())).listing(FOLDERS))


def test_the_format_before_is_read() -> None:
    """A run that began with format 1, which knew ImageNet alone, goes on: the listing is the same one."""
    found = ListingFile(base64.b85decode(FORMAT_1))
    assert facts(small()) == facts(found.listing(FOLDERS))
    assert MADE_FOR == found.made_for


def test_source_without_samples() -> None:
    """Columns without rows come back with their types."""
    part = Part(Role.IMAGE, (".JPEG",), EMPTY, EMPTY.astype(np.int64))
    listing = Listing((), (), (), Texts.of([]), EMPTY, (part,), ())
    assert facts(listing) == facts(ListingFile(packed(listing)).listing(FOLDERS))


def test_other_folders() -> None:
    """On a host that has the source and the shards elsewhere, all paths below these are that host's; others stay."""
    found = ListingFile(packed(small())).listing(Folders("/mnt/in", "/mnt/out"))
    assert ("/mnt/in/\udcff", "/mnt/out/.x.spool", "/y") == tuple(place.path for place in found.places)
    assert ("/mnt/in/\udcff", "/mnt/in/x.tgz", "/y") == tuple(place.name for place in found.places)
    assert ("/mnt/in/x.tgz",) == tuple(each.path for each in found.archives)
    assert ("/mnt/in/b", "/z") == tuple(each.path for each in found.problems)
    assert (("layout", "tree in /mnt/in/train"), ("classes", "2 in /elsewhere/meta.mat")) == found.found
    assert ("2 files below /mnt/in/val are left out.",) == found.notices


def test_paths_that_only_begin_alike() -> None:
    """A folder beside the root, whose name begins with the root's, is not below it; the root itself is."""
    for path in ("/raw2/a", "/raw", "/raw/a", "/", "relative"):
        assert path == FOLDERS.unpacked(FOLDERS.packed(path))
    assert ("", "/raw2/a") == FOLDERS.packed("/raw2/a")
    assert "/mnt" == Folders("/mnt", "/shards").unpacked(FOLDERS.packed("/raw"))


def test_cut_files() -> None:
    """At whatever byte the file ends, it is no listing."""
    data = packed(small())
    for end in range(len(data)):
        with pytest.raises(ListingFileError, match="cut"):
            ListingFile(data[:end])


def test_flipped_bits() -> None:
    """In whatever byte a bit is flipped, it is no listing."""
    data = packed(small())
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ListingFileError):
            ListingFile(bytes(damaged)).listing(FOLDERS)


def sealed(head: bytes, length: int | None = None) -> bytes:
    """A file with this head, and a digest that is right."""
    data = MAGIC + (len(head) if length is None else length).to_bytes(4, "big") + head
    return data + xxhash.xxh3_128_digest(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it does not begin as a listing does, or is cut"),
        (sealed(b"\xc1"), "its head cannot be read"),
        (sealed(b"\x82"), "its head cannot be read"),
        (sealed(b"\x82", 10**9), "its head cannot be read"),
        (sealed(msgpack.packb([1])), "its head is no map"),
        (sealed(msgpack.packb({})), "it has format None, and this version reads 2"),
        (sealed(msgpack.packb({"format": 3})), "it has format 3, and this version reads 2"),
        (sealed(msgpack.packb({"format": 1})), "its content is not that of a listing"),
        (sealed(msgpack.packb({"format": 1, "columns": [], "root": "/", "parts": []})), "its content is not that of"),
        (sealed(msgpack.packb({"format": 1, "columns": [["<i4", [1], 3]], "root": "/"})), "its content is not that"),
    ],
)
def test_what_another_version_may_have_sealed(data: bytes, why: str) -> None:
    """Content that is whole and no listing of this version is refused with the reason, and never by another error."""
    with pytest.raises(ListingFileError) as caught:
        ListingFile(data).listing(FOLDERS)
    assert str(caught.value).startswith(why)


def test_listing_that_says_not_what_it_is_for() -> None:
    """Nobody can take it, so it is refused."""
    with pytest.raises(ListingFileError, match="it does not say what it was made for"):
        _ = ListingFile(sealed(msgpack.packb({"format": 1}))).made_for
