"""SetFiles: the paths of a set's files beside its shards, both those that readers see and those that are hidden.

The suffixes and name patterns of these files stand here and nowhere else. This module computes names and opens no file;
only `journals_in`, `journals` and `node_locks` list a folder.

A set that an array job writes has a journal for each node, `.SET.journal.node-3-of-16`, beside the set's own, and a
listing that all nodes share. All hidden files begin with a dot and the set's name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from parallel_sharder.node import Node
from parallel_sharder.stores import store_of

CARD = "README.md"
"""The name of a dataset card, which the Hugging Face hub prescribes."""

MANIFEST_SUFFIX = ".json"

STRETCH_SUFFIX, COPY_SUFFIX = ".stretch", ".copy"
"""The ends of the names of files in a stage: pieces of a source, and archives as a whole (see the package staging)."""

_NODE = r"node-([0-9]+)-of-([0-9]+)"
_JOURNAL = re.compile(rf"\.(.+)\.journal(?:\.{_NODE})?")
_BEGUN = re.compile(rf"\.(.+)\.(?:journal(?:\.{_NODE})?|{_NODE}\.lock|listing)")
"""The files by which a set is found that has no shard yet: a node makes its lock before all others."""


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
        """Return the SetFiles of the set whose journal, or a node's journal, is at `path`."""
        folder, name = os.path.split(path)
        match = _JOURNAL.fullmatch(name)
        return cls(folder, match[1] if match else name)

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
        return self._hidden("journal")

    def journal_of(self, node: Node | None) -> str:
        """Return the path of the journal of a node; that of the set, if it is None."""
        return self.journal if node is None else f"{self.journal}.{_node_name(node)}"

    def journals(self) -> dict[str, Node | None]:
        """Return the paths of the journals that exist, each with its node; the set's own is first, with None."""
        found: dict[str, Node | None] = {}
        for name in _names_in(self.folder):
            match = _JOURNAL.fullmatch(name)
            if match and match[1] == self.name:
                found[os.path.join(self.folder, name)] = Node(int(match[2]), int(match[3])) if match[2] else None
        return dict(
            sorted(found.items(), key=lambda item: (item[1] is not None, item[1] and (item[1].count, item[1].index)))
        )

    @property
    def listing(self) -> str:
        """The path of the listing of the source that the nodes of an array share."""
        return self._hidden("listing")

    @property
    def kept_spool(self) -> str:
        """The path of the annotations that were unpacked for all nodes of an array."""
        return self._hidden("spool")

    @property
    def stage(self) -> str:
        """The path of the folder in which a source is staged, where the user names none."""
        return self._hidden("stage")

    @property
    def listing_lock(self) -> str:
        """The path of the lock of the node that makes the listing."""
        return self._hidden("listing.lock")

    @property
    def publish_lock(self) -> str:
        """The path of the lock of the node that finds out whether it is the last, and publishes."""
        return self._hidden("publish.lock")

    def lock_of(self, node: Node | None) -> str:
        """Return the path of the lock of a node; that of a run without node on the set of an array, if it is None."""
        return self._hidden("run.lock" if node is None else f"{_node_name(node)}.lock")

    def has_array(self) -> bool:
        """Return whether nodes of an array have left a file here, or a run on their set; the folder is listed once."""
        left = rf"\.{re.escape(self.name)}\.(listing|journal\.{_NODE}|(listing|publish|run|{_NODE})\.lock)"
        return any(re.fullmatch(left, name) for name in _names_in(self.folder))

    def node_locks(self) -> dict[str, Node]:
        """Return the paths of the locks of nodes that exist, each with its node."""
        pattern = re.compile(rf"\.{re.escape(self.name)}\.{_NODE}\.lock")
        found = [(name, match) for name in _names_in(self.folder) if (match := pattern.fullmatch(name))]
        nodes = {os.path.join(self.folder, name): Node(int(match[1]), int(match[2])) for name, match in found}
        return dict(sorted(nodes.items(), key=lambda item: (item[1].count, item[1].index)))

    def events_of(self, node: Node | None) -> str:
        """Return the path of the events of a node's runs; those of the set's own runs, if it is None."""
        return self._hidden("run.jsonl" if node is None else f"run.{_node_name(node)}.jsonl")

    def events(self) -> list[str]:
        """Return the paths of the events that exist, sorted: those of the set's own runs, and of each node's."""
        pattern = re.compile(rf"\.{re.escape(self.name)}\.run(\.{_NODE})?\.jsonl")
        return [os.path.join(self.folder, name) for name in sorted(_names_in(self.folder)) if pattern.fullmatch(name)]

    @property
    def report(self) -> str:
        """The path of the page that the command `report` writes."""
        return self._path(".report.html")

    @property
    def archive_directory(self) -> str:
        """The path of the kept directory of an archive of the source; it lies beside the journal, hidden like it."""
        return self._hidden("index")

    @property
    def spool(self) -> str:
        """The path beside which the spool of annotations is a temporary file (see stores.durable); nothing gets it."""
        return self._path(".annotations")

    @property
    def marker(self) -> str:
        """The path beside which a temporary file shows to other hosts that they see this folder; nothing gets it."""
        return self._path(".marker")

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
        """A regular expression for the names of the journals, their damaged copies, and other hidden files."""
        begin = re.escape(f".{self.name}.")
        marker = re.escape(os.path.basename(self.marker))
        locks = rf"({_NODE}|run|listing|publish)\.lock"
        events = rf"run(\.{_NODE})?\.jsonl"
        journals = rf"journal(\.{_NODE})?(\.lock|\.damaged-[0-9]+)?"
        return rf"{begin}(index|listing|spool|{events}|{locks}|{journals})|{marker}"

    def _path(self, suffix: str) -> str:
        return os.path.join(self.folder, self.name + suffix)

    def _hidden(self, suffix: str) -> str:
        return os.path.join(self.folder, f".{self.name}.{suffix}")


def damaged_copy(journal: str, number: int) -> str:
    """Return the path at which a copy of the damaged journal at `journal` is kept; numbers begin at 1."""
    return f"{journal}.damaged-{number}"


def journals_in(folder: str) -> list[SetFiles]:
    """Return the SetFiles of the sets in a folder that have a journal, or that nodes have begun, sorted by name.

    Raises OSError if the folder cannot be listed.
    """
    names = {match[1] for file in store_of(folder).names(folder) if (match := _BEGUN.fullmatch(file))}
    return [SetFiles(folder, name) for name in sorted(names)]


def _node_name(node: Node) -> str:
    return f"node-{node.index}-of-{node.count}"


def _names_in(folder: str) -> list[str]:
    """Return the names in a folder; none if there is no folder."""
    try:
        return store_of(folder).names(folder)
    except FileNotFoundError:
        return []
