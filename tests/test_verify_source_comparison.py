"""The comparison with the source: each sample in exactly one shard, as the source has it."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from tests import made
from tests.sealed import labels_swapped, listed, make, members_in, problems_path, run, said, seal, verify, with_member
from tests.test_bad import picture


def _image_of(folder: Path, position: int = 0) -> Path:
    return sorted(folder.glob("raw/train/*/*.JPEG"))[position]


def test_sources_that_differ(folder: Path) -> None:
    """Another image of the same size, another annotation, one image more, one less: each is named with its shard."""
    image, gone = _image_of(folder), _image_of(folder, -1)
    data = bytearray(image.read_bytes())
    data[50] ^= 1
    image.write_bytes(data)
    xml = min(folder.glob("raw/train/*/*.xml"))
    xml.write_text(xml.read_text().replace("<height>375", "<height>376"))
    more = image.with_name(f"{image.parent.name}_999999.JPEG")
    more.write_bytes(data)
    gone.unlink()
    (gone.with_suffix(".xml")).unlink(missing_ok=True)
    verdict = verify(folder, source=True)
    findings = {each.key: each for each in verdict.deviations}
    assert {image.stem, xml.stem, more.stem, gone.stem} == set(findings)
    assert f"its image is not that of the source, {image}" == findings[image.stem].detail
    assert "its json does not follow from the annotation" in findings[xml.stem].detail
    assert f"{more} is in no shard, and not in the list of problems" == findings[more.stem].detail
    assert "is not in the source" == findings[gone.stem].detail
    shard = findings[image.stem].path
    with tarfile.open(shard) as archive:
        assert archive.getmember(f"{image.stem}.cls").offset == findings[image.stem].offset
    assert 59 == verdict.compared


def test_swapped_labels_of_val_are_found_by_the_source(tmp_path: Path) -> None:
    """A validation image's name does not tell its class; the devkit does."""
    made.flat_val(tmp_path / "raw")
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "imagenet_train-%06d.tar"), split="val", workers=0))
    out = tmp_path / "out"
    out.mkdir()
    for path in tmp_path.glob("imagenet_train*"):
        shutil.move(path, out)
    labels_swapped(out)
    seal(out)
    assert "" == said(verify(tmp_path))
    assert 2 == said(verify(tmp_path, source=True)).count("its json does not follow from the class ")


def test_large_images(tmp_path: Path) -> None:
    """An image of which only the beginning is kept is compared as a whole, and its end is found where it is."""
    shard = make(tmp_path)
    [path] = [path for path in tmp_path.glob("raw/train/*/*.JPEG") if path.stem == members_in(shard)[0][0][:-4]]
    path.write_bytes(picture()[:-2] + bytes(40 << 20) + b"\xff\xd9" + bytes(1 << 20))
    run(tmp_path, overwrite=True)
    assert "" == said(verify(tmp_path, source=True))
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert f"its image is not that of the source, {path}" in said(verify(tmp_path, source=True))


@pytest.mark.parametrize("annotations", ["original", "boxes", "none"])
@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".png"])
def test_images_under_other_endings(tmp_path: Path, annotations: str, ending: str) -> None:
    """A set of them is sound, and in the boxes form `filename` is the file's own name."""
    make(tmp_path)
    for path in tmp_path.glob("raw/train/*/*.JPEG"):
        path.rename(path.with_suffix(ending))
    shard = run(tmp_path, overwrite=True, annotations=annotations)
    assert "" == said(verify(tmp_path, source=True))
    if annotations == "boxes":
        key = with_member(shard, ".json", lambda text: text.replace(ending.encode(), b".JPEG"))
        seal(tmp_path / "out")
        assert "" == said(verify(tmp_path))
        assert {key} == {each.key for each in verify(tmp_path, source=True).deviations}


def test_listed_samples_that_are_in_no_source(tmp_path: Path) -> None:
    """A list that leaves out what the source never had is of another set."""
    make(tmp_path)
    problems_path(tmp_path).write_text(listed(tmp_path / "n01440764_0.JPEG", "bad-image"))
    assert "" == said(verify(tmp_path))
    [deviation] = verify(tmp_path, source=True).deviations
    assert ("n01440764_0", "is listed as left out, but is not in the source") == (deviation.key, deviation.detail)
