"""Report: a page of each set, whatever is known of it; and after a conversion, which it never fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parallel_sharder import Options, ReportOptions, convert, report_shards
from parallel_sharder.cli.main import main as command_line
from parallel_sharder.errors import DestinationError, MissingPackageError, OptionsError, SourceError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.pages import after, drawn
from parallel_sharder.pages.page_file import MARK
from tests import made
from tests.pages import charts_of, class_folders, converted, data_of, jpeg, page_of, reported, shard_with_boxes, text_of
from tests.shard_files import write_shard

CLASSES = {"cat": 9, "dog": 5, "newt": 2}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("top") / "pets", CLASSES)


@pytest.fixture(scope="module")
def once(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set."""
    folder = tmp_path_factory.mktemp("shards")
    converted(raw, folder)
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(once, tmp_path / "shards"))


def test_whole_page(folder: Path, raw: Path) -> None:
    """It has the facts of the set, the run, the data, and pictures; it lies beside the shards, and needs no network."""
    [made_page] = reported(folder).pages
    assert str(folder / "pets.report.html") == made_page.path
    assert (16, 16, ()) == (made_page.looked_at, made_page.samples, made_page.wrong)
    page = Path(made_page.path).read_text("utf-8")
    assert len(page.encode()) == made_page.page_bytes
    text = text_of(page)
    for words in (
        "16 samples in 4 shards",
        "made by parallel_sharder",
        "Nothing that is known: no sample is left out",
        "parallel-sharder --root ROOT --dest DEST/pets-%06d.tar --layout folders --maxcount 4",
        "DEST/pets-{000000..000003}.tar",
        "What held it back",
        "3 classes have from 2 to 9 images",
        "Sizes, formats and boxes are of all 16 samples",
        "All images are .jpg.",
        "Each shard has 4 samples.",
        "Random samples",
    ):
        assert words in text, words
    assert 16 == page.count('<img src="data:image/jpeg;base64,')
    assert "default-src 'none'" in page
    for address in ("http:", "https:", "//"):
        assert f'src="{address}' not in page
        assert f'href="{address}' not in page
    assert str(raw.parent) not in page
    assert str(folder.parent) not in page
    charts = charts_of(page)
    assert {"images-rate", "bytes-rate", "lanes", "at-once", "classes", "shard-bytes"} <= charts.keys()
    assert [9, 5, 2] == charts["classes"]["curves"][0]["values"]
    assert 4 == len(charts["lanes"]["bars"])
    [table] = data_of(page)["tables"]
    assert [["cat", 9], ["dog", 5], ["newt", 2]] == [row[1:3] for row in table["rows"]]


def test_shards_stay_as_they_are(folder: Path) -> None:
    """Nothing but the page is written, and a second page replaces it."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    reported(folder)
    reported(folder)
    after_ = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"pets.report.html"} == after_.keys() - before.keys()
    assert before.items() <= after_.items()


def test_named_file(folder: Path, tmp_path: Path) -> None:
    """--to names it; one of ours is replaced, and another file, a folder or a link never."""
    page = tmp_path / "page.html"
    assert [str(page)] == [each.path for each in reported(folder, to=page).pages]
    assert page.read_bytes().startswith(MARK)
    reported(folder, to=page)
    other = tmp_path / "notes.html"
    other.write_text("mine")
    with pytest.raises(DestinationError, match=r"notes.html is there, and is no page of this tool, so it stays"):
        reported(folder, to=other)
    assert "mine" == other.read_text()
    other.unlink()
    other.mkdir()
    with pytest.raises(DestinationError, match=r"notes.html is there, and is no page of this tool, so it stays"):
        reported(folder, to=other)
    assert other.is_dir()
    with pytest.raises(DestinationError, match=r"none/page.html cannot be written: No such file.* with to\."):
        reported(folder, to=tmp_path / "none" / "page.html")


def test_taken_default(folder: Path) -> None:
    """A foreign file under the page's own name stays too."""
    (folder / "pets.report.html").write_text("mine")
    with pytest.raises(DestinationError, match=r"Name another file with to"):
        reported(folder)
    assert "mine" == (folder / "pets.report.html").read_text()


def test_several_sets(folder: Path, raw: Path) -> None:
    """Each has its page; one file cannot have all."""
    converted(raw, folder / "more-%04d.tar")
    pages = reported(folder).pages
    assert ["more.report.html", "pets.report.html"] == [os.path.basename(each.path) for each in pages]
    with pytest.raises(DestinationError, match=r"holds 2 sets, and to names one file"):
        reported(folder, to=folder / "page.html")


def test_part_of_a_set(folder: Path) -> None:
    """A page is of all shards of a set."""
    with pytest.raises(DestinationError, match=r"names a part of a set"):
        reported(folder / "pets-000001.tar")


def test_left_out_and_problems(raw: Path, tmp_path: Path) -> None:
    """What is missing stands first, with names; the table has each problem, with its path relative to the root."""
    source = Path(shutil.copytree(raw, tmp_path / "pets"))
    (source / "dog" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    assert 3 == converted(source, tmp_path / "out").exit_code
    [made_page] = reported(tmp_path / "out").pages
    [wrong] = made_page.wrong
    assert wrong.is_bad
    assert wrong.text.startswith("1 left out: image is broken (")
    page = Path(made_page.path).read_text("utf-8")
    assert text_of(page).index("1 left out: image is broken") < text_of(page).index("What held it back")
    [problem] = next(table["rows"] for table in data_of(page)["tables"] if table["id"] == "problem-table")
    assert "ROOT/dog/broken.jpg" == problem[0]
    assert str(tmp_path) not in page


def test_stopped_and_continued(raw: Path, tmp_path: Path) -> None:
    """Both runs are told, and the bars of the second are marked."""

    class Stopping(Recording):
        def progress(self, samples: int, tar_bytes: int) -> None:
            if samples >= 8:
                raise KeyboardInterrupt

    options = Options(root=str(raw), dest=str(tmp_path), workers=0, maxcount=4)
    with pytest.raises(KeyboardInterrupt):
        convert(options, Stopping())
    half = page_of(tmp_path)
    assert "The set is not finished: " in text_of(half)
    assert "of 4 shards are done. parallel-sharder status says what makes the rest." in text_of(half)
    assert "(1 stopped)" in text_of(half)
    convert(options)
    page = page_of(tmp_path)
    assert "2 (1 done, 1 stopped)" in text_of(page)
    marks = [bar[3] for bar in charts_of(page)["lanes"]["bars"]]
    assert (4, {0, 1}) == (len(marks), set(marks))
    assert "made by a continued run" in text_of(page)


def test_without_events(folder: Path) -> None:
    """The data are told all the same, and why nothing is said of the run."""
    (folder / ".pets.run.jsonl").unlink()
    page = page_of(folder)
    assert "Nothing is recorded of the runs that made this set" in text_of(page)
    assert "classes" in charts_of(page)
    assert "lanes" not in charts_of(page)


def test_events_of_other_shards(folder: Path, raw: Path, tmp_path: Path) -> None:
    """They are not taken for the set's own."""
    converted(raw, tmp_path / "other", maxcount=8)
    shutil.copy(tmp_path / "other" / ".pets.run.jsonl", folder / ".pets.run.jsonl")
    assert "is not of these shards: their sizes differ" in text_of(page_of(folder))


@pytest.mark.parametrize("left", [0.3, 0.6, 0.97])
def test_events_that_are_cut(folder: Path, left: float) -> None:
    """What is there is shown, and that something is lost is said."""
    events = folder / ".pets.run.jsonl"
    data = events.read_bytes()
    events.write_bytes(data[: int(len(data) * left)])
    assert "1 line of the record of runs could not be read" in text_of(page_of(folder))


def test_shard_that_is_gone(folder: Path) -> None:
    """It is said to be missing, and the others are shown."""
    (folder / "pets-000002.tar").unlink()
    page = page_of(folder)
    assert "1 shard of the manifest is missing: pets-000002.tar." in text_of(page)
    assert 12 == page.count("<img ")


def test_shard_that_is_cut(folder: Path) -> None:
    """The damage is named, and what comes before it is shown."""
    shard = folder / "pets-000001.tar"
    os.truncate(shard, shard.stat().st_size // 2)
    text = text_of(page_of(folder))
    assert "Damaged: DEST/pets-000001.tar" in text


def test_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    """Its place on the sheet says so, and it is named above."""
    shard = shard_with_boxes(tmp_path / "x-000.tar", [jpeg(), b"\xff\xd8\xff no image"])
    page = page_of(shard)
    assert "1 image of the contact sheet cannot be decoded: x-000_1." in text_of(page)
    assert "the image cannot be decoded" in text_of(page)
    assert 1 == page.count("<img ")


def test_foreign_shards(tmp_path: Path) -> None:
    """Of another tool's shards the data are told, with the labels that were met; and boxes are drawn."""
    for number in range(3):
        shard_with_boxes(
            tmp_path / f"other-{number:03}.tar", [jpeg()] * 4, label=number % 2, name=f"class {number % 2}"
        )
    page = page_of(tmp_path / "other-%03d.tar")
    text = text_of(page)
    assert (tmp_path / "other.report.html").exists()
    assert "12 samples in 3 shards" in text
    assert "100.0% of the samples have boxes, 1.0 each on average." in text
    assert "with 1 box drawn" in page
    assert [["class 0", 8], ["class 1", 4]] == [row[1:3] for row in data_of(page)["tables"][0]["rows"]]
    assert "What is wrong" in text


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.zst"])
def test_compressed_shards(raw: Path, tmp_path: Path, ending: str) -> None:
    """They are read in their order, and look the same."""
    converted(raw, tmp_path / f"pets-%03d{ending}")
    page = page_of(tmp_path)
    assert 16 == page.count("<img ")
    assert [9, 5, 2] == charts_of(page)["classes"]["curves"][0]["values"]


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e]]>"


def test_markup_in_names(tmp_path: Path) -> None:
    """It shows as text, in the document and in the data for the script."""
    (tmp_path / "sets <b>").mkdir()
    shard = tmp_path / "sets <b>" / "x<i>-000.tar"
    values = {"cls": 3, "cname": HOSTILE}
    write_shard(shard, [(f"k{HOSTILE[:8]}.jpg", jpeg()), (f"k{HOSTILE[:8]}.json", json.dumps(values).encode())])
    page = page_of(shard)
    for markup in ("<script>alert", "<img src=x", "x<i>", "<b>"):
        assert markup not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    assert "<script>alert(1)</script>" in data_of(page)["tables"][0]["rows"][0][1]
    assert 3 == page.count("</script>")


def test_labels_that_are_text(tmp_path: Path) -> None:
    """And ones of both kinds, and samples without any."""
    labels = ["a", 3, None, "3"]
    members = []
    for number, label in enumerate(labels):
        members += [(f"k{number}.jpg", jpeg()), (f"k{number}.json", json.dumps({"cls": label}).encode())]
    page = page_of(write_shard(tmp_path / "x-000.tar", members))
    assert {"3", "a"} == {str(row[0]) for row in data_of(page)["tables"][0]["rows"]}


def test_one_sample(tmp_path: Path) -> None:
    """No chart is drawn that would say nothing."""
    class_folders(tmp_path / "one", {"cat": 1})
    converted(tmp_path / "one", tmp_path / "out")
    page = page_of(tmp_path / "out")
    text = text_of(page)
    assert "All samples are of one class, cat." in text
    assert "The one shard has 1 sample." in text
    assert {"images-rate", "bytes-rate", "lanes", "at-once"} >= charts_of(page).keys() - {
        "processors",
        "memory",
        "disks",
    }


def test_many_classes(tmp_path: Path) -> None:
    """20,000 are a table of as many rows, of which a few are in the document; a sheet cannot have them all."""
    members = []
    image = jpeg(size=(300, 200))
    for number in range(2500):
        members += [(f"k{number:05}.cls", str(number).encode()), (f"k{number:05}.jpg", image)]
    shard = write_shard(tmp_path / "x-000.tar", members)
    page = page_of(shard, sheet="classes")
    [table] = data_of(page)["tables"]
    assert 2500 == len(table["rows"])
    assert page.count("<tr>") < 40
    assert "A sheet of classes has at most 2,000, and the set has 2,500." in text_of(page)
    assert "2,500 classes have 1 image each." in text_of(page)


def test_sheet_of_classes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class has one picture, in the order of labels; one that was not drawn is looked for in all shards."""
    for limit in (drawn.LOOKED_AT, 1):
        monkeypatch.setattr(drawn, "LOOKED_AT", limit)
        page = page_of(folder, sheet="classes")
        assert 3 == page.count("<img ")
        places = [page.index(f'<span class="label">{number} {name}') for number, name in enumerate(CLASSES)]
        assert sorted(places) == places


def test_without_images(folder: Path) -> None:
    """--no-images leaves all pictures out."""
    page = page_of(folder, images=False)
    assert "<img" not in page
    assert "The page was made with --no-images." in text_of(page)


def test_drawn_samples(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large set whole random shards are looked at if it was shuffled, else random rows; the page says which."""
    monkeypatch.setattr(drawn, "LOOKED_AT", 7)
    converted(raw, tmp_path / "shuffled")
    converted(raw, tmp_path / "sorted", shuffle=False)
    [whole] = reported(tmp_path / "shuffled").pages
    assert (8, 16) == (whole.looked_at, whole.samples)
    assert "are of 8 of 16 samples, all of 2 random shards." in text_of(Path(whole.path).read_text("utf-8"))
    [rows] = reported(tmp_path / "sorted").pages
    assert 7 == rows.looked_at
    assert "7 of 16 samples, drawn at random." in text_of(Path(rows.path).read_text("utf-8"))
    first = Path(rows.path).read_text("utf-8")
    assert [*_pictures(first)] == [*_pictures(page_of(tmp_path / "sorted"))]
    assert [*_pictures(first)] != [*_pictures(page_of(tmp_path / "sorted", seed=5))]
    for page in (first, page_of(tmp_path / "shuffled")):
        assert "9 images" in text_of(page)  # counts of classes are the manifest's, and whole


def _pictures(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split("data:image/jpeg;base64,")[1:]]


def test_samples_with_a_problem(tmp_path: Path) -> None:
    """Those that are stored all the same have pictures of their own."""
    raw = class_folders(tmp_path / "pets", {"cat": 3})
    (raw / "cat" / "odd.jpg").write_bytes(jpeg()[:-40])
    converted(raw, tmp_path / "out", on_bad="keep")
    text = text_of(page_of(tmp_path / "out"))
    assert "1 reported only, or stored all the same: image is broken (cat/odd)." in text
    assert "Samples with a problem" in text


def test_turned_image(tmp_path: Path) -> None:
    """It is shown as it is displayed, and said so."""
    page = page_of(shard_with_boxes(tmp_path / "x-000.tar", [jpeg(orientation=6)]))
    assert "turned, as its EXIF data ask" in text_of(page)


def test_compared(folder: Path, raw: Path, tmp_path: Path) -> None:
    """Two runs stand side by side, with a chart of both."""
    converted(raw, tmp_path / "other", seed=4, maxcount=8)
    page = page_of(folder, compare=tmp_path / "other")
    text = text_of(page)
    assert "pets (this one)" in text
    assert "pets (the other)" in text
    assert "Shards 4 2" in text
    assert "Seed 0 4" in text
    assert 2 == len(charts_of(page)["compared-rate"]["curves"])
    (tmp_path / "other" / ".pets.run.jsonl").unlink()
    assert "compared-rate" not in charts_of(page_of(folder, compare=tmp_path / "other"))
    with pytest.raises(DestinationError, match="none"):
        reported(folder, compare=tmp_path / "none")


def test_imagenet(tmp_path: Path) -> None:
    """With the class's words, and its split and labels; made images that cannot be decoded are told."""
    made.classic_train(tmp_path / "raw", images=30)
    convert(Options(root=str(tmp_path / "raw"), dest=str(tmp_path / "out"), workers=0))
    text = text_of(page_of(tmp_path / "out"))
    assert "Split train" in text
    assert "in the order devkit" in text
    assert "images of the contact sheet cannot be decoded" in text


def test_nodes(raw: Path, tmp_path: Path) -> None:
    """The runs of all nodes are told."""
    for node in range(2):
        converted(raw, tmp_path, node=f"{node}/2")
    text = text_of(page_of(tmp_path))
    assert "Runs 2" in text
    assert "0/2" in text
    assert "1/2" in text


def test_with_a_conversion(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--report makes the page and the summary names it; also where nothing was left to do."""
    words = ["--root", str(raw), "--dest", str(tmp_path), "--workers", "0", "--report"]
    for _ in range(2):
        assert 0 == command_line(words)
        assert f"page      {tmp_path}/pets.report.html" in capsys.readouterr().out
        (tmp_path / "pets.report.html").unlink()
    assert 0 == command_line([*words, "--json"])
    assert str(tmp_path / "pets.report.html") == json.loads(capsys.readouterr().out)["page"]
    assert (tmp_path / "pets.report.html").read_bytes().startswith(MARK)


def test_page_that_cannot_be_written(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion has succeeded, and its status stays; the notice says why there is no page."""
    (tmp_path / "pets.report.html").write_text("mine")
    report = converted(raw, tmp_path, report=True)
    assert (0, None) == (report.exit_code, report.page_path)
    assert any("The report page was not written: " in notice and "so it stays" in notice for notice in report.notices)
    assert "mine" == (tmp_path / "pets.report.html").read_text()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by a mistake")

    monkeypatch.setattr("parallel_sharder.pages.command.rendered", broken)
    report = converted(raw, tmp_path / "other", report=True)
    assert 0 == report.exit_code
    assert any("ZeroDivisionError: by a mistake" in notice for notice in report.notices)


def test_without_the_packages(folder: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are missed before work begins, and the message has the command that installs them."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"jinja2.*pip install 'parallel_sharder\[report\]'"):
        reported(folder)
    with pytest.raises(MissingPackageError, match="jinja2"):
        converted(raw, tmp_path / "out", report=True)
    assert not (tmp_path / "out").exists()
    after.ready_for_page(Options())


def test_overwrite(raw: Path, folder: Path) -> None:
    """A set that is made anew has no page of the old one; what is no page stays."""
    reported(folder)
    converted(raw, folder, overwrite=True)
    assert not (folder / "pets.report.html").exists()
    (folder / "pets.report.html").write_text("mine")
    converted(raw, folder, overwrite=True)
    assert "mine" == (folder / "pets.report.html").read_text()


def test_verify_is_content(folder: Path) -> None:
    """The page is no deviation, nor taken for a set."""
    from parallel_sharder import VerifyOptions, verify_shards

    reported(folder)
    assert 0 == verify_shards(VerifyOptions(dest=str(folder), workers=0)).exit_code


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where the page is; as JSON too."""
    assert 0 == command_line(["report", str(folder), "--workers", "0"])
    out = capsys.readouterr().out
    assert f"page       {folder}/pets.report.html, " in out
    assert "looked at  all 16 samples" in out
    assert 0 == command_line(["report", str(folder), "--workers", "0", "--json", "--seed", "3"])
    [page] = json.loads(capsys.readouterr().out)["pages"]
    assert (f"{folder}/pets.json", 16, []) == (page["set"], page["samples"], page["wrong"])
    assert 2 == command_line(["report", str(folder), "--sheet", "all"])
    assert "--sheet 'all' is not one of random, classes" in capsys.readouterr().err
    assert 2 == command_line(["report", str(folder), "--out", "x"])
    assert "Did you mean --to?" in capsys.readouterr().err
    assert 1 == command_line(["report", str(folder / "none")])
    assert f"{folder}/none" in capsys.readouterr().err


def test_options() -> None:
    """All complaints come at once."""
    with pytest.raises(OptionsError) as caught:
        ReportOptions(dest="x", sheet="classes", images=False, seed=-1, workers=-2)
    assert 3 == len(caught.value.complaints)


def test_folder_without_a_set(tmp_path: Path) -> None:
    """As the other commands say it."""
    with pytest.raises(DestinationError, match=str(tmp_path)):
        reported(tmp_path)


def test_shard_that_changes_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error with its name: a picture of another sample would mislead."""
    real = drawn.sheet

    def changing(seen: drawn.Drawn, *others: object) -> object:
        shard = folder / "pets-000000.tar"
        shard.write_bytes(shard.read_bytes()[:512] * 4)
        return real(seen, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("parallel_sharder.pages.command.sheet", changing)
    with pytest.raises(SourceError, match=r"pets-000000.tar was changed while it was looked at"):
        reported(folder)


def test_workers(folder: Path) -> None:
    """Processes find the same."""
    alone = page_of(folder)
    assert _pictures(alone) == _pictures(page_of(folder, workers=2))


def test_as_a_program(folder: Path) -> None:
    """As it is typed."""
    done = subprocess.run(
        [sys.executable, "-m", "parallel_sharder", "report", str(folder)], capture_output=True, text=True, check=True
    )
    assert "pets.report.html" in done.stdout
    assert "" == done.stderr or "drawing from shards" in done.stderr


def test_library(folder: Path) -> None:
    """The public function takes the options."""
    assert 1 == len(report_shards(ReportOptions(dest=folder, workers=0)).pages)


def test_no_folder_of_the_host(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is made to be mailed: of an array, whose command is the one that was typed, and from another folder."""
    work = tmp_path / "home of alice"
    shutil.copytree(raw, work / "images")
    (work / "images" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    (work / "classes.txt").write_text("cat\ndog\nnewt\n")
    monkeypatch.chdir(work)
    converted(Path("images"), Path("shards"), node="0/1", meta=str(work / "classes.txt"))
    monkeypatch.chdir("/")
    page = page_of(work / "shards")
    assert "alice" not in page
    assert "--meta '.../classes.txt'" in text_of(page) or "--meta .../classes.txt" in text_of(page)
    assert "where ROOT is the data set's folder" in text_of(page)
    [problem] = next(table["rows"] for table in data_of(page)["tables"] if table["id"] == "problem-table")
    assert "ROOT/cat/broken.jpg" == problem[0]


def test_set_without_a_shard(folder: Path) -> None:
    """The others have their pages, and it is said that it has none."""
    (folder / ".other.journal").write_bytes((folder / ".pets.journal").read_bytes())
    done = reported(folder)
    assert (["pets.report.html"], ("other",)) == ([os.path.basename(page.path) for page in done.pages], done.begun)
    assert "note: other has no shard yet, and so no page" in done.text()


def test_pages_of_one_name(tmp_path: Path) -> None:
    """Two sets of other tools whose pages would have one name are refused, before one replaces the other."""
    for name in ("data-000000.tar", "data_000000.tar"):
        shard_with_boxes(tmp_path / name)
    with pytest.raises(DestinationError, match=r"holds several sets whose page is .*data.report.html"):
        reported(tmp_path)
    (tmp_path / "dots").mkdir()
    for name in ("cc3m.train.tar", "cc3m.val.tar"):
        shard_with_boxes(tmp_path / "dots" / name)
    assert 2 == len({page.path for page in reported(tmp_path / "dots").pages})


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_interrupted_page(raw: Path, tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the page is drawn leaves a finished set, which the summary tells."""

    def stopped(*_: object) -> None:
        raise error

    monkeypatch.setattr("parallel_sharder.pages.command.drawn", stopped)
    report = converted(raw, tmp_path, report=True)
    assert (0, None, 16) == (report.exit_code, report.page_path, report.samples)
    assert any("The set is finished all the same." in notice for notice in report.notices)


@pytest.mark.parametrize("change", ["back", "no time", "far"])
def test_clock_that_is_wrong(folder: Path, change: str) -> None:
    """Events with times that cannot be cost no page."""
    events = folder / ".pets.run.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    for line in lines:
        if line["event"] == "shard":
            line["began"] = line["ended"] + (100 if change == "back" else 0)
        if line["event"] == "end" and change == "far":
            line["time"] = 1e15
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = page_of(folder)
    assert "What held it back" in text_of(page)
    assert ("1 line of the record of runs could not be read" in text_of(page)) == (change == "far")


def test_damaged_manifest(folder: Path) -> None:
    """It is called so, and not a set that is not finished."""
    (folder / "pets.json").write_text("{")
    text = text_of(page_of(folder))
    assert "The manifest, pets.json, is damaged." in text
    assert "not finished" not in text


def test_workers_of_nodes(raw: Path, tmp_path: Path) -> None:
    """Nodes that work one after the other had no more workers than one of them."""
    for node in range(3):
        converted(raw, tmp_path, node=f"{node}/3", workers=2, maxcount=2)
    assert "of 2 workers had a shard." in text_of(page_of(tmp_path))
    assert "Workers 2 (processes)" in text_of(page_of(tmp_path))


def test_what_damage_hides(folder: Path) -> None:
    """Of a damaged set it is not said that its samples are random ones."""
    shard = folder / "pets-000001.tar"
    os.truncate(shard, shard.stat().st_size // 2)
    text = text_of(page_of(folder))
    assert "of damaged shards only what comes before the damage could be looked at" in text
    assert "at random" not in text


@pytest.mark.timeout(30)
def test_pipe_at_the_page(raw: Path, tmp_path: Path) -> None:
    """Nobody waits for its other end."""
    os.mkfifo(tmp_path / "pets.report.html")
    assert any("so it stays" in notice for notice in converted(raw, tmp_path, report=True).notices)
    converted(raw, tmp_path, overwrite=True)
    with pytest.raises(DestinationError, match="so it stays"):
        reported(tmp_path)
