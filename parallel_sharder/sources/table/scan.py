"""The table's scan: a TablePlace becomes a Listing.

The labels are read first, and numbered. Then all rows are read and spooled, and their files are looked up. Rows without
their file are left out and named, and files that no row names are counted. What decides the rows stands in the
Listing's selection, so that another run and verify read the same ones.
"""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parallel_sharder.columns import Texts
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError, worded
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, Part, Place, Problem, Role
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.class_list import digest_of_class_list, read_class_list
from parallel_sharder.sources.folders import why_unreadable
from parallel_sharder.sources.image_formats import formats_of
from parallel_sharder.sources.kept_index import KeptIndex
from parallel_sharder.sources.key_rule import RULE
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.table.below import named_by, notices_of_files
from parallel_sharder.sources.table.chosen import FILE_NAME, ColumnOptions, choose
from parallel_sharder.sources.table.embedded_rows import NO_BYTES, EmbeddedRows, ListedImages
from parallel_sharder.sources.table.files import NO_FILE, UNREADABLE
from parallel_sharder.sources.table.formats import files_of, open_table
from parallel_sharder.sources.table.found import TablePlace, split_alone
from parallel_sharder.sources.table.numbering import TABLE_LIMIT, Labels, in_order, number
from parallel_sharder.sources.table.paths import Paths
from parallel_sharder.sources.table.row_keys import order_of_given, unique_keys
from parallel_sharder.sources.table.rows import ENDINGS, Reader, Rows
from parallel_sharder.sources.table.spooled import Spooled
from parallel_sharder.sources.table.table import Choice, Table
from parallel_sharder.text import counted

_PLACES = 3
"""How many places there are besides those of images in the table."""

CAPTION = "txt"
"""The field of captions."""


class Scan:
    """The scan of one table, as `options` want it read; `spool` is the file for rows, None in a preview.

    Images within the table are copied to the stage of `scratch`. Then `embedded` has them, and `index` keeps them.
    """

    def __init__(self, place: TablePlace, options: SourceOptions, spool: str | None, scratch: Scratch) -> None:
        self._place, self._options, self._spool = place, options, spool
        self._scratch = scratch
        self.embedded: EmbeddedRows | None = None
        self.index: KeptIndex[ListedImages] | None = None

    def listing(self, engine: Engine, monitor: Monitor) -> Listing:
        """Return the Listing. Files are looked up on `engine`, and `monitor` hears how many batches of rows are done.

        Raises SourceError for a table that cannot be read, or would mislabel, and if no row has its file.
        """
        place, options = self._place, self._options
        before = _state_of(place.table)
        wanted = ColumnOptions(options.image, options.label, options.caption, options.key, options.columns)
        table = open_table(place.table, wanted.label_names)
        choice = choose(place.table, table.columns, wanted, table.embedded)
        _refuse_one_field(place.table, choice, options.image_field)
        labels = self._labels(table, choice)
        paths = Paths(place.table, choice.image, place.root, place.inner)
        if table.holds_images(choice.image):
            files = files_of(place.table)
            self.embedded, self.index = EmbeddedRows.read(files, choice.image, self._scratch, engine, monitor)
        with Spooled(self._spool) as spooled:
            any_ending = options.image_field is not None
            reader = Reader(table, choice, labels, paths, spooled, any_ending=any_ending, embedded=self.embedded)
            rows = reader.read(place.folder, engine, partial(monitor.scanning, unit="row"))
        if _state_of(place.table) != before:
            raise SourceError(f"{place.table} has changed while it was read. Start again when it does not change.")
        if rows is None:
            raise self._nothing(table.row_count)
        named = named_by(rows, reader.digests_of_names())
        is_below = self.embedded is None and any(not name.startswith(b"/") for name in rows.names)
        listing = self._listing(rows, choice, labels)
        further = notices_of_files(place.folder, named, engine, place.table) if is_below else ()
        return dataclasses.replace(
            listing,
            found=self._found(table, choice, listing),
            notices=tuple(map(worded, (*self._notices(table, choice, labels, rows, listing), *further))),
            selection=self._selection(choice, reader.digest),
        )

    def _notices(self, table: Table, choice: Choice, labels: Labels, rows: Rows, listing: Listing) -> list[str]:
        """Return all notices about the rows, which are those of the listing."""
        alone = split_alone(self._place) if labels.has_names else ""
        return [
            *table.notices,
            *labels.notices,
            *([alone] if alone else []),
            *_notices(table, choice, rows),
            *formats_of(listing, self._options.image_field),
        ]

    def _labels(self, table: Table, choice: Choice) -> Labels:
        """Return the labels, in the order of the list that the options name, or of the classes that are known."""
        if not choice.label:
            return Labels()
        values, names = table.labels(choice.label), self._options.known_classes
        known = None if names is None else {each.label: (each.id, each.name) for each in names}
        if known is None and self._options.meta is not None:
            known = dict(enumerate(read_class_list(Path(self._options.meta), values.texts).items()))
        if known is None and values.texts:
            known = self._known_to_all_splits(choice.label, values.texts)
        return number(table.path, choice.label, values, known)

    def _known_to_all_splits(self, column: str, texts: set[str]) -> dict[int, tuple[str, str]] | None:
        """Return the classes of the tables of all splits, which number them alike; None if no other has further ones.

        Otherwise a label would mean another class in each split in whose table a class is missing.
        """
        every = set(texts)
        for path in self._place.others:
            other = open_table(path, (column,))
            if column in other.columns:
                every |= other.labels(column).texts
        if len(every) == len(texts):
            return None
        return {label: (name, name) for label, name in enumerate(in_order(self._place.table, column, every))}

    def _listing(self, rows: Rows, choice: Choice, labels: Labels) -> Listing:
        """Return the Listing of the rows that have a file, in the order of their keys; `rows` are these rows then."""
        lost = np.flatnonzero(rows.size < 0).tolist()
        if len(lost) == len(rows):  # as with a wrong --root
            raise self._nothing(len(rows), self._problem(rows, 0))
        problems = tuple(self._problem(rows, row) for row in lost)
        if problems:
            rows.keep(np.flatnonzero(rows.size >= 0))
        self._sort(rows, choice)
        return Listing(
            (),
            self._places(),
            labels.classes,
            rows.keys,
            rows.class_index,
            (self._images(rows), *([_captions(rows)] if choice.caption else []), _texts(rows)),
            problems,
            () if self.embedded is None else self.embedded.archives,
            has_row_labels=labels.has_row_labels,
        )

    def _sort(self, rows: Rows, choice: Choice) -> None:
        """Bring the rows into the order of their keys, and make each key that of one row."""
        table = self._place.table
        if choice.key:
            order = order_of_given(rows.keys, rows.number, table)
        else:
            keys, order, is_new = unique_keys(rows.keys, rows.name, rows.number, table)
            if is_new.any():
                each = enumerate(rows.names)
                rows.names = Texts.of(rows.name(row) if is_new[row] else name for row, name in each)
                rows.keys = keys
        rows.keep(order)

    def _places(self) -> tuple[Place, ...]:
        """Return the places of images below the root, of the spool, and of images elsewhere, in this order."""
        folder, spool = self._place.folder, self._spool or self._place.table
        places = Place(folder, folder), Place(spool, os.path.basename(self._place.table)), Place(os.sep, os.sep)
        return places if self.embedded is None else (*places, *self.embedded.places())

    def _images(self, rows: Rows) -> Part:
        """Return the part of the images, which lie in files or in the table."""
        part = _images(rows)
        if self.embedded is None:
            return part
        assert part.ending is not None  # noqa: S101 - the part of a table has them
        return self.embedded.part(rows.number.astype(np.int64) - 1, _PLACES, part.endings, part.ending, part.names)

    def _problem(self, rows: Rows, row: int) -> Problem:
        """Return the problem of a row whose image cannot be stored."""
        path = os.path.join(self._place.folder, os.fsdecode(rows.name(row)))
        size, of_row = int(rows.size[row]), f"row {rows.number[row]:,} of the table"
        if size == NO_BYTES:
            path, kind, detail = f"{self._place.table}, row {rows.number[row]:,}", Kind.BAD_IMAGE, "it has no image"
        elif size == NO_FILE and not os.path.islink(path):
            kind, detail = Kind.NO_FILE, f"{of_row} names it{_hint(path)}"
        elif size in (NO_FILE, UNREADABLE):
            kind, detail = Kind.UNREADABLE, f"{why_unreadable(path)}; {of_row} names it"
        else:
            kind, detail = Kind.OTHER_ENDING, f"{of_row} names it; --image-field stores files of any ending"
        return Problem(kind, path, rows.keys[row].decode(), detail)

    def _nothing(self, row_count: int, first: Problem | None = None) -> SourceError:
        table, folder = self._place.table, self._place.folder
        if first is not None:
            return SourceError(
                f"none of {counted(row_count, 'row')} of {table} has an image that can be stored; the first: "
                f"{first.path}: {first.kind.meaning}. Name the folder that the paths are relative to with --root."
            )
        if row_count:
            return SourceError(
                f"none of {counted(row_count, 'row')} of {table} names an image in {folder}. Choose another --split, "
                "or leave it out, which converts all rows."
            )
        return SourceError(f"{table} has no rows. Each row is one sample.")

    def _found(self, table: Table, choice: Choice, listing: Listing) -> tuple[tuple[str, str], ...]:
        """Return what was found and where, each with a name."""
        place = self._place
        columns = [f"image: {choice.image}", f"label: {choice.label or 'none'}", f"caption: {choice.caption or 'none'}"]
        columns += [f"key: {choice.key}"] if choice.key else []
        columns.append(f"in the JSON: {', '.join(choice.in_json) or 'no other'}")
        found = [
            ("layout", f"table, {counted(table.row_count, 'row')} of {place.table} ({table.format})"),
            ("images", f"{len(listing):,}, {self._where(choice)}"),
            ("columns", "; ".join(columns)),
        ]
        if listing.is_labelled:
            found.append(("classes", _classes_in_words(listing, self._options)))
        return tuple(found)

    def _where(self, choice: Choice) -> str:
        if self.embedded is not None:
            return f"in the column {choice.image} of the table"
        return f"by paths relative to {self._place.root}"

    def _selection(self, choice: Choice, digest: str) -> dict[str, Any]:
        """Return what decides which rows are read and how. The table's path is relative to the root."""
        options = self._options
        return {
            "key_rule": RULE,
            "table": os.path.relpath(self._place.table, options.folder),
            "image": choice.image,
            "label": choice.label,
            "caption": choice.caption,
            "key": choice.key,
            "columns": [*choice.in_json],
            "image_field": options.image_field,
            "meta": digest_of_class_list(options.meta),
            "rows": digest,
        }


def _refuse_one_field(table: str, choice: Choice, image_field: str | None) -> None:
    """Raise SourceError if the image and the caption would be one field, which readers refuse or lose."""
    if choice.caption and image_field == CAPTION:
        raise SourceError(
            f"{table}: the column {choice.caption!r} is stored in the field {CAPTION}, and --image-field {CAPTION} "
            'would store the images there too. Choose another --image-field, or no captions with --caption "".'
        )


def _state_of(path: str) -> list[tuple[int, int]] | None:
    try:
        states = [os.stat(each) for each in files_of(path)]
    except OSError:  # opening the table raises the error that says why
        return None
    return [(status.st_size, status.st_mtime_ns) for status in states]


def _hint(path: str) -> str:
    return "; its path has backslashes, and this system's have slashes" if "\\" in path else ""


def _images(rows: Rows) -> Part:
    """Return the part of the images."""
    used, names = np.flatnonzero(np.bincount(rows.ending)), None
    number = np.zeros(len(ENDINGS), np.uint8)
    number[used] = np.arange(len(used))
    place = np.zeros(len(rows), np.int32)
    if any(rows.names):
        place[np.fromiter((name.startswith(b"/") for name in rows.names), np.bool_, len(rows))] = 2
        names = Texts.of(name.lstrip(b"/") for name in rows.names)
    endings = tuple(ENDINGS[each] for each in used)
    return Part(Role.IMAGE, endings, place, rows.size, ending=number[rows.ending], names=names)


def _captions(rows: Rows) -> Part:
    """Return the part of the captions, which lie in the spool."""
    place = np.where(rows.caption_size < 0, np.int32(-1), np.int32(1))
    return Part(CAPTION, (f".{CAPTION}",), place, rows.caption_size, rows.offset.reshape(-1, 1))


def _texts(rows: Rows) -> Part:
    """Return the part of what rows add to the JSON, which lies in the spool behind the captions."""
    offset = rows.offset + rows.caption_size.clip(0)
    return Part(Role.ROW, (f".{Role.ROW}",), np.ones(len(rows), np.int32), rows.row_size, offset.reshape(-1, 1))


def _notices(table: Table, choice: Choice, rows: Rows) -> list[str]:
    """Return sentences about what the shards have not, or have in another way."""
    notices = []
    if "" in table.columns:
        notices.append(f"{table.path} has a column without a name, which is not converted.")
    if FILE_NAME in choice.in_json:
        notices.append(f"The column {FILE_NAME} stands in the JSON in place of the path of the image's file.")
    if choice.caption and (missing := int(np.count_nonzero(rows.caption_size < 0))):
        notices.append(f"{counted(missing, 'row has', 'rows have')} no caption, and no txt is stored for them.")
    return notices


def _classes_in_words(listing: Listing, options: SourceOptions) -> str:
    if listing.has_row_labels:
        return f"over {TABLE_LIMIT:,}, so that each row has its label, and there is no class table"
    order = f"as {options.meta} lists them" if options.meta is not None else "as the table numbers them"
    if options.meta is None and any(each.id != str(each.label) for each in listing.classes):
        order = "numbered from 0, sorted by name"
    return f"{len(listing.classes):,}, {order}"
