"""The class table beside a finished set: label, WordNet ID and words of each class as text, which the card names."""

from __future__ import annotations

from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.text import tsv


class ClassTable(RecordedFile):
    """The table of the set's classes."""

    def content(self, finished: FinishedSet) -> bytes:
        """The classes that the manifest has."""
        return class_table(finished.manifest)


def class_table(manifest: Manifest) -> bytes:
    """The classes of a set as text: a line of names, then label, WordNet ID and words of each, separated by tabs.

    What text.tsv escapes in the words is escaped. Empty without classes (test): then there is no such file.
    """
    rows = [tsv((str(row.label), row.wnid, row.name)) for row in manifest.classes]
    return "".join([tsv(("label", "wnid", "name")), *rows]).encode("utf-8") if rows else b""
