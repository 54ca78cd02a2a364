"""The key and the field in a member's name are those that readers take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.tar.names import key_and_field


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", ("a", "jpg")),
        ("a.seg.png", ("a", "seg.png")),
        ("v1.2/a.jpg", ("v1.2/a", "jpg")),
        ("./a.jpg", ("./a", "jpg")),
        ("a.", ("a", "")),
        ("__a.jpg", ("__a", "jpg")),
        ("x/__meta__/a.jpg", ("x/__meta__/a", "jpg")),
        ("a", None),
        ("a.b/c", None),
        (".a", None),
        ("x/.a.jpg", None),
        ("__meta__/info.json", None),
        ("", None),
    ],
)
def test_parts(name: str, expected: tuple[str, str] | None) -> None:
    """The first dot of the base name divides a name; a dot in a folder does not."""
    assert expected == key_and_field(name)


@given(st.text("a./_\n ", max_size=12))
def test_as_webdataset(name: str) -> None:
    """Names have the parts that webdataset's own expression finds, but for its own members and hidden files."""
    match = re.match(r"^((?:.*/|)[^.]+)[.]([^/]*)$", name)
    expected = (match.group(1), match.group(2)) if match else None
    if not name.startswith("__") and "\n" not in name and "/." not in name:
        assert expected == key_and_field(name)
