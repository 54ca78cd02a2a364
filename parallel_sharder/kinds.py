"""Kinds of problems: what can be wrong with a file of the source, and whether the shards lack something because of it.

Errors and values alike name a kind. So this module lies below both, and imports nothing of the package.
"""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """What can be wrong with a file of the source; summaries and JSON show the value."""

    NOT_AN_IMAGE = "not-an-image"
    ORPHAN_XML = "orphan-xml"
    UNUSED_XML = "unused-xml"
    MISPLACED_IMAGE = "misplaced-image"
    OTHER_ENDING = "other-ending"
    NO_FILE = "no-file"
    PACKED_CLASS = "packed-class"
    PACKED_IMAGE = "packed-image"
    EMPTY_CLASS = "empty-class"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    BAD_IMAGE = "bad-image"
    BAD_ANNOTATION = "bad-annotation"
    OTHER_FORMAT = "other-format"
    CMYK = "cmyk"
    OTHER_NAME = "other-name"
    BAD_BOX = "bad-box"
    NO_SAMPLE = "no-sample"
    LINKED_MEMBER = "linked-member"
    DUPLICATE_KEY = "duplicate-key"

    @property
    def meaning(self) -> str:
        """The kind's meaning in words, for people."""
        return _MEANINGS[self]

    @property
    def leaves_out_sample(self) -> bool:
        """Whether the shards lack one image of the source because of it, unless --on-bad keep stores the image."""
        return self in _LEAVES_OUT_SAMPLE

    @property
    def leaves_out_class(self) -> bool:
        """Whether the shards lack a class of the source because of it; how many images the class has is not known."""
        return self in _LEAVES_OUT_CLASS


_MEANINGS = {
    Kind.NOT_AN_IMAGE: "not an image of the set",
    Kind.ORPHAN_XML: "annotation without an image",
    Kind.UNUSED_XML: "annotation beside its image, not used",
    Kind.MISPLACED_IMAGE: "image whose name does not fit its folder",
    Kind.OTHER_ENDING: "file named like an image, under an ending that is no image's",
    Kind.NO_FILE: "row of a table without its file",
    Kind.PACKED_CLASS: "class that is still packed, whose images are not known",
    Kind.PACKED_IMAGE: "image that is still packed",
    Kind.EMPTY_CLASS: "class without an image",
    Kind.UNREADABLE: "image, or a file that belongs to it, cannot be read",
    Kind.CHANGED: "image, or a file that belongs to it, has changed since the scan",
    Kind.BAD_IMAGE: "image is broken",
    Kind.BAD_ANNOTATION: "annotation is broken",
    Kind.OTHER_FORMAT: "image of another format than its ending says",
    Kind.CMYK: "JPEG in CMYK",
    Kind.OTHER_NAME: "annotation names another image",
    Kind.BAD_BOX: "annotation has a box with its corners swapped, of no area, or past the image",
    Kind.NO_SAMPLE: "member of a shard that belongs to no sample",
    Kind.LINKED_MEMBER: "member of a shard that is a link or a device, and has no data of its own",
    Kind.DUPLICATE_KEY: "sample whose key another sample has",
}
_LEAVES_OUT_CLASS = frozenset({Kind.PACKED_CLASS, Kind.EMPTY_CLASS})
_LEAVES_OUT_SAMPLE = frozenset(
    {
        Kind.MISPLACED_IMAGE,
        Kind.OTHER_ENDING,
        Kind.NO_FILE,
        Kind.PACKED_IMAGE,
        Kind.UNREADABLE,
        Kind.CHANGED,
        Kind.BAD_IMAGE,
        Kind.BAD_ANNOTATION,
        Kind.LINKED_MEMBER,
        Kind.DUPLICATE_KEY,
    }
)
