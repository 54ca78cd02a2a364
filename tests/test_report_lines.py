"""The lines of all reports: aligned, counted, short, and printable."""

from __future__ import annotations

from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.report.lines import (
    first_lines,
    images_rows,
    kept_phrase,
    left_out_phrase,
    lines_by_kind,
    table,
    text_of,
    workers_phrase,
)


def bad(number: int, kind: Kind = Kind.BAD_IMAGE, *, kept: bool = False) -> Problem:
    return Problem(kind, f"{number}.JPEG", f"{number}", "is cut off", kept)


def test_second_column_is_aligned() -> None:
    """Two spaces behind the longest name."""
    assert ["root    /raw", "images  5", "        more"] == table([("root", "/raw"), ("images", "5"), ("", "more")])


def test_only_the_first_lines_are_shown() -> None:
    """The others are counted; ten are all shown."""
    assert [str(n) for n in range(10)] == first_lines([str(n) for n in range(10)])
    assert [*(str(n) for n in range(10)), "  and 1,990 more"] == first_lines([str(n) for n in range(2000)])


def test_no_terminal_obeys_a_report() -> None:
    """Lines stay lines; what a terminal would obey is shown as text."""
    assert ["one", r"two\x1b[2J"] == text_of(["one", "two\x1b[2J"]).splitlines()


def test_phrases() -> None:
    """Who has worked, and how much is kept."""
    assert ("with 1 worker", "in this process") == (workers_phrase(1), workers_phrase(0))
    assert "2 shards of an earlier run" == kept_phrase(2, 3)
    assert "all of them: nothing was left to do" == kept_phrase(3, 3)


def test_what_is_left_out_is_counted_by_samples_and_classes() -> None:
    """Images are counted apart where they are more than the samples."""
    problems = [bad(1), bad(2, kept=True), Problem(Kind.EMPTY_CLASS, "n1", "", "")]
    assert "1 sample and 1 class, whose images are not counted" == left_out_phrase(1, problems)
    assert "nothing" == left_out_phrase(0, [])
    assert [("images", "1,001")] == images_rows(1000, problems)
    assert [] == images_rows(1000, [])


def test_problems_stand_by_kind_and_consequence() -> None:
    """With a line for each file."""
    assert [
        "image is broken, left out: 2",
        "  1.JPEG: is cut off",
        "  3.JPEG: is cut off",
        "image is broken, stored all the same: 1",
        "  2.JPEG: is cut off",
        "JPEG in CMYK, reported only: 1",
        "  4.JPEG: is cut off",
    ] == lines_by_kind([bad(1), bad(2, kept=True), bad(3), bad(4, Kind.CMYK)])
