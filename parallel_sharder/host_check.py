"""The check of a host: whether what it sees, and what it has installed, gives the same shards as here.

The coordinator makes a HostCheck of the source's listing and of the destination, in which a marker file lies meanwhile.
`difference` is called on each host before its first chunk, and returns what differs, in sentences with the remedy. It
writes nothing but a file that it removes at once. This module does not know how it gets to the host.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from parallel_sharder.setfiles import COPY_SUFFIX, STRETCH_SUFFIX, SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.tar import compress

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallel_sharder.model import Listing

SAMPLED_FILES = 64
"""How many of the source's files a host looks at. With fewer, a folder that is missing there is found too late; more
cost a cold network file system a second and more, on each host."""


class SeenFile(NamedTuple):
    """A file of the source as it is here. `mtime_ns` is None for a loose file, whose time nothing depends on."""

    path: str
    size: int
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class HostCheck:
    """What a host must have: versions by name, files of the source, and in the destination a marker with the token.

    `beside_marker` is a path in the destination beside which temporary files can be made.
    """

    versions: tuple[tuple[str, str], ...]
    files: tuple[SeenFile, ...]
    marker: str
    token: bytes
    beside_marker: str


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what decides the bytes of shards, besides this package."""
    return (
        ("zstandard", compress.library_version("zstd")),
        ("isal", compress.library_version("gzip")),
        ("xmltodict", f"xmltodict {importlib.metadata.version('xmltodict')}"),
    )


@contextlib.contextmanager
def check_of_hosts(listing: Listing, files: SetFiles) -> Iterator[Callable[[], str]]:
    """Yield the check, a call that can be pickled; the marker lies in the destination inside the block."""
    token = secrets.token_hex(16).encode()
    marker = store_of(files.folder).build(files.marker)
    try:
        with open(marker.local_path, "wb") as file:
            file.write(token)
        seen = tuple(sample_of(listing))
        yield functools.partial(
            difference, HostCheck(versions(), seen, os.path.abspath(marker.local_path), token, files.marker)
        )
    finally:
        marker.abort()


def sample_of(listing: Listing) -> Iterator[SeenFile]:
    """Yield up to SAMPLED_FILES of the listing's files, spread over its rows; of archives, each archive once.

    A file that is not here as it was listed is left out: it is a problem of its sample, and not of a host.
    """
    seen = dict.fromkeys(archive.path for archive in listing.archives)
    for part in listing.parts:
        if part.extent is not None:
            seen |= dict.fromkeys(listing.places[place].path for place in sorted({*part.place.tolist()} - {-1}))
            continue
        step = max(1, len(listing) * len(listing.parts) // SAMPLED_FILES)
        for row in range(0, len(listing), step):
            if part.place[row] >= 0:
                path = listing.path_of(part, row)
                with contextlib.suppress(OSError):
                    if os.stat(path).st_size == part.size[row]:
                        yield SeenFile(path, int(part.size[row]))
    for path in seen:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            yield SeenFile(path, status.st_size, status.st_mtime_ns)


def difference(check: HostCheck) -> str:
    """Return what this host has, what it should have, and the remedy, of the first difference; "" if there is none."""
    return _other_version(check) or _other_destination(check) or next(filter(None, map(_other_file, check.files)), "")


def _other_version(check: HostCheck) -> str:
    for (name, wanted), (_, found) in zip(check.versions, versions(), strict=True):
        if found != wanted:
            return f"it has {found}, and here is {wanted}. Install the same version of {name} on all hosts."
    return ""


def _other_destination(check: HostCheck) -> str:
    folder = os.path.dirname(check.marker)
    remedy = "--dest must be a folder that all hosts share, under the same path, and in which they may write."
    try:
        if store_of(check.marker).read(check.marker) != check.token:
            return f"in {folder} it sees another marker file than the one from here. {remedy}"
    except FileNotFoundError:
        return f"in {folder} it does not see the marker file that was written here. {remedy}"
    except OSError as error:
        return f"it cannot read {check.marker}: {error.strerror}. {remedy}"
    try:
        store_of(check.beside_marker).build(check.beside_marker).abort()
    except OSError as error:
        return f"it cannot write in {folder}: {error.strerror}. {remedy}"
    return ""


def _other_file(file: SeenFile) -> str:
    remedy = "The source must be the same on all hosts, under the same path."
    if file.path.endswith((STRETCH_SUFFIX, COPY_SUFFIX)):
        remedy = "--stage must be a folder that all hosts share, under the same path."
    try:
        status = os.stat(file.path)
    except OSError as error:
        return f"it cannot see {file.path}: {error.strerror}. {remedy}"
    if status.st_size != file.size:
        return f"{file.path} has {status.st_size:,} bytes there, and {file.size:,} here. {remedy}"
    if file.mtime_ns is not None and status.st_mtime_ns != file.mtime_ns:
        return f"{file.path} has another modification time there than here. {remedy}"
    return ""
