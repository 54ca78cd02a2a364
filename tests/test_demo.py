"""The demo: what `make demo` shows."""

from __future__ import annotations

import gc
import io
from pathlib import Path

import pytest
from PIL import Image

from parallel_sharder.demo import main
from tests.reference import expected_members, members_of


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves that to the collector
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It converts train and val and reads back as many samples as it made; its images decode; it can be run again."""
    folder = tmp_path / "demo"
    for _ in range(2):
        assert 0 == main([str(folder)])
        shown = capsys.readouterr().out
        assert "reads 200 samples from " in shown
        assert "reads 50 samples from 1 shard;" in shown
        page = folder / "shards" / "imagenet_train.report.html"
        assert f"Open the page in a browser: {page.as_uri()}" in shown
        assert page.stat().st_size > 100_000
    gc.collect()
    members = members_of(sorted((folder / "shards").glob("imagenet_train-*.tar")))
    assert expected_members(folder / "raw", "train") == members
    for name, data in members.items():
        if name.endswith(".jpg"):
            Image.open(io.BytesIO(data)).load()


def test_demo_spares_a_users_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not its own is left alone; without a folder it says how it is called."""
    (tmp_path / "mine").touch()
    assert 1 == main([str(tmp_path)])
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / "mine").exists()
    assert 2 == main([])
