"""Image formats: what is said of a set whose images are of several formats, by their endings.

A Listing goes in, and sentences come out. The shards then have a field for each format, which some readers do not want.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from parallel_sharder.model import Listing, Role
from parallel_sharder.samples.image_fields import FIELDS

_ONE_FIELD = "DALI's index, energon's field map, and the schema that datasets takes from the first samples"


def formats_of(listing: Listing, image_field: str | None) -> Iterator[str]:
    """Yield a notice if images would be in several fields, or if several formats are in the field `image_field`."""
    image = listing.part(Role.IMAGE)
    fields = [FIELDS.get(ending.lower(), "other") for ending in image.endings]
    numbers = np.zeros(len(listing), np.uint8) if image.ending is None else image.ending
    counts: Counter[str] = Counter()
    for field, count in zip(fields, np.bincount(numbers, minlength=len(fields)).tolist(), strict=True):
        counts[field] += count
    if len(counts) < 2:
        return
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    each = ", ".join(f"{count:,} {field}" for field, count in rows)
    if image_field is not None:
        yield f"The images are of several formats, and are all stored in the field {image_field}: {each}."
        return
    yield (
        f"The images are of several formats, and are stored in a field for each: {each}. Readers that look for one "
        f"field miss the others: {_ONE_FIELD}. --image-field {rows[0][0]} stores all images in one field."
    )
