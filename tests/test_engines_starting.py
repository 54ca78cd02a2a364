"""Odd places and odd ways to start in: what is left out of the way there, and what is said where nothing helps."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from parallel_sharder import (
    IndexOptions,
    Options,
    SharderError,
    VerifyOptions,
    convert,
    index_shards,
    preview,
    verify_shards,
)
from parallel_sharder.engines import starting, worker_process
from parallel_sharder.errors import SampleError
from parallel_sharder.options import StartMethod
from parallel_sharder.stores.blob import LooseFile
from tests import made
from tests.conftest import needs

PROGRAM = Path(sys.executable).with_name("parallel-sharder")
METHODS = ["forkserver", "spawn", "fork"]
SHARD = "out/imagenet_train-000000.tar"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set."""
    root = tmp_path_factory.mktemp("starting") / "raw"
    made.classic_train(root)
    return root


def run(
    *words: str | Path,
    before: tuple[str, ...] = (),
    cwd: Path | None = None,
    limit: tuple[int, int] | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """The installed command, behind other words, with a limit, and with some variables."""
    if not PROGRAM.exists():
        pytest.skip("the command is not installed beside this Python")

    def limit_itself() -> None:
        if limit is not None:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    return subprocess.run(
        [*before, PROGRAM, *words], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=100, check=False, preexec_fn=limit_itself,
    )  # fmt: skip


def check_all_commands(
    raw: Path, folder: Path, run: Callable[..., subprocess.CompletedProcess[str]], shown: str = ""
) -> None:
    """Convert with every start method, preview, verify and index, by `run`; each ends well, and says `shown` alone."""
    for method in METHODS:
        shutil.rmtree(folder / "out", ignore_errors=True)
        words = f"--root {raw} --dest {folder}/out --workers 2 --quiet --start-method {method}".split()
        done = run(*words)
        assert (0, shown) == (done.returncode, done.stderr), (method, done.stderr)
    for words in (
        f"verify {folder}/out --source {raw} --workers 2 --quiet".split(),
        f"index {folder}/out --for all --workers 2 --quiet".split(),
        f"--root {raw} --dest {folder}/dry --workers 2 --dry-run --quiet".split(),
    ):
        done = run(*words)
        assert (0, shown) == (done.returncode, done.stderr), (words, done.stderr)


@pytest.mark.parametrize("kind", ["long", "missing"])
def test_folder_for_temporary_files(raw: Path, tmp_path: Path, kind: str) -> None:
    """No command needs TMPDIR, whether its path is too long for a socket, or it is missing, or leaves a file there."""
    folder = tmp_path / (("x" * 120) if kind == "long" else "tmp")
    if kind == "long":
        folder.mkdir()
    check_all_commands(raw, tmp_path, lambda *words: run(*words, TMPDIR=str(folder)))
    assert not folder.is_dir() or [] == os.listdir(folder)


PLACES = {
    "no folder for temporary files can be written": (
        "for each in /tmp /var/tmp /dev/shm {writable}; do mount --bind $each $each; done; "
        "for each in /tmp /var/tmp /dev/shm; do mount -o remount,bind,ro $each; done"
    ),
    "no /dev": "mount -t tmpfs none /dev",
    "read-only shared memory": "mount -t tmpfs -o ro none /dev/shm",
    "full shared memory": "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero >/dev/shm/full",
    "hidden /proc": "mount -t tmpfs none /proc",
    "hidden /sys": "mount -t tmpfs none /sys",
}


@pytest.mark.parametrize("place", PLACES)
def test_places(raw: Path, tmp_path: Path, place: str) -> None:
    """No command needs what a container may lack."""
    if subprocess.run([needs("unshare"), "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    make = PLACES[place].format(writable=tmp_path)
    before = ("unshare", "-m", "bash", "-ec", f'{make}; exec "$@"', "bash")
    check_all_commands(raw, tmp_path, lambda *words: run(*words, before=before))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("before", ['exec "$@" <&- >&- 2>&-', 'rmdir "$PWD"; exec "$@"'])
def test_without_standard_files_or_a_working_folder(raw: Path, tmp_path: Path, before: str, method: str) -> None:
    """Descriptors that are closed, and a working folder that is removed, are not missed."""
    (tmp_path / "here").mkdir()
    words = f"--root {raw} --dest {tmp_path}/out --workers 2 --quiet --start-method {method}".split()
    done = run(*words, before=("bash", "-c", before, "bash"), cwd=tmp_path / "here")
    assert (0, "") == (done.returncode, done.stderr)
    assert 0 == verify_shards(VerifyOptions(dest=tmp_path / "out", workers=0)).exit_code


STRAYS = [
    *sorted({*sys.stdlib_module_names} - {*sys.builtin_module_names}),
    "isal", "msgpack", "numpy", "parallel_sharder", "psutil", "scipy", "tqdm", "xmltodict", "xxhash", "zstandard",
]  # fmt: skip
"""What files in a working folder may be called by chance: all that the command imports, and more."""


def add_strays(folder: Path, names: Sequence[str] = STRAYS) -> Path:
    """Files of these names that say when they are run; the file that they say it in."""
    told = folder / "told"
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(told)!r}, 'a').write({name + ' '!r})\nraise ImportError\n")
    return told


def test_files_of_the_working_folder_are_not_run(raw: Path, tmp_path: Path) -> None:
    """Whatever Python files lie in the working folder, no process of the installed command imports one."""
    (tmp_path / "here").mkdir()
    told = add_strays(tmp_path / "here")
    check_all_commands(raw, tmp_path, lambda *words: run(*words, cwd=tmp_path / "here"))
    assert not told.exists()


CALL = """
from parallel_sharder import Options, convert
print(convert(Options(root={raw!r}, dest={dest!r}, workers=2, start_method={method!r}, shards=3)).samples)
"""


def call(raw: Path, tmp_path: Path, method: str) -> str:
    return CALL.format(raw=str(raw), dest=str(tmp_path / "out"), method=method)


def python(*words: str | Path, code: str | None = None, cwd: Path | None = None) -> str:
    """What Python prints, which ends well and says nothing else."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", *words],
        input=code, cwd=cwd, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done.stderr
    return done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_a_script_do_not_import_what_lies_beside_it(raw: Path, tmp_path: Path, method: str) -> None:
    """A script's own imports come from its folder first, as Python has it; those of workers come from there last."""
    script = tmp_path / "script.py"
    script.write_text(
        "import parallel_sharder.coordinator, parallel_sharder.engines.processes, scipy.io, sys\n"
        "from importlib.util import find_spec\n"
        "from pathlib import Path\n"
        "from tests.test_engines_starting import STRAYS, add_strays\n"
        # Some modules are of other systems, and the library looks whether they are there.
        "add_strays(Path(), [name for name in STRAYS if name in sys.modules or find_spec(name)])\n"
        + call(raw, tmp_path, method)
    )
    assert "60\n" == python(script, cwd=tmp_path)
    assert not (tmp_path / "told").exists()


def test_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import from where this process does; only what stands before the library for the script comes last."""
    library = os.path.dirname(os.__file__)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/brought", library, str(tmp_path), "relative", 7])
    assert ["/brought", library, str(tmp_path), str(tmp_path / "relative"), f"{tmp_path}/"] == starting.import_path()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["script", "standard input", "-c", "interactive"])
def test_called_without_a_guard(raw: Path, tmp_path: Path, method: str, way: str) -> None:
    """Workers do not import `__main__`: convert can be called at the top of a script, or where there is no script."""
    code = call(raw, tmp_path, method)
    match way:
        case "script":
            (tmp_path / "script.py").write_text(code)
            said = python(tmp_path / "script.py")
        case "standard input":
            said = python("-", code=code)
        case "-c":
            said = python("-c", code)
        case _:
            said = python("-c", f"import code; code.InteractiveConsole().runsource({code!r}, symbol='exec')")
    assert "60\n" == said


@pytest.mark.parametrize("method", METHODS)
def test_called_from_a_daemonic_process(raw: Path, tmp_path: Path, method: str) -> None:
    """A worker of somebody's pool, which multiprocessing allows no children, has workers all the same."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\n"
        f"def task(_):\n    exec({call(raw, tmp_path, method)!r})\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        pool.map(task, [0])\n"
    )
    assert "60\n" == python(script)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_in_the_calling_process(raw: Path, tmp_path: Path, method: StartMethod) -> None:
    """Afterwards there are no more processes, threads and open files than before, and no other variables or paths."""

    def state() -> object:
        gc.collect()
        files = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
        return psutil.Process().children(), threading.enumerate(), files, dict(os.environ), [*sys.path]

    convert(Options(root=raw, dest=tmp_path / "first", workers=0))  # which imports what it needs
    before = state()
    convert(Options(root=raw, dest=tmp_path / "out", workers=2, start_method=method))
    assert before == state()


def test_few_open_files(raw: Path, tmp_path: Path) -> None:
    """A limit on open files that is too low for workers is named, with its value; it need not be high for them."""
    words = f"--root {raw} --dest {tmp_path}/out --shards 40 --quiet --workers".split()
    for method in METHODS:
        done = run(*words, "4", "--start-method", method, limit=(resource.RLIMIT_NOFILE, 10))
        assert 1 == done.returncode
        assert (
            "parallel-sharder: a worker cannot be started: Too many open files. The limit on a process's open files "
            "is 10 (ulimit -n). Use fewer --workers, or --workers 0, or raise the limit.\n"
        ) == done.stderr
    for workers in ("4", "0"):
        done = run(*words, workers, limit=(resource.RLIMIT_NOFILE, 30))
        assert (0, "") == (done.returncode, done.stderr)


def test_no_open_files_is_no_fault_of_a_sample(raw: Path, tmp_path: Path) -> None:
    """What cannot be opened because of the limit on open files is not left out: the run stops, and can go on."""
    words = f"--root {raw} --dest {tmp_path}/out --quiet --workers 0".split()
    done = run(*words, limit=(resource.RLIMIT_NOFILE, 5))
    assert 1 == done.returncode
    assert (
        "The limit on a process's open files is 5 (ulimit -n). Use fewer --workers, or --workers 0, or raise the limit."
    ) in done.stderr
    assert 0 == run(*words).returncode
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        with pytest.raises(OSError, match=os.strerror(number)), refusing(number):
            LooseFile(str(tmp_path), 9).read()
    with pytest.raises(SampleError, match=os.strerror(errno.EACCES)), refusing(errno.EACCES):
        LooseFile(str(tmp_path), 9).read()


@contextlib.contextmanager
def refusing(number: int) -> Iterator[None]:
    """No file can be opened for this reason."""

    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", fail)
        yield


@pytest.fixture
def as_another(tmp_path: Path) -> tuple[str, ...]:
    """Words that run a command as a user whom the limit on processes binds, and who may read and write all the same."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody who has no other processes")
    return (
        needs("setpriv"), "--reuid", "54321", "--clear-groups", "--inh-caps", "-all,+dac_override",
        "--ambient-caps", "-all,+dac_override", "--bounding-set", "-all,+dac_override",
    )  # fmt: skip


def test_few_processes(raw: Path, tmp_path: Path, as_another: tuple[str, ...]) -> None:
    """A limit on processes is named, with its value, whichever process or thread it strikes; none does with one."""
    for limit in range(1, 8):
        for method in METHODS:
            words = f"--root {raw} --dest {tmp_path}/out --quiet --workers 4 --start-method {method}".split()
            done = run(*words, before=as_another, limit=(resource.RLIMIT_NPROC, limit))
            assert 1 == done.returncode
            assert done.stderr in [
                f"parallel-sharder: {what}. The limit on a user's processes and threads is {limit} (ulimit -u). Use "
                "fewer --workers, or --workers 0, or raise the limit.\n"
                for what in (
                    "a worker cannot be started: Resource temporarily unavailable", "No thread can be started",
                )
            ]  # fmt: skip
    words = f"--root {raw} --dest {tmp_path}/out --quiet --workers 0".split()
    done = run(*words, before=as_another, limit=(resource.RLIMIT_NPROC, 1))
    assert (0, "") == (done.returncode, done.stderr)


def test_few_threads_for_zstd(raw: Path, tmp_path: Path, as_another: tuple[str, ...]) -> None:
    """A thread that a library of compression cannot start is named like one of our own."""
    words = f"--root {raw} --dest {tmp_path}/x-%06d.tar.zst --quiet --workers 0".split()
    done = run(*words, before=as_another, limit=(resource.RLIMIT_NPROC, 1))
    assert 1 == done.returncode
    assert "No thread can be started. The limit on a user's processes and threads is 1 (ulimit -u)." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def process_group() -> Iterator[Path]:
    """A control group that may have eight processes and threads."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("pids", ""):
            top = Path("/sys/fs/cgroup") / controllers
            group = top / path.lstrip("/") / "parallel_sharder_processes"
            try:
                group.mkdir()
                (group / "pids.max").write_text("8")
            except OSError:
                continue
            yield group
            group.rmdir()
            return
    pytest.skip("no control group of processes can be made here")


def test_few_processes_in_a_control_group(raw: Path, tmp_path: Path, process_group: Path) -> None:
    """The limit that containers and batch systems set is named as well."""
    before = ("bash", "-c", f'echo $$ >{process_group}/cgroup.procs && exec "$@"', "bash")
    done = run(*f"--root {raw} --dest {tmp_path}/out --quiet --workers 8 --shards 8".split(), before=before)
    assert 1 == done.returncode
    assert "The limit on the control group's processes and threads is 8 (pids.max). Use fewer --workers" in done.stderr
    assert "Traceback" not in done.stderr


def test_little_memory(raw: Path, tmp_path: Path) -> None:
    """A limit on memory that does not even let numpy be loaded is named, with its value."""
    words = f"--root {raw} --dest {tmp_path}/out --quiet --workers 2".split()
    done = run(*words, limit=(resource.RLIMIT_AS, 60_000 * 1024), OPENBLAS_NUM_THREADS="1")
    assert (
        "parallel-sharder: There is not enough memory. The limit on a process's memory is 60,000 KB (ulimit -v). Use "
        "fewer --workers, or --workers 0, or raise the limit.\n"
    ) == done.stderr
    assert 1 == done.returncode


def every_way(raw: Path, tmp_path: Path) -> list[Callable[[], object]]:
    """Each of the library's functions that starts workers, with something to do."""
    convert(Options(root=raw, dest=tmp_path / "made", workers=0))
    return [
        lambda: convert(Options(root=raw, dest=tmp_path / "out", workers=2)),
        lambda: preview(Options(root=raw, dest=tmp_path / "out", workers=2)),
        lambda: verify_shards(VerifyOptions(dest=tmp_path / "made", workers=2)),
        lambda: index_shards(IndexOptions(dest=tmp_path / "made", readers=("dali",), workers=2)),
    ]


def test_no_thread(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, each function raises a SharderError; without workers, convert needs none."""
    ways = every_way(raw, tmp_path)
    monkeypatch.setattr(threading.Thread, "start", _raise(RuntimeError("can't start new thread")))
    for way in ways:
        with pytest.raises(SharderError, match="^No thread can be started. .*workers 0"):
            way()
    assert 60 == convert(Options(root=raw, dest=tmp_path / "out", workers=0)).samples


@pytest.mark.timeout(60)
def test_no_memory_in_the_coordinator(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the coordinator's thread has no memory to go on, each function raises a SharderError, and none waits."""
    ways = every_way(raw, tmp_path)
    monkeypatch.setattr(selectors.DefaultSelector, "select", _raise(MemoryError()))
    for way in ways:
        with pytest.raises(SharderError, match="^There is not enough memory. Use fewer workers, or a machine with"):
            way()


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_python_that_is_not_known(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that embeds Python has no sys.executable; that is said."""
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(SharderError, match="^a worker cannot be started: .*sys.executable.*workers 0"):
        convert(Options(root=raw, dest=tmp_path / "out", workers=2))


def test_fork_server_that_is_left_alone() -> None:
    """It ends without a word when the coordinator was killed between question and answer."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(worker_process.NUMBER.pack(os.getpid()))
        ours.close()
        descriptor = its.fileno()
        script = (
            "from parallel_sharder.engines.board import Board\n"
            "from parallel_sharder.engines import worker_process\n"
            f"worker_process.run_and_exit(worker_process.serve, {descriptor}, Board.at(Board.create(1)))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], pass_fds=[descriptor], capture_output=True, text=True, timeout=60,
            cwd=Path(__file__).parents[1], check=False,
        )  # fmt: skip
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
