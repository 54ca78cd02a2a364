"""Stretches of a Listing: its files in the order in which they lie in the source, cut into pieces for the workers.

A Listing goes in, and SourceStretches come out. When they are staged, the Listing with its files' places in the stage
comes out. The order is that of inodes in folders, and of offsets in archives: that is how most file systems laid the
files down. The cuts follow from the Listing alone, so that a later run finds the same stretches.
"""

from __future__ import annotations

import dataclasses
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import xxhash

from parallel_sharder.columns import Int32s, Int64s
from parallel_sharder.model import Archive, Listing, Part, Place
from parallel_sharder.setfiles import STRETCH_SUFFIX
from parallel_sharder.staging.stretch import SourceStretch, Staged, offsets_of
from parallel_sharder.stores.blob import names_of

STRETCH_BYTES = 64 << 20
"""The size of a stretch, but for its last file. A killed run loses what its workers had of a stretch; smaller ones are
more files, and more syncs."""

STRETCH_FILES = 20_000
"""The most files of a stretch."""


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Files of a Listing, in the order of the source: file i is that of the sample `row[i]` in its part `part[i]`."""

    listing: Listing
    part: Int32s
    row: Int32s
    size: Int64s

    @classmethod
    def of(cls, listing: Listing, is_staged: Callable[[Place], bool]) -> Files:
        """Return the files of the listing in the places for which `is_staged` is true."""
        wanted = np.array([is_staged(place) for place in listing.places], np.bool_)
        parts, rows = [], []
        for number, part in enumerate(listing.parts):
            some = np.flatnonzero((part.place >= 0) & wanted[part.place]).astype(np.int32)
            rows.append(some)
            parts.append(np.full(len(some), number, np.int32))
        numbers, row = np.concatenate(parts), np.concatenate(rows)
        place = _column(listing, numbers, row, lambda part: part.place)
        position = _positions(listing, numbers, row, place)
        first = np.full(len(listing.places), np.iinfo(np.int64).max)
        np.minimum.at(first, place, position)
        order = np.lexsort((row, position, place, first[place]))
        numbers, row = numbers[order], row[order]
        return cls(listing, numbers, row, _column(listing, numbers, row, lambda part: part.size))

    @property
    def total_bytes(self) -> int:
        """The bytes of all these files."""
        return int(self.size.sum())

    def stretches(self, folder: str, *, is_checked: bool = True) -> Iterator[SourceStretch]:
        """Yield the stretches of these files, in order; they will lie in `folder`. `is_checked` is SourceStretch's."""
        times = {archive.path: archive for archive in self.listing.archives}
        for files in self.cuts():
            yield self._stretch(files, folder, times)._replace(is_checked=is_checked)

    def cuts(self) -> Iterator[slice]:
        """Yield the files of each stretch."""
        ends = np.cumsum(self.size)
        start = 0
        while start < len(self.size):
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + STRETCH_BYTES)) + 1
            stop = min(stop, start + STRETCH_FILES, len(self.size))
            yield slice(start, stop)
            start = stop

    def _stretch(self, files: slice, folder: str, times: Mapping[str, Archive]) -> SourceStretch:
        numbers, rows = self.part[files], self.row[files]
        used = np.unique(_column(self.listing, numbers, rows, lambda part: part.place))
        places = tuple(self.listing.places[place] for place in used.tolist())
        present = np.unique(numbers).tolist()
        keys, packed = [], []
        for number in present:
            part, of_part = self.listing.parts[number], rows[numbers == number]
            place = np.searchsorted(used, part.place[of_part]).astype(np.int32)
            keys.append(self.listing.keys.joined(of_part))
            packed.append(part.pack(of_part)._replace(place=place.tobytes()))
        order = np.searchsorted(present, numbers).astype(np.uint8).tobytes()
        digest = xxhash.xxh3_128()
        kinds = [(str(part.role), tuple(part.endings)) for part in packed]
        described = repr((places, [times.get(place.path) for place in places], kinds))
        digest.update(described.encode("utf-8", "surrogateescape"))
        for data in (order, *keys, *(data for part in packed for data in part[2:])):
            digest.update(data)
        path = os.path.join(folder, digest.hexdigest() + STRETCH_SUFFIX)
        return SourceStretch(path, places, tuple(keys), tuple(packed), order, int(self.size[files].sum()))

    def moved(self, staged: Iterable[Staged]) -> Listing:
        """Return the listing with the places of these files in the stage; `staged` are the stretches, in order.

        A file that could not be read stays where it is.
        """
        listing = self.listing
        places = list(listing.places)
        numbers: dict[tuple[str, int], int] = {}
        folders = _folders(listing)
        place = [part.place.copy() for part in listing.parts]
        extent = [_extent_of(part, bool(np.any(self.part == number))) for number, part in enumerate(listing.parts)]
        for files, stretch in zip(self.cuts(), staged, strict=True):
            offsets = np.array(offsets_of(array("q", stretch.sizes)), np.int64)
            for number in np.unique(self.part[files]).tolist():
                of_part = (self.part[files] == number) & (offsets >= 0)
                rows = self.row[files][of_part]
                before, inverse = np.unique(listing.parts[number].place[rows], return_inverse=True)
                after = []
                for old in before.tolist():
                    if (stretch.path, old) not in numbers:
                        numbers[stretch.path, old] = len(places)
                        places.append(Place(stretch.path, _name_of(listing.places[old], is_folder=old in folders)))
                    after.append(numbers[stretch.path, old])
                place[number][rows] = np.array(after, np.int32)[inverse]
                column = extent[number]
                assert column is not None  # noqa: S101 - the part has files here
                column[rows, 0] = offsets[of_part]
                if column.shape[1] > _OF_ZIPS - 1:
                    column[rows, 1:] = -1  # it is stored as it is, and no entry of a zip any more
        parts = (
            dataclasses.replace(part, place=place[number], extent=extent[number])
            for number, part in enumerate(listing.parts)
        )
        return dataclasses.replace(listing, places=tuple(places), parts=tuple(parts))


_OF_ZIPS = 3
"""How many columns the extents of files in a zip have; see columns.Extents."""


def _extent_of(part: Part, is_staged: bool) -> Int64s | None:
    """Return a copy of the part's extents; for loose files that are staged, -1, which says that a file is loose."""
    if part.extent is not None:
        return part.extent.copy()
    return np.full((len(part.place), 1), -1, np.int64) if is_staged else None


def _folders(listing: Listing) -> set[int]:
    """Return the numbers of the places that are folders of loose files."""
    loose = [np.unique(part.place) for part in listing.parts if part.extent is None]
    return {*np.concatenate(loose).tolist()} if loose else set()


def _name_of(place: Place, *, is_folder: bool) -> str:
    """Return the name that messages show; that of a folder ends in a slash, because its files are no archive's."""
    return os.path.join(place.name, "") if is_folder else place.name


def _column(listing: Listing, numbers: Int32s, rows: Int32s, of: Callable[[Part], Int32s | Int64s]) -> Int64s:
    """Return the values of a column of the files' parts."""
    values = np.empty(len(rows), np.int64)
    for number, part in enumerate(listing.parts):
        some = numbers == number
        values[some] = of(part)[rows[some]]
    return values


def _positions(listing: Listing, numbers: Int32s, rows: Int32s, place: Int64s) -> Int64s:
    """Return where each file lies: its offset in an archive, or the number of its inode."""
    positions = np.zeros(len(rows), np.int64)
    for number, part in enumerate(listing.parts):
        some = np.flatnonzero(numbers == number)
        if part.extent is not None:
            positions[some] = part.extent[rows[some], 0]
            continue
        by_place = some[np.argsort(place[some], kind="stable")]
        for files in np.split(by_place, np.flatnonzero(np.diff(place[by_place])) + 1):
            if len(files):
                packed, keys = part.pack(rows[files]), listing.keys.joined(rows[files]).decode("ascii").split("\0")
                names = [*names_of(packed, keys, len(files))]
                positions[files] = _inodes(listing.places[place[files[0]]].path, names)
    return positions


def _inodes(folder: str, names: Sequence[str]) -> list[int]:
    """Return the numbers of the inodes of files below a folder; 0 for those that are not there."""
    found: dict[str, dict[str, int]] = {}
    for below in dict.fromkeys(name.rpartition("/")[0] for name in names):
        try:
            with os.scandir(os.path.join(folder, below)) as entries:
                found[below] = {entry.name: entry.inode() for entry in entries}
        except OSError:  # whoever reads the files says so
            found[below] = {}
    parted = (name.rpartition("/") for name in names)
    return [found[below].get(name, 0) for below, _, name in parted]
