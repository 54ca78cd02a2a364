"""The sizes of samples in the tar: the most bytes that each sample can have, as columns for the plan.

The Listing and the form alone decide them; no file is read. They are exact with two exceptions: the JSON of an
annotated sample is bounded by the size of its XML, and the JSON of `boxes` has numbers of unknown length, such as the
image's width. A shard is therefore never larger than planned, and about 1 % smaller on ImageNet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parallel_sharder.columns import Int32s, Int64s
from parallel_sharder.errors import PlanError
from parallel_sharder.model import Listing, Part, Role
from parallel_sharder.samples.form import Field
from parallel_sharder.tar import ustar

_ROWS_AT_A_TIME = 1 << 16
"""With few rows the intermediate columns stay in the processor's cache; with all, they take five times the memory."""


def largest_sample_bytes(listing: Listing, fields: Sequence[Field]) -> Int64s:
    """Return for each row of the Listing the most bytes in a tar of its members, which are those of the `fields`.

    Raises PlanError for an image that is too large for any tar header.
    """
    refuse_oversized(listing, listing.part(Role.IMAGE))
    columns = [FieldBytes(field, listing) for field in fields]
    total = np.zeros(len(listing), np.int64)
    for start in range(0, len(listing), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        for column in columns:
            total[some] += member_bytes(column.at(some))
    return total


class FieldBytes:
    """The column of the most bytes that a field's content can have, made for some rows at a time."""

    def __init__(self, field: Field, listing: Listing) -> None:
        kinds = [*listing.classes, None]  # row -1 is "no class"
        self._field = field
        self._class_index = listing.class_index
        self._class_bytes = np.array([field.class_bytes(kind, listing.keys.longest) for kind in kinds], np.int64)
        self._file_bytes = None if field.role is None else listing.part(field.role).size

    def at(self, rows: slice | Int32s) -> Int64s:
        """Return the most bytes for each of these rows."""
        content_bytes = self._class_bytes[self._class_index[rows]]
        if self._file_bytes is None:
            return content_bytes
        file_bytes = self._file_bytes[rows]
        is_stored = (file_bytes >= 0) & (file_bytes <= self._field.largest_bytes)
        return content_bytes + is_stored * self._field.times * file_bytes


def member_bytes(sizes: Int64s) -> Int64s:
    """Return `ustar.member_bytes` of each size in a column."""
    return ustar.BLOCK_BYTES + sizes + -sizes % ustar.BLOCK_BYTES


def refuse_oversized(listing: Listing, part: Part) -> None:
    """Raise PlanError for a file of the part that is too large for any tar header."""
    largest = int(np.argmax(part.size)) if len(part.size) else 0
    if len(part.size) and part.size[largest] >= ustar.SIZE_LIMIT_BYTES:
        raise PlanError(
            f"{listing.name_of(part, largest)} has {part.size[largest]:,} bytes; a tar that all readers can read "
            f"holds files below {ustar.SIZE_LIMIT_BYTES:,}. Remove it from the set."
        )
