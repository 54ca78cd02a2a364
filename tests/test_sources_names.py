"""The rule of a data set's file names, with one that is not ImageNet's."""

from __future__ import annotations

import pytest

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
