"""Limits of the machine, and deaths of workers, end a command in words."""

from __future__ import annotations

import os
from collections.abc import Callable

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
from parallel_sharder.engines import running
from parallel_sharder.errors import Death, WorkerError
from tests import made


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], object]]:
    """Each of the library's functions that opens an engine, with something to do for two workers."""
    folder = tmp_path_factory.mktemp("commands")
    made.classic_train(folder / "raw")
    convert(Options(root=folder / "raw", dest=folder / "made", workers=0))
    return {
        "convert": lambda: convert(Options(root=folder / "raw", dest=folder / "out", workers=2, start_method="fork")),
        "preview": lambda: preview(Options(root=folder / "raw", dest=folder / "out", workers=2, start_method="fork")),
        "verify": lambda: verify_shards(VerifyOptions(dest=folder / "made", workers=2)),
        "index": lambda: index_shards(IndexOptions(dest=folder / "made", readers=("dali",), workers=2)),
    }


TASKS = {
    "convert": "sources.survey.list_class",
    "preview": "sources.survey.list_class",
    "verify": "verify.command.check_shard",
    "index": "indexes.headers.read_and_index",
}
"""What the workers of each command are given to do first."""


def exit_at_once(*_: object, **__: object) -> None:
    os._exit(7)


def have_no_memory(*_: object, **__: object) -> None:
    raise MemoryError


def have_no_disk(*_: object, **__: object) -> None:
    raise OSError(5, "Input/output error", "/some/file")


@pytest.mark.parametrize("command", TASKS)
def test_death_of_a_worker_in_words(
    commands: dict[str, Callable[[], object]], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The cause is named, and what to do."""
    monkeypatch.setattr(f"parallel_sharder.{TASKS[command]}", exit_at_once)
    with pytest.raises(WorkerError, match="^a worker died.*exit status 7.*If memory is short, use fewer workers.$"):
        commands[command]()


@pytest.mark.parametrize("command", TASKS)
def test_no_memory_in_a_worker_in_words(
    commands: dict[str, Callable[[], object]], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The limit is named, and what to do."""
    monkeypatch.setattr(f"parallel_sharder.{TASKS[command]}", have_no_memory)
    with pytest.raises(SharderError, match="There is not enough memory. Use fewer workers, or a machine with more.$"):
        commands[command]()


@pytest.mark.parametrize("command", TASKS)
def test_error_of_the_system_in_words(
    commands: dict[str, Callable[[], object]], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The file is named, and what to do."""
    monkeypatch.setattr(f"parallel_sharder.{TASKS[command]}", have_no_disk)
    words = "/some/file.* Mend that, and type the same command again.$"
    with pytest.raises(SharderError, match=f"Input/output error.*{words}|{words[:10]}.*Input/output error.*Mend that"):
        commands[command]()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(5, "Input/output error", "/some/file"),
            "^/some/file: Input/output error. Mend that, and type the same",
        ),
        (OSError(24, "Too many open files"), "^Too many open files. The limit on a process's open files is [0-9,]+ "),
        (MemoryError(), "^There is not enough memory. Use fewer workers, or a machine with more.$"),
        (Death("killed by SIGKILL"), r"^a worker died \(killed by SIGKILL\). If memory is short, use fewer workers.$"),
    ],
)
def test_error_of_the_coordinator_in_words(error: Exception, words: str) -> None:
    """What the command's own process meets is said alike."""
    with pytest.raises(SharderError, match=words), running(0):
        raise error
