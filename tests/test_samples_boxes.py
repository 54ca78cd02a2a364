"""The boxes form: its shape, what is mended and counted, sizes from the image's header, and the whole way."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parallel_sharder import Options, Report, VerifyOptions, convert, verify_shards
from parallel_sharder.catalog.manifest import signed
from parallel_sharder.cli.main import main
from parallel_sharder.errors import OptionsError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass
from parallel_sharder.samples import annotation
from parallel_sharder.samples.boxes import BoxesForm, boxes_json, unannotated_json
from parallel_sharder.samples.image import dimensions
from parallel_sharder.samples.mended import Mended
from parallel_sharder.samples.shapes import Shapes
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.verify.json_form import expected_boxes, fault_in_form
from tests import made
from tests.reference import members_of
from tests.test_bad import picture, with_thumbnail
from tests.test_convert import digests, shards_in
from tests.test_samples_annotation import elements

TENCH = ImageClass(449, "tench, Tinca tinca", "n01440764")
LABELS = {"n01440764": 449, "n02012849": 429}
KEY = "n01440764_36"


def xml(*boxes: tuple[int, int, int, int], replacing: tuple[str, str] = ("", "")) -> bytes:
    return made.annotation_xml("n01440764", KEY, (500, 375), boxes).replace(*replacing).encode()


def mended(document: bytes) -> tuple[dict[str, Any], dict[str, int], list[str]]:
    """The JSON of a document, what was mended for it, and the details of what is worth knowing."""
    described = annotation.describe(annotation.parse(document, ""))
    found = boxes_json(f"{KEY}.JPEG", TENCH, described, (60, 40), LABELS)
    counts = {name: count for name, count in zip(Mended._fields, found.mended, strict=True) if count}
    return json.loads(found.contents[0]), counts, [detail for _, detail in found.odd]


def test_one_shape() -> None:
    """An annotated sample and one without have the same fields in the same order, of the same types."""
    described = annotation.describe(annotation.parse(xml((1, 2, 30, 40), (0, 0, 500, 375)), ""))
    assert (
        b'{"cls": 449, "cname": "tench, Tinca tinca", "wnid": "n01440764", "filename": "n01440764_36.JPEG", '
        b'"width": 500, "height": 375, "annotated": true, "boxes": [[1, 2, 30, 40], [0, 0, 500, 375]], '
        b'"names": ["n01440764", "n01440764"], "labels": [449, 449], "truncated": [0, 0], "difficult": [0, 0]}'
    ) == boxes_json(f"{KEY}.JPEG", TENCH, described, (60, 40), LABELS).contents[0]
    assert (
        b'{"cls": 449, "cname": "tench, Tinca tinca", "wnid": "n01440764", "filename": "n01440764_36.JPEG", '
        b'"width": 60, "height": 40, "annotated": false, "boxes": [], "names": [], "labels": [], "truncated": [], '
        b'"difficult": []}'
    ) == unannotated_json(f"{KEY}.JPEG", TENCH, (60, 40))
    assert (
        b'{"filename": "ILSVRC2012_test_1.JPEG", "width": 60, "height": 40, "annotated": false, "boxes": [], '
        b'"names": [], "labels": [], "truncated": [], "difficult": []}'
    ) == unannotated_json("ILSVRC2012_test_1.JPEG", None, (60, 40))


WHOLE = [[1, 2, 30, 40]]


@pytest.mark.parametrize(
    ("document", "boxes", "counts"),
    [
        (xml((1, 2, 30, 40)), WHOLE, {}),
        (xml((30, 2, 1, 40)), WHOLE, {"swapped": 1}),
        (xml((30, 40, 1, 2)), WHOLE, {"swapped": 1}),
        (xml((-1, 2, 511, 40)), [[0, 2, 500, 40]], {"clamped": 1}),
        (xml((-1, 2, 99_999_999_999, 40)), [[0, 2, 500, 40]], {"clamped": 1}),
        (xml((1, 2, 30, 40), replacing=("<xmin>1<", "<xmin>.9<")), WHOLE, {}),
        (xml((1, 2, 30, 40), replacing=(KEY, "50%off")), WHOLE, {}),
        (xml((511, 400, -1, 2)), [[0, 2, 500, 375]], {"swapped": 1, "clamped": 1}),
        (xml((1, 2, 1, 40), (1, 2, 30, 40)), WHOLE, {"dropped": 1}),
        (xml((500, 2, 600, 40)), [], {"dropped": 1}),
        (xml((9, -9, 20, 0)), [], {"dropped": 1}),
        (xml((1, 2, 30, 40), replacing=("<xmin>1</xmin>", "")), [], {"dropped": 1}),
        (xml((1, 2, 30, 40), replacing=("<xmin>1<", "<xmin>one<")), [], {"dropped": 1}),
        (xml((1, 2, 30, 40), replacing=("<xmin>1<", "<xmin>1e0<")), [], {"dropped": 1}),
        (xml((1, 2, 30, 40), replacing=("<xmin>1<", "<xmin>0.8<")), WHOLE, {}),
        (xml((1, 2, 30, 40), replacing=("<name>n01440764", "<name>Border_collie")), WHOLE, {"names": 1}),
        (xml((1, 2, 30, 40), replacing=("<name>n01440764</name>", "")), WHOLE, {"names": 1}),
        (xml((1, 2, 30, 40), replacing=(KEY, "%s")), WHOLE, {"filenames": 1}),
        (xml((1, 2, 30, 40), replacing=("<folder>n", "<folder>")), WHOLE, {"folders": 1}),
        (xml((1, 2, 30, 99), replacing=("<width>500", "<width>0")), [[1, 2, 30, 40]], {"sizes": 1, "clamped": 1}),
        (xml(), [], {}),
        (b"<annotation><object/><object>text</object></annotation>", [], {"sizes": 1, "dropped": 2}),
    ],
)
def test_defects_are_mended_and_counted(document: bytes, boxes: list[list[int]], counts: dict[str, int]) -> None:
    """Each defect of the real set, and what else can be there, gives sound boxes of its class, and is counted."""
    content, found, _ = mended(document)
    assert (boxes, counts) == (content["boxes"], found)
    assert ["n01440764"] * len(boxes) == content["names"]
    assert (KEY + ".JPEG", TENCH.id, True) == (content["filename"], content["wnid"], content["annotated"])
    assert ([60, 40] if "sizes" in counts else [500, 375]) == [content["width"], content["height"]]


def test_flags_and_other_classes() -> None:
    """Flags are 0 and 1; an object of another class has that one's label, and one of no class of the set -1."""
    document = xml((1, 2, 30, 40), (2, 3, 31, 41), replacing=("<truncated>0", "<truncated>1"))
    document = document.replace(b"<name>n01440764", b"<name>n02012849", 1).replace(b"<name>n0144", b"<name>n9944", 1)
    content, counts, _ = mended(document.replace(b"<difficult>0", b"<difficult>1", 1))
    assert {} == counts
    assert (["n02012849", "n99440764"], [429, -1]) == (content["names"], content["labels"])
    assert ([1, 1], [1, 0]) == (content["truncated"], content["difficult"])


def test_what_is_mended_is_told() -> None:
    """The detail has the box as it was, the image's size, and what was done."""
    _, _, details = mended(xml((511, 2, 5, 40), (1, 1, 1, 1), replacing=(KEY, "other_1")))
    assert [
        "it names other_1",
        "xmin, ymin, xmax, ymax [511, 2, 5, 40] in 500 x 375: swapped and clamped",
        "xmin, ymin, xmax, ymax [1, 1, 1, 1] in 500 x 375: dropped",
    ] == details


CLASSES = {449: ("n01440764", TENCH.name), 429: ("n02012849", "crane")}

NUMBERS = st.integers(-20, 600).map(str) | st.sampled_from(["", "1e9", "999999999", "9.9", "-0.6", "+7", "\u0663", "x"])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Annotations with whatever numbers, names and gaps."""

    def tag(name: str, content: st.SearchStrategy[str]) -> str:
        return "" if not draw(st.integers(0, 20)) else f"<{name}>{draw(content)}</{name}>"

    names = st.sampled_from(["n01440764", "n02012849", "n00000001", "Chihuahua", "", "01440764", "%s", KEY])
    objects = "".join(
        "<object>"
        + tag("name", names)
        + tag("truncated", st.sampled_from(["0", "1", "2"]))
        + f"<bndbox>{''.join(tag(side, NUMBERS) for side in ('xmin', 'ymin', 'xmax', 'ymax'))}</bndbox></object>"
        for _ in range(draw(st.integers(0, 4)))
    )
    size = f"<size>{tag('width', NUMBERS)}{tag('height', NUMBERS)}</size>"
    return f"<annotation>{tag('folder', names)}{tag('filename', names)}{size}{objects}</annotation>".encode()


@given(documents() | elements().map(lambda text: f"<annotation>{text}</annotation>".encode()))
def test_any_annotation_has_the_form(document: bytes) -> None:
    """Whatever is in it: the witness makes the same and finds no fault, and it is within the plan's bound."""
    parsed = annotation.parse(document, "")
    text = boxes_json(f"{KEY}.JPEG", TENCH, annotation.describe(parsed), (60, 40), LABELS).contents[0]
    content = json.loads(text)
    assert json.dumps(content).encode() == text
    assert expected_boxes(TENCH, parsed, (60, 40), LABELS, f"{KEY}.JPEG") == content
    assert "" == fault_in_form(KEY, content, "boxes", CLASSES, "skip")
    json_field = BoxesForm().fields(has_classes=True)[-1]
    assert len(text) <= json_field.class_bytes(TENCH, len(KEY)) + json_field.times * len(document)


@given(st.lists(documents(), min_size=1, max_size=4))
def test_shapes_describe_alike(some: list[bytes]) -> None:
    """What is read through a shape is what the parsed document says, and what is new is learned."""
    shapes = Shapes()
    for document in (*some, *some):
        found = shapes.describe(document)
        assert found is None or annotation.describe(annotation.parse(document, "")) == found
    usual = xml((1, 2, 30, 40))
    shapes.describe(usual)
    assert annotation.describe(annotation.parse(usual, "")) == shapes.describe(usual)


@pytest.mark.parametrize(
    "data",
    [
        *(picture(), picture(progressive=True), picture(mode="L"), picture(mode="CMYK"), with_thumbnail()),
        *(picture("PNG"), picture("GIF", "P"), picture("BMP")),
    ],
)
def test_sizes_from_headers(data: bytes) -> None:
    """Width and height as Pillow has them, of the image and not of its thumbnail, without decoding."""
    assert (90, 60) == dimensions(memoryview(data))


@given(st.sampled_from([b"", b"\xff\xd8", b"BM", b"GIF8", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=60))
def test_any_bytes_are_measured(head: bytes, data: bytes) -> None:
    """Whatever the bytes are, there is a size above 0 or none."""
    size = dimensions(memoryview(head + data))
    assert size is None or min(size) > 0


# The whole way.


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set with images of several sizes, annotated or not, with defects, and broken ones."""
    root = tmp_path_factory.mktemp("raw")
    some = made.classic_train(root, images=60)
    draw = random.Random(1)
    for path in sorted(root.rglob("*.JPEG")):
        data = io.BytesIO()
        Image.effect_noise((draw.randint(30, 90), draw.randint(30, 90)), 50).save(data, "JPEG")
        path.write_bytes(data.getvalue())
        document = path.with_suffix(".xml")
        if document.exists() and draw.random() < 0.5:
            text = document.read_text().replace("<xmin>", "<xmin>9")
            document.write_text(text.replace("<name>n", "<name>dog ").replace("<folder>n", "<folder>"))
    wnid = made.WNIDS[0]
    for number, image in enumerate(
        (picture("PNG"), picture("WEBP"), picture()[:-2], b"no image", b"\xff\xd8\xff\xe0\0\x04ab\xff\xd9", large()),
        300_001,
    ):
        some.image(f"train/{wnid}", f"{wnid}_{number}", wnid).write_bytes(image)
    return root


def large() -> bytes:
    """An image that is larger than the writer's buffer."""
    return picture() + bytes(3_000_000)


def run(raw: Path, out: Path, **choices: Any) -> Report:
    return convert(Options(root=raw, dest=str(out), **{"annotations": "boxes", "workers": 0, "shards": 3, **choices}))


def jsons(out: Path) -> dict[str, dict[str, Any]]:
    members = members_of(sorted(out.glob("*.tar")))
    return {name: json.loads(data) for name, data in members.items() if name.endswith(".json")}


CLASSES_OF_MADE = {label: (wnid, made.NAMES[wnid]) for wnid, label in ilsvrc_ids().items()}


def test_conversion(raw: Path, tmp_path: Path) -> None:
    """Sizes without annotation are the file's; what has none is broken; counts are in summary and manifest."""
    report = run(raw, tmp_path)
    found = jsons(tmp_path)
    assert (62, 4) == (len(found), report.left_out)
    for content in found.values():
        assert "" == fault_in_form(content["filename"].removesuffix(".JPEG"), content, "boxes", CLASSES_OF_MADE, "skip")
        size = (500, 375)
        if not content["annotated"]:
            with Image.open(raw / "train" / content["wnid"] / content["filename"]) as image:
                size = image.size
        assert size == (content["width"], content["height"])
    assert {
        "a JPEG that is cut off: it has no end marker",
        "a JPEG without image data: its header does not lead to a scan",
        "not an image: no image format begins so",
        "its width and height cannot be found in its header",
    } == {problem.detail for problem in report.problems if problem.leaves_out_sample}
    total = json.loads((tmp_path / "imagenet_train.json").read_text())["mended"]
    assert total == {**Mended()._asdict(), **report.mended}
    assert min(report.mended[name] for name in ("clamped", "names", "folders")) > 3
    assert f"{report.mended['clamped']:,} boxes clamped, " in report.text()
    verdict = verify_shards(VerifyOptions(dest=tmp_path, source=raw, workers=0))
    assert ((), 62) == (verdict.deviations, verdict.compared)


def test_broken_images_that_are_kept(raw: Path, tmp_path: Path) -> None:
    """A cut image has the size that its header tells; what has no header is 0 by 0."""
    report = run(raw, tmp_path, on_bad="keep")
    found = jsons(tmp_path)
    assert (66, 0) == (len(found), report.left_out)
    assert 4 == len([problem for problem in report.problems if problem.kept])
    sizes = [
        (content["width"], content["height"])
        for number in (300_002, 300_003, 300_004, 300_005)
        for content in [found[f"{made.WNIDS[0]}_{number}.json"]]
    ]
    assert [(0, 0), (90, 60), (0, 0), (0, 0)] == sizes
    verdict = verify_shards(VerifyOptions(dest=tmp_path, source=raw, workers=0))
    assert () == verdict.deviations


@pytest.mark.parametrize("choices", [{"workers": 2}, {"shards": 7, "workers": 2, "dest_suffix": ".tgz"}])
def test_same_bytes(raw: Path, tmp_path: Path, choices: dict[str, Any]) -> None:
    """With workers as without, resumed as at once, in compressed shards the same members."""
    suffix = choices.pop("dest_suffix", ".tar")
    for folder, more in (("a", {}), ("b", choices), ("b", choices)):
        (tmp_path / folder).mkdir(exist_ok=True)
        run(raw, tmp_path / folder / f"x-%02d{suffix}", **{**choices, "workers": 0, **more})
        if folder == "b" and (tmp_path / "b" / f"x-01{suffix}").exists():
            (tmp_path / "b" / f"x-01{suffix}").unlink()
    run(raw, tmp_path / "b" / f"x-%02d{suffix}", **choices)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    run(raw, tmp_path / "c")
    assert members_of(shards_in(tmp_path / "c")) == members_of(shards_in(tmp_path / "a"))


def test_none(raw: Path, tmp_path: Path) -> None:
    """Without annotations each JSON has label and words alone, and annotations are not even read."""
    for path in raw.rglob("*.xml"):
        path.chmod(0)
    report = run(raw, tmp_path, annotations="none")
    assert ("annotations", "not wanted") in report.found
    for content in jsons(tmp_path).values():
        assert ["cls", "cname"] == [*content]
    for path in raw.rglob("*.xml"):
        path.chmod(0o644)
    verdict = verify_shards(VerifyOptions(dest=tmp_path, source=raw, workers=0))
    assert ((), report.samples) == (verdict.deviations, verdict.compared)
    with pytest.raises(
        OptionsError, match="xml_root names the annotations' folder, and annotations none reads no annotations"
    ):
        Options(annotations="none", xml_root=raw)
    with pytest.raises(OptionsError, match="annotations 'coco' is not one of original, boxes, none"):
        Options(annotations="coco")  # type: ignore[arg-type]


def test_refuses_to_mix_forms(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The form is one of the choices that a set is made with."""
    run(raw, tmp_path)
    assert 1 == main(["--root", str(raw), "--dest", str(tmp_path), "--shards", "3", "--workers", "0", "--quiet"])
    assert "annotations: boxes, now original" in capsys.readouterr().err


def test_test_split(tmp_path: Path) -> None:
    """Without classes there are no fields of a class."""
    made.kaggle(tmp_path / "raw")
    for path in (tmp_path / "raw").rglob("*.JPEG"):
        path.write_bytes(picture())
    out = tmp_path / "out"
    run(tmp_path / "raw", out, split="test", shards=1, annotations="boxes")
    content = next(iter(jsons(out).values()))
    assert ["filename", "width", "height", "annotated", "boxes"] == [*content][:5]
    assert "" == fault_in_form(content["filename"].removesuffix(".JPEG"), content, "boxes", {}, "skip")
    assert () == verify_shards(VerifyOptions(dest=out, source=tmp_path / "raw", workers=0)).deviations


def test_real_samples(real_imagenet: Path, tmp_path: Path) -> None:
    """The real set's dogs are named by their wnid, its box past the image is clamped, and all of it verifies."""
    for path in sorted((real_imagenet / "xml-samples").rglob("*.xml")):
        described = annotation.describe(annotation.parse(path.read_bytes(), str(path)))
        wnid = described.objects[0].name or ""
        wnid = wnid if wnid in ilsvrc_ids() else path.stem.partition("_")[0]
        found = boxes_json(f"{path.stem}.JPEG", ImageClass(1, "", wnid), described, (0, 0), {wnid: 1})
        content = json.loads(found.contents[0])
        assert {(wnid, 1)} >= {*zip(content["names"], content["labels"], strict=True)}
        assert len(described.objects) == len(content["boxes"]) + Mended(*found.mended).dropped
        assert not [kind for kind, _ in found.odd if kind is Kind.OTHER_NAME]
    for split in ("train", "val"):
        report = run(real_imagenet, tmp_path, split=split)
        assert {Kind.ORPHAN_XML, Kind.EMPTY_CLASS} == {problem.kind for problem in report.problems}
    assert () == verify_shards(VerifyOptions(dest=tmp_path, source=real_imagenet, workers=0)).deviations


def test_verify_looks_at_the_form(raw: Path, tmp_path: Path) -> None:
    """A sample of one form in a set of another is named."""
    run(raw, tmp_path, annotations="none")
    manifest = json.loads((tmp_path / "imagenet_train.json").read_text())
    manifest["options"]["annotations"] = "boxes"
    (tmp_path / "imagenet_train.json").write_bytes(signed(manifest))
    deviations = verify_shards(VerifyOptions(dest=tmp_path, workers=0)).deviations
    details = [each.detail for each in deviations]
    assert 63 == len([each for each in details if "does not have the fields cls, cname, wnid, filename, width" in each])
