"""Sets that are not ImageNet: class folders of mixed formats, and a folder with a table; and what shards of them hold.

The expected samples follow from the files by the rules that the issue of these layouts gives, not by the package.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tests.readers.conftest import CHECKOUT
from tests.readers.field_programs import Sample, sample_of
from tests.reference import members_of

CLASSES = ("0", "Rose", "daisy", "rose red", "tülpe", "zinnia_#1")
FORMATS = {"jpg": "JPEG", "JPEG": "JPEG", "PNG": "PNG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "TIFF": "TIFF"}
FIELDS = {"jpeg": "jpg", "tiff": "tif"}
IMAGE_FIELDS = ("jpg", "png", "webp", "bmp", "tif")

# Rows of a table: the image's name, and columns of several types; some cells are empty.
ROWS = 40
COLUMNS = ("file_name", "text", "label", "rating", "weight", "note")


def sharded(*words: str | Path) -> None:
    """Run the command, which must store all there is."""
    command = [sys.executable, "-m", "parallel_sharder", *map(str, words), "--workers", "0"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stderr


def picture(draw: random.Random, kind: str, mode: str = "RGB") -> bytes:
    """An image of noise, of some size."""
    width, height = draw.randint(8, 48), draw.randint(8, 48)
    data = io.BytesIO()
    Image.frombytes(mode, (width, height), draw.randbytes(width * height * len(mode))).save(data, kind)
    return data.getvalue()


def make_flowers(root: Path) -> None:
    """Train and val in class folders whose images have five formats and the same names in each folder.

    Names in train and in val differ, because Energon wants keys that are unique in the folder of both.
    """
    draw = random.Random(15)
    for split, images in (("train", 12), ("val", 4)):
        for name in CLASSES:
            folder = root / split / name
            (folder / "more" / "deep er").mkdir(parents=True)
            for number in range(images):
                ending = list(FORMATS)[number % len(FORMATS)]
                place = folder / "more" / "deep er" if number % 5 == 4 else folder
                path = place / f"{split} {number}.v2.{ending}"
                path.write_bytes(picture(draw, FORMATS[ending], "L" if number == 7 else "RGB"))
            for ending in ("jpg", "png"):  # two files that differ by their ending alone
                (folder / f"{split}.{ending}").write_bytes(picture(draw, FORMATS[ending.replace("png", "PNG")]))


def flower_samples(root: Path, split: str) -> list[Sample]:
    """The samples of a split of class folders, sorted by key."""
    labels = {name: label for label, name in enumerate(sorted(os.listdir(root / "train"), key=os.fsencode))}
    paths = [path for path in (root / split).rglob("*") if path.is_file()]
    stems = Counter(path.with_suffix("") for path in paths)
    samples = []
    for path in paths:
        below = path.relative_to(root / split)
        ending = path.suffix[1:]
        named = below if stems[path.with_suffix("")] > 1 else below.with_suffix("")
        name = below.parts[0]
        about = {"cls": labels[name], "cname": name, "filename": below.as_posix()}
        fields = {
            "cls": b"%d" % labels[name],
            FIELDS.get(ending.lower(), ending.lower()): path.read_bytes(),
            "json": json.dumps(about).encode(),
        }
        samples.append(sample_of(key_of(named), fields))
    return sorted(samples)


def key_of(path: Path) -> str:
    """The key of a path; none here is long or has a part that begins with `_`."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/"
    return "".join(chr(byte) if byte in plain else f"={byte:02X}" for byte in path.as_posix().encode())


def make_captioned(root: Path, ending: str) -> None:
    """Images in folders, and beside them Hugging Face's metadata of one kind: csv, jsonl or parquet."""
    draw = random.Random(16)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        kind = ("jpg", "png")[number % 2]
        path = root / f"part {number % 3}" / f"{number:03}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(draw, {"jpg": "JPEG", "png": "PNG"}[kind]))
        text = f'Blume {number}, "rot"\nund grün' if number % 4 else f"flower {number}"
        values = (
            text,
            number % 5,
            number,
            number / 8 if number % 3 else None,
            None if number % 6 == 1 else f"n{number}",
        )
        rows.append(dict(zip(COLUMNS, (path.relative_to(root).as_posix(), *values), strict=True)))
    write_rows(root / f"metadata.{ending}", rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def samples_in(folder: Path, name: str) -> list[Sample]:
    """The samples of a set's shards, sorted by key, read with Python's tarfile."""
    samples: dict[str, dict[str, bytes]] = {}
    for member, data in members_of(sorted(folder.glob(f"{name}-*.tar"))).items():
        head, _, base = member.rpartition("/")
        key, _, field = base.partition(".")
        samples.setdefault(f"{head}/{key}" if head else key, {})[field] = data
    return sorted(sample_of(key, fields) for key, fields in samples.items())


def image_of(fields: Mapping[str, bytes]) -> bytes:
    """The bytes of a sample's one image."""
    [data] = [fields[field] for field in IMAGE_FIELDS if field in fields]
    return data


def components(samples: Iterable[Sample], *names: str) -> Iterator[tuple[bytes, ...]]:
    """What DALI gives of each sample: of each component the first field that is there, or nothing."""
    for _, items in samples:
        fields = dict(items)
        yield tuple(next((fields[field] for field in name.split(";") if field in fields), b"") for name in names)
