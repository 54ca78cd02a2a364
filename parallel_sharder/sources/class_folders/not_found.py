"""Not found: the message that a folder holds no image, with what it holds and a remedy.

What was listed goes in, and lines come out. Nothing is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.sources.class_folders.arrangement import Arrangement
from parallel_sharder.sources.class_folders.listed import Listed, Passed, passed_of
from parallel_sharder.text import counted, first_few

SHOWN = 5
"""How many endings and folders a message names."""


def no_image(arrangement: Arrangement, listed: Sequence[Listed]) -> Iterator[str]:
    """Yield the lines of the message that no image was found below the split's folder."""
    tops: list[str] = []
    lost = 0
    for each in listed:
        tops += [name for name, _ in each.tops if name]
        lost += sum(problem.leaves_out_sample for problem in each.problems)
    endings = ", ".join(ending.removeprefix(".") for ending in FIELDS)
    yield f"{arrangement.folder} holds no image that can be read. Images are files that end in {endings}, in any case."
    folders = f"{counted(len(tops), 'folder')} ({first_few(tops, SHOWN)})" if tops else "no folders"
    files = each_ending(passed_of(listed))
    yield f"It holds {folders}, and in all {files or 'no other files'}."
    if lost:
        are = counted(lost, "file is an image that is", "files are images that are")
        yield f"{are} unfinished, packed, unreadable, or of a format that is not converted."
    yield "Name the folder that holds the class folders, or that of the splits, with --root."


def each_ending(passed: Iterable[Passed]) -> str:
    """Return how many files there are of each ending, with the first of each; those with the most files come first."""
    rows = sorted(passed, key=lambda row: (-row.count, row.ending))
    words = [f"{row.count:,} {row.ending or 'with other endings or none'} (the first {row.first})" for row in rows]
    return first_few(words, SHOWN)
