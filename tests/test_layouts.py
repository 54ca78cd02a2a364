"""The promises, for class folders, a table and foreign shards: same bytes, resume, verify, indexes, nodes and more.

tests/made_layouts.py makes the sets. Their finished copies are compared with those of one undisturbed run.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import (
    IndexOptions,
    Options,
    Verdict,
    VerifyOptions,
    convert,
    index_shards,
    preview,
    verify_shards,
)
from parallel_sharder.cli.main import main
from parallel_sharder.errors import DestinationError, SharderError, SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.options import StatusOptions
from parallel_sharder.status import status_of
from tests import sealed
from tests.faults import FAULTS, MOMENTS
from tests.made_layouts import LAYOUTS, SHARDS, MadeSet, jpeg, make, state
from tests.test_cli_main import COMMAND, ENVIRONMENT
from tests.test_convert import digests
from tests.test_faults import check_fault
from tests.test_resume import _Interrupter, torture

ALL: dict[str, Any] = {"index": "all", "card": True, "md5": True}
PASSING = {"journal", "partial", "lock", "lease", "listing", "run"}


def files_of(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file that is published, in folders within too."""
    files = [path for path in folder.rglob("*") if path.is_file() and not PASSING & {*path.name.split(".")}]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module", params=LAYOUTS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeSet:
    """A set in raw/ and its shards in out/, made in one undisturbed run; copied by those who change it."""
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    found = make(tmp_path_factory.mktemp("set"), request.param)
    before = state(found.raw)
    assert 0 == found.convert(**ALL).exit_code
    assert before == state(found.raw)
    return found


@pytest.fixture(scope="module")
def undisturbed(finished: MadeSet) -> dict[str, str]:
    """The digests of the finished set's files."""
    return files_of(finished.out)


@pytest.fixture
def its_copy(finished: MadeSet, tmp_path: Path) -> MadeSet:
    """A copy of the finished set and its source, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "set")
    return MadeSet(tmp_path / "set", finished.layout)


class _AfterPlanning(Recording):
    """Calls what it is given when the plan is made."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        self._then()


def interrupted(made: MadeSet, out: Path) -> None:
    """Leave `out` as a run leaves it that is stopped half-way."""
    with pytest.raises(KeyboardInterrupt):
        made.convert(out, _Interrupter(25), workers=1)


# The same bytes, however the run is run.


@pytest.mark.parametrize(
    "choices",
    [
        {"workers": 1},
        {"workers": 3, "start_method": "spawn"},
        {"workers": 3, "start_method": "forkserver"},
        {"engine": "inline", "workers": None},
    ],
    ids=lambda choices: "-".join(map(str, choices.values())),
)
def test_the_same_bytes(
    finished: MadeSet, undisturbed: dict[str, str], tmp_path: Path, choices: dict[str, Any]
) -> None:
    """The number of workers and the way they are started change no byte of what is published; the source stays as it
    was.
    """
    before = state(finished.raw)
    finished.convert(tmp_path, **ALL, **choices)
    assert undisturbed == files_of(tmp_path)
    assert before == state(finished.raw)
    assert [] == [
        path for path in tmp_path.glob(".*") if path.name not in (".set.journal", ".set.run.jsonl", ".nv-meta")
    ]


def test_the_scan_is_told(finished: MadeSet, tmp_path: Path) -> None:
    """Folders, shards or rows, with how many there are in all; at the end all of them are done."""
    told: list[tuple[int, int, int, str]] = []

    class Telling(Silent):
        def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
            told.append((done, total, images, unit))

    finished.convert(tmp_path, Telling())
    unit = {"folders": "folder", "shards": "shard"}.get(finished.layout, "row")
    assert {unit} == {each[3] for each in told}
    done, total, images, _ = told[-1]
    assert 0 < done == total
    assert images >= finished.convert(tmp_path).samples > 0
    if unit == "row":
        assert done >= images


FEWER: dict[str, dict[str, Any]] = {"folders": {"with_": ()}, "shards": {"where": "cls == 1 or width > 500"}}


@pytest.mark.parametrize("is_usual", [True, False])
def test_a_preview(finished: MadeSet, tmp_path: Path, is_usual: bool) -> None:
    """It has the numbers of the run, spool and filters included, and leaves nothing anywhere."""
    out = tmp_path / "out"
    choices = {} if is_usual else FEWER.get(finished.layout, {"columns": (), "label": "", "seed": 9})
    shown = preview(finished.options(out, **choices))
    assert [] == [*tmp_path.rglob("*")]
    report = finished.convert(out, **choices)
    sizes = [path.stat().st_size for path in out.glob("*.tar")]
    assert (report.samples, report.shards, report.braces) == (shown.samples, shown.shards, shown.braces)
    assert (min(sizes), max(sizes)) == shown.shard_bytes
    assert (finished.layout in ("csv", "parquet")) == (shown.needed_bytes > sum(sizes))
    assert (report.found, report.problems) == (shown.found, shown.problems)


# Stopped, damaged, continued.


@pytest.mark.timeout(3600)
def test_torture(finished: MadeSet, tmp_path: Path) -> None:
    """Killed with SIGKILL at random moments and run again until it is done, the result is the undisturbed run's."""
    torture(finished.words, tmp_path, "group", "--index all --card", int(os.environ.get("TORTURE_KILLS", "1")))


def some_faults() -> list[tuple[str, str, str]]:
    """Each fault once, at one of the moments and with one of the layouts; all of them in make torture."""
    if "TORTURE_KILLS" in os.environ:
        return [*itertools.product(LAYOUTS, FAULTS, MOMENTS)]
    layouts, moments = itertools.cycle(("csv", "shards", "folders")), itertools.cycle(MOMENTS)
    return [*zip(layouts, FAULTS, moments, strict=False)]


@pytest.mark.parametrize(("finished", "fault", "moment"), some_faults(), indirect=["finished"])
def test_torture_by_faults(finished: MadeSet, tmp_path: Path, fault: str, moment: str) -> None:
    """Struck by the fault at the moment, and then run again, the set is byte for byte that of an undisturbed run."""

    def command(root: Path, out: Path, more: str) -> list[str]:
        words = MadeSet(root.parent, finished.layout).words
        return [*words, "--dest", f"{out}/set-%06d.tar", "--quiet", *more.split()]

    finished.convert(tmp_path / "undisturbed")
    check_fault(finished.raw, digests(tmp_path / "undisturbed"), tmp_path, fault, moment, "resume", command)


def test_a_run_that_continues(finished: MadeSet, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """What is done stays, the rest is made, and a further run says that all is done."""
    interrupted(finished, tmp_path)
    shards = {path: path.stat().st_ino for path in tmp_path.glob("*.tar")}
    assert 0 < len(shards) < SHARDS
    report = finished.convert(tmp_path, **ALL)
    assert len(shards) == report.kept_shards
    assert shards == {path: path.stat().st_ino for path in shards}
    assert undisturbed == files_of(tmp_path)
    again = finished.convert(tmp_path, workers=2, **ALL)
    assert "kept      all of them\n" in again.text()
    assert undisturbed == files_of(tmp_path)


def test_damaged_shards(its_copy: MadeSet, undisturbed: dict[str, str]) -> None:
    """A shard that is missing is made again; with check, so is one of another digest, and messages say so."""
    first, second, *_ = sorted(its_copy.out.glob("*.tar"))
    first.unlink()
    assert (str(first),) == its_copy.convert(**ALL).remade
    data = bytearray(second.read_bytes())
    data[:512] = bytes(range(256)) * 2
    second.write_bytes(data)
    with pytest.raises(
        DestinationError, match=f"{second}.*(With check it is made anew|check with it makes the shard anew)"
    ):
        its_copy.convert(**ALL)
    assert (str(second),) == its_copy.convert(check=True, **ALL).remade
    assert undisturbed == files_of(its_copy.out)


def test_starting_anew(its_copy: MadeSet, undisturbed: dict[str, str]) -> None:
    """Overwrite removes what was made, and makes it anew."""
    before = {path: path.stat().st_ino for path in its_copy.out.glob("*.tar")}
    report = its_copy.convert(overwrite=True, **ALL)
    assert (0, SHARDS) == (report.kept_shards, len(before))
    assert undisturbed == files_of(its_copy.out)


OTHERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "folders": [
        ("seed", {"seed": 5}),
        ("with", {"with_": ("txt",)}),
        ("image field", {"image_field": "jpg"}),
        ("meta", {"meta": "classes"}),
    ],
    "csv": [
        ("seed", {"shuffle": False}),
        ("columns", {"columns": ("width",)}),
        ("image field", {"image_field": "jpg"}),
        ("label", {"label": ""}),
        ("caption", {"caption": "note"}),
        ("meta", {"meta": "classes"}),
    ],
    "shards": [
        ("seed", {"seed": 5}),
        ("where", {"where": "cls == 1"}),
        ("keep", {"keep": "keys"}),
        ("drop", {"drop": "keys"}),
        ("rename keys", {"rename_keys": True}),
        ("on duplicate", {"on_duplicate": "skip"}),
        ("apart", {"apart": "join"}),
    ],
}
OTHERS["parquet"] = OTHERS["csv"]


def others(made: MadeSet, lists: Path) -> list[tuple[str, dict[str, Any]]]:
    """The name of each choice that selects or reads otherwise, and that choice; lists are written to the folder."""
    names = ["Ä", "b", "c.d", "rose red"] if made.layout == "folders" else [f"class {n}" for n in range(6, -1, -1)]
    (lists / "classes").write_text("".join(f"{name}\twords\n" for name in names))
    (lists / "keys").write_text("".join(f"{number % 3}/x_{number}\n" for number in range(40)))
    return [
        (name, {field: lists / value if value in ("classes", "keys") else value for field, value in choice.items()})
        for name, choice in OTHERS[made.layout]
    ]


def test_other_choices_are_refused(its_copy: MadeSet, tmp_path: Path) -> None:
    """A run that selects or reads anything otherwise is refused, by the name of the choice, and touches nothing."""
    before = state(its_copy.out)
    for name, change in others(its_copy, tmp_path):
        with pytest.raises(DestinationError) as caught:
            its_copy.convert(**change)
        assert f"\n  {name}: " in str(caught.value)
        assert str(caught.value).endswith("start anew with overwrite.")
        assert before == state(its_copy.out)


def test_other_choices_are_verified(finished: MadeSet, tmp_path: Path) -> None:
    """The manifest holds what selects and reads the samples, so that verify compares them with the source."""
    for number, (_, choice) in enumerate(others(finished, tmp_path)):
        out = tmp_path / f"out {number}"
        report = finished.convert(out, **choice)
        verdict = verify_shards(VerifyOptions(dest=out, source=finished.root, workers=0))
        assert ((), report.samples, 0) == (verdict.deviations, verdict.compared, verdict.exit_code), choice


@pytest.mark.parametrize("choice", ["keep", "drop", "meta", "table"])
def test_lists_that_have_changed(its_copy: MadeSet, tmp_path: Path, choice: str) -> None:
    """A list or a table of the same name and another content is another choice."""
    of_shards = choice in ("keep", "drop")
    if of_shards != (its_copy.layout == "shards") or (choice == "table" and its_copy.layout != "csv"):
        pytest.skip("another layout has it")
    out, path = tmp_path / "other", tmp_path / "list"
    if choice == "table":
        path, lines = its_copy.table, its_copy.table.read_bytes().splitlines(keepends=True)
        change = lines[0] + b"".join(lines[1:]).replace(b"007", b"008", 1)
    else:
        names = [f"{number % 3}/x_{number}" for number in range(40)] if of_shards else ["rose red", "Ä", "c.d", "b"]
        if its_copy.layout in ("csv", "parquet"):
            names = [f"class {number}" for number in range(7)]
        path.write_text("".join(f"{name}\n" for name in names))
        change = "".join(f"{name}\n" for name in (names[1:] if of_shards else reversed(names))).encode()
    given: dict[str, Any] = {} if choice == "table" else {choice: path}
    its_copy.convert(out, **given)
    path.write_bytes(change)
    with pytest.raises(DestinationError, match="\n  "):
        its_copy.convert(out, **given)


# Nodes of an array.


def test_nodes(finished: MadeSet, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """Two nodes make the set of one run; what is missing is told until then; and finish publishes what is there."""
    first = finished.convert(tmp_path, node="0/2", **ALL)
    assert tuple(range(1, SHARDS, 2)) == first.missing
    with pytest.raises(SharderError):
        finished.convert(tmp_path, finish=True, **ALL)
    assert () == finished.convert(tmp_path, node="1/2", **ALL).missing
    assert undisturbed == files_of(tmp_path)
    (tmp_path / "set.json").unlink()
    finished.convert(tmp_path, finish=True, **ALL)
    assert undisturbed == files_of(tmp_path)
    assert [] == [path for path in tmp_path.rglob("*") if path.name.endswith((".partial", ".lock", ".lease"))]


def test_nodes_at_once(finished: MadeSet, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """Begun at the same moment, they wait for one listing, and its spool if it has one, and one publishes."""
    words = [*finished.words, *f"--dest {tmp_path}/set-%06d.tar --index all --card --md5 --quiet --workers 1".split()]
    nodes = [
        subprocess.Popen([*COMMAND, *words, "--node", f"{node}/2"], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        for node in range(2)
    ]
    assert [0, 0] == [node.wait(60) for node in nodes]
    assert undisturbed == files_of(tmp_path)
    assert [] == [path for path in tmp_path.rglob("*") if path.name.endswith((".partial", ".lock", ".lease"))]


# What is beside the shards.


def test_splits_in_one_folder(tmp_path: Path) -> None:
    """Each split is a set of its own by default, with one numbering of classes, and verify takes both. Where splits
    have the same keys, energon's index is refused, because it would mix their samples up.
    """
    draw = random.Random(4)
    for split in ("train", "Validation"):
        for number in range(6):
            path = tmp_path / "flowers & more" / split / ("b", "a")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(draw))
    root, out = tmp_path / "flowers & more", tmp_path / "out"
    choices: dict[str, Any] = {"root": root, "dest": out, "layout": "folders", "workers": 0, **ALL}
    convert(Options(**choices))
    with pytest.raises(DestinationError, match="energon wants unique keys in a folder"):
        convert(Options(split="val", **choices))
    choices["index"] = ("dali", "timm", "openclip")
    assert 1 == convert(Options(split="val", **choices)).kept_shards
    names = [f"flowers=20=26=20more_{split}.json" for split in ("train", "val")]
    assert [*names, "sizes.json"] == sorted(path.name for path in out.glob("[!_]*.json"))
    classes = [json.loads((out / name).read_text())["classes"] for name in names]
    assert classes[0] == classes[1]
    verdict = verify_shards(VerifyOptions(dest=out, source=root, workers=0))
    assert (12, (), 0) == (verdict.compared, verdict.deviations, verdict.exit_code)


def test_indexes_and_card(finished: MadeSet, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """The command index writes the very indexes that the run writes, and a later --card adds the card."""
    finished.convert(tmp_path, md5=True)
    index_shards(IndexOptions(dest=tmp_path, readers="all", md5=True, workers=0))
    of_card = {"README.md", "set.classes.tsv"}
    assert {name: digest for name, digest in undisturbed.items() if name not in of_card} == files_of(tmp_path)
    finished.convert(tmp_path, **ALL)
    assert undisturbed == files_of(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert not [word for word in ("ImageNet", "imagenet", "ILSVRC", "wnid") if word in card]


def test_status(finished: MadeSet, tmp_path: Path) -> None:
    """It says how many samples and shards there are, of a finished set and of one that is begun."""
    [whole] = status_of(StatusOptions(dest=finished.out)).sets
    assert (SHARDS, True) == (whole.shards, whole.is_finished)
    interrupted(finished, tmp_path)
    [begun] = status_of(StatusOptions(dest=tmp_path)).sets
    assert (SHARDS, False) == (begun.shards, begun.is_finished)
    assert SHARDS == len(begun.missing) + len([*tmp_path.glob("*.tar")])


def test_the_command_line(finished: MadeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet leaves the result alone, --json makes it JSON, and the first lines say what was found."""
    words = [*finished.words, "--dest", f"{tmp_path}/set-%06d.tar"]
    assert 0 == main([*words, "--workers", "0", "--quiet"])
    shown = capsys.readouterr()
    assert "" == shown.err
    assert "samples" in shown.out
    assert 0 == main([*words, "--workers", "0", "--json"])
    shown = capsys.readouterr()
    assert SHARDS == json.loads(shown.out)["shards"]
    assert 0 == main(["verify", str(tmp_path), "--workers", "0", "--json", "--quiet"])
    assert SHARDS == json.loads(capsys.readouterr().out)["shards"]
    assert 0 == main([*words, "--workers", "0", "--dry-run"])
    assert "samples" in capsys.readouterr().out


# Verify.


def verified(made: MadeSet, *, with_source: bool = True) -> Verdict:
    return verify_shards(VerifyOptions(dest=made.out, source=made.root if with_source else None, workers=0))


def test_sound_sets(finished: MadeSet) -> None:
    """Verify finds nothing, with and without the source, and needs none of the options again."""
    before = state(finished.folder)
    for with_source in (False, True):
        verdict = verified(finished, with_source=with_source)
        assert ((), 0) == (verdict.deviations, verdict.exit_code)
    assert verdict.samples == verdict.compared
    assert before == state(finished.folder)


def flipped(path: Path, content: bytes) -> None:
    """Change one byte within what holds `content` in a file, whose size stays."""
    data = bytearray(path.read_bytes())
    place = data.index(content) + len(content) // 2
    data[place] ^= 1
    path.write_bytes(data)


def a_sample(made: MadeSet, field: str) -> tuple[Path, str, bytes]:
    """The shard, the key and the content of the first sample that has this field."""
    for shard in sorted(made.out.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                key, _, its_field = member.name.partition(".")
                if field == its_field:
                    return shard, key, archive.extractfile(member).read()  # type: ignore[union-attr]
    raise AssertionError(field)


@pytest.mark.parametrize("field", ["jpg", "png", "txt"])
def test_a_file_of_the_source_that_is_another(its_copy: MadeSet, field: str) -> None:
    """An image, a side file, a caption or a member of the source that has changed is named by its key."""
    _, key, content = a_sample(its_copy, field)
    in_table = field == "txt" and its_copy.layout in ("csv", "parquet")
    if in_table and its_copy.layout == "parquet":
        _change_parquet(its_copy.table, "caption", content.decode())
    else:
        [path] = [path for path in its_copy.raw.rglob("*") if path.is_file() and content in path.read_bytes()]
        flipped(path, content)
    verdict = verified(its_copy)
    assert 1 == verdict.exit_code
    assert key in {each.key for each in verdict.deviations}
    assert 0 == verified(its_copy, with_source=False).exit_code


def _change_parquet(path: Path, column: str, value: str) -> None:
    """Write the table anew, with another text in this cell."""
    import pyarrow
    from pyarrow import parquet

    rows = parquet.read_table(path).to_pydict()
    rows[column] = [f"{cell}!" if cell == value else cell for cell in rows[column]]
    parquet.write_table(pyarrow.table(rows), path)


@pytest.mark.parametrize("column", ["label", "width", "note"])
def test_a_row_that_is_another(its_copy: MadeSet, column: str) -> None:
    """A cell of a table, or the label or JSON of a shard's sample, that has changed is named by the sample's key."""
    if its_copy.layout == "folders":
        pytest.skip("class folders have no rows")
    if its_copy.layout == "shards":
        _, key, content = a_sample(its_copy, "json")
        [path] = [path for path in its_copy.raw.glob("*.tar") if content in path.read_bytes()]
        flipped(path, content)
    elif its_copy.layout == "csv":
        key = _change_csv(its_copy.table, column)
    else:
        pytest.skip("the rows are those of a CSV")
    verdict = verified(its_copy)
    assert 1 == verdict.exit_code
    assert {key} == {each.key for each in verdict.deviations}


def _change_csv(path: Path, column: str) -> str:
    """Write the table anew, with another value in one row; that row's key."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = csv.reader(file)
    place = header.index(column)
    rows[6][place] = {"label": "class 3", "width": "123456", "note": "other"}[column]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([header, *rows])
    return "images/0=20=C3=A9/6"


def test_an_image_in_another_class(its_copy: MadeSet) -> None:
    """An image that is moved to another class folder is missing in the one, and in no shard from the other."""
    if its_copy.layout != "folders":
        pytest.skip("it has no class folders")
    path = its_copy.raw / "Ä" / "_13 ü.jpeg"
    path.rename(its_copy.raw / "rose red" / path.name)
    told = sealed.said(verified(its_copy))
    assert re.search(r"=C3=84/=5F13=20=C3=BC \d+: is not in the source\n", told)
    assert "is in no shard" in told


@pytest.mark.parametrize("comes", [True, False])
def test_side_files_that_come_or_go(tmp_path: Path, comes: bool) -> None:
    """A sample is named if it has another side file than when it was stored, or none any more."""
    made = make(tmp_path, "folders", 12)
    made.convert()
    image = made.raw / "Ä" / ("_9 ü.jpg" if comes else "_1 ü.jpeg")
    if comes:
        image.with_suffix(".txt").write_text("new")
    else:
        image.with_suffix(".txt").unlink()
    [deviation] = verified(made).deviations
    assert f"=C3=84/=5F{'9' if comes else '1'}=20=C3=BC" == deviation.key
    assert deviation.detail.startswith("its other members do not follow from the source")


def test_labels_that_are_too_many_for_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit they are part of the rows: the set is sound, and a label that changes is named by the key."""
    monkeypatch.setattr("parallel_sharder.sources.table.numbering.TABLE_LIMIT", 100)
    raw, out, table, count = tmp_path / "raw", tmp_path / "out", tmp_path / "raw" / "t.csv", 103
    raw.mkdir()
    (raw / "a.jpg").write_bytes(jpeg(random.Random(5)))
    rows = [f"a.jpg,class {number}" for number in range(count)]
    table.write_text("\n".join(["image,label", *rows]) + "\n")
    assert count == convert(Options(root=raw, table=table, dest=out, shards=2, workers=0)).samples
    assert [] == json.loads((out / "raw.json").read_text())["classes"]
    options = VerifyOptions(dest=out, source=raw, workers=0)
    verdict = verify_shards(options)
    assert ((), count) == (verdict.deviations, verdict.compared)
    rows[50] = "a.jpg,class 51"
    rows[51] = "a.jpg,class 50"
    table.write_text("\n".join(["image,label", *rows]) + "\n")
    assert {"a=2351", "a=2352"} == {each.key for each in verify_shards(options).deviations}


@pytest.mark.parametrize("field", ["jpg", "cls", "json", "txt"])
def test_shards_that_are_others_than_their_source(its_copy: MadeSet, field: str) -> None:
    """Were the writer to store another byte, its digests would not show it; the source does, and names the sample."""
    shard, key, content = a_sample(its_copy, field)
    data = bytearray(shard.read_bytes())
    with tarfile.open(shard) as archive:
        member = archive.getmember(f"{key}.{field}")
    place = member.offset_data + (len(content) // 2 if field != "cls" else 0)
    data[place] = data[place] ^ 1
    shard.write_bytes(data)
    assert any("the manifest says" in each.detail for each in verified(its_copy, with_source=False).deviations)
    sealed.seal(its_copy.out, name="set")
    verdict = verified(its_copy)
    assert 1 == verdict.exit_code
    assert key in {each.key for each in verdict.deviations}, sealed.said(verdict)


def test_samples_that_are_missing(its_copy: MadeSet) -> None:
    """A sample that is in the source alone, or in the shards alone, is named."""
    _, _, content = a_sample(its_copy, "jpg")
    if its_copy.layout == "shards":
        path = min(its_copy.raw.glob("*.tar"))
        path.rename(path.with_suffix(".gone"))
    else:
        [path] = [path for path in its_copy.raw.rglob("*") if path.is_file() and content == path.read_bytes()]
        path.unlink()
    verdict = verified(its_copy)
    assert 1 == verdict.exit_code
    assert "is not in the source" in sealed.said(verdict)
    if its_copy.layout == "folders":
        (its_copy.raw / "c.d" / "one more.jpg").write_bytes(content)
        assert "one more.jpg is in no shard, and not in the list of problems" in sealed.said(verified(its_copy))


# A source that goes bad.


@pytest.mark.parametrize("fault", ["vanishes", "changes"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_source_that_changes_under_the_run(its_copy: MadeSet, tmp_path: Path, fault: str, workers: int) -> None:
    """A file that vanishes or changes after the scan is a problem of its sample; a shard stops the run."""
    image, out = its_copy.image(), tmp_path / "other"

    def strike() -> None:
        if fault == "vanishes":
            image.unlink()
        else:
            with image.open("ab") as file:
                file.write(bytes(1024))

    monitor = _AfterPlanning(strike)
    if its_copy.layout == "shards":
        with pytest.raises(SourceError, match=image.name):
            its_copy.convert(out, monitor, workers=workers)
        return
    report = its_copy.convert(out, monitor, workers=workers)
    kind = Kind.UNREADABLE if fault == "vanishes" else Kind.CHANGED
    assert {(kind, str(image), True)} == {(each.kind, each.path, each.leaves_out) for each in report.problems}
    assert 3 == report.exit_code
    count = its_copy.convert(tmp_path / "third").samples if fault == "changes" else 0
    assert not count or report.samples + len(report.problems) == count


@pytest.mark.parametrize("on_bad", ["skip", "keep", "fail"])
def test_a_broken_image(its_copy: MadeSet, tmp_path: Path, on_bad: str) -> None:
    """It is left out, stored, or stops the run; a member of a shard is never looked at, and is stored as it is."""
    out = tmp_path / "other"
    if its_copy.layout == "shards":
        _, _, content = a_sample(its_copy, "jpg")
        [path] = [path for path in its_copy.raw.glob("*.tar") if content in path.read_bytes()]
        path.write_bytes(path.read_bytes().replace(content, b"<html>404</html>".ljust(len(content))))
        assert 0 == its_copy.convert(out, on_bad=on_bad).exit_code
        assert 0 == verify_shards(VerifyOptions(dest=out, source=its_copy.root, workers=0)).exit_code
        return
    image = its_copy.image()
    image.write_bytes(image.read_bytes()[:-2] + b"\0\0")
    if on_bad == "fail":
        with pytest.raises(SharderError, match="it has no end marker"):
            its_copy.convert(out, on_bad=on_bad)
        return
    report = its_copy.convert(out, on_bad=on_bad)
    status = 3 if on_bad == "skip" else 0
    assert status == report.exit_code
    assert {(Kind.BAD_IMAGE, str(image))} == {(each.kind, each.path) for each in report.problems}
    verdict = verify_shards(VerifyOptions(dest=out, source=its_copy.root, workers=0))
    assert (status, ()) == (verdict.exit_code, verdict.deviations)


def test_images_of_another_ending_do_not_continue_a_set(tmp_path: Path) -> None:
    """Also where all images have one: fields and file names follow from it."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    for name in "ab":
        (raw / "c").mkdir(parents=True, exist_ok=True)
        (raw / "c" / f"{name}.jpg").write_bytes(jpeg(random.Random(0)))
    options = Options(root=raw, dest=str(out), maxcount=1, workers=0)
    convert(options)
    (out / "raw.json").unlink()
    (out / "raw-000001.tar").unlink()
    for name in "ab":
        (raw / "c" / f"{name}.jpg").rename(raw / "c" / f"{name}.png")
    with pytest.raises(DestinationError, match="names or sizes of files, or classes, differ"):
        convert(options)


@pytest.mark.parametrize("layout", ["folders", "csv"])
def test_bytes_do_not_depend_on_the_locale(tmp_path: Path, layout: str) -> None:
    """Names with umlauts are stored alike where the system's encoding is ASCII."""
    raw = tmp_path / "raw"
    (raw / "rös").mkdir(parents=True)
    (raw / "rös" / "é.jpg").write_bytes(jpeg(random.Random(0)))
    if layout == "csv":
        (raw / "metadata.csv").write_text("file_name,label\nrös/é.jpg,ü\n", encoding="utf-8")
    found = []
    for name in ("C.UTF-8", "C"):
        locale = {"LC_ALL": name, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        command = [*COMMAND, "--root", str(raw), "--dest", str(tmp_path / name), "--workers", "0"]
        subprocess.run(command, env={**ENVIRONMENT, **locale}, check=True, capture_output=True)
        found.append(digests(tmp_path / name))
    assert found[0] == found[1]
