"""What runs on a cluster's worker: it answers whatever happens, and its heart beats meanwhile."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from parallel_sharder import __version__
from parallel_sharder.engines import remote_worker
from parallel_sharder.engines.cluster import Beat
from parallel_sharder.engines.progress import Progress
from parallel_sharder.engines.remote_worker import answer, by_value, pack
from parallel_sharder.errors import StoppedError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats come at once, and no check is remembered by the next test."""
    monkeypatch.setattr(remote_worker, "BEAT_SECONDS", 0.005)
    monkeypatch.setattr(remote_worker, "_checked", {})


def silent(_: Beat) -> bool:
    return False


def divide(task: int, progress: Progress) -> float:
    progress.tell(task, 10)
    return 10 / task


def test_answers() -> None:
    """The result is pickled, and so is the error, with what explains it."""
    kind, key, host, packed = answer(pack(b"", divide, 5), "key", silent, 0)
    assert ("done", "key", 2.0) == (kind, key, pickle.loads(packed))
    assert host
    kind, _, _, packed = answer(pack(b"", divide, 0), "key", silent, 0)
    assert ("failed", ZeroDivisionError) == (kind, type(pickle.loads(packed)))


class OddError(Exception):
    """An error that holds what cannot be sent."""

    def __init__(self, lock: object) -> None:
        super().__init__("it is odd")
        self.lock = lock


def raise_odd(task: int, _: Progress) -> None:
    raise OddError(threading.Lock())


def test_error_that_cannot_be_pickled() -> None:
    """Its type and words come back."""
    _, _, _, packed = answer(pack(b"", raise_odd, 1), "key", silent, 0)
    assert "OddError: it is odd" == str(pickle.loads(packed))


def count(path: Path, words: str) -> str:
    with path.open("a") as file:
        file.write("x")
    return words


def test_check_is_made_once_in_a_process(tmp_path: Path) -> None:
    """Before the task is even unpickled; each check is made for itself."""
    fine, bad = (pickle.dumps(partial(count, tmp_path / (words or "fine"), words)) for words in ("", "old"))
    for _ in range(3):
        assert "done" == answer(pack(fine, divide, 5), "key", silent, 0)[0]
        kind, _, _, words = answer(pickle.dumps((bad, b"no pickle")), "key", silent, 0)
        assert ("refused", "old") == (kind, words)
    assert ("x", "x") == ((tmp_path / "fine").read_text(), (tmp_path / "old").read_text())


def until_stopped(task: int, progress: Progress) -> None:
    progress.tell(task, 10 * task)
    while not progress.stopped:
        time.sleep(0.001)
    raise StoppedError


def test_heart_beats_until_it_is_told_to_stop() -> None:
    """Beats have the last numbers, and one start; the last one says that the function has ended."""
    beats: list[Beat] = []

    def send(beat: Beat) -> bool:
        beats.append(beat)
        if len(beats) == 2:
            raise ConnectionError
        return len(beats) > 4

    kind, _, _, packed = answer(pack(b"", until_stopped, 7), "key", send, 3)
    assert ("failed", StoppedError) == (kind, type(pickle.loads(packed)))
    assert {3} == {beat.number for beat in beats}
    assert 1 == len({beat.start for beat in beats})
    assert (7, 70, False) == beats[3][3:]
    assert any(beat.ended for beat in beats[4:])


def lacks_a_package() -> str:
    raise ModuleNotFoundError("No module named 'zstandard'")


def test_host_that_lacks_a_package() -> None:
    """It is refused, and the run goes on with the others."""
    kind, _, _, words = answer(pack(pickle.dumps(lacks_a_package), divide, 5), "key", silent, 0)
    assert "refused" == kind
    assert "a package is missing there (No module named 'zstandard'). Install parallel_sharder there with" in words


SENT = """
import sys
sys.path.insert(0, {path!r})
on_worker = __import__("cloudpickle").loads({code!r})
print(on_worker(0, b"", None))
"""


def test_sent_function_needs_no_package(tmp_path: Path) -> None:
    """A host without the package, and one with another version, says so, and unpickles nothing."""
    cloudpickle = pytest.importorskip("cloudpickle", reason="it comes with Ray and Dask")
    code = cloudpickle.dumps(by_value("parallel_sharder.engines.ray", __version__, _key()))
    library = str(Path(cloudpickle.__file__).parents[1])
    hidden = tmp_path / "none"
    (hidden / "parallel_sharder").mkdir(parents=True)
    (hidden / "parallel_sharder" / "__init__.py").write_text("raise ImportError('it is not here')")
    other = tmp_path / "other"
    (other / "parallel_sharder").mkdir(parents=True)
    (other / "parallel_sharder" / "__init__.py").write_text("__version__ = '0.0.77'")
    for folder, words in ((hidden, "it is not here"), (other, "parallel_sharder is 0.0.77 there, and")):
        script = SENT.format(path=str(folder), code=code)
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.append({library!r})\n{script}"],
            check=True, capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert done.stdout.startswith("('refused', 'the key', ")
        assert words in done.stdout
        assert f"pip install parallel_sharder=={__version__}" in done.stdout


def _key() -> Callable[[], str]:
    def key() -> str:
        return "the key"

    return key
