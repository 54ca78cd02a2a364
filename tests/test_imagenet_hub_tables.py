"""ImageNet as Parquet files of the hub: the images in them give the shards of the tree."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from parallel_sharder import Options, SharderError, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.sources.imagenet.classes import PACKAGE_TABLE, read_classes
from parallel_sharder.staging import copy
from tests import made

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training images alone."""
    top = tmp_path_factory.mktemp("sources")
    made.classic_train(top / "raw")
    return made.images_alone(top / "tree", top / "raw")


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def converted(root: Path, out: Path, **choices: Any) -> dict[str, bytes]:
    convert(Options(root=str(root), dest=str(out), **{"maxsize": "60KB", "workers": 0, **choices}))
    return shards(out)


Row: TypeAlias = tuple[bytes | None, str | None, Any]


def table(path: Path, rows: list[Row], kind: Any = None) -> None:
    """A Parquet file of these rows: bytes, path, label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [None if data is None else {"bytes": data, "path": name} for data, name, _ in rows]
    labels = pa.array([label for _, _, label in rows], kind or pa.int64())
    pq.write_table(pa.table({"image": pa.array(cells, struct), "label": labels}), path)


IMAGE = made.image_bytes(random.Random(1), 2000)


@pytest.mark.parametrize("workers", [0, 2])
def test_same_shards(tree: Path, tmp_path: Path, workers: int) -> None:
    """They are those of the tree; verify compares them in one pass; the stage is gone."""
    root = made.hub_tables(tmp_path / "hub", tree)
    assert converted(tree, tmp_path / "plain") == converted(root, tmp_path / "out", workers=workers)
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "out"), source=str(root), workers=0))
    assert ((), 60) == (verdict.deviations, verdict.compared)
    assert not (tmp_path / "out" / ".imagenet_train.stage").exists()


def test_goes_on_after_a_stop(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was staged is kept, or made anew where it is damaged."""
    monkeypatch.setattr(copy, "STRETCH_BYTES", 10_000)
    root = made.hub_tables(tmp_path / "hub", tree)

    class Stopping(Recording):
        def planned(self, *_: Any) -> None:
            raise KeyboardInterrupt

    options = Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0)
    with pytest.raises(KeyboardInterrupt):
        convert(options, Stopping())
    stage = tmp_path / "out" / ".imagenet_train.stage"
    first, second, third = sorted(stage.glob("*.copy"))
    first.rename(f"{first}.begun")
    content = bytearray(second.read_bytes())
    content[15_000] ^= 1
    second.write_bytes(content)
    convert(options)
    assert converted(tree, tmp_path / "plain") == shards(tmp_path / "out")
    assert not third.exists()


def test_rows_without_a_path(tmp_path: Path) -> None:
    """They have the file's name and the row's number as key; such a set is verified."""
    rows: list[tuple[bytes | None, str | None, Any]] = [
        (IMAGE, None, 3),
        (IMAGE, "n01440764_5.JPEG", 0),
        (IMAGE, "", 999),
    ]
    table(tmp_path / "root" / "train-00000-of-00001.parquet", rows)
    [shard] = converted(tmp_path / "root", tmp_path / "out").values()
    for key in ("train-00000-of-00001_0", "n01440764_5", "train-00000-of-00001_2"):
        assert f"{key}.jpg".encode() in shard
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "out"), source=str(tmp_path / "root"), workers=0))
    assert ((), 3) == (verdict.deviations, verdict.compared)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((IMAGE, "n01440764_5_n01440764.JPEG", 1), "the label 1 is n01443537, and the path .* names another class"),
        ((IMAGE, "n01440764_5.JPEG", 1), "the label 1 is n01443537, and the path .* names another class"),
        ((IMAGE, "n01440764_5_n01443537.JPEG", 0), "names another class"),
        ((IMAGE, "n01440764_5.JPEG", 1000), "the label is 1000, and labels of ImageNet are 0 to 999"),
        ((IMAGE, "n01440764_5.JPEG", -1), "the label is -1"),
        ((IMAGE, "n01440764_5.JPEG", None), "the label is None"),
        ((IMAGE, "n01440764_1.JPEG", 0), "n01440764_1.JPEG occurs twice"),
    ],
)
def test_rows_that_would_mislabel(tmp_path: Path, row: tuple[bytes, str, Any], message: str) -> None:
    """They stop the run, with the file and the row."""
    table(tmp_path / "root" / "data" / "train-00000-of-00001.parquet", [(IMAGE, "n01440764_1.JPEG", 0), row])
    with pytest.raises(SharderError, match=rf"train-00000-of-00001.parquet, row 1: .*{message}"):
        converted(tmp_path / "root", tmp_path / "out")


def test_row_without_an_image(tmp_path: Path) -> None:
    """It is left out, named and counted."""
    rows: list[tuple[bytes | None, str | None, Any]] = [
        (IMAGE, "n01440764_1.JPEG", 0),
        (None, None, 4),
        (b"", "n01440764_2.JPEG", 0),
    ]
    table(tmp_path / "root" / "train-0.parquet", rows)
    report = convert(Options(root=str(tmp_path / "root"), dest=str(tmp_path / "out"), workers=0))
    found = [(problem.key, problem.kind.value, problem.detail) for problem in report.problems]
    assert found[0] == ("train-0_1", "bad-image", "the row has no image")
    assert [("n01440764_2", "bad-image")] == [each[:2] for each in found[1:]]


@pytest.mark.parametrize("word", ["val", "validation"])
def test_val_and_test(tmp_path: Path, word: str) -> None:
    """Both names of val are found; test has no labels."""
    table(tmp_path / "data" / f"{word}-00000-of-00001.parquet", [(IMAGE, "ILSVRC2012_val_00000293_n01440764.JPEG", 0)])
    table(tmp_path / "data" / "test-00000-of-00001.parquet", [(IMAGE, "ILSVRC2012_test_00000018.JPEG", -1)])
    [val] = converted(tmp_path, tmp_path / "val", split="val").values()
    [test] = converted(tmp_path, tmp_path / "test", split="test").values()
    assert b"ILSVRC2012_val_00000293.cls" in val
    assert b"ILSVRC2012_test_00000018.jpg" in test
    assert b".cls" not in test


def test_other_data_sets_are_not_imagenet(tree: Path, tmp_path: Path) -> None:
    """Files of such names without paths are ImageNet's by a list of 1,000 classes, a folder's name, or --layout."""
    features = {"label": {"names": [str(number) for number in range(10)]}, "image": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    root = made.hub_tables(tmp_path / "cifar", tree, has_paths=False, metadata=metadata)
    with pytest.raises(SharderError, match=r"says that it is ImageNet's. If it is, use layout parquet"):
        converted(root, tmp_path / "out")
    assert preview(Options(root=str(root), dest=str(tmp_path / "out"), layout="parquet")).samples == 60
    named = made.hub_tables(tmp_path / "imagenet-1k", tree, has_paths=False)
    assert preview(Options(root=str(named), dest=str(tmp_path / "out"))).samples == 60
    features["label"] = {"names": [f"bird {number}" for number in range(1000)]}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    birds = made.hub_tables(tmp_path / "imagenet" / "birds", tree, has_paths=False, metadata=metadata)
    with pytest.raises(SharderError, match="says that it is ImageNet's"):
        converted(birds, tmp_path / "out")
    few = made.hub_tables(tmp_path / "imagenet100", tree, has_paths=False)
    with pytest.raises(SharderError, match="says that it is ImageNet's"):
        converted(few, tmp_path / "out")
    features["label"] = {"names": [synset.name for synset in read_classes(PACKAGE_TABLE, "sorted")]}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    listed = made.hub_tables(tmp_path / "other", tree, has_paths=False, metadata=metadata)
    assert preview(Options(root=str(listed), dest=str(tmp_path / "out"))).samples == 60


def test_full_stage(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of the stage, and not of the source; the same command goes on."""
    root = made.hub_tables(tmp_path / "hub", tree)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("parallel_sharder.stores.growing.GrowingFile.write", full)
        with pytest.raises(SharderError, match=r"stage/.*\.copy cannot be written: No space left on device. Make room"):
            converted(root, tmp_path / "out")
    assert converted(tree, tmp_path / "plain") == converted(root, tmp_path / "out")


def test_no_stage(tree: Path, tmp_path: Path) -> None:
    """Without a stage they cannot be read, and nothing is written."""
    root = made.hub_tables(tmp_path / "hub", tree)
    with pytest.raises(SharderError, match=r"train-00000-of-00003.parquet is a Parquet file.*Leave out stage none"):
        converted(root, tmp_path / "out", stage="none")
    assert not (tmp_path / "out").exists()


def test_columns_that_differ(tree: Path, tmp_path: Path) -> None:
    """A file whose images are in another column than those of the first is refused: another column may come first."""
    root = made.hub_tables(tmp_path / "hub", tree)
    path = root / "data" / "train-00001-of-00003.parquet"
    whole = pq.read_table(path)
    masks = whole.column("image")
    pq.write_table(whole.add_column(0, "mask", masks), path)
    with pytest.raises(
        SharderError, match=r"00001-of-00003.parquet has its images and labels in the columns mask and l"
    ):
        converted(root, tmp_path / "out")
    pq.write_table(whole.drop_columns(["label"]), path)
    with pytest.raises(SharderError, match=r"00001-of-00003.parquet has the columns image, and ImageNet has"):
        converted(root, tmp_path / "out")


def test_odd_paths_and_empty_images(tmp_path: Path) -> None:
    """Paths with a newline, and images without a byte before and behind others: verify finds nothing wrong."""
    rows: list[Row] = [
        (b"", "n01440764_1.JPEG", 0), (IMAGE, "n01440764_2.JPEG\n", 0), (b"", "n01440764_3.JPEG", 0),
        (IMAGE, "n01440764_4.JPEG", 0), (b"", "n01440764_5.JPEG", 0),
    ]  # fmt: skip
    table(tmp_path / "root" / "train-0.parquet", rows)
    converted(tmp_path / "root", tmp_path / "out")
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "out"), source=str(tmp_path / "root"), workers=0))
    assert ((), 2, 3) == (verdict.deviations, verdict.compared, verdict.left_out)


def test_missing_files_are_told(tree: Path, tmp_path: Path) -> None:
    """A part that is not there is named."""
    root = made.hub_tables(tmp_path / "hub", tree)
    (root / "data" / "train-00001-of-00003.parquet").unlink()
    shown = preview(Options(root=str(root), dest=str(tmp_path / "out")))
    assert any("has no train-00001-of-00003.parquet" in notice for notice in shown.notices)


def test_damaged_file(tree: Path, tmp_path: Path) -> None:
    """It is named, and no shard is written."""
    root = made.hub_tables(tmp_path / "hub", tree)
    path = root / "data" / "train-00001-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SharderError, match=r"train-00001-of-00003.parquet is no Parquet file that can be read"):
        converted(root, tmp_path / "out")
    assert shards(tmp_path / "out") == {}
