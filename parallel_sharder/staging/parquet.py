"""Parquet files that hold images: how pyarrow (the extra `tables`) opens them, and in which column the images are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from parallel_sharder.errors import SourceError, missing_package, unreadable

BYTES, PATH = "bytes", "path"
"""The fields of a struct that holds an image; see the type Image of the package datasets."""

BUFFER_BYTES = 1 << 20
"""How much of a column of images is read at a time; without a limit it is a row group, which may have gigabytes."""

_FIRST_ROWS = 64


def image_column(path: str) -> str:
    """Return the name of the column that holds images: the first of structs with bytes, or else of bytes; "" if none.

    Raises as `opened` does.
    """
    with opened(path) as file:
        fields = [field for field in file.schema_arrow if holds_images(field.type)]
    return next((field.name for field in sorted(fields, key=lambda field: not field.type.num_fields)), "")


def holds_images(kind: Any) -> bool:
    """Return whether cells of this type of pyarrow are images: bytes, or structs with bytes."""
    import pyarrow as pa

    is_struct = pa.types.is_struct(kind) and kind.get_field_index(BYTES) >= 0
    return bool(is_struct or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


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
def opened(path: str, buffer_bytes: int = 0) -> Iterator[Any]:
    """Yield the Parquet file, as pyarrow's ParquetFile, of which so much is read at a time; 0 stands for a row group.

    Raises MissingPackageError without pyarrow, and SourceError if the file cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_package("a table in Parquet needs the package pyarrow", "tables") from error
    try:
        with pq.ParquetFile(path, buffer_size=buffer_bytes) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from error
    except pa.ArrowException as error:
        raise SourceError(f"{path} is no Parquet file that can be read: {error}. Download or copy it again.") from error
