"""The class table beside a finished set: label, WordNet ID and words of each class as text, which the card names."""

from __future__ import annotations

import json

from parallel_sharder.beside import FinishedSet, RecordedFile
from parallel_sharder.journal import CLASSES
from parallel_sharder.text import tsv


class ClassTable(RecordedFile):
    """The table of the set's classes."""

    number = CLASSES

    def content(self, finished: FinishedSet) -> bytes:
        """The classes that the manifest has."""
        return class_table(finished.manifest)


def class_table(manifest: bytes) -> bytes:
    """The classes of a set as text: a line of names, then label, WordNet ID and words of each, separated by tabs.

    What text.tsv escapes in the words is escaped. Empty without classes (test): then there is no such file.
    """
    classes = json.loads(manifest)["classes"]
    rows = [tsv((str(row["label"]), row["wnid"], row["name"])) for row in classes]
    return "".join([tsv(("label", "wnid", "name")), *rows]).encode("utf-8") if rows else b""
