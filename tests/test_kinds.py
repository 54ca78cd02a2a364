"""Kinds: each has a meaning for people, and leaves out a sample, a class or nothing."""

from __future__ import annotations

import pytest

from parallel_sharder.kinds import Kind


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_meaning(kind: Kind) -> None:
    """It is a line of words, and no other kind has it."""
    assert kind.meaning.isprintable()
    assert [kind] == [other for other in Kind if other.meaning == kind.meaning]


def test_no_kind_leaves_out_a_sample_and_a_class() -> None:
    """One missing thing is counted once."""
    assert not [kind for kind in Kind if kind.leaves_out_sample and kind.leaves_out_class]
