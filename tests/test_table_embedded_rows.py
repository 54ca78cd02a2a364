"""Images within the rows of a Parquet table: they are stored as the same files beside a table are."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, SharderError, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.monitor.recording import Recording
from tests import made, made_layouts

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
DRAW = random.Random(4)
IMAGES = [made.image_bytes(DRAW, 1500 + number) for number in range(40)]
LABELS = [number % 4 for number in range(40)]


def embedded(folder: Path, files: int = 2, paths: bool = True) -> Path:
    """A table of several files, with captions and a further column; images have paths."""
    folder.mkdir()
    for number in range(files):
        rows = range(number, len(IMAGES), files)
        cells = [{"bytes": IMAGES[row], "path": f"a/b {row}.jpg" if paths else None} for row in rows]
        table = pa.table(
            {
                "image": pa.array(cells, STRUCT),
                "label": [LABELS[row] for row in rows],
                "caption": [f"c {row} ü" for row in rows],
                "width": [row * 1.5 for row in rows],
            }
        )
        pq.write_table(table, folder / f"train-{number}.parquet", row_group_size=7)
    return folder / "train-*.parquet"


def beside(folder: Path) -> Path:
    """The same images as files beside a table."""
    (folder / "a").mkdir(parents=True)
    order = [row for number in range(2) for row in range(number, len(IMAGES), 2)]
    for row in order:
        (folder / "a" / f"b {row}.jpg").write_bytes(IMAGES[row])
    table = pa.table(
        {
            "image": [f"a/b {row}.jpg" for row in order],
            "label": [LABELS[row] for row in order],
            "caption": [f"c {row} ü" for row in order],
            "width": [row * 1.5 for row in order],
        }
    )
    pq.write_table(table, folder / "table.parquet")
    return folder / "table.parquet"


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def converted(table: Path, out: Path, **choices: Any) -> dict[str, bytes]:
    dest = str(out / "set-%06d.tar")
    convert(Options(table=str(table), dest=dest, **{"maxsize": "40KB", "workers": 0, **choices}))
    return shards(out)


@pytest.mark.parametrize("workers", [0, 2])
def test_same_shards_as_files(tmp_path: Path, workers: int) -> None:
    """They are those of the same images beside a table; verify reads the images once; nothing of the stage stays."""
    table = embedded(tmp_path / "set")
    before = made_layouts.state(tmp_path / "set")
    found = converted(table, tmp_path / "out", workers=workers)
    assert found == converted(beside(tmp_path / "files"), tmp_path / "plain")
    assert found == converted(table, tmp_path / "staged", stage=tmp_path / "stage")
    assert before == made_layouts.state(tmp_path / "set")
    for out in ("out", "staged"):
        options = VerifyOptions(dest=str(tmp_path / out), source=str(tmp_path / "set"), workers=0)
        verdict = verify_shards(options)
        assert ((), 40) == (verdict.deviations, verdict.compared)
    assert not (tmp_path / "out" / ".set.stage").exists()
    assert list((tmp_path / "stage").glob("*")) == []


def test_verify_finds_another_image(tmp_path: Path) -> None:
    """An image that has changed in the table is told by its key."""
    table = embedded(tmp_path / "set")
    converted(table, tmp_path / "out")
    path = tmp_path / "set" / "train-1.parquet"
    cells = pq.read_table(path)
    images = cells.column("image").to_pylist()
    images[3]["bytes"] = IMAGES[0]
    pq.write_table(cells.set_column(0, "image", pa.array(images, STRUCT)), path)
    options = VerifyOptions(dest=str(tmp_path / "out"), source=str(tmp_path / "set"), workers=0)
    [deviation] = verify_shards(options).deviations
    assert (deviation.key, "its image is not that of the source" in deviation.detail) == ("a/b=207", True)


def test_same_command_again(tmp_path: Path) -> None:
    """It reads no image; where a shard is missing, the images are staged again."""
    table = embedded(tmp_path / "set")
    first = converted(table, tmp_path / "out")
    recording = Recording()
    options = Options(table=str(table), dest=str(tmp_path / "out" / "set-%06d.tar"), maxsize="40KB", workers=0)
    convert(options, recording)
    assert "staged" not in str(recording.notices)
    (tmp_path / "out" / "set-000001.tar").unlink()
    convert(options, recording)
    assert "staged 2 archives" in str(recording.notices)
    assert first == shards(tmp_path / "out")


def test_names_and_formats(tmp_path: Path) -> None:
    """Without a path the key has the file's name and the row, and the format decides the field; no other column."""
    images = [IMAGES[0], made_layouts.png(DRAW), made_layouts.gif(DRAW), None, b"", b"no image"]
    (tmp_path / "raw").mkdir()
    table = tmp_path / "raw" / "photos.parquet"
    pq.write_table(pa.table({"picture": pa.array(images, pa.large_binary())}), table)
    report = convert(Options(table=str(table), dest=str(tmp_path / "out"), workers=0))
    [path] = (tmp_path / "out").glob("*.tar")
    with tarfile.open(path) as tar:
        names = sorted(name for name in tar.getnames() if not name.endswith(".json"))
    assert names == ["photos_0.jpg", "photos_1.png", "photos_2.gif"]
    told = {problem.path.rpartition("/")[2]: problem.kind.value for problem in report.problems}
    assert told["photos.parquet, row 4"] == "bad-image"
    assert len(told) == 3


def test_columns_by_name(tmp_path: Path) -> None:
    """--image and --key name columns; keys of rows are those of the table."""
    (tmp_path / "raw").mkdir()
    table = tmp_path / "raw" / "t.parquet"
    cells = {"a": pa.array(IMAGES[:3], pa.binary()), "b": pa.array(IMAGES[3:6], pa.binary()), "id": ["x", "y", "z"]}
    pq.write_table(pa.table(cells), table)
    converted(table, tmp_path / "out", image="b", key="id", columns=("id",))
    with tarfile.open(tmp_path / "out" / "set-000000.tar") as tar:
        file = tar.extractfile("y.jpg")
        assert file is not None
        assert file.read() == IMAGES[4]
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "out"), source=str(tmp_path / "raw"), workers=0))
    assert verdict.deviations == ()


def test_refusals(tmp_path: Path) -> None:
    """Without a stage they cannot be read; a preview shows its room, and writes nothing."""
    table = embedded(tmp_path / "set")
    with pytest.raises(SharderError, match="is a Parquet file.*Leave out stage none"):
        converted(table, tmp_path / "out", stage="none")
    shown = preview(Options(table=str(table), dest=str(tmp_path / "out"), workers=0))
    assert (shown.samples, shown.stage is not None) == (40, True)
    assert not (tmp_path / "out").exists()
