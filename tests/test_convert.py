"""The whole way: the reference's bytes, the same for every way of running, and what a user is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import xxhash

from parallel_sharder import Options, convert, coordinator, deal, preview
from parallel_sharder.deal import make_chunks
from parallel_sharder.errors import DestinationError, PlanError, WorkerError
from parallel_sharder.kinds import Kind
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.options import Split
from parallel_sharder.sources.contents import Contents
from tests import made
from tests.conftest import needs
from tests.reference import expected_members, members_of, read_with_webdataset, samples_of, write_shards

RUNS: list[dict[str, Any]] = [
    {"workers": 0},
    {"workers": 1},
    {"workers": 2},
    {"workers": 5},
    {"workers": 2, "start_method": "fork"},
    {"workers": 2, "start_method": "forkserver"},
    {"workers": 2, "start_method": "spawn"},
]


def digests(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file in a folder but the journal, which tells in what order shards were finished.

    And but the index of an archive, which tells its time.
    """
    files = [path for path in folder.iterdir() if not path.name.endswith((".journal", ".index", ".run.jsonl"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shards_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix not in (".json", ".jsonl", ".journal"))


@pytest.fixture(scope="module")
def large_shards(large_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The large set, converted by two workers."""
    folder = tmp_path_factory.mktemp("shards")
    report = convert(Options(root=large_set, dest=str(folder), workers=2, maxsize=6_000_000))
    assert (20_000, 0) == (report.samples, report.exit_code)
    return folder


@pytest.mark.timeout(300)
# fork is offered to those who want it; Python 3.12 and later rightly warn that it copies a process with threads.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("run", RUNS, ids=lambda run: "-".join(map(str, run.values())))
def test_same_bytes_however_it_is_run(large_set: Path, large_shards: Path, tmp_path: Path, run: dict[str, Any]) -> None:
    """Shards and manifest are identical for any number of workers and any start method."""
    convert(Options(root=large_set, dest=str(tmp_path), maxsize=6_000_000, **run))
    assert digests(large_shards) == digests(tmp_path)
    assert len(digests(tmp_path)) > 10


@pytest.mark.timeout(300)
def test_large_set_equals_the_reference(large_set: Path, large_shards: Path) -> None:
    """Every member of 20,000 samples is the reference's, byte for byte; nothing is missing, doubled or added."""
    assert expected_members(large_set, "train") == members_of(shards_in(large_shards))


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_tars_read_every_sample(large_shards: Path, program: str) -> None:
    """GNU tar and bsdtar find each member of each shard, as tarfile does in the test above."""
    shards = shards_in(large_shards)
    listed = [
        name
        for shard in shards
        for name in subprocess.run(
            [needs(program), "-tf", shard], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    ]
    assert list(members_of(shards)) == listed


def test_webdataset_reads_every_sample(large_set: Path, large_shards: Path) -> None:
    """The webdataset library gives back each of the 20,000 samples as it was."""
    read = read_with_webdataset(map(str, shards_in(large_shards)))
    expected = {sample["__key__"]: sample for sample in samples_of(large_set, "train")}
    assert 20_000 == len(read)
    for sample in read:
        original = expected[sample["__key__"]]
        assert (original["cls"], original["jpg"], original["json"]) == (sample["cls"], sample["jpg"], sample["json"])


def test_limits_and_manifest(large_set: Path, large_shards: Path) -> None:
    """No shard passes maxsize, counts are even, and the manifest says what is there."""
    shards = shards_in(large_shards)
    manifest = json.loads((large_shards / "imagenet_train.json").read_text())
    assert ("wids-shard-index-v1", 1, "imagenet_train") == (
        manifest["__kind__"],
        manifest["wids_version"],
        manifest["name"],
    )
    assert [shard.name for shard in shards] == [entry["url"] for entry in manifest["shardlist"]]
    for shard, entry in zip(shards, manifest["shardlist"], strict=True):
        data = shard.read_bytes()
        assert (len(data), xxhash.xxh3_128_hexdigest(data)) == (entry["filesize"], entry["xxh3_128"])
        assert len(data) <= 6_000_000
        assert 3 * entry["nsamples"] == len(members_of([shard]))
    counts = [entry["nsamples"] for entry in manifest["shardlist"]]
    assert max(counts) - min(counts) <= 1
    assert {"samples": 20_000, "shards": len(shards)}.items() <= manifest["totals"].items()
    assert {
        "split": "train",
        "labels": "devkit",
        "annotations": "original",
        "seed": 0,
        "maxsize": 6_000_000,
        "maxcount": None,
        "shards": None,
        "on_bad": "skip",
    } == manifest["options"]
    assert list(range(1, 1001)) == [row["label"] for row in manifest["classes"]]
    for row in manifest["classes"]:
        assert row["count"] == len(list((large_set / "train" / row["wnid"]).glob("*.JPEG")))
        assert row["name"] == made.NAMES[row["wnid"]]


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_samples_equal_the_reference(real_imagenet: Path, tmp_path: Path, split: Split) -> None:
    """On the real images: 106 and 20 samples, every byte the reference's; the annotations without an image are named,
    and so are the classes that have nothing but these.
    """
    report = convert(Options(root=real_imagenet, split=split, dest=str(tmp_path), workers=2))
    expected = expected_members(real_imagenet, split)
    assert expected == members_of(shards_in(tmp_path))
    orphans = {
        "train": ["n07579787_7521.xml"],
        "val": ["ILSVRC2012_val_00000001.xml", "ILSVRC2012_val_00000002.xml"],
    }[split]
    assert orphans == [os.path.basename(each.path) for each in report.problems if each.kind is Kind.ORPHAN_XML]
    classes = {os.path.basename(each.path) for each in report.problems if each.kind is Kind.EMPTY_CLASS}
    assert {path.parent.name for path in real_imagenet.glob(f"{split}/*/*") if path.name in orphans} == classes
    assert ({"train": 106, "val": 20}[split], 0, 3) == (report.samples, report.left_out, report.exit_code)


def test_tar_is_the_reference_scripts(tmp_path: Path) -> None:
    """Given the reference's samples in our order, webdataset's writer makes the same archive, header for header."""
    made.classic_train(tmp_path / "raw")
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "ours-%06d.tar"), workers=0))
    ours = tmp_path / "ours-000000.tar"
    keys = [name.removesuffix(".cls") for name in members_of([ours]) if name.endswith(".cls")]
    samples = {sample["__key__"]: sample for sample in samples_of(tmp_path / "raw", "train")}
    write_shards((samples[key] for key in keys), tmp_path / "theirs-%06d.tar")
    theirs = (tmp_path / "theirs-000000.tar").read_bytes()
    assert theirs.startswith(ours.read_bytes())
    assert b"" == theirs[ours.stat().st_size :].strip(b"\0")  # it pads to 10,240


@pytest.mark.parametrize("suffix", ["tgz", "tar.gz", "tar.zst"])
@pytest.mark.parametrize("workers", [0, 1, 5])
def test_compressed_shards_are_the_same_for_any_workers(tmp_path: Path, suffix: str, workers: int) -> None:
    """One compressed shard, with any number of workers: the bytes stay the same, one member that tarfile reads."""
    expected = made.flat_val(tmp_path / "raw", 100)
    for each in (workers, 2):
        dest = str(tmp_path / f"{each}" / f"v-%06d.{suffix}")
        convert(Options(root=tmp_path / "raw", split="val", dest=dest, workers=each))
    assert digests(tmp_path / "2") == digests(tmp_path / str(workers))
    if suffix != "tar.zst":
        assert 3 * len(expected.wnids) == len(members_of([tmp_path / "2" / f"v-000000.{suffix}"]))


@pytest.mark.parametrize(("workers", "shards", "threads"), [(0, 1, 1), (1, 1, 1), (5, 1, 5), (5, 2, 2), (5, 9, 1)])
def test_spare_workers_compress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, shards: int, threads: int
) -> None:
    """With fewer shards than workers, each shard's compressor has the threads of the workers without a shard."""
    made.classic_train(tmp_path / "raw")
    jobs = []

    def spy(*arguments: Any) -> Any:
        jobs.append(deal.make_job(*arguments))
        return jobs[-1]

    monkeypatch.setattr("parallel_sharder.coordinator.make_job", spy)
    dest = str(tmp_path / "v-%06d.tgz")
    convert(Options(root=tmp_path / "raw", dest=dest, workers=workers, shards=shards))
    assert [("gzip", threads)] == [(job.compression, job.compression_threads) for job in jobs]


def test_test_split(tmp_path: Path) -> None:
    """Unlabelled images have the members jpg and json, the JSON an empty object."""
    raw = made.Made(tmp_path / "raw")
    images = {f"ILSVRC2012_test_{n:08}": raw.image("test", f"ILSVRC2012_test_{n:08}") for n in range(1, 20)}
    report = convert(Options(root=raw.root, split="test", dest=str(tmp_path / "out"), workers=1))
    expected = {f"{key}.jpg": path.read_bytes() for key, path in images.items()}
    expected |= {f"{key}.json": b"{}" for key in images}
    assert expected == members_of(shards_in(tmp_path / "out"))
    manifest = json.loads(Path(report.manifest_path).read_text())
    assert [] == manifest["classes"]


def test_test_split_with_an_image_left_out(tmp_path: Path) -> None:
    """A sample without a class that is left out is counted like any other."""
    raw = made.Made(tmp_path / "raw")
    images = [raw.image("test", f"ILSVRC2012_test_{n:08}") for n in range(1, 20)]
    options = Options(root=raw.root, split="test", dest=str(tmp_path / "out"), workers=1)
    report = convert(options, _Meddler(images[3], images[7]))
    assert (17, 2, 3) == (report.samples, report.left_out, report.exit_code)


def test_sorted_labels_reach_every_member(tmp_path: Path) -> None:
    """With --labels sorted, cls and json hold the wnid's position, and so does the manifest."""
    expected = made.classic_train(tmp_path / "raw")
    report = convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), labels="sorted", workers=0))
    members = members_of(shards_in(tmp_path / "out"))
    for key, wnid in expected.wnids.items():
        label = made.WNIDS.index(wnid)
        assert str(label).encode() == members[f"{key}.cls"]
        assert (label, made.NAMES[wnid]) == (
            json.loads(members[f"{key}.json"])["cls"],
            json.loads(members[f"{key}.json"])["cname"],
        )
    assert [0, 1] == [row["label"] for row in json.loads(Path(report.manifest_path).read_text())["classes"]][:2]


def test_kaggle_equals_the_classic_tree(tmp_path: Path) -> None:
    """The same images in Kaggle's layout and in the classic one, with devkit labels, give the same shards."""
    made.kaggle(tmp_path / "kaggle")
    classic = tmp_path / "classic"
    made.write_devkit(classic)
    inside = tmp_path / "kaggle" / "ILSVRC"
    shutil.copytree(inside / "Data" / "CLS-LOC" / "train", classic / "train")
    shutil.copytree(inside / "Annotations" / "CLS-LOC" / "train", classic / "train", dirs_exist_ok=True)
    for name in ("kaggle", "classic"):
        convert(Options(root=tmp_path / name, dest=str(tmp_path / f"{name}-out"), workers=0))
    assert digests(tmp_path / "kaggle-out") == digests(tmp_path / "classic-out")


def test_order_and_limits_options(tmp_path: Path) -> None:
    """--no-shuffle stores by key, another seed in another order, --maxcount and --shards cut as they say."""
    made.classic_train(tmp_path / "raw", images=50)

    def keys(name: str, **choices: Any) -> list[list[str]]:
        convert(Options(root=tmp_path / "raw", dest=str(tmp_path / name), workers=0, **choices))
        return [[m[:-4] for m in members_of([shard]) if m.endswith(".cls")] for shard in shards_in(tmp_path / name)]

    [in_order] = keys("a", shuffle=False)
    [seed_0] = keys("b")
    [seed_1] = keys("c", seed=1)
    assert sorted(in_order) == in_order == sorted(seed_0) == sorted(seed_1)
    assert len({tuple(in_order), tuple(seed_0), tuple(seed_1)}) == 3
    by_count = keys("d", maxcount=12)
    assert [10] * 5 == [len(shard) for shard in by_count]
    assert seed_0 == [key for shard in by_count for key in shard]
    assert [8, 7, 7, 7, 7, 7, 7] == [len(shard) for shard in keys("e", shards=7)]


@pytest.fixture
def broken_set(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A set in which some annotations are broken, and the expected kind of each key's problem."""
    expected = made.classic_train(tmp_path / "raw", images=40, annotated=0)
    keys = sorted(expected.wnids)
    for key in keys[:3]:
        expected.xml(f"train/{expected.wnids[key]}", key).write_bytes(b"<annotation><object></annotation>")
    return tmp_path / "raw", dict.fromkeys(keys[:3], "bad-annotation")


def test_broken_samples_are_left_out_and_named(broken_set: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """The run goes on without them, says so, counts them nowhere, and ends with 3."""
    root, kinds = broken_set
    report = convert(Options(root=root, dest=str(tmp_path / "out"), workers=2, shards=3))
    assert kinds == {problem.key: problem.kind.value for problem in report.problems}
    assert (37, 3, 3) == (report.samples, report.left_out, report.exit_code)
    members = members_of(shards_in(tmp_path / "out"))
    assert not {f"{key}.jpg" for key in kinds} & set(members)
    assert 3 * 37 == len(members)
    manifest = json.loads((tmp_path / "out" / "imagenet_train.json").read_text())
    assert 37 == manifest["totals"]["samples"] == sum(row["count"] for row in manifest["classes"])


class _Meddler(Recording):
    """Changes the source between the plan and the writing."""

    def __init__(self, grown: Path, gone: Path) -> None:
        super().__init__()
        self._grown, self._gone = grown, gone

    def planned(self, plan: object, kept: object) -> None:
        with self._grown.open("ab") as file:
            file.write(b"more")
        self._gone.unlink()


def test_source_that_changes_under_the_run(tmp_path: Path) -> None:
    """An image that grew or went away since the scan is left out by name; the others are stored as planned."""
    expected = made.classic_train(tmp_path / "raw", images=20, annotated=0)
    grown, gone = sorted((tmp_path / "raw" / "train").glob("*/*.JPEG"))[:2]
    report = convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=2), _Meddler(grown, gone))
    assert {("changed", str(grown)), ("unreadable", str(gone))} == {
        (problem.kind.value, problem.path) for problem in report.problems
    }
    assert len(expected.wnids) - 2 == report.samples


def test_source_is_only_read(tmp_path: Path) -> None:
    """After a run every file and folder of the source has the names, bytes and times it had before."""

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in (tmp_path / "raw").rglob("*")
        }

    made.classic_train(tmp_path / "raw")
    before = state()
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=2))
    assert before == state()


def test_refusals_come_before_writing(tmp_path: Path) -> None:
    """A taken destination, a sample over maxsize, too many shards: an error, and not a byte written."""
    made.classic_train(tmp_path / "raw")
    for choices, error, message in (
        ({"maxsize": 3000}, PlanError, "alone needs a shard of"),
        ({"shards": 61}, PlanError, "Ask for at most 60"),
        ({"maxcount": 1, "dest": str(tmp_path / "out" / "x-%01d.tar")}, DestinationError, "Write %02d in dest"),
    ):
        options = Options(**{"root": tmp_path / "raw", "dest": str(tmp_path / "out"), "workers": 0, **choices})  # type: ignore[arg-type]
        with pytest.raises(error, match=message):
            convert(options)
        assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "imagenet_train-000007.tar").write_bytes(b"precious")
    with pytest.raises(DestinationError, match="imagenet_train-000007.tar is already there"):
        convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0))
    assert ["imagenet_train-000007.tar"] == os.listdir(tmp_path / "out")


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space is checked against the plan before writing begins; with room, the same command goes on."""
    made.classic_train(tmp_path / "raw")
    options = Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0)
    with monkeypatch.context() as patch:
        patch.setattr("parallel_sharder.stores.local.LocalStore.free_bytes", lambda store, folder: 1000)
        with pytest.raises(DestinationError, match="1,000 bytes free"):
            convert(options)
    assert [".imagenet_train.journal"] == os.listdir(tmp_path / "out")
    assert 60 == convert(options).samples


@pytest.mark.parametrize("workers", [0, 2])
def test_unwritable_destination(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that vanishes while the run goes on stops it, naming the shard; no part of one is left."""
    made.classic_train(tmp_path / "raw", images=300)

    def vanished(*job: Any) -> Any:
        (tmp_path / "out").rename(tmp_path / "away")
        (tmp_path / "out").symlink_to("/proc/1")  # no file can be made there
        return make_chunks(*job)

    monkeypatch.setattr(coordinator, "make_chunks", vanished)
    with pytest.raises(DestinationError, match=r"imagenet_train-\d+.tar cannot be written: .*choose another dest"):
        convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=workers, shards=9))
    assert not list((tmp_path / "away").glob("*.tar*"))


METHODS = ["forkserver", "spawn", "fork"]


def test_worker_that_dies_while_scanning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error with a remedy, not a wait and not a traceback."""
    made.classic_train(tmp_path / "raw")
    monkeypatch.setattr("parallel_sharder.sources.survey.list_class", _list_and_die)
    message = "a worker died listing what is in .*train: exit status 7. If memory is short, use fewer workers.$"
    with pytest.raises(WorkerError, match=message):
        convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=2))


def _list_and_die(path: str, key_pattern: str) -> list[Contents]:
    os._exit(7)


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_moves_within_a_shard(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals never fall, end at everything, and are told while the only shard is being written."""
    monkeypatch.setattr("parallel_sharder.deal.TICK_SECONDS", 0.01)  # all of it takes a tenth of a second
    made.classic_train(tmp_path / "raw", images=4000, annotated=1)
    monitor = Recording()
    report = convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=workers), monitor)
    assert sorted(monitor.totals) == monitor.totals
    assert (4000, report.tar_bytes) == monitor.totals[-1]
    assert any(0 < samples < 4000 for samples, _ in monitor.totals)
    assert (5, 5, 4000) == monitor.scans[-1]


def test_finished_run_tells_its_progress_once(tmp_path: Path) -> None:
    """The last call has the totals of this run: of a small run all there is, of one with nothing left to do nothing."""
    made.classic_train(tmp_path / "raw", images=1)
    options = Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0)
    first, second = Recording(), Recording()
    report = convert(options, first)
    assert ((0, 0), (1, report.tar_bytes)) == (first.totals[0], first.totals[-1])
    convert(options, second)
    assert [(0, 0)] == second.totals


def test_bounds_are_exact_without_annotations(tmp_path: Path) -> None:
    """Where no JSON has to be estimated, planned and written bytes are equal."""
    made.classic_train(tmp_path / "raw", annotated=0)
    options = Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0, maxcount=7)
    assert preview(options).needed_bytes == convert(options).tar_bytes


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root and destination may be relative, as the defaults are, whatever starts the workers."""
    made.classic_train(tmp_path)
    monkeypatch.chdir(tmp_path)
    for method in ("spawn", "forkserver"):
        report = convert(Options(workers=1, start_method=method, dest=method))
        assert (60, f"{method}/imagenet_train-000000.tar") == (report.samples, report.braces)
    assert digests(tmp_path / "spawn") == digests(tmp_path / "forkserver")
