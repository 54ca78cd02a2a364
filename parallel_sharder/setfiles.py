"""The names of a set's files in a folder, beside its shards: what is published there, and what is hidden.

Suffixes and name patterns of these files are known here and nowhere else. Names are text: this module looks at no file,
but for `journals_in`, which lists a folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from parallel_sharder.stores import store_of

CARD = "README.md"
"""The name of a dataset card, as the Hugging Face hub wants it."""

MANIFEST_SUFFIX = ".json"

_JOURNAL = re.compile(r"\.(.+)\.journal")


@dataclass(frozen=True, slots=True)
class SetFiles:
    """The paths of the files of the set called `name` in `folder`; nothing need be there."""

    folder: str
    name: str

    @classmethod
    def at_manifest(cls, path: str) -> SetFiles:
        """Those of the set whose manifest is at `path`."""
        folder, name = os.path.split(path)
        return cls(folder, name.removesuffix(MANIFEST_SUFFIX))

    @classmethod
    def at_journal(cls, path: str) -> SetFiles:
        """Those of the set whose journal is at `path`."""
        folder, name = os.path.split(path)
        return cls(folder, name.removeprefix(".").removesuffix(".journal"))

    @property
    def manifest(self) -> str:
        """Where the manifest is."""
        return self._path(MANIFEST_SUFFIX)

    @property
    def problems(self) -> str:
        """Where the problems of the set are listed."""
        return self._path(".problems.jsonl")

    @property
    def classes(self) -> str:
        """Where the class table is that a dataset card names."""
        return self._path(".classes.tsv")

    @property
    def card(self) -> str:
        """Where the dataset card is, which all sets in the folder share."""
        return os.path.join(self.folder, CARD)

    @property
    def journal(self) -> str:
        """Where the journal is, which is hidden."""
        return os.path.join(self.folder, f".{self.name}.journal")

    @property
    def saved_index(self) -> str:
        """Where the index of an archive of the source is kept, beside the journal and hidden like it."""
        return os.path.join(self.folder, f".{self.name}.index")

    @property
    def spool(self) -> str:
        """The name that the spool of annotations never gets: it is a temporary file of this name (see durable)."""
        return self._path(".annotations")

    @property
    def beside(self) -> tuple[str, str, str]:
        """What is published beside the shards for this set alone, in the order in which it is removed."""
        return self.classes, self.problems, self.manifest

    @property
    def beside_names(self) -> str:
        """A regular expression for the names of these files."""
        return "|".join(re.escape(os.path.basename(path)) for path in self.beside)

    @property
    def hidden_names(self) -> str:
        """A regular expression for the names of the journal, of its copies that were damaged, and of the index."""
        journal, index = (re.escape(os.path.basename(path)) for path in (self.journal, self.saved_index))
        return rf"{index}|{journal}(\.damaged-[0-9]+)?"

    def damaged_journal(self, number: int) -> str:
        """Where a copy of the journal is kept that was found damaged, the first as number 1."""
        return f"{self.journal}.damaged-{number}"

    def _path(self, suffix: str) -> str:
        return os.path.join(self.folder, self.name + suffix)


def journals_in(folder: str) -> list[SetFiles]:
    """The sets in a folder that have a journal, by name. Raises OSError if the folder cannot be listed."""
    names = [match[1] for file in store_of(folder).names(folder) if (match := _JOURNAL.fullmatch(file))]
    return [SetFiles(folder, name) for name in sorted(names)]
