"""Broken input: what is found without decoding, what becomes of it, and that it costs neither time nor memory."""

from __future__ import annotations

import io
import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parallel_sharder import Options, Report, convert
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.samples.image import examine
from tests import made
from tests.reference import members_of


def picture(image_format: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    data = io.BytesIO()
    Image.effect_noise((90, 60), 50).convert(mode).save(data, image_format, **options)
    return data.getvalue()


def with_thumbnail() -> bytes:
    """A JPEG whose header holds a whole smaller one, as cameras write it."""
    thumbnail = picture(quality=5)
    segment = b"Exif\0\0" + thumbnail
    return b"\xff\xd8\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + picture()[2:]


def _ftyp(*brands: bytes) -> bytes:
    """The first box of an ISO media file, of these brands, and the next one."""
    box = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(box) + 4).to_bytes(4, "big") + box + bytes(80)


GOOD = [picture(), picture(progressive=True), picture(mode="L"), with_thumbnail(), picture() + b"trailing bytes"]


@pytest.mark.parametrize("data", GOOD)
def test_good_images(data: bytes) -> None:
    """Baseline, progressive and grey JPEGs, one with a thumbnail, and one with bytes behind its end are fine."""
    assert examine(memoryview(data)) is None


@pytest.mark.parametrize("data", GOOD)
@given(share=st.floats(0, 0.999))
def test_cut_images(data: bytes, share: float) -> None:
    """A JPEG that is cut anywhere before its end marker is found, its thumbnail's end marker notwithstanding."""
    end = data.rindex(b"\xff\xd9") + 2
    found = examine(memoryview(data)[: int(share * end)])
    assert found is not None
    assert Kind.BAD_IMAGE is found[0]


@pytest.mark.parametrize(
    ("data", "kind", "detail"),
    [
        (b"", Kind.BAD_IMAGE, "an empty file"),
        (b"<html>404</html>", Kind.BAD_IMAGE, "not an image"),
        (bytes(5000), Kind.BAD_IMAGE, "not an image"),
        (b"\xff", Kind.BAD_IMAGE, "not an image"),
        (b"\xff\xd8", Kind.BAD_IMAGE, "no end marker"),
        (picture("PNG"), Kind.OTHER_FORMAT, "PNG"),
        (picture("GIF", "P"), Kind.OTHER_FORMAT, "GIF"),
        (picture("BMP"), Kind.OTHER_FORMAT, "BMP"),
        (picture("WEBP"), Kind.OTHER_FORMAT, "WebP"),
        (picture("TIFF"), Kind.OTHER_FORMAT, "TIFF"),
        (picture("TIFF", big_tiff=True), Kind.OTHER_FORMAT, "TIFF"),
        (picture("AVIF"), Kind.OTHER_FORMAT, "AVIF"),
        (_ftyp(b"mif1", b"mif1", b"avif", b"miaf"), Kind.OTHER_FORMAT, "AVIF"),
        (_ftyp(b"heic", b"mif1", b"heic"), Kind.OTHER_FORMAT, "HEIF"),
        (_ftyp(b"mif1", b"mif1", b"heic"), Kind.OTHER_FORMAT, "HEIF"),
        (_ftyp(b"isom", b"isom", b"avc1", b"mp41"), Kind.BAD_IMAGE, "not an image"),
        (_ftyp(b"qt  "), Kind.BAD_IMAGE, "not an image"),
        (b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(40), Kind.BAD_IMAGE, "not an image"),
        (b"RIFF" + bytes(4) + b"AVI LIST" + bytes(40), Kind.BAD_IMAGE, "not an image"),
        (picture("JPEG2000"), Kind.OTHER_FORMAT, "JPEG 2000"),
        (picture("JPEG2000", no_jp2=True), Kind.OTHER_FORMAT, "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + _ftyp(b"jxl ", b"jxl "), Kind.OTHER_FORMAT, "JPEG XL"),
        (b"\xff\x0a\xfa\x7f\x01", Kind.OTHER_FORMAT, "JPEG XL"),
        (b"II\xbc\x01\x20\0\0\0", Kind.OTHER_FORMAT, "JPEG XR"),
        (b"8BPS\0\1" + bytes(20), Kind.OTHER_FORMAT, "PSD"),
        (picture("ICO"), Kind.OTHER_FORMAT, "ICO"),
        (picture("PPM"), Kind.OTHER_FORMAT, "PNM"),
        (picture("QOI"), Kind.OTHER_FORMAT, "QOI"),
        (picture("DDS"), Kind.OTHER_FORMAT, "DDS"),
        (picture("PCX"), Kind.OTHER_FORMAT, "PCX"),
        (picture("SGI"), Kind.OTHER_FORMAT, "SGI"),
        (b"\x76\x2f\x31\x01\2\0\0\0", Kind.OTHER_FORMAT, "OpenEXR"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", Kind.OTHER_FORMAT, "Radiance HDR"),
        (b"\x59\xa6\x6a\x95" + bytes(28), Kind.OTHER_FORMAT, "Sun raster"),
        (b"%PDF-1.7\n", Kind.BAD_IMAGE, "not an image"),
        (b"PK\3\4" + bytes(60), Kind.BAD_IMAGE, "not an image"),
        (picture(mode="CMYK"), Kind.CMYK, "four colour components"),
    ],
)
def test_images_with_something_to_tell(data: bytes, kind: Kind, detail: str) -> None:
    """Broken files by their fault, other formats by their name, CMYK by its components."""
    found = examine(memoryview(data))
    assert found is not None
    assert kind is found[0]
    assert found[1].startswith(detail) or kind is Kind.BAD_IMAGE
    assert detail in found[1]


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"\xff\xd8\xff" + data))
def test_any_bytes_are_examined(data: bytes) -> None:
    """Whatever a file holds, looking at it ends without an error."""
    examine(memoryview(data))


def test_real_images(real_imagenet: Path) -> None:
    """No real image here is taken for broken."""
    paths = list(real_imagenet.glob("*/*/*.JPEG"))
    assert len(paths) == 126
    for path in paths:
        found = examine(memoryview(path.read_bytes()))
        assert found is None or found[0] is not Kind.BAD_IMAGE, path


@pytest.fixture
def broken(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A set with two broken images and one broken annotation, some oddities, and 34 sound samples."""
    expected = made.classic_train(tmp_path / "raw", images=40, annotated=0)
    keys = sorted(expected.wnids)

    def image(number: int, data: bytes) -> None:
        key = keys[number]
        (tmp_path / "raw" / "train" / expected.wnids[key] / f"{key}.JPEG").write_bytes(data)

    image(0, b"")
    image(1, picture()[:-200])
    expected.xml(f"train/{expected.wnids[keys[2]]}", keys[2]).write_text("<annotation>")
    image(3, picture("PNG"))
    image(4, picture(mode="CMYK"))
    other = expected.xml(f"train/{expected.wnids[keys[5]]}", keys[5])
    other.write_text(made.annotation_xml("n00000000", "n00000000_1", (90, 60), [(0, 0, 91, 60)]))
    return tmp_path / "raw", dict(
        zip(keys, ("bad-image", "bad-image", "bad-annotation", "other-format", "cmyk"), strict=False)
    )


def run(root: Path, **choices: Any) -> Report:
    return convert(Options(root=root, dest=str(root.parent / "out"), workers=2, shards=3, **choices))


def stored(root: Path) -> dict[str, bytes]:
    return members_of(sorted((root.parent / "out").glob("*.tar")))


def listed(root: Path) -> list[dict[str, Any]]:
    lines = (root.parent / "out" / "imagenet_train.problems.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_skip_leaves_out_and_lists(broken: tuple[Path, dict[str, str]]) -> None:
    """By default broken samples are left out, oddities stored, and all of them listed with path, key, kind, detail."""
    root, kinds = broken
    report = run(root)
    assert (37, 3, 3) == (report.samples, report.left_out, report.exit_code)
    bad = {key for key, kind in kinds.items() if kind.startswith("bad")}
    assert not bad & {name.split(".")[0] for name in stored(root)}
    entries = listed(root)
    assert kinds.items() <= {entry["key"]: entry["kind"] for entry in entries}.items()
    assert {"other-name", "bad-box"} == {entry["kind"] for entry in entries if entry["key"] not in kinds}
    assert bad == {entry["key"] for entry in entries if entry["left_out"]}
    assert all(Path(entry["path"]).is_file() and entry["detail"] for entry in entries)
    assert "problems  7, listed in" in report.text()


def test_keep_stores_what_is_there(broken: tuple[Path, dict[str, str]]) -> None:
    """Broken images are stored as they are, a broken annotation gives cls and cname alone, and the run ends with 0."""
    root, kinds = broken
    report = run(root, on_bad="keep")
    assert (40, 0, 0) == (report.samples, report.left_out, report.exit_code)
    members = stored(root)
    for key, kind in kinds.items():
        [path] = root.glob(f"train/*/{key}.JPEG")
        assert path.read_bytes() == members[f"{key}.jpg"]
        if kind == "bad-annotation":
            assert ["cls", "cname"] == list(json.loads(members[f"{key}.json"]))
    assert kinds.items() <= {entry["key"]: entry["kind"] for entry in listed(root)}.items()
    assert "image is broken, stored all the same: 2" in report.text()


def test_fail_stops_at_the_first(broken: tuple[Path, dict[str, str]]) -> None:
    """The run ends with an error that names the file, and a status of 1; nothing is published as a set."""
    root, _ = broken
    with pytest.raises(SourceError, match=r"train/.*: (an empty file|.*cut off|not well-formed).*\(on_bad fail\)"):
        run(root, on_bad="fail")
    assert not (root.parent / "out" / "imagenet_train.json").exists()


def test_fail_counts_what_the_scan_leaves_out(tmp_path: Path) -> None:
    """An image that the scan leaves out stops such a run before anything is written."""
    made.classic_train(tmp_path / "raw")
    (tmp_path / "raw" / "train" / made.WNIDS[0] / f"{made.WNIDS[1]}_1.JPEG").touch()
    with pytest.raises(SourceError, match="whose name does not fit"):
        run(tmp_path / "raw", on_bad="fail")
    assert not (tmp_path / "out").exists()


def test_no_problems_no_list(tmp_path: Path) -> None:
    """A sound set has no list of problems."""
    made.classic_train(tmp_path / "raw", annotated=0)
    assert () == run(tmp_path / "raw").problems
    assert not list((tmp_path / "out").glob("*.problems.jsonl"))


BOMBS = {
    "entities": b'<!DOCTYPE a [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "&a%d;&a%d;">' % (n + 1, n, n) for n in range(60))
    + b"]><annotation>&a60;</annotation>",
    "nesting": b"<annotation>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</annotation>",
    "defaults": b'<!DOCTYPE a [<!ATTLIST b c CDATA "' + b"x" * 500_000 + b'">]><annotation>' + b"<b/>" * 100_000,
    "size": b"<annotation><a>" + b"x" * 100_000_000 + b"</a></annotation>",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path: Path, bomb: str) -> None:
    """Documents made to exhaust a parser are problems like any other, in bounded memory and time."""
    expected = made.classic_train(tmp_path / "raw", images=5, annotated=0)
    key = min(expected.wnids)
    expected.xml(f"train/{expected.wnids[key]}", key).write_bytes(BOMBS[bomb])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    report = convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0))
    assert [("bad-annotation", key)] == [(problem.kind.value, problem.key) for problem in report.problems]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    assert time.monotonic() - start < 60  # a hang alarm, not a measurement
