"""The types that a card tells to `datasets` of each field; tests/readers load sets by them."""

from __future__ import annotations

import pytest

from parallel_sharder.catalog.hub_types import features_of, has_known_types

KEYS = [{"name": "__key__", "dtype": "string"}, {"name": "__url__", "dtype": "string"}]
JSON = {"struct": [{"name": "cls", "dtype": "int64"}]}


def test_images_are_first() -> None:
    """Keys and images come first, then the other fields in their order; the JSON has the form's type."""
    images = [{"name": "jpg", "dtype": "image"}, {"name": "png", "dtype": "image"}]
    expected = [*KEYS, *images, {"name": "cls", "dtype": "int64"}, {"name": "json", **JSON}]
    assert expected == features_of(["cls", "jpg", "png", "json"], JSON)


@pytest.mark.parametrize(
    ("field", "dtype"),
    [
        ("seg.png", "image"), ("JPEG", "image"), ("heic", "binary"), ("txt", "string"), ("a.txt", "string"),
        ("cls2", "int64"), ("about.json", "json"), ("mp4", "binary"), ("xml", "binary"),
    ],
)  # fmt: skip
def test_the_last_part_decides(field: str, dtype: str) -> None:
    """A field with dots has the type of its last part, in any case; what `datasets` leaves as it is, is bytes."""
    assert [*KEYS, {"name": field, "dtype": dtype}] == features_of([field], JSON)


@pytest.mark.parametrize("field", ["npy", "depth.npz", "txt.gz"])
def test_unknown_types(field: str) -> None:
    """If the type of one field does not follow from its name, no type is told."""
    assert [] == features_of(["jpg", field], JSON)
    assert [False, True] == [has_known_types(["jpg", field]), has_known_types(["jpg"])]
