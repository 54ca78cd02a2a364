"""The list of problems beside a set: each line as the tool writes it, and as the shards have it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sealed import listed, make, problems_path, said, verify

LINES: dict[str, tuple[Callable[[Path], str], str]] = {
    "a field more": (lambda path: listed(path, "cmyk", left_out=False, more=1), "its fields are not path, key, kind"),
    "a field less": (lambda path: json.dumps({"key": path.stem, "left_out": True}) + "\n", "its fields are not path"),
    "other types": (lambda path: listed(path, "cmyk", left_out=0), "its fields are not path"),
    "a list": (lambda path: "[]\n", "its fields are not path"),
    "no JSON": (lambda path: "{\n", "line 1 is not as the tool writes it"),
    "deep JSON": (lambda path: "[" * 100_000 + "\n", "line 1 is not as the tool writes it"),
    "a key twice": (lambda path: listed(path, "cmyk", left_out=False).replace('"path"', '"key": "", "path"'), "dumps"),
    "no end": (lambda path: listed(path, "cmyk", left_out=False)[:-1], "json.dumps would write it otherwise"),
    "no kind": (lambda path: listed(path, "bad-luck"), "no problem is of the kind 'bad-luck'"),
    "cmyk left out": (lambda path: listed(path, "cmyk"), "left_out is true for cmyk with --on-bad skip"),
    "bad and stored": (lambda path: listed(path, "bad-image", left_out=False), "left_out is false for bad-image"),
    "no key": (lambda path: listed(path, "cmyk", left_out=False, key="\ud800"), "no sample can have its key"),
    "left out and there": (lambda path: listed(path, "bad-image"), "is listed as left out, but is in a shard"),
    "not there": (lambda path: listed(path, "cmyk", left_out=False, key="n01440764_0"), "is listed as stored, but is"),
    "large": (
        lambda path: listed(path, "cmyk", left_out=False, detail="x" * 5_000_000),
        "line 1 is not as the tool writes it",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_lists_that_the_tool_would_not_write(tmp_path: Path, line: str) -> None:
    """Each line has its form, and agrees with the shards, which is seen without the source."""
    make(tmp_path)
    make_line, finding = LINES[line]
    problems_path(tmp_path).write_text(make_line(min(tmp_path.glob("raw/train/*/*.JPEG"))))
    verdict = verify(tmp_path)
    assert [str(problems_path(tmp_path))] == [each.path for each in verdict.deviations], said(verdict)
    assert finding in said(verdict)
