"""History: what events say is read back; what cannot be read is counted, and nothing stops the reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.pages.history import History, history_of, is_of
from parallel_sharder.setfiles import SetFiles

RUN = {
    "event": "run", "time": 106.0, "started": 100.0, "format": 1, "version": "1", "host": "a", "workers": 2,
    "engine": "processes", "cores": 4, "node": None, "options": {"root": "/data"},
}  # fmt: skip
SHARD = {
    "event": "shard", "time": 120.0, "shard": 0, "host": "a", "began": 110.0, "ended": 119.0, "samples": 7,
    "left_out": 1, "problems": 1, "tar_bytes": 5000, "file_bytes": 4000,
}  # fmt: skip


def history(folder: Path, *lines: Any, name: str = ".x.run.jsonl") -> History:
    """The history of a file with these lines: events, or bytes as they are."""
    data = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    (folder / name).write_bytes(data)
    return history_of(SetFiles(str(folder), "x"))


def test_whole_run(tmp_path: Path) -> None:
    """All that is told of a run, of its shards and of its load."""
    found = history(
        tmp_path,
        RUN,
        {"event": "found", "time": 106, "samples": 8, "left_out": 1, "found": {"layout": "x"}, "notices": ["one"]},
        {"event": "planned", "time": 106, "shards": 3, "kept": 1, "left": 2, "tar_bytes": 9},
        {"event": "phase", "time": 106, "name": "scan", "seconds": 5.5},
        {"event": "dealt", "time": 106, "shard": 0},
        {"event": "died", "time": 109, "shard": 0, "host": "a", "began": 106, "ended": 109, "cause": "killed"},
        SHARD,
        {"event": "load", "time": 121.0, "samples": 7, "cpu_percent": 50, "memory_bytes": 9, "wait_percent": None},
        {"event": "end", "time": 122, "how": "done", "error": None, "seconds": {"write": 16}, "notices": ["two"]},
    )
    [run] = found.runs
    assert 0 == found.lost_lines
    assert (100.0, "a", 2, 4, "processes", "1", "") == (
        run.began, run.host, run.workers, run.cores, run.engine, run.version, run.node
    )  # fmt: skip
    assert ("done", "", 1, 2, 122) == (run.how, run.error, run.kept, run.left, run.ended)
    assert {"scan": 5.5, "write": 16} == run.seconds
    assert ["one", "two"] == run.notices
    [shard] = run.made
    assert (0, "a", 9.0, 7, 1, 5000, 4000, 1) == (
        shard.number, shard.host, shard.seconds, shard.samples, shard.left_out, shard.tar_bytes, shard.file_bytes,
        shard.deaths,
    )  # fmt: skip
    assert (110.0, 119.0, 9.0, 7, 5000) == (
        run.write_began, run.write_ended, run.write_seconds, run.samples, run.tar_bytes
    )  # fmt: skip
    assert {"cpu_percent": 50, "memory_bytes": 9} == run.loads[0].values
    assert [run] == [*found.working]


def test_runs_of_several_files(tmp_path: Path) -> None:
    """They are in the order in which they began; a run without shards did not work."""
    history(tmp_path, {**RUN, "started": 300, "node": "0/2"}, SHARD, name=".x.run.node-0-of-2.jsonl")
    history(tmp_path, {**RUN, "started": 200}, name=".y.run.jsonl")  # another set's
    found = history(tmp_path, RUN, {**RUN, "started": 400})
    assert [100, 300, 400] == [run.began for run in found.runs]
    assert ["0/2"] == [run.node for run in found.working]


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON\n",
        b'{"event": "shard", "ti',
        b"[1, 2]\n",
        b"3\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        {"event": "shard"},
        {**SHARD, "ended": "late"},
        {**SHARD, "samples": -1},
        {**SHARD, "samples": True},
        {**SHARD, "began": 1e300},
        {**SHARD, "shard": None},
        {"event": "load", "time": 1, "cpu_percent": "much"},
        {"event": "end", "time": 1},
        {"event": "found", "time": 1, "found": 3},
        {**RUN, "options": 3},
        {"time": 3},
    ],
)
def test_line_that_cannot_be_read(tmp_path: Path, line: Any) -> None:
    """It is counted, and the others are read."""
    found = history(tmp_path, RUN, SHARD, line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
    assert (1, 1) == (found.lost_lines, len(found.runs[0].made))


def test_what_later_versions_write(tmp_path: Path) -> None:
    """An unknown event, and a further field, are passed over."""
    found = history(tmp_path, {**RUN, "format": 9, "more": 1}, {"event": "eaten", "time": 107, "by": "a bear"}, SHARD)
    assert (0, 1) == (found.lost_lines, len(found.runs[0].made))


def test_lines_before_a_run(tmp_path: Path) -> None:
    """They belong to nothing, and are counted."""
    assert (2, 0) == ((found := history(tmp_path, SHARD, SHARD)).lost_lines, len(found.runs))


def test_no_file(tmp_path: Path) -> None:
    """A set without events has no history, and a folder in their place is as good as none."""
    assert ((), 0) == ((found := history_of(SetFiles(str(tmp_path), "x"))).runs or (), found.lost_lines)
    (tmp_path / ".x.run.jsonl").mkdir()
    assert 1 == history_of(SetFiles(str(tmp_path), "x")).lost_lines


def test_whether_it_is_of_a_set(tmp_path: Path) -> None:
    """The shards that were made last under each number have the sizes of the manifest."""
    from parallel_sharder import Options
    from parallel_sharder.catalog.manifest import ListedShard, Manifest

    listed = [ListedShard(f"x-{number}.tar", 7, size, 5000, "0" * 32) for number, size in enumerate((4000, 6000))]
    manifest = Manifest.made("x", Options().choices, listed, [], None)
    assert is_of(history(tmp_path, RUN, SHARD), manifest)
    second = {**SHARD, "shard": 1, "file_bytes": 6000}
    assert is_of(history(tmp_path, RUN, {**SHARD, "file_bytes": 1}, second, SHARD), manifest)
    assert not is_of(history(tmp_path, RUN, {**SHARD, "file_bytes": 1}), manifest)
    assert not is_of(history(tmp_path, RUN, {**SHARD, "shard": 2}), manifest)
