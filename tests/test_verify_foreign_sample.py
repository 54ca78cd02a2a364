"""Readers' rules for names and contents: what is lost, mis-grouped or cannot be read."""

from __future__ import annotations

import re

import pytest

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
from tests.foreign import PICTURE
from tests.test_bad import picture


@pytest.mark.parametrize("name", ["a.jpg", "a.seg.png", "./n.1/a.jpg", "/x/v1.0/b.c.d"])
def test_names_are_divided_as_webdataset_does(name: str) -> None:
    """At the first dot of the last part, so a folder may have dots."""
    match = re.match(r"^((?:.*/|)[^.]+)[.]([^/]*)$", name)  # from webdataset's tariterators.py
    assert match is not None
    assert match.groups() == parted(name)


@pytest.mark.parametrize("name", ["README", "n.1/README", ".a.jpg", "x/._a.jpg", "__meta__", "__a__/b.jpg", "__a.jpg"])
def test_names_that_are_lost(name: str) -> None:
    """Those without a dot in the last part, hidden ones, and those that begin with two underscores."""
    assert fault_in_name(name)


@pytest.mark.parametrize("name", ["a.jpg", "./n.1/a.jpg", "a_.x", "_a.jpg", "a.b.c", "a__b__/c.jpg"])
def test_names_that_are_read(name: str) -> None:
    """Folders and fields with dots, and single underscores, do no harm."""
    assert "" == fault_in_name(name)


def test_remarks_on_names() -> None:
    """Each says which reader cannot read the name; usual names have none."""
    assert [] == [*remarks_on_name("n01/a_1.jpg", "jpg")]
    for name, remark in (
        ("a b.jpg", "names with white space"),
        ("\xe4.jpg", "names with white space or other characters than ASCII"),
        ("a.JPG", "fields with capitals"),
        ("../a.jpg", "names that would be unpacked outside"),
        ("a" * 97 + ".jpg", "names of more than 100 bytes"),
    ):
        [found] = remarks_on_name(name, parted(name)[1])
        assert found.startswith(remark)


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("cls", b"-1"),
        ("cls", b" 12\n"),
        ("json", b'{"a": NaN}'),
        ("meta.json", b"[1]"),
        ("jpg", PICTURE),
        ("JPEG", PICTURE + b"behind"),
        ("seg.png", picture("PNG")),
        ("jpg", picture("PNG")),
        ("txt", b"\xff"),
        ("npy", b""),
    ],
)
def test_sound_contents(field: str, data: bytes) -> None:
    """What readers decode is no fault, nor is what this tool does not know."""
    assert "" == fault_in_content(field, data, is_whole=True)


@pytest.mark.parametrize(
    ("field", "data", "fault"),
    [
        ("cls", b"cat", "its cls is no whole number (b'cat')"),
        ("cls", b"", "its cls is no whole number (b'')"),
        ("json", b"{", "its json is no JSON: Expecting property name"),
        ("json", b"[" * 100_000, "its json is no JSON: "),
        ("json", b"\xff{}", "its json is no JSON: "),
        ("jpg", PICTURE[:-100], "its jpg is a JPEG that is cut off"),
        ("jpg", b"", "its jpg is an empty file"),
        ("seg.png", picture("PNG")[:-20], "its seg.png is not a whole PNG"),
        ("JPG", b"<html>", "its jpg is not an image"),
    ],
)
def test_broken_contents(field: str, data: bytes, fault: str) -> None:
    """The field and the cause are named."""
    assert fault_in_content(field, data, is_whole=True).startswith(fault)


def test_contents_that_are_too_large() -> None:
    """Only a JPEG can be judged by its beginning and its end marker; of others nothing is said."""
    assert "" == fault_in_content("png", picture("PNG")[:-20], is_whole=False)
    assert "" == fault_in_content("json", b"{", is_whole=False)
    assert "" == fault_in_content("jpg", PICTURE, is_whole=False)
    assert "cut off" in fault_in_content("jpg", PICTURE[:-100], is_whole=False)


def test_contents_that_are_read() -> None:
    """Those of images, JSON and cls; no others are kept in memory."""
    assert [True, True, True, True, False, False, False] == [
        is_read(name) for name in ("a.jpg", "a.seg.PNG", "a.cls", "a.x.json", "a.txt", "a.npy", "a.b.cls")
    ]


def test_fields_twice() -> None:
    """Capitals make no second field, because webdataset makes them small."""
    assert ["jpg"] == fields_twice(("jpg", "JPG", "cls"))
    assert [] == fields_twice(("jpg", "seg.jpg", "cls"))


def shapes(*some: tuple[int, str]) -> dict[Fields, Shape]:
    return {tuple(fields.split()): Shape(count, "k", 512) for count, fields in some}


@pytest.mark.parametrize(
    "some",
    [
        shapes((10, "v2.jpg v2.cls")),
        shapes((10, "0.jpg 0.cls 1.jpg 1.cls 2.jpg 2.cls")),
        shapes((10, "jpg cls"), (1, "v2.jpg v2.cls")),
        shapes((10, "jpg cls"), (1, "v2.jpg")),
        shapes((10, "jpg cls"), (1, "jpg cls v2.jpg v2.cls")),
        shapes((1, "1.jpg 1.cls 2.jpg 2.cls 3.jpg 3.cls"), (1, "4.jpg 4.cls 5.jpg 5.cls"), (1, "6.jpg 7.jpg")),
        shapes((1, " ".join(f"{number:04}.jpg" for number in range(20)))),
    ],
)
def test_keys_with_dots(some: dict[Fields, Shape]) -> None:
    """They show in whole samples behind a dot, in other samples' fields, or where no sample has the same fields."""
    found = [*dotted_keys(some)]
    assert found
    assert all("first dot" in fault for _, fault in found)


@pytest.mark.parametrize(
    "some",
    [
        shapes((10, "jpg seg.png cls")),
        shapes((10, "left.jpg left.json right.jpg right.json")),
        shapes((10, "input.png target.png")),
        shapes((10, "jpg cls"), (3, "jpg seg.png depth.png cls"), (1, "jpg seg.jpg")),
        shapes((10, "left.jpg right.jpg json"), (1, "left.jpg json")),
        shapes((6, "left.jpg right.jpg"), (1, "left.jpg")),
        shapes((1, "left.jpg right.jpg")),
        shapes((3, "000.jpg 001.jpg json"), (2, "000.jpg 001.jpg 002.jpg 003.jpg json")),
        shapes((3, "000.jpg 001.jpg"), (2, "000.jpg 001.jpg 002.jpg 003.jpg")),
        shapes((10, "jpg cls json"), (1, "jpg cls json thumb.jpg thumb.json")),
        shapes((4, "jpg cls"), (6, "jpg cls small.jpg small.cls")),
        shapes((1, "jpg")),
    ],
)
def test_fields_with_dots(some: dict[Fields, Shape]) -> None:
    """Masks, views and frames are fields that several samples have, and no fault."""
    assert [] == [*dotted_keys(some)]
