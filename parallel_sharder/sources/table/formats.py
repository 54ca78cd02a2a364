"""Formats: the ending of a table's name decides how it is read.

A path goes in, and an open Table comes out. A file whose name says that it is something else is an error that says what
makes a table of it. Only the format that is read is imported.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.table.table import Table
from parallel_sharder.stores.regular import open_regular

CSV_ENDINGS = (".csv", ".tsv", ".tab")
JSON_ENDINGS = (".jsonl", ".ndjson", ".jsonlines")
PARQUET_ENDINGS = (".parquet", ".pq")

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def is_table(name: str) -> bool:
    """Return whether a file of this name is a table, by its ending."""
    return name.lower().endswith((*CSV_ENDINGS, *JSON_ENDINGS, *PARQUET_ENDINGS))


def files_of(path: str) -> list[str]:
    """Return the files of the table at `path`: of a pattern, the Parquet files that it matches, sorted by name.

    Raises SourceError for a pattern that matches none, or other files.
    """
    if not glob.has_magic(path) or os.path.exists(path):
        return [path]
    paths = sorted(glob.glob(path))
    others = [each for each in paths if not each.lower().endswith(PARQUET_ENDINGS)]
    if not paths or others:
        what = f"matches {others[0]}, and" if others else "matches no file;"
        raise SourceError(f"{path} {what} a pattern of --table names the Parquet files of one table. Mend it.")
    return paths


def open_table(path: str, label_names: Sequence[str]) -> Table:
    """Return the table at `path`. The labels of the columns `label_names` can be asked for, if it has them.

    Raises SourceError if it is no table, cannot be read, or has no columns, and MissingPackageError for Parquet without
    pyarrow.
    """
    name = os.path.basename(path).lower()
    paths = files_of(path)
    if len(paths) > 1 or paths[0] != path:
        from parallel_sharder.sources.table.parquet import ParquetTable

        return ParquetTable(path, paths)
    if not is_table(name):
        raise SourceError(f"{path} is not named like a table. {_remedy(name)}")
    try:
        os.close(open_regular(path))
    except OSError as error:
        raise unreadable(path, error, "Name a table that exists with --table.") from error
    if name.endswith(PARQUET_ENDINGS):
        from parallel_sharder.sources.table.parquet import ParquetTable

        return ParquetTable(path)
    if name.endswith(JSON_ENDINGS):
        from parallel_sharder.sources.table.json_lines import JsonLinesTable

        return JsonLinesTable(path, label_names)
    from parallel_sharder.sources.table.csv_table import CsvTable

    return CsvTable(path, label_names)


def _remedy(name: str) -> str:
    if name.endswith(_PACKED):
        return "A packed table is not read: unpack it first."
    if name.endswith(".json"):
        return "A JSON list becomes JSON lines by: jq -c '.[]' FILE > copy.jsonl"
    return "--table takes CSV (.csv), TSV (.tsv), JSON lines (.jsonl) and Parquet (.parquet)."
