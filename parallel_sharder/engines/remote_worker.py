"""What runs on a cluster's worker: the task's function, a heart that beats, and the check of the host before all else.

`by_value` makes the function that is sent. It is pickled with its code, so a host that lacks this package, or has
another version of it, still answers. On a host with the same version it calls `work`, which unpickles the check, the
function and the task, and answers with a plain tuple. No exception leaves it.
"""

from __future__ import annotations

import contextlib
import pickle
import platform
import secrets
import threading
from collections.abc import Callable
from typing import Any

from parallel_sharder.engines.cluster import Answer, Beat
from parallel_sharder.engines.limits import explain

BEAT_SECONDS = 1.0
"""The time between two beats. Progress is promised every two seconds; with less, 1,000 workers flood the channel."""

_checked: dict[bytes, str] = {}
"""What the checks have found on this host, by their pickled form: each is called once in a process."""
_checking = threading.Lock()


def by_value(module: str, version: str, key: Callable[[], str]) -> Callable[[int, bytes, Any], Answer]:
    """Return the function to send, which calls `work` of this module on a host that has this version of the package.

    `key` returns the cluster's name for the node. Both functions are pickled with their code, as they are nested ones.
    """

    def on_worker(number: int, packed: bytes, channel: Any) -> Any:
        import importlib
        import platform

        host, install = platform.node(), f"Install it there: pip install parallel_sharder=={version}"
        try:
            found = importlib.import_module("parallel_sharder").__version__
        except ImportError as error:
            return "refused", key(), host, f"parallel_sharder cannot be imported there ({error}). {install}"
        if found != version:
            return "refused", key(), host, f"parallel_sharder is {found} there, and {version} here. {install}"
        return importlib.import_module(module).work(number, packed, channel)

    return on_worker


def pack(check: bytes, function: Callable[..., Any], task: Any) -> bytes:
    """Return a task for `answer`: the function, the task, and the pickled check of the host, b"" for none."""
    return pickle.dumps((check, pickle.dumps((function, task))))


def answer(packed: bytes, key: str, send: Callable[[Beat], bool], number: int) -> Answer:
    """Do a packed task, and return what has become of it. `send` sends a beat, and returns whether to stop.

    `key` is the cluster's name for the node, and `number` that of the submission.
    """
    host = platform.node()
    try:
        check, inner = pickle.loads(packed)  # noqa: S301  the coordinator has sent it
        if words := _refusal(check):
            return "refused", key, host, words
        function, task = pickle.loads(inner)  # noqa: S301
        with Heart(send, number, host) as progress:
            result = pickle.dumps(function(task, progress))
        return "done", key, host, result
    except Exception as error:
        explain(error)  # pickle drops the cause
        return "failed", key, host, _packed(error)


def _packed(error: Exception) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:  # it holds what cannot be sent
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _refusal(check: bytes) -> str:
    if not check:
        return ""
    with _checking:
        if check not in _checked:
            try:
                _checked[check] = pickle.loads(check)()  # noqa: S301
            except ImportError as error:
                _checked[check] = (
                    f"a package is missing there ({error}). Install parallel_sharder there with all its parts."
                )
        return _checked[check]


class Heart:
    """A Progress that keeps the numbers, while a thread sends them every BEAT_SECONDS and learns whether to stop."""

    def __init__(self, send: Callable[[Beat], bool], number: int, host: str) -> None:
        self._send = send
        self._beat = Beat(number, secrets.token_hex(8), host, 0, 0)
        self._ended = threading.Event()
        self.stopped = False

    def tell(self, samples: int, written_bytes: int) -> None:
        """As Progress says."""
        self._beat = self._beat._replace(samples=samples, written_bytes=written_bytes)

    def __enter__(self) -> Heart:
        threading.Thread(target=self._run, name="heart", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(Exception):
            self._send(self._beat._replace(ended=True))

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(Exception):  # the channel is down; if it stays so, the coordinator notices
                self.stopped = self._send(self._beat) or self.stopped
            self._ended.wait(BEAT_SECONDS)
