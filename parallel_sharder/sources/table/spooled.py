"""Spooled: captions and what rows add to the JSON are appended to the spool, from which workers read them as blobs.

Rows of a batch come in as text, and columns of offsets and sizes go out. A row's caption and its JSON lie side by side.
Without a spool (in a preview) only sizes are counted. The digest is that of all bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import xxhash

from parallel_sharder.columns import Int64s
from parallel_sharder.errors import unwritable
from parallel_sharder.stores.scratch import ScratchAppender


class Blobs(NamedTuple):
    """Where the blobs of some rows lie in the spool: a row's lie at its `offset`, the caption first.

    The size of a caption is -1 where a row has none.
    """

    offset: Int64s
    caption_size: Int64s
    row_size: Int64s


class Spooled:
    """The spool at `path`, or None for a preview. As a context manager it closes what it has opened."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._appender = ScratchAppender(path) if path is not None else None
        self._end = 0
        self.digest = xxhash.xxh3_128()

    def __enter__(self) -> Spooled:
        return self

    def __exit__(self, *_: object) -> None:
        if self._appender is not None:
            self._appender.close()

    def append(self, captions: Sequence[bytes | None], rows: Sequence[str]) -> Blobs:
        """Write captions and rows, which are ASCII; `captions` is empty if there are none at all.

        Raises DestinationError if the spool cannot be written.
        """
        texts = [caption or b"" for caption in captions] if captions else [b""] * len(rows)
        data = b"".join(chain.from_iterable(zip(texts, (row.encode("ascii") for row in rows), strict=True)))
        self.digest.update(data)
        if self._appender is not None:
            try:
                self._appender.append(data)
            except OSError as error:
                raise unwritable(self._path, error, "Make room there, or choose another --dest.") from error
        caption_bytes = np.fromiter(map(len, texts), np.int64, len(rows))
        row_bytes = np.fromiter(map(len, rows), np.int64, len(rows))
        ends = self._end + np.cumsum(caption_bytes + row_bytes)
        self._end += len(data)
        has_none = [not captions or captions[row] is None for row in range(len(rows))]
        return Blobs(ends - caption_bytes - row_bytes, np.where(has_none, -1, caption_bytes), row_bytes)
