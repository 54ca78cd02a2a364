"""Another split of ImageNet's images, as Imagenette has it, is recognised by val, and stored whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, Report, VerifyOptions, convert, verify_shards
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from tests import made
from tests.made import WNIDS, Made, val_key
from tests.reference import members_of


def imagenette(root: Path, own: int = 3) -> Made:
    """Ten classes in train/ and val/, each with images of the official train (`own` of them in val) and one of val."""
    expected = Made(root)
    for number, wnid in enumerate(WNIDS[:10]):
        for split, count in (("train", 4), ("val", own)):
            for image in range(count):
                expected.image(f"{split}/{wnid}", f"{wnid}_{len(split) * 1000 + image}", wnid)
            expected.image(f"{split}/{wnid}", val_key(number + 1 + len(split) * 10), wnid)
    return expected


def run(root: Path, split: Any, **more: Any) -> Report:
    return convert(Options(root=root, split=split, dest=root.parent / "out" / split, workers=0, **more))


@pytest.mark.parametrize(("labels", "first"), [("devkit", ilsvrc_ids()[WNIDS[0]]), ("sorted", 0)])
@pytest.mark.parametrize(("split", "others"), [("train", 10), ("val", 30)])
def test_imagenette(tmp_path: Path, split: str, others: int, labels: str, first: int) -> None:
    """All images of both splits are stored with ImageNet's labels, devkit or not; a notice names the other split."""
    expected = imagenette(tmp_path / "raw")
    report = run(tmp_path / "raw", split, labels=labels)
    stored = members_of((tmp_path / "out" / split).glob("*.tar"))
    assert {path.stem for path in (tmp_path / "raw" / split).rglob("*.JPEG")} == {
        name.partition(".")[0] for name in stored
    }
    assert str(first).encode() == stored[f"{WNIDS[0]}_{len(split) * 1000}.cls"]
    assert stored[f"{val_key(1 + len(split) * 10)}.cls"] == str(first).encode()
    assert 0 == report.exit_code
    other = {"train": "val", "val": "train"}[split]
    assert [
        f"{others} of {report.samples} images of {split} have names of {other}: this is another split than the "
        "official one."
    ] == list(report.notices)
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "out" / split, source=tmp_path / "raw", workers=0))
    assert ((), 0) == (verdict.deviations, verdict.exit_code)
    assert len(expected.wnids) == 10 * (5 + 4)


@pytest.mark.parametrize("split", ["train", "val"])
def test_half_is_not_enough(tmp_path: Path, split: str) -> None:
    """Where only half of val's images have names of train, images with names of the other split are misplaced."""
    imagenette(tmp_path / "raw", own=1)
    report = run(tmp_path / "raw", split)
    assert {"misplaced-image"} == {problem.kind.value for problem in report.problems}
    assert (10, 3, ()) == (report.left_out, report.exit_code, report.notices)


def test_images_of_another_class_stay_misplaced(tmp_path: Path) -> None:
    """In another split too, an image that is named after another class than its folder is left out by name."""
    root = tmp_path / "raw"
    imagenette(root)
    (root / "val" / WNIDS[0] / f"{WNIDS[1]}_77.JPEG").write_bytes(made.JPEG)
    report = run(root, "val")
    assert [f"{WNIDS[1]}_77.JPEG"] == [os.path.basename(problem.path) for problem in report.problems]
    assert (40, 1) == (report.samples, report.left_out)


def test_resumed_and_verified_by_its_own_keys(tmp_path: Path) -> None:
    """The manifest says that it is another split; a set without that word must have the official keys."""
    imagenette(tmp_path / "raw")
    made.write_devkit(tmp_path / "raw")
    run(tmp_path / "raw", "val")
    manifest = tmp_path / "out" / "val" / "imagenet_val.json"
    assert '"another_split": true' in manifest.read_text()
    assert 40 == run(tmp_path / "raw", "val").samples
