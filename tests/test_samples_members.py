"""The members of samples, against the headers that are made one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.model import ImageClass
from parallel_sharder.samples.forms import ANNOTATED
from parallel_sharder.samples.members import SampleMembers
from parallel_sharder.tar.ustar import PADDING, SIZE_LIMIT_BYTES, HeaderTemplate, sum_of

CLASSES = [ImageClass(7, "it", "n01440764"), ImageClass(10**520, "large", "n2")]


def expected(*members: tuple[str, bytes]) -> bytes:
    template = HeaderTemplate()
    parts = [(template.header(name, len(data)), data, PADDING[len(data) % 512]) for name, data in members]
    return b"".join(b"".join(each) for each in parts)


@given(
    st.text("abn_0123456789", min_size=1, max_size=95), st.sampled_from([-1, 0, 1]), st.binary(max_size=1100),
    st.binary(max_size=600),
)  # fmt: skip
def test_layout_is_that_of_single_headers(key: str, class_index: int, image: bytes, json: bytes) -> None:
    """For any key, class and contents, the bytes around the image are those of members that are written one by one."""
    classes = CLASSES if class_index >= 0 else []
    members = SampleMembers(ANNOTATED["original"].fields(bool(classes)), classes, len(key))
    name = key.encode()
    found = members.before(name, sum_of(name), class_index, len(image)) + image
    found += members.behind(name, sum_of(name), len(image), (json,))
    label = [(f"{key}.cls", b"%d" % classes[class_index].label)] if classes else []
    assert expected(*label, (f"{key}.jpg", image), (f"{key}.json", json)) == found


@pytest.mark.parametrize("form", ANNOTATED)
def test_limit_is_above_the_form(form: str) -> None:
    """A sample without annotation stays within its limit, and each byte of annotation adds to it, but for too large."""
    members = SampleMembers(ANNOTATED[form].fields(has_classes=True), CLASSES, 3)
    before = members.before(b"abc", sum_of(b"abc"), 1, 1000)
    behind = members.behind(b"abc", sum_of(b"abc"), 1000, (b"{}",))
    assert len(before) + 1000 + len(behind) <= members.limit(1, 1000, 0)
    times = ANNOTATED[form].fields(has_classes=True)[-1].times
    assert members.limit(1, 1000, 0) + times * 100 == members.limit(1, 1000, 100)
    assert members.limit(1, 1000, 2**40) == members.limit(1, 1000, 2**50)


def test_names_and_sizes_that_no_header_holds() -> None:
    """They are refused, as by a single header."""
    members = SampleMembers(ANNOTATED["none"].fields(has_classes=False), (), 100)
    with pytest.raises(ValueError, match="not ASCII of 1 to 100 bytes"):
        members.before(b"k" * 97, 0, -1, 1)
    with pytest.raises(ValueError, match="8,589,934,592 bytes are 8,589,934,592 or more"):
        members.before(b"k", 0, -1, SIZE_LIMIT_BYTES)
