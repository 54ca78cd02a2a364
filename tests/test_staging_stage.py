"""The stage: a source that is copied to a fast disk first gives the same shards, whatever happens to the copies."""

from __future__ import annotations

import dataclasses
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, SharderError, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.staging import copy, stretches, through
from parallel_sharder.staging.stage import NO_STAGE
from parallel_sharder.stores import durable
from tests import made, made_layouts

IMAGENET = ("tree", "archives", "kaggle", "zip")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet in four layouts, each in a folder of its name."""
    top = tmp_path_factory.mktemp("sources")
    made.classic_train(top / "tree")
    made.official_archives(top / "archives", top / "tree")
    made.kaggle(top / "kaggle")
    made.kaggle_zip(top / "zip", top / "kaggle")
    return top


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is staged in this process has several pieces."""
    for module, name, size in (
        (stretches, "STRETCH_BYTES", 20_000), (copy, "STRETCH_BYTES", 20_000), (copy, "CHUNK_BYTES", 7_000),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, size)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def converted(root: Path, out: Path, **choices: Any) -> dict[str, bytes]:
    convert(Options(root=str(root), dest=str(out), **{"maxsize": "60KB", "workers": 0, **choices}))
    return shards(out)


def staged_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("name", "top"),
    [
        ("ILSVRC2017_CLS-LOC.tar.gz", "ILSVRC"),
        ("imagenet_object_localization_patched2019.tar.gz", "./ILSVRC"),
        ("ILSVRC.tar.zst", "data/ILSVRC"),
        ("ILSVRC2015_CLS-LOC.tar", "ILSVRC"),
    ],
)
def test_kaggle_tars(sources: Path, tmp_path: Path, split: str, name: str, top: str) -> None:
    """Kaggle's tree in a tar gives the shards of the tree, annotations included; verify reads it once."""
    root = made.kaggle_tar(tmp_path / "root", sources / "kaggle", name, top)
    plain = converted(sources / "kaggle", tmp_path / "plain", split=split)
    assert plain == converted(root, tmp_path / "out", split=split)
    options = VerifyOptions(dest=str(tmp_path / "out"), source=str(root), workers=0)
    assert verify_shards(options).deviations == ()
    if split != "test":
        boxes = {"split": split, "annotations": "boxes"}
        converted(root, tmp_path / "boxes", stage=tmp_path / "stage", **boxes)
        options = VerifyOptions(dest=str(tmp_path / "boxes"), source=str(root), workers=0)
        assert verify_shards(options).deviations == ()


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_other_splits_take_no_room(sources: Path, tmp_path: Path, split: str, ending: str) -> None:
    """Of a tar with all splits, the others are holes in the copy, unless it is to serve them too."""
    root = made.kaggle_tar(tmp_path / "root", sources / "kaggle", f"ILSVRC2017_CLS-LOC.tar{ending}")
    plain = converted(sources / "kaggle", tmp_path / "plain", split=split)
    data = (root / f"ILSVRC2017_CLS-LOC.tar{ending}").read_bytes()
    tar = gzip.decompress(data) if ending else data
    for number, keep in enumerate((False, True)):
        out, stage = tmp_path / f"out{number}", tmp_path / f"stage{number}"
        choices: dict[str, Any] = {"split": split, "maxsize": "60KB", "workers": 0, "stage": stage, "keep_stage": keep}
        options = Options(root=str(root), dest=str(out), **choices)
        before = preview(options).stage

        class Stopping(Recording):
            def planned(self, *_: Any) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(options, Stopping())
        [copied] = stage.glob("*.copy")
        content = copied.read_bytes()
        assert len(content) == len(tar)
        assert keep == (content == tar)
        kept = sum(a == b != 0 for a, b in zip(content, tar, strict=True))
        listed = sum(map(len, plain.values()))
        assert before is not None
        if not keep:
            assert kept < 2 * listed + 40_000
            assert before.needed_bytes < 2 * listed
        convert(options)
        assert plain == shards(out)


def test_holes_where_annotations_were_unpacked(sources: Path, tmp_path: Path) -> None:
    """A copy that a run with other annotations has left has those of the tar too, for a run that reads them there."""
    root = made.kaggle_tar(tmp_path / "root", sources / "kaggle")
    xmls = tmp_path / "xmls.tar.gz"
    with tarfile.open(xmls, "w:gz") as archive:
        archive.add(sources / "kaggle" / "ILSVRC" / "Annotations" / "CLS-LOC" / "train", "train")

    class Stopping(Recording):
        def planned(self, *_: Any) -> None:
            raise KeyboardInterrupt

    stage = tmp_path / "stage"
    with pytest.raises(KeyboardInterrupt):
        out = str(tmp_path / "one")
        convert(Options(root=str(root), dest=out, stage=stage, xml_root=xmls, workers=0), Stopping())
    assert [*stage.glob("*.copy")]
    assert converted(sources / "kaggle", tmp_path / "plain") == converted(root, tmp_path / "two", stage=stage)


@pytest.mark.parametrize("when", ["at once", "later", "never"])
def test_holes_after_a_stop(sources: Path, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy with holes that was begun is continued, and one whose listing is lost is not listed in its place."""
    root = made.kaggle_tar(tmp_path / "root", sources / "kaggle", "ILSVRC2017_CLS-LOC.tar.xz")
    plain = converted(sources / "kaggle", tmp_path / "plain", split="val")
    stage, out = tmp_path / "stage", tmp_path / "out"
    options = Options(root=str(root), dest=str(out), split="val", maxsize="60KB", workers=0, stage=stage)
    stops_at = {"at once": 3, "later": 40, "never": 10**9}[when]
    advance = through._Front._advance
    count = 0

    def stopping(front: Any) -> bool:
        nonlocal count
        count += 1
        if count == stops_at:
            raise KeyboardInterrupt
        return advance(front)

    class Stopping(Recording):
        def found(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(through._Front, "_advance", stopping)
        convert(options, Stopping())
    assert bool([*stage.glob("*.begun")]) == (when != "never")
    convert(options)
    assert plain == shards(out)
    assert staged_names(stage) == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("layout", IMAGENET)
def test_same_shards(sources: Path, tmp_path: Path, layout: str, workers: int) -> None:
    """They are those that are written without a stage; nothing of the stage stays, and nothing is written beside."""
    plain = converted(sources / layout, tmp_path / "plain")
    before = made_layouts.state(sources / layout)
    stage = tmp_path / "fast" / "stage"
    assert plain == converted(sources / layout, tmp_path / "staged", stage=stage, workers=workers)
    assert (before, False) == (made_layouts.state(sources / layout), stage.exists())
    manifest = (tmp_path / "staged" / "imagenet_train.json").read_bytes()
    assert (tmp_path / "plain" / "imagenet_train.json").read_bytes() == manifest


@pytest.mark.parametrize("layout", made_layouts.LAYOUTS)
def test_same_shards_of_other_data_sets(tmp_path: Path, layout: str) -> None:
    """Names with odd bytes, side files, rows of tables and samples of foreign shards are copied too."""
    source = made_layouts.make(tmp_path, layout)
    choices = {"root": source.root, "maxsize": "40KB", "workers": 0, **source.choices}
    convert(Options(dest=str(tmp_path / "plain"), **choices))
    convert(Options(dest=str(tmp_path / "staged"), stage=str(tmp_path / "stage"), **choices))
    assert shards(tmp_path / "plain") == shards(tmp_path / "staged") != {}


def test_nothing_stays_of_what_was_staged(sources: Path, tmp_path: Path) -> None:
    """Also where rows or annotations lie in a spool, beside the shards or beside the stage."""
    table = made_layouts.make(tmp_path / "table", "csv")
    convert(Options(root=table.root, dest=str(tmp_path / "out"), workers=0, stage=tmp_path / "one", **table.choices))
    assert staged_names(tmp_path / "one") == []
    tree = made.images_alone(tmp_path / "tree", sources / "tree")
    xmls = sources / "archives" / "ILSVRC2012_bbox_train_v2.tar.gz"
    plain = converted(tree, tmp_path / "plain", xml_root=xmls)
    assert plain == converted(tree, tmp_path / "staged", xml_root=xmls, stage=tmp_path / "two")
    assert staged_names(tmp_path / "two") == []


def test_shards_beside_the_source(tmp_path: Path) -> None:
    """What lies in the folder of the shards is staged too, if it is a part of the source."""
    made.flat_val(tmp_path / "set", images=20)
    recording = Recording()
    options = Options(root=str(tmp_path / "set"), split="val", dest=str(tmp_path / "set"), workers=0)
    convert(dataclasses.replace(options, stage=str(tmp_path / "stage")), recording)
    assert any(text.startswith("staged 20 files, ") for text in recording.notices)


def test_stage_of_another_command(sources: Path, tmp_path: Path) -> None:
    """A stage that a stopped run left beside the shards goes when another source's set is published there."""
    root = made.hub(tmp_path / "hub", sources / "tree")

    class Stopping(Recording):
        def planned(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(Options(root=str(root), dest=str(tmp_path / "out"), workers=0), Stopping())
    assert (tmp_path / "out" / ".imagenet_train.stage").exists()
    converted(sources / "tree", tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / ".imagenet_train.stage").exists()


def test_on_another_disk(sources: Path, tmp_path: Path) -> None:
    """The stage can lie on another file system than source and shards."""
    stage = Path("/dev/shm") / f"stage-{os.getpid()}"
    if os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("/dev/shm is no file system of its own")
    plain = converted(sources / "tree", tmp_path / "plain")
    assert plain == converted(sources / "tree", tmp_path / "staged", stage=stage)
    assert not stage.exists()


@pytest.mark.parametrize("ending", made.PACKED)
def test_compressed_archives(sources: Path, tmp_path: Path, ending: str) -> None:
    """An official archive that somebody has compressed is unpacked to a stage beside the shards, which then goes."""
    root = tmp_path / "root"
    shutil.copytree(sources / "archives", root)
    plain = root / "ILSVRC2012_img_train.tar"
    (root / f"{plain.name}.{ending}").write_bytes(made.PACKED[ending](plain.read_bytes()))
    plain.unlink()
    assert converted(sources / "archives", tmp_path / "plain") == converted(root, tmp_path / "packed")
    beside = [".imagenet_train.index", ".imagenet_train.journal", ".imagenet_train.run.jsonl", "imagenet_train.json"]
    assert beside == [name for name in staged_names(tmp_path / "packed") if not name.endswith(".tar")]


def test_same_command_again(sources: Path, tmp_path: Path) -> None:
    """It says that all is done, and stages nothing; the stage is filled again for many shards that are missing."""
    root = made.hub(tmp_path / "hub", sources / "tree")
    first = converted(root, tmp_path / "out")
    recording = Recording()
    convert(Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0), recording)
    assert not [text for text in recording.notices if "staged" in text]
    (tmp_path / "out" / "imagenet_train-000001.tar").unlink()
    recording = Recording()
    convert(Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0), recording)
    assert [text for text in recording.notices if "staged 5 archives" in text]
    assert first == shards(tmp_path / "out")


@pytest.mark.parametrize("layout", ["tree", "hub"])
def test_one_shard_of_many(sources: Path, tmp_path: Path, layout: str) -> None:
    """For a shard of twenty the source is not staged, unless it can be read in no other way."""
    root = sources / "tree" if layout == "tree" else made.hub(tmp_path / "hub", sources / "tree")
    options = Options(root=str(root), dest=str(tmp_path / "out"), shards=20, workers=0, stage=tmp_path / "stage")
    convert(options)
    first = shards(tmp_path / "out")
    (tmp_path / "out" / "imagenet_train-000007.tar").unlink()
    recording = Recording()
    convert(options, recording)
    assert first == shards(tmp_path / "out")
    assert ("staged 5 archives" if layout == "hub" else "read from the source") in str(recording.notices)


@pytest.mark.parametrize("layout", ["tree", "hub"])
def test_nodes_of_an_array(sources: Path, tmp_path: Path, layout: str) -> None:
    """The first node stages for all; the last one publishes, and removes the stage."""
    root = sources / "tree" if layout == "tree" else made.hub(tmp_path / "hub", sources / "tree")
    alone = converted(root, tmp_path / "alone")
    stage = str(tmp_path / "stage") if layout == "tree" else None
    recordings = [Recording() for _ in range(3)]
    for number, recording in enumerate(recordings):
        out = str(tmp_path / "out")
        convert(
            Options(root=str(root), dest=out, maxsize="60KB", workers=0, node=f"{number}/3", stage=stage), recording
        )
    assert alone == shards(tmp_path / "out")
    assert "kept from an earlier run" in str(recordings[1].notices) or layout == "hub"
    assert staged_names(tmp_path / "stage") == []
    assert not (tmp_path / "out" / ".imagenet_train.stage").exists()


@pytest.mark.parametrize("layout", ["tree", "archives"])
def test_keep_stage(sources: Path, tmp_path: Path, layout: str) -> None:
    """What is kept serves the next seed, which does not read the images of the source again."""
    root = tmp_path / "root"
    shutil.copytree(sources / layout, root)
    choices = {"stage": tmp_path / "stage", "keep_stage": True}
    converted(root, tmp_path / "one", **choices)
    names = staged_names(tmp_path / "stage")
    assert names
    plain = converted(root, tmp_path / "plain", seed=1)
    before = {name: (tmp_path / "stage" / name).stat().st_mtime_ns for name in names}
    assert plain == converted(root, tmp_path / "two", seed=1, **choices)
    assert before == {name: (tmp_path / "stage" / name).stat().st_mtime_ns for name in staged_names(tmp_path / "stage")}
    converted(root, tmp_path / "three", seed=2, stage=tmp_path / "stage")
    assert staged_names(tmp_path / "stage") == []


def test_of_an_earlier_state(sources: Path, tmp_path: Path) -> None:
    """What was staged of an archive that was copied anew since then stays, and is told with its size."""
    root, stage = made.hub(tmp_path / "hub", sources / "tree"), tmp_path / "stage"
    converted(root, tmp_path / "one", stage=stage, keep_stage=True)
    archive = root / "data" / "train_images_0.tar.gz"
    os.utime(archive, (1, 1))
    recording = Recording()
    convert(Options(root=str(root), dest=str(tmp_path / "two"), workers=0, stage=stage), recording)
    left = staged_names(stage)
    assert 2 == len(left)  # the copy and its record
    assert all(name.startswith("train_images_0.tar.gz-") for name in left)
    assert any(f"{stage} also has 2 files, " in text for text in recording.notices)


@pytest.mark.parametrize("layout", ["tree", "archives"])
def test_damaged_stage(sources: Path, tmp_path: Path, layout: str) -> None:
    """Copies whose bytes are not as recorded are made anew."""
    plain = converted(sources / layout, tmp_path / "plain")
    choices = {"stage": tmp_path / "stage", "keep_stage": True}
    converted(sources / layout, tmp_path / "one", **choices)
    for path in (tmp_path / "stage").iterdir():
        if path.suffix in (".stretch", ".copy"):
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 3)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 1]))
    assert plain == converted(sources / layout, tmp_path / "two", **choices)


def test_changed_between_staging_and_writing(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shards have what was staged, and verify says that the source is another one now."""
    root = tmp_path / "root"
    shutil.copytree(sources / "tree", root)
    plain = converted(root, tmp_path / "plain")
    image = min(root.glob("train/*/*.JPEG"))

    class Changing(Recording):
        def planned(self, *_: Any) -> None:
            image.write_bytes(bytes(reversed(image.read_bytes())))

    options = Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0, stage=tmp_path / "stage")
    convert(options, Changing())
    assert plain == shards(tmp_path / "out")
    verdict = verify_shards(VerifyOptions(dest=str(tmp_path / "out"), source=str(root), workers=0))
    assert [deviation.key for deviation in verdict.deviations] == [image.stem]


def test_changed_after_a_stop(sources: Path, tmp_path: Path) -> None:
    """A file that has changed since an earlier run staged it is staged again."""
    root = tmp_path / "root"
    shutil.copytree(sources / "tree", root)

    class Stopping(Recording):
        def planned(self, *_: Any) -> None:
            raise KeyboardInterrupt

    options = Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0, stage=tmp_path / "stage")
    with pytest.raises(KeyboardInterrupt):
        convert(options, Stopping())
    assert staged_names(tmp_path / "stage")
    image = min(root.glob("train/*/*.JPEG"))
    image.write_bytes(image.read_bytes()[:-2] + b"xx")
    convert(options)
    assert converted(root, tmp_path / "plain") == shards(tmp_path / "out")


def test_unreadable_while_staging(sources: Path, tmp_path: Path) -> None:
    """A file that cannot be staged, because it has changed since the scan, is a problem of its sample as always."""
    root = tmp_path / "root"
    shutil.copytree(sources / "tree", root)
    image = min(root.glob("train/*/*.JPEG"))

    class Changing(Recording):
        def found(self, _: Any) -> None:
            image.write_bytes(b"short")

    options = Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0, stage=tmp_path / "stage")
    report = convert(options, Changing())
    assert [(problem.kind, problem.path) for problem in report.problems] == [("changed", str(image))]


@pytest.mark.parametrize("layout", ["tree", "archives"])
def test_full_stage(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    """A disk that is full in the middle is said, with the remedy; the same command goes on with what is there."""
    plain = converted(sources / layout, tmp_path / "plain")
    writes = durable.write_all
    room = 30_000

    def write_all(descriptor: int, data: memoryview) -> None:
        nonlocal room
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if "stage" in path and len(data) > 1000:
            room -= len(data)
            if room < 0:
                raise OSError(28, os.strerror(28))
        writes(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_all", write_all)
        with pytest.raises(SharderError, match="Make room there, or name another folder with stage"):
            converted(sources / layout, tmp_path / "out", stage=tmp_path / "stage")
    assert staged_names(tmp_path / "stage")
    assert plain == converted(sources / layout, tmp_path / "out", stage=tmp_path / "stage")
    assert staged_names(tmp_path / "stage") == []


def test_too_little_room(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found before anything is staged, and the shards on the same disk count."""
    message = r"has 450,000 bytes free, and staging needs 1[0-9]{2},[0-9]{3}, and the shards"
    monkeypatch.setattr("parallel_sharder.stores.local.LocalStore.free_bytes", lambda *_: 450_000)
    with pytest.raises(SharderError, match=message):
        converted(sources / "tree", tmp_path / "out", stage=tmp_path / "stage")
    assert not (tmp_path / "stage").exists()


def test_refusals(sources: Path, tmp_path: Path) -> None:
    """A stage in the source, and none where one is needed, are refused before anything is written."""
    with pytest.raises(SharderError, match="where files of the data set belong"):
        converted(sources / "tree", tmp_path / "out", stage=sources / "tree" / "train" / "stage")
    root = made.hub(tmp_path / "hub", sources / "tree")
    with pytest.raises(SharderError, match="(?i)leave out stage none"):
        converted(root, tmp_path / "out", stage="none")
    with pytest.raises(SharderError, match="--keep-stage|keep_stage"):
        Options(stage="none", keep_stage=True)
    assert not (tmp_path / "out").exists()


def test_preview(sources: Path, tmp_path: Path) -> None:
    """It shows the room that is needed, and writes nothing."""
    root = made.hub(tmp_path / "hub", sources / "tree")
    options = Options(root=str(root), dest=str(tmp_path / "out"), maxsize="60KB", workers=0)
    shown = preview(options)
    assert shown.stage is not None
    archives = sum(path.stat().st_size for path in (root / "data").iterdir())
    images = sum(path.stat().st_size for path in (sources / "tree" / "train").rglob("*.JPEG"))
    assert max(archives, images) <= shown.stage.needed_bytes < archives + images
    assert "stage        some" in shown.text()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["hub", "tree", "shards"])
def test_preview_of_what_is_there(sources: Path, tmp_path: Path, layout: str) -> None:
    """What a stopped run has staged needs no room any more."""
    choices: dict[str, Any] = {"root": str(sources / "tree"), "maxsize": "60KB", "stage": str(tmp_path / "stage")}
    if layout == "hub":
        choices["root"] = str(made.hub(tmp_path / "hub", sources / "tree"))
    elif layout == "shards":
        source = made_layouts.make(tmp_path, "shards")
        choices |= {"root": source.root, **source.choices}
    options = Options(dest=str(tmp_path / "out"), workers=0, **choices)
    before = preview(options).stage
    assert before is not None
    assert before.needed_bytes > 0

    class Stopping(Recording):
        def planned(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(options, Stopping())
    after = preview(options).stage
    assert after is not None
    assert 0 == after.needed_bytes


def test_unusable_folder(sources: Path, tmp_path: Path) -> None:
    """A stage that is a file is refused before the source is read, also in a preview."""
    (tmp_path / "file").touch()
    options = Options(root=str(sources / "tree"), dest=str(tmp_path / "out"), workers=0, stage=tmp_path / "file")
    for act in (preview, convert):
        with pytest.raises(SharderError, match=r"/file cannot be written: .* name another folder with"):
            act(options)
    assert not (tmp_path / "out").exists()


def test_damaged_archive(sources: Path, tmp_path: Path) -> None:
    """A compressed archive that is cut short is told, with the offset, and no shard is written."""
    root = made.hub(tmp_path / "hub", sources / "tree")
    path = root / "data" / "train_images_2.tar.gz"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(SharderError, match=r"train_images_2.tar.gz.*cannot be decompressed any further"):
        converted(root, tmp_path / "out")
    assert shards(tmp_path / "out") == {}


def test_no_stage_is_empty() -> None:
    """The stage without a folder has none."""
    assert NO_STAGE.folder == ""


def test_interrupt(sources: Path, tmp_path: Path) -> None:
    """Ctrl-C while archives are read says that the same command goes on; and it does."""
    root = made.hub(tmp_path / "hub", sources / "tree")
    words = ["--root", str(root), "--dest", str(tmp_path / "out"), "--maxsize", "60KB", "--workers", "2"]
    command = [sys.executable, "-m", "tests.slow_stage", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    stage = tmp_path / "out" / ".imagenet_train.stage"
    while _begun_bytes(stage) < 10_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert told.endswith(f"No shard was written yet. The same command goes on with what is staged in {stage}.\n")
    assert process.returncode == 130
    subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    assert converted(root, tmp_path / "plain") == shards(tmp_path / "out")
    assert not stage.exists()


def _root(sources: Path, tmp_path: Path, layout: str) -> Path:
    if layout == "hub":
        return made.hub(tmp_path / "hub", sources / "tree")
    if layout == "kaggle tar":
        return made.kaggle_tar(tmp_path / "tar", sources / "kaggle")
    if layout == "packed shards":
        made_layouts.make(tmp_path / "made", "shards", samples=120)
        (tmp_path / "packed").mkdir()
        for path in (tmp_path / "made" / "raw").glob("*.tar"):
            (tmp_path / "packed" / f"{path.name}.gz").write_bytes(made.PACKED["gz"](path.read_bytes()))
        return tmp_path / "packed"
    return sources / layout


def _begun_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.glob("*.begun"))
    except FileNotFoundError:  # it has got its name meanwhile
        return 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("layout", ["tree", "archives", "hub", "kaggle tar", "packed shards"])
def test_torture(sources: Path, tmp_path: Path, layout: str) -> None:
    """Runs that are killed while they stage, at seeded moments, are continued by the same command."""
    root = _root(sources, tmp_path, layout)
    plain = converted(root, tmp_path / "plain")
    draw = random.Random(layout)
    kills, wanted = 0, int(os.environ.get("TORTURE_KILLS", "7"))
    while kills < wanted:
        out, stage = tmp_path / f"out{kills}", tmp_path / f"stage{kills}"
        words = ["--root", str(root), "--dest", str(out), "--stage", str(stage), "--maxsize", "60KB"]
        command = [sys.executable, "-m", "tests.slow_stage", *words]
        process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(draw.uniform(0.5, 2.5))
        if process.poll() is None:
            os.killpg(process.pid, 9)
            kills += 1
        process.wait()
        ours = {name: data for name, data in shards(out).items() if plain[name] != data} if out.exists() else {}
        assert ours == {}
        subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        assert plain == shards(out)
        assert staged_names(stage) == []
        shutil.rmtree(out)
