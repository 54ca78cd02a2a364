"""Which data set lies at a root: what is found by itself, what is an ambiguity, and what is said where nothing is."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, convert, preview
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.find import find_source
from parallel_sharder.sources.source import SourceOptions
from tests import made
from tests.made import JPEG, WNIDS

DEVKIT = "ILSVRC2012_devkit_t12"


def put(root: Path, *names: str, content: bytes = JPEG) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def shard(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            made.add_bytes(archive, name, JPEG)
    path.write_bytes(data.getvalue())
    return path


def kind(root: Path | str, **more: Any) -> tuple[str, str]:
    """The layout as which a root is read, and the form."""
    found = find_source(SourceOptions(root=(str(root),), **more)).kind
    return found.layout, found.form


def refusal(root: Path, **more: Any) -> list[str]:
    with pytest.raises(SourceError) as caught:
        find_source(SourceOptions(root=(str(root),), **more))
    return [str(line) for line in caught.value.args]


def flowers(root: Path) -> Path:
    return put(root, "daisy/a.jpg", "rose red/b.png")


def metadata(root: Path) -> Path:
    put(root, "images/a.jpg")
    (root / "metadata.csv").write_text("file_name,text\nimages/a.jpg,a rose\n")
    return root


IMAGENET = ("tree", "")


def test_classes_of_imagenet_are_imagenet(tmp_path: Path) -> None:
    """Class folders that are all among the 1,000 are ImageNet without a devkit; --layout folders numbers them."""
    made.classic_train(tmp_path)
    shutil.rmtree(tmp_path / DEVKIT)
    assert IMAGENET == kind(tmp_path)
    assert IMAGENET == kind(tmp_path / "train")
    assert ("folders", "folders") == kind(tmp_path, layout="folders")
    listed = preview(Options(root=tmp_path, dest=tmp_path / "out", workers=0))
    assert "class folders, numbered from 0 on (--layout folders)" == dict(listed.found)["not read as"]


@pytest.mark.parametrize("other", ["n99999999", "n00000001", "roses"])
def test_one_other_class_makes_class_folders(tmp_path: Path, other: str) -> None:
    """If one folder is none of the 1,000 classes, as in ImageNet-21k, they are class folders; a devkit decides else."""
    made.classic_train(tmp_path)
    put(tmp_path, f"train/{other}/{other}_1.JPEG")
    assert IMAGENET == kind(tmp_path)
    shutil.rmtree(tmp_path / DEVKIT)
    assert ("folders", "folders") == kind(tmp_path)
    assert ("folders", "folders") == kind(tmp_path / "train")


def test_a_folder_too_many(tmp_path: Path, typed: None) -> None:
    """Folders beside ImageNet's classes are named: in a note, or in a refusal where another split is ImageNet's."""
    made.classic_train(tmp_path)
    shutil.rmtree(tmp_path / DEVKIT)
    (tmp_path / "train" / "n99999999").mkdir()
    put(tmp_path, "train/cat/1.jpg")
    for root in (tmp_path, tmp_path / "train"):
        besides = find_source(SourceOptions(root=(str(root),))).kind.besides
        assert "ImageNet, because these folders are none of its 1,000 classes: cat, n99999999" == besides
    put(tmp_path, f"val/{WNIDS[0]}/ILSVRC2012_val_00000001.JPEG")
    [told] = refusal(tmp_path)
    assert "none of its 1,000 classes: cat, n99999999. Move these out of the way, or use --layout folders" in told
    put(tmp_path, *(f"train/n{number:08}/n{number:08}_1.JPEG" for number in range(99)))
    source = find_source(SourceOptions(root=(str(tmp_path),)))
    assert ("folders", "") == (source.kind.layout, source.kind.besides)  # as ImageNet-21k, which has all of them


def test_tiny_imagenet(tmp_path: Path) -> None:
    """tiny-imagenet's shape is that of class folders, though its classes are ImageNet's."""
    for wnid in WNIDS[:3]:
        put(tmp_path, f"train/{wnid}/images/{wnid}_0.JPEG")
    put(tmp_path, "val/images/val_0.JPEG")
    (tmp_path / "val" / "val_annotations.txt").write_text(f"val_0.JPEG\t{WNIDS[0]}\t0\t0\t1\t1\n")
    assert ("folders", "folders") == kind(tmp_path)
    assert ("folders", "folders") == kind(tmp_path, split="val")
    assert "" == find_source(SourceOptions(root=(str(tmp_path),))).kind.besides  # ImageNet's layouts could not read it


def test_other_images_beside_a_devkit_above(tmp_path: Path) -> None:
    """A devkit in the folder above, which belongs to another set, does not make ImageNet of flowers."""
    made.classic_train(tmp_path / "imagenet")
    (tmp_path / "imagenet" / DEVKIT).rename(tmp_path / DEVKIT)
    flowers(tmp_path / "flowers" / "train")
    assert ("folders", "folders") == kind(tmp_path / "flowers")
    assert IMAGENET == kind(tmp_path / "imagenet")


@pytest.mark.parametrize("split", ["", "train/", "val/"])
def test_class_folders(tmp_path: Path, split: str) -> None:
    """Class folders are found with splits or without."""
    flowers(tmp_path / split)
    assert ("folders", "folders") == kind(tmp_path)


def test_a_link_up(tmp_path: Path) -> None:
    """What lies beside the root is not looked at through a link that leads to a folder above."""
    made.classic_train(tmp_path / "imagenet")
    root = flowers(tmp_path / "flowers")
    (root / "daisy" / "up").symlink_to("../..")
    assert ("folders", "folders") == kind(root)


def test_tables(tmp_path: Path) -> None:
    """A table that is named, or found beside images, comes before their folders, which are named as another way."""
    assert ("table", "table") == kind(metadata(tmp_path / "a"))
    assert (
        "images without the table (--layout folders)"
        == find_source(SourceOptions(root=(str(tmp_path / "a"),))).kind.besides
    )
    assert ("folders", "folders") == kind(tmp_path / "a", layout="folders")
    (tmp_path / "a" / "metadata.csv").rename(tmp_path / "captions.csv")
    assert ("table", "table") == kind(tmp_path / "a", table=tmp_path / "captions.csv")


def test_root_at_a_table(tmp_path: Path, typed: None) -> None:
    """A table that is named as the root is refused with the option that reads it."""
    table = metadata(tmp_path) / "metadata.csv"
    assert [f"{table} is a table, and no folder. Use --table {table} in place of --root."] == refusal(table)


def test_several_roots_of_no_shards(tmp_path: Path, typed: None) -> None:
    """Several roots are for shards: a folder without a tar among them is refused with a word on that."""
    flowers(tmp_path / "a")
    shard(tmp_path / "b" / "x-000000.tar", "a.jpg")
    with pytest.raises(SourceError, match=r"/a has no file that ends in .tar. Only shards are read from more than one"):
        find_source(SourceOptions(root=(str(tmp_path / "b"), str(tmp_path / "a"))))


def test_shards(tmp_path: Path) -> None:
    """Shards are found in a folder, by one path, by a pattern, and by several."""
    path = shard(tmp_path / "old" / "a-000000.tar", "a.jpg")
    shard(tmp_path / "old" / "a-000001.tar", "b.jpg")
    for root in (tmp_path / "old", path, tmp_path / "old" / "*.tar", tmp_path / "old" / "a-{000000..000001}.tar"):
        assert ("shards", "shards") == kind(root)
    both = (str(path), str(tmp_path / "old" / "a-000001.tar"))
    assert "shards" == find_source(SourceOptions(root=both)).kind.layout
    assert ("shards", "shards") == kind(shard(tmp_path / "one" / "pictures.tar", "a.jpg").parent)


def test_sets_of_this_tool_are_no_source(tmp_path: Path) -> None:
    """Shards that this tool has made, beside their source, are no second data set; a pattern reads them."""
    flowers(tmp_path)
    convert(Options(root=tmp_path, layout="folders", dest=tmp_path.parent / "made", workers=0))
    for path in (tmp_path.parent / "made").iterdir():
        path.rename(tmp_path / path.name)
    assert ("folders", "folders") == kind(tmp_path)
    assert ("shards", "shards") == kind(tmp_path / "*.tar")


def test_only_a_set_of_this_tool(tmp_path: Path, typed: None) -> None:
    """A root that holds nothing but a set of this tool is refused with the pattern that reads its shards."""
    convert(Options(root=flowers(tmp_path / "flowers"), dest=tmp_path / "made", workers=0))
    [told] = refusal(tmp_path / "made")
    assert told.endswith(f"name its shards by a pattern: --root '{tmp_path}/made/flowers*.tar'.")


def test_ambiguities(tmp_path: Path) -> None:
    """Two data sets at one root are an ambiguity: the message lists each with its --layout, which settles it."""
    shards = ("shards", "a-000000.tar")
    for number, (make, layout) in enumerate(((flowers, "folders"), (metadata, "table"))):
        root = make(tmp_path / str(number))
        shard(root / "a-000000.tar", "a.jpg")
        first, *lines = refusal(root)
        assert f"{root} holds more than one data set, as it seems. Choose one with --layout:" == first
        assert [layout, "shards"] == [line.partition("--layout ")[2].partition(":")[0] for line in lines]
        assert lines[1].endswith(shards[1])
        for each in (layout, "shards"):
            assert (each, each) == kind(root, layout=each)
    made.classic_train(tmp_path / "raw")
    root = flowers(made.official_archives(tmp_path / "archives", tmp_path / "raw"))
    assert "" == kind(root)[1]  # a devkit leaves no doubt
    (root / f"{DEVKIT}.tar.gz").unlink()
    lines = refusal(root)[1:]
    assert ["archives", "folders"] == [line.partition("--layout ")[2].partition(":")[0] for line in lines]
    assert "" == kind(root, layout="archives")[1]


def test_one_archive_beside_images_is_no_set(tmp_path: Path) -> None:
    """The download beside the folders that it unpacks to is not taken for shards."""
    flowers(tmp_path)
    shard(tmp_path / "flowers.tar", "daisy/a.jpg")
    assert ("folders", "folders") == kind(tmp_path)


def test_above_several_data_sets(tmp_path: Path, typed: None) -> None:
    """At a folder above data sets, of which one is ImageNet, the message names them all."""
    made.classic_train(tmp_path / "imagenet")
    assert [f"Did you mean --root {tmp_path / 'imagenet'}?"] == refusal(tmp_path)[-1:]
    flowers(tmp_path / "flowers")
    metadata(tmp_path / "captions")
    shard(tmp_path / "old" / "a-000000.tar", "a.jpg")
    (tmp_path / "notes").mkdir()
    question, others = refusal(tmp_path)[-2:]
    assert f"Did you mean --root {tmp_path / 'imagenet'}?" == question
    assert others.startswith("Images or shards lie in several of its folders: captions, flowers, imagenet, old. Name")


def test_nothing_there(tmp_path: Path) -> None:
    """Where nothing is found, the message says what was looked for, what is there, and what to do."""
    put(tmp_path, "a.txt", "b.txt", "notes/c.md")
    lines = refusal(tmp_path)
    assert f"metadata.csv, metadata.jsonl, metadata.parquet, and shards (*.tar): in {tmp_path}/" in lines[-3]
    assert f"{tmp_path} holds 1 folder (notes) and 2 files (2 .txt; the first: a.txt, b.txt)." == lines[-2]
    assert "Name the folder that holds one of them with --root." == lines[-1]
    put(tmp_path, "data.csv")
    assert (
        f"If {tmp_path}/data.csv is a table of images, --table {tmp_path}/data.csv reads it." == refusal(tmp_path)[-1]
    )


def test_dest_is_no_source(tmp_path: Path) -> None:
    """Images in the folder that --dest names are none of the source."""
    put(tmp_path, "out/a.jpg")
    assert ("folders", "folders") == kind(tmp_path)
    assert refusal(tmp_path, dest=str(tmp_path / "out"))[-1].endswith("with --root.")
