"""Events: what a run has done stands in a file beside the shards, however it ended; nothing depends on that file."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, convert, events
from parallel_sharder.errors import SourceError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.stores import lines
from tests import made

NAME = ".imagenet_train.run.jsonl"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    made.classic_train(folder, images=60)
    return folder


def run(raw: Path, out: Path, monitor: Recording | None = None, **choices: Any) -> None:
    convert(Options(root=str(raw), dest=str(out), **{"workers": 0, "maxcount": 20, **choices}), monitor)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in found if each["event"] == kind]


@pytest.mark.parametrize("workers", [0, 2])
def test_whole_run(raw: Path, tmp_path: Path, workers: int) -> None:
    """From what was found to the end; each shard is dealt and finished once, with what is in it."""
    run(raw, tmp_path, workers=workers)
    found = read(tmp_path / NAME)
    kinds = Counter(each["event"] for each in found)
    assert {"run": 1, "found": 1, "planned": 1, "dealt": 3, "shard": 3, "end": 1} == {
        kind: count for kind, count in kinds.items() if kind not in ("phase", "load")
    }
    assert ["run", "found", "planned"] == [each["event"] for each in found[:3]]
    assert "end" == found[-1]["event"]
    assert (workers, events.FORMAT) == (found[0]["workers"], found[0]["format"])
    assert found[0]["options"]["maxcount"] == 20
    assert 60 == found[1]["samples"] == sum(each["samples"] for each in of_kind(found, "shard"))
    assert (3, 0, 3) == (found[2]["shards"], found[2]["kept"], found[2]["left"])
    for each in of_kind(found, "shard"):
        size = (tmp_path / f"imagenet_train-{each['shard']:06}.tar").stat().st_size
        assert (size, size) == (each["tar_bytes"], each["file_bytes"])
        assert found[0]["time"] <= each["began"] < each["ended"] <= each["time"] + 0.001
    assert {"scan", "plan", "write"} == {*found[-1]["seconds"]}
    assert ("done", None) == (found[-1]["how"], found[-1]["error"])
    assert found[0]["started"] <= found[0]["time"]
    assert {found[0]["host"]} == {each["host"] for each in of_kind(found, "shard")}
    times = [each["time"] for each in found]
    assert times == sorted(times)


def test_run_that_is_stopped_and_continued(raw: Path, tmp_path: Path) -> None:
    """Both are in the file, the first with how it ended; a third, which finds all done, adds nothing."""

    class Stopping(Recording):
        def progress(self, samples: int, tar_bytes: int) -> None:
            if samples >= 20:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(raw, tmp_path, Stopping())
    run(raw, tmp_path)
    found = read(tmp_path / NAME)
    assert ["stopped", "done"] == [each["how"] for each in of_kind(found, "end")]
    assert {None} == {each["error"] for each in of_kind(found, "end")}
    kept = [each["kept"] for each in of_kind(found, "planned")]
    assert kept[0] == 0 < kept[1]
    before = (tmp_path / NAME).read_bytes()
    run(raw, tmp_path)
    assert before == (tmp_path / NAME).read_bytes()


def test_overwrite(raw: Path, tmp_path: Path) -> None:
    """What is started anew has its own events alone."""
    run(raw, tmp_path)
    run(raw, tmp_path, overwrite=True, seed=3)
    [only] = of_kind(read(tmp_path / NAME), "run")
    assert 3 == only["options"]["seed"]


def test_run_that_fails(raw: Path, tmp_path: Path) -> None:
    """The error is in its last line."""
    source = tmp_path / "raw"
    made.classic_train(source, images=10)
    image = min(source.rglob("*.JPEG"))
    image.write_bytes(b"x" * image.stat().st_size)
    with pytest.raises(SourceError):
        run(source, tmp_path / "out", on_bad="fail")
    last = read(tmp_path / "out" / NAME)[-1]
    assert ("end", "failed") == (last["event"], last["how"])
    assert str(image) in last["error"]


def test_worker_that_dies(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its death is told with its cause, and its shard is finished by another."""
    from parallel_sharder import deal
    from parallel_sharder.engines.inline import Inline
    from parallel_sharder.errors import Death

    real, has_died = Inline.run, False

    def dying(engine: Any, function: Any, tasks: Any, check: Any = None) -> Any:
        def once(task: Any, progress: Any) -> Any:
            nonlocal has_died
            if not has_died and hasattr(task, "number"):
                has_died = True
                raise Death("killed by SIGKILL")
            return function(task, progress)

        return real(engine, once, tasks, check)

    assert deal.DEATHS > 1
    monkeypatch.setattr(Inline, "run", dying)
    run(raw, tmp_path)
    found = read(tmp_path / NAME)
    [died] = of_kind(found, "died")
    assert "killed by SIGKILL" == died["cause"]
    after = [each["shard"] for each in of_kind(found[found.index(died) :], "shard")]
    assert died["shard"] in after
    assert 3 == len(of_kind(found, "shard"))


def test_load(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noted at the beginning and from time to time, with numbers that can be."""
    monkeypatch.setattr(events, "LOAD_SECONDS", 0.0)
    run(raw, tmp_path)
    loads = of_kind(read(tmp_path / NAME), "load")
    assert len(loads) > 2
    for each in loads:
        assert 0 <= each["cpu_percent"] <= 100
        assert each["memory_bytes"] > 0
        assert 0 <= each["samples"] <= 60
        assert each["read_bytes_s"] is None or each["read_bytes_s"] >= 0
        for name in ("wait_percent", "source_busy_percent", "dest_busy_percent"):
            assert each[name] is None or 0 <= each[name] <= 100
    monkeypatch.setattr(events, "LOAD_SECONDS", 1e9)
    run(raw, tmp_path / "other")
    assert 1 == len(of_kind(read(tmp_path / "other" / NAME), "load"))


def test_load_that_is_not_told(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system hides is null; a host may have no disks."""

    def hidden() -> None:
        raise FileNotFoundError("/proc/stat")

    for name in ("cpu_times_percent", "virtual_memory", "Process"):
        monkeypatch.setattr(f"psutil.{name}", hidden)
    monkeypatch.setattr("psutil.disk_io_counters", lambda perdisk=False: None)
    run(raw, tmp_path)
    [load] = of_kind(read(tmp_path / NAME), "load")
    told = {name: value for name, value in load.items() if name.endswith(("_percent", "_bytes", "_bytes_s"))}
    assert ({None}, 8) == ({value for name, value in told.items() if name != "tar_bytes"}, len(told) - 1)


@pytest.mark.parametrize("what", ["folder", "pipe", "link", "full"])
def test_what_cannot_be_written_stops_nothing(
    raw: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once, and the set is the same."""
    path = tmp_path / NAME
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        real = lines.LineAppender.append
        count = 0

        def full(appender: lines.LineAppender, line: bytes) -> None:
            nonlocal count
            count += 1
            if count > 5:
                raise OSError(28, "No space left on device")
            real(appender, line)

        monkeypatch.setattr(lines.LineAppender, "append", full)
    recording = Recording()
    run(raw, tmp_path, recording)
    [notice] = [text for text in recording.notices if "record of this run" in text]
    assert f"{path}, the record of this run for reports, cannot be written: " in notice
    run(raw, tmp_path / "other")
    for shard in (tmp_path / "other").glob("*.tar"):
        assert shard.read_bytes() == (tmp_path / shard.name).read_bytes()
    assert not (tmp_path / "elsewhere").exists()
    if what in ("folder", "pipe"):
        assert stat.S_IFMT(path.stat().st_mode) == (stat.S_IFDIR if what == "folder" else stat.S_IFIFO)


def test_line_that_was_cut(raw: Path, tmp_path: Path) -> None:
    """A line that a killed run has begun is ended, so that the next run's first one is whole."""
    (tmp_path / NAME).write_bytes(b'{"event": "run"}\n{"event": "sha')
    appender = lines.LineAppender(str(tmp_path / NAME), b"{")
    appender.append(b'{"event": "run"}')
    appender.close()
    assert b'{"event": "run"}\n{"event": "sha\n{"event": "run"}\n' == (tmp_path / NAME).read_bytes()


def test_nodes(raw: Path, tmp_path: Path) -> None:
    """Each node has a file of its own."""
    for number in range(2):
        run(raw, tmp_path, node=f"{number}/2")
    found = [read(tmp_path / f".imagenet_train.run.node-{number}-of-2.jsonl") for number in range(2)]
    assert ["0/2", "1/2"] == [of_kind(each, "run")[0]["node"] for each in found]
    assert {0, 1, 2} == {each["shard"] for some in found for each in of_kind(some, "shard")}
    assert not (tmp_path / NAME).exists()


def test_file_of_somebody_else(raw: Path, tmp_path: Path) -> None:
    """It is neither appended to nor, with --overwrite, cut."""
    run(raw, tmp_path)
    (tmp_path / NAME).write_bytes(b"mine\n")
    recording = Recording()
    run(raw, tmp_path, recording, overwrite=True)
    assert b"mine\n" == (tmp_path / NAME).read_bytes()
    assert any("something else has that name" in text for text in recording.notices)
