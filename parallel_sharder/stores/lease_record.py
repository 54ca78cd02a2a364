"""The record that a lease's file holds: a LeaseState becomes bytes, and bytes become a LeaseState.

The first line marks the file as ours and has the digest of the rest, which is a JSON object, filled up with blanks. All
records have one size, so that each is written over the last one in one write. Who reads half of each finds another
digest. This module opens no file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xxhash

from parallel_sharder.stores.owner import Owner

RECORD_BYTES = 4096
"""The size of each record: a page, which systems write and send as a whole. It leaves 1,500 bytes for what is told."""

_MARK = b"parallel_sharder lease"

Told = Mapping[str, Any]
"""What the owner of a lease tells others: a small dict for JSON."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What a lease says: its owner, when that began (Unix time), how often it was refreshed, and what the owner tells.

    `nonce` is another one for each lease. `age_seconds` is how long ago the file was changed, by the clocks of file
    server and host: it is for people, and decides nothing.
    """

    owner: Owner
    began: float
    beat: int
    told: Told
    nonce: str
    age_seconds: float

    @property
    def host(self) -> str:
        """The name of the owner's host."""
        return self.owner.host

    @property
    def is_dead(self) -> bool | None:
        """Whether the owner has ended; None if this host cannot know it."""
        return self.owner.is_dead

    def but(self, **changes: Any) -> LeaseState:
        """Return the state with these fields changed."""
        return dataclasses.replace(self, **changes)


def packed(state: LeaseState) -> bytes:
    """Return the record of this state, of RECORD_BYTES bytes. Raises ValueError if that is too few."""
    fields = dataclasses.asdict(state)
    del fields["age_seconds"]
    text = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
    text = text.ljust(RECORD_BYTES - len(_first_line(b"")) - 1) + b"\n"
    record = _first_line(text) + text
    if len(record) > RECORD_BYTES:
        raise ValueError(
            f"the record of a lease takes {len(record):,} bytes of {RECORD_BYTES:,}: {state.told} is too long"
        )
    return record


def unpacked(data: bytes, age_seconds: float) -> LeaseState | None:
    """Return the state whose record this is; None if it is no record, or not a whole one."""
    text = data[len(_first_line(b"")) :]
    if data != _first_line(text) + text:
        return None
    try:
        fields = json.loads(text)
        state = LeaseState(**fields | {"owner": Owner(**fields["owner"]), "age_seconds": age_seconds})
    except (ValueError, TypeError, KeyError):
        return None
    return state if _has_types(state) else None


def _first_line(text: bytes) -> bytes:
    return b"%s %s\n" % (_MARK, xxhash.xxh3_64_hexdigest(text).encode())


def _has_types(state: LeaseState) -> bool:
    owner = state.owner
    texts = (owner.host, owner.boot_id, owner.namespace, owner.started, owner.command, state.nonce)
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in (owner.pid, state.beat))
        and owner.pid > 0
        and isinstance(state.began, float)
        and isinstance(state.told, dict)
    )
