"""The names of a set's files: where each is, which set one belongs to, and what is hidden."""

from __future__ import annotations

import os
import re
from pathlib import Path

from parallel_sharder.node import Node
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.setfiles import SetFiles, damaged_copy, journals_in


def test_names() -> None:
    """Published files are called as the set is; journal and saved index are hidden; the card is the folder's."""
    files = ShardPattern.parse("/s/x-%06d.tar").files
    assert SetFiles("/s", "x") == files
    assert ("/s/x.json", "/s/x.problems.jsonl", "/s/x.classes.tsv", "/s/README.md", "/s/x.annotations") == (
        files.manifest, files.problems, files.classes, files.card, files.spool,
    )  # fmt: skip
    assert ("/s/.x.journal", "/s/.x.index", "/s/.x.journal.damaged-2") == (
        files.journal, files.archive_directory, damaged_copy(files.journal, 2),
    )  # fmt: skip


def test_set_of_a_file() -> None:
    """A manifest's path, or a journal's, says which set it is of, in the current folder too."""
    for folder in ("", ".", "/a/b.json"):
        files = SetFiles(folder, "x.y")
        assert files == SetFiles.at_manifest(files.manifest) == SetFiles.at_journal(files.journal)


def test_names_as_expressions() -> None:
    """They match the names of these files and no others, whatever the set's name has."""
    files = SetFiles("/s", "x.y")
    beside, hidden = re.compile(files.beside_names), re.compile(files.hidden_names)
    assert all(beside.fullmatch(os.path.basename(path)) for path in files.beside)
    assert not any(map(beside.fullmatch, ("x.y-0.tar", "xzy.json", "x.y.annotations", "README.md", ".x.y.journal")))
    paths = [files.journal, files.archive_directory, damaged_copy(files.journal, 12), f"{files.journal}.lock"]
    paths += [files.events_of(None), files.events_of(Node(3, 16))]
    assert all(hidden.fullmatch(os.path.basename(path)) for path in paths)
    assert not any(map(hidden.fullmatch, (".xzy.journal", ".x.y.journal.damaged-", "x.y.journal", ".x.y.index.1")))


def test_journals_in_a_folder(tmp_path: Path) -> None:
    """Each is one set, by name; copies of damaged ones and files that only look alike are none."""
    for name in (".b.journal", ".a.b.journal", ".b.journal.damaged-1", "c.journal", ".journal", "..journal"):
        (tmp_path / name).touch()
    assert [SetFiles(str(tmp_path), name) for name in ("a.b", "b")] == journals_in(str(tmp_path))
