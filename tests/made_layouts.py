"""Made sets of the layouts that are not ImageNet: class folders, a table (CSV or Parquet) and foreign shards.

Each is small, seeded and odd: names with spaces, umlauts and bytes that are no text, three formats of images, side
files, rows of one image, samples of two shapes in tars of two dialects. `make` writes a set into raw/ of a folder, and
a MadeSet says with which choices it is converted. Images are sound for all that only looks at their structure.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parallel_sharder import Options, Report, convert
from parallel_sharder.monitor.monitor import Monitor
from tests import made
from tests.shard_files import write_shard

SHARDS = 6
LAYOUTS = ("folders", "csv", "parquet", "shards")
"""What `make` takes. The last but one needs pyarrow."""

COLUMNS = ("image", "label", "caption", "width", "note")


@dataclass(frozen=True)
class MadeSet:
    """A set in raw/ of `folder`, which is converted to out/ there."""

    folder: Path
    layout: str

    @property
    def raw(self) -> Path:
        """The folder of the source."""
        return self.folder / "raw"

    @property
    def out(self) -> Path:
        """The folder of the shards, unless another is named."""
        return self.folder / "out"

    @property
    def root(self) -> str:
        """What --root names."""
        return f"{self.raw}/*.tar" if self.layout == "shards" else str(self.raw)

    @property
    def choices(self) -> dict[str, Any]:
        """The fields of Options that select and read the samples."""
        if self.layout == "folders":
            return {"layout": "folders", "with_": ("txt", "json")}
        return {"layout": "shards"} if self.layout == "shards" else {"table": self.table}

    @property
    def table(self) -> Path:
        """The table, of a set that has one."""
        return self.raw / f"table.{self.layout}"

    def options(self, out: Path | None = None, **choices: Any) -> Options:
        """The options of its conversion, some of them other `choices`."""
        usual: dict[str, Any] = {
            "root": self.root,
            "dest": f"{out or self.out}/set-%06d.tar",
            "shards": SHARDS,
            "workers": 0,
        }
        return Options(**usual | self.choices | choices)

    def convert(self, out: Path | None = None, monitor: Monitor | None = None, **choices: Any) -> Report:
        """Convert it."""
        return convert(self.options(out, **choices), monitor)

    @property
    def words(self) -> list[str]:
        """The words of the same conversion on a command line, but for where to."""
        words = ["--root", self.root, "--shards", str(SHARDS)]
        for name, value in self.choices.items():
            words += [f"--{name.rstrip('_')}", ",".join(value) if isinstance(value, tuple) else str(value)]
        return words

    def image(self) -> Path:
        """The file that holds an image, which tests damage: a shard is one that holds several."""
        return min(self.raw.glob("*.tar" if self.layout == "shards" else "**/*.jpg"))


def make(folder: Path, layout: str, samples: int = 60) -> MadeSet:
    """A set of so many samples, of one of LAYOUTS, in raw/ of `folder`."""
    makers: dict[str, Callable[[Path, int], None]] = {
        "folders": _class_folders, "csv": _csv, "parquet": _parquet, "shards": _shards,
    }  # fmt: skip
    (folder / "raw").mkdir(parents=True)
    makers[layout](folder / "raw", samples)
    return MadeSet(folder, layout)


def state(folder: Path) -> dict[str, tuple[int, int, str]]:
    """The mode, the modification time and the digest of all in a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.stat()
        content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[os.fsdecode(path.relative_to(folder))] = status.st_mode, status.st_mtime_ns, content
    return found


def jpeg(draw: random.Random) -> bytes:
    return made.image_bytes(draw, draw.randrange(100, 3000))


def png(draw: random.Random) -> bytes:
    header = struct.pack(">IIBBBBB", 90, 60, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", draw.randbytes(draw.randrange(100, 3000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def gif(draw: random.Random) -> bytes:
    size = struct.pack("<HHBBB", draw.randrange(1, 500), 50, 0, 0, 0)
    return b"GIF89a" + size + b"\x2c" + bytes(9) + b"\2\1\x44\0;"


FORMATS = (("jpg", jpeg), ("jpeg", jpeg), ("PNG", png), ("gif", gif))


def _class_folders(raw: Path, samples: int) -> None:
    draw = random.Random(1)
    for number in range(samples):
        folder = ("rose red", "Ä", "b/deep", "c.d")[number % 4]
        ending, image = FORMATS[number % 3 if number < 50 else 3]
        name = os.fsdecode(b"\xff_%d" % number) if number == 7 else f"_{number} ü"
        _write(raw / folder / f"{name}.{ending}", image(draw))
        if number % 3:
            _write(raw / folder / f"{name}.txt", f"caption {number}, 'ü'\n".encode())
        if number % 5 == 0:
            _write(raw / folder / f"{name}.json", b'{ "theirs": %d }' % number)
    _write(raw / "rose red" / "_0 ü.tif.png", png(draw))
    _write(raw / "notes.doc", b"no image")


def _rows(raw: Path, samples: int) -> list[tuple[str, str, str, int | None, str]]:
    """Write the images, and return the rows that name them; two rows name one image."""
    draw, rows = random.Random(2), []
    for number in range(samples - 1):
        ending, image = FORMATS[number % len(FORMATS)]
        name = f"images/{number % 3} é/{number}.{ending}"
        _write(raw / name, image(draw))
        width = draw.randrange(1000) if number % 4 else None
        note = f"007\nsecond line, \"{number}\" 'é'" if number % 5 else ""
        rows.append((name, f"class {number % 7}", f"A caption, {number} \N{SNOWMAN}", width, note))
    return [*rows, (rows[0][0], "class 1", "", 7, "the same image")]


def _csv(raw: Path, samples: int) -> None:
    with (raw / "table.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([COLUMNS, *_rows(raw, samples)])


def _parquet(raw: Path, samples: int) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = zip(*_rows(raw, samples), strict=True)
    table = pyarrow.table(dict(zip(COLUMNS, map(list, columns), strict=True)))
    parquet.write_table(table, raw / "table.parquet", row_group_size=13)


def _shards(raw: Path, samples: int) -> None:
    draw, shards = random.Random(3), 4
    for shard in range(shards):
        members = []
        for number in range(shard, samples, shards):
            key = f"{number % 3}/x_{number}"
            if number % 3:
                content = json.dumps({"cls": number % 3, "width": draw.randrange(1000)}).encode()
                members += [(f"{key}.cls", b"%d" % (number % 3)), (f"{key}.jpg", jpeg(draw)), (f"{key}.json", content)]
            else:
                members += [(f"{key}.png", png(draw)), (f"{key}.txt", b"caption %d" % number)]
        dialect, mtime = (("pax", 1.5), ("gnu", 0))[shard % 2]
        write_shard(raw / f"old-{shard}.tar", members, dialect, mtime)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
