"""One folder to its contents: every entry named, each file in its column or a problem."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.kinds import Kind
from parallel_sharder.sources.folders import list_folder
from tests.test_sources_names import NAMES


def test_a_folder_is_listed_by_the_rule(tmp_path: Path) -> None:
    """Usual endings come from the rule, other endings are kept, and a file that does not belong is a problem."""
    for name in ("cat-001.jpg", "cat-002.png", "cat-001.txt", "cat-1.jpg", "notes", ".DS_Store"):
        (tmp_path / name).write_bytes(b"12345")
    contents = list_folder(str(tmp_path), NAMES)
    assert ["cat-001.jpg", "cat-002.png"] == contents.images.names(NAMES.image_suffix)
    assert ["cat-001.txt"] == contents.xmls.names(NAMES.annotation_suffix)
    assert [Kind.MISPLACED_IMAGE, Kind.NOT_AN_IMAGE] == [problem.kind for problem in contents.problems]
    assert ((".DS_Store", 1),) == contents.junk
