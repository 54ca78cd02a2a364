"""Row text: what a row adds to the JSON of its sample, behind the class: `"filename": "a/b.jpg", "width": 640`.

Batches and the names of their files come in, and a text for each row goes out, in ASCII. The names of classes are in it
if they are too many for a class table. A column `filename` takes the place of the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from parallel_sharder.sources.table.chosen import FILE_NAME
from parallel_sharder.sources.table.json_text import quoted
from parallel_sharder.sources.table.table import Batch, Choice


class RowText:
    """Writes rows of a table whose columns serve as `choice` says; `has_names` adds the names of classes."""

    def __init__(self, choice: Choice, *, has_names: bool) -> None:
        self._has_names = has_names
        self._has_own_name = FILE_NAME in choice.in_json
        names = (["cname"] if has_names else []) + ([] if self._has_own_name else [FILE_NAME]) + [*choice.in_json]
        self._form = ", ".join(f"{quoted(name)}: ".replace("%", "%%") + "%s" for name in names)

    def texts(self, batch: Batch, names: Sequence[bytes]) -> list[str]:
        """Return the text of each row; `names` are those of the images' files."""
        columns = list(batch.texts)
        if not self._has_own_name:
            columns.insert(0, _file_names(names))
        if self._has_names:
            columns.insert(0, [quoted(str(label)) for label in batch.labels])
        form = self._form
        return [form % cells for cells in zip(*columns, strict=True)]


def _file_names(names: Sequence[bytes]) -> list[str]:
    return [quoted(name.decode("utf-8", "backslashreplace")) for name in names]  # as text.shown
