"""Resuming: damage of each kind, at each moment, and what a further run makes of it."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import isal
import pytest
import zstandard

from parallel_sharder import Options, Report, VerifyOptions, convert, verify_shards
from parallel_sharder.errors import DestinationError, SharderError
from parallel_sharder.journal.fingerprint import FORMAT
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.records import records_of
from parallel_sharder.monitor.recording import Recording
from tests import made
from tests.test_convert import digests
from tests.test_journal import FINGERPRINT, of_format


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=400)
    return root


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of an undisturbed run's files."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(raw, folder, workers=0)
    return digests(folder)


def run(raw: Path, out: Path, monitor: Recording | None = None, **choices: Any) -> Report:
    return convert(Options(root=raw, dest=str(out), **{"shards": 20, "workers": 2, **choices}), monitor)


class _Interrupter(Recording):
    """Stops the run as Ctrl-C would, once so many samples are done."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self._samples = samples

    def progress(self, samples: int, tar_bytes: int) -> None:
        if samples >= self._samples:
            raise KeyboardInterrupt


def interrupted(raw: Path, out: Path, samples: int = 100) -> None:
    """Leave `out` as a run leaves it that is stopped half-way."""
    with pytest.raises(KeyboardInterrupt):
        run(raw, out, _Interrupter(samples))


def test_unexpected_system_errors_are_ours_too(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library user catches one class, for a file that cannot be removed as for everything else."""
    run(raw, tmp_path)
    min(tmp_path.glob("*.tar")).unlink()

    def refuse(path: str) -> None:
        if not path.endswith(".lock"):
            raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("parallel_sharder.stores.durable.remove", refuse)
    right = "Give this user the right to it and to the folders above it, and type the same command again."
    message = f"{tmp_path}/imagenet_train.json: Permission denied. {right}"
    with pytest.raises(SharderError, match=f"^{message}$"):
        run(raw, tmp_path)


def test_interrupted_run_continues(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """The same command keeps the finished shards untouched, makes the rest, and the result is the undisturbed run's."""
    interrupted(raw, tmp_path)
    shards = {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    assert 0 < len(shards) < 20
    assert not (tmp_path / "imagenet_train.json").exists()
    assert not list(tmp_path.glob(".*.partial"))
    monitor = Recording()
    report = run(raw, tmp_path, monitor)
    assert (len(shards), 400, 20) == (report.kept_shards, report.samples, report.shards)
    assert 400 - 20 * len(shards) == report.made_samples == monitor.totals[-1][0]
    assert shards == {path: path.stat().st_ino for path in shards}
    assert undisturbed == digests(tmp_path)


def test_finished_run_says_so(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """Run again when all is done, it writes nothing anew and tells that nothing was left to do."""
    run(raw, tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    report = run(raw, tmp_path, check=True)
    assert (20, 0, 0) == (report.kept_shards, report.made_samples, report.exit_code)
    assert "kept      all of them: nothing was left to do" in report.text()
    assert before == {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    assert undisturbed == digests(tmp_path)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 512)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("damage", "check"), [(os.unlink, False), (_cut, False), (_flip, True), (os.unlink, True)])
@pytest.mark.parametrize("finished", [True, False])
def test_damaged_shards_are_made_again(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, damage: Callable[[Path], None], check: bool, finished: bool
) -> None:
    """A recorded shard that is gone, has another size, or (with --check) another digest is made again and reported."""
    if finished:
        run(raw, tmp_path)
    else:
        interrupted(raw, tmp_path)
    shard = min(tmp_path.glob("*.tar"))
    damage(shard)
    report = run(raw, tmp_path, check=check)
    assert (str(shard),) == report.remade
    assert f"made again, because they were missing, not as recorded, or incomplete: 1\n  {shard}" in report.text()
    assert undisturbed == digests(tmp_path)


def test_no_manifest_while_shards_are_made_again(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """A manifest is there only beside all the shards it tells of, also when a finished set has to be mended."""
    run(raw, tmp_path)
    for shard in tmp_path.glob("*.tar"):
        _cut(shard)
    interrupted(raw, tmp_path)
    assert not (tmp_path / "imagenet_train.json").exists()
    run(raw, tmp_path)
    assert undisturbed == digests(tmp_path)


def test_manifest_that_is_lost_is_written_again(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """It is a function of the records, so a further run gives it back."""
    run(raw, tmp_path)
    (tmp_path / "imagenet_train.json").unlink()
    run(raw, tmp_path)
    assert undisturbed == digests(tmp_path)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_other_worker_count_continues(raw: Path, undisturbed: dict[str, str], tmp_path: Path, workers: int) -> None:
    """How a run is run is no part of what it makes: another number of workers may go on."""
    interrupted(raw, tmp_path)
    run(raw, tmp_path, workers=workers)
    assert undisturbed == digests(tmp_path)


@pytest.mark.parametrize("moment", ["between rename and journal", "before rename"])
def test_killed_between_rename_and_journal(raw: Path, undisturbed: dict[str, str], tmp_path: Path, moment: str) -> None:
    """A shard that is whole but not recorded, or a partial file, is the tool's own, and is made again."""
    run(raw, tmp_path)
    path = tmp_path / ".imagenet_train.journal"
    data = path.read_bytes()
    whole = [end for payload, _, end in records_of(data) if payload["what"] == "done"]
    path.write_bytes(data[: whole[-2]])  # the last shard is dealt, and there, but not recorded as done
    (tmp_path / "imagenet_train.json").unlink()
    if moment == "before rename":
        last = next(payload for payload, _, end in records_of(data) if end == whole[-1])["path"]
        (tmp_path / last).rename(tmp_path / f".{last}.0123abcd.partial")
    report = run(raw, tmp_path)
    assert 20 == report.made_samples
    assert undisturbed == digests(tmp_path)


@pytest.mark.parametrize(
    ("choices", "change"),
    [
        ({"seed": 5}, "seed: 0, now 5"),
        ({"shuffle": False}, "seed: 0, now none"),
        ({"labels": "sorted"}, "labels: devkit, now sorted"),
        ({"maxsize": 10**8}, "maxsize: 1000000000, now 100000000"),
        ({"shards": 10}, "shards: 20, now 10"),
        ({"maxcount": 20}, "maxcount: none, now 20"),
    ],
)
def test_changed_choices_are_refused(raw: Path, tmp_path: Path, choices: dict[str, Any], change: str) -> None:
    """Nothing is mixed: the run says what changed, from what to what, and touches nothing."""
    interrupted(raw, tmp_path)
    before = digests(tmp_path)
    with pytest.raises(DestinationError) as caught:
        run(raw, tmp_path, **choices)
    assert f"  {change}\n" in str(caught.value)
    assert str(caught.value).endswith("start anew with overwrite.")
    assert before == digests(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "library", "version", "text"),
    [
        (".tgz", "isal", "__version__", rf"isal .* \(ISA-L {isal.ISAL_VERSION}\)"),
        (".tar.gz", "isal", "ISAL_VERSION", rf"isal {isal.__version__} \(ISA-L .*\)"),
        (".tar.zst", "zstandard", "__version__", r"zstandard .* \(zstd [\d.]+\)"),
        (".tar.zst", "zstandard", "ZSTD_VERSION", rf"zstandard {zstandard.__version__} \(zstd [\d.]+\)"),
    ],
)
def test_other_versions_of_compressors(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, library: str, version: str, text: str
) -> None:
    """A compressed set is not continued with another version of the library, and both are named; plain sets are."""
    compressed, plain = tmp_path / "compressed" / f"x-%06d{suffix}", tmp_path / "plain" / "x-%06d.tar"
    for out in (compressed, plain):
        interrupted(raw, out)
    before = digests(compressed.parent)
    with monkeypatch.context() as patched:
        patched.setattr(f"{library}.{version}", (9, 8, 7) if version == "ZSTD_VERSION" else "9.8.7")
        with pytest.raises(DestinationError, match=rf"\n  compressor: {text}, now {text}\n"):
            run(raw, compressed)
        assert before == digests(compressed.parent)
        assert 20 == run(raw, plain).shards
    assert 20 == run(raw, compressed).shards


@pytest.mark.parametrize(
    ("number", "which"), [(2, "an earlier"), (3, "an earlier"), (4, "an earlier"), (FORMAT + 1, "a later")]
)
def test_set_of_another_version(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, number: int, which: str
) -> None:
    """One that another version has begun is not continued, and the refusal says why; finished, it verifies."""
    run(raw, tmp_path)
    of_format(tmp_path / ".imagenet_train.journal", number)
    before = digests(tmp_path)
    with pytest.raises(DestinationError) as caught:
        run(raw, tmp_path)
    assert str(caught.value) == (
        f"the shards there were begun by {which} version of parallel_sharder (format {number} in "
        f"{tmp_path}/.imagenet_train.journal, and this version's is {FORMAT}), and what it stores can differ. Go on "
        "with that version, choose another dest, or remove what it has made and start anew with overwrite."
    )
    assert before == digests(tmp_path)
    assert () == verify_shards(VerifyOptions(dest=str(tmp_path), source=raw, workers=0)).deviations
    assert 20 == run(raw, tmp_path, overwrite=True).shards
    assert undisturbed == digests(tmp_path)


def test_changed_source_is_refused_and_overwrite_starts_anew(raw: Path, tmp_path: Path) -> None:
    """A file more or of another size is noticed; --overwrite removes what the tool made, and only that."""
    source = tmp_path / "raw"
    shutil.copytree(raw, source)
    out = tmp_path / "out"
    run(source, out)
    (out / "mine.txt").write_text("keep")
    image = min(source.glob("train/*/*.JPEG"))
    image.write_bytes(image.read_bytes() + b"more\xff\xd9")
    with pytest.raises(DestinationError, match="names or sizes of files, or classes, differ"):
        run(source, out)
    image.with_name(f"{image.parent.name}_200001.JPEG").write_bytes(image.read_bytes())
    with pytest.raises(DestinationError, match="samples: 400, now 401"):
        run(source, out)
    report = run(source, out, overwrite=True, shards=7)
    assert (401, 7, 0) == (report.samples, report.shards, report.kept_shards)
    assert {".imagenet_train.journal", ".imagenet_train.run.jsonl", "imagenet_train.json", "mine.txt"} | {
        f"imagenet_train-{number:06}.tar" for number in range(7)
    } == set(os.listdir(out))
    fresh = tmp_path / "fresh"
    run(source, fresh, shards=7)
    assert digests(fresh).items() <= digests(out).items()


def test_source_that_is_mounted_elsewhere_is_the_same(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """The source counts by its names and sizes, not by its path."""
    interrupted(raw, tmp_path / "out")
    shutil.copytree(raw, tmp_path / "moved")
    run(tmp_path / "moved", tmp_path / "out")
    assert undisturbed == digests(tmp_path / "out")


@pytest.mark.parametrize("overwrite", [True, False])
def test_shards_of_unknown_origin_are_never_overwritten(raw: Path, tmp_path: Path, overwrite: bool) -> None:
    """A file under a shard's name that no journal knows stops the run, with --overwrite too, and stays as it is."""
    interrupted(raw, tmp_path)
    foreign = tmp_path / "imagenet_train-000099.tar"
    foreign.write_bytes(b"precious")
    with pytest.raises(DestinationError, match="imagenet_train-000099.tar is already there, and no journal"):
        run(raw, tmp_path, overwrite=overwrite)
    assert b"precious" == foreign.read_bytes()


@pytest.mark.parametrize("overwrite", [True, False])
def test_refusals_remove_nothing(raw: Path, tmp_path: Path, overwrite: bool) -> None:
    """A run that is refused for a foreign file leaves all others, finished or damaged, as they were."""
    run(raw, tmp_path)
    _cut(max(tmp_path.glob("*.tar")))
    (tmp_path / "imagenet_train-000099.tar").write_bytes(b"precious")
    before = digests(tmp_path)
    with pytest.raises(DestinationError, match="imagenet_train-000099.tar is already there"):
        run(raw, tmp_path, overwrite=overwrite)
    assert before == digests(tmp_path)


def test_choices_are_free_until_something_is_dealt(raw: Path, tmp_path: Path) -> None:
    """A run that ended before its first shard, for want of room say, binds nobody."""
    with Journal(str(tmp_path / ".imagenet_train.journal"), {**FINGERPRINT, "seed": 99}):
        pass
    assert 400 == run(raw, tmp_path).samples


@pytest.mark.parametrize("finished", [True, False])
def test_damaged_journal(raw: Path, undisturbed: dict[str, str], tmp_path: Path, finished: bool) -> None:
    """Where a flipped bit hides records, the journal is kept aside, what the others prove stays, and the rest is made
    again and found to be what is there; all of it is said.
    """
    if finished:
        run(raw, tmp_path)
    else:
        interrupted(raw, tmp_path)
    path = tmp_path / ".imagenet_train.journal"
    done = sum(payload["what"] == "done" for payload, _, _ in records_of(path.read_bytes()))
    _flip(path)
    damaged = path.read_bytes()
    before = {shard: shard.stat().st_ino for shard in tmp_path.glob("*.tar")}
    report = run(raw, tmp_path)
    aside = tmp_path / ".imagenet_train.journal.damaged-1"
    [notice] = report.notices
    assert re.fullmatch(
        rf"{path} was damaged, and is kept as {aside}. The records of (\d+) finished shards were whole; \d+ bytes of "
        "others are lost. What is there was compared with its record, or with what was made anew.", notice
    ), notice  # fmt: skip
    assert done - 1 <= report.kept_shards <= done
    assert damaged == aside.read_bytes()
    aside.unlink()
    assert undisturbed == digests(tmp_path)
    assert before == {shard: shard.stat().st_ino for shard in before}


@pytest.mark.parametrize("name", ["imagenet_train.json", "imagenet_train.problems.jsonl"])
def test_files_beside_the_shards_that_others_have_made(raw: Path, tmp_path: Path, name: str) -> None:
    """A manifest or list of problems that the tool has not written is in the way, as a shard is."""
    interrupted(raw, tmp_path)
    (tmp_path / name).write_text("mine")
    with pytest.raises(DestinationError, match=f"{name} is already there"):
        run(raw, tmp_path)
    assert "mine" == (tmp_path / name).read_text()


def test_shards_that_go_away_under_the_run(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """No manifest tells of a shard that somebody has taken away meanwhile; the same command makes it again."""

    class Thief(Recording):
        stolen = False

        def progress(self, samples: int, tar_bytes: int) -> None:
            shards = list(tmp_path.glob("*.tar"))
            if shards and not self.stolen:
                self.stolen = True
                shards[0].unlink()

    with pytest.raises(DestinationError, match="was finished, and is now missing or of another size"):
        run(raw, tmp_path, Thief())
    assert not (tmp_path / "imagenet_train.json").exists()
    assert 1 == len(run(raw, tmp_path).remade)
    assert undisturbed == digests(tmp_path)


def test_two_runs_exclude_each_other(raw: Path, tmp_path: Path) -> None:
    """While one run writes to a destination, a second one ends with an error and harms nothing."""

    class Second(Recording):
        error = ""

        def progress(self, samples: int, tar_bytes: int) -> None:
            if not self.error:
                with pytest.raises(DestinationError) as caught:
                    run(raw, tmp_path)
                self.error = str(caught.value)

    second = Second()
    assert 400 == run(raw, tmp_path, second).samples
    assert "another run is writing there" in second.error


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("whom", "more"), [("coordinator", ""), ("group", ""), ("group", "--index all --md5 --card")])
def test_torture(raw: Path, tmp_path: Path, whom: str, more: str) -> None:
    """Killed with SIGKILL at random moments and run again until it is done, the result is the undisturbed run's.

    After every kill each file under a final name is that of the undisturbed run. (make torture kills 200 times.)
    """
    words = ["--root", str(raw), "--shards", "20"]
    torture(words, tmp_path, whom, more, int(os.environ.get("TORTURE_KILLS", "6")))


def torture(words: list[str], folder: Path, whom: str, more: str, wanted: int) -> None:
    """Have the conversion of these words, into `folder`, survive so many kills."""
    draw = random.Random(whom)
    start = time.monotonic()
    assert 0 == start_run(words, folder / "timed", 2, more).wait()
    undisturbed = content_digests(folder / "timed")
    usual_seconds = time.monotonic() - start
    kills = 0
    while kills < wanted:
        out = folder / "out"
        status = None
        while status != 0:
            process = start_run(words, out, draw.randrange(4), more)
            try:
                status = process.wait(draw.uniform(0.3, 1.1) * usual_seconds)
                assert 0 == status
            except subprocess.TimeoutExpired:
                (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                assert undisturbed.items() >= content_digests(out).items()
        assert undisturbed == content_digests(out)
        assert not [path for path in out.rglob("*") if path.name.endswith((".partial", ".lock"))]
        shutil.rmtree(out)
    print(f"{kills} kills of the {whom}")  # noqa: T201 (make torture shows it)


def start_run(words: list[str], out: Path, workers: int, more: str) -> subprocess.Popen[bytes]:
    more_words = f"--dest {out} --quiet --workers {workers} {more}".split()
    command = [sys.executable, "-m", "parallel_sharder", *words, *more_words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def content_digests(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file under a final name, in folders within too."""
    passing = (".journal", ".partial", ".lock", ".run.jsonl")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(passing)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
