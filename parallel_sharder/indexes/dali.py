"""DALI's index of a shard: text, a line for each sample with extension, offset, size and name of each member.

Source: tools/wds2idx.py of NVIDIA DALI, format v1.2; its C++ reader takes offsets of the data, and splits at blanks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NoReturn

from parallel_sharder.indexes.members import Columns, ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex, is_shard_index
from parallel_sharder.stores import store_of


class Dali(ReaderIndex):
    """DALI's index: a file beside each shard, and none for the folder."""

    reader = "dali"
    seeks = True
    file_names = r".*\.idx"

    @staticmethod
    def index_path(shard_path: str) -> str:
        """Where the index goes: beside the shard, `.idx` instead of `.tar`.

        So wds2idx does by itself, but for names with further dots: it takes the first of these, the same for all
        shards.
        """
        return shard_path.removesuffix(".tar") + ".idx"

    @staticmethod
    def shard_of(index_name: str) -> str | None:
        """The shard's name has `.tar` instead of `.idx`."""
        is_index = index_name.endswith(".idx") and not index_name.endswith(".tar.idx")  # which is energon's
        return index_name.removesuffix(".idx") + ".tar" if is_index else None

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> None:
        """Write the index beside the shard; the folder wants nothing more."""
        store_of(path).put(cls.index_path(path), index_bytes(members.samples(key_end)), is_shard_index)


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
