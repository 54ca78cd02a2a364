"""Made shards of other tools: tars in any dialect, for tests of shards as a source."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar_bytes(members: Iterable[tuple[str, bytes]], dialect: str = "ustar", mtime: float = 0) -> bytes:
    """A tar of these members; with a `mtime` that is no whole number, in the dialect pax, as webdataset writes it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=FORMATS[dialect]) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), mtime, 0o644
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            if content.startswith(b"->"):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, content[2:].decode(), 0
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def write_shard(path: Path, members: Iterable[tuple[str, bytes]], dialect: str = "ustar", mtime: float = 0) -> str:
    """Write such a tar, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members, dialect, mtime))
    return str(path)


def samples(*keys: str, fields: str = "cls jpg json") -> list[tuple[str, bytes]]:
    """Members of samples with these keys, each with these fields."""
    return [(f"{key}.{field}", f"{field} of {key}".encode() * 9) for key in keys for field in fields.split()]
