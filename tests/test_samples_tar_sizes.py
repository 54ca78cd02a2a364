"""Sizes: what a sample can take in a tar, from the columns of a Listing alone."""

from __future__ import annotations

import numpy as np
import pytest

from parallel_sharder.columns import Int64s, Texts
from parallel_sharder.errors import PlanError
from parallel_sharder.model import ImageClass, Listing, Part, Role
from parallel_sharder.samples.forms import ANNOTATED
from parallel_sharder.samples.tar_sizes import FieldBytes, largest_sample_bytes, member_bytes
from parallel_sharder.tar import ustar

CLASSES = (ImageClass(0, "one", "n00000001"), ImageClass(12, "another", "n00000002"))


def listing(images: list[int], annotations: list[int], classes: tuple[ImageClass, ...] = CLASSES) -> Listing:
    """A Listing of as many samples, of the classes by turns; an annotation of -1 bytes is none."""
    rows = np.arange(len(images), dtype=np.int32)
    parts = [
        Part(role, (ending,), np.zeros_like(rows), np.array(sizes, np.int64))
        for role, ending, sizes in ((Role.IMAGE, ".JPEG", images), (Role.ANNOTATION, ".xml", annotations))
    ]
    keys = Texts.of(b"key%d" % row for row in rows)
    class_index = rows % len(classes) if classes else np.full(len(rows), -1, np.int32)
    return Listing((), (), classes, keys, class_index.astype(np.int32), tuple(parts), ())


def sizes_of(samples: Listing, form: str) -> Int64s:
    """The most bytes of each sample in a form of ImageNet."""
    return largest_sample_bytes(samples, ANNOTATED[form].fields(bool(samples.classes)))


@pytest.mark.parametrize("sizes", [[0], [1], [511, 512, 513], [10**9]])
def test_member_bytes_of_a_column_are_those_of_each(sizes: list[int]) -> None:
    """The column is what ustar says of each size."""
    assert [ustar.member_bytes(size) for size in sizes] == member_bytes(np.array(sizes, np.int64)).tolist()


def test_label_image_and_json_are_counted() -> None:
    """Of the form none, the sum is exact: a header and whole blocks for each member."""
    [first, second] = sizes_of(listing([1, 600], [-1, -1]), "none")
    assert (3 * 1024, 3 * 1024 + 512) == (first, second)


def test_samples_without_a_class_have_no_label() -> None:
    """Test images have two members."""
    assert [2 * 1024] == sizes_of(listing([1], [-1], ()), "none").tolist()


def test_annotations_count_where_the_form_has_them() -> None:
    """A larger annotation can take more in the original form, and takes nothing in the form none."""
    small, large = listing([100], [100]), listing([100], [50_000])
    assert sizes_of(small, "original") < sizes_of(large, "original")
    assert sizes_of(small, "none") == sizes_of(large, "none")


def test_annotations_that_are_too_large_count_as_none() -> None:
    """They are not stored."""
    for field in ANNOTATED["original"].fields(has_classes=True):
        if field.role is Role.ANNOTATION:
            column = FieldBytes(field, listing([1, 1], [field.largest_bytes, field.largest_bytes + 1]))
            missing = FieldBytes(field, listing([1, 1], [-1, -1]))
            stored, left_out = column.at(slice(0, 2)) - missing.at(slice(0, 2))
            assert (field.times * field.largest_bytes, 0) == (stored, left_out)


def test_image_that_no_header_holds_is_refused() -> None:
    """It is named, with its size and the limit."""
    sizes = [5, ustar.SIZE_LIMIT_BYTES]
    with pytest.raises(PlanError, match=r"^key1\.JPEG has 8,589,934,592 bytes; .* files below 8,589,934,592"):
        sizes_of(listing(sizes, [-1, -1]), "none")
