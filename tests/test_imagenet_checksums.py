"""The archives of ImageNet, compared with the digests that are published."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.imagenet import published
from tests import made


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=80)
    return root


def test_check_archives(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives are compared with their MD5, all of them, before anything is written."""
    root = made.official_archives(tmp_path / "archives", raw)
    options = Options(root=root, dest=str(tmp_path / "out"), workers=0, check_archives=True)
    with pytest.raises(SourceError) as caught:
        convert(options)
    assert f"{root}/ILSVRC2012_img_train.tar: " in str(caught.value)
    assert "and should be 1d675b47d978889d74fa0da5fadfb00e" in str(caught.value)
    assert "ILSVRC2012_bbox_train_v2.tar.gz" in str(caught.value)
    assert "ILSVRC2012_devkit_t12.tar.gz" in str(caught.value)
    assert not (tmp_path / "out").exists()
    for path in root.glob("*.*"):
        monkeypatch.setitem(published.MD5, path.name, hashlib.md5(path.read_bytes()).hexdigest())
    found = dict(convert(options).found)
    assert found["checked"].endswith("ILSVRC2012_devkit_t12.tar.gz: as published, by MD5")
    with pytest.raises(SourceError, match="no archive is used whose MD5 is known"):
        convert(Options(root=raw, dest=str(tmp_path / "other"), workers=0, check_archives=True))
