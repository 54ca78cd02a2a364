"""Small text files of the source as people and their tools leave them: with a byte order mark, in UTF-16, with CRLF.

Here bytes become text, or an error that says what they are instead. This module does not know what lines mean.
"""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path
from typing import Protocol

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.regular import read_regular

LIMIT_BYTES = 64 << 20
"""Class lists and labels have at most a few MB. A larger file is another one, and is not read into memory."""

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SmallFile(Protocol):
    """A file, or one in an archive."""

    @property
    def suffix(self) -> str:
        """As a Path's."""

    def read_bytes(self) -> bytes:
        """The content."""


def content_of(path: SmallFile) -> bytes:
    """The bytes of `path`. Raises SourceError if it cannot be read, or is larger than LIMIT_BYTES."""
    try:
        if not isinstance(path, Path):
            return path.read_bytes()
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise SourceError(f"{path} has {size:,} bytes; a class list or a file of labels has under {LIMIT_BYTES:,}.")
        return read_regular(str(path))
    except OSError as error:
        raise unreadable(path, error) from error


def text_in(content: bytes, path: SmallFile) -> str:
    """The text of `path`, whose bytes are `content`: UTF-8, with or without a byte order mark.

    Raises SourceError for UTF-16, with the command that converts it, and ValueError for what is no text.
    """
    if content.startswith(_UTF16_MARKS):
        quoted = shlex.quote(str(path))
        raise SourceError(
            f"{path} is text in UTF-16. Convert it to UTF-8 (iconv -f UTF-16 -t UTF-8 {quoted} > copy), and use the "
            "copy in its place."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8, from byte {error.start:,} on") from error
    if "\0" in text:
        raise ValueError("it is not text, since it holds zero bytes")
    return text
