"""A table as a Source: shards are made of it, checked against it, and continued."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.errors import DestinationError, OptionsError
from tests.made import JPEG

ROWS = 'file_name,label,caption,width\n"rose red/1.jpg",rose,"a ""rose"",\nred",640\n2.jpg,tulip,,480\n2.jpg,tulip,c,\n'


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder of two images with a table of three rows beside it."""
    root = tmp_path / "raw"
    (root / "rose red").mkdir(parents=True)
    for name in ("rose red/1.jpg", "2.jpg"):
        (root / name).write_bytes(JPEG)
    (root / "metadata.csv").write_text(ROWS)
    return root


def members(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_shards_of_a_table(raw: Path, tmp_path: Path) -> None:
    """Each row is a sample with label, image, caption and JSON; verify finds nothing, wherever the source lies."""
    dest = tmp_path / "out"
    report = convert(Options(root=raw, table=raw / "metadata.csv", dest=str(dest), workers=0))
    assert (0, 3, "raw.json") == (report.exit_code, report.samples, Path(report.manifest_path).name)
    stored = members(dest)
    assert {
        "rose=20red/1.cls": b"0",
        "rose=20red/1.jpg": JPEG,
        "rose=20red/1.txt": b'a "rose",\nred',
        "2=232.cls": b"1",
        "2=232.jpg": JPEG,
        "2=233.cls": b"1",
        "2=233.jpg": JPEG,
        "2=233.txt": b"c",
    } == {name: content for name, content in stored.items() if not name.endswith(".json")}
    row = {"cls": 1, "cname": "tulip", "filename": "2.jpg", "width": None}
    assert row == json.loads(stored["2=233.json"])
    moved = raw.rename(tmp_path / "moved")
    assert 0 == verify_shards(VerifyOptions(dest=dest, source=moved, workers=0)).exit_code
    (moved / "metadata.csv").write_text(ROWS.replace("tulip,c,", "tulip,d,"))
    assert 1 == verify_shards(VerifyOptions(dest=dest, source=moved, workers=0)).exit_code


def test_another_table_does_not_continue_a_set(raw: Path, tmp_path: Path) -> None:
    """The same one does, with the same bytes, and needs no option that was not given before."""
    options = Options(root=raw, layout="table", dest=str(tmp_path / "out"), workers=0, maxcount=1)
    convert(options)
    before = members(tmp_path / "out")
    next((tmp_path / "out").glob("*-000001.tar")).unlink()
    (tmp_path / "out" / "raw.json").unlink()
    convert(options)
    assert before == members(tmp_path / "out")
    (tmp_path / "out" / "raw.json").unlink()
    (raw / "metadata.csv").write_text(ROWS.replace("480", "481"))
    with pytest.raises(DestinationError, match="the rows of the table differ"):
        convert(options)


def test_a_preview_writes_nothing(raw: Path, tmp_path: Path) -> None:
    """It counts what would be spooled, and reads the table as a conversion does."""
    shown = preview(Options(table=raw / "metadata.csv", dest=str(tmp_path / "out"), workers=0))
    assert 3 == shown.samples
    assert not (tmp_path / "out").exists()
    assert {"metadata.csv", "rose red", "2.jpg"} == {path.name for path in raw.iterdir()}


def test_options_of_other_sets_are_refused(raw: Path, tmp_path: Path) -> None:
    """They would be without effect."""
    with pytest.raises(OptionsError, match="labels devkit is for ImageNet"):
        convert(Options(root=raw, table=raw / "metadata.csv", dest=str(tmp_path), labels="devkit", workers=0))


def test_a_set_goes_on_where_table_and_images_lie_elsewhere(raw: Path, tmp_path: Path) -> None:
    """The rows decide, and not the way from the root to the table."""
    table = (raw / "metadata.csv").rename(tmp_path / "t.csv")
    choices: dict[str, Any] = {"table": table, "dest": str(tmp_path / "out"), "workers": 0, "maxcount": 1}
    convert(Options(root=raw, **choices))
    before = members(tmp_path / "out")
    for name in ("raw-000001.tar", "raw.json"):
        (tmp_path / "out" / name).unlink()
    (tmp_path / "deep").mkdir()
    assert 3 == convert(Options(root=raw.rename(tmp_path / "deep" / "raw"), **choices)).samples
    assert before == members(tmp_path / "out")
