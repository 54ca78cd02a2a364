"""The command as a user types it: a subprocess, its output and its exit status."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

import parallel_sharder
from parallel_sharder import Options, convert
from parallel_sharder.cli.main import main
from tests import made
from tests.conftest import needs
from tests.reference import expected_members, members_of, read_with_webdataset

COMMAND = [sys.executable, "-m", "parallel_sharder"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONWARNINGS": "error"}


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


def test_bare_command_in_the_data_sets_folder(tmp_path: Path) -> None:
    """Without a word more, train becomes shards here, and the summary tells all that a user wants to know."""
    made.classic_train(tmp_path)
    done = run(cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert expected_members(tmp_path, "train") == members_of([tmp_path / "imagenet_train-000000.tar"])
    assert f"layout       classic tree, train images in {tmp_path}/train" in done.stderr
    assert "classes      5 of the 1,000 in " in done.stderr
    assert "writing 60 samples to 1 shard\n" in done.stderr
    for line in (
        r"samples   60",
        r"shards    1, [\d.]+ kB",
        r"elapsed   [\d.]+ s with \d+ workers?",
        r"rate      [\d,]+ images/s, \d+ MB/s",
        r"left out  nothing",
        r"braces    imagenet_train-000000.tar",
        r"manifest  imagenet_train.json",
        r"    import webdataset as wds",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line


@pytest.mark.parametrize("suffix", ["tar", "tgz", "tar.zst"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    ("folder", "is_pattern"),
    [
        ("shards", True),
        ('user\'s "shards" of 50% $HOME; \N{SNOWMAN} \N{GRINNING FACE}', True),
        ("a{b}c", False),
        ("{0..1}", False),
        ("${HOME}", False),
        ("a::b", False),
        ("back\\slash", False),
        ("it's {all}::100%\\ of 'it'", False),
    ],
)
def test_example_in_the_summary_works(tmp_path: Path, folder: str, is_pattern: bool, shards: int, suffix: str) -> None:
    """The lines that the summary ends with, run as they are, give the bytes of every image, in any folder."""
    made.classic_train(tmp_path / "raw", images=6)
    if suffix == "tar.zst":
        needs("zstd")
    options = Options(root=tmp_path / "raw", dest=tmp_path / folder / f"x-%06d.{suffix}", shards=shards, workers=0)
    title, *lines = convert(options).example().splitlines()
    assert "Read them with" == title
    assert 3 == len(lines)
    assert is_pattern == ("WebDataset([" not in lines[1])
    code = "\n".join(map(str.strip, lines[:2])).replace('.decode("pil")', ".decode()")  # made images do not decode
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*[type(image) for image, label in dataset])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ["<class 'bytes'>"] * 6 == re.findall("<.*?>", shown.stdout)


def test_quiet_prints_no_example(tmp_path: Path) -> None:
    """The summary alone, and nothing on standard error; without --quiet the example follows it."""
    made.classic_train(tmp_path, images=5)
    assert "\n\nRead them with\n    import webdataset" in run(cwd=tmp_path).stdout
    done = run("--quiet", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert "manifest  imagenet_train.json" == done.stdout.splitlines()[-1]


def test_json_and_quiet(tmp_path: Path) -> None:
    """--json prints one JSON document on standard output, --quiet nothing on standard error."""
    made.classic_train(tmp_path / "raw")
    (tmp_path / "raw" / "train" / "notes.txt").touch()
    done = run("--root", tmp_path / "raw", "--dest", tmp_path / "out", "--json", "--quiet")
    assert (0, "") == (done.returncode, done.stderr)
    summary = json.loads(done.stdout)
    assert {
        "samples": 60,
        "shards": 1,
        "left_out": 0,
        "braces": f"{tmp_path}/out/imagenet_train-000000.tar",
    }.items() <= (summary.items())
    assert ["not-an-image"] == [problem["kind"] for problem in summary["problems"]]
    assert {"scan", "plan", "write"} == set(summary["seconds"])
    size = (tmp_path / "out" / "imagenet_train-000000.tar").stat().st_size
    assert size == summary["file_bytes"] == summary["tar_bytes"]


@pytest.mark.parametrize("redirection", ["2>&1 | head -1", ">/dev/full", "2>&-", "2>/dev/full"])
def test_output_that_nobody_takes(tmp_path: Path, redirection: str) -> None:
    """A closed pipe or a full disk under the messages does not stop a conversion, nor change its status."""
    made.classic_train(tmp_path / "raw")
    line = f"{' '.join(COMMAND)} --root {tmp_path}/raw --dest {tmp_path}/out {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode
    assert "Traceback" not in done.stderr
    assert {"imagenet_train-000000.tar", "imagenet_train.json"} <= set(os.listdir(tmp_path / "out"))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["verify", "--help"], ["--dry-run"], []])
def test_closed_output_is_silent(tmp_path: Path, words: list[str]) -> None:
    """Where nobody reads standard output any more, as with `| head`, nothing is said of it, and the status is 0."""
    made.classic_train(tmp_path, images=5)
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [*COMMAND, *words], cwd=tmp_path, env=ENVIRONMENT, stdout=start, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(start)
    assert 0 == done.returncode
    assert "parallel-sharder" not in done.stderr
    assert "Error" not in done.stderr


def test_full_disk_under_the_output_is_said(tmp_path: Path) -> None:
    """Once, with the cause; the shards are there all the same."""
    made.classic_train(tmp_path, images=5)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "--quiet"], cwd=tmp_path, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    said = "parallel-sharder: standard output cannot be written: No space left on device. All else is done.\n"
    assert (0, said) == (done.returncode, done.stderr)
    assert (tmp_path / "imagenet_train.json").exists()


def dry_run(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str]:
    """The status and the last line."""
    status = main(["--root", str(root), "--dest", str(root / "out"), "--workers", "0", "--dry-run", *words])
    return status, capsys.readouterr().out.splitlines()[-1]


def test_dry_run_of_what_would_be_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with 1 and says why: too little space, files of others, another set's journal."""
    made.classic_train(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("parallel_sharder.stores.local.LocalStore.free_bytes", lambda store, folder: 1000)
        status, last = dry_run(capsys, tmp_path)
        assert (1, "outcome      the run would be refused, because there is too little space") == (status, last)
    refused = 1, "outcome      the run would be refused, because something is in the way"
    (tmp_path / "out").mkdir()
    foreign = tmp_path / "out" / "imagenet_train-000003.tar"
    foreign.touch()
    assert refused == dry_run(capsys, tmp_path)
    foreign.unlink()
    index = tmp_path / "out" / "_info.json"
    index.write_text("mine")
    assert refused == dry_run(capsys, tmp_path, "--index", "timm")
    index.unlink()
    assert 0 == main(["--root", str(tmp_path), "--dest", str(tmp_path / "out"), "--shards", "3", "--quiet"])
    assert refused == dry_run(capsys, tmp_path, "--shards", "2")


def test_dry_run_of_what_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards of an earlier run of the same set are in nobody's way: they are kept, or removed with --overwrite."""
    made.classic_train(tmp_path)
    assert 0 == main(["--root", str(tmp_path), "--dest", str(tmp_path / "out"), "--shards", "3", "--quiet"])
    assert (0, "kept         all of them: nothing was left to do") == dry_run(capsys, tmp_path, "--shards", "3")
    (tmp_path / "out" / "imagenet_train-000001.tar").unlink()
    assert (0, "kept         2 shards of an earlier run") == dry_run(capsys, tmp_path, "--shards", "3")
    assert 0 == dry_run(capsys, tmp_path, "--shards", "2", "--overwrite")[0]


def test_dry_run(tmp_path: Path) -> None:
    """It prints the plan, in text or JSON, and writes nothing at all."""
    made.classic_train(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("--dry-run", "--maxcount", "7", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    for line in (
        r"layout   +classic tree, train images in .*/train",
        r"samples  +60",
        r"shards   +9 with 6 or 7 samples each, the largest at most [\d.]+ kB",
        r"braces   +imagenet_train-\{000000\.\.000008\}\.tar",
        r"space    +at most [\d.]+ kB needed, [\d,.]+ [GT]B free",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line
    plan = json.loads(run("--dry-run", "--json", "--shards", "2", cwd=tmp_path).stdout)
    assert {"samples": 60, "shards": 2, "samples_per_shard": [30, 30], "taken": []}.items() <= plan.items()
    assert before == sorted(tmp_path.rglob("*"))


def test_left_out_samples_are_named_and_end_with_3(tmp_path: Path) -> None:
    """The summary counts and names what is not in the shards, and what was merely noticed."""
    expected = made.classic_train(tmp_path, annotated=0)
    first = min(expected.wnids)
    expected.xml(f"train/{expected.wnids[first]}", first).write_text("<oops")
    folder = tmp_path / "train" / made.WNIDS[0]
    (folder / f"{made.WNIDS[1]}_1.JPEG").touch()
    for number in range(12):
        (folder / f"{number}.txt").touch()
    done = run(cwd=tmp_path)
    assert 3 == done.returncode
    assert "samples   59\n" in done.stdout
    assert "left out  2 samples\n" in done.stdout
    assert f"image whose name does not fit its folder, left out: 1\n  {folder}/{made.WNIDS[1]}_1.JPEG" in done.stdout
    assert f"annotation is broken, left out: 1\n  {folder}/{first}.xml: not well-formed XML" in done.stdout
    assert f"not an image of the set, reported only: 12\n  {folder}/0.txt" in done.stdout
    assert "  and 2 more" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--workers", "many"], 2, "--workers: 'many' is not a whole number"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--maxsize: '1XB' is not a size"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--seed -1 is outside 0 to"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--split 'dev' is not one of train, val, test"),
        (["--layout", "mine"], 2, "--layout 'mine' is not one of tree, kaggle, archives, zip"),
        (["--layout", "zip"], 1, "Kaggle zip: "),
        (["--check-archives"], 1, "--check-archives: none of the archives whose MD5 is known is used here, but "),
        (["--labels", "mine"], 2, "--labels 'mine' is not one of devkit, sorted"),
        (["--dest", "x.tar"], 2, "--dest: x.tar has no place for the shard number; write x-%06d.tar"),
        (["--frobnicate"], 2, "there is no option --frobnicate. parallel-sharder --help shows all options."),
        (["--workers"], 2, "--workers needs a value. parallel-sharder --help"),
        (["--quiet=3"], 2, "--quiet takes no value, and has '3'. parallel-sharder --help"),
        (["--no-shuffle", "--seed", "0"], 2, "--seed and --no-shuffle exclude each other."),
        (
            ["--check", "--overwrite"],
            2,
            "--check keeps what is whole, and --overwrite keeps nothing; leave one of them",
        ),
        (["--dest", ""], 2, "--dest is empty; name a path (this folder is .)"),
        (["--root="], 2, "--root is empty; name a path"),
        (["--meta", "", "--xml-root", ""], 2, "--xml-root is empty; name a path (this folder is .)\n--meta is empty; "),
        (["verify", ""], 2, "DEST is empty; name a path"),
        (["verify", "x", "--source", ""], 2, "--source is empty; name a path"),
        (["index", ""], 2, "DEST is empty; name a path"),
        (["verify"], 2, "DEST is missing. parallel-sharder verify --help shows all options."),
        (["verify", "x", "--workers", "two"], 2, "--workers: 'two' is not a whole number"),
        (["verify", "x-%d.tar"], 2, "DEST: x-%d.tar needs exactly one shard number"),
        (["verify", "x", "--shards", "3"], 2, "there is no option --shards of verify. parallel-sharder verify --help"),
        (["verify", "nowhere"], 1, "nowhere cannot be read: No such file or directory. Name the folder of the shards."),
        (["verify", "."], 1, ". holds no set of shards with its manifest, such as imagenet_train.json."),
        (["--root", "nowhere"], 1, "nowhere is not a folder"),
        (["--split", "val"], 1, "no val images found under"),
        (["--meta", "none.mat"], 1, "none.mat, named with --meta, is not a file"),
        (["--xml-root", "none"], 1, "none, named with --xml-root, is neither a folder nor a tar archive. Name the "),
        (["--maxsize", "2000"], 1, "alone needs a shard of"),
        (["--shards", "1000"], 1, "--shards 1000: there are 60 samples, and no shard is empty. Ask for at most 60."),
        (["--dest", "s3://bucket/x-%06d.tar"], 2, "--dest: s3://bucket/x-%06d.tar is an address, not a path"),
        (["--dest", "/proc/nowhere/x-%06d.tar"], 1, "/proc/nowhere cannot hold the shards: "),
        (["--dest", "taken-000003.tar/x"], 1, "taken-000003.tar/x cannot hold the shards: Not a directory"),
        (["--dest", "taken-%06d.tar"], 1, "taken-000003.tar is already there"),
    ],
)
def test_wrong_input(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    status: int,
    message: str,
) -> None:
    """Each ends with its status and a message that names the option or path, the value, and what is allowed."""
    made.classic_train(tmp_path)
    (tmp_path / "taken-000003.tar").touch()
    monkeypatch.chdir(tmp_path)
    returned = main([*words, "--quiet"])
    captured = capsys.readouterr()
    assert status == returned
    assert message in captured.err
    assert "" == captured.out
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("imagenet_train*"))


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("/data", "Name the data set with --root /data."),
        ("~/data", "Name the data set with --root '~/data'."),
        ("'my data'", "Name the data set with --root 'my data'."),
        ("/data /shards", "Name the data set with --root /data, and where shards go with --dest /shards."),
        ("--root /data /shards", "Where shards go is named with --dest /shards."),
        ("convert --root /data", "Leave convert out."),
        ("covnert", "Leave covnert out."),
        ("verfiy /shards", "Did you mean parallel-sharder verify?"),
        ("idnex", "Did you mean parallel-sharder index?"),
        ("--quiet verify /shards", "verify is a command, which comes first: write parallel-sharder verify DEST."),
        ("val", "Name the split with --split val."),
        ("help", "Did you mean parallel-sharder --help?"),
        ("--workrs 3", "Did you mean --workers?"),
        ("--workers=3 --lables=sorted", "there is no option --lables. Did you mean --labels?"),
        ("--work 3", "Did you mean --workers?"),
        ("--max 3", "Did you mean --maxsize or --maxcount?"),
        ("--max-size 3", "Did you mean --maxsize?"),
        ("--on_bad fail", "Did you mean --on-bad?"),
        ("-workers 3", "Did you mean --workers?"),
        ("--num-workers 3", "Did you mean --workers?"),
        ("--output x", "Did you mean --dest?"),
        ("--source x", "Did you mean --root?"),
        ("verfiy x --source y", "Did you mean parallel-sharder verify?"),
        ("indxe x --for dali", "Did you mean parallel-sharder index?"),
        ("check x", "Did you mean parallel-sharder verify?"),
        ("check x --source y --json", "Did you mean parallel-sharder verify?"),
        ("--out x", "Did you mean --dest?"),
        ("--output-dir x", "Did you mean --dest?"),
        ("-o x", "Did you mean --dest?"),
        ("--threads 3", "Did you mean --workers?"),
        ("--jobs=3", "Did you mean --workers?"),
        ("-j 3", "Did you mean --workers?"),
        ("--data x", "Did you mean --root?"),
        ("--input x", "Did you mean --root?"),
        ("--data_dir x", "Did you mean --root?"),
        ("--verify", "Did you mean the command parallel-sharder verify DEST?"),
        ("--resume", "Did you mean the same command without it, which continues?"),
        ("--quiet verify x --source y", "verify is a command, which comes first: write parallel-sharder verify DEST."),
        ("--size 1GB", "Did you mean --maxsize?"),
        ("verify x --data y", "Did you mean --source?"),
        ("verify x --threads 3", "Did you mean --workers?"),
        ("verify --out x", "Did you mean DEST?"),
        ("index x --output y", "Did you mean DEST?"),
        ("verify x --workrs 3", "there is no option --workrs of verify. Did you mean --workers?"),
        ("verify x --root y", "Did you mean --source?"),
        ("verify x y", "y is one word too many: parallel-sharder verify takes one DEST."),
        ("index x --index dali", "Did you mean --for?"),
    ],
)
def test_wrong_words_are_answered_with_the_nearest_right_one(
    capsys: pytest.CaptureFixture[str], words: str, near: str
) -> None:
    """In one line, with status 2."""
    assert 2 == main(shlex.split(words))
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(near)


def test_suggested_options_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed for a --dest that is no pattern is one, word for word."""
    assert 2 == main(["--dest", "my shards/foo-{000000..000010}.tar", "--maxsize", "none"])
    said = capsys.readouterr().err
    match = re.search("; write (.*), or name a folder$", said, re.MULTILINE)
    assert match, said
    assert "'my shards/foo-%06d.tar'" == match[1]
    assert 2 == main(["--dest", *shlex.split(match[1]), "--maxsize", "none"])
    assert "--dest" not in capsys.readouterr().err


def test_home_folder(tmp_path: Path) -> None:
    """A ~ that no shell has expanded, as in --root=~/raw, is the home folder for every option that names a path."""
    made.classic_train(tmp_path / "raw", images=5)
    (tmp_path / "raw" / "ILSVRC2012_devkit_t12").rename(tmp_path / "devkit")
    environment = {**ENVIRONMENT, "HOME": str(tmp_path)}
    source = ["--meta=~/devkit/data/meta.mat", "--xml-root=~/raw/train"]
    for words in (
        ["--root=~/raw", "--dest=~/out/x-%06d.tar", *source],
        ["verify", "~/out", "--source=~/raw", *source],
        ["verify", "~/out/x-%06d.tar"],
        ["index", "~/out", "--for", "timm"],
    ):
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr
    assert {"x-000000.tar", "x.json", "_info.json"} <= set(os.listdir(tmp_path / "out"))
    assert not (tmp_path / "~").exists()


def test_verify(tmp_path: Path) -> None:
    """After a conversion it says that the set is sound, and after damage where that is, with 0 and 1."""
    made.classic_train(tmp_path / "raw")
    assert 0 == run("--root", tmp_path / "raw", "--dest", tmp_path / "out", "--shards", "3").returncode
    done = run("verify", tmp_path / "out", "--source", tmp_path / "raw", "--workers", "2")
    assert (0, "") == (done.returncode, done.stderr)
    assert "source   60 samples compared with" in done.stdout
    assert "verdict  sound\n" in done.stdout
    shard = tmp_path / "out" / "imagenet_train-000001.tar"
    os.truncate(shard, 512)
    done = run("verify", tmp_path / "out", "--quiet")
    assert (1, "") == (done.returncode, done.stderr)
    assert f"verdict  3 deviations\n{shard}\n  offset 512: ends within " in done.stdout
    done = run("verify", tmp_path / "out", "--json")
    verdict = json.loads(done.stdout)
    assert (1, False, 3) == (done.returncode, verdict["sound"], len(verdict["deviations"]))


def test_help_and_version() -> None:
    """Help shows every option of the table with an example for each common case; the version is the package's."""
    done = run("--help")
    for option in (
        "--root", "--split", "--dest", "--workers", "--maxsize", "--maxcount", "--shards", "--seed", "--no-shuffle",
        "--labels", "--xml-root", "--meta", "--dry-run", "--quiet", "--json", "--version", "--start-method",
    ):  # fmt: skip
        assert option in done.stdout
    assert done.stdout.count("    parallel-sharder ") >= 6
    assert "imagenet_{split}-%06d.tar" in done.stdout
    for fact in (
        "parallel-sharder verify DEST",
        "parallel-sharder index DEST",
        "130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP",
        "Other data sets are not\ntaken; for these there is ShardWriter",
    ):
        assert fact in done.stdout
    assert f"parallel-sharder {parallel_sharder.__version__}\n" == run("--version").stdout


def test_examples_of_help_are_valid() -> None:
    """Every example in the help is a command line that parses and validates."""
    from parallel_sharder.cli.parsers import parse

    examples = re.findall(r"^    parallel-sharder (.*)$", run("--help").stdout + run("verify", "--help").stdout, re.M)
    assert len(examples) >= 8
    for example in examples:
        parse(example.split(" >")[0].split())


@pytest.fixture(scope="module")
def long_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 annotated images: seconds of work."""
    root = tmp_path_factory.mktemp("long")
    made.classic_train(root, images=6000, annotated=1)
    return root


def start_long_run(long_set: Path, tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """A run of 600 shards in a process group of its own, some of whose shards are finished."""
    words = f"--root {long_set} --dest {tmp_path}/out --workers 2 --shards 600".split()
    words = [*COMMAND, *words, *more]
    process = subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(tmp_path.glob("out/*.tar")):
        assert process.poll() is None
        time.sleep(0.01)
    return process


def check_only_whole_shards(folder: Path) -> None:
    [journal] = [path for path in folder.iterdir() if path.name.startswith(".")]
    shards = [path for path in folder.iterdir() if path != journal]
    assert 0 < len(shards) < 600
    assert 3 * 10 * len(shards) == len(members_of(shards))


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["group", "coordinator"])
def test_signals(long_set: Path, tmp_path: Path, number: signal.Signals, whom: str, method: str) -> None:
    """Ctrl-C and its like end the run within two seconds with 128 and their number: finished shards stay whole, no
    unfinished file and no process is left, and nothing but one sentence is printed.
    """
    process = start_long_run(long_set, tmp_path, "--start-method", method, "--quiet")
    family = family_of(process)
    start = time.monotonic()
    (os.killpg if whom == "group" else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    psutil.wait_procs(family, timeout=10)
    assert time.monotonic() - start < 10
    assert 128 + number == process.returncode
    # Python 3.12 and later rightly warn of fork; these tests show that it can be had all the same.
    said = re.sub(r".*fork\(\).*\n.*\n", "", errors)
    command = re.escape(shlex.join(map(str, process.args)))  # type: ignore[arg-type]
    sentence = (
        rf"parallel-sharder: stopped by {number.name}. (\d+) of 600 shards (?:is|are) done. Continue with: {command}\n"
    )
    match = re.fullmatch(sentence, said)
    assert match, said
    # One that was finished at the very moment of the signal may not be recorded; it will be made again.
    assert 0 <= len(list((tmp_path / "out").glob("*.tar"))) - int(match[1]) <= 2
    check_only_whole_shards(tmp_path / "out")
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_stopped_overwrite_continues_without_it(long_set: Path, tmp_path: Path) -> None:
    """The command that continues must not throw away what is done; before anything is, nothing is promised."""
    process = start_long_run(long_set, tmp_path, "--quiet", "--overwrite")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    command = shlex.join(str(word) for word in process.args if word != "--overwrite")  # type: ignore[union-attr]
    assert errors.endswith(f" done. Continue with: {command}\n")


@pytest.mark.parametrize("is_found", [True, False])
def test_command_that_continues_is_the_one_typed(long_set: Path, tmp_path: Path, is_found: bool) -> None:
    """The installed command is named as it was: by its name where the shell finds it so, by its path elsewhere."""
    script = Path(sys.executable).parent / "parallel-sharder"
    if not script.exists():
        pytest.skip("the command is not installed beside this Python")
    words = f"--root {long_set} --dest {tmp_path}/out --workers 2 --shards 600 --quiet".split()
    environment = {**ENVIRONMENT, "PATH": f"{script.parent}:/usr/bin:/bin" if is_found else "/usr/bin:/bin"}
    process = subprocess.Popen(
        [script, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not list(tmp_path.glob("out/*.tar")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    name = "parallel-sharder" if is_found else str(script)
    assert f"Continue with: {shlex.join([name, *words])}\n" == errors[errors.index("Continue") :]


def test_ignored_signals_stay_ignored(long_set: Path, tmp_path: Path) -> None:
    """What nohup has switched off does not stop the run."""
    words = f"--root {long_set} --dest {tmp_path}/out --workers 2 --shards 60 --quiet".split()
    process = subprocess.Popen(
        ["nohup", *COMMAND, *words], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not list(tmp_path.glob("out/*.tar")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    assert 0 == process.wait(60)


def test_second_ctrl_c_ends_at_once(long_set: Path, tmp_path: Path) -> None:
    """Whatever the first is still waiting for, the second ends every process; no file under a final name is torn."""
    process = start_long_run(long_set, tmp_path)
    family = family_of(process)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert 130 == process.returncode
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [] == alive
    shards = list((tmp_path / "out").glob("*.tar"))
    assert 3 * 10 * len(shards) == len(members_of(shards))


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_workers_do_not_outlive_the_coordinator(long_set: Path, tmp_path: Path, method: str) -> None:
    """When the coordinator alone is killed, its workers go too: nobody would record what they write."""
    process = start_long_run(long_set, tmp_path, "--start-method", method)
    family = family_of(process)
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [] == alive
    shards = list((tmp_path / "out").glob("*.tar"))
    assert 3 * 10 * len(shards) == len(members_of(shards))


def test_fork_server_that_dies(long_set: Path, tmp_path: Path) -> None:
    """Its workers live on, and so does the run."""
    process = start_long_run(long_set, tmp_path, "--quiet")
    [server] = [each for each in psutil.Process(process.pid).children() if "forkserver" in " ".join(each.cmdline())]
    server.kill()
    process.communicate(timeout=60)
    assert 0 == process.returncode
    assert 3 * 10 * 600 == len(members_of(list((tmp_path / "out").glob("*.tar"))))


@pytest.mark.parametrize("delay", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_ctrl_c_while_it_starts(tmp_path: Path, delay: float) -> None:
    """At no moment of the start does Ctrl-C bring up a worker's traceback."""
    made.classic_train(tmp_path / "raw", classes=50, images=2000, annotated=1)
    process = subprocess.Popen(
        [*COMMAND, "--root", tmp_path / "raw", "--dest", tmp_path / "out", "--workers", "3", "--quiet"],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    # Before main() runs, Python itself answers Ctrl-C, with a traceback of its own imports or the bare signal.
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "_work" not in errors
    assert "ForkServer" not in errors
    assert "forkserver" not in errors


def test_bar_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal one bar shows images, bytes, both rates and the time left, and reaches the end."""
    made.classic_train(tmp_path / "raw", images=3000, annotated=1)
    words = [*COMMAND, "--root", str(tmp_path / "raw"), "--dest", str(tmp_path / "out")]
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("4H", 30, 120, 0, 0))  # rows, columns, and pixels unknown
    process = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    shown = b""
    while select.select([parent], [], [], 30)[0]:
        try:
            shown += os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
    os.close(parent)
    assert 0 == process.wait(30)
    assert "writing 3,000 samples to 1 shard\r\n" in shown.decode()
    last = shown.decode().replace("\r\n", "\n").split("\r")[-1]
    assert re.search(r"100%\|█+\| 3000/3000 \[\d\d:\d\d<00:00, +[\d.]+ images/s, [\d.]+ MB, [\d,]+ MB/s\]", last)


def test_shards_are_read_by_webdataset(tmp_path: Path) -> None:
    """What the command wrote, webdataset gives back: every sample once."""
    expected = made.classic_train(tmp_path)
    assert 0 == run("--maxcount", "20", "--labels", "sorted", cwd=tmp_path).returncode
    samples = read_with_webdataset(str(path) for path in sorted(tmp_path.glob("*.tar")))
    assert {key: made.WNIDS.index(wnid) for key, wnid in expected.wnids.items()} == {
        sample["__key__"]: sample["cls"] for sample in samples
    }
    assert 60 == len(samples)
