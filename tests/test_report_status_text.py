"""The words for the status of sets: golden paragraphs, and ranges of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from parallel_sharder.node import Node
from parallel_sharder.report.status_text import ranges, status_text
from parallel_sharder.status import RunStatus, SetStatus, Status

PLAN: dict[str, object] = {
    "samples": 1_281_167,
    "seed": 0,
    "maxcount": None,
    "names of shards": "x-000000.tar",
    "digest": "00ff",
}
COMMAND = ("parallel-sharder", "--root", "/my raw", "--dest", "/s")
ENDED = RunStatus(Node(0, 3), "ended", "one", 4, 4, 3600.0, 1234.5)
AT_WORK = RunStatus(Node(1, 3), "at work", "two", 3, 1, 2.0, None)
NOT_BEGUN = RunStatus(Node(2, 3), "not begun", "", 3, 0, None, None)


def words(
    missing: Sequence[int] = (),
    runs: Sequence[RunStatus] = (),
    *,
    shards: int = 10,
    is_published: bool = False,
    command: tuple[str, ...] = COMMAND,
    plan: dict[str, object] = PLAN,
) -> str:
    each = SetStatus("/s/x.json", shards, tuple(missing), is_published, tuple(runs), plan, command)
    return status_text(Status((each,)))


def test_array_at_work() -> None:
    """What is missing, the plan, who is at work and how fast, and the command for the rest."""
    expected = """set      /s/x
state    not finished: 5 of 10 shards done
plan     10 shards; 1,281,167 samples, --seed 0, the first shard x-000000.tar
missing  5 shards: 2, 4-5, 7-8
next     wait for 1 run at work
         parallel-sharder --root '/my raw' --dest /s --node 2/3
node  host  state      shards  last sign of life  samples/s
0/3   one   ended      4 of 4  1:00:00 h ago      1,234
1/3   two   at work    1 of 3  2.0 s ago          -
2/3   -     not begun  0 of 3  -                  -"""
    assert expected == words([2, 4, 5, 7, 8], [ENDED, AT_WORK, NOT_BEGUN])


def test_several_nodes_to_start() -> None:
    """Each command has a line, and the one that does all of it follows."""
    idle = [RunStatus(Node(index, 2), "stopped", "one", 5, 1, 1.0, None) for index in range(2)]
    assert [
        "next     parallel-sharder --root '/my raw' --dest /s --node 0/2",
        "         parallel-sharder --root '/my raw' --dest /s --node 1/2",
        "         or, for all of it at once, parallel-sharder --root '/my raw' --dest /s",
    ] == words(range(8), idle).split("\n")[4:7]


def test_all_done_but_published() -> None:
    """What publishes is named."""
    assert "next   parallel-sharder --root '/my raw' --dest /s --finish" in words((), [ENDED])


def test_finished_set() -> None:
    """There is nothing to do, and the command that made it is told, if somebody has left it."""
    expected = """set      /s/x
state    finished: 1 of 1 shard done
next     nothing
made by  parallel-sharder --root '/my raw' --dest /s"""
    assert expected == words(shards=1, is_published=True, plan={})
    assert words(shards=1, is_published=True, plan={}, command=()).endswith("\nnext   nothing")


def test_published_set_that_lacks_a_shard() -> None:
    """It says so, and without a journal it asks for the command that made the set."""
    text = words([3], is_published=True, plan={}, command=())
    assert "state    published, but not whole any more: 9 of 10 shards done" in text
    assert "next     type the command that made it again" in text


def test_root_that_is_not_known() -> None:
    """The command has a word for it, which is explained; and a run without node has no column for nodes."""
    run = RunStatus(None, "stopped", "one", 10, 5, 1.0, None)
    text = words([3], [run], command=("parallel-sharder", "--root", "ROOT"))
    assert (
        "next     parallel-sharder --root ROOT\n         where ROOT is the data set's folder, or what --root named\n"
        in text
    )
    assert "host  state    shards   last sign of life\none   stopped  5 of 10  1.0 s ago" in text


def test_paragraphs() -> None:
    """Each set has its own."""
    each = SetStatus("/s/x.json", 1, (), True, (), {}, ())
    assert 2 == len(status_text(Status((each, each))).split("\n\n"))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([0, 1], "0-1"),
        ([0, 1, 2, 4, 6, 7], "0-2, 4, 6-7"),
        (range(0, 24, 2), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 2 more stretches"),
    ],
)
def test_ranges(numbers: Sequence[int], text: str) -> None:
    """Numbers that follow each other are one range, and of many ranges ten are named."""
    assert text == ranges(numbers)
