"""An image file, judged by its bytes alone: whether it is whole, of which format, and how wide and high.

Bytes come in; a Kind of problem with its detail, or width and height, are returned. Nothing is decoded. The walk over a
JPEG's markers follows ITU-T T.81, annex B. A marker is FF and a code; behind a marker that comes before the image data
stands a length of two bytes, big-endian, which counts itself. Fill bytes, and bytes between two segments, are passed
over, because decoders do so. The module other_formats has the other formats.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from parallel_sharder.kinds import Kind
from parallel_sharder.samples import other_formats

Size = tuple[int, int]
"""Width and height in pixels."""

_START = b"\xff\xd8"
_START_CODE, _END_CODE, _SCAN_CODE, _LINES_CODE = 0xD8, 0xD9, 0xDA, 0xDC
_FRAME_CODES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # three codes between are tables, or reserved

_ARBITRARY = frozenset((0xDB, *range(0xE0, 0xF0), 0xFE))
"""Segments that can hold FF and any code: tables of quantisation, data of applications, and comments."""

_SCAN = 0xFF00 | _SCAN_CODE
_FRAMES = frozenset(0xFF00 | code for code in _FRAME_CODES)
_PASSED = frozenset(0xFF00 | code for code in (*_ARBITRARY, 0xC4, 0xCC, 0xDD))
"""Markers of segments that are passed over: those of _ARBITRARY, and the other tables."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""A marker that has a length, or begins or ends a file. Image data hold none, because 00 follows each FF in them."""

_two_at = struct.Struct(">HH").unpack_from
"""Reads two numbers: a marker and a length, or height and width."""

_SMALL_BYTES = 16 * 1024
"""The largest file whose image data are searched to their end. The search takes 0.2 us for 1,000 bytes: 3 us for this
size, and 20 us for a usual image, which would be more than half of all work on it."""

_BLOCK_BYTES = 4096
"""Other data begin at a multiple of this if a copy has stopped or a file system has mixed up blocks."""
_BLOCKS = slice(_BLOCK_BYTES, None, _BLOCK_BYTES)


def examine(data: memoryview) -> tuple[Kind, str] | None:
    """Return the problem of an image file's bytes as its Kind and a detail, or None.

    BAD_IMAGE is returned for an empty file, for a file that is no image, and for one that cannot be whole: a JPEG
    without a frame header, a size, a scan or an end marker, or a JPEG in which another one begins before the end marker
    (bytes behind the end marker do no harm). In files of up to 16 KiB the other JPEG is found anywhere, in larger files
    if it begins at a multiple of 4,096 bytes. OTHER_FORMAT and CMYK are worth knowing, and no faults.
    """
    if len(data) < 2 or data[0] != 0xFF or data[1] != _START_CODE:
        return _other(data)
    frame, scan = _walk(data)
    has_end = data[-1] == _END_CODE and data[-2] == 0xFF
    if not scan:
        return Kind.BAD_IMAGE, "a JPEG without image data: its header does not lead to a scan" if has_end else _CUT_OFF
    if not frame:
        return Kind.BAD_IMAGE, "a JPEG without a frame header, and so without width and height"
    height, width = _two_at(data, frame + 5)
    if not width or not (height or _height_behind(data, scan)):
        return Kind.BAD_IMAGE, f"a JPEG of {width} x {height} pixels"
    if not has_end or len(data) <= _SMALL_BYTES or _may_begin_anew(data):
        fault = _fault_behind(data, scan)
        if fault:
            return Kind.BAD_IMAGE, fault
    return (Kind.CMYK, "four colour components") if data[frame + 9] == 4 else None


def dimensions(data: memoryview) -> Size | None:
    """Return width and height in pixels, from the header of a JPEG, PNG, GIF or BMP; None for anything else.

    Sources: ITU-T T.81 B.2.2 (frame header), and the sources named in the module other_formats.
    """
    if data[:2] != _START:
        return other_formats.dimensions(data)
    frame, _ = _walk(data)
    height, width = _two_at(data, frame + 5) if frame else (0, 0)
    return (width, height) if width and height else None


_CUT_OFF = "a JPEG that is cut off: it has no end marker"


def _other(data: memoryview) -> tuple[Kind, str]:
    if not data:
        return Kind.BAD_IMAGE, "an empty file"
    name, fault = other_formats.examine(data)
    if fault:
        return Kind.BAD_IMAGE, f"not a whole {name}: {fault}"
    return (Kind.OTHER_FORMAT, name) if name else (Kind.BAD_IMAGE, "not an image: no image format begins so")


def _walk(data: memoryview) -> tuple[int, int]:
    """Return the positions of the frame header's marker and of the first scan's; 0 for a marker that is missing."""
    position, last, frame, start = 2, len(data) - 4, 0, 0
    while position <= last:
        marker, length = _two_at(data, position)
        if marker in _PASSED:
            start = position
        elif marker == _SCAN:
            return frame, position
        elif marker in _FRAMES and not frame and position + 9 < len(data):
            frame = start = position
        else:
            found = _MARKER.search(data, position)
            if found is None or _breaks_off(data, start, frame, found.end()):
                break
            if found.start() > position:
                position = found.start()
                continue
        position += 2 + length
    return frame, 0


def _breaks_off(data: memoryview, start: int, frame: int, end: int) -> bool:
    """Return whether the marker that ends at `end` cannot be in this header, or the segment at `start` is cut off.

    A header holds no start marker, no end marker and no second frame header. A table or a frame header is cut off if
    another JPEG begins in it.
    """
    code = data[end - 1]
    if code in (_START_CODE, _END_CODE) or (frame and code in _FRAME_CODES):
        return True
    is_table = data[start + 1] in _FRAME_CODES or data[start + 1] in (0xC4, 0xCC, 0xDB, 0xDD)
    return is_table and _START in bytes(data[start:end])


def _may_begin_anew(data: memoryview) -> bool:
    """Return whether a block begins as a JPEG does."""
    firsts = data[_BLOCKS].tobytes()
    block = firsts.find(0xFF)
    while block >= 0 and data[(block + 1) * _BLOCK_BYTES :][:2] != _START:
        block = firsts.find(0xFF, block + 1)
    return block >= 0


def _fault_behind(data: memoryview, scan: int) -> str:
    """Return the fault of a JPEG from its first scan on, or ""."""
    for code, _ in _markers(data, scan):
        if code == _END_CODE:
            return ""
        if code == _START_CODE or code in _FRAME_CODES:
            return "a JPEG that is cut off: another one begins before its end marker"
    return _CUT_OFF


def _height_behind(data: memoryview, scan: int) -> int:
    """Return the height in a DNL marker behind the first scan; 0 if there is no such marker."""
    for code, position in _markers(data, scan):
        if code == _LINES_CODE and position + 6 <= len(data):
            return data[position + 4] << 8 | data[position + 5]
        if position != scan:
            break
    return 0


def _markers(data: memoryview, position: int) -> Iterator[tuple[int, int]]:
    """Yield code and position of each marker, from the one at `position` on."""
    while found := _MARKER.search(data, position):
        position = found.start()
        code = data[position + 1]
        yield code, position
        position += 2
        if code in _ARBITRARY and position + 2 <= len(data):
            position += data[position] << 8 | data[position + 1]
