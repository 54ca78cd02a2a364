"""Twins: stretches under one key, which are members of a sample that lie apart, or samples with the same key.

Rows come in. Stretches of one shard whose fields are different are one sample, which is joined or refused (--apart). Of
samples with the same key in the whole set, all but the first are refused, renamed or left out (--on-duplicate). A
renamed key is the key, `=23` and the number of the occurrence, from 2 on. Rows that begin no sample any more are marked
in `Rows.alive`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.sources.shards.rows import Rows
from parallel_sharder.tar.ustar import NAME_LIMIT_BYTES
from parallel_sharder.text import counted


@dataclass
class Twins:
    """What was found among stretches of one key.

    `joined` has the further rows of a sample by its first row, `new_keys` the new keys of rows by row, and `problems`
    the samples that are left out.
    """

    joined: dict[int, list[int]] = field(default_factory=dict)
    new_keys: dict[int, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def settle_twins(rows: Rows, apart: str, on_duplicate: str) -> Twins:
    """Return the twins among the rows that are alive, and mark those that begin no sample to be stored.

    Raises SourceError, which counts them and names the first with both places, if they are refused.
    """
    twins = Twins()
    later: list[tuple[bytes, list[int]]] = []
    for key, group in _groups(rows):
        samples = _samples(rows, group)
        for first, *others in samples:
            if others:
                twins.joined[first] = others
                rows.alive[others] = False
        if len(samples) > 1:
            later.append((key, [first for first, *_ in samples]))
    if twins.joined and apart == "refuse":
        raise _apart(rows, twins.joined)
    if later and on_duplicate == "fail":
        raise _duplicates(rows, later)
    for key, firsts in later:
        for number, row in enumerate(firsts[1:], 2):
            if on_duplicate == "skip":
                rows.alive[row] = False
                twins.problems.append(_left_out(rows, key, firsts[0], row))
            else:
                twins.new_keys[row] = _renamed(rows, key, number, (row, *twins.joined.get(row, ())))
    _refuse_taken(rows, twins.new_keys)
    return twins


def _groups(rows: Rows) -> Iterator[tuple[bytes, list[int]]]:
    """Yield each key that several rows have that are alive, with these rows, in the order of the source."""
    repeats = rows.keys.repeats()
    ends = itertools.groupby(enumerate(repeats.tolist()), lambda pair: pair[1] - pair[0])
    for _, run in ends:
        places = [place for _, place in run]
        group = [row for row in rows.order[places[0] - 1 : places[-1] + 1].tolist() if rows.alive[row]]
        if len(group) > 1:
            yield rows.keys[places[0]], group


def _samples(rows: Rows, group: list[int]) -> list[list[int]]:
    """Return the rows of each sample among rows of one key: those of one shard whose fields are different."""
    samples: list[list[int]] = []
    fields: list[set[str]] = []
    for row in group:
        names = {name.lower() for name in rows.fields(row)}
        for sample, there in zip(samples, fields, strict=True):
            if rows.place[sample[0]] == rows.place[row] and not names & there:
                sample.append(row)
                there |= names
                break
        else:
            samples.append([row])
            fields.append(names)
    return samples


def _apart(rows: Rows, joined: Mapping[int, list[int]]) -> SourceError:
    first = min(joined)
    other = joined[first][0]
    return SourceError(
        f"{rows.where(first)}: members of the key {_text(rows, first)} lie apart: {', '.join(rows.fields(first))} "
        f"here, and {', '.join(rows.fields(other))} at offset {int(rows.offset[other]):,} "
        f"({counted(len(joined), 'such sample')} in all). Readers make two samples of them. Use --apart join, which "
        "stores them side by side, if they belong together; otherwise mend the shard."
    )


def _duplicates(rows: Rows, later: list[tuple[bytes, list[int]]]) -> SourceError:
    key, firsts = min(later, key=lambda pair: pair[1][1])
    count = sum(len(firsts) - 1 for _, firsts in later)
    return SourceError(
        f"{rows.where(firsts[1])}: the key {key.decode('ascii', 'replace')} is that of another sample already, in "
        f"{rows.where(firsts[0])} ({counted(count, 'such sample')} in all). Keys are unique in a set: choose "
        "--on-duplicate rename, which gives the later ones other keys, or --on-duplicate skip, which leaves them out."
    )


def _left_out(rows: Rows, key: bytes, first: int, row: int) -> Problem:
    path = f"{rows.paths[rows.place[row]]}:{key.decode('ascii', 'replace')}"
    detail = f"at offset {int(rows.offset[row]):,}; the first with this key is in {rows.where(first)}"
    return Problem(Kind.DUPLICATE_KEY, path, "", detail)  # without a key, which is that of a sample that is stored


def _renamed(rows: Rows, key: bytes, number: int, of_sample: tuple[int, ...]) -> bytes:
    new = b"%b=23%d" % (key, number)
    longest = max(len(name) for row in of_sample for name in rows.fields(row))
    if len(new) + 1 + longest > NAME_LIMIT_BYTES:
        raise SourceError(
            f"{rows.where(of_sample[0])}: the key {new.decode('ascii')} of a sample whose key is not unique makes a "
            f"name of {len(new) + 1 + longest} bytes, and the limit is {NAME_LIMIT_BYTES}. Choose --on-duplicate skip."
        )
    return new


def _refuse_taken(rows: Rows, new_keys: Mapping[int, bytes]) -> None:
    """Raise SourceError if a new key is another sample's."""
    found = rows.keys.rows_of(list(new_keys.values())) if new_keys else ()
    for (row, key), there in zip(new_keys.items(), found, strict=True):
        if there >= 0:
            raise SourceError(
                f"{rows.where(row)}: a sample whose key is not unique would be named {key.decode('ascii')}, which is "
                f"the key of the sample in {rows.where(int(rows.order[there]))}. Choose --on-duplicate skip."
            )


def _text(rows: Rows, row: int) -> str:
    return rows.key_of(row).decode("ascii", "replace")
