"""Text files of any size are read line by line: UTF-8, with or without a byte order mark.

A path goes in, and a text stream or lines of bytes come out. Text in UTF-16, and bytes that are no UTF-8, are errors
that name the line and the command that converts the file. This module does not know what the lines mean.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import shlex
from collections.abc import Iterator
from typing import BinaryIO

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.small_files import refuse_utf16
from parallel_sharder.stores.regular import open_regular


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Hold the file open inside the block, behind its byte order mark. Raises SourceError if it cannot be read."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            head = file.read(len(codecs.BOM_UTF8))
            refuse_utf16(head, path)
            file.seek(len(codecs.BOM_UTF8) if head == codecs.BOM_UTF8 else 0)
            yield file
    except OSError as error:
        raise unreadable(path, error) from error


@contextlib.contextmanager
def opened_text(path: str) -> Iterator[io.TextIOWrapper]:
    """Hold the file open as text, with its line ends as they are. Raises SourceError if it is not UTF-8."""
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            yield text
        except UnicodeDecodeError as error:
            raise no_utf8(path, _line_without_utf8(path)) from error
        finally:
            text.detach()


def no_utf8(path: str, line: int) -> SourceError:
    """Return the error that a line is not UTF-8."""
    return SourceError(
        f"{path}, line {line:,} is not text in UTF-8. If the file is in another encoding, convert it (iconv -f LATIN1 "
        f"-t UTF-8 {shlex.quote(path)} > copy), and use the copy in its place."
    )


def _line_without_utf8(path: str) -> int:
    """Return the number of the first line that is not UTF-8."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0
