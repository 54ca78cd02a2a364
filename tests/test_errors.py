"""What can stop a run: the words that more than one place has for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder.errors import unreadable, unwritable
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


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A name that is mistyped and a broken link have other remedies than a damaged file."""
    gone, link = tmp_path / "gone", tmp_path / "link"
    link.symlink_to("nowhere")
    missing, damaged = OSError(2, os.strerror(2)), OSError(5, os.strerror(5))
    assert f"{gone} cannot be read: No such file or directory. Name a file that exists." == str(
        unreadable(gone, missing)
    )
    assert f"{gone} cannot be read: {os.strerror(5)}. Download or copy it again." == str(unreadable(gone, damaged))
    words = f"{link} cannot be read: it is a broken link to nowhere. Mend the link, or remove it."
    assert words == str(unreadable(link, missing))
    assert str(unreadable(link, missing, "Name another.")).endswith("to nowhere. Name another.")


def test_kinds() -> None:
    """Each has a meaning for people, and leaves out a sample, a class, or nothing."""
    assert all(kind.meaning for kind in Kind)
    assert not [kind for kind in Kind if kind.leaves_out_sample and kind.leaves_out_class]
