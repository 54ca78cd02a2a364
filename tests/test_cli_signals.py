"""Signals: a run that is stopped ends at once and leaves whole shards alone."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import made
from tests.reference import members_of
from tests.test_cli_main import COMMAND, ENVIRONMENT


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
    hidden = [path for path in folder.iterdir() if path.name.startswith(".")]
    assert [".journal", ".jsonl"] == sorted(path.suffix for path in hidden)
    shards = [path for path in folder.iterdir() if path not in hidden]
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
