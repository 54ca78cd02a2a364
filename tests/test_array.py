"""Array jobs, the whole tool: whatever nodes do, in whatever order, and die of, the set is that of one run."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, Report, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.cli.main import main
from parallel_sharder.errors import DestinationError, OptionsError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.options import StatusOptions
from parallel_sharder.status import status_of
from tests import earlier, golden, made
from tests.test_cli_main import COMMAND, ENVIRONMENT
from tests.test_resume import _Interrupter

SHARDS = 8
ALL: dict[str, Any] = {"shards": SHARDS, "workers": 0, "index": "all", "card": True, "md5": True}
KILLS = int(os.environ.get("ARRAY_KILLS", "3"))
HIDDEN = tuple(f".imagenet_{split}.{file}" for split in ("train", "val") for file in ("listing", "journal", "run."))
UNFINISHED = (".partial", ".lock", ".lease")


pytestmark = pytest.mark.usefixtures("typed")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=200)
    return root


@pytest.fixture(scope="module")
def alone(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of the files of one undisturbed run, which no other run shares the set with."""
    folder = tmp_path_factory.mktemp("alone")
    run(raw, folder)
    return files_of(folder)


def run(root: Path, out: Path, node: str | None = None, monitor: Recording | None = None, **choices: Any) -> Report:
    return convert(Options(**{"root": root, "dest": str(out), "node": node, **ALL, **choices}), monitor)


def files_of(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file, in folders within too, but journals, listings, locks and unfinished files."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(HIDDEN) and not path.name.endswith(UNFINISHED):
            with contextlib.suppress(FileNotFoundError):  # a node at work has removed it to write another
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def unfinished(folder: Path) -> list[Path]:
    """Locks and temporary files."""
    return [path for path in folder.rglob("*") if path.name.endswith(UNFINISHED)]


def start(raw: Path, out: Path, *more: str, workers: int = 0) -> subprocess.Popen[str]:
    words = f"--root {raw} --dest {out} --shards {SHARDS} --index all --card --md5 --workers {workers} --quiet".split()
    return subprocess.Popen(
        [*COMMAND, *words, *more],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit status of a process, and what it has printed."""
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.mark.parametrize("order", [*itertools.permutations((0, 1, 2))])
def test_nodes_one_after_the_other(raw: Path, alone: dict[str, str], tmp_path: Path, order: Sequence[int]) -> None:
    """In any order they make the bytes of one run; the last publishes, and each before says what is missing."""
    reports = [run(raw, tmp_path, f"{index}/3") for index in order]
    assert alone == files_of(tmp_path)
    assert [(), True] == [reports[-1].missing, bool(reports[-1].manifest_path)]
    done: set[int] = set()
    for index, report in zip(order[:2], reports, strict=False):
        done |= {*range(index, SHARDS, 3)}
        assert (tuple(sorted({*range(SHARDS)} - done)), "", 0) == (report.missing, report.braces, report.exit_code)
        assert (200 // SHARDS * len(range(index, SHARDS, 3)), f"{index}/3") == (report.samples, report.node)


@pytest.mark.parametrize("workers", [0, 2])
def test_nodes_at_once(raw: Path, alone: dict[str, str], tmp_path: Path, workers: int) -> None:
    """Begun at the same moment, on a folder that is not there yet, they wait for one listing, and one publishes."""
    out = tmp_path / "out"
    results = [
        ended(process) for process in [start(raw, out, "--node", f"{node}/3", workers=workers) for node in range(3)]
    ]
    assert [(0, "")] * 3 == [(status, err) for status, _, err in results]
    assert 1 <= sum("the set is published" in text for _, text, _ in results)
    assert alone == files_of(out)
    assert [] == unfinished(out)


def test_array_of_slurm(raw: Path, alone: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--node alone takes the node of a task from Slurm's variables, and a task for repair is told its words."""
    for number in (3, 1, 5):
        for name, value in {"ID": number, "COUNT": 3, "MIN": 1, "MAX": 5, "STEP": 2}.items():
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        report = run(raw, tmp_path, "array")
        assert f"{number // 2}/3" == report.node
    assert alone == files_of(tmp_path)
    for name, value in {"ID": 3, "COUNT": 2, "MIN": 3, "MAX": 4, "STEP": 1}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    with pytest.raises(OptionsError, match=r"--node alone is task 3 of an array of 2, .*: --node 1/3 does"):
        run(raw, tmp_path, "array")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", range(KILLS))
def test_torture(raw: Path, alone: dict[str, str], tmp_path: Path, case: int) -> None:
    """Of three nodes at work one is killed with SIGKILL at a random moment; what is there then is of the set, and the
    same command, or a run without node, makes up for it. (make torture kills 20 times.)
    """
    draw = random.Random(case)
    out = tmp_path / "out"
    victim, workers = draw.randrange(3), draw.randrange(3)
    processes = [start(raw, out, "--node", f"{node}/3", workers=workers) for node in range(3)]
    time.sleep(draw.uniform(0.2, 1.2))
    os.killpg(processes[victim].pid, signal.SIGKILL)
    assert alone.items() >= files_of(out).items()
    results = [ended(process) for process in processes]
    assert {0} == {status for node, (status, *_) in enumerate(results) if node != victim}, results
    again = ("--node", f"{victim}/3") if draw.random() < 0.7 else ()
    assert (0, "") == ended(start(raw, out, *again))[::2]
    assert alone == files_of(out)
    assert [] == unfinished(out)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", range(KILLS))
def test_torture_of_all(raw: Path, alone: dict[str, str], tmp_path: Path, case: int) -> None:
    """All that is at work is killed at once, nodes and runs without node in turn, with and without --overwrite; what
    comes last finishes the set.
    """
    draw = random.Random(-case)
    out = tmp_path / "out"
    nodes: list[list[str]] = [["--node", f"{node}/3"] for node in range(3)]
    for _ in range(3):
        many: list[list[str]] = draw.choice([nodes, nodes[1:], [[]], [["--overwrite"]]])
        processes = [start(raw, out, *words, workers=draw.randrange(3)) for words in many]
        time.sleep(draw.uniform(0.2, 1.2))
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
        statuses = [ended(process)[0] for process in processes]
        assert {0, -signal.SIGKILL} >= {*statuses}
        assert alone.items() >= files_of(out).items()
    last: list[list[str]] = draw.choice([nodes, [[]]])
    for words in last:
        assert (0, "") == ended(start(raw, out, *words))[::2]
    assert alone == files_of(out)
    assert [] == unfinished(out)


@pytest.mark.parametrize("first", [("0/3", "2/3"), ("1/3",)])
def test_run_without_node_takes_the_rest(
    raw: Path, alone: dict[str, str], tmp_path: Path, first: Sequence[str]
) -> None:
    """It keeps what nodes have written, and publishes."""
    for node in first:
        run(raw, tmp_path, node)
    shards = {path.name: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    report = run(raw, tmp_path)
    assert (len(shards), (), SHARDS) == (report.kept_shards, report.missing, report.shards)
    assert alone == files_of(tmp_path)
    assert shards.items() <= {path.name: path.stat().st_ino for path in tmp_path.glob("*.tar")}.items()


def test_nodes_go_on_with_a_set_that_one_run_began(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """What it has written is kept, whosever share it is."""
    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, None, _Interrupter(100))
    shards = {path.name: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    assert 0 < len(shards) < SHARDS
    for node in ("1/2", "0/2"):
        run(raw, tmp_path, node)
    assert alone == files_of(tmp_path)
    assert shards.items() <= {path.name: path.stat().st_ino for path in tmp_path.glob("*.tar")}.items()


def test_nodes_with_the_source_elsewhere(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """A node may see source and destination under other paths, through a link or from another folder."""
    (tmp_path / "link").symlink_to(raw)
    shutil.copytree(raw, tmp_path / "copy", symlinks=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "shards").symlink_to("out")
    run(tmp_path / "link", tmp_path / "out", "0/4")
    run(raw, tmp_path / "shards", "1/4")
    run(tmp_path / "copy", tmp_path / "out", "2/4")
    relative = Path(os.path.relpath(raw))
    run(relative, Path(os.path.relpath(tmp_path / "out")), "3/4")
    assert alone == files_of(tmp_path / "out")


@pytest.mark.parametrize("layout", golden.LAYOUTS)
def test_all_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    """Nodes make the bytes of one run from each layout, also from archives; the index of an archive is kept once."""
    monkeypatch.chdir(tmp_path)
    golden.make_sources()
    choices: dict[str, Any] = {"root": layout, "annotations": "boxes", "on_bad": "keep"}
    for node in (None, "1/3", "2/3", "0/3"):
        convert(Options(**choices, dest="alone" if node is None else "out", node=node, **ALL))
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")


def test_more_nodes_than_shards(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """Those that have no share say so, and one of them publishes if it is the last."""
    reports = [run(raw, tmp_path, f"{node}/10") for node in (9, *range(9))]
    assert [8, 0] == [len(reports[0].missing), len(reports[-1].missing)]
    assert (0, 0) == (reports[0].samples, reports[0].exit_code)
    assert alone == files_of(tmp_path)
    assert "whose share is done" in reports[0].text()


def test_preview_beside_a_node(raw: Path, tmp_path: Path) -> None:
    """Shards that others have written are nobody's in the way; a damaged listing is, with the run's own words."""
    run(raw, tmp_path, "0/3")
    found = preview(Options(root=raw, dest=str(tmp_path), node="1/3", **ALL))
    assert ((), "", 0) == (found.taken, found.in_the_way, found.exit_code)
    (tmp_path / ".imagenet_train.listing").write_bytes(b"half")
    found = preview(Options(root=raw, dest=str(tmp_path), node="1/3", **ALL))
    assert 1 == found.exit_code
    with pytest.raises(DestinationError) as caught:
        run(raw, tmp_path, "1/3")
    assert str(caught.value) == found.in_the_way


@pytest.mark.parametrize(
    ("node", "choices", "refusal"),
    [
        ("1/4", {}, "--node 1/4 is one of 4 nodes, and the set was begun with 3"),
        ("1/3", {"seed": 1}, "  seed: 0, now 1\n"),
        ("1/3", {"maxsize": 10**8}, "  maxsize: 1000000000, now 100000000\n"),
        (None, {"seed": 1}, "  seed: 0, now 1\n"),
        (None, {"seed": 1, "finish": True}, "  seed: 0, now 1\n"),
    ],
)
def test_other_choices(
    raw: Path, alone: dict[str, str], tmp_path: Path, node: str | None, choices: dict[str, Any], refusal: str
) -> None:
    """Another N, seed or limit is refused with what differs, by a preview too; and nobody else is hindered by that."""
    run(raw, tmp_path, "0/3")
    before = files_of(tmp_path)
    with pytest.raises((DestinationError, OptionsError)) as caught:
        run(raw, tmp_path, node, **choices)
    assert refusal in str(caught.value)
    found = preview(Options(root=raw, dest=str(tmp_path), node=node, **{**ALL, **choices}))
    assert (1, True) == (found.exit_code, refusal.strip() in found.in_the_way)
    assert before == files_of(tmp_path)
    for each in ("1/3", "2/3"):
        run(raw, tmp_path, each)
    assert alone == files_of(tmp_path)


def test_two_arrays_on_one_destination(raw: Path, tmp_path: Path) -> None:
    """Of two arrays that are begun at once, one is refused as a whole, whichever is later; the other is whole."""
    arrays = [[f"--node={node}/2"] for node in range(2)] + [[f"--node={node}/3", "--seed=5"] for node in range(3)]
    results = [ended(process) for process in [start(raw, tmp_path / "out", *words) for words in arrays]]
    statuses = [status for status, *_ in results]
    assert statuses in ([0, 0, 2, 2, 2], [2, 2, 0, 0, 0])
    assert all(", and the set was begun with " in err for status, _, err in results if status)
    run(raw, tmp_path / "alone", seed=5 if statuses[0] else 0)
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")


def test_same_array_twice(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """Of two arrays of the same nodes each node runs once, and the other is told which process is at work."""
    both = [start(raw, tmp_path, f"--node={node}/2") for node in (0, 1) for _ in range(2)]
    results = [ended(process) for process in both]
    assert {0, 1} >= {status for status, *_ in results}
    assert all(" is in use: process " in err for status, _, err in results if status)
    assert alone == files_of(tmp_path)


@pytest.mark.parametrize("stopped_at", [None, 0, 100])
def test_overwrite_after_an_array(raw: Path, tmp_path: Path, stopped_at: int | None) -> None:
    """All that nodes have made is removed, and the set is begun anew; stopped in between, it goes on without
    --overwrite, or as another array.
    """
    for node in ("0/3", "1/3", "2/3"):
        run(raw, tmp_path / "out", node)
    choices: dict[str, Any] = {"seed": 5, "shards": 6}
    if stopped_at is None:
        run(raw, tmp_path / "out", overwrite=True, **choices)
    else:
        with pytest.raises(KeyboardInterrupt):
            run(raw, tmp_path / "out", None, _Interrupter(stopped_at), overwrite=True, **choices)
        for node in ("1/2", "0/2"):
            run(raw, tmp_path / "out", node, **choices)
    run(raw, tmp_path / "alone", **choices)
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")
    assert not [*(tmp_path / "out").glob(".*-of-3")]
    assert (stopped_at is None) != (tmp_path / "out" / ".imagenet_train.listing").exists()


@pytest.mark.parametrize("moment", ["begin_anew", "outdated"])
@pytest.mark.parametrize("seed", [0, 5])
def test_overwrite_that_is_killed(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, seed: int
) -> None:
    """Before or after the journal is begun anew, while the nodes' journals are there: the same command goes on."""
    for node in ("0/3", "1/3"):
        run(raw, tmp_path / "out", node)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(f"parallel_sharder.journal.journal.Journal.{moment}", killed)
        with pytest.raises(KeyboardInterrupt):
            run(raw, tmp_path / "out", overwrite=True, seed=seed)
    run(raw, tmp_path / "out", overwrite=moment == "begin_anew", seed=seed)
    run(raw, tmp_path / "alone", seed=seed)
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")
    hidden = [path.name for path in sorted((tmp_path / "out").glob(".imagenet*"))]
    assert [".imagenet_train.journal", ".imagenet_train.run.jsonl"] == hidden


def test_overwrite_with_node(raw: Path, tmp_path: Path) -> None:
    """Both together are refused, with what to do; so is --finish with either, or with --check."""
    with pytest.raises(OptionsError, match=r"--overwrite removes the shards of all nodes; run it once without "):
        run(raw, tmp_path, "0/3", overwrite=True)
    with pytest.raises(OptionsError, match=r"--overwrite removes the shards of all nodes; run it once without "):
        dataclasses.replace(Options(node="0/3"), overwrite=True)
    with pytest.raises(OptionsError, match=r"--finish publishes what all nodes have written; leave --node out"):
        run(raw, tmp_path, "0/3", finish=True)
    for choice in ("overwrite", "check"):
        more: dict[str, Any] = {"finish": True, choice: True}
        with pytest.raises(OptionsError, match=r"--finish .* leave one out"):
            run(raw, tmp_path, **more)
    with pytest.raises(OptionsError, match=r"--node 5/3 is outside 0/3 to 2/3: nodes count from 0"):
        run(raw, tmp_path, "5/3")
    assert [] == os.listdir(tmp_path)


def test_finish(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """With shards missing it says whose they are, and changes nothing; with all there it publishes them."""
    run(raw, tmp_path, "1/3")
    run(raw, tmp_path, "2/3")
    before = files_of(tmp_path)
    with pytest.raises(DestinationError) as caught:
        run(raw, tmp_path, finish=True)
    assert (
        "3 shards of 8 are missing, of node 0, so nothing was published. Start the nodes that have to write them "
        "again; or run once without --node and without --finish, which takes all that is missing."
    ) == str(caught.value)
    seen = preview(Options(root=raw, dest=str(tmp_path), finish=True, **ALL))
    assert (1, str(caught.value)) == (seen.exit_code, seen.in_the_way)
    assert before == files_of(tmp_path)
    run(raw, tmp_path, "0/3")
    assert 0 == preview(Options(root=raw, dest=str(tmp_path), finish=True, **ALL)).exit_code
    for path in [*tmp_path.iterdir()]:
        if path.suffix != ".tar" and path.name[0] != "." and path.is_file():
            path.unlink()
    report = run(raw, tmp_path, finish=True)
    assert ((), SHARDS, 0, ()) == (report.missing, report.kept_shards, report.made_samples, report.remade)
    assert alone == files_of(tmp_path)


def test_finish_keeps_what_lacks_samples(tmp_path: Path) -> None:
    """A shard that lacks a sample which could not be read is published as it is: only a run that writes shards, of the
    node or of all, makes it again.
    """
    made.classic_train(tmp_path / "raw")
    image = min(tmp_path.glob("raw/train/*/*.JPEG"))
    data = image.read_bytes()

    class Changing(Recording):
        def planned(self, *_: object) -> None:
            image.write_bytes(data + b"more")

    statuses = []
    for node in ("0/2", "1/2"):
        statuses.append(run(tmp_path / "raw", tmp_path / "out", node, Changing()).exit_code)
        image.write_bytes(data)
    assert 3 in statuses
    shards = {path.name: path.stat().st_ino for path in tmp_path.glob("out/*.tar")}
    (tmp_path / "out" / "imagenet_train.json").unlink()
    report = run(tmp_path / "raw", tmp_path / "out", finish=True)
    assert (3, (), SHARDS) == (report.exit_code, report.remade, report.kept_shards)
    assert shards == {path.name: path.stat().st_ino for path in tmp_path.glob("out/*.tar")}
    report = run(tmp_path / "raw", tmp_path / "out")
    assert (0, 1) == (report.exit_code, len(report.remade))
    run(tmp_path / "raw", tmp_path / "alone")
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_a_node(raw: Path, alone: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    """It ends as every run does, says what is done of its share, and the same command goes on."""
    big = tmp_path / "big"
    made.classic_train(big, images=4000, annotated=1)
    words = ["--node", "0/2", "--shards", "400"]
    process = start(big, tmp_path / "out", *words, workers=1)
    while not [*tmp_path.glob("out/*.tar")]:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    status, _, err = ended(process)
    assert 128 + number == status
    assert re.search("[0-9]+ of 200 shards (is|are) done. Continue with: ", err)
    assert " --node 0/2" in err
    out = tmp_path / "out"
    assert [] == unfinished(out)
    assert "stopped" == status_of(StatusOptions(dest=out)).sets[0].runs[0].state
    for node in ("0/2", "1/2"):
        assert 0 == ended(start(big, out, "--node", node, "--shards", "400", workers=1))[0]
    assert status_of(StatusOptions(dest=out)).sets[0].is_finished
    assert () == verify_shards(VerifyOptions(dest=out, source=big, workers=0)).deviations


def test_signal_while_an_array_is_begun_anew(raw: Path, tmp_path: Path) -> None:
    """Stopped in its scan, before it has a journal, --overwrite has changed nothing, and says so."""
    run(raw, tmp_path, "0/3")
    before = files_of(tmp_path)

    script = f"""import os, signal, sys
from parallel_sharder.monitor import log
from parallel_sharder.cli.main import main
log.Log.scanning = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(main(["--root", {str(raw)!r}, "--dest", {str(tmp_path)!r}, "--overwrite", "--workers", "0"]))"""
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (128 + signal.SIGTERM, True) == (done.returncode, done.stderr.endswith("Nothing was written yet.\n")), (
        done.stderr
    )
    assert before == files_of(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_damaged_shard_of_a_published_set(raw: Path, alone: dict[str, str], tmp_path: Path, damage: str) -> None:
    """Its own node makes it again, and the set is published again; other nodes leave it alone."""
    for node in ("0/3", "1/3", "2/3"):
        run(raw, tmp_path, node)
    shard = tmp_path / "imagenet_train-000004.tar"
    shard.unlink() if damage == "gone" else os.truncate(shard, 512)
    assert ((), (4,)) == ((report := run(raw, tmp_path, "0/3")).remade, report.missing)
    assert (str(shard),) == run(raw, tmp_path, "1/3").remade
    assert alone == files_of(tmp_path)


def test_damaged_journal_of_a_node(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """Its node goes on with what is whole in it, and names it and its copy."""
    for node in ("0/3", "1/3", "2/3"):
        run(raw, tmp_path, node)
    journal = tmp_path / ".imagenet_train.journal.node-1-of-3"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 0xFF
    journal.write_bytes(data)
    [notice] = run(raw, tmp_path, "1/3").notices
    assert notice.startswith(f"{journal} was damaged, and is kept as {journal}.damaged-1. ")
    assert alone == files_of(tmp_path)


def test_check_of_a_node(raw: Path, alone: dict[str, str], tmp_path: Path) -> None:
    """--check reads the node's own shards, and makes those again that are not as recorded."""
    for node in ("0/3", "1/3", "2/3"):
        run(raw, tmp_path, node)
    shard = tmp_path / "imagenet_train-000004.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    assert () == run(raw, tmp_path, "0/3", check=True).remade
    assert (str(shard),) == run(raw, tmp_path, "1/3", check=True).remade
    assert alone == files_of(tmp_path)


def test_unfinished_array_and_other_commands(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify, index, a dry run, and a run of another split in the folder say that the set is not finished, or go on."""
    run(raw, tmp_path, "1/3")
    assert 1 == main(["verify", str(tmp_path)])
    assert "is missing: the set is not finished (the journal has 3 of 8 shards as done)" in capsys.readouterr().out
    assert 1 == main(["index", str(tmp_path)])
    assert f"the set {tmp_path}/imagenet_train is not finished. 3 of 8 shards are done." in capsys.readouterr().err
    words = ["--root", str(raw), "--dest", str(tmp_path), "--shards", str(SHARDS), "--dry-run", "--quiet"]
    assert 0 == main(words)
    assert "kept         3 shards of an earlier run" in capsys.readouterr().out
    assert 0 == main([*words, "--node", "2/3"])
    assert "node         2/3, whose share is 2 shards" in capsys.readouterr().out
    convert(Options(root=raw, dest=str(tmp_path / "other-%06d.tar"), **ALL))
    card = (tmp_path / "README.md").read_text()
    assert ("other", False) == ("other" if "other-" in card else "", "imagenet_train-" in card)


def test_command_that_is_wrong(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line ends with 2, names the option, and writes nothing."""
    words = ["--root", str(raw), "--dest", str(tmp_path), "--node"]
    for more, complaint in (
        ([], "--node without a value is for a task of a Slurm array"),
        (["5/3"], "--node 5/3 is outside"),
        (["x"], "--node 'x' is no node"),
        (["0/3", "--overwrite"], "--overwrite removes the shards of all nodes"),
    ):
        assert 2 == main([*words, *more])
        assert complaint in capsys.readouterr().err
    assert [] == os.listdir(tmp_path)


def test_nodes_of_two_splits_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes and the card that cover all sets in a folder are those of two single runs, though nodes end at once."""
    monkeypatch.chdir(tmp_path)
    golden.make_sources()
    choices: dict[str, Any] = {"root": "tree", **ALL, "shards": 3}
    for split in ("train", "val"):
        convert(Options(**choices, split=split, dest="alone"))
    nodes = [
        Options(**choices, split=split, dest="out", node=f"{node}/2") for split in ("train", "val") for node in (0, 1)
    ]
    threads = [threading.Thread(target=convert, args=(each,)) for each in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "out")


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the two sets of 6b1defb, the last commit without nodes; it is the current one, with sources."""
    monkeypatch.chdir(tmp_path)
    golden.make_sources()
    with tarfile.open(Path(__file__).with_name("6b1defb.tgz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.mark.parametrize("nodes", [("1/2", "0/2"), ("0/2", None), (None,)])
def test_set_begun_before_there_were_nodes(left: Path, nodes: Sequence[str | None]) -> None:
    """It has a status, and goes on, with nodes or without; what is done is kept."""
    [before] = status_of(StatusOptions(dest="half")).sets
    assert (["stopped"], [0, 1]) == (
        [run.state for run in before.runs], [number for number in range(before.shards) if number not in before.missing],
    )  # fmt: skip
    kept = {path.name: path.stat().st_ino for path in left.glob("half/*-00000[01].tar")}
    for node in nodes:
        convert(Options(**earlier.HALF, dest="half", node=node))
    convert(Options(**earlier.HALF, dest="alone"))
    for folder in ("alone", "half"):  # the paths of problems are those that the source had for the earlier run
        (left / folder / "imagenet_train.problems.jsonl").unlink()
    assert files_of(left / "alone") == files_of(left / "half")
    assert kept == {path.name: path.stat().st_ino for path in left.glob("half/*-00000[01].tar")}
    assert 0 == status_of(StatusOptions(dest="half")).exit_code
    assert [] == unfinished(left / "half")


def test_set_finished_before_there_were_nodes(left: Path) -> None:
    """It is finished for the status, and for a node, which keeps all of it."""
    assert 0 == status_of(StatusOptions(dest="finished")).exit_code
    before = files_of(left / "finished")
    report = convert(Options(**earlier.FINISHED, dest="finished", node="1/2"))
    assert (3, (), 3) == (report.kept_shards, report.missing, report.exit_code)
    after = files_of(left / "finished")
    assert before == after
