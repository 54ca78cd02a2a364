"""The members of a sample: what WebDataset calls the files of one key, and the bytes that stand around their contents.

`<key>.cls`, `<key>.jpg` and what else a form has. Pure: from sizes and contents to bytes. The image is not passed
through here; it is read straight to where it belongs, between `before` and `behind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import adler32

from parallel_sharder.model import ImageClass, Role
from parallel_sharder.samples.form import IMAGE, LABEL, ByClass, Field, label_text
from parallel_sharder.tar.ustar import BLOCK_BYTES, PADDING, SIZE_DIGITS, SIZE_LIMIT_BYTES, HeaderTemplate, sum_of


class SampleLayout:
    """Lays out samples of these fields, in a set with these classes and keys of at most `key_bytes`."""

    def __init__(self, fields: Sequence[Field], classes: Sequence[ImageClass], key_bytes: int) -> None:
        at = fields.index(IMAGE)
        assert fields[:at] in ((), (LABEL,))  # noqa: S101 - what stands before the image follows from the class
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
        """The most bytes that a sample of this class (-1 for none) and with files of these sizes takes."""
        if annotation_bytes > self._largest:
            annotation_bytes = self._largest
        return self._most_bytes[class_index] + image_bytes + self._times * annotation_bytes

    def before(self, key: bytes, key_sum: int, class_index: int, image_bytes: int) -> bytes:
        """What stands before the image's data: the label's member and the image's header.

        `key_sum` is `ustar.sum_of(key)`. Raises ValueError for a name or size that no header holds.
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
        """What stands behind the image's data, after `before`: its padding, and the members with these contents."""
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
        """Of the label's member the bytes from the size to the checksum, the checksum but for the key, text, padding.

        It is not put together, because a worker keeps it for each class.
        """
        assert image_class is not None  # noqa: S101 - a form has the label only in a set with classes
        text = label_text(image_class)
        digits = b"%011o" % len(text)
        return digits + self._before_checksum, self._sums[0] + sum_of(digits), text, PADDING[len(text) % BLOCK_BYTES]


def _most_bytes(fields: Sequence[Field], image_class: ImageClass | None, key_bytes: int) -> int:
    """The most bytes of a sample, but for those that follow from the sizes of its files."""
    return sum(2 * BLOCK_BYTES + field.class_bytes(image_class, key_bytes) for field in fields)
