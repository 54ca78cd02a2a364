"""The data set that all engines and nodes convert, and what its shards have to be: those of a run on this machine.

Its shards are many and of several MB, so that a host can be lost while it writes one. All files that a reader may see
are compared by their bytes, but energon's database, whose pages depend on SQLite, by its rows.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from tests import made

SHARDS, SAMPLES = 24, 720
IMAGE_BYTES = (150_000, 250_000)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """144 MB of images in a classic tree; read-only by agreement. The list of classes saves the devkit's reader."""
    root = tmp_path_factory.mktemp("raw")
    kept = made.Made(root, sizes=IMAGE_BYTES)
    for number in range(SAMPLES):
        wnid = made.WNIDS[number % 6]
        kept.image(f"train/{wnid}", f"{wnid}_{number}", wnid)
        if number % 2:
            kept.xml(f"train/{wnid}", f"{wnid}_{number}")
    (root / "classes.txt").write_text("".join(f"{wnid} {made.NAMES[wnid]}\n" for wnid in made.WNIDS))
    return root


@pytest.fixture(scope="session")
def expected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run on this machine gives."""
    out = tmp_path_factory.mktemp("expected")
    options = Options(
        root=raw, dest=str(out), meta=raw / "classes.txt", shards=SHARDS, workers=0, index=("all",), card=True
    )
    assert (SAMPLES, 0) == ((report := convert(options)).samples, report.exit_code)
    return contents(out)


def command(root: Path, out: Path, *more: str) -> list[str]:
    """The command that gives these shards, with the words that say where."""
    tool = str(Path(sys.executable).with_name("parallel-sharder"))
    choices = f"--root {root} --dest {out} --meta {root}/classes.txt --shards {SHARDS} --index all --card"
    return [tool, *choices.split(), *more]


def contents(folder: Path) -> dict[str, str]:
    """Path to digest of each file in a folder, but of those that runs leave for themselves, which are hidden."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not (path.parent == folder and path.name[0] == ".")
    ]
    return {str(path.relative_to(folder)): digest(path) for path in sorted(files)}


def digest(path: Path) -> str:
    """The SHA-256 of a file, or that of all rows of a database."""
    if path.suffix != ".sqlite":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with closing(sqlite3.connect(path)) as database:
        tables = [
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        rows = [(table, row) for table in tables for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def partials(folder: Path) -> list[str]:
    """The names of unfinished shards there."""
    return [path.name for path in folder.glob(".*.partial")]
