"""Formats other than JPEG: known by how a file begins, and looked at as far as their headers say."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parallel_sharder.samples.other_formats import dimensions, examine

WRITTEN = {"PNG": "PNG", "GIF": "GIF", "BMP": "BMP", "WEBP": "WebP", "TIFF": "TIFF", "PPM": "PNM", "ICO": "ICO"}
"""What Pillow writes, and what it is called here."""


def written(form: str) -> bytes:
    """An image of 40 x 30 pixels, by Pillow."""
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(data, form)
    return data.getvalue()


@pytest.mark.parametrize("form", WRITTEN)
def test_whole_files_have_a_name_and_no_fault(form: str) -> None:
    """Each format that Pillow writes is known."""
    assert (WRITTEN[form], "") == examine(memoryview(written(form)))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_files_that_are_cut_off_have_a_fault(form: str) -> None:
    """Of a file that ends behind its header, the format is still named."""
    name, fault = examine(memoryview(written(form)[:20]))
    assert WRITTEN[form] == name
    assert fault


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
def test_three_formats_are_measured(form: str) -> None:
    """Width comes before height."""
    assert (40, 30) == dimensions(memoryview(written(form)))


def test_other_formats_are_not_measured() -> None:
    """Nor is a JPEG, which is measured elsewhere, or a header that says nothing."""
    for form in ("WEBP", "TIFF", "JPEG"):
        assert dimensions(memoryview(written(form))) is None
    assert dimensions(memoryview(b"BM" + bytes(24))) is None


def test_a_jpeg_is_none_of_them() -> None:
    """It has no name here, and nothing is said of it."""
    assert ("", "") == examine(memoryview(written("JPEG")))


@given(st.sampled_from([*WRITTEN]), st.integers(0, 64), st.binary(max_size=64))
def test_any_bytes_behind_a_beginning_are_examined(form: str, kept: int, data: bytes) -> None:
    """Whatever follows, there is an answer and no error."""
    view = memoryview(written(form)[:kept] + data)
    examine(view)
    dimensions(view)
