"""The files that a person's words for several shards name: braces as shells expand them, and then * ? [ ].

Takes text such as `/x/a-{000..039}.tar` or `/x/*.tar`, and returns paths. Braces name files whether they exist or not,
so that a missing shard is noticed; globs name what exists, sorted by name. It opens no file.
"""

from __future__ import annotations

import glob
import os
import re

from parallel_sharder.pattern import COMPRESSIONS

_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")

PATHS_LIMIT = 1_000_000
"""The most paths that braces may name. A slip, such as {0..99999999}, would fill the memory."""


def is_glob(text: str) -> bool:
    """Return whether the text names several files by braces or by * ? [ ]."""
    return glob.has_magic(text) or bool(re.search(r"\{[^{}]*(,|\.\.)[^{}]*\}", text))


def expanded(text: str) -> list[str]:
    """Return the paths that the text names, in its order, each once.

    Raises ValueError, with a sentence, if braces name too many files.
    """
    paths = []
    for each in brace_expanded(text):
        paths += sorted(glob.glob(each)) if glob.has_magic(each) and not os.path.lexists(each) else [each]
    return [*dict.fromkeys(paths)]


def glob_of(folder: str, prefix: str, suffix: str) -> str:
    """Return the glob for the files in `folder` whose names begin with `prefix` and end in `suffix`."""
    return os.path.join(glob.escape(folder), f"{glob.escape(prefix)}*{glob.escape(suffix)}")


def has_shard_ending(name: str) -> bool:
    """Return whether a file's name ends as a shard's does, and is not hidden."""
    return not name.startswith(".") and name.endswith((*COMPRESSIONS,))


def brace_expanded(text: str) -> list[str]:
    """Return the texts that the braces stand for; braces within braces are replaced first.

    Numbers of a range have the width of its wider end if one of the ends begins with 0. Braces that hold neither a
    range nor a list are part of the text. Raises ValueError, with a sentence, if there are too many texts.
    """
    done: list[str] = []
    waiting = [text]
    while waiting:
        each = waiting.pop()
        choices = _choices(each)
        if choices is None:
            done.append(each)
        else:
            start, end, words = choices
            if len(words) + len(waiting) + len(done) > PATHS_LIMIT:
                raise ValueError(f"{text} names more than {PATHS_LIMIT:,} files. Write a smaller range.")
            waiting += [each[:start] + word + each[end:] for word in reversed(words)]
    return done


def _choices(text: str) -> tuple[int, int, list[str]] | None:
    """Return where the first braces without others in them begin and end, and what they list; None for no braces."""
    for match in re.finditer(r"\{([^{}]*)\}", text):
        span = _RANGE.fullmatch(match[1])
        if span:
            first, last = int(span[1]), int(span[2])
            if abs(last - first) >= PATHS_LIMIT:
                raise ValueError(f"{text} names more than {PATHS_LIMIT:,} files. Write a smaller range.")
            is_padded = any(number.startswith("0") and len(number) > 1 for number in span.groups())
            width = max(map(len, span.groups())) if is_padded else 0
            step = 1 if last >= first else -1
            return match.start(), match.end(), [f"{n:0{width}d}" for n in range(first, last + step, step)]
        if "," in match[1]:
            return match.start(), match.end(), match[1].split(",")
    return None
