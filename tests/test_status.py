"""The status of sets: what is said while runs are at work, after they have died, and when all is done."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.catalog.sets import FoundSet, sets_in
from parallel_sharder.cli.main import main
from parallel_sharder.errors import DestinationError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.node import Node
from parallel_sharder.options import StatusOptions
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.status import RunStatus, SetStatus, status_of
from parallel_sharder.stores import store_of
from tests import made
from tests.test_resume import _Interrupter
from tests.test_stores_lease import ELSEWHERE, other_owner


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root)
    return root


def run(raw: Path, out: Path, node: str | None = None, monitor: Recording | None = None, **choices: Any) -> None:
    convert(Options(**{"root": raw, "dest": str(out), "node": node, "shards": 5, "workers": 0, **choices}), monitor)


def set_at(folder: Path) -> SetStatus:
    [found] = status_of(StatusOptions(dest=folder)).sets
    return found


def states(folder: Path) -> list[str]:
    return [run.state for run in set_at(folder).runs]


def test_array_of_which_a_part_is_done(raw: Path, tmp_path: Path) -> None:
    """Each node has its share, what is done of it, a host, a sign of life and a rate, also those that have not begun;
    and what is missing has the command that makes it.
    """
    run(raw, tmp_path, "1/3", index="all", seed=4)
    found = set_at(tmp_path)
    assert (5, (0, 2, 3), False, False) == (found.shards, found.missing, found.is_published, found.is_finished)
    assert ["not begun", "ended", "not begun"] == [run.state for run in found.runs]
    assert [(0, 2), (2, 2), (0, 1)] == [(run.done, run.share) for run in found.runs]
    first, second, _ = found.runs
    assert ("", None, None) == (first.host, first.quiet_seconds, first.samples_per_second)
    assert second.quiet_seconds is not None
    assert second.samples_per_second is not None
    assert (os.uname().nodename, True, True) == (
        second.host, 0 <= second.quiet_seconds < 60, second.samples_per_second > 0,
    )  # fmt: skip
    command = f"parallel-sharder --root {raw} --dest {tmp_path} --shards 5 --seed 4 --index all --node"
    assert [f"{command} {node}/3" for node in (0, 2)] == [shlex.join(words) for words in found.next_commands]
    assert 4 == found.plan["seed"]


def test_commands_do_what_they_say(raw: Path, tmp_path: Path) -> None:
    """Typed as they are printed, in any folder, they make the rest, and nothing is left to do."""
    run(raw, tmp_path, "1/3", shuffle=False, maxcount=20)
    for words in set_at(tmp_path).next_commands:
        assert 0 == main([*words[1:], "--quiet", "--workers", "0"])
    assert ([], True) == (set_at(tmp_path).next_commands, set_at(tmp_path).is_finished)
    assert ["ended"] * 3 == states(tmp_path)


def test_commands_are_for_the_folder_that_is_looked_at(raw: Path, tmp_path: Path) -> None:
    """A set whose folder was moved, or is mounted elsewhere than on the first node's host, is continued where it is."""
    run(raw, tmp_path / "there", "1/3")
    (tmp_path / "there").rename(tmp_path / "here")
    found = set_at(tmp_path / "here")
    assert {str(tmp_path / "here")} == {words[words.index("--dest") + 1] for words in found.next_commands}
    pattern = tmp_path / "there" / "imagenet_%02d.tar"
    convert(Options(root=raw, dest=pattern, node="1/3", shards=5, workers=0))
    (tmp_path / "there").rename(tmp_path / "patterns")
    [words, _] = set_at(tmp_path / "patterns").next_commands
    assert str(tmp_path / "patterns" / pattern.name) == words[words.index("--dest") + 1]


class _Looking(Recording):
    """Keeps the status of a folder that is seen while shards are written, and those before."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.scanned: list[SetStatus] = []
        self.seen: list[SetStatus] = []

    def scanning(self, *_: object, **__: object) -> None:
        if self._folder.exists() and os.listdir(self._folder):  # a run without node makes nothing before its journal
            self.scanned.append(set_at(self._folder))

    def progress(self, samples: int, tar_bytes: int) -> None:
        self.seen.append(set_at(self._folder))


def test_shard_that_is_finished_while_one_looks(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is listed before the journals are read; what was finished in between is not missing."""
    run(raw, tmp_path, "0/2")

    def meanwhile(folder: str) -> list[FoundSet]:
        found = sets_in(folder)
        run(raw, tmp_path, "1/2")
        return found

    monkeypatch.setattr("parallel_sharder.status.sets_in", meanwhile)
    assert () == set_at(tmp_path).missing


def test_set_can_be_named_by_its_manifest(raw: Path, tmp_path: Path) -> None:
    """Then others in the folder are not shown, and a set that is not there is said to be none."""
    run(raw, tmp_path, None)
    manifest = tmp_path / "imagenet_train.json"
    assert [str(manifest)] == [each.path for each in status_of(StatusOptions(dest=manifest)).sets]
    with pytest.raises(DestinationError, match=r"begun. It holds imagenet_train\.$"):
        status_of(StatusOptions(dest=f"{tmp_path}/imagenet_val-%06d.tar"))


def test_while_a_node_writes(raw: Path, tmp_path: Path) -> None:
    """It is at work, from before its scan on, and nobody is asked to do its part; the others' commands are named."""
    looking = _Looking(tmp_path)
    run(raw, tmp_path, "1/3", looking)
    assert (0, False, ["not begun", "at work"]) == (
        looking.scanned[0].shards, looking.scanned[0].is_finished, [run.state for run in looking.scanned[0].runs][:2],
    )  # fmt: skip
    assert {(5, "at work")} == {(each.shards, each.runs[1].state) for each in looking.seen}
    assert ["0/3", "2/3"] == [words[-1] for words in looking.seen[0].next_commands]
    assert (0, 1) == (looking.seen[0].runs[1].done, looking.seen[-1].runs[1].done)


def test_while_a_run_without_node_writes_what_is_missing(raw: Path, tmp_path: Path) -> None:
    """It takes all that is missing, so there is nothing to be typed."""
    run(raw, tmp_path, "1/3")
    looking = _Looking(tmp_path)
    run(raw, tmp_path, None, looking)
    assert {()} == {tuple(each.next_commands) for each in looking.seen}
    assert [("at work", None)] == [(run.state, run.node) for run in looking.seen[0].runs if run.is_alive]
    assert ["not needed", "ended", "not needed", "ended"] == states(tmp_path)
    assert [(2, 2), (2, 2), (1, 1), (5, 5)] == [(run.done, run.share) for run in set_at(tmp_path).runs]


def test_after_a_node_was_stopped(raw: Path, tmp_path: Path) -> None:
    """It has no lock, and did not come to its end: so it is stopped, and its own command goes on."""
    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, "0/2", _Interrupter(12))
    found = set_at(tmp_path)
    assert ["stopped", "not begun"] == [run.state for run in found.runs]
    assert (1, 3) == (found.runs[0].done, found.runs[0].share)
    assert ["0/2", "1/2"] == [words[-1] for words in found.next_commands]


def test_after_a_node_was_killed(raw: Path, tmp_path: Path) -> None:
    """A lock whose process is dead is no sign of life on its own host."""
    run(raw, tmp_path, "0/2")
    with other_owner(Path(SetFiles(str(tmp_path), "imagenet_train").lock_of(Node(1, 2)))) as process:
        assert ["ended", "at work"] == states(tmp_path)
        process.kill()
        process.wait()
        assert ["ended", "not begun"] == states(tmp_path)


def test_node_of_another_host(raw: Path, tmp_path: Path) -> None:
    """Its lock says that it is at work as long as it is refreshed."""
    run(raw, tmp_path, "0/2")
    path = Path(SetFiles(str(tmp_path), "imagenet_train").lock_of(Node(1, 2)))
    with other_owner(path, ELSEWHERE) as process:
        assert ["ended", "at work"] == states(tmp_path)
        process.kill()
        process.wait()
        os.utime(path, (time.time() - 100,) * 2)
        found = set_at(tmp_path).runs[1]
        assert ("no sign of life", True) == (found.state, 99 < (found.quiet_seconds or 0) < 200)


def test_all_done_and_not_published(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last node died before it published, the command that publishes is named; it writes no shard."""
    for node in ("0/2", "1/2"):
        run(raw, tmp_path, node)
    (tmp_path / "imagenet_train.json").unlink()
    found = set_at(tmp_path)
    assert ((), False) == (found.missing, found.is_finished)
    [words] = found.next_commands
    assert f"parallel-sharder --root {raw} --dest {tmp_path} --shards 5 --finish" == shlex.join(words)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    assert 0 == main([*words[1:], "--quiet"])
    assert set_at(tmp_path).is_finished
    assert before == {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}


def test_shard_that_is_gone(raw: Path, tmp_path: Path) -> None:
    """A published set that lacks a shard is not finished, and its node's command is named."""
    for node in ("0/2", "1/2"):
        run(raw, tmp_path, node)
    min(tmp_path.glob("*.tar")).unlink()
    found = set_at(tmp_path)
    assert ((0,), True, False) == (found.missing, found.is_published, found.is_finished)
    assert ["0/2"] == [words[-1] for words in found.next_commands]
    assert 3 == status_of(StatusOptions(dest=tmp_path)).exit_code


def test_listing_only(raw: Path, tmp_path: Path) -> None:
    """A node that was stopped before its first shard has left the plan, and all nodes' commands."""
    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, "0/2", _Interrupter(0))
    for path in tmp_path.glob(".*journal*"):
        path.unlink()
    found = set_at(tmp_path)
    assert (5, 5, 0) == (found.shards, len(found.missing), found.plan["seed"])
    assert ["0/2", "1/2"] == [words[-1] for words in found.next_commands]


def test_set_of_one_run(raw: Path, tmp_path: Path) -> None:
    """It has one run, without node; stopped, its command has all choices, and a name for the root that is not known."""
    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, None, _Interrupter(30), seed=4, maxsize=10**8)
    found = set_at(tmp_path)
    assert ["stopped"] == [run.state for run in found.runs]
    [words] = found.next_commands
    assert ["parallel-sharder", "--root", "ROOT", "--dest", f"{tmp_path}/imagenet_train-%06d.tar"] == words[:5]
    given = {*zip(words[5::2], words[6::2], strict=True)}
    assert {("--seed", "4"), ("--shards", "5"), ("--maxsize", str(10**8))} == given
    assert 0 == main(["--root", str(raw), *words[3:], "--quiet", "--workers", "0"])
    assert (True, ["ended"]) == (set_at(tmp_path).is_finished, states(tmp_path))


def test_set_of_one_run_at_work(raw: Path, tmp_path: Path) -> None:
    """Its journal is locked while it is at work, and then there is nothing to be typed."""
    looking = _Looking(tmp_path)
    run(raw, tmp_path, None, looking)
    assert {("at work", 0)} == {(each.runs[0].state, len(each.next_commands)) for each in looking.seen[1:]}


def test_copy_without_a_journal(raw: Path, tmp_path: Path) -> None:
    """A manifest alone says what is there: the set is finished until a shard is gone."""
    run(raw, tmp_path)
    (tmp_path / ".imagenet_train.journal").unlink()
    assert (5, True, ()) == (set_at(tmp_path).shards, set_at(tmp_path).is_finished, set_at(tmp_path).runs)
    min(tmp_path.glob("*.tar")).unlink()
    assert ((0,), False) == (set_at(tmp_path).missing, set_at(tmp_path).is_finished)


def test_sets_of_a_folder(raw: Path, tmp_path: Path) -> None:
    """All sets are told of, sorted by name, and a pattern picks one; other tools' shards are passed over."""
    for name in ("b", "a"):
        run(raw, tmp_path / f"{name}-%06d.tar")
    (tmp_path / "z-000000.tar").touch()
    found = status_of(StatusOptions(dest=tmp_path))
    assert [f"{tmp_path}/{name}.json" for name in "ab"] == [each.path for each in found.sets]
    [one] = status_of(StatusOptions(dest=tmp_path / "b-%06d.tar")).sets
    assert f"{tmp_path}/b.json" == one.path
    with pytest.raises(DestinationError, match=r"z-%06d.tar holds no set that this tool has made or begun"):
        status_of(StatusOptions(dest=tmp_path / "z-%06d.tar"))


def test_folder_of_another_tool(tmp_path: Path) -> None:
    """That is an error, which names a set of it; and so is a folder that is not there."""
    (tmp_path / "z-000000.tar").touch()
    with pytest.raises(
        DestinationError, match=r"holds no set that this tool has made .* It holds z, of another tool\."
    ):
        status_of(StatusOptions(dest=tmp_path))
    with pytest.raises(DestinationError, match=r"none cannot be read: No such file or directory. Name "):
        status_of(StatusOptions(dest=tmp_path / "none"))


def test_what_is_no_lock_is_passed_over(raw: Path, tmp_path: Path) -> None:
    """A foreign file with a lock's name stops runs, but not the status."""
    run(raw, tmp_path, "0/2")
    (tmp_path / ".imagenet_train.node-1-of-2.lock").write_text("my notes")
    assert ["ended", "not begun"] == states(tmp_path)


def test_only_reads(raw: Path, tmp_path: Path) -> None:
    """No file of the folder is changed, added or removed."""
    run(raw, tmp_path, "0/2")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    status_of(StatusOptions(dest=tmp_path))
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}


def test_command_line(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 3 while something is missing and 0 afterwards, 1 without a set, 2 for a wrong command line."""
    run(raw, tmp_path, "0/2")
    assert 3 == main(["status", str(tmp_path), "--json"])
    [found] = json.loads(capsys.readouterr().out)
    assert (5, 3, [1, 3], False) == (found["shards"], found["done"], found["missing"], found["finished"])
    assert ["0/2", "1/2"] == [each["node"] for each in found["runs"]]
    assert ["--node", "1/2"] == found["next"][0][-2:]
    assert 3 == main(["status", str(tmp_path)])
    assert "state    not finished: 3 of 5 shards done" in capsys.readouterr().out
    run(raw, tmp_path, "1/2")
    assert 0 == main(["status", str(tmp_path)])
    capsys.readouterr()
    (tmp_path / "empty").mkdir()
    assert 1 == main(["status", str(tmp_path / "empty")])
    assert 2 == main(["status", str(tmp_path / "%d"), "--x"])
    assert f"{tmp_path}/empty holds no set" in capsys.readouterr().err


def test_run_that_is_alive() -> None:
    """Only one that is at work is."""
    runs = [RunStatus(None, state, "", 1, 0, None, None) for state in ("at work", "ended", "no sign of life")]
    assert [True, False, False] == [run.is_alive for run in runs]


def test_node_that_holds_its_lock(raw: Path, tmp_path: Path) -> None:
    """A node that waits for its turn to publish is at work, though all its shards are done."""
    run(raw, tmp_path, "0/2")
    path = SetFiles(str(tmp_path), "imagenet_train").lock_of(Node(0, 2))
    with store_of(path).lease(path, what="node 0/2") as lease:
        lease.tell({"samples": 30, "seconds": 2.0}, flush=True)
        found = set_at(tmp_path).runs[0]
        assert ("at work", 3, 15.0) == (found.state, found.done, found.samples_per_second)
