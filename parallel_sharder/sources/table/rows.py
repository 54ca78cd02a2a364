"""Rows: a table is read batch by batch; its rows are spooled, and what a Listing needs of them is kept as columns.

While a batch is read, the workers look up the files of the batches before it. Memory holds a batch as objects, and all
rows as columns: key, name, class, size, and places in the spool. This module knows neither classes nor problems.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress, product
from typing import Any, TypeVar

import numpy as np
import xxhash

from parallel_sharder.columns import Bytes, Int32s, Int64s, Texts
from parallel_sharder.engines.engine import Engine, call
from parallel_sharder.errors import Death, WorkerError
from parallel_sharder.memory import give_back_freed
from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.sources.survey import ScanProgress
from parallel_sharder.sources.table.embedded_rows import NO_BYTES, EmbeddedRows
from parallel_sharder.sources.table.files import NO_FILE, sizes_of
from parallel_sharder.sources.table.numbering import Labels
from parallel_sharder.sources.table.paths import Paths
from parallel_sharder.sources.table.row_keys import GivenKeys, keys_of_paths
from parallel_sharder.sources.table.row_text import RowText
from parallel_sharder.sources.table.spooled import Spooled
from parallel_sharder.sources.table.table import Batch, Choice, Table

T = TypeVar("T")

NO_IMAGE = -3
"""The size of a file that was not looked up, because its ending is no image's."""

ENDINGS = (
    "",
    *sorted({"".join(each) for ending in FIELDS for each in product(*zip(ending, ending.upper(), strict=True))}),
)
"""The endings of images, in small and capital letters; a byte holds their numbers. The first stands for all others."""

NO_ENDING = 0
"""The number of the first of ENDINGS."""

_NUMBERS = {ending.encode(): number for number, ending in enumerate(ENDINGS)}
_ENDINGS = tuple(_NUMBERS)


@dataclass
class Rows:
    """The rows of a table that are of the wanted split, as columns, at first in the table's order.

    `number` is the row's, counted from 1. `names` are paths as Paths returns them, "" where the path is the key and the
    ending. `ending` is a position in ENDINGS. The row's blobs lie at `offset` in the spool, the caption
    first; `caption_size` is -1 where there is none. `size` is that of the image's file, or NO_FILE, UNREADABLE or
    NO_IMAGE.
    """

    number: Int32s
    keys: Texts
    names: Texts
    ending: Bytes
    class_index: Int32s
    offset: Int64s
    caption_size: Int64s
    row_size: Int64s
    size: Int64s

    @classmethod
    def concatenate(cls, parts: list[Rows]) -> Rows:
        """Return the rows of all parts, of which there is at least one. The list is emptied on the way.

        One column after the other is made, so that memory never holds all of them twice.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        columns = [[getattr(part, name) for part in parts] for name in names]
        parts.clear()
        return cls(*(_concatenated(columns.pop(0)) for _ in names))

    def keep(self, rows: Int64s) -> None:
        """Keep these rows, in this order. One column after the other is changed, for the same reason."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name).take(rows))

    def name(self, row: int) -> bytes:
        """Return the name of a row's file."""
        return self.names[row] or self.keys[row] + _ENDINGS[self.ending[row]]

    def __len__(self) -> int:
        return len(self.number)


class Reader:
    """Reads the rows of `table`, whose columns serve as `choice` says, into the spool.

    `any_ending` accepts images of any ending. Rows that hold their images have them in `embedded`.
    """

    def __init__(
        self,
        table: Table,
        choice: Choice,
        labels: Labels,
        paths: Paths,
        spooled: Spooled,
        *,
        any_ending: bool,
        embedded: EmbeddedRows | None = None,
    ) -> None:
        self._embedded = embedded
        self._table, self._choice, self._labels, self._paths = table, choice, labels, paths
        self._spooled, self._any_ending = spooled, any_ending
        self._row_text = RowText(choice, has_names=labels.has_row_labels and bool(labels.index))
        self._given = GivenKeys(table.path, choice.key)
        self._parts: list[Rows] = []
        self._digests: list[Int64s] = []
        self._hashed = xxhash.xxh3_128(), xxhash.xxh3_128(), xxhash.xxh3_128()
        self._read_count = 0

    @property
    def digest(self) -> str:
        """XXH3-128, in hex, of all that was read of the rows; where a batch ends makes no difference."""
        every = (self._spooled.digest, *self._hashed)
        return xxhash.xxh3_128_hexdigest(b"".join(each.digest() for each in every))

    def digests_of_names(self) -> Int64s:
        """Return XXH3-64 of each name that was read, sorted; the reader forgets them."""
        digests: Int64s = _concatenated(self._digests)
        digests.sort()
        return digests

    def read(self, root: str, engine: Engine, progress: ScanProgress) -> Rows | None:
        """Return the wanted rows, None if there are none.

        Sizes are looked up on `engine`, below `root`. `progress` hears how many rows were read, of all, and how many of
        the wanted ones were looked up. Raises SourceError for a row that cannot be read, and WorkerError if a worker
        dies.
        """
        done = 0
        for task, result, _ in engine.run(call, self._tasks(os.fsencode(root))):
            if isinstance(result, Death):
                words = f"a worker died looking up files below {root}: {result.cause}. Use fewer --workers."
                raise WorkerError(words) from result
            part = self._parts[task.keywords["number"]]
            part.size = self._sizes(part, np.frombuffer(result, np.int64))
            done += len(part)
            progress(self._read_count, self._table.row_count, done)
        self._given.refuse_bad()
        return Rows.concatenate(self._parts) if self._parts else None

    def _tasks(self, root: bytes) -> Iterator[partial[bytes]]:
        """Yield the look-up of each batch's files, once its rows are kept."""
        for batch in self._table.batches(self._choice):
            self._read_count += len(batch.images)
            if self._embedded is not None:
                first = batch.first - 1
                rows = slice(first, first + len(batch.images))
                self._add(range(batch.first, batch.first + len(batch.images)), self._embedded.names[rows], batch)
                yield partial(_known_sizes, self._embedded.size[rows].tobytes(), number=len(self._parts) - 1)
                continue
            names = self._paths.names(batch.first, batch.images)
            numbers = [number for number, name in enumerate(names, batch.first) if name]
            if len(numbers) < len(names):
                batch, names = _taken(batch, [bool(name) for name in names]), [*filter(None, names)]
            if names:
                self._add(numbers, names, batch)
                yield partial(_sizes_of, root, b"\0".join(names), number=len(self._parts) - 1)

    def _add(self, numbers: Sequence[int], names: Sequence[bytes], batch: Batch) -> None:
        """Keep the columns of a batch, and spool the rest; sizes come later."""
        choice = self._choice
        keys = self._given.keys(numbers, batch.keys) if choice.key else keys_of_paths(names)
        class_index = np.array(self._labels.of(batch.labels or [None] * len(names)), np.int32)
        captions = self._captions(numbers, batch.captions) if choice.caption else ()
        blobs = self._spooled.append(captions, self._row_text.texts(batch, names))
        read = b"\0".join((*names, b"")), b"\0".join((*keys, b"")), class_index.tobytes()
        for hashed, some in zip(self._hashed, read, strict=True):
            hashed.update(some)
        ending = [_NUMBERS.get(name[name.rfind(b".") :], NO_ENDING) for name in names]
        images = zip(keys, map(_ENDINGS.__getitem__, ending), names, strict=True)
        part = Rows(
            np.array(numbers, np.int32),
            Texts.of(keys),
            Texts.of([b"" if ending and key + ending == name else name for key, ending, name in images]),
            np.array(ending, np.uint8),
            class_index,
            *blobs,
            np.empty(0, np.int64),
        )
        self._parts.append(part)
        self._digests.append(digests_of(names))

    def _sizes(self, part: Rows, sizes: Int64s) -> Int64s:
        """Return the sizes of a part's files, NO_IMAGE for those whose ending is no image's."""
        is_none = (part.ending == NO_ENDING) & (sizes != NO_FILE) & (sizes != NO_BYTES) & (not self._any_ending)
        return np.where(is_none, NO_IMAGE, sizes)

    def _captions(self, numbers: Sequence[int], captions: Sequence[str | None]) -> list[bytes | None]:
        try:
            return [None if caption is None else caption.encode() for caption in captions]
        except UnicodeEncodeError as error:
            row = numbers[captions.index(error.object)]
            why = "it has half a surrogate pair, which no UTF-8 can hold"
            remedy = 'Mend it, or leave captions out with --caption "".'
            raise self._table.refused(row, self._choice.caption, why, remedy) from error


def _concatenated(parts: list[Any]) -> Any:
    """Return the whole column, of arrays or Texts. The list is emptied, and its memory goes back to the system."""
    column = Texts.concatenate(parts) if isinstance(parts[0], Texts) else np.concatenate(parts)
    parts.clear()
    give_back_freed()
    return column


def digests_of(names: Sequence[bytes]) -> Int64s:
    """Return XXH3-64 of each name."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, names), np.uint64, len(names)).view(np.int64)


def _known_sizes(sizes: bytes, number: int) -> bytes:
    """Return the sizes of a batch's images, which are known; its `number` is for the caller."""
    del number
    return sizes


def _sizes_of(root: bytes, names: bytes, number: int) -> bytes:
    """Return the sizes of a batch's files; its `number` is for the caller."""
    del number
    return sizes_of(root, names)


def _taken(batch: Batch, wanted: Sequence[bool]) -> Batch:
    """Return the wanted rows of a batch."""

    def of(cells: Sequence[T]) -> list[T]:
        return [*compress(cells, wanted)]

    return Batch(
        batch.first, of(batch.images), of(batch.labels), of(batch.captions), of(batch.keys), [*map(of, batch.texts)]
    )
