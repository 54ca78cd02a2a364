"""A class list, as --meta names one for any images: the order of the classes, and the words for each.

A path and the names of the classes that exist go in, and names and words come out, in the order of the lines. A line is
a name, or a name and its words with a tab, a comma or blanks between the two. Names can hold these too; so the longest
beginning of a line that is a class which exists is taken for the name. This module knows no data set.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import xxhash

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.small_files import decode_text, read_content

TAKES = "Each line of --meta is a class's name, or its name and words with a tab, a comma or blanks between them."

_BETWEEN = re.compile(r"\t|\s*,\s*|\s+")


def read_class_list(path: Path, known: Collection[str]) -> dict[str, str]:
    """Return the words of each class that the file lists, by its name, in the file's order; the name if it has none.

    `known` are the classes that exist. Blank lines are passed over, and so are lines that begin with # and name no such
    class. Raises SourceError if the file cannot be read, is no text, lists no class, or lists one twice.
    """
    try:
        text = decode_text(read_content(path), path)
    except ValueError as error:
        raise SourceError(f"{path}: {error}. {TAKES}") from error
    classes: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        name, words = _name_and_words(line, known)
        if not name or (line.startswith("#") and name not in known):
            continue
        if name in classes:
            raise SourceError(
                f"{path}: line {number} lists {name}, which line {lines[name]} lists already. Remove one of the two, "
                f"or separate the name from the words by a tab if another class was meant. {TAKES}"
            )
        classes[name], lines[name] = words or name, number
    if not classes:
        raise SourceError(f"{path} lists 0 classes. {TAKES}")
    return classes


def digest_of_class_list(path: str | Path | None) -> str | None:
    """Return the XXH3-128 of the file's bytes in hexadecimal, None if there is no class list. Raises SourceError."""
    return None if path is None else xxhash.xxh3_128_hexdigest(read_content(Path(path)))


def _name_and_words(line: str, known: Collection[str]) -> tuple[str, str]:
    """Return the name of the class in a line, and the words behind it, "" for none."""
    if line in known:
        return line, ""
    cuts = [match.span() for match in _BETWEEN.finditer(line)]
    cut = next((cut for cut in reversed(cuts) if line[: cut[0]] in known), None)
    if cut is None:  # a class without images: of the three, a tab is the clearest, and blanks are the least clear
        found = (re.search(between, line) for between in (r"\t", r"\s*,\s*", r"\s+"))
        cut = next((match.span() for match in found if match), (len(line), len(line)))
    return line[: cut[0]], line[cut[1] :].strip()
