"""The labels of val's images: the devkit's and Kaggle's, held to their form."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from tests import made
from tests.made import val_key
from tests.test_imagenet_scan import check, listing_of, refusal


@pytest.mark.parametrize("count", [49_999, 50_001, 0])
def test_ground_truth_of_the_wrong_length(tmp_path: Path, count: int) -> None:
    """One line too few or too many would mislabel all that follow: the ground truth is refused, with its count."""
    made.flat_val(tmp_path, 3)
    path = tmp_path / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("".join("1\n" for _ in range(count)))
    assert f"has {count:,} labels; the validation set has 50,000" in refusal(tmp_path, "val")


def test_ground_truth_that_is_not_labels(tmp_path: Path) -> None:
    """A label that no class has is refused, and so is an image beyond the last label; so is a missing file."""
    expected = made.flat_val(tmp_path, 3)
    path = tmp_path / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    lines = path.read_text().splitlines()
    lines[6] = "1001"
    path.write_text("\n".join(lines))
    assert "label 7 is '1001'" in refusal(tmp_path, "val")
    lines[6] = "1"
    path.write_text("\n".join(lines))
    expected.image("val", val_key(50_001))
    assert "there is an image numbered 50,001" in refusal(tmp_path, "val")
    path.unlink()
    assert f"  {path}" in refusal(tmp_path, "val")


def test_ground_truth_stays_in_the_devkit(tmp_path: Path) -> None:
    """With the class list elsewhere, by --meta, the ground truth is still found in the devkit."""
    expected = made.flat_val(tmp_path, 5)
    meta = tmp_path / "ILSVRC2012_devkit_t12" / "data" / "meta.mat"
    (tmp_path / "elsewhere").mkdir()
    meta = meta.rename(tmp_path / "elsewhere" / "meta.mat")
    check(listing_of(tmp_path, "val", meta=meta), expected, set(expected.wnids), set())


def test_val_solution_that_is_not_text(tmp_path: Path) -> None:
    """Files with bytes that are no text, or with lines that no CSV reader can parse, are refused by name."""
    made.kaggle(tmp_path)
    path = tmp_path / "LOC_val_solution.csv"
    original = path.read_bytes()
    for junk in (b"\xff\xfe,n01440764 1 2 3 4\n", b"x," + b"n" * 200_000 + b"\n"):
        path.write_bytes(original + junk)
        assert f"{path}: cannot be read: " in refusal(tmp_path, "val")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "the first line is not 'ImageId,PredictionString'"),
        (lambda lines: lines[:-1], r"none for 1 of the images, the first ILSVRC2012_val_00000040"),
        (
            lambda lines: [*lines, f"{val_key(1)},n99999999 1 2 3 4"],
            "line 42 gives ILSVRC2012_val_00000001 another class",
        ),
        (lambda lines: [*lines, "x,"], "line 42 is not an image's name and its boxes"),
        (
            lambda lines: [*lines[:-1], f"{val_key(40)},n99999999 1 2 3 4"],
            r"n99999999, which is no class of .*\. Name the class list that belongs to the labels with meta\.$",
        ),
    ],
)
def test_bad_val_solution(tmp_path: Path, change: object, message: str) -> None:
    """Kaggle's labels must have their form, and must cover every image."""
    made.kaggle(tmp_path)
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")  # type: ignore[operator]
    with pytest.raises(SourceError, match=message):
        listing_of(tmp_path, "val")
