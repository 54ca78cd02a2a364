"""The words for results: facts of each of the four commands as the text that people are shown."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from parallel_sharder.indexes.indexed import Indexed
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, Problem
from parallel_sharder.report.preview import Preview
from parallel_sharder.report.summary import Report
from parallel_sharder.report.words import indexed_text, preview_text, reading_example, summary_text, verdict_text
from parallel_sharder.verify.verdict import Verdict

BROKEN = Problem(Kind.BAD_IMAGE, "/raw/a.JPEG", "a", "an empty file")
EMPTY = Problem(Kind.EMPTY_CLASS, "/raw/n01440764", "", "no image is in it")
REPORT = Report(
    found=(("images", "/raw"),),
    samples=59,
    shards=3,
    tar_bytes=2_000_000,
    file_bytes=1_000_000,
    made_samples=40,
    made_bytes=1_500_000,
    kept_shards=1,
    remade=("x-000001.tgz",),
    braces="x-{000000..000002}.tgz",
    manifest_path="x.json",
    problems_path="x.problems.jsonl",
    workers=2,
    seconds={"scan": 0.5, "plan": 0.5, "write": 9.0},
    has_classes=True,
    problems=(BROKEN, EMPTY),
    indexes=("wids", "dali"),
    withdrawn=False,
    card_path=None,
    mended={"swapped": 2, "names": 1},
    notices=("a \x1b[31mfile\n",),
    fields=(("cls", True), ("jpg", True), ("json", True)),
)
ON_CLUSTER = dataclasses.replace(
    REPORT,
    workers=8,
    cluster="the Ray cluster head:6379",
    hosts={f"node{number:02}": 9 * number for number in range(18)},
)
PREVIEW = Preview(
    found=(("images", "/raw"),),
    samples=59,
    shards=3,
    samples_per_shard=(19, 20),
    shard_bytes=(900, 1_000),
    braces="x-{000000..000002}.tar",
    needed_bytes=2_900,
    free_bytes=5_000,
    kept_shards=0,
    taken=(),
    problems=(BROKEN,),
    in_the_way="",
    notices=(),
)
VERDICT = Verdict(("x.json",), 60, 3, 1_000_000, "/raw", 60, 0, (), (), (), 2, 2.0)


def test_summary() -> None:
    """Every fact has its line, and what is in names cannot break one."""
    assert """\
images    60
samples   59
shards    3, 1.0 MB, 2.0 MB before compression
kept      1 shard of an earlier run
elapsed   10.0 s with 2 workers
rate      4 images/s, 0 MB/s
left out  1 sample and 1 class, whose images are not counted
braces    x-{000000..000002}.tgz
manifest  x.json
indexes   dali, beside the shards
mended    2 boxes swapped, 1 object name
problems  2, listed in x.problems.jsonl
made again, because they were missing, not as recorded, or incomplete: 1
  x-000001.tgz
note: a \\x1b[31mfile\\n
image is broken, left out: 1
  /raw/a.JPEG: an empty file
class without an image, left out: 1
  /raw/n01440764: no image is in it""" == summary_text(REPORT) == REPORT.text()


def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the shards by absolute paths, and the fields that the set has."""
    monkeypatch.chdir("/")
    [title, *_, last] = reading_example(REPORT).splitlines()
    assert ("Read them with", "    image, label = next(iter(dataset))") == (title, last)
    assert "WebDataset('/x-{000000..000002}.tgz', " in REPORT.example()
    assert 'to_tuple("jpg", "json")' in reading_example(dataclasses.replace(REPORT, fields=REPORT.fields[1:]))


def test_preview() -> None:
    """It ends with what it would leave out, if the run would not be refused."""
    assert """\
images    /raw
images    60
samples   59
left out  1 sample
shards    3 with 19 or 20 samples each, the largest at most 1.0 kB
braces    x-{000000..000002}.tar
space     at most 2.9 kB needed, 5.0 kB free
image is broken, left out: 1
  /raw/a.JPEG: an empty file""" == preview_text(PREVIEW) == PREVIEW.text()
    assert 3 == PREVIEW.exit_code


def test_preview_of_what_would_be_refused() -> None:
    """Each reason is named, and the status is 1."""
    refused = dataclasses.replace(
        PREVIEW, problems=(), free_bytes=0, taken=("x-000000.tar",), in_the_way="A journal.\nMove it."
    )
    assert 1 == refused.exit_code
    assert """\
space       at most 2.9 kB needed, 0 bytes free: too little
taken       1 of these files exists already; the first is x-000000.tar
in the way  A journal.
            Move it.
outcome     the run would be refused, because there is too little space and something is in the way""" in (
        preview_text(refused)
    )


def test_verdict() -> None:
    """Ten deviations of each file are shown, with their places, and the others counted."""
    assert "verdict  sound" == verdict_text(VERDICT).splitlines()[-1]
    deviations = tuple(Deviation("x-0.tar", "is so", "a" * (number % 2), 512 * number) for number in range(12))
    verdict = dataclasses.replace(VERDICT, deviations=(Deviation("x.json", "is missing"), *deviations))
    assert [
        "verdict  13 deviations", "x.json", "  is missing", "x-0.tar", "  offset 0: is so", "  offset 512, a: is so",
    ] == verdict.text().splitlines()[6:12]  # fmt: skip
    assert "  and 2 more" == verdict.text().splitlines()[-1]


def test_verdict_on_an_incomplete_set() -> None:
    """What is known to be left out is said, and the set is not called sound as a whole."""
    verdict = dataclasses.replace(VERDICT, left_out=1, problems=(EMPTY,))
    assert 3 == verdict.exit_code
    assert (
        "left out  1 sample and 1 class, whose images are not counted\nverdict   sound, but incomplete\n"
    ) in verdict.text()


def test_indexed() -> None:
    """The files that were written last are shown first."""
    indexed = Indexed(("x", "y"), 60, 3, ("x-0.idx", "x.json"), 0, 2.0)
    assert """\
sets     x, y
samples  60
shards   3
elapsed  2.0 s in this process
rate     30 samples/s
wrote    2 files
  x.json
  x-0.idx""" == indexed_text(indexed) == indexed.text()


@pytest.mark.parametrize(
    "result",
    [
        "Verdict((), 0, 0, 0, None, 0, 0, (), (), (), 0, 1.0)",
        "Indexed(('x',), 1, 1, (), 0, 1.0)",
    ],
)
def test_each_command_loads_its_own(result: str) -> None:
    """The words for a verdict, or for indexes, load nothing of a conversion's facts."""
    script = f"import sys; from parallel_sharder import Indexed, Verdict; {result}.text(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "parallel_sharder.report.words" in loaded
    names = {"report_summary", "report_preview", "journal", "boxes", "options"}
    assert set() == {f"parallel_sharder.{name}" for name in names} & {*loaded}


def test_hosts_of_a_cluster() -> None:
    """Each is named with its samples and their rate; of very many the first. The JSON has all."""
    text = summary_text(ON_CLUSTER)
    assert "\nelapsed   10.0 s with 8 chunks at a time on the Ray cluster head:6379\n" in text
    assert "\nhosts     node00 0 (0/s), node01 9 (1/s), node02 18 (2/s), " in text
    assert "node15 135 (15/s), and 2 more\n" in text
    assert (18, "the Ray cluster head:6379") == (len(ON_CLUSTER.json()["hosts"]), ON_CLUSTER.json()["cluster"])
    assert "hosts" not in summary_text(REPORT)


def test_example_with_captions() -> None:
    """A text that all samples have comes behind the label, and images in a field of their own are decoded."""
    report = dataclasses.replace(
        REPORT, fields=(("cls", True), ("photo", True), ("txt", True), ("json", True)), image_field="photo"
    )
    assert '.decode(wds.imagehandler("pil", ["photo"])).to_tuple("photo", "cls", "txt")' in reading_example(report)
    assert "    image, label, text = next(iter(dataset))" in reading_example(report)
    partly = dataclasses.replace(report, fields=(("jpg", True), ("txt", False), ("json", True)), image_field="")
    assert 'to_tuple("jpg", "json")' in reading_example(partly)
