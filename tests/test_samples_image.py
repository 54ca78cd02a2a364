"""Images: what the bytes of one say about it being whole, without decoding them."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parallel_sharder.kinds import Kind
from parallel_sharder.samples.image import dimensions, examine
from tests import made
from tests.test_bad import picture, with_thumbnail

BASELINE = picture()
FRAME = BASELINE.index(b"\xff\xc0")
SCAN = BASELINE.index(b"\xff\xda")
MARKERS = b"\xff\xd8\xff\xd9\xff\xda"


def fault_of(data: bytes) -> str:
    """The detail of a BAD_IMAGE; nothing for an image that is stored."""
    found = examine(memoryview(data))
    return found[1] if found is not None and found[0] is Kind.BAD_IMAGE else ""


def segment(code: int, content: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(content) + 2).to_bytes(2) + content


def with_size(width: int, height: int, *, lines: int | None = None) -> bytes:
    """A JPEG whose frame header says that, and if asked a DNL marker behind its scan how many lines there are."""
    data = bytearray(BASELINE)
    data[FRAME + 5 : FRAME + 9] = struct.pack(">HH", height, width)
    return bytes(data) if lines is None else bytes(data[:-2]) + segment(0xDC, lines.to_bytes(2)) + b"\xff\xd9"


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010E] = "a description"
    return found


SOUND = {
    "baseline": BASELINE,
    "grey": picture(mode="L"),
    "progressive": picture(progressive=True),
    "restart markers": picture(restart_marker_blocks=1),
    "progressive with restart markers": picture(progressive=True, restart_marker_rows=1),
    "four colour components": picture(mode="CMYK"),
    "four colour components, progressive": picture(mode="CMYK", progressive=True),
    "tables of its own": picture(optimize=True),
    "poor quality": picture(quality=1),
    "Exif": picture(exif=exif()),
    "a thumbnail": with_thumbnail(),
    "a comment of markers": picture(comment=MARKERS * 99),
    "made for tests": made.image_bytes(random.Random(1), 900),
    "fill bytes": BASELINE.replace(b"\xff\xc4", b"\xff\xff\xff\xc4").replace(b"\xff\xd9", b"\xff\xff\xd9"),
    "a thumbnail, fill bytes behind it": with_thumbnail()[: 2 - len(BASELINE)] + b"\xff\xff" + BASELINE[2:],
    "bytes between two segments": BASELINE[:FRAME] + b"\0\xff\0 \x80" + BASELINE[FRAME:],
    "a comment behind the scan": BASELINE[:-2] + segment(0xFE, MARKERS) + b"\xff\xd9",
}
DEFERRED = with_size(90, 0, lines=60)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("behind", [b"", b"bytes", BASELINE, bytes(20_000), bytes(20_000) + MARKERS])
def test_sound_jpegs(name: str, behind: bytes) -> None:
    """JPEGs as encoders and cameras write them are sound, of the size that they say, whatever is behind their end."""
    data = SOUND[name] + behind
    assert "" == fault_of(data)
    assert (90, 60) == dimensions(memoryview(data))


@pytest.mark.parametrize("behind", [b"", b"bytes", BASELINE, bytes(20_000)])
def test_height_behind_the_first_scan(behind: bytes) -> None:
    """A JPEG whose header leaves the height to a DNL marker is sound; its header has no size."""
    assert "" == fault_of(DEFERRED + behind)
    assert dimensions(memoryview(DEFERRED + behind)) is None


def test_real_images_with_a_whole_one_behind(real_imagenet: Path) -> None:
    """Real images are sound, also with another behind their end; one that ends at a block's end within them is not."""
    paths = sorted(real_imagenet.glob("*/*/*.JPEG"))
    assert 126 == len(paths)
    behind = paths[0].read_bytes()
    for path in paths:
        data = path.read_bytes()
        blocks = (len(data) - 2) // 4096
        assert "" == fault_of(data) == fault_of(data + behind), path
        assert (blocks > 0) == ("another one begins" in fault_of(data[: blocks * 4096] + behind)), path


@pytest.mark.parametrize("name", [name for name in SOUND if "thumbnail" not in name and "comment" not in name])
@pytest.mark.parametrize("behind", [BASELINE, picture(mode="L", progressive=True), with_thumbnail()])
def test_cut_with_a_whole_one_behind(name: str, behind: bytes) -> None:
    """A small JPEG that is cut anywhere in its image data is broken, though another one with an end is behind."""
    data = SOUND[name]
    for end in range(data.index(b"\xff\xda") + 14, len(data) - 2):
        assert "a JPEG that is cut off: another one begins before its end marker" == fault_of(data[:end] + behind), end


def test_cut_in_its_header_with_a_whole_one_behind() -> None:
    """One that is cut in its frame header is broken too, and one that is cut in a table, wherever that shows."""
    assert all(fault_of(BASELINE[:end] + BASELINE) for end in range(FRAME, FRAME + 19))
    assert SCAN - FRAME - 2 == sum(bool(fault_of(BASELINE[:end] + BASELINE)) for end in range(FRAME, SCAN))


@pytest.mark.parametrize(("block", "is_found"), [(4096, True), (5 * 4096, True), (4096 + 1, False)])
def test_large_one_that_is_cut(block: int, is_found: bool) -> None:
    """A large one is found to be cut with a whole one behind where blocks of 4,096 bytes begin, and only there."""
    large = made.image_bytes(random.Random(2), 50_000)
    assert is_found == bool(fault_of(large[:block] + large))


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\xff\xd8", "a JPEG that is cut off: it has no end marker"),
        (BASELINE[:SCAN], "a JPEG that is cut off: it has no end marker"),
        (BASELINE[:-2], "a JPEG that is cut off: it has no end marker"),
        (b"\xff\xd8\xff\xd9", "a JPEG without image data: its header does not lead to a scan"),
        (BASELINE[:SCAN] + b"\xff\xd9", "a JPEG without image data: its header does not lead to a scan"),
        (BASELINE[:2] + BASELINE[-2:] + BASELINE[2:], "a JPEG without image data: its header does not lead to a scan"),
        (BASELINE[:FRAME] + BASELINE[SCAN:], "a JPEG without a frame header, and so without width and height"),
        (BASELINE[:SCAN] + BASELINE[FRAME:], "a JPEG without image data: its header does not lead to a scan"),
        (with_size(0, 0), "a JPEG of 0 x 0 pixels"),
        (with_size(0, 60), "a JPEG of 0 x 60 pixels"),
        (with_size(90, 0), "a JPEG of 90 x 0 pixels"),
        (with_size(90, 0, lines=0), "a JPEG of 90 x 0 pixels"),
        (b"II*", "not an image: no image format begins so"),
        (b"RIFF", "not an image: no image format begins so"),
        (b"GIF8", "not an image: no image format begins so"),
    ],
)
def test_what_cannot_be_whole(data: bytes, detail: str) -> None:
    """JPEGs that lack what every whole one has are broken, and so is what begins as no format does; it is said why."""
    assert detail == fault_of(data)


@pytest.mark.parametrize(
    ("data", "name", "fault"),
    [
        (b"BM", "BMP", "it has 2 bytes, and a header has at least 26"),
        (b"II*\0", "TIFF", "it has 4 bytes, and a header has at least 8"),
        (b"\x89PNG\r\n\x1a\n", "PNG", "it has 8 bytes, and a header has at least 33"),
        (picture("PNG")[:-12], "PNG", "it is cut off, because it has no IEND chunk"),
        (picture("PNG").replace(b"IHDR", b"CgBI"), "PNG", "it does not begin with an IHDR chunk"),
        (picture("PNG").replace(struct.pack(">II", 90, 60), bytes(8)), "PNG", "its size is 0 x 0 pixels"),
        (picture("GIF", "P")[:-1], "GIF", "it is cut off, because it has no trailer"),
        (picture("GIF", "P")[:-500], "GIF", "it is cut off, because it has no trailer"),
        (picture("GIF", "P").replace(struct.pack("<HH", 90, 60), bytes(4), 1), "GIF", "its size is 0 x 0 pixels"),
        (b"GIF89a" + bytes([9, 0, 9, 0, 0, 0, 0]) + b"no block", "GIF", "no block begins as it has it at offset 13"),
        (b"BM" + bytes(60), "BMP", "its header says that it has 0 bytes, which none has"),
        (picture("BMP")[:50], "BMP", "its image data begin at offset 54, and it has 50 bytes"),
        (picture("BMP").replace(struct.pack("<ii", 90, 60), bytes(8)), "BMP", "its size is 0 x 0 pixels"),
        (b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(20), "WebP", "it says that it has 8 bytes, and has 36"),
        (b"RIFF\x1c\0\0\0WEBPmeta" + bytes(20), "WebP", "its first chunk is not VP8, VP8L or VP8X"),
        (b"II*\0\x08\0\0\0" + bytes(20), "TIFF", "its directory is empty"),
        (b"MM\0*\0\0\x01\0" + bytes(20), "TIFF", "its directory begins at offset 256, and it has 28 bytes"),
        (b"II*\0\x08\0\0\0\x09\0" + bytes(20), "TIFF", "its directory ends at offset 118, and it has 30 bytes"),
        (b"II+\0\x08\0\0\0" + bytes(20), "TIFF", "its directory begins at offset 0, and it has 28 bytes"),
        (picture("AVIF")[:32], "AVIF", "its box ftyp ends at offset 32, and it has 32 bytes"),
        (b"\0\0\0\x08ftypavif" + bytes(80), "AVIF", "it has no box ftyp"),
        (picture("JPEG2000")[:28], "JPEG 2000", "its box ftyp ends at offset 32, and it has 28 bytes"),
        (b"\xff\x4f\xff\x51" + bytes(60), "JPEG 2000", "its size is 0 x 0 pixels"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL", "it has no box ftyp"),
        (picture("QOI")[:4] + bytes(30), "QOI", "its size is 0 x 0 pixels"),
    ],
)
def test_other_formats_that_cannot_be_whole(data: bytes, name: str, fault: str) -> None:
    """Images of other formats are broken if their next fields cannot be, and the detail names format and field."""
    assert f"not a whole {name}: {fault}" == fault_of(data)


@pytest.mark.parametrize(
    "image_format", ["PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM", "QOI", "DDS", "PCX", "SGI"]
)
def test_beginnings_alone_are_no_images(image_format: str) -> None:
    """What has only the first bytes of a format is broken, for each format."""
    data = picture(image_format, "P" if image_format == "GIF" else "RGB")
    assert "" == fault_of(data)
    assert all(fault_of(data[:size]) for size in range(8))


@pytest.mark.parametrize("choices", [{}, {"lossless": True}, {"exif": exif()}])
def test_kinds_of_webp(choices: dict[str, Any]) -> None:
    """Lossy, lossless and extended WebP are known; with a byte missing they are cut off."""
    data = picture("WEBP", **choices)
    assert "" == fault_of(data)
    assert f"it says that it has {len(data):,} bytes, and has {len(data) - 1:,}" in fault_of(data[:-1])


@pytest.mark.parametrize(
    "header", [struct.pack("<IHHHH", 12, 90, 60, 1, 24), struct.pack("<IiiHH", 40, 90, -60, 1, 24).ljust(40, b"\0")]
)
def test_kinds_of_bmp(header: bytes) -> None:
    """A BMP with the old header, and one with its first row on top, have their size."""
    data = b"BM" + struct.pack("<III", 0, 0, 14 + len(header)) + header + bytes(90 * 60 * 3)
    assert (90, 60) == dimensions(memoryview(data))
    assert "" == fault_of(data)


MAGIC = [b"", *(picture(name, "P" if name == "GIF" else "RGB")[:40] for name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"))]


@given(st.sampled_from(MAGIC), st.integers(0, 40), st.binary(max_size=100))
def test_any_bytes_are_looked_at(head: bytes, size: int, data: bytes) -> None:
    """Whatever follows the beginning of an image, looking at it ends without an error, and a size is above 0."""
    examine(memoryview(head[:size] + data))
    found = dimensions(memoryview(head[:size] + data))
    assert found is None or min(found) > 0
