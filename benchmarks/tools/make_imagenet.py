"""Makes a synthetic raw ImageNet with the real distributions of names, images in a class, JPEG sizes and annotations.

python -m benchmarks.tools.make_imagenet FOLDER [--images N] [--classes N] [--scale F]

The images are random bytes between the headers of a JPEG and its end marker. They cost as much to copy and to check as
real ones, and cannot be decoded. With `--scale` 0.003 they have a few hundred bytes: enough where only the number of
files matters, as for a scan.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from parallel_sharder.demo import annotation_xml, write_meta
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids

IMAGES = 1_281_167
"""Of the training set."""

TINY = 0.003
"""The scale of images of a few hundred bytes."""

ANNOTATED = 544_546 / IMAGES

# (share of images, bytes): quantiles of the JPEG sizes of ILSVRC2012, over one full-size image of each class.
SIZE_QUANTILES = (
    (0.0, 2_135), (0.01, 4_014), (0.05, 16_037), (0.25, 57_326), (0.5, 107_082), (0.75, 146_078), (0.95, 212_366),
    (0.99, 404_411), (1.0, 723_977),
)  # fmt: skip


def _segment(code: int, length: int) -> bytes:
    content = {
        0xC0: bytes((8, *divmod(375, 256), *divmod(500, 256), 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)),
        0xDA: bytes((3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)),
    }.get(code, bytes(length))
    assert len(content) == length
    return bytes((0xFF, code)) + (length + 2).to_bytes(2) + content


# What precedes the image data of a colour JPEG without extras: JFIF, two quantisation tables, the frame's header, four
# Huffman tables, the scan's header (ITU-T T.81, annex B). A JPEG that is too small for that has the headers alone.
_HEADERS = b"\xff\xd8" + b"".join(
    _segment(code, length)
    for code, length in (
        (0xE0, 14), (0xDB, 65), (0xDB, 65), (0xC0, 15), (0xC4, 29), (0xC4, 179), (0xC4, 29), (0xC4, 179), (0xDA, 10)
    )
)  # fmt: skip
_SMALLEST = b"\xff\xd8" + _segment(0xC0, 15) + _segment(0xDA, 10)


def image_bytes(draw: random.Random, size: int) -> bytes:
    """A JPEG of `size` bytes, or of 37 if that is more, whose tables are empty and whose image data are random."""
    head = _HEADERS if size > len(_HEADERS) + 2 else _SMALLEST
    data = draw.randbytes(max(0, size - len(head) - 2))
    return head + data.replace(b"\xff", b"\xfe") + b"\xff\xd9"


def image_size(draw: random.Random) -> int:
    """A JPEG's size in bytes, by linear interpolation between the quantiles."""
    share = draw.random()
    for (low, smaller), (high, larger) in pairwise(SIZE_QUANTILES):
        if share <= high:
            return round(smaller + (larger - smaller) * (share - low) / (high - low))
    raise AssertionError


def class_sizes(images: int, classes: int) -> list[int]:
    """Images of each class: 895 of 1,000 are full (1,300), the rest have down to 732, all scaled to `images`."""
    shapes = [1300 if number % 1000 < 895 else 732 + (number % 1000 - 895) * 5 for number in range(classes)]
    ends = [images * sum(shapes[: number + 1]) // sum(shapes) for number in range(classes)]
    return [end - start for start, end in pairwise([0, *ends])]


def make_imagenet(root: Path, images: int, classes: int, scale: float) -> None:
    """Write `train/` with annotations beside the images, and the devkit, under `root`."""
    draw = random.Random(0)
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    write_meta(data / "meta.mat", {wnid: f"class {wnid}" for wnid in ilsvrc_ids()})
    for wnid, count in zip(sorted(ilsvrc_ids()), class_sizes(images, classes), strict=False):
        if not count:  # a folder without an image would be one that is left out
            continue
        folder = root / "train" / wnid
        folder.mkdir(parents=True)
        for key in keys_of(draw, wnid, count):
            size = round(image_size(draw) * scale)
            (folder / f"{key}.JPEG").write_bytes(image_bytes(draw, size))
            if draw.random() < ANNOTATED:
                (folder / f"{key}.xml").write_text(annotation(draw, wnid, key))


def kept_set(folder: Path, images: int) -> Path:
    """The set of so many images of 100 classes in `folder`, made if no earlier run has done that."""
    root = folder / f"set-{images}"
    if not root.exists():
        make_imagenet(root, images, 100, 1.0)
    return root


def keys_of(draw: random.Random, wnid: str, count: int) -> Iterator[str]:
    """Keys as the set has them: numbers neither consecutive nor of one width."""
    for number in sorted(draw.sample(range(1, max(20_000, 4 * count)), count)):
        yield f"{wnid}_{number}"


def annotation(draw: random.Random, wnid: str, key: str) -> str:
    """An annotation of one to six objects, one in eight in the dialect of the dogs."""
    count = draw.choices(range(1, 7), (70, 15, 7, 4, 2, 2))[0]
    boxes = [
        (draw.randint(0, 200), draw.randint(0, 200), draw.randint(201, 500), draw.randint(201, 375))
        for _ in range(count)
    ]
    xml = annotation_xml(wnid, key, (500, 375), boxes)
    if draw.random() < 1 / 8:
        xml = xml.replace("ILSVRC_2012", "ImageNet database").replace("segmented", "segment")
        xml = xml.replace(f"<folder>{wnid}", f"<folder>{wnid[1:]}").replace(f"<name>{wnid}", "<name>Border_collie")
    return xml


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--scale", type=float, default=1.0, help="sizes of the images times this")
    arguments = parser.parse_args()
    make_imagenet(arguments.folder, arguments.images, arguments.classes, arguments.scale)


if __name__ == "__main__":
    main()
