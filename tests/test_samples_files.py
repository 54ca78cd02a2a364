"""Samples of whole files: their members, the sizes that the plan counts with, and what is wrong with some of them."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from parallel_sharder import Options
from parallel_sharder.columns import Texts
from parallel_sharder.coordinator import plan_of
from parallel_sharder.deal import make_chunks, make_job
from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import PlanError, SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass, Listing, Part, Place, Role, SetKind, ShardRecord
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.image_fields import FIELDS, FORMATS
from parallel_sharder.tar import ustar
from parallel_sharder.worker import write_chunk
from tests.test_bad import picture
from tests.test_samples_other_formats import WRITTEN

CLASSES = (ImageClass(0, "rose red", "rose red"), ImageClass(12, 'Mün"ster\n', "n2"))
JPEG = picture()


class File(NamedTuple):
    """An image below the root, with its class, its side files by field, and its row of a table."""

    name: bytes
    class_index: int = -1
    data: bytes = JPEG
    sides: dict[str, bytes] = {}  # noqa: RUF012 - nobody changes it
    row: bytes = b""


ODD = [
    b"k00.jpg",
    b"rose red/a.JPG",
    "ü/é.jpeg".encode(),
    b'a"b\\c.jpg',
    b"a\nb.png",
    b"\xff\xfe.jpg",
    "\u202e.jpg".encode(),
]
"""Names of files; the first is that of its key."""


def listing_of(root: Path, files: list[File], **choices: Any) -> Listing:
    """Write the files, and list them under the keys k00, k01 and so on."""
    for file in files:
        _write(os.path.join(os.fsencode(root), file.name), file.data)
        for field, data in file.sides.items():
            _write(os.path.join(os.fsencode(root), _beside(file, field)), data)
    spool, count = root.with_name("spool"), len(files)
    spool.write_bytes(b"".join(file.row for file in files))
    keys = [b"k%02d" % number for number in range(count)]
    endings = sorted({_ending(file) for file in files})
    nowhere = np.zeros(count, np.int32)
    names = [
        b"" if file.name == key + _ending(file).encode() else file.name for key, file in zip(keys, files, strict=True)
    ]
    ending = np.array([endings.index(_ending(file)) for file in files], np.uint8)
    sizes = np.array([len(file.data) for file in files])
    parts = [Part(Role.IMAGE, tuple(endings), nowhere, sizes, None, ending, Texts.of(names))]
    for field in dict.fromkeys(field for file in files for field in file.sides):
        sizes = np.array([len(file.sides[field]) if field in file.sides else -1 for file in files])
        beside = Texts.of(_beside(file, field) for file in files)
        parts.append(Part(field, (f".{field}",), np.where(sizes < 0, -1, 0).astype(np.int32), sizes, names=beside))
    if any(file.row for file in files):
        sizes = np.array([len(file.row) for file in files])
        parts.append(Part(Role.ROW, ("",), nowhere + 1, sizes, (np.cumsum(sizes) - sizes)[:, None]))
    classes = np.array([file.class_index for file in files], np.int32)
    places = (Place(str(root), str(root)), Place(str(spool), "table.csv"))
    given = {"classes": CLASSES if classes.max() >= 0 else (), **choices}
    return Listing((), places, given.pop("classes"), Texts.of(keys), classes, tuple(parts), (), **given)


def _write(path: bytes, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(data)


def _ending(file: File) -> str:
    return os.path.splitext(os.fsdecode(file.name))[1]


def _beside(file: File, field: str) -> bytes:
    return os.path.splitext(file.name)[0] + b"." + field.encode()


def stored(listing: Listing, form: str = "folders", **choices: Any) -> tuple[ShardRecord, dict[str, dict[str, bytes]]]:
    """Write one shard of all samples; return its record, and the members of each sample, in order.

    Without samples that are left out, each takes just the bytes that the plan has counted with.
    """
    folder = Path(listing.places[0].path).with_name("out")
    folder.mkdir(exist_ok=True)
    options = Options(dest=folder / "x-%06d.tar", shards=1, shuffle=False, **choices)
    options = options.settled(SetKind("folders", form, None, "raw"))
    plan = plan_of(listing, options)
    [chunk] = make_chunks(listing, plan, options.pattern, make_job(options, listing, plan, 0))
    record = write_chunk(chunk, Counts())
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(record.path, "r:") as tar:
        for member in tar:
            key, _, field = member.name.partition(".")
            file = tar.extractfile(member)
            assert file is not None
            samples.setdefault(key, {})[field] = file.read()
    if not record.left_out:
        taken = [sum(ustar.member_bytes(len(data)) for data in each.values()) for each in samples.values()]
        assert FORMS[form].sample_bytes(listing).tolist() == taken
        assert int(plan.shard_bytes[0]) == record.tar_bytes
    Path(record.path).unlink()
    return record, samples


def test_members_and_their_order(tmp_path: Path) -> None:
    """Label, image in the field of its ending, side files in the order asked for, and our JSON at last."""
    file = File(b"rose red/a b.JPG", 0, sides={"txt": b"a rose", "mask": b"\0"})
    _, samples = stored(listing_of(tmp_path / "raw", [file]))
    assert ["cls", "jpg", "txt", "mask", "json"] == [*samples["k00"]]
    ours = b'{"cls": 0, "cname": "rose red", "filename": "rose red/a b.JPG"}'
    assert {"cls": b"0", "jpg": JPEG, "txt": b"a rose", "mask": b"\0", "json": ours} == samples["k00"]


@pytest.mark.parametrize("class_index", [-1, 0, 1])
def test_names_of_any_bytes(tmp_path: Path, class_index: int) -> None:
    """The JSON has each name as on disk, bytes that are no UTF-8 in hex; its size is known beforehand."""
    files = [File(name, class_index) for name in ODD]
    record, samples = stored(listing_of(tmp_path / "raw", files))
    found = [json.loads(sample["json"]) for sample in samples.values()]
    names = ["k00.jpg", "rose red/a.JPG", "ü/é.jpeg", 'a"b\\c.jpg', "a\nb.png", r"\xff\xfe.jpg", "\u202e.jpg"]
    assert (names, 7) == ([each["filename"] for each in found], record.samples)
    assert [class_index >= 0] * 7 == ["cls" in each and "cname" in each for each in found]
    if class_index >= 0:
        its = CLASSES[class_index]
        assert {(its.label, its.name)} == {(each["cls"], each["cname"]) for each in found}
        assert {b"%d" % its.label} == {sample["cls"] for sample in samples.values()}


def test_side_files_that_some_lack(tmp_path: Path) -> None:
    """A sample without one is stored without it, and a JSON of theirs takes the place of ours, byte for byte."""
    theirs = b'{ "a" : 1,\r\n"b":[]}\n'
    files = [
        File(b"a.jpg", sides={"txt": b"x" * 512}),
        File(b"b.jpg", sides={"json": theirs, "txt": b""}),
        File(b"c.jpg"),
    ]
    _, samples = stored(listing_of(tmp_path / "raw", files))
    assert [["jpg", "txt", "json"], ["jpg", "txt", "json"], ["jpg", "json"]] == [[*each] for each in samples.values()]
    assert ([b'{"filename": "a.jpg"}', theirs, b'{"filename": "c.jpg"}'], b"") == (
        [each["json"] for each in samples.values()],
        samples["k01"]["txt"],
    )


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513])
def test_images_of_any_length(tmp_path: Path, length: int) -> None:
    """Each fills whole blocks; what is no image is stored with --on-bad keep."""
    _, samples = stored(listing_of(tmp_path / "raw", [File(b"a.jpg", 0, b"x" * length)]), on_bad="keep")
    assert b"x" * length == samples["k00"]["jpg"]


def test_rows_of_a_table(tmp_path: Path) -> None:
    """What a row adds follows the class; the row has the file's name too."""
    files = [
        File(b"a.jpg", 0, row=b'"filename": "a.jpg", "n": 1.5'),
        File(b"b.jpg", row=b'"filename": "b.jpg", "n": null'),
    ]
    _, samples = stored(listing_of(tmp_path / "raw", files), "table")
    assert [
        b'{"cls": 0, "cname": "rose red", "filename": "a.jpg", "n": 1.5}',
        b'{"filename": "b.jpg", "n": null}',
    ] == [each["json"] for each in samples.values()]


def test_labels_that_are_in_no_table(tmp_path: Path) -> None:
    """With too many classes for a table, the rows have the labels themselves, and the names."""
    files = [
        File(b"a.jpg", 123_456, row=b'"cname": "x"'),
        File(b"b.jpg", 7, row=b'"cname": "y"'),
        File(b"c.jpg", -1, row=b'"n": 1'),
    ]
    _, samples = stored(listing_of(tmp_path / "raw", files, classes=(), has_row_labels=True), "table")
    assert [
        {"cls": b"123456", "jpg": JPEG, "json": b'{"cls": 123456, "cname": "x"}'},
        {"cls": b"7", "jpg": JPEG, "json": b'{"cls": 7, "cname": "y"}'},
        {"jpg": JPEG, "json": b'{"n": 1}'},
    ] == [*samples.values()]


def test_broken_images(tmp_path: Path) -> None:
    """They are left out and named; kept and named; or the first one stops the run."""
    listing = listing_of(tmp_path / "raw", [File(b"a.jpg"), File(b"b.jpg", data=JPEG[:-40]), File(b"c.jpg")])
    record, samples = stored(listing)
    assert ((1,), ["k00", "k02"]) == (record.left_out, [*samples])
    [problem] = record.problems
    assert (Kind.BAD_IMAGE, "k01", False) == (problem.kind, problem.key, problem.kept)
    assert problem.path.endswith("/b.jpg")
    record, samples = stored(listing, on_bad="keep")
    assert ((), JPEG[:-40], True) == (record.left_out, samples["k01"]["jpg"], record.problems[0].kept)
    with pytest.raises(SourceError, match=r"b\.jpg: .*on_bad fail"):
        stored(listing, on_bad="fail")


@pytest.mark.parametrize("damage", ["image", "side"])
def test_files_that_have_changed(tmp_path: Path, damage: str) -> None:
    """A file that has grown since the scan leaves its sample out, and nothing of the sample is in the shard."""
    listing = listing_of(
        tmp_path / "raw", [File(b"a.jpg", 0, sides={"txt": b"t"}), File(b"b.jpg", 0, sides={"txt": b"t"})]
    )
    with (tmp_path / "raw" / ("a.jpg" if damage == "image" else "a.txt")).open("ab") as file:
        file.write(b"more")
    record, samples = stored(listing)
    assert ((0,), ["k01"], [Kind.CHANGED]) == (record.left_out, [*samples], [each.kind for each in record.problems])


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG"])
def test_formats_and_fields(tmp_path: Path, form: str) -> None:
    """Bytes of another format than that of the field are a notice, and are stored as they are."""
    field = {"TIFF": "tif", "JPEG": "jpg"}.get(form, form.lower())
    image = picture(form)
    files = [File(b"a." + field.encode(), data=image), File(b"b.jp2", data=image)]
    record, samples = stored(listing_of(tmp_path / "raw", files))
    assert (image, [field, "json"]) == (samples["k00"][field], [*samples["k00"]])
    name = {**WRITTEN, "JPEG": "JPEG"}[form]
    assert [(Kind.OTHER_FORMAT, "k01", f"{name}, in the field jp2")] == [
        (each.kind, each.key, each.detail) for each in record.problems
    ]


def test_one_field_for_all_images(tmp_path: Path) -> None:
    """With --image-field a PNG in the field jpg was asked for, and is no problem; one that is named .jpg is still."""
    png = picture("PNG")
    listing = listing_of(tmp_path / "raw", [File(b"a.jpg"), File(b"b.png", data=png), File(b"c.jpg", data=png)])
    for field in ("jpg", "picture"):
        record, samples = stored(listing, image_field=field)
        assert [[field, "json"]] * 3 == [[*each] for each in samples.values()]
        assert [("k02", f"PNG, in the field {field}")] == [(each.key, each.detail) for each in record.problems]


def test_cmyk_is_worth_knowing(tmp_path: Path) -> None:
    """As in ImageNet's sets."""
    record, _ = stored(listing_of(tmp_path / "raw", [File(b"a.jpg", data=picture(mode="CMYK"))]))
    assert [Kind.CMYK] == [each.kind for each in record.problems]


def test_fields_of_the_set(tmp_path: Path) -> None:
    """Before anything is written it is known which fields there are, and which of them all samples have."""
    files = [File(b"a.jpg", 0, sides={"txt": b"", "mask": b""}), File(b"b.jpeg", 0, sides={"txt": b"", "json": b"{}"})]
    listing = listing_of(tmp_path / "raw", files)
    sides = (("txt", True), ("mask", False), ("json", True))
    assert (("cls", True), ("jpg", True), *sides) == FORMS["folders"].fields_of(listing, None)
    listing = listing_of(tmp_path / "raw", [File(b"a.jpg"), File(b"b.PNG")])
    assert (("jpg", False), ("png", False), ("json", True)) == FORMS["folders"].fields_of(listing, None)
    assert (("img", True), ("json", True)) == FORMS["folders"].fields_of(listing, "img")


def test_files_that_no_header_holds(tmp_path: Path) -> None:
    """They are refused before anything is written, a side file too."""
    listing = listing_of(tmp_path / "raw", [File(b"a.jpg", sides={"txt": b""})])
    listing.part("txt").size[0] = ustar.SIZE_LIMIT_BYTES
    with pytest.raises(PlanError, match=r"a\.txt has 8,589,934,592 bytes"):
        FORMS["folders"].sample_bytes(listing)


def test_each_ending_has_a_field_with_a_format() -> None:
    """And no format is of a field that no ending has."""
    assert FORMATS.keys() == set(FIELDS.values())
    assert {ending for ending in FIELDS if ending != ending.lower() or not ending.startswith(".")} == set()
