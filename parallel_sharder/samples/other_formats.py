"""Other formats than JPEG: which one a file's bytes begin as, and whether the file can be whole.

These are formats that image libraries (Pillow, OpenCV) read whatever the file's name is. The real set has one PNG.
Bytes come in; the format's name, a fault, or width and height are returned. Nothing is decoded.

Sources: each format's specification; for AVIF and HEIF the brands in ISO/IEC 23008-12 and in AV1 Image File Format.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

ReadSize = Callable[[bytes], tuple[int, int]]
FindFault = Callable[[bytes], str]


def _at(packing: str, offset: int) -> ReadSize:
    """Return a function that reads width and height at this offset of a header."""
    return lambda data: struct.unpack_from(packing, data, offset)


def _rows_first(packing: str, offset: int) -> ReadSize:
    """Return a function that reads height and width at this offset of a header, and returns width and height."""
    return lambda data: struct.unpack_from(packing, data, offset)[::-1]


def _sound(_: bytes) -> str:
    return ""


def _png_fault(data: bytes) -> str:
    if data[12:16] != b"IHDR":
        return "it does not begin with an IHDR chunk"
    return "" if b"IEND\xaeB`\x82" in data else "it is cut off, because it has no IEND chunk"


def _gif_fault(data: bytes) -> str:
    """Return the fault found by following the blocks to the trailer: GIF89a, appendix A."""
    position, end = 13 + _color_bytes(data[10]), len(data)
    while position < end and data[position] != 0x3B:
        if data[position] == 0x2C:  # an image: its descriptor, colours, and the size of its codes
            position += 11 + _color_bytes(data[position : position + 10][-1])
        elif data[position] == 0x21:
            position += 2
        elif data[position]:  # decoders pass over zeros
            return f"no block begins as it has it at offset {position:,}"
        while position < end and data[position]:
            position += 1 + data[position]
        position += 1
    return "" if position < end else "it is cut off, because it has no trailer"


def _color_bytes(packed: int) -> int:
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _bmp_size(data: bytes) -> tuple[int, int]:
    """Return the size in OS/2's old header, of two bytes each, or in a later one: a negative height means top-down."""
    width, height = struct.unpack_from("<HH" if data[14] == 12 else "<ii", data, 18)
    return width, abs(height)


def _bmp_fault(data: bytes) -> str:
    offset, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes not in (12, 16, 40, 52, 56, 64, 108, 124):
        return f"its header says that it has {header_bytes:,} bytes, which none has"
    return "" if offset < len(data) else _beyond("its image data begin", offset, data)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the size of a lossy, a lossless or an extended file: RFC 6386, 9.1, and RFC 9649, 2.7 and 3.4."""
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1


def _webp_fault(data: bytes) -> str:
    if data[12:16] not in (b"VP8 ", b"VP8L", b"VP8X"):
        return "its first chunk is not VP8, VP8L or VP8X"
    size = 8 + int.from_bytes(data[4:8], "little")
    return "" if 20 < size <= len(data) else f"it says that it has {size:,} bytes, and has {len(data):,}"


def _tiff_fault(data: bytes) -> str:
    """Return the fault of the first directory of images: TIFF 6.0, section 2, and BigTIFF, whose numbers are longer."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2] + data[3] == 43
    place, count, entry_bytes = (8, "Q", 20) if is_big else (4, "H", 12)
    [start] = struct.unpack_from(order + ("Q" if is_big else "I"), data.ljust(16, b"\0"), place)
    if not 8 <= start < len(data) - 8:
        return _beyond("its directory begins", start, data)
    [entries] = struct.unpack_from(order + count, data, start)
    if not entries:
        return "its directory is empty"
    end = start + struct.calcsize(count) + entries * entry_bytes
    return "" if end <= len(data) else _beyond("its directory ends", end, data)


def _box_fault(data: bytes) -> str:
    """Return the fault of the box ftyp, which is first or follows a signature, and which other data must follow."""
    start = 0 if data[4:8] == b"ftyp" else 12
    end = start + int.from_bytes(data[start : start + 4], "big")
    if data[start + 4 : start + 8] != b"ftyp" or end < start + 16:
        return "it has no box ftyp"
    return "" if end < len(data) else _beyond("its box ftyp ends", end, data)


def _beyond(what: str, offset: int, data: bytes) -> str:
    return f"{what} at offset {offset:,}, and it has {len(data):,} bytes"


class _Format(NamedTuple):
    """A format: how its files begin, the bytes of its shortest header, and what finds a fault and the size."""

    name: str
    magic: bytes
    header_bytes: int
    fault: FindFault = _sound
    size: ReadSize | None = None


_FORMATS = (
    _Format("PNG", rb"\x89PNG\r\n\x1a\n", 33, _png_fault, _at(">II", 16)),
    _Format("GIF", rb"GIF8[79]a", 13, _gif_fault, _at("<HH", 6)),
    _Format("BMP", rb"BM", 26, _bmp_fault, _bmp_size),
    _Format("WebP", rb"RIFF.{4}WEBP", 30, _webp_fault, _webp_size),  # RIFF files hold sound and film too
    _Format("TIFF", rb"II[*+]\0|MM\0[*+]", 8, _tiff_fault),
    # ftyp lists the formats of a file. Films have it too. AVIF comes before HEIF, because its files list both.
    _Format("AVIF", rb".{4}ftyp(?:.{4})*?avi[fs]", 16, _box_fault),
    _Format("HEIF", rb".{4}ftyp(?:.{4})*?(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1)", 16, _box_fault),
    _Format("JPEG 2000", rb"\0\0\0\x0cjP  \r\n\x87\n", 28, _box_fault),
    _Format("JPEG 2000", rb"\xff\x4f\xff\x51", 24, _sound, _at(">II", 8)),  # the codestream without boxes
    _Format("JPEG XL", rb"\0\0\0\x0cJXL \r\n\x87\n", 28, _box_fault),
    _Format("JPEG XL", rb"\xff\x0a", 4),  # likewise
    _Format("JPEG XR", rb"II\xbc", 8),
    _Format("PSD", rb"8BPS\0", 26),
    _Format("ICO", rb"\0\0[\x01\x02]\0[^\0]\0", 22),
    _Format("PNM", rb"P[1-6]\s+[0-9#]|P7\n", 8),
    _Format("QOI", rb"qoif", 14, _sound, _at(">II", 4)),
    _Format("OpenEXR", rb"\x76\x2f\x31\x01", 8),
    _Format("Radiance HDR", rb"#\?(?:RADIANCE|RGBE)\n", 16),
    _Format("DDS", rb"DDS ", 128, _sound, _rows_first("<II", 12)),
    _Format("PCX", rb"\n[\x00\x02-\x05]\x01[\x01\x02\x04\x08]", 128),
    _Format("SGI", rb"\x01\xda[\x00\x01][\x01\x02]", 512, _sound, _at(">HH", 6)),
    _Format("Sun raster", rb"\x59\xa6\x6a\x95", 32),
)
"""The formats in the order in which they are tried."""

_MAGIC_BYTES = 64
"""The bytes of a file in which its beginning is searched. With more, bytes behind ftyp's list could match."""

_MEASURED = frozenset(("PNG", "GIF", "BMP"))
"""The formats whose width and height `boxes` stores. With one more, sets that were made before would not verify."""


def examine(data: memoryview) -> tuple[str, str]:
    """Return the name of the format with whose magic `data` begins, and what shows it is not whole; "" for none."""
    found = _format_of(data)
    if found is None:
        return "", ""
    if len(data) < found.header_bytes:
        return found.name, f"it has {len(data)} bytes, and a header has at least {found.header_bytes}"
    whole = bytes(data)
    if fault := found.fault(whole):
        return found.name, fault
    if found.size is not None:
        width, height = found.size(whole)
        if width <= 0 or height <= 0:
            return found.name, f"its size is {width} x {height} pixels"
    return found.name, ""


def dimensions(data: memoryview) -> tuple[int, int] | None:
    """Return width and height in pixels, from the header of a PNG, GIF or BMP; None for anything else."""
    found = _format_of(data)
    if found is None or found.size is None or found.name not in _MEASURED or len(data) < found.header_bytes:
        return None
    width, height = found.size(bytes(data[: found.header_bytes]))
    return (width, height) if 0 < width < 10**9 and 0 < height < 10**9 else None


def _format_of(data: memoryview) -> _Format | None:
    head = bytes(data[:_MAGIC_BYTES])
    return next((each for each in _FORMATS if re.match(each.magic, head, re.DOTALL)), None)
