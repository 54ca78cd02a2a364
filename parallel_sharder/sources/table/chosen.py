"""Chosen: which column of a table holds the image's path, the label, the caption and the key, and which ones the JSON.

The columns' names and the options go in, and a Choice comes out. What the options do not name is the first column there
is of a short list of usual names. A column that is named and is not there is an error that lists the columns, and says
which is nearest. This module reads no rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.table import Choice
from parallel_sharder.text import first_few

IMAGE_NAMES = ("image", "file_name", "filename", "file", "path", "image_path")
LABEL_NAMES = ("label", "cls", "class")
CAPTION_NAMES = ("caption", "text", "txt")

_SHOWN = 20

OF_CLASS = ("cls", "cname")
"""Names that the JSON of a labelled sample has already."""

FILE_NAME = "filename"
"""The name under which the JSON has the image's path, unless a column of the table has it."""


@dataclass(frozen=True)
class ColumnOptions:
    """The columns that the options name: None where they say nothing, and "" where no column is to serve."""

    image: str | None = None
    label: str | None = None
    caption: str | None = None
    key: str | None = None
    columns: tuple[str, ...] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns that may hold the label."""
        return LABEL_NAMES if self.label is None else (self.label,) if self.label else ()


def choose(path: str, columns: Sequence[str], options: ColumnOptions, embedded: str = "") -> Choice:
    """Return which columns of the table at `path` serve for what; `embedded` is the one that holds images, if any.

    Raises SourceError if a named column is not there, and if none may hold the image's path.
    """
    image = _named(path, columns, "--image", options.image) or _first(columns, IMAGE_NAMES) or embedded
    if not image:
        raise SourceError(
            f"{path} has no column {', '.join(IMAGE_NAMES[:-1])} or {IMAGE_NAMES[-1]}. Name the column with the paths "
            f"of the images with --image; {_there_are(columns)}."
        )
    label = _named(path, columns, "--label", options.label)
    caption = _named(path, columns, "--caption", options.caption)
    used = {image, label, caption}
    if label is None:
        label = _first([name for name in columns if name not in used], LABEL_NAMES)
    if caption is None:
        caption = _first([name for name in columns if name not in {*used, label}], CAPTION_NAMES)
    key = _named(path, columns, "--key", options.key) or ""
    if options.columns is None:
        in_json = tuple(name for name in columns if name and name not in (image, label, caption, key))
    else:
        in_json = tuple(dict.fromkeys(_named(path, columns, "--columns", name) or "" for name in options.columns))
    choice = Choice(image, label, caption, key, tuple(filter(None, in_json)))
    _refuse_taken(path, choice)
    return choice


def _refuse_taken(path: str, choice: Choice) -> None:
    """Raise SourceError if a column has a name under which the JSON has the class."""
    taken = [name for name in choice.in_json if choice.label and name in OF_CLASS]
    if taken:
        raise SourceError(
            f"{path}: the column {taken[0]!r} cannot be in the JSON, which has the sample's class by that name, from "
            f"the column {choice.label!r}. Name the columns that you want with --columns, without {taken[0]!r}; or "
            f"name the column of the label with --label."
        )


def _named(path: str, columns: Sequence[str], option: str, name: str | None) -> str | None:
    """Return the column that an option names. Raises SourceError if it is not there."""
    if not name or name in columns:
        return name
    near = difflib.get_close_matches(name.lower(), [each.lower() for each in columns], 1)
    nearest = next((f" Is {each!r} meant?" for each in columns if [each.lower()] == near), "")
    raise SourceError(f"{path} has no column {name!r} ({option}); {_there_are(columns)}.{nearest}")


def _first(columns: Sequence[str], names: Sequence[str]) -> str:
    return next((name for name in names if name in columns), "")


def _there_are(columns: Sequence[str]) -> str:
    return f"it has {first_few([repr(name) for name in columns], _SHOWN)}"
