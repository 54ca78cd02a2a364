"""Small files of a source, such as a class list: by themselves or inside archives, which are read as if unpacked.

Texts are as people and their tools leave them: with a byte order mark, in UTF-16, with CRLF. Here bytes become text, or
an error that says what they are instead. This module does not know what lines mean.
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
from parallel_sharder.sources.tars import refuse_packed
from parallel_sharder.sources.zips import member_named, zip_members
from parallel_sharder.stores.blob import ZipEntry
from parallel_sharder.stores.regular import open_regular, read_regular

LIMIT_BYTES = 64 << 20
"""Class lists and labels have at most a few MB. A larger file is another one, and is not read into memory."""

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class _InArchive:
    """The file `name` of an archive; `or_else` is what there is to do besides if the archive does not have it."""

    archive: Path
    name: str
    or_else: str = field(default="", compare=False)

    @property
    def suffix(self) -> str:
        """As a Path's."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> Self:
        """As a Path's: the file called `name` in the same folder of the archive."""
        return dataclasses.replace(self, name=str(PurePosixPath(self.name).with_name(name)))

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def _missing(self, names: Iterable[str]) -> SourceError:
        """The error that the archive has no such file; `names` are those that it has."""
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
    """The file of a tar, compressed or not, whose name ends in `name`."""

    def is_file(self) -> bool:
        """Whether the archive is there and holds it. Raises SourceError if the archive is damaged."""
        return self.archive.is_file() and self._content([]) is not None

    def read_bytes(self) -> bytes:
        """The content. Raises SourceError if the archive is damaged, or has no such file."""
        names: list[str] = []
        content = self._content(names)
        if content is None:
            raise self._missing(names)
        return content

    def _content(self, names: list[str]) -> bytes | None:
        """The content, None if there is no such file; `names` gets those that the archive has before it."""
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
            refuse_packed(str(self.archive), but=("gzip", "bzip2", "xz"))  # which tarfile reads
            # tarfile says behind a colon what it has tried.
            cause = getattr(error, "strerror", None) or str(error).partition(":\n")[0]
            raise SourceError(f"{self.archive} cannot be read: {cause}. Download or copy it again.") from error
        return None


class InZip(_InArchive):
    """The file `name` of a zip."""

    def is_file(self) -> bool:
        """Whether the zip is there and holds it. Raises SourceError if the zip is damaged."""
        return self.archive.is_file() and member_named(str(self.archive), self._path_inside()) is not None

    def read_bytes(self) -> bytes:
        """The content. Raises SourceError if the zip is damaged, or has no such file."""
        member = member_named(str(self.archive), self._path_inside())
        if member is None:
            raise self._missing(each.name for each in zip_members(str(self.archive)))
        self._refuse_large(member.size)
        try:
            return ZipEntry(str(self.archive), *member.extent, member.size, str(self)).read()
        except SampleError as error:
            raise SourceError(f"{self}: {error.detail}. Download it again.") from error

    def _path_inside(self) -> str:
        """What the zip calls the file."""
        return self.name


SmallFile = Path | InTar | InZip


def read_content(path: SmallFile) -> bytes:
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


def decode_text(content: bytes, path: SmallFile) -> str:
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
