"""A look at samples in finished shards: their sizes, boxes and labels, and small pictures of some.

`look` and `pictures` are done by workers, a shard at a time. Of a plain shard only headers, and the members that tell
something, are read; a compressed one is read in its order.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.inspection.described import SampleLine, described, image_of, is_image, values_of
from parallel_sharder.inspection.picture import picture
from parallel_sharder.inspection.reading import StoredSample, sample_at, samples_of
from parallel_sharder.stores.packing import packing_of


def quality(pixels: int) -> int:
    """Return the quality, as JPEG, of a picture whose sides have at most so many pixels.

    Below 65 the edges of boxes get rings, which are not seen on pictures of the size of a stamp.
    """
    return 72 if pixels > 150 else 60


class Rows(NamedTuple):
    """Rows of the shard at `path` that are looked at, sorted; all of them if `rows` is None.

    A sample whose key is in `keys` is looked at whatever its row is.
    """

    path: str
    rows: tuple[int, ...] | None
    keys: frozenset[str] = frozenset()


class Looked(NamedTuple):
    """A sample that was looked at: its row in its shard, what is said of it, and its bytes in the shard."""

    row: int
    line: SampleLine
    length: int

    @property
    def image(self) -> tuple[str, int] | None:
        """The field of its image, and the image's bytes; None if it has none."""
        return next((member for member in self.line.members if is_image(member[0])), None)


class LookedShard(NamedTuple):
    """What was looked at in the shard at `path`; `fault` says why not all was seen that should have been, or is ""."""

    path: str
    looked: list[Looked]
    fault: str


def look(rows: Rows) -> LookedShard:
    """Return what is in these rows; of a damaged shard, what comes before the damage."""
    wanted = None if rows.rows is None else frozenset(rows.rows)
    last = None if wanted is None or rows.keys else max(wanted, default=-1) + 1
    found: list[Looked] = []
    try:
        with closing(samples_of(rows.path)) as samples:
            for sample in islice(samples, last):
                if wanted is None or sample.row in wanted or sample.key in rows.keys:
                    found.append(Looked(sample.row, described(sample, {}), sample.length))
    except SourceError as error:
        return LookedShard(rows.path, found, str(error))
    return LookedShard(rows.path, found, "")


def count(path: str) -> tuple[str, int]:
    """Return the path of a shard, and how many samples it has; of a damaged one, how many come before the damage."""
    rows = 0
    with suppress(SourceError), closing(samples_of(path)) as samples:
        for _ in samples:
            rows += 1
    return path, rows


class Labels(NamedTuple):
    """The shard at `path`, in which a sample of each of these labels is looked for."""

    path: str
    labels: frozenset[int | str]


def look_for(wanted: Labels) -> list[Looked]:
    """Return the first sample of each wanted label that the shard has; of a damaged one, what comes before that."""
    left = set(wanted.labels)
    found: list[Looked] = []
    with suppress(SourceError), closing(samples_of(wanted.path)) as samples:
        for sample in samples:
            label = values_of(sample).get("cls")
            if isinstance(label, int | str) and label in left:
                left.remove(label)
                found.append(Looked(sample.row, described(sample, {}), sample.length))
            if not left:
                break
    return found


class Small(NamedTuple):
    """A small picture: a JPEG with its width and height; or, with no `data`, why it cannot be shown.

    `is_turned` says whether the image asks to be turned, by its EXIF data, which was done.
    """

    key: str
    data: bytes
    width: int
    height: int
    boxes: int
    is_turned: bool
    fault: str = ""


class Wanted(NamedTuple):
    """Samples of the shard at `path` of which small pictures are wanted, whose sides have at most `pixels`."""

    path: str
    samples: tuple[tuple[int, int, int, str], ...]  # row, offset, length, key
    pixels: int


def pictures(wanted: Wanted) -> tuple[str, dict[int, Small]]:
    """Return the path of the shard, and the small picture of each sample by its row.

    Raises MissingPackageError without Pillow, and SourceError for a shard that was changed meanwhile.
    """
    return wanted.path, {sample.row: _small(sample, wanted.pixels) for sample in _samples(wanted)}


def _samples(wanted: Wanted) -> Iterator[StoredSample]:
    if packing_of(wanted.path) is None:
        for row, offset, length, key in wanted.samples:
            with sample_at(wanted.path, offset, length, key) as sample:
                if sample is None:
                    raise SourceError(f"{wanted.path} was changed while it was looked at.")
                yield sample._replace(row=row)
        return
    rows = {row for row, *_ in wanted.samples}
    with closing(samples_of(wanted.path)) as samples:
        yield from (sample for sample in islice(samples, max(rows, default=-1) + 1) if sample.row in rows)


def _small(sample: StoredSample, pixels: int) -> Small:
    image = image_of(sample)
    if image is None:
        return Small(sample.key, b"", 0, 0, 0, False, "The sample has no image.")
    try:
        found = picture(sample.content(image), values_of(sample), sample.key, within=pixels)
    except SourceError as error:
        return Small(sample.key, b"", 0, 0, 0, False, str(error))
    data = io.BytesIO()
    found.image.save(data, "JPEG", quality=quality(pixels), optimize=True)
    return Small(sample.key, data.getvalue(), found.image.width, found.image.height, len(found.boxes), found.is_turned)
