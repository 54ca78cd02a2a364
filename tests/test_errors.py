"""What can stop a run: the words that more than one place has for it."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import unwritable
from parallel_sharder.kinds import Kind


@pytest.mark.parametrize(
    ("cause", "remedy", "message"),
    [
        (OSError(28, "No space left on device", "/x"), "", "/y cannot be written: No space left on device."),
        (OSError("odd"), "Mend that.", "/y cannot be written: odd. Mend that."),
        ("database is locked", "", "/y cannot be written: database is locked."),
    ],
)
def test_what_cannot_be_written(cause: OSError | str, remedy: str, message: str) -> None:
    """The path, the cause as the system says it, and what to do."""
    assert message == str(unwritable("/y", cause, remedy))


def test_kinds() -> None:
    """Each has a meaning for people, and leaves out a sample, a class, or nothing."""
    assert all(kind.meaning for kind in Kind)
    assert not [kind for kind in Kind if kind.leaves_out_sample and kind.leaves_out_class]
