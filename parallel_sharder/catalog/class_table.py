"""The class table beside a finished set: label, WordNet ID and words of each class, as a file that the card names."""

from __future__ import annotations

from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.text import tsv


class ClassTable(RecordedFile):
    """The file with the table of the set's classes."""

    def content(self, finished: FinishedSet) -> bytes:
        """Return the table of the manifest's classes."""
        return class_table(finished.manifest)


def class_table(manifest: Manifest) -> bytes:
    """Return the classes of a set as text: a line of column names, then a line a class, with fields separated by tabs.

    The fields are label, ID (ImageNet's WordNet ID) and name, escaped by text.tsv. The text is empty for a set without
    classes.
    """
    rows = [tsv((str(row.label), row.id, row.name)) for row in manifest.classes]
    name_of_id = "wnid" if manifest.options.is_of_imagenet else "id"
    return "".join([tsv(("label", name_of_id, "name")), *rows]).encode("utf-8") if rows else b""
