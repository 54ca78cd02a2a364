"""Words of others among ours: what comes from data is one line, says what it is, and comes back where machines read."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import OptionsError, SharderError, SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, Problem
from parallel_sharder.text import code, counted, duration, printable, printable_lines, shards_done, size, tsv
from tests import made

ODD_NAMES = ["null", "on", "No", "2", "1e3", "0x1f", "2001-01-01", "@a", "*a", "&a", "!a", "x: y", "- a", "#a", "a #b",
             "? a", "|", ">", "%a", "`a", "{a}", "[a]", '"', "'", "~", "", " ", "a\nb", "a\tb", "é", "\u202e", "\x85",
             "\udcff", "<<", "=", "---", "..."]  # fmt: skip

ODD = "name\x1b[31m\nparallel-sharder: all is well\t\x9b2J\u202e\u200f\u2066\u200b\u2028\ufeff\xa0\udcff"


@pytest.mark.parametrize(
    "character",
    [*map(chr, [*range(32), *range(0x7F, 0xA1)]), *"\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028"
     "\u2029\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad\u061c\u180e\U000e0041\udc80\udcff\ud800"],
)  # fmt: skip
def test_what_a_terminal_obeys_or_nobody_sees(character: str) -> None:
    """Controls of both kinds, bidi marks, what has no width, separators and halves of characters are escaped."""
    text = printable(f"a{character}b")
    assert re.fullmatch(r"a\\[xuUnrt][0-9a-f]*b", text)
    assert text == printable(text)


def test_what_is_printable_stays() -> None:
    """Letters of any script, signs and backslashes are as they are, also beside what is escaped."""
    assert r"C:\x é 日本 ❤ 😀" == printable(r"C:\x é 日本 ❤ 😀")
    assert r"é\xff日\x1b[0m" == printable("é\udcff日\x1b[0m")
    assert "two\nlines\\t" == printable_lines("two\nlines\t")


def test_lines_of_a_message_are_its_arguments() -> None:
    """A newline that came with a name is escaped; those between arguments are lines; complaints are lines."""
    error = SourceError(f"{ODD} is wrong:", "  a line", f"  {ODD}")
    assert [printable(ODD) + " is wrong:", "  a line", "  " + printable(ODD)] == str(error).split("\n")
    assert f"{printable(ODD)} is wrong: a line {printable(ODD)}" == error.in_one_line
    assert 2 == len(str(OptionsError([f"--dest {ODD}", "--root x"])).split("\n"))


def test_values_for_people_are_printable() -> None:
    """Path, key and detail of problems and deviations are one line, whatever the data says."""
    problem, deviation = Problem(Kind.OTHER_NAME, ODD, ODD, ODD), Deviation(ODD, ODD, ODD)
    for text in (problem.path, problem.key, problem.detail, deviation.path, deviation.key, deviation.detail):
        assert printable(ODD) == text


@given(st.lists(st.text(), min_size=1))
def test_tsv(fields: list[str]) -> None:
    """Who splits at tabs has as many fields, and can have each back; the line is one line by every reader's rule."""
    line = tsv(fields)
    assert [line[:-1]] == line.splitlines()
    found = line[:-1].split("\t")
    assert fields == [re.sub(r"\\(\\|[nrt]|x..|u....|U........)", _unescaped, field) for field in found]


def _unescaped(match: re.Match[str]) -> str:
    return "\\" if match[1] == "\\" else match[0].encode("ascii").decode("unicode_escape")


@pytest.mark.parametrize("text", ["a|b", "`", "``a", "a`", "<b>x</b>", " a", "a ", "", "&amp;", "a\nb", "![x](y)", "|"])
def test_code(text: str) -> None:
    """Whatever the text is, Markdown shows it, in a table's cell too: no bar, backtick, tag or newline is left."""
    found = code(text)
    if found.startswith("`"):
        assert printable(text) == found[1:-1]
        assert not set(found[1:-1]) & {"`", "|", "\n"}
    else:
        inner = found.removeprefix("<code>").removesuffix("</code>")
        assert printable(text) == html.unescape(inner)
        assert not set(inner) & set("<>`|*_[]\n")


def test_terminal_gets_no_control_character(tmp_path: Path) -> None:
    """Names of folders, files and sets, and values of annotations, as hostile as they come: each command prints lines
    that look as they are, and none that the data has made.
    """
    root, out = (os.path.join(tmp_path, name + ODD) for name in ("raw", "out"))
    some = made.classic_train(Path(root), images=12)
    folder = Path(root, "train", made.WNIDS[0])
    (folder / f"evil{ODD}.txt").touch()
    key = next(key for key in some.wnids if key.startswith(made.WNIDS[0]))
    xml = f"<annotation><filename>a&#10;parallel-sharder: fine{ODD[5]}\u202e\x9b</filename></annotation>"
    (folder / f"{key}.xml").write_text(xml.replace("\x1b", ""), encoding="utf-8")
    convert = ["--root", root, "--dest", out, "--workers", "0", "--index", "all", "--card"]
    for words, status in (
        ([*convert, "--dry-run"], 0),
        (convert, 0),
        ([*convert, "--seed", "1"], 1),
        ([*convert, "--xml-root", root + "x"], 1),
        (["--root", root + "x"], 1),
        ([f"--{ODD}"], 2),
        (["verify", out, "--source", root], 0),
        (["verify", out, "--source", root + "x"], 1),
        (["index", out, "--for", "all", "--md5"], 0),
        (["index", out + "x"], 1),
        (["verify", out, "--json"], 0),
    ):
        done = subprocess.run([sys.executable, "-m", "parallel_sharder", *words], capture_output=True, check=False)
        assert status == done.returncode, done.stderr
        for line in (done.stdout + done.stderr).decode("utf-8").split("\n"):
            assert line.isprintable(), line
            assert not line.startswith("parallel-sharder: all is well")
            assert not line.startswith("parallel-sharder: fine")


def test_errors_of_the_library_too() -> None:
    """Who prints what the library raises prints nothing else than who uses the command line."""
    assert str(SharderError(ODD)).isprintable()


def test_shards_done() -> None:
    """The verb goes with the number, and of one shard there is no count."""
    assert "The shard is not done" == shards_done(0, 1)
    assert "1 of 3 shards is done" == shards_done(1, 3)
    assert "0 of 2,000 shards are done" == shards_done(0, 2000)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB"),
     (151_230_000_000, "151.2 GB"), (12_345_600_000_000_000, "12,345.6 TB")],
)  # fmt: skip
def test_sizes_for_people(count: int, text: str) -> None:
    """Three or four digits and the unit that suits."""
    assert text == size(count)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (100, "1:40 min"), (3599.6, "1:00:00 h"), (7509, "2:05:09 h")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    """Seconds, minutes or hours."""
    assert text == duration(seconds)


@pytest.mark.parametrize(
    ("count", "one", "many", "text"),
    [
        (0, "shard", "", "0 shards"),
        (1, "shard", "", "1 shard"),
        (1_281_167, "shard", "", "1,281,167 shards"),
        (1, "class", "classes", "1 class"),
        (2, "class", "classes", "2 classes"),
        (1, "key stands", "keys stand", "1 key stands"),
        (2, "key stands", "keys stand", "2 keys stand"),
    ],
)
def test_counts_agree_with_their_nouns(count: int, one: str, many: str, text: str) -> None:
    """One shard, two shards; and the verb that follows with them."""
    assert text == counted(count, one, many)
