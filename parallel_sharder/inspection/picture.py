"""Pictures: the image of a sample as it is displayed, with the boxes of its annotation drawn over it.

Boxes are in the pixels of the size that the annotation has, which need not be the image's own. A camera may have stored
the image lying on its side, and noted so (EXIF); the annotation says by its size which of the two it means.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_sharder.errors import SourceError, missing_package

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
"""Of boxes, one after the other. Who sees colours differently can tell them apart. Source: Okabe and Ito, 2008."""

_ORIENTATION = 0x0112
"""The number of the tag in EXIF. Source: CIPA DC-008, 4.6.4."""

_LINE_SHARE = 80
"""The larger side of the picture is so many times as long as a line is thick."""


class Box(NamedTuple):
    """A box and what is in it: its corners as shares of the annotated width and height, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float
    name: str


class Picture(NamedTuple):
    """The image as it is displayed, with its boxes; `is_turned` says whether its EXIF data ask to turn it."""

    image: Image
    boxes: tuple[Box, ...]
    is_turned: bool


def picture(data: bytes, values: Mapping[str, Any], where: str, within: int | None = None) -> Picture:
    """Return the picture of an image's bytes, with the boxes that the sample's JSON has.

    With `within`, it is made smaller, so that neither side has more pixels; a JPEG is then decoded no larger than that
    takes.

    Raises SourceError, which names `where` it is, if it cannot be decoded, and MissingPackageError without Pillow.
    """
    pillow = _pillow()
    try:
        raw = pillow.Image.open(io.BytesIO(data))
        size = raw.size
        if within is not None:
            raw.draft("RGB", (within, within))
        raw.load()
        orientation = int(raw.getexif().get(_ORIENTATION, 1))
        canvas = _in_eight_bits(raw).convert("RGB")
        if within is not None:
            canvas.thumbnail((within, within))
        shown = size[::-1] if _turned(pillow, canvas, orientation).size != canvas.size else size
    except pillow.UnidentifiedImageError as error:
        raise SourceError(f"{where}: the image cannot be decoded: no format begins so. It cannot be shown.") from error
    except Exception as error:  # damaged images raise errors of many kinds
        raise SourceError(f"{where}: the image cannot be decoded: {error}. It cannot be shown.") from error
    annotated = _annotated_size(values)
    # Of a square, or without a size, boxes are taken as those of what is displayed.
    is_of_raw = annotated is not None and shown != size and _alike(annotated, size, shown)
    boxes = tuple(_boxes(values, annotated or shown))
    if not is_of_raw:
        canvas = _turned(pillow, canvas, orientation)
    _draw(pillow, canvas, boxes)
    if is_of_raw:
        canvas = _turned(pillow, canvas, orientation)
    return Picture(canvas, boxes, orientation > 1)


def _in_eight_bits(image: Image) -> Image:
    """Return a grey image of more bits, such as one of depths, with its darkest value black and its lightest white."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    wide = image.convert("I").convert("F") if image.mode != "F" else image
    low, high = (float(value) for value in wide.getextrema())  # type: ignore[arg-type]  # numbers, of one channel
    if not (math.isfinite(low) and math.isfinite(high)):
        return image
    scale = 255 / (high - low) if high > low else 0.0
    offset = -low * scale if scale else 128.0
    return wide.point(lambda value: value * scale + offset).convert("L")


def _turned(pillow: Any, image: Image, orientation: int) -> Image:
    """Return the image as a camera that notes this orientation wants it to be displayed."""
    image.getexif()[_ORIENTATION] = orientation
    turned: Image = pillow.ImageOps.exif_transpose(image)
    return turned


def _alike(size: tuple[float, float], one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether the size has the shape of `one`, and not of `other`, which is `one` on its side."""
    shape = size[0] / size[1]
    return abs(shape - one[0] / one[1]) < abs(shape - other[0] / other[1])


def _annotated_size(values: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the width and height that the annotation has; None if it has none."""
    annotation = values.get("annotation")
    size = annotation.get("size") if isinstance(annotation, dict) else values
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        width, height = float(size["width"]), float(size["height"])  # type: ignore[index]
        return (width, height) if width > 0 and height > 0 else None
    return None


def _boxes(values: Mapping[str, Any], size: tuple[float, float]) -> Iterator[Box]:
    """Yield the boxes of both forms of ImageNet's JSON; what is no box is passed over."""
    width, height = size
    for corners, name in (*_of_boxes(values), *_of_objects(values)):
        with suppress(TypeError, ValueError, OverflowError):
            left, top, right, bottom = map(float, corners)
            yield Box(left / width, top / height, right / width, bottom / height, str(name))


def _of_boxes(values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    boxes, names = values.get("boxes"), values.get("names")
    if isinstance(boxes, list):
        its = names if isinstance(names, list) and len(names) == len(boxes) else [""] * len(boxes)
        yield from zip(boxes, its, strict=True)


def _of_objects(values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    annotation = values.get("annotation")
    objects = annotation.get("object") if isinstance(annotation, dict) else None
    for each in objects if isinstance(objects, list) else [objects]:
        if not isinstance(each, dict):
            continue
        with suppress(KeyError, TypeError):
            corners = [each["bndbox"][side] for side in ("xmin", "ymin", "xmax", "ymax")]
            yield corners, each.get("name", "")


def _draw(pillow: Any, image: Image, boxes: tuple[Box, ...]) -> None:
    """Draw the boxes on the image, each with a dark line around its own, so that it is seen on any ground."""
    draw = pillow.ImageDraw.Draw(image)
    thick = max(1, max(image.size) // _LINE_SHARE)
    for number, box in enumerate(boxes):
        corners = sorted((box.left * image.width, box.right * image.width))
        sides = sorted((box.top * image.height, box.bottom * image.height))
        rectangle = (corners[0], sides[0], corners[1], sides[1])
        draw.rectangle(rectangle, outline="black", width=thick + 2)
        draw.rectangle(rectangle, outline=COLOURS[number % len(COLOURS)], width=thick)


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageOps
    except ImportError as error:
        raise missing_package("pictures need the package pillow", "report") from error
    return PIL
