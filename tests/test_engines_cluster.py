"""Connecting to a cluster: whatever happens, it ends in time, and with a sentence that names the cluster."""

from __future__ import annotations

import threading

import pytest

from parallel_sharder.engines.cluster import connected
from parallel_sharder.errors import WorkerError


def test_connected() -> None:
    """The connection is returned; it is made in another thread, where no signal handler can be set."""
    assert threading.main_thread() is not connected(threading.current_thread, "the cluster", "Mend it.")


def test_no_answer_in_time() -> None:
    """The caller goes on without it."""
    released = threading.Event()
    with pytest.raises(WorkerError, match=r"^the cluster does not answer within 0 s\. Mend it\.$"):
        connected(released.wait, "the cluster", "Mend it.", seconds=0.05)
    released.set()


def fail() -> None:
    raise OSError("no route\n to host.")


def complain() -> None:
    raise WorkerError("it has another version")


def test_errors_become_sentences() -> None:
    """In one line; those that are sentences already stay as they are."""
    with pytest.raises(WorkerError, match=r"^the cluster cannot be used: no route to host\. Mend it\.$"):
        connected(fail, "the cluster", "Mend it.")
    with pytest.raises(WorkerError, match=r"^it has another version$"):
        connected(complain, "the cluster", "Mend it.")
