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

    The fields are label, WordNet ID and words, escaped by text.tsv. The text is empty for a set without classes (test).
    """
    rows = [tsv((str(row.label), row.wnid, row.name)) for row in manifest.classes]
    return "".join([tsv(("label", "wnid", "name")), *rows]).encode("utf-8") if rows else b""
