"""Status: what the journals and locks of a folder say of its sets: who has written what, what is missing, what to do.

It only reads, so it can run while the sets are being written. Journals say what is done; a lock says who is at work,
and how fast. The words for people are in report.status_text.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from parallel_sharder.catalog.sets import FoundSet, State, sets_in
from parallel_sharder.command_words import ROOT, words_of_choices
from parallel_sharder.errors import DestinationError
from parallel_sharder.journal import records
from parallel_sharder.journal.entries import Closed, Done, Opened, unpacked
from parallel_sharder.journal.past import Past, past_of
from parallel_sharder.node import Node
from parallel_sharder.nodes import left_for
from parallel_sharder.options import StatusOptions
from parallel_sharder.pattern import ShardPattern, is_pattern
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.lease import STALE_SECONDS
from parallel_sharder.text import first_few

if TYPE_CHECKING:
    from parallel_sharder.stores.lease_record import LeaseState


@dataclass(frozen=True)
class RunStatus:
    """A node of an array, or the run without node (`node` is None), and what its journal and its lock say.

    `state` is "at work", "ended", "stopped" (it has no lock any more, and did not come to its end), "no sign of life"
    (its lock was not refreshed), "not begun", or "not needed" (others have written its share). `share` counts the
    shards that it is to write, and `done` those of them that are done, whoever wrote them. `host` is "" if unknown.
    `quiet_seconds` is how long ago its journal or its lock was last written, by the clocks of this host and of the
    storage, and None if there is neither. `samples_per_second` is None if it is not known.
    """

    node: Node | None
    state: str
    host: str
    share: int
    done: int
    quiet_seconds: float | None
    samples_per_second: float | None

    @property
    def is_alive(self) -> bool:
        """Whether the run is at work."""
        return self.state == "at work"

    def json(self) -> dict[str, Any]:
        """Return the facts for machines."""
        return {
            "node": None if self.node is None else str(self.node),
            "state": self.state,
            "host": self.host or None,
            "share": self.share,
            "done": self.done,
            "quiet_seconds": self.quiet_seconds,
            "samples_per_second": self.samples_per_second,
        }


@dataclass(frozen=True)
class SetStatus:
    """A set: its `shards` by the plan, the numbers of those that are `missing`, its runs, and its plan by name.

    `is_published` is whether its manifest is there. `command` are the words that make the set, without node; the root
    is ROOT in it if nobody has left it, and without a journal or a listing there are no words.
    """

    path: str
    shards: int
    missing: tuple[int, ...]
    is_published: bool
    runs: tuple[RunStatus, ...]
    plan: dict[str, Any]
    command: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        """Whether all shards are there, and the set is published."""
        return self.is_published and not self.missing

    @property
    def next_commands(self) -> list[list[str]]:
        """The command lines, as words, that make what is missing and that nobody at work will make."""
        if self.is_finished or not self.command:
            return []
        nodes = [run for run in self.runs if run.node is not None]
        if any(run.is_alive for run in self.runs if run.node is None):
            return []
        if not nodes:
            return [[*self.command]]
        if not self.missing:
            return [] if any(run.is_alive for run in self.runs) else [[*self.command, "--finish"]]
        idle = [run for run in nodes if run.done < run.share and not run.is_alive]
        return [[*self.command, "--node", str(run.node)] for run in idle]

    def json(self) -> dict[str, Any]:
        """Return the facts for machines."""
        return {
            "set": self.path,
            "finished": self.is_finished,
            "published": self.is_published,
            "shards": self.shards,
            "done": self.shards - len(self.missing),
            "missing": list(self.missing),
            "runs": [run.json() for run in self.runs],
            "plan": self.plan,
            "next": self.next_commands,
        }


@dataclass(frozen=True)
class Status:
    """The status of the sets in a folder."""

    sets: tuple[SetStatus, ...]

    @property
    def exit_code(self) -> int:
        """0 if all sets are finished, 3 if something is missing."""
        return 0 if all(each.is_finished for each in self.sets) else 3

    def text(self) -> str:
        """Return the status for people."""
        from parallel_sharder.report import status_text

        return status_text.status_text(self)

    def json(self) -> list[dict[str, Any]]:
        """Return the facts for machines, an object for each set."""
        return [each.json() for each in self.sets]


def status_of(options: StatusOptions) -> Status:
    """Return the status of the sets that `options.dest` names: a folder, a pattern, or a manifest.

    Raises DestinationError if there is no set of this tool, or the folder cannot be read.
    """
    dest = os.fspath(options.dest)
    pattern = ShardPattern.parse(dest) if is_pattern(dest) else None
    manifest = SetFiles.at_manifest(dest) if pattern is None and store_of(dest).is_file(dest) else None
    folder = pattern.folder if pattern is not None else dest if manifest is None else manifest.folder
    try:
        found = sets_in(folder)
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    ours = [each for each in found if each.state is not State.FOREIGN]
    name = pattern.set_name if pattern is not None else manifest.name if manifest is not None else None
    if name is not None:
        ours = [each for each in ours if each.name == name]
    if not ours:
        others = f" It holds {first_few([each.name for each in found], 3)}" if found else ""
        foreign = f"{others}, of another tool." if all(each.state is State.FOREIGN for each in found) else f"{others}."
        foreign = foreign if found else ""
        raise DestinationError(f"{dest} holds no set that this tool has made or begun.{foreign}")
    return Status(tuple(map(_set_status, ours)))


def _set_status(found: FoundSet) -> SetStatus:
    files, made_for = found.files, left_for(found.files)
    past = past_of(files.journal) or _planned(made_for)
    there = set(found.there)
    if past is None:
        listed = [each.name for each in found.listed]
        missing = tuple(number for number, name in enumerate(listed) if name not in there)
        runs = _runs(files, made_for, 0, set())
        return SetStatus(files.manifest, len(listed), missing, found.manifest is not None, runs, {}, ())
    shards = past.fingerprint.get("shard count")
    shards = shards if isinstance(shards, int) else 0
    pattern = _pattern(files, past)
    done = {number for number in past.done if pattern is None or _is_there(pattern.path(number), there)}
    return SetStatus(
        files.manifest,
        shards,
        tuple(number for number in range(shards) if number not in done),
        found.manifest is not None,
        _runs(files, made_for, shards, done),
        dict(past.fingerprint),
        _command(made_for, past, pattern),
    )


def _is_there(path: str, there: Container[str]) -> bool:
    """Return whether the shard at `path` exists; it can have been finished after `there` was listed."""
    return os.path.basename(path) in there or store_of(path).exists(path)


def _planned(made_for: dict[str, Any]) -> Past | None:
    """Return the past of a set of which nothing is written but its listing; None if it has none."""
    fingerprint = made_for.get("fingerprint")
    return Past(fingerprint, frozenset(), frozenset()) if isinstance(fingerprint, dict) else None


def _pattern(files: SetFiles, past: Past) -> ShardPattern | None:
    first = past.fingerprint.get("names of shards")
    found = ShardPattern.of_set(files.name, first) if isinstance(first, str) else None
    return None if found is None else replace(found, folder=files.folder)


def _command(made_for: dict[str, Any], past: Past, pattern: ShardPattern | None) -> tuple[str, ...]:
    """Return the words that make the set: those that the first node has left, or those that the journal gives.

    The destination is the folder that is looked at: on the first node's host it can have had another path.
    """
    words = made_for.get("command")
    here = "" if pattern is None else os.path.abspath(pattern.text)
    if isinstance(words, list) and all(isinstance(word, str) for word in words) and "--dest" in words[:-1]:
        at = words.index("--dest") + 1
        dest = words[at] if not here else here if is_pattern(words[at]) else os.path.dirname(here)
        return (*words[:at], dest, *words[at + 1 :])
    dest_words = ["--dest", here] if here else []
    return ("parallel-sharder", "--root", ROOT, *dest_words, *words_of_choices(past.fingerprint))


def _runs(files: SetFiles, made_for: dict[str, Any], shards: int, done: set[int]) -> tuple[RunStatus, ...]:
    """Return the runs of a set: of an array all nodes, also those that have not begun."""
    journals = {node: path for path, node in files.journals().items()}
    counts = [made_for["nodes"]] if isinstance(made_for.get("nodes"), int) else []
    counts += [node.count for node in (*journals, *files.node_locks().values()) if node is not None]
    nodes = [Node(index, counts[0]) for index in range(counts[0])] if counts else []
    runs = [_run(files, node, journals.get(node), node.share(shards), done) for node in nodes]
    if None in journals:
        runs.append(_run(files, None, journals[None], range(shards), done))
    return tuple(runs)


def _run(files: SetFiles, node: Node | None, journal: str | None, share: Sequence[int], done: set[int]) -> RunStatus:
    store = store_of(files.folder)
    lease = _lease_at(files.lock_of(node))
    opened, closed, samples, changed = _said_in(journal)
    is_held = journal is not None and store.seems_held(journal)
    if lease is not None and lease.is_dead is None and lease.age_seconds > STALE_SECONDS:
        state = "no sign of life"
    elif (lease is not None and not lease.is_dead) or is_held:
        state = "at work"
    elif journal is None:
        state = "not needed" if share and done.issuperset(share) else "not begun"
    else:
        state = "ended" if closed is not None or (node is None and len(done) == len(share)) else "stopped"
    signs = [time.time() - changed] if changed is not None else []
    signs += [lease.age_seconds] if lease is not None else []
    host = lease.host if lease is not None else opened.host if opened is not None else ""
    finished = len(done.intersection(share))
    quiet = max(0.0, min(signs)) if signs else None
    rate = _rate(lease, opened, closed, samples, changed)
    return RunStatus(node, state, host, len(share), finished, quiet, rate)


def _rate(
    lease: LeaseState | None, opened: Opened | None, closed: Closed | None, samples: int, changed: float | None
) -> float | None:
    """Return how many samples a run writes in a second: by its lock, by its end, or by the times of its journal."""
    told = {} if lease is None else lease.told
    if isinstance(told.get("samples"), int) and isinstance(told.get("seconds"), float) and told["seconds"]:
        return float(told["samples"] / told["seconds"])
    if closed is not None:
        return closed.samples / closed.seconds if closed.seconds and closed.samples else None
    if opened is None or changed is None or changed <= opened.time:
        return None
    return samples / (changed - opened.time)


def _said_in(journal: str | None) -> tuple[Opened | None, Closed | None, int, float | None]:
    """Return how the last run of a journal began and ended, the samples that it has recorded, and the file's time."""
    opened: Opened | None = None
    closed: Closed | None = None
    samples = 0
    if journal is None:
        return None, None, 0, None
    try:
        payloads = records.contents_of(store_of(journal).read(journal)).payloads
        changed = os.stat(journal).st_mtime
    except OSError:
        return None, None, 0, None
    for payload in payloads:
        match unpacked(payload):
            case Opened() as entry:
                opened, closed, samples = entry, None, 0
            case Closed() as entry:
                closed = entry
            case Done(record):
                samples += record.samples
    return opened, closed, samples, changed


def _lease_at(path: str) -> LeaseState | None:
    try:
        return store_of(path).lease_at(path)
    except DestinationError:  # something else has the name; who writes there will say so
        return None
