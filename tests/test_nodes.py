"""The nodes of an array: who excludes whom, what the dead leave, who decides, and who is out of place."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parallel_sharder import Options
from parallel_sharder.errors import (
    DestinationError,
    DestinationGoneError,
    HeldError,
    OptionsError,
    StaleError,
)
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.node import Node
from parallel_sharder.nodes import (
    Array,
    is_shared,
    joined,
    left_for,
    node_count,
    refuse_misplaced,
    refuse_seen_alive,
    refuse_unfinished,
    watching,
)
from parallel_sharder.options import StatusOptions
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.status import status_of
from parallel_sharder.stores import lease as leases
from tests.test_journal import record
from tests.test_node import array
from tests.test_stores_lease import ELSEWHERE, PACE, other_owner

FINGERPRINT: dict[str, object] = {"seed": 0, "names of shards": "imagenet_train-000000.tar", "shard count": 5}
PLAN = Plan(np.arange(5, dtype=np.int32), np.arange(6), np.ones(5, np.int64))
HERE = rf"process {os.getpid()} on {re.escape(socket.gethostname())} "


def options(folder: Path, node: str | None = None, **choices: Any) -> Options:
    return Options(dest=str(folder), node=node, **choices)


def enter(folder: Path, node: str | None = None, **choices: Any) -> contextlib.AbstractContextManager[Array]:
    return joined(options(folder, node, **choices), Silent())


def files(folder: Path) -> SetFiles:
    return SetFiles(str(folder), "imagenet_train")


def begin(folder: Path) -> None:
    """Leave `folder` as a node leaves it that has ended."""
    folder.mkdir(exist_ok=True)
    (folder / ".imagenet_train.journal.node-0-of-3").touch()


pytestmark = pytest.mark.usefixtures("typed")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are refreshed after 0.05 s, and are stale after 0.5 s."""
    monkeypatch.setattr(leases.lease, "__kwdefaults__", {**(leases.lease.__kwdefaults__ or {}), "pace": PACE})
    monkeypatch.setattr(leases.live_owners, "__defaults__", (None, PACE))


@contextlib.contextmanager
def frozen_elsewhere(path: str) -> Iterator[None]:
    """A process that seems to be on another host has the lock at `path`, and does nothing."""
    with other_owner(Path(path), ELSEWHERE) as process:
        process.send_signal(signal.SIGSTOP)
        yield


def kill_owner_of(path: str) -> None:
    """Leave the lock of a process of this host that was killed."""
    with other_owner(Path(path)) as process:
        process.kill()
        process.wait()


def test_set_of_one_run_has_no_locks(tmp_path: Path) -> None:
    """A run without node, on a set that no node has begun, makes nothing, not even the folder."""
    with enter(tmp_path / "out") as array:
        assert array.lease is None
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("node", ["1/3", None])
def test_lock_of_a_run(tmp_path: Path, node: str | None) -> None:
    """Each run has a lock of its own while it runs, and it leaves none; a folder that it made in vain is removed."""
    out = tmp_path / "out"
    name = ".imagenet_train.node-1-of-3.lock" if node else ".imagenet_train.run.lock"
    if node is None:
        begin(out)
    before = {*os.listdir(out)} if node is None else set()
    with enter(out, node) as lease:
        assert lease is not None
        assert before | {name} == {*os.listdir(out)}
    assert (node is None) == out.exists()


@pytest.mark.parametrize("left", ["listing", "node-0-of-3.lock", "run.lock", "listing.lock", "publish.lock"])
def test_by_what_a_set_is_one_of_nodes(tmp_path: Path, left: str) -> None:
    """The listing, or a lock that only such sets have, shows it, before there is a journal."""
    assert not is_shared(options(tmp_path))
    (tmp_path / f".imagenet_train.{left}").touch()
    assert is_shared(options(tmp_path))


def test_same_node_twice(tmp_path: Path) -> None:
    """The second is refused, and named is who is at work; another node is not kept waiting."""
    with enter(tmp_path, "1/3"), enter(tmp_path, "2/3"):
        with pytest.raises(HeldError, match=rf"^node 1/3 is in use: {HERE}.*node-1-of-3.lock. Wait for its end"):
            enter(tmp_path, "1/3").__enter__()
        assert 2 == len(os.listdir(tmp_path))


def test_run_without_node_while_nodes_live(tmp_path: Path) -> None:
    """It is refused, all nodes at work are named, and it leaves no lock that would refuse the next node."""
    with enter(tmp_path, "1/3"), enter(tmp_path, "10/11"):
        with pytest.raises(DestinationError) as caught:
            enter(tmp_path).__enter__()
        first, *owners, last = str(caught.value).split("\n")
        assert "2 nodes of an array are writing this set:" == first
        assert "Wait for their end, or stop them; the same command then takes all that is missing." == last
        assert all(
            re.match(rf"  node {node}: {HERE}", line) for node, line in zip(("1/3", "10/11"), owners, strict=True)
        )
        with enter(tmp_path, "2/3"):
            pass


@pytest.mark.parametrize("choices", [{}, {"finish": True}])
def test_node_while_a_run_without_node_lives(tmp_path: Path, choices: dict[str, Any]) -> None:
    """The node is refused, whatever the run without node is there for, and leaves no lock."""
    begin(tmp_path)
    with enter(tmp_path, **choices):
        before = os.listdir(tmp_path)
        with pytest.raises(
            DestinationError, match=rf"^a run without --node writes this set:\n  {HERE}.*\nWait for its"
        ):
            enter(tmp_path, "1/3").__enter__()
        assert before == os.listdir(tmp_path)


def test_node_while_a_run_lives_that_began_before_all_nodes(tmp_path: Path) -> None:
    """Such a run has no lock but its journal's, and that counts."""
    journal = tmp_path / ".imagenet_train.journal"
    with Journal(str(journal), FINGERPRINT):
        with pytest.raises(DestinationError, match=rf"^a run without --node writes this set: it holds {journal}. Wait"):
            enter(tmp_path, "1/3").__enter__()
        assert [journal.name] == os.listdir(tmp_path)
    with enter(tmp_path, "1/3"):
        pass


def test_node_after_a_run_of_another_host_died_without_flock(tmp_path: Path, quick: None) -> None:
    """The lock beside that run's journal is watched, and does not keep nodes out for ever; a living run's does."""
    journal = tmp_path / ".imagenet_train.journal"
    journal.touch()
    with frozen_elsewhere(f"{journal}.lock"), enter(tmp_path, "1/3") as array:
        assert array.lease is not None
    os.unlink(f"{journal}.lock")
    with (
        other_owner(Path(f"{journal}.lock"), ELSEWHERE),
        pytest.raises(DestinationError, match=rf"^a run without --node writes this set: it holds {journal}. Wait"),
    ):
        enter(tmp_path, "1/3").__enter__()


def test_run_that_finds_nodes_after_its_scan(tmp_path: Path) -> None:
    """If nodes began while it listed the source, it stops before it writes a shard; one with a lock goes on."""
    alone = Array(options(tmp_path), Silent(), None)
    alone.refuse_begun()
    with enter(tmp_path, "1/3") as array:
        array.refuse_begun()
        with pytest.raises(DestinationError, match=r"^nodes of an array have begun to write this set, while this run"):
            alone.refuse_begun()


def test_dead_node_of_this_host(tmp_path: Path) -> None:
    """Its lock is taken at once, by the same node."""
    path = files(tmp_path).lock_of(Node(1, 3))
    kill_owner_of(path)
    start = time.monotonic()
    with enter(tmp_path, "1/3") as array:
        assert array.lease is not None
        array.lease.refuse_lost()
        assert time.monotonic() - start < 30  # a minute is what a lock of another host takes


@pytest.mark.parametrize("node", ["1/3", None])
def test_dead_runs_of_the_other_kind_leave_nothing(tmp_path: Path, node: str | None) -> None:
    """A run without node removes the locks of dead nodes, and a node that of a dead run without node."""
    begin(tmp_path)
    begun = os.listdir(tmp_path)
    dead = [None] if node else [Node(0, 3), Node(2, 3)]
    for each in dead:
        kill_owner_of(files(tmp_path).lock_of(each))
    if node is None:
        kill_owner_of(files(tmp_path).listing_lock)
        kill_owner_of(files(tmp_path).publish_lock)
    with enter(tmp_path, node):
        pass
    assert begun == os.listdir(tmp_path)


def test_frozen_node_of_another_host(tmp_path: Path, quick: None) -> None:
    """The same node is refused after it has watched the lock, is told the option, and takes over with it."""
    path = files(tmp_path).lock_of(Node(1, 3))
    with frozen_elsewhere(path):
        with pytest.raises(
            StaleError, match=rf"^node 1/3 is locked by process .*: {path} has not changed .*--take-over"
        ):
            enter(tmp_path, "1/3").__enter__()
        with enter(tmp_path, "1/3", take_over=True) as array:
            assert array.lease is not None
            array.lease.refuse_lost()


def test_frozen_node_and_a_run_without_node(tmp_path: Path, quick: None) -> None:
    """It goes on once it has watched the lock, which it removes: so the node, if it thaws, finds itself replaced."""
    path = files(tmp_path).lock_of(Node(1, 3))
    with frozen_elsewhere(path), enter(tmp_path) as lease:
        assert lease is not None
        assert [".imagenet_train.run.lock"] == os.listdir(tmp_path)


def test_live_node_of_another_host(tmp_path: Path, quick: None) -> None:
    """A lock that changes is that of a living node: a run without node is refused."""
    refusal = r"^1 node of an array is writing this set:\n  node 1/3: process "
    with (
        other_owner(Path(files(tmp_path).lock_of(Node(1, 3))), ELSEWHERE),
        pytest.raises(DestinationError, match=refusal),
    ):
        enter(tmp_path).__enter__()


@pytest.mark.parametrize(("seconds", "words"), [(86_400, "24 h ahead of"), (-86_400, "24 h behind")])
def test_clock_that_is_a_day_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, words: str) -> None:
    """The node is refused by host and difference, and leaves nothing; some minutes are no reason."""
    now = time.time
    monkeypatch.setattr("parallel_sharder.nodes.time.time", lambda: now() + seconds)
    with pytest.raises(DestinationError) as caught:
        enter(tmp_path / "out", "1/3").__enter__()
    assert re.match(rf"the clock of {re.escape(socket.gethostname())} is .* {words[5:]}", str(caught.value))
    assert str(caught.value).endswith("Set the clock, and start the node again.")
    assert [] == os.listdir(tmp_path)
    monkeypatch.setattr("parallel_sharder.nodes.time.time", lambda: now() + 600)
    with enter(tmp_path / "out", "1/3"):
        pass


def repairing(monkeypatch: pytest.MonkeyPatch, folder: Path, **values: str) -> Options:
    """The options of a task of this array."""
    for name, value in array(**values).items():
        monkeypatch.setenv(name, value)
    return options(folder, "array")


MADE_FOR: dict[str, object] = {"nodes": 16, "first": 0, "step": 1}


@pytest.mark.parametrize(
    ("values", "made_for", "words"),
    [
        ({"ID": "3", "COUNT": "2", "MIN": "3", "MAX": "7"}, {}, "--node 3/16 does what this task is to do"),
        ({"ID": "7", "COUNT": "2", "MIN": "3", "MAX": "7"}, {}, "--node 7/16 does what this task is to do"),
        ({"ID": "9", "COUNT": "1", "MIN": "9", "MAX": "9"}, {}, "--node 9/16 does what this task is to do"),
        ({"ID": "3", "COUNT": "1", "MIN": "3", "MAX": "3"}, {"first": 1}, "--node 2/16 does what this task is to do"),
        ({"ID": "6", "COUNT": "1", "MIN": "6", "MAX": "6"}, {"step": 2}, "--node 3/16 does what this task is to do"),
        ({"ID": "7", "COUNT": "1", "MIN": "7", "MAX": "7"}, {"step": 2}, "write --node I/16"),
        ({"ID": "16", "COUNT": "1", "MIN": "16", "MAX": "16"}, {}, "write --node I/16"),
    ],
)
def test_array_for_repair(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str], made_for: dict[str, object], words: str
) -> None:
    """A task of an array of other numbers than the set was begun with is answered with the words that do its share."""
    node = repairing(monkeypatch, tmp_path, **values).place
    with pytest.raises(OptionsError) as caught:
        refuse_misplaced(node, {**MADE_FOR, **made_for}, files(tmp_path))
    assert str(caught.value).endswith(f"({tmp_path}/.imagenet_train.listing has the record): {words}")


def test_tasks_for_repair_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A task whose place is not known has no lock; without a listing it is told to number the tasks from 0."""
    task = repairing(monkeypatch, tmp_path, ID="3", COUNT="2", MIN="3", MAX="7")
    with pytest.raises(OptionsError, match=r"--node: the array's 2 numbers have gaps, .* or write --node I/N"):
        joined(task, Silent()).__enter__()
    assert [] == os.listdir(tmp_path)


def test_node_of_another_count(tmp_path: Path) -> None:
    """It is refused with the number that the set was begun with, and the three ways to go on; others are not."""
    with pytest.raises(OptionsError) as caught:
        refuse_misplaced(Node(2, 3), MADE_FOR, files(tmp_path))
    assert (
        f"--node 2/3 is one of 3 nodes, and the set was begun with 16 ({tmp_path}/.imagenet_train.listing has the "
        "record). Go on with --node I/16; or run once without --node, which takes all that is missing; or remove what "
        "was made with --overwrite, without --node, and begin anew"
    ) == str(caught.value)
    refuse_misplaced(Node(2, 16), MADE_FOR, files(tmp_path))
    refuse_misplaced(Node(2, 3), None, files(tmp_path))
    refuse_misplaced(None, MADE_FOR, files(tmp_path))


def test_watching_says_why_once() -> None:
    """People read for what a run waits, and not only for whom."""
    notices: list[str] = []
    waits: list[tuple[str, float]] = []

    class Hearing(Silent):
        def noticed(self, text: str) -> None:
            notices.append(text)

        def waiting(self, whom: str, seconds: float) -> None:
            waits.append((whom, seconds))

    tell = watching(Hearing())
    for seconds in (0.0, 0.1):
        tell("process 1 on a", seconds)
    assert ["process 1 on a may be dead: its lock is watched for a sign of life, for 60 s at most"] == notices
    assert [("process 1 on a", 0.0), ("process 1 on a", 0.1)] == waits


def test_preview_sees_runs_at_work(tmp_path: Path, quick: None) -> None:
    """It does not watch their locks, and says at once who is at work; of a set without an array it looks at none."""
    refuse_seen_alive(options(tmp_path))
    with enter(tmp_path, "1/3"):
        with pytest.raises(DestinationError, match=r"^1 node of an array is writing this set:\n  node 1/3: process "):
            refuse_seen_alive(options(tmp_path))
        refuse_seen_alive(options(tmp_path, "2/3"))
    with enter(tmp_path, finish=True), pytest.raises(DestinationError, match="^a run without --node writes this set:"):
        refuse_seen_alive(options(tmp_path, "2/3"))


def test_what_is_told_while_a_node_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """The monitor hears what it always hears; status sees the rate; a lock that was taken over stops the node."""
    heard: list[tuple[int, int]] = []
    monkeypatch.setattr("parallel_sharder.nodes.LOOK_SECONDS", -1)
    with enter(tmp_path, "1/3") as array:
        tell = array.telling(lambda samples, tar_bytes: heard.append((samples, tar_bytes)))
        time.sleep(0.1)
        tell(50, 1000)
        while (run := status_of(StatusOptions(dest=tmp_path)).sets[0].runs[1]).samples_per_second is None:
            time.sleep(0.01)
        assert ("at work", True) == (run.state, run.samples_per_second > 0)
        os.unlink(files(tmp_path).lock_of(Node(1, 3)))
        with pytest.raises(DestinationGoneError, match=r"node-1-of-3.lock, the lock of this process, was removed"):
            tell(60, 1200)
    assert [(50, 1000)] == heard


def test_progress_of_a_set_of_one_run(tmp_path: Path) -> None:
    """Without a lock the monitor's own function is called."""
    assert print is Array(options(tmp_path), Silent(), None).telling(print)


@contextlib.contextmanager
def deciding_as(folder: Path, node: str) -> Iterator[None]:
    """Node 0/2, say, has written its share, and decides inside the block."""
    with (
        enter(folder, node) as array,
        Journal(files(folder).journal_of(Node.parse(node)), FINGERPRINT, is_shared=True) as journal,
        array.deciding(journal, []),
    ):
        yield


def test_one_decides_at_a_time(tmp_path: Path) -> None:
    """Before a node waits for its turn, its end is in its journal: so who is first misses nothing."""
    seen: list[str] = []

    def decide() -> None:
        with deciding_as(tmp_path, "0/2"):
            seen.append("second")

    thread = threading.Thread(target=decide)
    with deciding_as(tmp_path, "1/2"):
        thread.start()
        journal = Path(files(tmp_path).journal_of(Node(0, 2)))
        while not journal.exists() or b"closed" not in journal.read_bytes():
            time.sleep(0.01)
        seen.append("first")
    thread.join()
    assert ["first", "second"] == seen


def test_killed_publisher_leaves_nothing(tmp_path: Path) -> None:
    """Who decides next removes the temporary file of a manifest, and no other, and a lister's lock if that is dead."""
    kill_owner_of(files(tmp_path).publish_lock)
    kill_owner_of(files(tmp_path).listing_lock)
    for name in (".imagenet_train.json.0123abcd.partial", ".imagenet_train-000001.tar.0123abcd.partial"):
        (tmp_path / name).touch()
    with deciding_as(tmp_path, "1/3"):
        pass
    assert [] == [*tmp_path.glob(".*.lock")]
    assert [".imagenet_train-000001.tar.0123abcd.partial"] == [path.name for path in tmp_path.glob(".*.partial")]


def write(folder: Path, node: Node, numbers: range) -> list[ShardRecord]:
    """Record shards in the node's journal, and write files of the recorded size."""
    made = [dataclasses.replace(record(each), path=str(folder / f"imagenet_train-{each:06}.tar")) for each in numbers]
    for each in made:
        Path(each.path).write_bytes(bytes(each.file_bytes))
    with Journal(files(folder).journal_of(node), FINGERPRINT, is_shared=True) as journal:
        journal.record(made)
    return made


def test_what_is_there_of_the_set(tmp_path: Path) -> None:
    """All that any journal has by now, and that is there in its size, counts; the rest is missing."""
    own_path = files(tmp_path).journal_of(Node(0, 2))
    with enter(tmp_path, "0/2") as array, Journal(own_path, FINGERPRINT, is_shared=True) as journal:
        own = write(tmp_path, Node(1, 2), range(1, 5, 2))
        os.truncate(own[1].path, 5)
        found = array.gathered(journal, PLAN, [])
        assert ([1], [0, 2, 3, 4]) == ([each.number for each in found.records], found.missing)
        with pytest.raises(DestinationError, match=r"^4 shards of 5 are missing, of nodes 0, 1, so nothing was pu"):
            Array(options(tmp_path, finish=True), Silent(), array.lease).gathered(journal, PLAN, [])


def test_set_of_one_run_is_what_it_has(tmp_path: Path) -> None:
    """Without a lock nobody else's journal is read."""
    with Journal(files(tmp_path).journal, FINGERPRINT) as journal:
        own = [record(1), record(0), record(2), record(3), record(4)]
        found = Array(options(tmp_path), Silent(), None).gathered(journal, PLAN, own)
    assert (([*range(5)], []), own) == (([each.number for each in found.of_set[0]], found.of_set[1]), found.own)


def test_one_missing_shard_is_said_to_be_one(tmp_path: Path) -> None:
    """The sentence names the shard's node, if there is an array; and nothing is said where nothing is missing."""
    refuse_unfinished([], PLAN, files(tmp_path))
    with pytest.raises(DestinationError, match=r"^1 shard of 5 is missing, so nothing was published"):
        refuse_unfinished([3], PLAN, files(tmp_path))
    begin(tmp_path)
    assert 3 == node_count(files(tmp_path))
    with pytest.raises(DestinationError, match=r"^1 shard of 5 is missing, of node 0, so nothing was published"):
        refuse_unfinished([3], PLAN, files(tmp_path))


def test_listing_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    """What an array was begun with is not known without a whole listing; who needs it says so."""
    assert {} == left_for(files(tmp_path))
    (tmp_path / ".imagenet_train.listing").write_bytes(b"half")
    assert {} == left_for(files(tmp_path))
