"""Options and kinds of data sets: each option with each kind, and the names of fields."""

from __future__ import annotations

from typing import Any

import pytest

from parallel_sharder import Options
from parallel_sharder.errors import OptionsError
from parallel_sharder.model import SetKind
from parallel_sharder.option_kinds import unfit_for

KINDS = {
    "ImageNet": SetKind("tree", "", "train", "raw"),
    "class folders": SetKind("folders", "folders", "train", "raw"),
    "tables": SetKind("table", "table", None, "raw"),
    "shards": SetKind("shards", "shards", None, "raw"),
}

IMAGES = ("ImageNet", "class folders", "tables")

FITS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "annotations": ("boxes", ("ImageNet",)),
    "xml_root": ("x", ("ImageNet",)),
    "check_archives": (True, ("ImageNet",)),
    "meta": ("x", IMAGES),
    "with_": ("txt,json", ("class folders",)),
    "image_field": ("jpg", ("class folders", "tables")),
    "table": ("x.csv", ("tables",)),
    "image": ("a", ("tables",)),
    "label": ("a", ("tables",)),
    "caption": ("a", ("tables",)),
    "key": ("a", ("tables",)),
    "columns": ("a,b", ("tables",)),
    "keep": ("x", ("shards",)),
    "drop": ("x", ("shards",)),
    "where": ("cls == 1", ("shards",)),
    "rename_keys": (True, ("shards",)),
    "on_duplicate": ("skip", ("shards",)),
    "apart": ("join", ("shards",)),
}
"""A value of each option that is not for all kinds, and the kinds that it is for."""


@pytest.mark.parametrize("kind", KINDS)
def test_options_that_are_not_given_fit_each_kind(kind: str) -> None:
    """Nothing is said of what nobody has typed."""
    assert [] == unfit_for(Options(root="/raw"), KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", FITS)
def test_each_option_with_each_kind(field: str, kind: str) -> None:
    """An option is refused where it would be without effect, with its value, what it is for, and what was found."""
    value, kinds = FITS[field]
    complaints = unfit_for(Options(root="/raw", **{field: value}), KINDS[kind])
    if kind in kinds:
        assert [] == complaints
        return
    option = f"--{field.rstrip('_').replace('_', '-')}" + ("" if value is True else f" {value}")
    article = {"tables": "a table"}.get(kind, kind)
    whom = " and ".join(kinds)
    assert [
        f"{option} is for {whom}, and /raw was found as {article}; leave it out, or choose another --layout"
    ] == complaints


def test_all_complaints_come_at_once() -> None:
    """Whoever has several such options hears of each, as the error that stops the run."""
    options = Options(root="/raw", annotations="none", keep="x", labels="devkit")
    with pytest.raises(OptionsError) as caught:
        options.settled(KINDS["class folders"])
    assert ["annotations none", "labels devkit", "keep x"] == [
        " ".join(line.lstrip("- ").split()[:2]) for line in str(caught.value).split("\n")
    ]


@pytest.mark.parametrize("labels", ["devkit", "sorted"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_orders_of_labels_are_imagenets(kind: str, labels: Any) -> None:
    """Other sets have one order, which is the sorted one; how their classes are numbered is said."""
    complaints = unfit_for(Options(root="/raw", labels=labels), KINDS[kind])
    said = {
        "ImageNet": [],
        "shards": ["samples keep their labels"],
        "class folders": ["classes are numbered from 0, sorted by name, or as --meta lists them"],
    }
    said["tables"] = said["class folders"]
    if labels == "sorted":
        said |= {"class folders": [], "tables": []}
    assert said[kind] == [text.rpartition("leave it out: ")[2] for text in complaints]


def test_splits_where_there_are_none() -> None:
    """Neither --split nor a name that has the split in it means anything there."""
    [one, other] = unfit_for(Options(root="/raw", split="val", dest="out/{split}-%06d.tar"), KINDS["tables"])
    assert "--split val: /raw was found as a table, without splits; leave --split out" == one
    assert "--dest out/{split}-%06d.tar: /raw was found as a table, without splits; leave {split} out" == other


def test_several_roots_are_for_shards() -> None:
    """Of all else there is one."""
    options = Options(root=["/a", "/b"])
    assert [] == unfit_for(options, KINDS["shards"])
    assert ["--root is given 2 times, which is for shards, and /a, /b was found as a table; name one"] == unfit_for(
        options, KINDS["tables"]
    )


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"with_": "jpeg"}, "with jpeg: files that end so are images, and each image is a sample of its own"),
        ({"with_": ["txt", "PNG"]}, "with png: files that end so are images"),
        ({"with_": "cls"}, "with cls: a field's name has 1 to 19 letters and digits, and is not cls"),
        ({"with_": "txt,row"}, "with row: this tool has that name for a part of its own"),
        ({"with_": "image"}, "with image: this tool has that name for a part of its own"),
        ({"with_": "a b"}, "with a b: a field's name has 1 to 19 letters and digits"),
        ({"with_": "a" * 20}, f"with {'a' * 20}: a field's name has 1 to 19"),
        ({"image_field": "JPG"}, "image_field JPG: a field's name has 1 to 19 small letters and digits"),
        ({"image_field": "json"}, "image_field json: a field's name"),
        ({"image_field": "cls"}, "image_field cls: a field's name"),
        ({"image_field": ""}, "image_field : a field's name"),
        ({"image_field": 7}, "image_field 7: a field's name"),
        ({"image_field": "mask", "with_": "mask"}, "image_field mask is a field of --with too; no field can be in a"),
    ],
)
def test_names_of_fields_that_cannot_be(choices: dict[str, Any], complaint: str) -> None:
    """They are refused before anything is looked for."""
    with pytest.raises(OptionsError) as caught:
        Options(**choices)
    assert complaint.replace("--", "") in str(caught.value).replace("--", "")


def test_names_of_side_files_as_people_write_them() -> None:
    """With a dot or without, in any case, in one text or several."""
    assert ("txt", "json") == Options(with_=".TXT,json,txt").with_ == Options(with_=[".txt", "JSON"]).with_
