"""Embedded images: the images in a column of a Parquet file are read in order, and copied end to end to the stage.

The column holds the bytes of files, or structs of these and a path, as the package datasets writes them. pyarrow (the
extra `tables`) gives the bytes of many images as one buffer, which is written as it is. Without a stage the images are
only read.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import StoppedError, unwritable
from parallel_sharder.staging.copy import Copy, Copying
from parallel_sharder.staging.parquet import BUFFER_BYTES, BYTES, PATH, opened, path_text
from parallel_sharder.stores import store_of

BATCH_ROWS = 32
"""How many images are read at a time: some 4 MB. With 128 they take a tenth more CPU time, because the caches of the
processor do not hold them."""


class Images(NamedTuple):
    """Images of some rows of a table, the first of which has the number `first`, counted from 0.

    `data` has their bytes end to end, and begins at `offset` in the copy; `offsets` are those of the images. A size is
    -1, and a path is None, where the row has none. `others` has the values of each further column.
    """

    first: int
    offset: int
    data: memoryview
    offsets: list[int]
    sizes: list[int]
    paths: list[str | None]
    others: list[list[Any]]


@contextlib.contextmanager
def images_of(copying: Copying, others: Sequence[str], progress: Progress) -> Iterator[Iterator[Images]]:
    """Yield the images of a Parquet file, batch by batch, and the values of the columns `others`.

    At the end of the block they are in the copy, if there is one. Raises MissingPackageError without pyarrow,
    SourceError if the file cannot be read, DestinationError if the copy cannot be written, and StoppedError if
    `progress` says that the run is stopped.
    """
    path = copying.path
    is_copied = not path or store_of(path).is_file(path)
    with contextlib.ExitStack() as exits, _telling(path):
        copy = None if is_copied else exits.enter_context(Copy(path, progress))
        copy = None if copy is not None and copy.is_whole else copy
        images = _read(copying, others, copy, progress)
        yield images
        for _ in images:
            pass
        if copy is not None:
            copy.finish()


@contextlib.contextmanager
def _telling(path: str) -> Iterator[None]:
    """Turn an OSError into the DestinationError that the copy at `path` cannot be written."""
    try:
        yield
    except OSError as error:
        remedy = "Make room there, or name another folder with --stage; the same command continues."
        raise unwritable(path, error, remedy) from error


def _read(copying: Copying, others: Sequence[str], copy: Copy | None, progress: Progress) -> Iterator[Images]:
    path, size = copying.archive.path, copying.archive.size
    first = offset = 0
    kept = copy.kept_bytes if copy is not None else 0
    with opened(path, BUFFER_BYTES) as file:
        column = copying.column
        index = file.schema_arrow.get_field_index(column)
        is_struct = index >= 0 and file.schema_arrow.field(index).type.num_fields > 0
        columns = [f"{column}.{BYTES}", f"{column}.{PATH}"] if is_struct else [column]
        groups = range(file.num_row_groups)
        for group in groups:
            for batch in file.iter_batches(
                BATCH_ROWS, row_groups=[group], columns=[*columns, *others], use_threads=False
            ):
                if progress.stopped:
                    raise StoppedError
                images = _images(batch, column, others, first, offset)
                first, offset = first + batch.num_rows, offset + len(images.data)
                if copy is not None and offset > kept:
                    with _telling(copying.path):  # here, because `opened` takes an OSError for one of its file
                        copy.write(images.data[max(0, kept - images.offset) :])
                yield images
                progress.tell(0, size * group // len(groups))


def _images(batch: Any, column: str, others: Sequence[str], first: int, offset: int) -> Images:
    import pyarrow as pa

    cells = batch.column(column)
    paths: list[str | None] = [None] * batch.num_rows
    if pa.types.is_struct(cells.type):
        kind, fields = cells.type, cells.flatten()
        cells, index = fields[kind.get_field_index(BYTES)], kind.get_field_index(PATH)
        paths = [*map(path_text, fields[index].to_pylist())] if index >= 0 else paths
    cells = cells.cast(pa.large_binary()) if not pa.types.is_large_binary(cells.type) else cells
    starts = memoryview(cells.buffers()[1]).cast("q")[cells.offset : cells.offset + len(cells) + 1]
    nulls = cells.is_null().to_pylist() if cells.null_count else None
    bounds = starts.tolist()
    sizes = [end - start for start, end in itertools.pairwise(bounds)]
    if nulls is not None:
        sizes = [-1 if is_null else size for size, is_null in zip(sizes, nulls, strict=True)]
    values = cells.buffers()[2]
    data = memoryview(values if values is not None else b"")[bounds[0] : bounds[-1]]
    offsets = [offset + start - bounds[0] for start in bounds[:-1]]
    return Images(first, offset, data, offsets, sizes, paths, [batch.column(name).to_pylist() for name in others])
