"""Pictures: boxes lie on the pixels that they name, however the image is scaled or turned; the terminal draws them."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from parallel_sharder.errors import MissingPackageError, SourceError
from parallel_sharder.inspection.picture import COLOURS, picture
from tests.shard_files import write_shard

WIDTH, HEIGHT = 300, 200
AREA = (180, 30, 280, 90)
"""Where the object is in the image as it is displayed: a red rectangle on white."""

TURNS: dict[int, Any] = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""How an image is stored that has this orientation in its EXIF data: turned the other way."""


def jpeg(orientation: int = 1) -> bytes:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    image.paste("red", AREA)
    if orientation != 1:
        image = image.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    image.save(data, "JPEG", quality=95, exif=exif)
    return data.getvalue()


def original(area: tuple[float, ...], width: float, height: float) -> dict[str, Any]:
    """The JSON of ImageNet's XML, in which numbers are texts."""
    sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, area), strict=True))
    size = {"width": str(width), "height": str(height), "depth": "3"}
    return {"annotation": {"size": size, "object": {"name": "n01440764", "bndbox": sides}}}


def in_boxes(area: tuple[float, ...], width: float, height: float) -> dict[str, Any]:
    """The JSON of the form boxes."""
    return {"width": width, "height": height, "boxes": [list(area)], "names": ["n01440764"]}


def is_like(pixel: Any, colour: str) -> bool:
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return bool(max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 40)


def found_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The outermost pixels of the first box's colour."""
    places = [
        (x, y) for x in range(image.width) for y in range(image.height) if is_like(image.getpixel((x, y)), COLOURS[0])
    ]
    xs, ys = zip(*places, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@pytest.mark.parametrize("form", [original, in_boxes])
@pytest.mark.parametrize("scale", [0.5, 1, 3])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_box_lies_on_the_object(form: Any, scale: float, orientation: int) -> None:
    """Where the annotation has the size of what is displayed, in whatever scale."""
    values = form(tuple(side * scale for side in AREA), WIDTH * scale, HEIGHT * scale)
    made = picture(jpeg(orientation), values, "x")
    assert (WIDTH, HEIGHT) == made.image.size
    assert made.is_turned == (orientation != 1)
    assert max(abs(a - b) for a, b in zip(found_box(made.image), AREA, strict=True)) <= 2
    [box] = made.boxes
    assert "n01440764" == box.name
    assert pytest.approx([180 / 300, 30 / 200, 280 / 300, 90 / 200]) == box[:4]


@pytest.mark.parametrize("form", [original, in_boxes])
def test_annotation_of_what_is_stored(form: Any) -> None:
    """Of an image that lies on its side, the annotation can mean the stored pixels, as its size says."""
    stored = Image.open(io.BytesIO(jpeg(6)))
    assert (HEIGHT, WIDTH) == stored.size
    left, top, right, bottom = AREA
    area = (top, WIDTH - right, bottom, WIDTH - left)  # as the picture turned counterclockwise has it
    made = picture(jpeg(6), form(area, HEIGHT, WIDTH), "x")
    assert (WIDTH, HEIGHT) == made.image.size
    assert max(abs(a - b) for a, b in zip(found_box(made.image), AREA, strict=True)) <= 2


def test_without_boxes() -> None:
    """Also where the JSON has something else under these names."""
    plain = picture(jpeg(), {}, "x")
    assert () == plain.boxes
    others: list[dict[str, Any]] = [
        {"boxes": 3},
        {"boxes": [["a", 1, 2, 3], [1, 2]], "names": "x"},
        {"annotation": "x"},
        {"width": 10**400, "height": 3, "boxes": [[10**400, 1, 2, 3]]},
        {"annotation": {"object": [None, {"bndbox": None}, {"bndbox": {"xmin": 1}}], "size": {"width": 0}}},
    ]
    for values in others:
        assert plain.image.tobytes() == picture(jpeg(), values, "x").image.tobytes()


@pytest.mark.parametrize("data", [b"", b"no image", jpeg()[:400]])
def test_what_cannot_be_decoded(data: bytes) -> None:
    """It is told by its place."""
    with pytest.raises(SourceError, match="^a.tar:k: the image cannot be decoded"):
        picture(data, {}, "a.tar:k")


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'parallel_sharder\[report\]'"):
        picture(jpeg(), {}, "x")


def in_terminal(*words: str, columns: int = 80, status: int = 0) -> str:
    """What the command writes to a terminal without graphics."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24 if columns else 0, columns))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "parallel_sharder", "inspect", *words]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.STDOUT, env=environment)
    os.close(its)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert status == process.wait(60), said
    return said.decode()


def test_in_the_terminal(tmp_path: Path) -> None:
    """The object's colour and that of its box are drawn, and that the image is turned is said."""
    values = json.dumps(original(AREA, WIDTH, HEIGHT)).encode()
    write_shard(tmp_path / "a.tar", [("k.jpg", jpeg(6)), ("k.json", values), ("l.txt", b"words")])
    said = in_terminal(str(tmp_path / "a.tar"), "--key", "k", "--show")
    assert "▀" in said
    assert "48;2;254;0;0" in said.replace("255;0;0", "254;0;0")
    assert "The image is shown turned" in said
    assert "this sample has no image" in in_terminal(str(tmp_path / "a.tar"), "--key", "l", "--show")
    refused = in_terminal(str(tmp_path / "a.tar"), "--key", "k", "--show", columns=0, status=2)
    assert "--show needs the size of the terminal" in refused


def test_without_a_terminal(tmp_path: Path) -> None:
    """It is refused before a shard is opened."""
    command = [sys.executable, "-m", "parallel_sharder", "inspect", str(tmp_path / "none"), "--key", "k", "--show"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert (2, "") == (process.returncode, process.stdout)
    assert "--show draws in a terminal, and the output goes elsewhere" in process.stderr


def test_orientation_that_is_none() -> None:
    """It is told as an image that cannot be decoded."""
    data = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x03\0\0\0up\0\0\0\0\0\0"
    Image.new("RGB", (30, 20)).save(data, "JPEG", exif=exif)
    with pytest.raises(SourceError, match="cannot be decoded"):
        picture(data.getvalue(), {}, "a.tar:k")


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_eight_bits(mode: str) -> None:
    """Depths and the like are shown from their darkest to their lightest value, not as white or black."""
    kind = {"I;16": "<u2", "I": "<i4", "F": "<f4"}[mode]
    values = np.full((10, 20), 20_000, kind)
    values[:, 10:] = 21_000
    data = io.BytesIO()
    Image.frombytes(mode, (20, 10), values.tobytes()).save(data, "TIFF")
    shown = picture(data.getvalue(), {}, "x").image
    assert ((0, 0, 0), (255, 255, 255)) == (shown.getpixel((2, 5)), shown.getpixel((17, 5)))
    flat = io.BytesIO()
    Image.frombytes(mode, (20, 10), np.full((10, 20), 7, kind).tobytes()).save(flat, "TIFF")
    assert (128, 128, 128) == picture(flat.getvalue(), {}, "x").image.getpixel((1, 1))


def test_message_of_an_unknown_format() -> None:
    """It has no word of Python's."""
    with pytest.raises(SourceError) as caught:
        picture(b"what is this", {}, "x")
    assert "x: the image cannot be decoded: no format begins so. It cannot be shown." == str(caught.value)


@pytest.mark.parametrize("within", [60, 200])
@pytest.mark.parametrize("orientation", [1, 6])
def test_smaller_picture(within: int, orientation: int) -> None:
    """The box lies on the object there too."""
    made = picture(jpeg(orientation), {"boxes": [list(AREA)], "names": ["x"]}, "x", within=within)
    assert within == max(made.image.size)
    scale = within / WIDTH
    assert max(abs(a - b * scale) for a, b in zip(found_box(made.image), AREA, strict=True)) <= 3
