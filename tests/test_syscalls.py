"""The order of the system calls that durability follows from, as strace sees them in a real run."""

from __future__ import annotations

import re
import subprocess
import sys
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from parallel_sharder.journal.records import records_of
from tests import made
from tests.conftest import needs

SHARDS = 6
CALLS = "mkdir,openat,write,fsync,fdatasync,renameat2"


@dataclass(frozen=True)
class Call:
    """One system call: its name, its arguments as text, and when it began and ended (lines of the trace)."""

    name: str
    arguments: str
    began: int
    ended: int


def calls_in(trace: str) -> list[Call]:
    """The successful calls in the output of strace -f, in the order in which they began."""
    calls: list[Call] = []
    begun: dict[tuple[str, str], tuple[str, int]] = {}
    for number, line in enumerate(trace.splitlines()):
        if match := re.match(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$", line):
            begun[match[1], match[2]] = match[3], number
        elif match := re.match(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (\d+)", line):
            arguments, began = begun.pop((match[1], match[2]))
            calls.append(Call(match[2], arguments + match[3], began, number))
        elif match := re.match(r"(\d+) +(\w+)\((.*)\) += (\d+)", line):
            calls.append(Call(match[2], match[3], number, number))
    return sorted(calls, key=lambda call: call.began)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Call]]:
    """The folder of a conversion with two workers, and its calls that concern that folder."""
    strace = needs("strace")
    folder = tmp_path_factory.mktemp("traced")
    made.classic_train(folder / "raw", images=600)
    words = f"--root {folder}/raw --dest {folder}/new/out --shards {SHARDS} --workers 2 --quiet".split()
    subprocess.run(
        [
            *(strace, "-f", "-y", "-s", "1", "-e", f"trace={CALLS}", "-o", str(folder / "trace")),
            *(sys.executable, "-m", "parallel_sharder", *words),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    calls = calls_in((folder / "trace").read_text())
    return folder / "new" / "out", [call for call in calls if f"{folder}/new" in call.arguments]


def one(calls: list[Call], name: str, pattern: str) -> Call:
    found = [call for call in calls if call.name == name and re.search(pattern, call.arguments)]
    assert len(found) == 1, (name, pattern, found)
    return found[0]


def assert_in_order(*calls: Call) -> None:
    """Each has ended before the next begins."""
    for earlier, later in pairwise(calls):
        assert earlier.ended < later.began, (earlier, later)


def publishing(out: Path, calls: list[Call], name: str) -> tuple[Call, ...]:
    """What gives the file `name` its final name: its last write, its sync, the renaming, the sync of the folder."""
    partial = rf"/\.{re.escape(name)}\.[0-9a-f]{{8}}\.partial"
    last_write = [call for call in calls if call.name == "write" and re.search(partial, call.arguments)][-1]
    rename = one(calls, "renameat2", rf'{partial}", \S+, "{out}/{re.escape(name)}", RENAME_NOREPLACE')
    sync = one(calls, "fsync", partial)
    folder_syncs = [call for call in calls if call.name == "fsync" and call.arguments.endswith(f"<{out}>")]
    after = next(call for call in folder_syncs if call.began > rename.ended)
    return last_write, sync, rename, after


def journalled(out: Path, calls: list[Call]) -> dict[tuple[str, int | None], tuple[Call, Call]]:
    """The write and the sync of each record of the journal, by what it says and the number of its shard, if any."""
    journal = out / ".imagenet_train.journal"
    writes, syncs = (
        [call for call in calls if call.name == name and f"<{journal}>" in call.arguments]
        for name in ("write", "fdatasync")
    )
    ends = list(accumulate(int(call.arguments.rpartition(", ")[2]) for call in writes))
    calls_of: dict[tuple[str, int | None], tuple[Call, Call]] = {}
    for payload, _, end in records_of(journal.read_bytes()):
        call = bisect_left(ends, end)
        calls_of[payload["what"], payload.get("number")] = writes[call], syncs[call]
    assert len(calls_of) == 1 + 2 * SHARDS + 1
    assert len(writes) == len(syncs) <= 1 + SHARDS + 1 + 1
    return calls_of


def test_shards(traced: tuple[Path, list[Call]]) -> None:
    """Recorded as dealt and synced; begun; data synced; renamed; folder synced; recorded as done and synced."""
    out, calls = traced
    records = journalled(out, calls)
    for number in range(SHARDS):
        name = f"imagenet_train-{number:06}.tar"
        begun = one(calls, "openat", rf"/\.{name}\.[0-9a-f]{{8}}\.partial\", O_WRONLY\|O_CREAT\|O_EXCL")
        assert_in_order(*records["dealt", number], begun, *publishing(out, calls, name), *records["done", number])


def test_journal_begins_durably(traced: tuple[Path, list[Call]]) -> None:
    """New folders, the header, and the journal's own name are synced before the first shard is recorded."""
    out, calls = traced
    above, made_out = one(calls, "mkdir", f'"{out.parent}"'), one(calls, "mkdir", f'"{out}"')
    synced = one(calls, "fsync", f"<{out.parent}>$")
    opened = one(calls, "openat", rf'"{out}/\.imagenet_train\.journal", O_RDWR\|O_CREAT')
    assert_in_order(above, made_out, synced, opened)
    records = journalled(out, calls)
    first_dealt = min((records["dealt", number][0] for number in range(SHARDS)), key=lambda call: call.began)
    folder_syncs = [call for call in calls if call.name == "fsync" and call.arguments.endswith(f"<{out}>")]
    after = next(call for call in folder_syncs if call.began > records["header", None][1].ended)
    assert_in_order(*records["header", None], after, first_dealt)


def test_manifest(traced: tuple[Path, list[Call]]) -> None:
    """It is begun when every shard is recorded, and published as they are."""
    out, calls = traced
    records = journalled(out, calls)
    last_done = max((records["done", number][1] for number in range(SHARDS)), key=lambda call: call.ended)
    assert_in_order(last_done, *records["dealt", None], *publishing(out, calls, "imagenet_train.json"))


def test_order_is_judged_at_all() -> None:
    """The trace's reader tells calls that overlap from calls that follow each other."""
    trace = '7 fsync(3</a> <unfinished ...>\n8 rename("a", "b") = 0\n7 <... fsync resumed>) = 0\n8 fsync(4</b>) = 0\n'
    fsync, rename, last = calls_in(trace)
    assert_in_order(fsync, last)
    with pytest.raises(AssertionError):
        assert_in_order(fsync, rename)
