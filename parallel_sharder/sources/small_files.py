"""Small files of a source, such as a class list, are read: loose ones, and files in an archive as if it were unpacked.

A path goes in, and bytes or text come out. Text may have a byte order mark and any line ends. Text in UTF-16, and bytes
that are no text, are errors that say so. This module does not know what the lines mean.
"""

from __future__ import annotations

import codecs
import dataclasses
import shlex
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from parallel_sharder.errors import SampleError, SourceError, unreadable
from parallel_sharder.sources.contents import names_at_top
from parallel_sharder.sources.packed import refuse_packed
from parallel_sharder.sources.zips import member_named, zip_members
from parallel_sharder.stores.blob import ZipEntry
from parallel_sharder.stores.regular import open_regular, read_regular

LIMIT_BYTES = 64 << 20
"""Class lists and labels have at most a few MB. A larger file is a wrong file, and is not read into memory."""


@dataclass(frozen=True)
class _InArchive:
    """The file `name` of an archive; `or_else` is a further remedy in the message that the archive lacks the file."""

    archive: Path
    name: str
    or_else: str = field(default="", compare=False)

    @property
    def suffix(self) -> str:
        """The ending of the name, as Path.suffix."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> Self:
        """Return the file `name` in the same folder of the archive, as Path.with_name."""
        return dataclasses.replace(self, name=str(PurePosixPath(self.name).with_name(name)))

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def _missing(self, names: Iterable[str]) -> SourceError:
        """Return the error that the archive has no such file; `names` are the names in the archive."""
        return SourceError(
            f"{self.archive} holds no {self.name}; it holds {names_at_top(names)}. It is another archive, or was cut "
            f"short: download it again{self.or_else}."
        )

    def _refuse_large(self, size: int) -> None:
        if size > LIMIT_BYTES:
            raise SourceError(
                f"{self} has {size:,} bytes; a class list or a file of labels has under {LIMIT_BYTES:,}. Download the "
                "archive again."
            )


class InTar(_InArchive):
    """The file of a tar, compressed or not, whose path ends in `name`."""

    def is_file(self) -> bool:
        """Return whether the archive exists and holds the file. Raises SourceError if the archive is damaged."""
        return self.archive.is_file() and self._content([]) is not None

    def read_bytes(self) -> bytes:
        """Return the content. Raises SourceError if the archive is damaged, or has no such file."""
        names: list[str] = []
        content = self._content(names)
        if content is None:
            raise self._missing(names)
        return content

    def _content(self, names: list[str]) -> bytes | None:
        """Return the content, or None if there is no such file. The names before it are appended to `names`."""
        try:
            with open(self.archive, "rb", opener=open_regular) as file, tarfile.open(fileobj=file) as archive:
                for member in archive:
                    names.append(member.name)
                    is_it = member.isreg() and f"/{member.name}".endswith(f"/{self.name}")
                    if is_it and (content := archive.extractfile(member)):
                        self._refuse_large(member.size)
                        return content.read()
        except PermissionError as error:
            raise unreadable(self.archive, error) from error
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            refuse_packed(str(self.archive), but=("gzip", "bzip2", "xz"))  # tarfile reads these
            # Behind a colon, tarfile's message lists all that tarfile has tried.
            cause = getattr(error, "strerror", None) or str(error).partition(":\n")[0]
            raise SourceError(f"{self.archive} cannot be read: {cause}. Download or copy it again.") from error
        return None


class InZip(_InArchive):
    """The file `name` of a zip."""

    def is_file(self) -> bool:
        """Return whether the zip exists and holds the file. Raises SourceError if the zip is damaged."""
        return self.archive.is_file() and member_named(str(self.archive), self._path_inside()) is not None

    def read_bytes(self) -> bytes:
        """Return the content. Raises SourceError if the zip is damaged, or has no such file."""
        member = member_named(str(self.archive), self._path_inside())
        if member is None:
            raise self._missing(each.name for each in zip_members(str(self.archive)))
        self._refuse_large(member.size)
        try:
            return ZipEntry(str(self.archive), *member.extent, member.size, str(self)).read()
        except SampleError as error:
            raise SourceError(f"{self}: {error.detail}. Download it again.") from error

    def _path_inside(self) -> str:
        """Return the path of the file in the zip."""
        return self.name


SmallFile = Path | InTar | InZip


def read_content(path: SmallFile) -> bytes:
    """Return the bytes of `path`. Raises SourceError if it cannot be read, or is larger than LIMIT_BYTES."""
    try:
        if not isinstance(path, Path):
            return path.read_bytes()
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise SourceError(f"{path} has {size:,} bytes; a class list or a file of labels has under {LIMIT_BYTES:,}.")
        return read_regular(str(path))
    except OSError as error:
        raise unreadable(path, error) from error


def decode_text(content: bytes, path: SmallFile) -> str:
    """Return the text of `path`, whose bytes are `content`, in UTF-8 with or without a byte order mark.

    Raises SourceError for UTF-16, with the command that converts it, and ValueError for bytes that are no text.
    """
    refuse_utf16(content, path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8, from byte {error.start:,} on") from error
    if "\0" in text:
        raise ValueError("it is not text, since it holds zero bytes")
    return text


def refuse_utf16(begin: bytes, path: object) -> None:
    """Raise SourceError, with the command that converts it, if the text that begins with these bytes is UTF-16."""
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(
            f"{path} is text in UTF-16. Convert it to UTF-8 (iconv -f UTF-16 -t UTF-8 {shlex.quote(str(path))} > "
            "copy), and use the copy in its place."
        )
