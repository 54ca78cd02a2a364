"""Small files inside archives, read as if they were unpacked: a class list, the labels of val."""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from parallel_sharder.blob import ZipEntry
from parallel_sharder.errors import SampleError, SourceError
from parallel_sharder.sources.zipindex import member_named


@dataclass(frozen=True)
class _InArchive:
    """The file `name` of an archive."""

    archive: Path
    name: str

    @property
    def suffix(self) -> str:
        """As a Path's."""
        return Path(self.name).suffix

    def is_file(self) -> bool:
        """Whether the archive is there; what it holds is seen when it is read."""
        return self.archive.is_file()

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"


class InTar(_InArchive):
    """The file of a tar, compressed or not, whose name ends in `name`."""

    def read_bytes(self) -> bytes:
        """The content. Raises SourceError if the archive is damaged, or has no such file."""
        try:
            with tarfile.open(self.archive) as archive:
                for member in archive:
                    if member.isreg() and f"/{member.name}".endswith(f"/{self.name}"):
                        file = archive.extractfile(member)
                        assert file is not None
                        return file.read()
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise SourceError(f"{self.archive} cannot be read: {error}. Download or copy it again.") from error
        raise SourceError(f"{self.archive} holds no {self.name}. Download it again, or name the file with --meta.")


class InZip(_InArchive):
    """The file `name` of a zip."""

    def read_bytes(self) -> bytes:
        """The content. Raises SourceError if the zip is damaged, or has no such file."""
        member = member_named(str(self.archive), self.name)
        if member is None:
            raise SourceError(f"{self.archive} holds no {self.name}. Download it again, or name the file with --meta.")
        try:
            return ZipEntry(str(self.archive), *member.extent, member.size, str(self)).read()
        except SampleError as error:
            raise SourceError(f"{self}: {error.detail}. Download it again.") from error


SmallFile = Path | InTar | InZip
