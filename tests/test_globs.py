"""Globs and braces: the files that a person's words name."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.globs import expanded, glob_of, is_glob


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("a-{9..11}.tar", ["a-9.tar", "a-10.tar", "a-11.tar"]),
        ("a-{2..0}", ["a-2", "a-1", "a-0"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("{a,b{0..1}}", ["a", "b0", "b1"]),
        ("{a,,a}b", ["ab", "b"]),
        ("{a}", ["{a}"]),
        ("a.tar", ["a.tar"]),
    ],
)
def test_braces(text: str, paths: list[str]) -> None:
    """They are expanded as shells do, whether the files exist or not, and no path is named twice."""
    assert paths == expanded(text)


def test_globs(tmp_path: Path) -> None:
    """They name what exists, sorted; a file that has such a name itself is meant as it is."""
    for name in ("b.tar", "a.tar", "a [x].tar"):
        (tmp_path / name).touch()
    assert [f"{tmp_path}/{name}" for name in ("a [x].tar", "a.tar", "b.tar")] == expanded(f"{tmp_path}/*.tar")
    assert [f"{tmp_path}/b.tar", f"{tmp_path}/a.tar"] == expanded(f"{tmp_path}/{{b,a}}.t?r")
    assert [f"{tmp_path}/a [x].tar"] == expanded(f"{tmp_path}/a [x].tar")
    assert [f"{tmp_path}/a [x].tar"] == expanded(glob_of(str(tmp_path), "a [", "].tar"))


def test_what_is_a_glob() -> None:
    """Braces that list nothing are part of a name."""
    assert [True, True, True, False, False] == [*map(is_glob, ("*.tar", "{a,b}", "{0..1}", "{a}", "a.tar"))]


@pytest.mark.parametrize("text", ["{0..99999999}", "{0..9999}{0..9999}"])
def test_too_many(text: str) -> None:
    """A slip is refused before it fills the memory."""
    with pytest.raises(ValueError, match="names more than 1,000,000 files"):
        expanded(text)
