"""Made sets for the tests of pages: class folders with drawn images, and shards with boxes on red rectangles."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from parallel_sharder import Options, Report, Reported, ReportOptions, convert, report_shards
from tests.shard_files import write_shard

AREA = (180, 30, 280, 90)
"""Where the red rectangle is in an image of 300 x 200 pixels."""


def jpeg(colour: str = "white", size: tuple[int, int] = (300, 200), orientation: int = 1) -> bytes:
    image = Image.new("RGB", size, colour)
    image.paste("red", AREA)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90, exif=exif)
    return data.getvalue()


def class_folders(root: Path, classes: Mapping[str, int]) -> Path:
    """Class folders with so many images each, of several sizes."""
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for image in range(count):
            size = (200 + 20 * image, 150 + 10 * number)
            (root / name / f"{image:04}.jpg").write_bytes(jpeg(["white", "gray", "navy"][number % 3], size))
    return root


def converted(raw: Path, dest: Path, **choices: Any) -> Report:
    return convert(Options(root=str(raw), dest=str(dest), **{"workers": 0, "maxcount": 4, **choices}))


def reported(dest: Path | str, **choices: Any) -> Reported:
    return report_shards(ReportOptions(dest=str(dest), **{"workers": 0, **choices}))


def page_of(dest: Path | str, **choices: Any) -> str:
    """The text of the only page that is made."""
    [page] = reported(dest, **choices).pages
    return Path(page.path).read_text("utf-8")


def text_of(page: str) -> str:
    """What the page says, without its style, its scripts and its tags."""
    body = page.partition("<body>")[2].partition('<script type="application/json"')[0]
    import html

    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def data_of(page: str) -> dict[str, Any]:
    """The data for the page's script."""
    found = page.partition('id="page-data">')[2].partition("</script>")[0]
    data: dict[str, Any] = json.loads(found)
    return data


def charts_of(page: str) -> dict[str, dict[str, Any]]:
    return {chart["id"]: chart for chart in data_of(page)["charts"]}


def shard_with_boxes(path: Path, images: Sequence[bytes] = (), label: int = 3, name: str = "tench") -> str:
    """A foreign shard whose images have a box on the red rectangle, in the form of ImageNet's XML."""
    sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, AREA), strict=True))
    values = {
        "cls": label,
        "cname": name,
        "annotation": {"size": {"width": "300", "height": "200"}, "object": {"name": "n01440764", "bndbox": sides}},
    }
    members: list[tuple[str, bytes]] = []
    for number, image in enumerate(images or [jpeg()]):
        key = f"{path.stem}_{number}"
        members += [
            (f"{key}.cls", str(label).encode()),
            (f"{key}.jpg", image),
            (f"{key}.json", json.dumps(values).encode()),
        ]
    return write_shard(path, members)
