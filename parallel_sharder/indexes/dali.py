"""DALI's index of a shard: text, a line for each sample with extension, offset, size and name of each member.

Source: tools/wds2idx.py of NVIDIA DALI, format v1.2; its C++ reader takes offsets of the data, and splits at blanks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NoReturn

from parallel_sharder.indexes.members import Columns


def index_path(shard_path: str) -> str:
    """Where it goes: beside the shard, `.idx` instead of `.tar`.

    So does wds2idx by itself, but for names with further dots, of which it takes the first: the same for all shards.
    """
    return shard_path.removesuffix(".tar") + ".idx"


def key_end(name: str) -> int | None:
    """The rule of wds2idx: as webdataset's, but a name without a dot is a field of this name.

    The key of such a member lacks the name's last letter.
    """
    end = name.find(".", name.rfind("/") + 1)  # -1 without a dot, and so cuts as wds2idx does
    key = name[:end]
    return end if key and not key.endswith("/") else None


def index_bytes(samples: Sequence[Columns]) -> bytes:
    """The index of the shard with these samples, in their order.

    Raises ValueError for a name that the index cannot hold, and if there is no sample.
    """
    count = sum(len(columns.keys) for columns in samples)
    if not count:
        raise ValueError("holds no sample, and DALI refuses an empty shard")
    lines = "".join([line for columns in samples for line in _lines(columns)])
    return f"v1.2 {count}\n{lines}".encode("ascii")


def _lines(columns: Columns) -> Iterator[str]:
    if not _fits("".join([*columns.endings, *columns.keys])):
        _refuse_unfit(columns)
    places = zip(columns.data, columns.sizes, strict=True)
    values = [values for data, sizes in places for values in (data, sizes, columns.keys)]
    return map(_line(columns.fields, columns.endings).__mod__, zip(*values, strict=True))


@functools.lru_cache(maxsize=256)  # shapes of a set's samples; a few are usual
def _line(fields: tuple[str, ...], endings: tuple[str, ...]) -> str:
    """The line of a sample with these fields, with places for offset, size and key of each."""
    words = (
        f"{field.replace('%', '%%')} %d %d %s{ending.replace('%', '%%')}"
        for field, ending in zip(fields, endings, strict=True)
    )
    return " ".join(words) + "\n"


def _fits(text: str) -> bool:
    """Whether that is ASCII without blanks, control characters and backslashes."""
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


def _refuse_unfit(columns: Columns) -> NoReturn:
    """Raise ValueError for the first name that the index cannot hold."""
    names = (key + ending for key in columns.keys for ending in columns.endings)
    name = next(name for name in names if not _fits(name))  # wds2idx has it as GNU tar prints it, in other words
    raise ValueError(f"holds {name!r}, and DALI's index takes only ASCII without blanks, and no backslash")
