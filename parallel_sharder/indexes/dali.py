"""DALI's index of a shard: a text file that has one line for each sample.

The line has extension, offset of the data, size and name of each member. Source: tools/wds2idx.py of NVIDIA DALI,
format v1.2. DALI's C++ reader splits the lines at blanks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NoReturn

from parallel_sharder.indexes.member_places import Columns, ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex, is_shard_index
from parallel_sharder.stores import store_of


class Dali(ReaderIndex):
    """DALI's index: a file beside each shard, and none for the whole folder."""

    reader = "dali"
    seeks = True
    file_names = r".*\.idx"

    @staticmethod
    def index_path(shard_path: str) -> str:
        """Return the path of the index, which lies beside the shard and ends in `.idx` instead of `.tar`.

        wds2idx chooses the same path, unless the name has further dots: it cuts the name at the first dot, so that all
        shards get the same path.
        """
        return shard_path.removesuffix(".tar") + ".idx"

    @staticmethod
    def shard_of(index_name: str) -> str | None:
        """Return the name of the index's shard, which ends in `.tar` instead of `.idx`."""
        is_index = index_name.endswith(".idx") and not index_name.endswith(".tar.idx")  # .tar.idx is energon's
        return index_name.removesuffix(".idx") + ".tar" if is_index else None

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> None:
        """Write the index beside the shard. There is no index of the folder, so nothing is returned."""
        store_of(path).put(cls.index_path(path), index_bytes(members.samples(key_end)), is_shard_index)


def key_end(name: str) -> int | None:
    """Return where the key ends by the rule of wds2idx, which is webdataset's, but for names without a dot.

    A member without a dot in its name is a sample: its field is the whole name, and its key lacks the name's last
    letter.
    """
    end = name.find(".", name.rfind("/") + 1)  # -1 without a dot, which cuts off the last letter, as in wds2idx
    key = name[:end]
    return end if key and not key.endswith("/") else None


def index_bytes(samples: Sequence[Columns]) -> bytes:
    """Return the content of the index of a shard that holds these samples in this order.

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


@functools.lru_cache(maxsize=256)  # a set's samples usually have a few shapes
def _line(fields: tuple[str, ...], endings: tuple[str, ...]) -> str:
    """Return a template of a sample's line, which is filled with offset, size and key of each field."""
    words = (
        f"{field.replace('%', '%%')} %d %d %s{ending.replace('%', '%%')}"
        for field, ending in zip(fields, endings, strict=True)
    )
    return " ".join(words) + "\n"


def _fits(text: str) -> bool:
    """Return whether the text is ASCII without blanks, control characters and backslashes."""
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


def _refuse_unfit(columns: Columns) -> NoReturn:
    """Raise ValueError for the first name that the index cannot hold."""
    names = (key + ending for key in columns.keys for ending in columns.endings)
    name = next(name for name in names if not _fits(name))  # wds2idx writes it changed, as GNU tar prints it
    raise ValueError(f"holds {name!r}, and DALI's index takes only ASCII without blanks, and no backslash")
