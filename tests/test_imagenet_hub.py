"""The hub's archives of ImageNet: their names have the classes, and they give the shards of the tree."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, SharderError, VerifyOptions, convert, verify_shards
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from tests import made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classic training tree."""
    root = tmp_path_factory.mktemp("tree")
    made.classic_train(root)
    return root


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def converted(root: Path, out: Path, **choices: Any) -> dict[str, bytes]:
    convert(Options(root=str(root), dest=str(out), **{"maxsize": "60KB", "workers": 0, **choices}))
    return shards(out)


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz", ".tar"])
def test_hub_archives(tree: Path, tmp_path: Path, ending: str) -> None:
    """They give the shards of the tree: without annotations, and with those that --xml-root names."""
    root = made.hub(tmp_path / "hub", tree, ending)
    bare = made.images_alone(tmp_path / "bare", tree)
    assert converted(bare, tmp_path / "plain") == converted(root, tmp_path / "out", workers=2)
    options = VerifyOptions(dest=str(tmp_path / "out"), source=str(root), workers=0)
    assert verify_shards(options).deviations == ()
    annotated = converted(root, tmp_path / "annotated", xml_root=tree / "train")
    without_devkit = tmp_path / "tree"
    shutil.copytree(tree / "train", without_devkit / "train")
    assert converted(without_devkit, tmp_path / "of tree") == annotated


def test_hub_cache(tree: Path, tmp_path: Path) -> None:
    """In the hub's cache the archives are links from a snapshot to blobs."""
    root = made.hub(tmp_path / "hub", tree)
    cache = tmp_path / "datasets--ILSVRC--imagenet-1k"
    (cache / "snapshots" / "4603483" / "data").mkdir(parents=True)
    (cache / "blobs").mkdir()
    for number, path in enumerate(sorted((root / "data").iterdir())):
        path.rename(cache / "blobs" / f"{number:064x}")
        (cache / "snapshots" / "4603483" / "data" / path.name).symlink_to(f"../../../blobs/{number:064x}")
    bare = made.images_alone(tmp_path / "bare", tree)
    assert converted(bare, tmp_path / "plain") == converted(cache, tmp_path / "out")


def test_hub_val_and_test(tmp_path: Path) -> None:
    """The archive of val has the classes in its names, and that of test has none."""
    made.flat_val(tmp_path / "tree", images=20)
    solution = [line.split() for line in _labelled(tmp_path / "tree")]
    (tmp_path / "hub").mkdir()
    with tarfile.open(tmp_path / "hub" / "val_images.tar.gz", "w:gz") as tar:
        for key, wnid in solution:
            made.add_bytes(tar, f"{key}_{wnid}.JPEG", (tmp_path / "tree" / "val" / f"{key}.JPEG").read_bytes())
    with tarfile.open(tmp_path / "hub" / "test_images.tar.gz", "w:gz") as tar:
        made.add_bytes(tar, "ILSVRC2012_test_00000001.JPEG", (tmp_path / "tree" / "val" / f"{key}.JPEG").read_bytes())
    plain = converted(tmp_path / "tree", tmp_path / "plain", split="val", meta=_words(tmp_path))
    assert plain == converted(tmp_path / "hub", tmp_path / "out", split="val", meta=_words(tmp_path))
    [shard] = converted(tmp_path / "hub", tmp_path / "test", split="test").values()
    assert b"ILSVRC2012_test_00000001.jpg" in shard


def _labelled(tree: Path) -> list[str]:
    convert(Options(root=str(tree), dest=str(tree.parent / "first"), split="val", workers=0))
    found = []
    with tarfile.open(tree.parent / "first" / "imagenet_val-000000.tar") as tar:
        for member in tar:
            if member.name.endswith(".cls"):
                file = tar.extractfile(member)
                assert file is not None
                found.append((member.name.removesuffix(".cls"), int(file.read())))
    wnids = {number: wnid for wnid, number in ilsvrc_ids().items()}
    return [f"{key} {wnids[label]}" for key, label in found]


def _words(folder: Path) -> Path:
    return folder / "tree" / "ILSVRC2012_devkit_t12" / "data" / "meta.mat"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("n01440764_1_n01443537.JPEG", "names two classes"),
        ("n01440764_1.JPEG", "does not belong in this archive of train"),
        ("ILSVRC2012_val_00000001_n01440764.JPEG", "does not belong in this archive of train"),
    ],
)
def test_names_in_hub_archives(tmp_path: Path, name: str, message: str) -> None:
    """A name that would mislabel its image stops the run."""
    (tmp_path / "root").mkdir()
    with tarfile.open(tmp_path / "root" / "train_images_0.tar.gz", "w:gz") as tar:
        made.add_bytes(tar, name, b"\xff\xd8\xff")
    with pytest.raises(SharderError, match=message):
        converted(tmp_path / "root", tmp_path / "out")


@pytest.mark.parametrize("annotations", ["original", "boxes"])
def test_verify_with_source(tree: Path, tmp_path: Path, annotations: str) -> None:
    """The archives are read once, in their order, and each image is compared; a broken one is missing with reason."""
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    broken, changed = sorted(root.glob("train/*/*.JPEG"))[:2]
    broken.write_bytes(b"no image")
    hub = made.hub(tmp_path / "hub", root)
    choices: dict[str, Any] = {"xml_root": tree / "train", "annotations": annotations}
    converted(hub, tmp_path / "out", **choices)
    options = VerifyOptions(dest=str(tmp_path / "out"), source=str(hub), xml_root=str(tree / "train"), workers=0)
    verdict = verify_shards(options)
    assert ((), 59, 1) == (verdict.deviations, verdict.compared, verdict.left_out)
    changed.write_bytes(changed.read_bytes() + b"\0")
    shutil.rmtree(hub)
    made.hub(hub, root)
    [deviation] = verify_shards(options).deviations
    assert (changed.stem, True) == (deviation.key, "its image is not that of the source" in deviation.detail)
    broken.write_bytes(changed.read_bytes()[:-1])
    shutil.rmtree(hub)
    made.hub(hub, root)
    assert "it is sound; a conversion would store it" in str(verify_shards(options).deviations)
