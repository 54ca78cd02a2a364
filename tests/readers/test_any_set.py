"""Every reader gives back every sample of sets that are not ImageNet: class folders of mixed formats, and shards that
webdataset's own writer made, sharded anew; and folder readers give the same as our shards of the same folder.
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from tests.readers import any_sets
from tests.readers.any_sets import components, image_of, sharded
from tests.readers.conftest import Readers, needs_package, tool
from tests.readers.field_programs import Sample
from tests.readers.programs import Decoded

UNDECODED = "__module__: megatron.energon\n__class__: CrudeWebdataset\n"


class Set(NamedTuple):
    """A set of shards in a folder: what its shards' names begin with, its split, its images' fields, its samples."""

    folder: Path
    name: str
    split: str
    images: tuple[str, ...]
    others: tuple[str, ...]
    samples: list[Sample]

    def readers(self, home: Path) -> Readers:
        """Runs readers in the set's folder."""
        return Readers(self.folder, home)


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders, train and val."""
    root = tmp_path_factory.mktemp("raw") / "flowers"
    any_sets.make_flowers(root)
    return root


@pytest.fixture(scope="session")
def flower_shards(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the shards of both splits, every index, and a card."""
    folder = tmp_path_factory.mktemp("flower_shards")
    for split, shards in (("train", 5), ("val", 2)):
        words = ("--shards", str(shards), "--index", "all", "--card")
        sharded("--root", flowers, "--split", split, "--dest", folder, *words)
    return folder


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards that webdataset's own writer has made, of seven samples each, in a folder for each tar format."""
    root = tmp_path_factory.mktemp("foreign")
    for form in ("USTAR_FORMAT", "PAX_FORMAT"):
        (root / form).mkdir()
        made = Readers(root / form, root).read_fields("write_shards", "old", form, "52", "7")
        assert (52, 8) == (len(made), len(list((root / form).glob("*.tar"))))
    assert b"mtime=" in (root / "PAX_FORMAT" / "old-000000.tar").read_bytes()
    return root


@pytest.fixture(scope="session", params=["train", "val", "USTAR_FORMAT", "PAX_FORMAT"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Set:
    """Each set: of class folders, train and val; and of foreign shards, both formats, sharded anew."""
    if request.param in ("train", "val"):
        folder, root = (request.getfixturevalue(name) for name in ("flower_shards", "flowers"))
        samples = any_sets.flower_samples(root, request.param)
        images = any_sets.IMAGE_FIELDS
        return Set(folder, f"flowers_{request.param}", request.param, images, ("cls", "json"), samples)
    old = request.getfixturevalue("foreign") / request.param
    folder = tmp_path_factory.mktemp(request.param)
    words = ("--shards", "4", "--seed", "7", "--index", "all", "--card")
    sharded("--root", old / "*.tar", "--dest", folder / "anew-%06d.tar", *words)
    return Set(
        folder, "anew", "train", ("jpg", "png"), ("cls", "json", "seg.png", "txt"), any_sets.samples_in(old, "old")
    )


def decoded(samples: Iterable[Sample]) -> Counter[Decoded]:
    """Samples as one who decodes the images gives them, by Pillow."""
    found: Counter[Decoded] = Counter()
    for _, items in samples:
        fields = dict(items)
        image = Image.open(io.BytesIO(image_of(fields))).convert("RGB")
        found[image.size, image.tobytes(), int(fields["cls"])] += 1
    return found


def test_webdataset(made: Set, tmp_path: Path) -> None:
    """Webdataset gives each sample with its key and all its fields, and none besides."""
    assert made.samples == sorted(made.readers(tmp_path).read_fields("webdataset", made.name))


def test_wids(made: Set, tmp_path: Path) -> None:
    """Wids finds each sample by its number through our index."""
    needs_package("wids")
    assert made.samples == sorted(made.readers(tmp_path).read_fields("wids", made.name))


@pytest.mark.parametrize("way", ["streaming", "arrow"])
def test_datasets(made: Set, way: str, tmp_path: Path) -> None:
    """Hugging Face's datasets, told the type of each field, gives each sample."""
    needs_package("datasets")
    fields = (*made.images, *made.others)
    assert made.samples == sorted(made.readers(tmp_path).read_fields("datasets", made.name, way, *fields))


@pytest.mark.parametrize("way", ["streaming", "arrow"])
def test_datasets_by_card(made: Set, way: str, tmp_path: Path) -> None:
    """With our card the folder loads as it is, though fields differ between samples."""
    needs_package("datasets")
    split = {"val": "validation"}.get(made.split, made.split)
    assert made.samples == sorted(made.readers(tmp_path).read_fields("datasets_by_card", split, way))


@pytest.mark.parametrize("way", ["index", "no index"])
def test_dali(made: Set, way: str, tmp_path: Path) -> None:
    """DALI, told that an image has one field or another, gives the members of each sample, with our index or none."""
    needs_package("nvidia-dali-cuda120")
    names = (";".join(made.images), *made.others)
    read = made.readers(tmp_path).read_fields("dali", made.name, way, *names)
    assert sorted(components(made.samples, *names)) == sorted(read)


def test_energon_undecoded(made: Set, tmp_path: Path) -> None:
    """Energon's crude samples, found by our index, have all fields of each sample."""
    needs_package("megatron-energon")
    folder = tmp_path / "shards"
    shutil.copytree(made.folder, folder)
    (folder / ".nv-meta" / "undecoded.yaml").write_text(UNDECODED)
    assert made.samples == sorted(made.readers(tmp_path).read_fields("energon", made.split, folder=folder))


def test_energon_lint(made: Set, tmp_path: Path) -> None:
    """Energon's own lint finds nothing."""
    made.readers(tmp_path).run([tool("energon"), "lint", "--split-parts", made.split, "."])


@pytest.mark.parametrize("split", ["train", "val"])
def test_energon_of_folders(flowers: Path, flower_shards: Path, split: str, tmp_path: Path) -> None:
    """By the dataset.yaml of our index Energon decodes images of all formats, and gives label and class name."""
    needs_package("megatron-energon")
    samples = any_sets.flower_samples(flowers, split)
    read = Readers(flower_shards, tmp_path).read("energon", split)
    assert decoded(samples) == Counter(sample for _, sample, _ in read)
    assert {key: json.loads(dict(fields)["json"])["cname"] for key, fields in samples} == {
        key: name for key, _, name in read
    }


def test_timm(made: Set, tmp_path: Path) -> None:
    """Timm, told which fields are images, gives each image as Pillow decodes it, with its label."""
    needs_package("timm")
    read = made.readers(tmp_path).read_fields("timm", made.split, ";".join(made.images))
    assert decoded(made.samples) == Counter(read)


@pytest.mark.parametrize("split", ["train", "val"])
def test_image_folder(flowers: Path, flower_shards: Path, split: str, tmp_path: Path) -> None:
    """Torchvision's ImageFolder gives the same images and labels as our shards of the same folder."""
    needs_package("torchvision")
    readers = Readers(flower_shards, tmp_path)
    expected = Counter(readers.read_fields("image_folder", str(flowers / split)))
    stored = any_sets.samples_in(flower_shards, f"flowers_{split}")
    assert expected == decoded(stored)
    assert expected == Counter(readers.read_fields("timm", split, ";".join(any_sets.IMAGE_FIELDS)))


def test_image_folder_classes(flowers: Path, flower_shards: Path, tmp_path: Path) -> None:
    """Each label is the name of the class that ImageFolder gives the label."""
    needs_package("torchvision")
    classes = Readers(flower_shards, tmp_path).read_fields("image_folder_classes", str(flowers / "train"))
    stored = any_sets.samples_in(flower_shards, "flowers_train")
    about = [json.loads(dict(fields)["json"]) for _, fields in stored]
    assert dict(enumerate(classes)) == {each["cls"]: each["cname"] for each in about}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_hugging_face_folder(ending: str, tmp_path: Path) -> None:
    """Hugging Face's imagefolder gives the same rows as our shards of the folder with its metadata, by our card too."""
    needs_package("datasets")
    root, folder = tmp_path / "captioned", tmp_path / "shards"
    any_sets.make_captioned(root, ending)
    sharded("--root", root, "--dest", folder / "captioned-%06d.tar", "--shards", "3", "--card")
    samples = any_sets.samples_in(folder, "captioned")
    assert any_sets.ROWS == len(samples)
    assert samples == sorted(Readers(folder, tmp_path).read_fields("datasets_by_card", "train", "arrow"))
    stored = [row_of(fields, root) for _, fields in samples]
    expected = Readers(tmp_path, tmp_path).read_fields("hugging_face_folder", str(root))
    assert sorted(expected, key=rating) == sorted(stored, key=rating)


def row_of(items: Iterable[tuple[str, bytes]], root: Path) -> dict[str, Any]:
    """A sample of ours as a row of Hugging Face's; its JSON must name the file that the image is of."""
    fields = dict(items)
    about: dict[str, Any] = json.loads(fields["json"])
    assert (root / about.pop("filename")).read_bytes() == image_of(fields)
    assert int(fields["cls"]) == about.pop("cls")
    about.pop("cname", None)
    return about | {"image": image_of(fields), "text": fields["txt"].decode(), "label": int(fields["cls"])}


def rating(row: dict[str, Any]) -> int:
    return int(row["rating"])
