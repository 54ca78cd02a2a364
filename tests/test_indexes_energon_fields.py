"""Energon's dataset.yaml follows the fields of the samples, or is not written, and that is said."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from parallel_sharder import IndexOptions, index_shards
from parallel_sharder.indexes.energon_fields import ShardFields, dataset_of, fields_lacking
from parallel_sharder.monitor.monitor import Silent


class Heard(Silent):
    """Keeps what is noticed."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def noticed(self, text: str) -> None:
        """Keep the text."""
        self.notices.append(text)


def shard(path: Path, *samples: Mapping[str, bytes]) -> None:
    """Write samples with these fields."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, fields in enumerate(samples):
            for field, data in fields.items():
                member = tarfile.TarInfo(f"{path.stem}/{number}.{field}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def dataset(folder: Path) -> tuple[object, list[str]]:
    """The dataset.yaml that `index` writes, parsed, or None; and what it says."""
    heard = Heard()
    index_shards(IndexOptions(dest=folder, readers=("energon",), workers=0), heard)
    path = folder / ".nv-meta" / "dataset.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else None, heard.notices


def expected(name: str, **fields: str) -> dict[str, object]:
    return {"sample_type": {"__module__": "megatron.energon", "__class__": name}, "field_map": fields}


NAMED = json.dumps({"cls": 3, "cname": "rose"}).encode()


def test_all_image_fields_are_named(tmp_path: Path) -> None:
    """Images of several fields are alternatives, jpg first; the name of the label is there as each shard has it."""
    shard(tmp_path / "x-0.tar", {"cls": b"3", "webp": b"", "json": NAMED}, {"cls": b"3", "bmp": b"", "json": NAMED})
    shard(tmp_path / "x-1.tar", {"cls": b"3", "jpg": b"", "json": NAMED})
    named = expected("ImageClassificationSample", image="jpg,webp,bmp", label="cls", label_name="json[cname]")
    assert (named, []) == dataset(tmp_path)


@pytest.mark.parametrize("about", [b"{}", b'{"cname": 7}', b"[1]", b"no json", b'"' + b"x" * 1_000_000 + b'"'])
def test_label_without_name(tmp_path: Path, about: bytes) -> None:
    """If the JSON of a shard's first sample has no name of a class, energon gets labels alone."""
    shard(tmp_path / "x-0.tar", {"cls": b"3", "jpg": b"", "json": NAMED})
    shard(tmp_path / "x-1.tar", {"cls": b"3", "jpg": b"", "json": about})
    assert (expected("ImageClassificationSample", image="jpg", label="cls"), []) == dataset(tmp_path)


def test_captions(tmp_path: Path) -> None:
    """Images with a caption and no label are energon's captioning samples."""
    shard(tmp_path / "x-0.tar", {"png": b"", "txt": b"a"}, {"jpg": b"", "txt": b"a", "json": NAMED})
    assert (expected("CaptioningSample", image="jpg,png", caption="txt"), []) == dataset(tmp_path)


@pytest.mark.parametrize("fields", [("jpg",), ("cls", "json"), ("cls", "jpg", "png"), ("cls", "seg.png")])
def test_what_the_fields_do_not_say(tmp_path: Path, fields: tuple[str, ...]) -> None:
    """Without label and caption, without an image, or with two, nothing is written, and that is said."""
    shard(tmp_path / "x-0.tar", dict.fromkeys(fields, b"1"))
    found, [notice] = dataset(tmp_path)
    assert found is None
    assert notice.startswith(f"{tmp_path}/.nv-meta/dataset.yaml is not written, because no sample has one image and a")


def test_samples_of_a_test_set_are_passed_over() -> None:
    """Samples without a label beside those that have one change nothing."""
    train = ShardFields(frozenset({("cls", "jpg", "json")}), True)
    test = ShardFields(frozenset({("jpg", "json")}), False)
    assert dataset_of([train]) == dataset_of([test, train])


def test_samples_that_lack_the_label_are_told(tmp_path: Path) -> None:
    """Where a shard has samples with a label and without, energon fails at the latter."""
    shard(tmp_path / "x-0.tar", {"cls": b"3", "jpg": b""}, {"jpg": b"", "txt": b"a"})
    found, [notice] = dataset(tmp_path)
    assert expected("ImageClassificationSample", image="jpg", label="cls") == found
    assert "names the field cls, which some samples lack, and energon cannot read these" in notice


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """What is there stays; where it lacks fields of images, they are named with the remedy."""
    shard(tmp_path / "x-0.tar", {"cls": b"3", "jpg": b""})
    dataset(tmp_path)
    shard(tmp_path / "y-0.tar", {"cls": b"3", "png": b""}, {"cls": b"3", "webp": b""})
    found, [notice] = dataset(tmp_path)
    assert expected("ImageClassificationSample", image="jpg", label="cls") == found
    assert "does not name the images' fields png, webp, so energon leaves out their samples. Add them" in notice
    path = tmp_path / ".nv-meta" / "dataset.yaml"
    path.write_text(path.read_text().replace("jpg", "jpg,png,webp"))
    assert [] == dataset(tmp_path)[1]


def test_lacking_fields() -> None:
    """A field counts as named wherever the file has it as a word."""
    wanted = dataset_of([ShardFields(frozenset({("cls", "jpg"), ("cls", "png")}), False)])
    assert wanted is not None
    assert ["jpg"] == fields_lacking("field_map: {image: 'png, xjpg'}", wanted.images)
