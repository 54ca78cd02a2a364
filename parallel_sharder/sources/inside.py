"""Small files inside archives, read as if they were unpacked: a class list, the labels of val."""

from __future__ import annotations

import dataclasses
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from parallel_sharder.blob import ZipEntry
from parallel_sharder.errors import SampleError, SourceError, unreadable
from parallel_sharder.regular import open_regular
from parallel_sharder.sources.contents import names_at_top
from parallel_sharder.sources.tarindex import refuse_packed
from parallel_sharder.sources.zipindex import member_named, zip_members
from parallel_sharder.textfile import LIMIT_BYTES

_CLASS_LISTS = ("meta.mat", "LOC_synset_mapping.txt")


@dataclass(frozen=True)
class _InArchive:
    """The file `name` of an archive."""

    archive: Path
    name: str

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
        or_name = ", or name the class list with --meta" if self.name.endswith(_CLASS_LISTS) else ""
        return SourceError(
            f"{self.archive} holds no {self.name}; it holds {names_at_top(names)}. It is another archive, or was cut "
            f"short: download it again{or_name}."
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
        return self.archive.is_file() and member_named(str(self.archive), self.name) is not None

    def read_bytes(self) -> bytes:
        """The content. Raises SourceError if the zip is damaged, or has no such file."""
        member = member_named(str(self.archive), self.name)
        if member is None:
            raise self._missing(each.name for each in zip_members(str(self.archive)))
        self._refuse_large(member.size)
        try:
            return ZipEntry(str(self.archive), *member.extent, member.size, str(self)).read()
        except SampleError as error:
            raise SourceError(f"{self}: {error.detail}. Download it again.") from error


SmallFile = Path | InTar | InZip
