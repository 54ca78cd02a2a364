"""The members of a sample in the tar: one for each field of its form, `<key>.cls`, `<key>.jpg` and so on.

Sizes and contents come in; the bytes of headers, contents and padding are returned. Nothing is opened. The image does
not pass through this module: the caller reads it straight to its place, between `before` and `behind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import adler32

from parallel_sharder.model import ImageClass, Role
from parallel_sharder.samples.form import IMAGE, LABEL, ByClass, Field, label_text
from parallel_sharder.tar.ustar import BLOCK_BYTES, PADDING, SIZE_DIGITS, SIZE_LIMIT_BYTES, HeaderTemplate, sum_of


class SampleMembers:
    """Makes the members of samples with these fields, in a set with these classes; keys have at most `key_bytes`."""

    def __init__(self, fields: Sequence[Field], classes: Sequence[ImageClass], key_bytes: int) -> None:
        at = fields.index(IMAGE)
        assert fields[:at] in ((), (LABEL,))  # noqa: S101 - only the label comes before the image, and follows from the class
        self._template = HeaderTemplate()
        self._before_checksum, self._after_checksum = self._template.before_checksum, self._template.after_checksum
        self._endings = [f".{field.name}" for field in fields]
        self._sums = [self._template.constant_sum + sum_of(ending.encode("ascii")) for ending in self._endings]
        self._at = at
        self._name_ends: dict[int, list[bytes]] = {}
        self._labels = ByClass(self._label, classes)
        self._most_bytes = ByClass(lambda each: _most_bytes(fields, each, key_bytes), classes)
        of_annotation = [field for field in fields if field.role is Role.ANNOTATION]
        self._times = sum(field.times for field in of_annotation)
        self._largest = max((field.largest_bytes for field in of_annotation), default=0)

    def limit(self, class_index: int, image_bytes: int, annotation_bytes: int) -> int:
        """Return the most bytes in the tar of a sample of this class (-1 for none), with files of these sizes."""
        if annotation_bytes > self._largest:
            annotation_bytes = self._largest
        return self._most_bytes[class_index] + image_bytes + self._times * annotation_bytes

    def before(self, key: bytes, key_sum: int, class_index: int, image_bytes: int) -> bytes:
        """Return the bytes before the image's data: the label's member and the image's header.

        `key_sum` is `ustar.sum_of(key)`. Raises ValueError for a name or a size that a header cannot hold.
        """
        name_ends = self._name_ends.get(len(key)) or self._ends_for(len(key))
        at, digits = self._at, b"%011o" % image_bytes
        if len(digits) > SIZE_DIGITS:
            raise ValueError(f"tar header: {image_bytes:,} bytes are {SIZE_LIMIT_BYTES:,} or more")
        checksum = b"%06o" % (self._sums[at] + key_sum + (adler32(digits, 0) & 0xFFFF))
        before_checksum, after_checksum = self._before_checksum, self._after_checksum
        if not at:
            return b"".join((key, name_ends[at], digits, before_checksum, checksum, after_checksum))
        label_size, label_sum, label, label_padding = self._labels[class_index]
        label_checksum = b"%06o" % (label_sum + key_sum)
        return b"".join((
            key, name_ends[0], label_size, label_checksum, after_checksum, label, label_padding,
            key, name_ends[at], digits, before_checksum, checksum, after_checksum,
        ))  # fmt: skip

    def behind(self, key: bytes, key_sum: int, image_bytes: int, contents: Sequence[bytes]) -> bytes:
        """Return the bytes behind the image's data: its padding, and the members with these contents.

        `before` is called first, for a key of the same length.
        """
        name_ends, number = self._name_ends[len(key)], self._at
        parts = [PADDING[image_bytes % BLOCK_BYTES]]
        for content in contents:
            number += 1
            digits = b"%011o" % len(content)
            checksum = b"%06o" % (self._sums[number] + key_sum + (adler32(digits, 0) & 0xFFFF))
            parts += (
                key, name_ends[number], digits, self._before_checksum, checksum, self._after_checksum,
                content, PADDING[len(content) % BLOCK_BYTES],
            )  # fmt: skip
        return b"".join(parts)

    def _ends_for(self, key_bytes: int) -> list[bytes]:
        ends = self._name_ends[key_bytes] = [self._template.name_end(ending, key_bytes) for ending in self._endings]
        return ends

    def _label(self, image_class: ImageClass | None) -> tuple[bytes, int, bytes, bytes]:
        """Return four parts of the label's member, which are not joined because a worker keeps them for each class.

        They are the bytes from the size up to the checksum, the checksum without the key's sum, the text, and the
        padding.
        """
        assert image_class is not None  # noqa: S101 - a form has the label only in a set with classes
        text = label_text(image_class)
        digits = b"%011o" % len(text)
        return digits + self._before_checksum, self._sums[0] + sum_of(digits), text, PADDING[len(text) % BLOCK_BYTES]


def _most_bytes(fields: Sequence[Field], image_class: ImageClass | None, key_bytes: int) -> int:
    """Return the most bytes of a sample, without the bytes that depend on the sizes of its files."""
    return sum(2 * BLOCK_BYTES + field.class_bytes(image_class, key_bytes) for field in fields)
