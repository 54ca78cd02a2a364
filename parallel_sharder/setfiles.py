"""SetFiles: the paths of a set's files beside its shards, both those that readers see and those that are hidden.

The suffixes and name patterns of these files stand here and nowhere else. This module computes names and opens no file;
only `journals_in` lists a folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from parallel_sharder.stores import store_of

CARD = "README.md"
"""The name of a dataset card, which the Hugging Face hub prescribes."""

MANIFEST_SUFFIX = ".json"

_JOURNAL = re.compile(r"\.(.+)\.journal")


@dataclass(frozen=True, slots=True)
class SetFiles:
    """The paths of the files of the set called `name` in `folder`; the files need not exist."""

    folder: str
    name: str

    @classmethod
    def at_manifest(cls, path: str) -> SetFiles:
        """Return the SetFiles of the set whose manifest is at `path`."""
        folder, name = os.path.split(path)
        return cls(folder, name.removesuffix(MANIFEST_SUFFIX))

    @classmethod
    def at_journal(cls, path: str) -> SetFiles:
        """Return the SetFiles of the set whose journal is at `path`."""
        folder, name = os.path.split(path)
        return cls(folder, name.removeprefix(".").removesuffix(".journal"))

    @property
    def manifest(self) -> str:
        """The path of the manifest."""
        return self._path(MANIFEST_SUFFIX)

    @property
    def problems(self) -> str:
        """The path of the list of problems."""
        return self._path(".problems.jsonl")

    @property
    def classes(self) -> str:
        """The path of the class table, which the dataset card names."""
        return self._path(".classes.tsv")

    @property
    def card(self) -> str:
        """The path of the dataset card, which all sets in the folder share."""
        return os.path.join(self.folder, CARD)

    @property
    def journal(self) -> str:
        """The path of the journal, which is hidden."""
        return os.path.join(self.folder, f".{self.name}.journal")

    @property
    def archive_directory(self) -> str:
        """The path of the kept directory of an archive of the source; it lies beside the journal, hidden like it."""
        return os.path.join(self.folder, f".{self.name}.index")

    @property
    def spool(self) -> str:
        """The path beside which the spool of annotations is a temporary file (see stores.durable); nothing gets it."""
        return self._path(".annotations")

    @property
    def beside(self) -> tuple[str, str, str]:
        """The paths of what lies beside the shards for this set alone, in the order in which they are removed."""
        return self.classes, self.problems, self.manifest

    @property
    def beside_names(self) -> str:
        """A regular expression for the names of the files that `beside` has."""
        return "|".join(re.escape(os.path.basename(path)) for path in self.beside)

    @property
    def hidden_names(self) -> str:
        """A regular expression for the names of the journal, its damaged copies, and the archive's directory."""
        journal, index = (re.escape(os.path.basename(path)) for path in (self.journal, self.archive_directory))
        return rf"{index}|{journal}(\.damaged-[0-9]+)?"

    def damaged_journal(self, number: int) -> str:
        """Return the path at which a copy of a damaged journal is kept; numbers begin at 1."""
        return f"{self.journal}.damaged-{number}"

    def _path(self, suffix: str) -> str:
        return os.path.join(self.folder, self.name + suffix)


def journals_in(folder: str) -> list[SetFiles]:
    """Return the SetFiles of the sets in a folder that have a journal, sorted by name.

    Raises OSError if the folder cannot be listed.
    """
    names = [match[1] for file in store_of(folder).names(folder) if (match := _JOURNAL.fullmatch(file))]
    return [SetFiles(folder, name) for name in sorted(names)]
