"""The words for what `inspect` has found: a table as wide as the terminal, and a sample with its texts."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest

from parallel_sharder.inspection.described import SampleLine
from parallel_sharder.inspection.inspected import Content, Inspected, SampleDetail, SetOverview
from parallel_sharder.report import inspected_text as words

SET = SetOverview(
    "/s/a.json", "finished", "val", 3, 2, 5000, 10, "devkit", 7, "/s/a-{0..1}.tar", ("README.md", "a.json")
)
LINE = SampleLine(
    "/s/a-0.tar", 512, "n01440764_10026", (("cls", 3), ("jpg", 110_234), ("json", 80)), 449, "tench, Tinca tinca",
    (500, 375), 2,
)  # fmt: skip


def lines_of(*samples: SampleLine) -> list[str]:
    return Inspected((), samples).text().splitlines()


def test_set() -> None:
    """A row for each fact that is known."""
    expected = """\
set      /s/a.json
state    finished
split    val
samples  3
shards   2, 5.0 kB
classes  10, labels in the order devkit
seed     7
braces   /s/a-{0..1}.tar
beside   README.md, a.json

There is no sample."""
    assert expected == Inspected((SET,), ()).text()
    unknown = dataclasses.replace(
        SET, state="not finished", split=None, samples=None, classes=None, braces="", beside=()
    )
    assert ["set", "state", "samples", "shards"] == [
        line.split()[0] for line in Inspected((unknown,), ()).text().split("\n\n")[0].splitlines()
    ]
    assert "not counted" in Inspected((unknown,), ()).text()
    assert "none: not shuffled" in Inspected((dataclasses.replace(SET, seed=None),), ()).text()


def test_table() -> None:
    """Numbers are on the right, words on the left; a column of which nothing is known is left out."""
    other = dataclasses.replace(LINE, key="b", label="cat", name=None, pixels=None, boxes=None)
    assert [
        "key              members                        label  class                  pixels  boxes",
        "n01440764_10026  cls 3 B  jpg 110.2 kB  json 80 B    449  tench, Tinca tinca  500 x 375      2",
    ] != lines_of(LINE)  # the width of a column is that of its longest cell
    head, first, second = lines_of(LINE, other)
    assert head.split() == ["key", "members", "label", "class", "pixels", "boxes"]
    assert "cls 3 B  jpg 110.2 kB  json 80 B" in first
    assert first.endswith("tench, Tinca tinca  500 x 375      2")
    assert second.startswith("b       ")
    assert second.endswith("cat  -                           -      -")
    bare = dataclasses.replace(other, label=None)
    assert ["key", "members"] == lines_of(bare)[0].split()


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """A narrow terminal has no sizes, and cuts the names of classes first; what is cut ends in a mark."""
    monkeypatch.setattr(words, "_width", lambda: width)
    head, line = lines_of(LINE)
    assert ("jpg 110.2 kB" in line) == (width == 120)
    assert ("…" in line) == (width < 80)
    assert "449" in line
    assert "tench" in line
    assert line.endswith("500 x 375      2")
    assert len(line) <= max(width, 66)
    assert len(head) <= len(line)
    long = lines_of(dataclasses.replace(LINE, key="x" * 90))[1]
    assert len(long) <= max(width, 66)
    assert "…" in long


@pytest.mark.parametrize("is_terminal", [False, True])
def test_width_of_the_output(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    """Nothing is cut where no person reads; a terminal's width is asked for."""
    output = io.StringIO()
    monkeypatch.setattr(output, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setenv("COLUMNS", "77")
    assert (77 if is_terminal else words._NO_LIMIT) == words._width()


def test_one_sample() -> None:
    """Its JSON is laid out, its texts are shown, and what is no text is not; nothing controls the terminal."""
    content = {"a": [1, {"b": "\x1b[31m"}], "c": "é"}
    contents = (
        Content("cls", b"449"),
        Content("jpg", b"\xff\xd8"),
        Content("json", json.dumps(content).encode()),
        Content("txt", b"a photo\x1b[0m of\na fish"),
        Content("long.txt", b"x" * 3000),
    )
    text = Inspected((), (), SampleDetail(LINE, contents, ("/x/a.cls", "/x/a.jpg"))).text()
    assert "\x1b" not in text
    assert "sample   n01440764_10026\nshard    /s/a-0.tar, at offset 512\nlabel    449 (tench, Tinca tinca)" in text
    assert "members  cls, 3 bytes\n         jpg, 110,234 bytes\n" in text
    assert "written  /x/a.cls\n         /x/a.jpg" in text
    assert '"c": "é"' in text
    assert "txt:\na photo" in text
    assert text.endswith("(1,000 more characters)")
