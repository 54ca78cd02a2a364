"""The sizes of samples that are made of whole files: exact, from the Listing alone, for the plan.

The JSON's size follows from the class, the file's name and the row. Where the name is the key and an ending, its length
does; other names are written as JSON to measure them.
"""

from __future__ import annotations

import numpy as np

from parallel_sharder.columns import Int64s
from parallel_sharder.model import Listing, Part, Role
from parallel_sharder.samples.files import OURS, file_json, json_begin, row_json_begin
from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.samples.tar_sizes import member_bytes, refuse_oversized

_ROWS_AT_A_TIME = 1 << 16
"""With few rows the intermediate columns stay in the processor's cache; with all, they take five times the memory."""


def exact_sample_bytes(listing: Listing) -> Int64s:
    """Return for each row of the Listing the bytes of its members in a tar, headers and padding included.

    Raises PlanError for a file that is too large for any tar header.
    """
    parts = {part.role: part for part in listing.parts}
    sides = [part for role, part in parts.items() if role != Role.ROW]
    for part in sides:
        refuse_oversized(listing, part)
    total = np.zeros(len(listing), np.int64)
    for start in range(0, len(listing), _ROWS_AT_A_TIME):
        some = slice(start, min(start + _ROWS_AT_A_TIME, len(listing)))
        labels, begins = _of_classes(listing, some)
        total[some] += np.where(labels > 0, member_bytes(labels), 0)
        for part in sides:
            total[some] += np.where(part.size[some] >= 0, member_bytes(part.size[some]), 0)
        row = parts.get(Role.ROW)
        json = begins + (_name_bytes(listing, parts[Role.IMAGE], some) if row is None else row.size[some] + 1)
        has_own = parts["json"].size[some] >= 0 if "json" in parts else np.zeros(len(json), np.bool_)
        total[some] += np.where(has_own, 0, member_bytes(json))
    return total


def fields_of(listing: Listing, image_field: str | None) -> tuple[tuple[str, bool], ...]:
    """Return the fields of the samples, in the tar's order, each with whether all samples have it."""
    parts = {part.role: part for part in listing.parts}
    images = parts[Role.IMAGE]
    used = images.endings if images.ending is None else [images.endings[number] for number in np.unique(images.ending)]
    names = sorted({image_field or FIELDS[ending.lower()] for ending in used})
    sides = [(role, bool(np.all(part.size >= 0))) for role, part in parts.items() if role not in (*OURS, "json")]
    label = [("cls", True)] if listing.is_labelled else []
    return (*label, *((name, len(names) == 1) for name in names), *sides, ("json", True))


def _of_classes(listing: Listing, rows: slice) -> tuple[Int64s, Int64s]:
    """Return for each row the bytes of its label, 0 without one, and of the beginning of its JSON."""
    index = listing.class_index[rows]
    if listing.has_row_labels:
        values = index.tolist()
        labels = [len(str(value)) if value >= 0 else 0 for value in values]
        return np.array(labels, np.int64), np.array([len(row_json_begin(value)) for value in values], np.int64)
    kinds = [*listing.classes, None]  # row -1 is "no class"
    of_kinds = [0 if kind is None else len(str(kind.label)) for kind in kinds]
    begins = [len(json_begin(kind)) for kind in kinds]
    return np.array(of_kinds, np.int64)[index], np.array(begins, np.int64)[index]


def _name_bytes(listing: Listing, images: Part, rows: slice) -> Int64s:
    """Return for each row the bytes that the file's name adds to the beginning of the JSON."""
    count = rows.stop - rows.start
    keys = listing.keys.some(rows.start, rows.stop)
    endings = np.array([len(ending) for ending in images.endings], np.int64)
    ending = np.zeros(count, np.intp) if images.ending is None else images.ending[rows]
    fixed = len(file_json(b"", ""))
    lengths = fixed + np.fromiter(map(len, keys), np.int64, count) + endings[ending]
    if images.names is not None:
        for number, name in enumerate(images.names.some(rows.start, rows.stop)):
            if name:
                lengths[number] = len(file_json(b"", listing.name_of(images, rows.start + number)))
    return lengths
