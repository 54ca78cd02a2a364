"""Parquet files that hold images: how pyarrow (the extra `tables`) opens them, and in which column the images are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from parallel_sharder.errors import MissingPackageError, SourceError, unreadable

BYTES, PATH = "bytes", "path"
"""The fields of a struct that holds an image; see the type Image of the package datasets."""

_BUFFER_BYTES = 1 << 20
"""How much of a column is read at a time; without a limit a row group is read as a whole, which may have gigabytes."""

_FIRST_ROWS = 64


def image_column(path: str) -> str:
    """Return the name of the column that holds images: the first of structs with bytes, or else of bytes; "" if none.

    Raises as `opened` does.
    """
    import pyarrow as pa

    with opened(path) as file:
        schema = file.schema_arrow
    structs = [
        field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index(BYTES) >= 0
    ]
    binary = [field.name for field in schema if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)]
    return next(iter([*structs, *binary]), "")


def first_paths(path: str, column: str) -> list[str]:
    """Return the paths that the first rows have in a column of images. Raises as `opened` does."""
    with opened(path) as file:
        index = file.schema_arrow.get_field_index(column)
        kind = file.schema_arrow.field(index).type if index >= 0 else None
        if kind is None or not kind.num_fields or kind.get_field_index(PATH) < 0:
            return []
        batches = file.iter_batches(_FIRST_ROWS, columns=[f"{column}.{PATH}"], use_threads=False)
        rows = next(iter(batches)).column(0).to_pylist() if file.metadata.num_rows else []
        paths = [path_text(row[PATH]) for row in rows if row is not None]
        return [path for path in paths if path]


def path_text(path: object) -> str | None:
    """Return a path that stands in a table, which may be text or bytes; None for what is none."""
    if isinstance(path, bytes):
        return path.decode("utf-8", "replace")
    return path if isinstance(path, str) else None


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """Yield the Parquet file, as pyarrow's ParquetFile.

    Raises MissingPackageError without pyarrow, and SourceError if the file cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingPackageError(
            "Parquet needs the package pyarrow: pip install 'parallel_sharder[tables]', or, in a clone of it, "
            "pip install '.[tables]'"
        ) from error
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from error
    except pa.ArrowException as error:
        raise SourceError(f"{path} is no Parquet file that can be read: {error}. Download or copy it again.") from error
