"""Epochs: the order of what several journals of one set say, and what counts no more.

Each run of an array begins an epoch, which is larger than all that it finds. So of two entries on one file, in two
journals, that of the larger epoch is the later. A set that is begun anew has an epoch before which nothing counts.
What stands before the first epoch of a journal has none, which is 0. This module opens no file.
"""

from __future__ import annotations

from collections.abc import Sequence

from parallel_sharder.journal import records
from parallel_sharder.journal.fingerprint import Fingerprint
from parallel_sharder.journal.records import Contents, Payload
from parallel_sharder.setfiles import SetFiles


def header_of(contents: Contents) -> Fingerprint | None:
    """Return the fingerprint of the set that a journal is of; None if its header is lost, or not written yet."""
    first = contents.payloads[:1]
    return first[0]["fingerprint"] if first and records.is_header(first[0]) else None


def anew_of(contents: Contents) -> int:
    """Return the epoch in which a journal was last begun anew; 0 if it was not."""
    return max((each["epoch"] for each in openings_of(contents) if each.get("anew") is True), default=0)


def last_epoch_of(contents: Contents) -> int:
    """Return the last epoch of a journal; 0 if it is of no array."""
    return max((each["epoch"] for each in openings_of(contents)), default=0)


def openings_of(contents: Contents) -> list[Payload]:
    """Return the records by which runs of an array have begun to write a journal."""
    return [each for each in contents.payloads if each.get("what") == "opened" and type(each.get("epoch")) is int]


def counts(epoch: int, anew: int) -> bool:
    """Return whether an entry of this epoch counts in a set that was begun anew in the epoch `anew`."""
    return not 0 < epoch < anew


def read_last(files: SetFiles) -> list[str]:
    """Return the paths of a set's journals in the order in which they are read: its own is the last.

    So what that has from before all epochs counts more than what a node's has, which is a repaired one's.
    """
    return [*files.journals()][::-1]


def in_order(journals: Sequence[Contents]) -> list[tuple[Fingerprint | None, Payload]]:
    """Return the payloads of journals that count, in the order of their epochs, each with its journal's header."""
    anew = max(map(anew_of, journals), default=0)
    payloads: list[tuple[int, Fingerprint | None, Payload]] = []
    for contents in journals:
        epoch, header = 0, header_of(contents)
        for payload in contents.payloads:
            if payload.get("what") == "opened" and type(payload.get("epoch")) is int:
                epoch = payload["epoch"]
            payloads.append((epoch, header, payload))
    return [each[1:] for each in sorted(payloads, key=lambda each: each[0]) if counts(each[0], anew)]
