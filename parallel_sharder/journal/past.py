"""The past of a set: what its journals say, read without their locks, so also while a run writes them."""

from __future__ import annotations

from typing import NamedTuple

from parallel_sharder.journal import records
from parallel_sharder.journal.epochs import in_order, read_last
from parallel_sharder.journal.fingerprint import Fingerprint
from parallel_sharder.journal.names import Names
from parallel_sharder.node import Node
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of


class Past(NamedTuple):
    """What a journal has of the run that began it: its fingerprint, the names that were dealt, and the shards done."""

    fingerprint: Fingerprint
    names: frozenset[str]
    done: frozenset[int]


def past_of(path: str) -> Past | None:
    """Return what the journal at `path`, and those of nodes beside it, have, without their locks.

    None is returned if there is no journal, or nothing was dealt.
    """
    try:
        journals = [records.contents_of(store_of(each).read(each)) for each in read_last(SetFiles.at_journal(path))]
    except OSError:
        return None
    last: dict[str, tuple[str, int | None]] = {}
    fingerprint: Fingerprint | None = None
    for header, payload in in_order(journals):
        match payload:
            case {"what": "dealt" | "done" as what, "path": str(name), **rest}:
                number = rest.get("number")
                last[name] = what, number if isinstance(number, int) else None
                fingerprint = header
    if fingerprint is None:
        return None
    names = Names(SetFiles.at_journal(path), fingerprint)
    of_set = {name: each for name, each in last.items() if names.has(name, each[1])}
    done = frozenset(number for what, number in of_set.values() if what == "done" and number is not None)
    return Past(fingerprint, frozenset(of_set), done)


def progress_of(path: str, node: Node | None = None) -> tuple[int, int] | None:
    """Return how many shards are done by the journals of the set at `path`, and how many there are; None without any.

    Of a node's share alone, if `node` is named.
    """
    past = past_of(path)
    shards = past and past.fingerprint.get("shard count")
    if past is None or not isinstance(shards, int):
        return None
    share = range(shards) if node is None else node.share(shards)
    return len(past.done.intersection(share)), len(share)
