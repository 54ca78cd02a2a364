"""A sample of shards as a source: workers compare its members there with the stored ones.

The members are read by Python's tarfile, and so by other code than that which copies them. Those of compressed shards
are read in the scan, and their digests are kept. This module imports nothing
that writes shards, and no numpy, which workers do not need.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

from parallel_sharder.errors import SampleError
from parallel_sharder.stores.blob import Blob
from parallel_sharder.verify.foreign_sample import OWN_OF_READERS
from parallel_sharder.verify.source_sample import Stored

_END = bytes(3 * tarfile.BLOCKSIZE)
DIGEST_BYTES = 16
_NONE = bytes(DIGEST_BYTES)


def look_at_member(data: bytes) -> bytes:
    """Return the digest, as StoredSample has it, of a member with its headers, or zeros; see staging.look."""
    try:
        return next(_entries(data), _NONE)
    except tarfile.TarError:
        return _NONE


class SeenStretch(NamedTuple):
    """What look_at_member has returned of the members of a stretch, which lies at `path`."""

    path: str
    digests: bytes


class StretchSource(NamedTuple):
    """A sample of shards. It is a SourceSample. `stretches` are its members with their headers, in order."""

    key: str
    stretches: tuple[Blob | SeenStretch, ...]

    @property
    def path(self) -> str:
        """As SourceSample says."""
        return self.stretches[0].path

    def fault(self) -> str:
        """As SourceSample says."""
        try:
            self._others()
        except (SampleError, tarfile.TarError) as error:
            return str(error)
        return ""

    def differences(self, stored: Stored, _: bool) -> Iterator[str]:
        """As SourceSample says."""
        try:
            others = self._others()
        except tarfile.TarError as error:
            yield f"its source {self.path} cannot be compared: {error}"
            return
        if xxhash.xxh3_128_digest(b"".join(others)) != stored.others:
            yield f"its members are not those of the source, {self.path}"

    def _others(self) -> list[bytes]:
        """Return the digests of the members, as StoredSample has them."""
        found: list[bytes] = []
        for stretch in self.stretches:
            if isinstance(stretch, SeenStretch):
                cuts = range(0, len(stretch.digests), DIGEST_BYTES)
                found += (each for cut in cuts if (each := stretch.digests[cut : cut + DIGEST_BYTES]) != _NONE)
            else:
                found += _entries(stretch.read())
        return found


def _entries(data: bytes) -> Iterator[bytes]:
    """Yield the digest, as StoredSample has it, of each member in this piece of a tar."""
    with tarfile.open(fileobj=io.BytesIO(data + _END), errors="surrogateescape") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            stem, dot, its_field = member.name[member.name.rfind("/") + 1 :].partition(".")
            if file is not None and stem and dot and not OWN_OF_READERS.match(member.name):
                digest = xxhash.xxh3_128_digest(file.read())
                entry = its_field.encode("utf-8", "surrogateescape") + b"\0" + digest
                yield xxhash.xxh3_128_digest(entry)
