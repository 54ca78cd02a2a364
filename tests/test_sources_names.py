"""The rule of a data set's file names, with one that is not ImageNet's."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.kinds import Kind
from parallel_sharder.sources.folders import list_folder
from parallel_sharder.sources.names import Names, Role, junk, unpacked_name

NAMES = Names(".jpg", ".txt", "[a-z]+", "[a-z]+-[0-9]{3}")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("cat-001.jpg", Role.IMAGE),
        ("cat-001.JPG", Role.IMAGE),
        ("cat-001.webp", Role.IMAGE),
        ("cat-001.txt", Role.ANNOTATION),
        ("cat-001.TXT", Role.ANNOTATION),
        ("cat-001.xml", Role.OTHER),
        ("._cat-001.jpg", Role.JUNK),
        ("Thumbs.db", Role.JUNK),
    ],
)
def test_role(name: str, role: Role) -> None:
    """Images have many endings; annotations have the one that the data set says, in any case."""
    assert role is NAMES.role(name)


def test_misfits() -> None:
    """Keys that do not match are found among many, and a key of two lines is not two keys."""
    assert [] == NAMES.misfits(["cat-001", "dog-002"])
    assert ["cat-1", "cat-001\ndog-002"] == NAMES.misfits(["cat-001", "cat-1", "cat-001\ndog-002"])


def test_lost_images() -> None:
    """An unfinished image counts where its key is not known otherwise."""
    assert {"cat-002.jpg.part"} == NAMES.lost_images(["cat-001.jpg.part", "cat-002.jpg.part", "notes"], {"cat-001"})


def test_names_that_systems_and_archives_have() -> None:
    """They are the same for each data set."""
    assert "._*" == junk("._cat-001.jpg")
    assert "cat" == unpacked_name("cat (1).tar.gz") == unpacked_name("cat")


def test_a_folder_is_listed_by_the_rule(tmp_path: Path) -> None:
    """Usual endings are left to the rule, others are kept, and what does not fit is a problem."""
    for name in ("cat-001.jpg", "cat-002.png", "cat-001.txt", "cat-1.jpg", "notes", ".DS_Store"):
        (tmp_path / name).write_bytes(b"12345")
    contents = list_folder(str(tmp_path), NAMES)
    assert ["cat-001.jpg", "cat-002.png"] == contents.images.names(NAMES.image_suffix)
    assert ["cat-001.txt"] == contents.xmls.names(NAMES.annotation_suffix)
    assert [Kind.MISPLACED_IMAGE, Kind.NOT_AN_IMAGE] == [problem.kind for problem in contents.problems]
    assert ((".DS_Store", 1),) == contents.junk
