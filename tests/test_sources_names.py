"""Names: the rule of a data set's file names is tested with a rule that is not ImageNet's."""

from __future__ import annotations

import pytest

from parallel_sharder.sources.names import NameKind, NameRule, junk, unpacked_name

NAMES = NameRule(".jpg", ".txt", "[a-z]+", "[a-z]+-[0-9]{3}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cat-001.jpg", NameKind.IMAGE),
        ("cat-001.JPG", NameKind.IMAGE),
        ("cat-001.webp", NameKind.IMAGE),
        ("cat-001.txt", NameKind.ANNOTATION),
        ("cat-001.TXT", NameKind.ANNOTATION),
        ("cat-001.xml", NameKind.OTHER),
        ("._cat-001.jpg", NameKind.JUNK),
        ("Thumbs.db", NameKind.JUNK),
    ],
)
def test_kind(name: str, kind: NameKind) -> None:
    """Images have many endings. Annotations have the data set's ending, in upper or lower case."""
    assert kind is NAMES.kind(name)


def test_misfits() -> None:
    """Keys that do not match are found among many, and a key with a line break is not read as two keys."""
    assert [] == NAMES.misfits(["cat-001", "dog-002"])
    assert ["cat-1", "cat-001\ndog-002"] == NAMES.misfits(["cat-001", "cat-1", "cat-001\ndog-002"])


def test_lost_images() -> None:
    """An unfinished image counts as left out if no image has its key."""
    assert {"cat-002.jpg.part"} == NAMES.lost_images(["cat-001.jpg.part", "cat-002.jpg.part", "notes"], {"cat-001"})


def test_names_that_systems_and_archives_have() -> None:
    """Names of junk and of archives are the same for each data set."""
    assert "._*" == junk("._cat-001.jpg")
    assert "cat" == unpacked_name("cat (1).tar.gz") == unpacked_name("cat")
