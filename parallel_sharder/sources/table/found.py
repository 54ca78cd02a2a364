"""Found: which table is read, and where its images lie, from names alone.

The options go in, and a TablePlace comes out. Paths in a table are relative to --root, which is the table's folder if
nobody names one. Hugging Face's `metadata.csv`, `.jsonl` or `.parquet` is found by itself at the root, or in folders
named as splits; its paths are relative to its own folder. Of a table at the root, --split picks the rows whose images
lie in that split's folder. No table is opened here.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.class_folders.arrangement import SPLIT_OF
from parallel_sharder.sources.source import SourceOptions

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""The names of Hugging Face's tables beside images, as its imagefolder knows them."""


class TablePlace(NamedTuple):
    """The table at the path `table`, whose paths are relative to the folder `root`.

    Only rows of files in the folder `inner` of the root are wanted, and "" means all rows. `split` is None where the
    table is the whole set. `others` are the tables of the other splits, where each split has its own.
    """

    table: str
    root: str
    inner: str = ""
    split: str | None = None
    others: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The absolute path of the folder that keys are below."""
        return os.path.join(self.root, self.inner) if self.inner else self.root


def found_table(root: str) -> str | None:
    """Return the path of Hugging Face's table at `root`, or the first of those in its splits' folders; None if none is.

    Raises SourceError if a folder has two of them.
    """
    return _metadata_in(root) or next((path for _, path in sorted(_of_splits(root).items())), None)


def table_place(options: SourceOptions) -> TablePlace:
    """Return the table that the options name or, where they name none, the one that is found.

    Raises SourceError if there is none, if there are several, and for a split that is not there.
    """
    root = os.path.abspath(options.folder)
    if options.table is not None:
        return _named(os.path.abspath(options.table), root, options.split)
    at_root, of_splits = _metadata_in(root), _of_splits(root)
    if at_root is not None and of_splits:
        other = next(iter(of_splits.values()))
        raise SourceError(f"{at_root} and {other} are both there, and each may be the table. Name one with --table.")
    if at_root is not None:
        return _named(at_root, root, options.split)
    if not of_splits:
        raise SourceError(
            f"{root} has no table: there is no {', '.join(METADATA[:-1])} or {METADATA[-1]}, in it or in a folder "
            "named as a split. Name the table with --table."
        )
    split = options.split or ("train" if "train" in of_splits else next(iter(of_splits)))
    if split not in of_splits or (options.split is None and "train" not in of_splits and len(of_splits) > 1):
        wanted = f"no table of the split {split}" if options.split else "tables of several splits"
        raise SourceError(f"{root} has {wanted}; it has {', '.join(of_splits)}. Choose one of these with --split.")
    others = _of_others(of_splits, split)
    return TablePlace(of_splits[split], os.path.dirname(of_splits[split]), split=split, others=others)


def _named(table: str, root: str, split: str | None) -> TablePlace:
    """Return the place of this table; with a split, that of the split's rows."""
    if split is None:
        return TablePlace(table, root)
    folders = _split_folders(root)
    if split not in folders:
        there = f"its folders named as splits are {', '.join(folders.values())}" if folders else "it has no such folder"
        raise SourceError(
            f"--split {split} picks the rows of images in the folder {split}/ of {root}; {there}. Leave --split out, "
            "which converts all rows."
        )
    folder = os.path.join(root, folders[split])
    if os.path.dirname(table) == folder:  # as Hugging Face has it: paths are relative to the table
        return TablePlace(table, folder, split=split, others=_of_others(_of_splits(root), split))
    return TablePlace(table, root, folders[split], split)


def _of_splits(root: str) -> dict[str, str]:
    """Return the table of each split whose folder in `root` has one."""
    found = {split: _metadata_in(os.path.join(root, name)) for split, name in _split_folders(root).items()}
    return {split: path for split, path in found.items() if path is not None}


def split_alone(place: TablePlace) -> str:
    """Return a sentence if the root is the folder of another split, and train beside it has a table; else ""."""
    root, split = os.path.split(place.root)
    of_split = SPLIT_OF.get(split.lower())
    tables = (os.path.join(root, "train", name) for name in METADATA)
    if place.split is not None or of_split in (None, "train") or not any(map(os.path.isfile, tables)):
        return ""
    return (
        f"{place.root} looks like the split {of_split} of {root}. Its classes are numbered by its own table. --root "
        f"{root} --split {of_split} numbers them as train's."
    )


def _of_others(of_splits: dict[str, str], split: str) -> tuple[str, ...]:
    """Return the tables of all splits but this one."""
    return tuple(path for name, path in of_splits.items() if name != split)


def _split_folders(root: str) -> dict[str, str]:
    """Return the name of each split's folder in `root`. Raises SourceError if two folders are of one split."""
    folders: dict[str, str] = {}
    try:
        names = sorted(os.listdir(root))
    except OSError as error:
        raise SourceError(f"{root} cannot be listed: {error.strerror}. Name another --root.") from error
    for name in names:
        split = SPLIT_OF.get(name.lower())
        if split is None or not os.path.isdir(os.path.join(root, name)):
            continue
        if split in folders:
            raise SourceError(
                f"{root}/{folders[split]} and {root}/{name} both have a name of the split {split}. Rename one of them."
            )
        folders[split] = name
    return folders


def _metadata_in(folder: str) -> str | None:
    """Return the path of Hugging Face's table in `folder`. Raises SourceError if there are two."""
    paths = [path for name in METADATA if os.path.isfile(path := os.path.join(folder, name))]
    if len(paths) > 1:
        raise SourceError(f"{' and '.join(paths)} are both there, and each may be the table. Name one with --table.")
    return next(iter(paths), None)
