"""What a file under an image's name holds, from its bytes alone: nothing is decoded.

The walk over a JPEG's markers follows ITU-T T.81, annex B: each is FF and a code, and those before the image data have
a length of two bytes, big-endian, which counts itself.
"""

from __future__ import annotations

import re
import struct

from parallel_sharder.model import Kind

_OTHER_FORMATS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8",
    "BMP": rb"BM",
    "WebP": rb"RIFF.{4}WEBP",  # RIFF holds sound and film too
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb".{4}ftyp(?:.{4})*?avi[fs]",  # ftyp lists the formats of a file, and film has it too
    "HEIF": rb".{4}ftyp(?:.{4})*?(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1)",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",  # in boxes, or the codestream alone
    "JPEG XL": rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",  # likewise
    "JPEG XR": rb"II\xbc",
    "PSD": rb"8BPS\0",
    "ICO": rb"\0\0[\x01\x02]\0[^\0]\0",
    "PNM": rb"P[1-6]\s+[0-9#]|P7\n",
    "QOI": rb"qoif",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "Radiance HDR": rb"#\?(?:RADIANCE|RGBE)\n",
    "DDS": rb"DDS ",
    "PCX": rb"\n[\x00\x02-\x05]\x01[\x01\x02\x04\x08]",
    "SGI": rb"\x01\xda[\x00\x01][\x01\x02]",
    "Sun raster": rb"\x59\xa6\x6a\x95",
}
"""How files of other formats begin that image libraries (Pillow, OpenCV) read under any name; the real set has one PNG.

AVIF comes before HEIF, because its files are of both. Sources: each format's specification; of AVIF and HEIF the brands
in ISO/IEC 23008-12 and in AV1 Image File Format.
"""

_MAGIC_BYTES = 64
"""Of a file, to look for them: more would find what is behind the list of formats in ftyp."""

_START = b"\xff\xd8"
_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables and a reserved code lie between them
_JPEG_SIZE = struct.Struct(">HH")
_HEAD_BYTES = 26
_SIZES = (
    (b"\x89PNG\r\n\x1a\n", struct.Struct(">II"), 16),
    (b"GIF8", struct.Struct("<HH"), 6),
    (b"BM", struct.Struct("<ii"), 18),
)
"""First bytes of other formats, and how and where width and height stand in their first 26."""

_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))


def examine(data: memoryview) -> tuple[Kind, str] | None:
    """What is the matter with an image file's bytes, or None.

    BAD_IMAGE for an empty file, one that is no image, and a JPEG without end marker (bytes behind it do no harm).
    OTHER_FORMAT and CMYK are worth knowing, and no fault.
    """
    if data[:2] != _START:
        if not data:
            return Kind.BAD_IMAGE, "an empty file"
        head = bytes(data[:_MAGIC_BYTES])
        name = next((name for name, magic in _OTHER_FORMATS.items() if re.match(magic, head, re.DOTALL)), None)
        return (Kind.OTHER_FORMAT, name) if name else (Kind.BAD_IMAGE, "not an image: no image format begins so")
    frame, scan = _walk(data)
    components = data[frame + 9] if frame else 0
    # A thumbnail within the header has an end marker too, so only what follows the start of the scan counts.
    if data[-2:] != _END and _END not in bytes(data[scan:]):
        return Kind.BAD_IMAGE, "a JPEG that is cut off: it has no end marker"
    return (Kind.CMYK, "four colour components") if components == 4 else None


def size_of(data: memoryview) -> tuple[int, int] | None:
    """Width and height in pixels, from the header of a JPEG, PNG, GIF or BMP; None for anything else.

    Sources: ITU-T T.81 B.2.2 (frame header); the PNG specification, 11.2.2 (IHDR); GIF89a, 18; BITMAPINFOHEADER.
    """
    width = height = 0
    if data[:2] == _START:
        frame, _ = _walk(data)
        if frame:
            height, width = _JPEG_SIZE.unpack_from(data, frame + 5)
    else:
        head = bytes(data[:_HEAD_BYTES])
        for magic, form, offset in _SIZES:
            if head.startswith(magic) and len(head) == _HEAD_BYTES:
                width, height = form.unpack_from(head, offset)
    height = abs(height)  # a BMP's is negative if the first row is the top one
    return (width, height) if 0 < width < 10**9 and 0 < height < 10**9 else None


def _walk(data: memoryview) -> tuple[int, int]:
    """Where the frame header's marker is (0 if there is none), and where the first scan starts (or the end)."""
    position, end, frame = 2, len(data), 0
    while position + 4 <= end and data[position] == 0xFF:
        code = data[position + 1]
        if code == 0xFF or code in _WITHOUT_LENGTH:  # fill byte, or a marker that stands alone
            position += 1 if code == 0xFF else 2
            continue
        if code == _START_OF_SCAN:
            return frame, position
        if code in _FRAME_HEADERS and position + 9 < end:
            frame = position
        position += 2 + (data[position + 2] << 8 | data[position + 3])
    return frame, end
