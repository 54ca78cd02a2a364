"""The journal: what was recorded comes back, whatever has become of the file; what is not ours is refused."""

from __future__ import annotations

import base64
import dataclasses
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.fingerprint import FORMAT, fingerprint_digest
from parallel_sharder.journal.journal import Journal, Taken
from parallel_sharder.journal.past import progress_of
from parallel_sharder.journal.records import MAGIC, pack, records_of
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem, ShardRecord
from parallel_sharder.node import Node
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores.traces import Trace, trace_of

FINGERPRINT = {"seed": 0, "names of shards": "x-0.tar", "shard count": 10, "labels": "devkit"}


def record(number: int, folder: str = "") -> ShardRecord:
    problem = Problem(Kind.CHANGED, "/a/b", "b", "why")
    return ShardRecord(number, os.path.join(folder, f"x-{number}.tar"), 5, 10_240, 10_240, "00ff", (1, 3), (problem,))


def of_format(journal: Path, number: int) -> None:
    """Make a journal that of a version whose format has another number.

    Up to 4, records were lists; up to 3, they had no mark, and did not say of which set they are.
    """
    header, *payloads = (payload for payload, _, _ in records_of(journal.read_bytes()))
    header["fingerprint"]["format"] = number
    of = fingerprint_digest(header["fingerprint"])
    if number > 4:
        journal.write_bytes(MAGIC + pack([header, *({**payload, "of": of} for payload in payloads)]))
        return
    lists = [[*header.values()], *(_as_list(payload, [of] if number == 4 else []) for payload in payloads)]
    packed = [msgpack.packb(each) for each in lists]
    if number == 4:
        mark = pack([{}])[:4]
        framed = [struct.pack(">4sII", mark, len(each), zlib.crc32(each)) + each for each in packed]
        journal.write_bytes(MAGIC + b"".join(framed))
    else:
        journal.write_bytes(b"".join(struct.pack(">II", len(each), zlib.crc32(each)) + each for each in packed))


def _as_list(payload: dict[str, Any], of: list[bytes]) -> list[Any]:
    """A record as it was up to format 4."""
    if payload["what"] == "dealt":
        names = ["imagenet_train.json", "imagenet_train.problems.jsonl", "imagenet_train.classes.tsv"]
        number = payload.get("number")
        trace = [[*payload["trace"].values()] if "trace" in payload else None] if of else []
        return ["dealt", -1 - names.index(payload["path"]) if number is None else number, payload["path"], *trace, *of]
    fields = {name: value for name, value in payload.items() if name != "of"}
    fields["problems"] = [[*problem.values()] for problem in fields["problems"]]
    return [*fields.values(), *of]


def test_journal_gives_back_what_was_recorded(tmp_path: Path) -> None:
    """Finished shards come back field for field, with the folder that the journal is in now."""
    path = str(tmp_path / "a" / ".x.journal")
    os.mkdir(tmp_path / "a")
    with Journal(path, FINGERPRINT) as journal:
        for number in (2, 0):
            journal.record(dealt=[(number, f"{tmp_path}/a/x-{number}.tar")])
            journal.record([record(number, str(tmp_path / "a"))])
        journal.record(dealt=[(1, f"{tmp_path}/a/x-1.tar")])
    os.rename(tmp_path / "a", tmp_path / "b")
    assert (2, 10) == progress_of(str(tmp_path / "b" / ".x.journal"))
    with Journal(str(tmp_path / "b" / ".x.journal"), FINGERPRINT) as journal:
        assert {number: record(number, str(tmp_path / "b")) for number in (0, 2)} == journal.done
        assert [Taken(f"{tmp_path}/b/x-{number}.tar", number) for number in range(3)] == journal.taken()


@given(cut=st.integers(0, 750), junk=st.binary(max_size=40))
def test_torn_tail_is_dropped(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    """Cut anywhere, with anything behind it: the whole records before the cut are kept, and appending goes on.

    What is cut within its first bytes, and has something else behind them, is no journal, and stays.
    """
    path = tmp_path_factory.mktemp("j") / ".x.journal"
    with Journal(str(path), FINGERPRINT) as journal:
        for number in range(3):
            journal.record([record(number)])
    data = path.read_bytes()
    ends = [end for _, _, end in records_of(data)]
    cut = min(cut, len(data) - 1)
    path.write_bytes(data[:cut] + junk)
    if any(end > cut for _, _, end in records_of(path.read_bytes())):
        return  # the junk happens to mend the record
    if cut < len(MAGIC) and not MAGIC.startswith(data[:cut] + junk) and not (data[:cut] + junk).startswith(MAGIC):
        with pytest.raises(DestinationError, match="it is no journal of this tool"):
            Journal(str(path), FINGERPRINT)
        assert data[:cut] + junk == path.read_bytes()
        return
    with Journal(str(path), FINGERPRINT) as journal:
        whole = sum(end <= cut for end in ends) - 1  # less the header
        assert max(whole, 0) == len(journal.done)
        journal.record([record(7)])
    with Journal(str(path), FINGERPRINT) as journal:
        assert max(whole, 0) + 1 == len(journal.done)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """Whatever a journal's file holds, reading it ends, at a place within it."""
    ends = [end for _, _, end in records_of(data)]
    assert ends == sorted(set(ends))
    assert not ends or ends[-1] <= len(data)


DEALT: dict[str, Any] = {"what": "dealt", "number": 1, "path": "x-1.tar"}
BESIDE: dict[str, Any] = {"what": "dealt", "path": "x.json"}
DONE: dict[str, Any] = {
    "what": "done", "number": 1, "path": "x-1.tar", "samples": 5, "tar_bytes": 10, "file_bytes": 10, "xxh3_128": "00",
}  # fmt: skip
PROBLEM: dict[str, Any] = {"kind": "changed", "path": "/a", "key": "b", "detail": "why", "kept": False}


@pytest.mark.parametrize(
    "payload",
    [
        {"what": "done", "number": 1, "path": "x-1.tar", "samples": 5},
        {**DONE, "number": "1"},
        {**DONE, "later": 1},
        {**DONE, "left_out": ["1"]},
        {**DONE, "mended": [None]},
        {**DONE, "problems": [{**PROBLEM, "kind": "no such kind"}]},
        {**DONE, "problems": [{**PROBLEM, "path": 7}]},
        {**DONE, "problems": [7]},
        {**BESIDE, "trace": [5]},
        {**BESIDE, "trace": {"size": 5, "xxh3_128": "00", "later": 1}},
        {**DEALT, "later": 1},
        {**DEALT, "number": "1"},
        {"what": "dealt", "number": 1},
        {**DEALT, "what": "undone"},
        {"what": ["header"]},
        {"what": "header", "fingerprint": {}},
        {},
    ],
)
def test_records_of_another_version_are_refused(tmp_path: Path, payload: dict[str, Any]) -> None:
    """What is whole and yet not as this version writes it is neither dropped nor guessed at."""
    path = tmp_path / ".x.journal"
    with Journal(str(path), FINGERPRINT) as journal:
        journal.record(dealt=[(0, "x-0.tar")])
    data = path.read_bytes()
    *_, [last, _, _] = records_of(data)
    data += pack([{**payload, "of": last["of"]}])
    path.write_bytes(data)
    with pytest.raises(DestinationError, match="journal holds a record that this version of the tool does not know"):
        Journal(str(path), FINGERPRINT)
    progress_of(str(path))
    assert data == path.read_bytes()


@pytest.mark.parametrize("position", range(0, 750, 15))
def test_flipped_bit_loses_its_record_alone(tmp_path: Path, position: int) -> None:
    """Damage anywhere loses the record that it is in and no other, before or behind; the damaged journal is kept.

    In the last record it looks like a crash while that was written, and is cut off as such.
    """
    path = tmp_path / ".x.journal"
    with Journal(str(path), FINGERPRINT) as journal:
        for number in range(3):
            journal.record([record(number)])
    data = bytearray(path.read_bytes())
    _, *done = [(start, end) for _, start, end in records_of(bytes(data))]
    assert 750 == len(data)
    data[position] ^= 16
    path.write_bytes(data)
    hit = [number for number, (start, end) in enumerate(done) if start <= position < end]
    for _ in range(2):
        with Journal(str(path), FINGERPRINT) as journal:
            assert {0, 1, 2} - {*hit} == journal.done.keys()
    asides = [each for each in tmp_path.iterdir() if each != path]
    if asides:
        assert [(path.with_name(".x.journal.damaged-1"), bytes(data))] == [(each, each.read_bytes()) for each in asides]
    else:
        assert [2] == hit


def test_damage_is_told(tmp_path: Path) -> None:
    """Where the damaged journal is kept, how much is lost, and how many shards are not; all others may be the set's."""
    path = tmp_path / ".x.journal"
    with Journal(str(path), FINGERPRINT) as journal:
        for number in range(3):
            journal.record([record(number)])
    data = path.read_bytes()
    _, first, *_ = records_of(data)
    path.write_bytes(data[: first.start] + data[first.end - 1 :])  # all but its last byte is gone
    with Journal(str(path), FINGERPRINT) as journal:
        assert (f"{path}.damaged-1", 1, 2) == journal.damage
        beside = [("x.classes.tsv", None), ("x.problems.jsonl", None), ("x.json", None)]
        expected = [*beside, *((f"x-{number}.tar", number) for number in range(10))]
        assert [(str(tmp_path / name), number) for name, number in expected] == journal.taken()
    with Journal(str(path), FINGERPRINT) as journal:
        assert journal.damage is None
        assert 13 == len(journal.taken())


OLD = """
cGFyYWxsZWxfc2hhcmRlciBqb3VybmFsCqdKUtEAAABKk+dVNZKmaGVhZGVyhaZmb3JtYXQEpHNlZWQAr25hbWVzIG9mIHNoYXJkc6d4LTAudGFy
q3NoYXJkIGNvdW50CqZsYWJlbHOmZGV2a2l0p0pS0QAAACPX8APqlaVkZWFsdACneC0wLnRhcsDEEPxE0m29zaFi5TD65JnVbE2nSlLRAAAAI1dg
m9CVpWRlYWx0Aad4LTEudGFywMQQ/ETSbb3NoWLlMPrkmdVsTadKUtEAAABV2+DhTZ2kZG9uZQCneC0wLnRhcgXNKADNKACkMDBmZpIBA5GVp2No
YW5nZWSkL2EvYqFio3doecKgxAQAAAAAlwEAAAAAAADEEPxE0m29zaFi5TD65JnVbE2nSlLRAAAARUz4vW6VpWRlYWx0/6Z4Lmpzb26SAdkgNWM3
NDAxYzBlYzIyZWVlZWVhZjA2YzY0ODBiMmNkMTHEEPxE0m29zaFi5TD65JnVbE0="""
"""What commit 305386f, of format 4, has written: shards 0 and 1 dealt, 0 done, and the manifest begun."""


def test_journal_of_format_4(tmp_path: Path) -> None:
    """It is read for what it says, by the names of today, and refused as it stays; with overwrite all is known of it
    that is removed by size and digest.
    """
    path = tmp_path / ".x.journal"
    data = base64.b64decode(OLD)
    path.write_bytes(data)
    now = {**FINGERPRINT, "format": FORMAT}
    assert (1, 10) == progress_of(str(path))
    message = (
        rf"were begun by an earlier version of parallel_sharder \(format 4 in .*, and this version's is {FORMAT}\)"
    )
    with pytest.raises(DestinationError, match=message):
        Journal(str(path), now)
    assert data == path.read_bytes()
    with Journal(str(path), now, overwrite=True) as journal:
        assert not journal.is_same
        names = [("x.json", None), ("x-0.tar", 0), ("x-1.tar", 1)]
        assert [(str(tmp_path / name), number) for name, number in names] == journal.taken()
        assert {trace_of(b"x")} == journal.traces("x.json")
        assert {Trace(10_240, "00ff")} == journal.traces("x-0.tar")
        done = dataclasses.replace(record(0, str(tmp_path)), json_bytes=bytes(4), mended=(1, 0, 0, 0, 0, 0, 0))
        assert {0: done} == journal.done
        assert data == path.read_bytes()
        journal.begin_anew()
    with Journal(str(path), now) as journal:
        assert [] == journal.taken()


def test_journal_without_a_header(tmp_path: Path) -> None:
    """Each record proves by itself of which set it is; those of another are refused, and nothing is written."""
    path = tmp_path / ".x.journal"
    with Journal(str(path), FINGERPRINT) as journal:
        journal.record([record(1)])
    data = path.read_bytes()
    header, _ = records_of(data)
    data = MAGIC + data[header.end :]
    path.write_bytes(data)
    with pytest.raises(DestinationError, match="is damaged, and what is whole in it is of a set that was made from or"):
        Journal(str(path), {**FINGERPRINT, "seed": 1})
    assert data == path.read_bytes()
    assert [path] == [*tmp_path.iterdir()]
    with Journal(str(path), FINGERPRINT) as journal:
        assert {1: record(1, str(tmp_path))} == journal.done


def test_lock_excludes_and_dies_with_its_process(tmp_path: Path) -> None:
    """While one process holds a journal no other can; when it is killed, the next one can at once."""
    path = str(tmp_path / ".x.journal")
    script = f"""import sys, time
from parallel_sharder.journal.journal import Journal
Journal({path!r}, {FINGERPRINT})
print("locked", flush=True)
time.sleep(60)"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert "locked\n" == holder.stdout.readline()
    with pytest.raises(DestinationError, match=r"another run is writing there: it holds .*journal. Wait"):
        Journal(path, FINGERPRINT)
    holder.kill()
    holder.communicate()
    Journal(path, FINGERPRINT).close()


# The journals of an array's set: epochs say which of two entries is the later.


def journal_of(folder: Path, node: int | None = None, fingerprint: dict[str, Any] = FINGERPRINT) -> Journal:
    """The open journal of node NODE of 3, or of the run without node."""
    files = SetFiles(str(folder), "x")
    return Journal(files.journal_of(None if node is None else Node(node, 3)), fingerprint, is_shared=True)


def overwrite(folder: Path) -> Journal:
    return Journal(str(folder / ".x.journal"), {**FINGERPRINT, "seed": 1}, overwrite=True, is_shared=True)


def done_by(folder: Path) -> tuple[set[int], int]:
    """What a further run finds done, and how many shards are done by what status and signals say."""
    with journal_of(folder, 2) as journal:
        done = {*journal.done}
    progress = progress_of(str(folder / ".x.journal"))
    assert progress is not None
    return done, progress[0]


def test_journals_of_all_nodes_are_one_record(tmp_path: Path) -> None:
    """Whichever node is opened, what others have recorded is there, and what they record later is once it is read."""
    with journal_of(tmp_path, 0) as first, journal_of(tmp_path, 1) as second:
        first.record([record(0)])
        second.record([record(1)])
        assert {0} == {*first.done}
        first.read_others()
        assert {0, 1} == {*first.done}
        first.closed(5)
    assert ({0, 1}, 2) == done_by(tmp_path)


def test_later_run_that_was_killed_counts_more(tmp_path: Path) -> None:
    """A run that began to make a damaged shard again is not overruled by what a node recorded before, nor by itself
    once it is done.
    """
    with journal_of(tmp_path, 0) as journal:
        journal.record([record(0), record(3)])
    with journal_of(tmp_path) as journal:
        assert {0, 3} == {*journal.done}
        journal.record(dealt=[(3, "x-3.tar")])
    assert ({0}, 1) == done_by(tmp_path)
    with journal_of(tmp_path, 0) as journal:
        journal.record([record(3)])
    assert ({0, 3}, 2) == done_by(tmp_path)


def test_set_begun_anew(tmp_path: Path) -> None:
    """What nodes recorded before counts no more from the moment on in which the run without node begins anew, even if
    it is killed before it removes their journals; what they record later counts.
    """
    for node in (0, 1):
        with journal_of(tmp_path, node) as journal:
            journal.record([record(node)])
    with overwrite(tmp_path) as journal:
        assert ({0, 1}, False) == ({*journal.done}, journal.is_same)
        assert [] == journal.outdated()
        journal.begin_anew()
        paths = [str(tmp_path / f".x.journal.node-{node}-of-3") for node in (0, 1)]
        assert paths == sorted(journal.outdated())
        journal.record([record(4)])
    assert (1, 10) == progress_of(str(tmp_path / ".x.journal"))
    os.unlink(paths[0])
    with journal_of(tmp_path, 0, {**FINGERPRINT, "seed": 1}) as journal:
        assert {4} == {*journal.done}
        journal.record([record(0)])
    assert (2, 10) == progress_of(str(tmp_path / ".x.journal"))


def test_node_whose_journal_is_outdated(tmp_path: Path) -> None:
    """If a set is begun anew with the same choices, a node's own old entries count no more, also once it goes on."""
    with journal_of(tmp_path, 0) as journal:
        journal.record([record(0), record(3)])
    with Journal(str(tmp_path / ".x.journal"), FINGERPRINT, overwrite=True, is_shared=True) as journal:
        journal.begin_anew()
    with journal_of(tmp_path, 0) as journal:
        assert {} == journal.done
        journal.record([record(3)])
    assert ({3}, 1) == done_by(tmp_path)


def test_run_that_is_refused_refuses_nobody(tmp_path: Path) -> None:
    """A run with another seed is refused for what nodes have recorded; what it leaves is in nobody's way."""
    with journal_of(tmp_path, 0) as journal:
        journal.record([record(0)])
    for node in (None, 1):
        with pytest.raises(DestinationError, match=r"\n  seed: 0, now 9\n"):
            journal_of(tmp_path, node, {**FINGERPRINT, "seed": 9})
    assert ({0}, 1) == done_by(tmp_path)
    with journal_of(tmp_path, 1) as journal:
        journal.record([record(1)])
    assert ({0, 1}, 2) == done_by(tmp_path)


def test_set_that_a_run_without_node_began(tmp_path: Path) -> None:
    """Its journal, which has no epochs, counts for nodes too."""
    with Journal(str(tmp_path / ".x.journal"), FINGERPRINT) as journal:
        journal.record([record(0), record(1)], [(2, "x-2.tar")])
    with journal_of(tmp_path, 0) as journal:
        assert {0, 1} == {*journal.done}
        assert 3 == len(journal.taken())
        journal.record([record(2)])
    assert ({0, 1, 2}, 3) == done_by(tmp_path)


@pytest.mark.parametrize("node", [0, None])
def test_damaged_journal_of_one_run(tmp_path: Path, node: int | None) -> None:
    """It is mended from its own whole records; what others have recorded stays done, earlier or later."""
    with Journal(str(tmp_path / ".x.journal"), FINGERPRINT) as journal:
        journal.record([record(5)])
    for each in (1, 0, None, 2):
        with journal_of(tmp_path, each) as journal:
            journal.record([record(9 if each is None else each)])
            journal.record([record(8 if each is None else each + 3)])
    path = Path(SetFiles(str(tmp_path), "x").journal_of(None if node is None else Node(node, 3)))
    data = path.read_bytes()
    [*_, (_, start, _), _] = records_of(data)
    path.write_bytes(data[: start + 20] + b"?" + data[start + 21 :])
    with journal_of(tmp_path, node) as journal:
        assert journal.damage is not None
        lost = 0 if node == 0 else 9
        assert {0, 1, 2, 3, 4, 5, 8, 9} - {lost} == {*journal.done}
    assert {0, 1, 2, 3, 4, 5, 8, 9} - {lost} == done_by(tmp_path)[0]


def test_foreign_file_with_the_name_of_a_nodes_journal(tmp_path: Path) -> None:
    """It stops each run of the set, and stays."""
    (tmp_path / ".x.journal.node-1-of-3").write_text("my notes")
    with pytest.raises(DestinationError, match=r".x.journal.node-1-of-3 is there, and it is no journal of this tool"):
        journal_of(tmp_path, 0)
    assert "my notes" == (tmp_path / ".x.journal.node-1-of-3").read_text()
