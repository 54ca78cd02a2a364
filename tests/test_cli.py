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
from parallel_sharder.cli import main
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
        r"pattern   imagenet_train-000000.tar",
        r"manifest  imagenet_train.json",
        r"    import webdataset as wds",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line


@pytest.mark.parametrize("suffix", ["tar", "tgz", "tar.zst"])
def test_example_in_the_summary_works(tmp_path: Path, suffix: str) -> None:
    """The lines that the summary ends with, run as they are, give an image's bytes and its label, in any folder."""
    made.classic_train(tmp_path / "raw")
    tmp_path = tmp_path / 'user\'s "shards"'
    if suffix == "tar.zst":
        needs("zstd")
    done = run("--root", tmp_path.parent / "raw", "--dest", tmp_path / f"x-%06d.{suffix}", "--maxcount", "30")
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
    assert 3 == len(lines)
    assert f"/x-{{000000..000001}}.{suffix}" in lines[1]
    code = "\n".join(lines).replace('.decode("pil")', ".decode()")  # the made images do not decode
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(type(image), label)"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"<class 'bytes'> \d+\n", shown.stdout)


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


def test_dry_run(tmp_path: Path) -> None:
    """It prints the plan, in text or JSON, and writes nothing at all."""
    made.classic_train(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("--dry-run", "--maxcount", "7", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    for line in (
        r"layout   +classic tree, train images in .*/train",
        r"samples  +60",
        r"shards   +9 of 6 or 7 samples, the largest at most [\d.]+ kB",
        r"pattern  +imagenet_train-\{000000\.\.000008\}\.tar",
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
        (["--frobnicate"], 2, "unrecognized arguments: --frobnicate"),
        (["--work", "3"], 2, "unrecognized arguments: --work 3"),
        (["verify"], 2, "the following arguments are required: DEST"),
        (["verify", "x", "--workers", "two"], 2, "--workers: 'two' is not a whole number"),
        (["verify", "x-%d.tar"], 2, "DEST: x-%d.tar needs exactly one shard number"),
        (["verify", "x", "--shards", "3"], 2, "unrecognized arguments: --shards 3"),
        (["verify", "nowhere"], 1, "nowhere cannot be read: No such file or directory. Name the folder of the shards."),
        (["verify", "."], 1, ". holds no set of shards with its manifest, such as imagenet_train.json."),
        (["verfiy", "."], 2, "unrecognized arguments: verfiy ."),
        (["--root", "nowhere"], 1, "nowhere is not a folder"),
        (["--split", "val"], 1, "no val images found under"),
        (["--meta", "none.mat"], 1, "none.mat, named with --meta, is not a file"),
        (["--xml-root", "none"], 1, "none, named with --xml-root, is neither a folder nor a tar archive"),
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
    try:
        returned = main([*words, "--quiet"])
    except SystemExit as error:  # argparse's own refusals
        returned = int(error.code or 0)
    captured = capsys.readouterr()
    assert status == returned
    assert message in captured.err
    assert "" == captured.out
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("imagenet_train*"))


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
    assert f"parallel-sharder {parallel_sharder.__version__}\n" == run("--version").stdout


def test_examples_of_help_are_valid() -> None:
    """Every example in the help is a command line that parses and validates."""
    from parallel_sharder.cli import _parse

    examples = re.findall(r"^    parallel-sharder (.*)$", run("--help").stdout + run("verify", "--help").stdout, re.M)
    assert len(examples) >= 8
    for example in examples:
        _parse(example.split(" >")[0].split())


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
    sentence = rf"parallel-sharder: stopped by {number.name}. (\d+) of 600 shards are done. Continue with: {command}\n"
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
    assert errors.endswith(f"shards are done. Continue with: {command}\n")


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
    """Its workers then look dead while they live; the run goes on or ends with an error, and never hangs."""
    process = start_long_run(long_set, tmp_path, "--quiet")
    [server] = [each for each in psutil.Process(process.pid).children() if "forkserver" in " ".join(each.cmdline())]
    server.kill()
    process.communicate(timeout=60)
    assert process.returncode in (0, 1)
    assert 0 == run(*process.args[3:]).returncode  # type: ignore[index]


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
