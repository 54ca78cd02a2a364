"""The check of a sample: its members, key, class, JSON and image, by the form of the set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.verify.sample_check import ExpectedSet, faults_in_sample, samples_of
from parallel_sharder.verify.shard_reader import Content
from parallel_sharder.verify.tar_check import StoredMember
from tests.sealed import FIRST, check_damage, labels_swapped, make, members_in, packed, said, seal, verify, with_member
from tests.test_bad import picture


def _sample_twice_in_a_row(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed(members[:3] + members))


def _member_missing(out: Path) -> None:
    (out / FIRST).write_bytes(packed(members_in(out / FIRST)[1:]))


def _members_apart(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([*members[:2], *members[3:6], members[2], *members[6:]]))


def _members_in_another_order(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([members[1], members[0], *members[2:]]))


def _cls_swapped(out: Path) -> None:
    members = members_in(out / FIRST)
    other = next(i for i in range(3, len(members), 3) if members[i][1] != members[0][1])
    members[0], members[other] = (members[0][0], members[other][1]), (members[other][0], members[0][1])
    (out / FIRST).write_bytes(packed(members))


def _cls(value: bytes) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        members = members_in(out / FIRST)
        (out / FIRST).write_bytes(packed([(members[0][0], value), *members[1:]]))

    return damage


def _json(value: bytes) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        members = members_in(out / FIRST)
        (out / FIRST).write_bytes(packed([*members[:2], (members[2][0], value), *members[3:]]))

    return damage


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_sample_twice_in_a_row, rf"{FIRST} n\d+_\d+ 0: has the members cls, jpg, json, cls, jpg, json; expected were"),
        (_member_missing, rf"{FIRST} n\d+_\d+ 0: has the members jpg, json; expected were cls, jpg, json"),
        (_members_apart, rf"{FIRST} n\d+_\d+ \d+: has the members json; expected were"),
        (_members_in_another_order, rf"{FIRST} n\d+_\d+ 0: has the members jpg, cls, json"),
        (labels_swapped, rf"{FIRST} n\d+_\d+ 0: its cls is \d+, which is the label of n\d{{8}}\n"),
        (_cls_swapped, rf"{FIRST} n\d+_\d+ 0: its cls is \d+ \(thing .*\), and its json has the class \d+ \(thing"),
        (_cls(b"1001"), rf"{FIRST} n\d+_\d+ 0: its cls is b'1001', which is no label in the manifest"),
        (_cls(b"007"), "its cls is b'007', which is no label"),
        (_cls(b""), "its cls is b'', which is no label"),
        (_json(b"{"), rf"{FIRST} n\d+_\d+ 0: its json is not a JSON object as json.dumps writes it"),
        (_json(b"[]"), "its json is not a JSON object"),
        (_json(b'{"a":1}'), "its json is not a JSON object"),
        (_json(b"[" * 100_000), "its json is not a JSON object"),
    ],
)
def test_damaged_samples(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """A sample that lacks something, or contradicts itself, is found, though the manifest agrees with it."""
    check_damage(folder, damage, finding)


def _with(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps({**json.loads(text), **fields}).encode()


JSONS: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes], str]] = {
    "NaN": ({}, _with(cls=float("nan")), "its json holds the number NaN, and all numbers should be whole"),
    "infinity": ({}, _with(cls=float("inf")), "its json holds the number Infinity"),
    "1.0": ({}, _with(cls=449.0), r"its json holds the number 449\.0"),
    "an exponent": (
        {},
        lambda text: re.sub(rb'"cls": ([0-9]+)', rb'"cls": \1e0', text),
        "its json holds the number [0-9]+e0",
    ),
    "true": ({}, _with(cls=True), r"its json has the class True \("),
    "text": ({}, _with(cls="449"), r"its json has the class 449 \("),
    "a key twice": ({}, lambda text: text[:-1] + b', "cls": 449}', "is not a JSON object as json.dumps writes it"),
    "a field more": (
        {},
        _with(wnid="n01440764"),
        "its json has the fields .*wnid; expected were annotation, cls, cname",
    ),
    "fields of boxes": ({}, _with(boxes=[]), "its json has the fields .*boxes; expected were annotation, cls, cname"),
    "no annotation": ({}, _with(annotation=None), "its json has (the fields|values that are not text)"),
    "numbers of XML": (
        {},
        _with(annotation={"size": {"width": 500}}),
        "its json has (the fields|values that are not text)",
    ),
    "none, with boxes": (
        {"annotations": "none"},
        _with(boxes=[]),
        "has the fields cls, cname, boxes, and there should be no",
    ),
    "none, with annotation": ({"annotations": "none"}, _with(annotation={}), "and there should be no annotation"),
    "boxes, with none": (
        {"annotations": "boxes"},
        lambda _: b'{"cls": 1, "cname": "it"}',
        "not have the fields cls",
    ),
    "boxes, without size": ({"annotations": "boxes"}, _with(width=0), "its json has the file .* of 0 x"),
    "large": (
        {},
        _with(annotation={"a": "b" * 8_000_000}),
        "its json has 8,000,0.. bytes; the largest JSON has 7,340,032",
    ),
}


@pytest.mark.parametrize("sample", JSONS)
def test_json_that_no_form_has(tmp_path: Path, sample: str) -> None:
    """Each field, of its type, as the set's form has it, and nothing else."""
    choices, change, finding = JSONS[sample]
    shard = make(tmp_path, **choices)
    key = with_member(shard, ".json", change)
    seal(tmp_path / "out")
    verdict = verify(tmp_path)
    assert {key} == {each.key for each in verdict.deviations if each.path == str(shard)}
    assert re.search(finding, said(verdict)), said(verdict)


@pytest.mark.parametrize(
    ("image", "finding"),
    [
        (b"", "an empty file"),
        (b"<html>404</html>", "not an image"),
        (picture()[:-40], "a JPEG that is cut off"),
        (bytes(40 << 20), "not an image"),
    ],
)
@pytest.mark.parametrize("on_bad", ["skip", "keep"])
def test_images_that_are_none(tmp_path: Path, image: bytes, finding: str, on_bad: str) -> None:
    """They are no deviation in a set that keeps them, and are in one that leaves them out."""
    shard = make(tmp_path, on_bad=on_bad)
    with_member(shard, ".jpg", lambda _: image)
    seal(tmp_path / "out")
    expected = f"its image is broken, and should have been left out: {finding}" if on_bad == "skip" else ""
    assert expected in said(verify(tmp_path))
    assert (1 if expected else 0) == verify(tmp_path).exit_code


EXPECTED = ExpectedSet({7: ("n01440764", "tench")}, "train", "none", "keep", None)


def members_of(key: str, **contents: bytes) -> list[StoredMember]:
    return [StoredMember(f"{key}.{name}", 0, Content(content, b"")) for name, content in contents.items()]


def test_members_make_up_samples() -> None:
    """Adjacent members of one key are a sample; what a sample should not have is named, and not kept."""
    one = members_of("n01440764_1", cls=b"7", jpg=b"x", json=b'{"cls": 7, "cname": "tench"}')
    two = members_of("n01440764_2", txt=b"y", cls=b"8")
    first, second, third = samples_of([*one, *two, *one], EXPECTED)
    assert ("n01440764_1", ["cls", "jpg", "json"], b"x", 7) == (
        first.key, first.names, first.image(EXPECTED).data, first.label(EXPECTED)
    )  # fmt: skip
    assert (["txt", "cls"], {"cls"}, None) == (second.names, {*second.contents}, second.label(EXPECTED))
    assert first == third
    assert [] == [*faults_in_sample(first, EXPECTED)]
    assert ["has the members txt, cls; expected were cls, jpg, json"] == [*faults_in_sample(second, EXPECTED)]
    assert [] == [*samples_of([], EXPECTED)]


def test_names_that_no_sample_has() -> None:
    """Nothing more is said of what has no key."""
    [sample] = samples_of(members_of("n 1", cls=b"x"), EXPECTED)
    assert ["is not the name of a sample"] == [*faults_in_sample(sample, EXPECTED)]


@pytest.mark.parametrize(
    ("form", "cls", "about", "faults"),
    [
        ("folders", b"7", {"cls": 7, "cname": "tench", "filename": "a.jpg"}, []),
        (
            "folders",
            b"9",
            {"cls": 7, "cname": "tench", "filename": "a.jpg"},
            ["its cls is b'9', which is no label in the manifest"],
        ),
        (
            "folders",
            b"7",
            {"cls": 7, "cname": "tench"},
            ["its json has the fields cls, cname; expected were cls, cname, filename"],
        ),
        ("table", b"7", {"cls": 7, "cname": "tench", "width": 3}, []),
        ("table", b"7", {"width": 3}, ["its json has the fields width; expected were first cls, cname"]),
    ],
)
def test_samples_of_folders_and_tables(form: str, cls: bytes, about: dict[str, object], faults: list[str]) -> None:
    """Each fault is named once: a cls that is no label does not make the fields of a sound JSON wrong."""
    expected = ExpectedSet({7: ("tench", "tench")}, None, form, "keep", None)
    [sample] = samples_of(members_of("tench/a", cls=cls, jpg=b"x", json=json.dumps(about).encode()), expected)
    assert faults == [*faults_in_sample(sample, expected)]
