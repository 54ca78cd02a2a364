"""The table's scan: rows become a Listing, and what is left out is named."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.engines import open_engine
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, Role
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.key_rule import key_of
from parallel_sharder.sources.source import SourceOptions, selected
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.table import numbering, table
from parallel_sharder.sources.table.source import TableSource
from parallel_sharder.stores.blob import listed_blob


def write(root: Path, rows: str, *images: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "t.csv").write_text(rows)
    for image in images:
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).write_bytes(image.encode())
    return root


@contextmanager
def scanned(root: Path, **choices: Any) -> Iterator[Listing]:
    options = SourceOptions(root=(str(root),), **{"table": root / "t.csv", **choices})
    with open_engine(0) as engine, TableSource(options) as source:
        yield source.scan(engine, Silent(), Scratch())


def samples(listing: Listing) -> dict[str, tuple[Any, ...]]:
    """Each sample by its key: label, name of the image, caption, and row."""
    found = {}
    for row, key in enumerate(listing.keys):
        index = int(listing.class_index[row])
        label = None if index < 0 else listing.classes[index].label if listing.classes else index
        image, *texts = (listed_blob(listing, part, row) for part in listing.parts)
        assert image is not None
        contents = [None if text is None else text.read().decode() for text in texts]
        assert image.path.endswith(image.read().decode())
        found[key.decode()] = (label, listing.name_of(listing.part(Role.IMAGE), row), *contents)
    return found


def test_rows_are_samples(tmp_path: Path) -> None:
    """A sample has its label, image, caption, and all other columns behind the file's name."""
    root = write(
        tmp_path,
        'image,label,caption,n,s\nb/x y.JPG,dog,"a\nb",1,007\na.png,cat,c\u00e4t,,\n',
        "b/x y.JPG",
        "a.png",
    )
    with scanned(root) as listing:
        assert {
            "a": (0, "a.png", "c\u00e4t", '"filename": "a.png", "n": null, "s": null'),
            "b/x=20y": (1, "b/x y.JPG", "a\nb", '"filename": "b/x y.JPG", "n": 1, "s": "007"'),
        } == samples(listing)
        assert [("cat", 0), ("dog", 1)] == [(each.id, each.label) for each in listing.classes]
        assert () == listing.problems


def test_rows_without_a_file_are_left_out_and_named(tmp_path: Path) -> None:
    """So are files that cannot be read, and those that are no images; the reason is a kind."""
    rows = "image\na.jpg\nno.jpg\nd.jpg\nx.txt\nlink.jpg\nb\\c.jpg\n"
    root = write(tmp_path, rows, "a.jpg", "x.txt")
    (root / "d.jpg").mkdir()
    (root / "link.jpg").symlink_to("gone.jpg")
    with scanned(root) as listing:
        assert ["a"] == [*samples(listing)]
        found = {os.path.basename(problem.path): (problem.kind, problem.detail) for problem in listing.problems}
        assert {
            "no.jpg": (Kind.NO_FILE, "row 2 of the table names it"),
            "d.jpg": (Kind.UNREADABLE, "a folder, not a regular file; row 3 of the table names it"),
            "x.txt": (Kind.OTHER_ENDING, "row 4 of the table names it; --image-field stores files of any ending"),
            "link.jpg": (Kind.UNREADABLE, "a broken link to gone.jpg; row 5 of the table names it"),
            "b\\c.jpg": (
                Kind.NO_FILE,
                "row 6 of the table names it; its path has backslashes, and this system's have slashes",
            ),
        } == found
        assert 5 == listing.left_out
    with scanned(root, image_field="jpg") as listing:
        assert ["a", "x"] == [*samples(listing)]


def test_files_without_a_row_are_counted(tmp_path: Path) -> None:
    """Images and other files, at any depth; a link that leads back is not followed for ever."""
    root = write(tmp_path, "image\na.jpg\nsub/b.jpg\n", "a.jpg", "sub/b.jpg", "sub/c.jpg", "sub/deep/d.PNG", "n.txt")
    (root / "sub" / "back").symlink_to("..")
    with scanned(root) as listing:
        assert (
            f"2 images below {root} are named by no row, and not converted; the first: sub/c.jpg.",
            f"1 other file is below {root}, which no row needs: 1 .txt.",
        ) == listing.notices


def test_files_that_rows_name_are_not_counted(tmp_path: Path) -> None:
    """Not under an ending that is no image's either, stored or not; and a link to itself is a file like others."""
    root = write(tmp_path / "raw", "image\n1.jpg\n2.xyz\n", "1.jpg", "2.xyz", "3.xyz")
    (root / "loop").symlink_to("loop")
    counted = f"2 other files are below {root}, which no row needs: 1 of other names, 1 .xyz."
    for choices in ({}, {"image_field": "img"}):
        with scanned(root, **choices) as listing:
            assert len(choices) + 1 == len(listing)
            assert [counted] == [notice for notice in listing.notices if "no row" in notice]


def test_batches_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one image and twins are told apart across batches, and the digest is that of the rows."""
    rows = "image,caption,label,id\na.jpg,one,1,k\nb.jpg,two,2,l\na.jpg,,1,m\nb.png,four,3,n\ngone.jpg,,1,o\n"
    root = write(tmp_path, rows, "a.jpg", "b.jpg", "b.png")
    digests: dict[str, set[str]] = {"": set(), "id": set()}
    for batch_rows in (1, 2, 100):
        monkeypatch.setattr("parallel_sharder.sources.table.csv_table.BATCH_ROWS", batch_rows)
        for key, found in digests.items():
            with scanned(root, key=key) as listing:
                found.add(listing.selection["rows"])
        with scanned(root) as listing:
            assert {"a=231": "one", "a=233": None, "b=2Ejpg": "two", "b=2Epng": "four"} == {
                key: sample[2] for key, sample in samples(listing).items()
            }
            # Of the two rows without a caption one is not stored.
            assert "1 row has no caption, and no txt is stored for them." in listing.notices
    assert [1, 1] == [*map(len, digests.values())]
    assert 2 == len(set[str]().union(*digests.values()))


def test_what_selects_rows_is_enough_to_read_them_again(tmp_path: Path) -> None:
    """The selection is JSON, and names the table relative to the root: the set may be mounted elsewhere."""
    root = write(tmp_path / "one", "img,lab,caption,id,x,y\na.jpg,3,c,k1,5,6\n", "a.jpg")
    choices = {"image": "img", "label": "lab", "caption": "", "key": "id", "columns": ("y",)}
    with scanned(root, **choices) as listing:
        first = samples(listing)
        assert {"k1": (3, "a.jpg", '"filename": "a.jpg", "y": 6')} == first
        selection = json.loads(json.dumps(listing.selection))
    moved = root.rename(tmp_path / "two")
    with scanned(moved, **selected(selection, str(moved))) as listing:
        assert first == samples(listing)
        assert selection == listing.selection


def test_the_digest_is_of_the_rows(tmp_path: Path) -> None:
    """Another label, caption, path or cell is another table; another column that is not read is not."""
    root = write(tmp_path, "", "a.jpg", "b.jpg")
    digests = []
    for row in ("a.jpg,x,c,1,0", "b.jpg,x,c,1,0", "a.jpg,y,c,1,0", "a.jpg,x,d,1,0", "a.jpg,x,c,2,0", "a.jpg,x,c,1,9"):
        write(root, f"image,label,caption,n,unread\n{row}\nb.jpg,y,c,1,0\n")
        with scanned(root, columns=("n",)) as listing:
            digests.append(listing.selection["rows"])
    assert 5 == len({*digests[:5]})
    assert digests[0] == digests[5]


def test_many_labels_belong_to_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit there is no class table, and the row has the name of its class."""
    monkeypatch.setattr(numbering, "TABLE_LIMIT", 1)
    root = write(tmp_path, "image,label\na.jpg,dog\nb.jpg,cat\n", "a.jpg", "b.jpg")
    with scanned(root) as listing:
        assert (True, ()) == (listing.has_row_labels, listing.classes)
        assert (1, "a.jpg", '"cname": "dog", "filename": "a.jpg"') == samples(listing)["a"]
    root = write(tmp_path, "image,label\na.jpg,70\nb.jpg,50\n")
    with scanned(root) as listing:
        assert (70, "a.jpg", '"filename": "a.jpg"') == samples(listing)["a"]


def test_a_list_orders_the_classes(tmp_path: Path) -> None:
    """Verify has the classes instead of the list, and gets the same labels."""
    root = write(tmp_path, "image,label\na.jpg,dog\nb.jpg,cat\n", "a.jpg", "b.jpg")
    (tmp_path / "names").write_text("dog\ta good one\nfox\ncat\n")
    with scanned(root, meta=tmp_path / "names") as listing:
        first, classes = samples(listing), listing.classes
        assert (0, 2) == (first["a"][0], first["b"][0])
        assert ["a good one", "fox", "cat"] == [each.name for each in classes]
        assert 32 == len(listing.selection["meta"])
    with scanned(root, known_classes=classes) as listing:
        assert (first, classes) == (samples(listing), listing.classes)


def test_own_columns_of_the_name(tmp_path: Path) -> None:
    """A column `filename` takes the place of the file's name in the JSON, which is told."""
    root = write(tmp_path, "image,filename\na.jpg,other\n", "a.jpg")
    with scanned(root) as listing:
        assert {"a": (None, "a.jpg", '"filename": "other"')} == samples(listing)
        assert any("column filename stands in the JSON" in notice for notice in listing.notices)


def test_absolute_paths(tmp_path: Path) -> None:
    """Below the root they are as relative ones; elsewhere they are read too."""
    root, other = write(tmp_path / "r", "", "a.jpg"), write(tmp_path / "o", "", "b.jpg")
    write(root, f"image\n{root}/a.jpg\n{other}/b.jpg\n../o/b.jpg\n")
    with scanned(root) as listing:
        image = listing.part(Role.IMAGE)
        paths = [os.path.realpath(listing.path_of(image, row)) for row in range(len(listing))]
        assert sorted([f"{root}/a.jpg", f"{other}/b.jpg", f"{other}/b.jpg"]) == sorted(paths)
        assert {b"a", b"=2E=2E/o/b"} < {*listing.keys}


def test_names_are_kept_where_they_do_not_follow_from_the_key(tmp_path: Path) -> None:
    """Each sample has its own file: names with usual endings and others, twins, rows of one image, absolute paths."""
    there = ["p/a.JPEG", "b.jpeg", "c.jpg", "c.png", "d.Png", "e.f.jpg", "_g.jpg", "p/h.gif"]
    root = write(tmp_path / "raw", "", *there)
    elsewhere = write(tmp_path / "other", "", "i.jpg") / "i.jpg"
    elsewhere.write_text(str(elsewhere))
    rows = [*there, "b.jpeg", "gone.JPEG", str(elsewhere)]
    (root / "t.csv").write_text("image\n" + "".join(f"{row}\n" for row in rows))
    with scanned(root) as listing:
        of_elsewhere = key_of(str(elsewhere)[1:-4].encode()).decode()
        assert {
            "p/a": "p/a.JPEG", "b=232": "b.jpeg", "b=239": "b.jpeg", "c=2Ejpg": "c.jpg", "c=2Epng": "c.png",
            "d": "d.Png", "e=2Ef": "e.f.jpg", "=5Fg": "_g.jpg", "p/h": "p/h.gif", of_elsewhere: str(elsewhere)[1:],
        } == {key: name for key, (_, name, _) in samples(listing).items()}  # fmt: skip
        assert [str(root / "gone.JPEG")] == [problem.path for problem in listing.problems]
        assert (".JPEG", ".Png", ".gif", ".jpeg", ".jpg", ".png") == listing.part(Role.IMAGE).endings


def test_a_split_is_a_folder(tmp_path: Path) -> None:
    """Rows of other folders are not of the set; names and keys are those below the split."""
    root = write(tmp_path, "image\ntrain/a.jpg\nval/b.jpg\n", "train/a.jpg", "val/b.jpg")
    with scanned(root, split="val") as listing:
        assert {"b": (None, "b.jpg", '"filename": "b.jpg"')} == samples(listing)
    write(tmp_path, "image\ntrain/a.jpg\n")
    with pytest.raises(SourceError, match="none of 1 row of .* names an image in .*/val"), scanned(root, split="val"):
        pass


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("image\n", "has no rows"),
        ("image\nno.jpg\n", r"none of 1 row of .* the first: .*/no\.jpg: row of a table without its file\. Name the"),
    ],
)
def test_tables_without_samples_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    """The message has the remedy."""
    with pytest.raises(SourceError, match=message), scanned(write(tmp_path, rows)):
        pass


def test_a_table_that_changes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read twice, and the second pass may be of other rows."""
    root = write(tmp_path, "image\na.jpg\n", "a.jpg")
    before = table.Table.texts_of

    def and_grow(*arguments: Any) -> Any:
        os.utime(root / "t.jsonl", ns=(1, 1))
        return before(*arguments)

    (root / "t.jsonl").write_text('{"image": "a.jpg", "x": 1}\n')
    monkeypatch.setattr(table.Table, "texts_of", and_grow)
    with pytest.raises(SourceError, match="has changed while it was read"), scanned(root, table=root / "t.jsonl"):
        pass


def test_a_class_list_that_is_not_there(tmp_path: Path) -> None:
    """It is named even if the table has no label to number by it."""
    root = write(tmp_path, "image\na.jpg\n", "a.jpg")
    with pytest.raises(SourceError, match=r"/no.txt cannot be read: No such file"), scanned(root, meta=root / "no.txt"):
        pass


def test_half_a_surrogate_pair_is_no_caption(tmp_path: Path) -> None:
    """The row is named."""
    root = write(tmp_path, "", "a.jpg")
    (root / "t.jsonl").write_text('{"image": "a.jpg", "caption": "\\ud800"}\n')
    with (
        pytest.raises(SourceError, match="row 1, column 'caption': it has half a"),
        scanned(root, table=root / "t.jsonl"),
    ):
        pass


def test_a_preview_spools_nothing(tmp_path: Path) -> None:
    """The sizes are the same."""
    root = write(tmp_path, "image,caption\na.jpg,abc\n", "a.jpg")
    options = SourceOptions(root=(str(root),), table=root / "t.csv")
    with open_engine(0) as engine, TableSource(options) as source:
        listing = source.scan(engine, Silent(), dataclasses.replace(Scratch(), is_preview=True))
        assert 3 + len('"filename": "a.jpg"') == source.spool_bytes(listing)
    assert {"t.csv", "a.jpg"} == {path.name for path in root.iterdir()}


def test_all_splits_number_their_classes_alike(tmp_path: Path) -> None:
    """Where each split has a table of its own, a label means one class, also where a split lacks one before it."""
    for split, rows in (("train", "a.jpg,x\nb.jpg,y\nc.jpg,z\n"), ("val", "a.jpg,x\nb.jpg,z\n")):
        write(tmp_path / split, "", "a.jpg", "b.jpg", "c.jpg")
        (tmp_path / split / "metadata.csv").write_text(f"file_name,label\n{rows}")
    found = {}
    for split in ("train", "val"):
        with scanned(tmp_path, table=None, split=split) as listing:
            found[split] = {each.id: each.label for each in listing.classes}
            labels = {key: sample[0] for key, sample in samples(listing).items()}
            told = [each for each in listing.notices if "class" in each]
    assert {"train": {"x": 0, "y": 1, "z": 2}, "val": {"x": 0, "y": 1, "z": 2}} == found
    assert {"a": 0, "b": 2} == labels
    assert ["1 known class has no row, and keeps its number; the first: y."] == told


def test_the_caption_and_the_image_are_two_fields(tmp_path: Path) -> None:
    """--image-field txt is refused where captions are stored, and not without them."""
    root = write(tmp_path, "image,caption\na.jpg,b\n", "a.jpg")
    with (
        pytest.raises(SourceError, match="field txt would store the images there too"),
        scanned(root, image_field="txt"),
    ):
        pass
    with scanned(root, image_field="txt", caption="") as listing:
        assert 1 == len(listing)


@pytest.mark.parametrize(("label", "is_told"), [("x", True), ("7", False)])
def test_the_folder_of_a_split_as_root_is_told(tmp_path: Path, label: str, is_told: bool) -> None:
    """Its texts are numbered without those of train; whole numbers stay, wherever they are."""
    write(tmp_path / "train", "").joinpath("metadata.csv").write_text("file_name,label\na.jpg,a\n")
    write(tmp_path / "val", "", "a.jpg").joinpath("metadata.csv").write_text(f"file_name,label\na.jpg,{label}\n")
    with scanned(tmp_path / "val", table=None) as listing:
        told = [each for each in listing.notices if "numbers them as train's" in each]
    assert is_told == bool(told)
