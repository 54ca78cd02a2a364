"""Notices: sentences about a source that is unusual and is converted nevertheless.

The layout, the Listing and the survey go in, and sentences come out, which are shown before anything is written. A
notice leaves nothing out of the shards. What is left out is a problem, and what would mislabel samples is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import numpy as np

from parallel_sharder.errors import worded
from parallel_sharder.model import IMAGE_SUFFIX, Listing, Role
from parallel_sharder.sources.downloads import official_name
from parallel_sharder.sources.imagenet import another_split
from parallel_sharder.sources.imagenet.hub import missing_archives
from parallel_sharder.sources.imagenet.hub_tables import missing_files
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.published import ARCHIVE_BYTES, IMAGE_COUNTS, train_counts
from parallel_sharder.sources.names import junk_told
from parallel_sharder.sources.survey import Survey
from parallel_sharder.text import counted, first_few

_NAMED = 3


def notices_of(layout: Layout, listing: Listing, survey: Survey, compared: str) -> tuple[str, ...]:
    """Return all notices about the source, a sentence or two each.

    `compared` is the notice of the comparison of class folders with labels, or "".
    """
    said = (
        _archives(layout),
        another_split.notice_of(layout.split, listing.keys),
        _counts(layout, listing),
        _endings(listing),
        _nested(layout, survey),
        junk_told(survey.junk),
    )
    return tuple(map(worded, (*(sentence for sentences in said for sentence in sentences), *filter(None, [compared]))))


def _archives(layout: Layout) -> Iterator[str]:
    find = missing_files if layout.images.suffix == ".parquet" else missing_archives
    missing = find(layout.images, layout.split) if layout.archive_form == "named" else []
    if missing:
        yield f"{layout.images.parent} has no {first_few(missing, _NAMED)}; what would be in there is not converted."
    for path in layout.archives:
        official, size = ARCHIVE_BYTES.get(official_name(path)), os.path.getsize(path)
        if official not in (None, size):
            yield (
                f"{path} has {counted(size, 'byte')}, and the official one {official:,}. What is in it is whole, and "
                "is converted. --check-archives compares it with the official MD5."
            )


def _counts(layout: Layout, listing: Listing) -> Iterator[str]:
    """Yield a notice if the whole set was meant, and fewer images were found than the official set has."""
    count, official = len(listing) + listing.left_out, IMAGE_COUNTS[layout.split]
    by_class = np.bincount(listing.class_index[listing.class_index >= 0], minlength=len(listing.classes))
    whole_set = layout.archives or (len(listing.classes) == 1000 and by_class.all())
    if count >= official or not whole_set:
        return
    sentence = (
        f"{counted(count, 'image was', 'images were')} found, and the official {layout.split} set has {official:,}."
    )
    if layout.split == "train":
        expected = train_counts()
        rows = zip(listing.classes, by_class.tolist(), strict=True)
        short = [f"{row.id} ({has:,} of {expected(row.id):,})" for row, has in rows if has < expected(row.id)]
        classes = counted(len(short), "class has", "classes have")
        sentence += f" {classes} fewer than in that set, such as {', '.join(short[:_NAMED])}."
    yield sentence


def _endings(listing: Listing) -> Iterator[str]:
    images = listing.part(Role.IMAGE)
    if images.ending is None:
        return
    counts = dict(zip(images.endings, np.bincount(images.ending).tolist(), strict=True))
    others = {ending: count for ending, count in counts.items() if ending != IMAGE_SUFFIX and count}
    if others:
        yield (
            f"Not all names of images end in {IMAGE_SUFFIX}: of {len(listing):,}, {_each(others)}. They are stored "
            "like the others: untouched, in the field jpg, under a key without the ending."
        )


def _nested(layout: Layout, survey: Survey) -> Iterator[str]:
    top = str(layout.images)
    nested = [path for path in (each.place.path for each in survey.contents) if _is_nested(path) and path != top]
    if nested:
        folders = counted(len(nested), "folder that lies", "folders that lie")
        yield f"Images were read from {folders} in a folder of the same name, such as {nested[0]}."


def _is_nested(path: str) -> bool:
    folder, name = os.path.split(path)
    return os.path.basename(folder) == name


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
