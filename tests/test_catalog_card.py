"""The dataset card: what it tells, of which sets, and that nothing else is overwritten. tests/readers load by it."""

from __future__ import annotations

import ast
import dataclasses
import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parallel_sharder import Options, convert, preview
from parallel_sharder.catalog.card import MARK
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.options import SPLITS, Split
from parallel_sharder.samples.boxes import JSON_FIELDS
from tests import made
from tests.indexed import content_of
from tests.shard_files import write_shard
from tests.test_bad import picture


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train, val and test of Kaggle's tree, with images that have a size."""
    root = tmp_path_factory.mktemp("raw")
    made.kaggle(root)
    for path in root.rglob("*.JPEG"):
        path.write_bytes(picture())
    return root


def run(raw: Path, out: Path, split: Split, **choices: Any) -> str:
    """Convert with a card; its text."""
    choices = {"card": True, "workers": 0, "dest": str(out), **choices}
    convert(Options(root=raw, split=split, **choices))
    return (out / "README.md").read_text()


def front_matter(card: str) -> dict[str, Any]:
    """What the card says to machines."""
    content: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return content


def test_card_of_one_set(raw: Path, tmp_path: Path) -> None:
    """Counts, label order, class table, brace pattern and examples are those of the set; the table has all classes."""
    text = run(raw, tmp_path, "train", shards=3, labels="sorted")
    assert "| train | 40 | 3 |" in text
    assert "`imagenet_train-{000000..000002}.tar` | `imagenet_train.json` |" in text
    assert "`cls` counts from 0 to 999, by the WordNet ID in sorted order" in text
    assert 'wds.WebDataset("imagenet_train-{000000..000002}.tar"' in text
    assert 'wids.ShardListDataset("imagenet_train.json"' in text
    front = front_matter(text)
    [configuration] = front["configs"]
    [info] = front["dataset_info"]
    assert {
        "config_name": "default",
        "data_files": [{"split": "train", "path": "imagenet_train-[0-9][0-9][0-9][0-9][0-9][0-9].tar"}],
    } == configuration
    assert "default" == info["config_name"]
    assert [("__key__", "string"), ("__url__", "string"), ("jpg", "image"), ("cls", "int64"), ("json", "json")] == [
        (field["name"], field["dtype"]) for field in info["features"]
    ]
    assert ["n<1K"] == front["size_categories"]
    table = (tmp_path / "imagenet_train.classes.tsv").read_text().splitlines()
    assert ("label\twnid\tname", 1001) == (table[0], len(table))
    assert f"0\tn01440764\t{made.NAMES['n01440764']}" == table[1]


def test_card_of_all_sets_in_the_folder(raw: Path, tmp_path: Path) -> None:
    """Whatever the order in which they were made: the same card, with a configuration for each form of samples."""
    for folder, splits in (("a", SPLITS), ("b", SPLITS[::-1])):
        for split in splits:
            form = "boxes" if split != "test" else "none"
            run(raw, tmp_path / folder, split, annotations=form)
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")
    text = (tmp_path / "a" / "README.md").read_text()
    front = front_matter(text)
    assert [("default", ["train", "validation"]), ("imagenet_test", ["test"])] == [
        (each["config_name"], [files["split"] for files in each["data_files"]]) for each in front["configs"]
    ]
    assert ["image-classification", "object-detection"] == front["task_categories"]
    struct = front["dataset_info"][0]["features"][-1]["struct"]
    assert [{"name": field.name, **field.hub_type} for field in JSON_FIELDS] == struct
    for field in JSON_FIELDS:
        assert f"| `{field.name}` | {field.type_name} |" in text
    assert not (tmp_path / "a" / "imagenet_test.classes.tsv").exists()


def test_compressed_sets(raw: Path, tmp_path: Path) -> None:
    """Readers that cannot read a compression are not told to."""
    text = run(raw, tmp_path, "val", dest=str(tmp_path / "v-%02d.tar.zst"), index=("none",))
    assert "configs:" not in text
    assert 'wds.WebDataset("pipe:zstd -dc v-00.tar.zst"' in text
    assert "load_dataset" not in text
    assert "wids" not in text.partition("## Load")[2]
    text = run(raw, tmp_path, "train", dest=str(tmp_path / "t-%02d.tgz"))
    [configuration] = front_matter(text)["configs"]
    assert [{"split": "train", "path": "t-[0-9][0-9].tgz"}] == configuration["data_files"]
    assert "load_dataset" in text


def test_labels_without_a_class_table(tmp_path: Path) -> None:
    """Of shards that are made of shards, whose classes nobody knows, no card says that the manifest lists them."""
    write_shard(tmp_path / "old/x-000.tar", [("a.jpg", picture()), ("a.cls", b"7")])
    convert(Options(root=tmp_path / "old/*.tar", dest=tmp_path / "new", card=True, workers=0))
    _, labels, *_ = re.split(r"^## (?:Labels|Load them)$", (tmp_path / "new/README.md").read_text(), flags=re.MULTILINE)
    assert "`cls` is the label that each sample has in the source, and the manifest lists no classes." == labels.strip()


def test_a_card_of_others_is_left_alone(raw: Path, tmp_path: Path) -> None:
    """A README.md without the line that marks ours stops the run before it begins; with --card alone."""
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(DestinationError, match=r"README.md is there, and this tool has not made it"):
        run(raw, tmp_path, "val")
    assert ["README.md"] == [path.name for path in tmp_path.iterdir()]
    options = Options(root=raw, split="val", dest=str(tmp_path), card=True, workers=0)
    assert "in the way" in preview(options).text()
    assert "" == preview(dataclasses.replace(options, card=False)).json()["in_the_way"]
    assert "mine" == run(raw, tmp_path, "val", card=False)
    (tmp_path / "README.md").write_text(f"mine\n{MARK}\n")
    assert "| val | 40 | 1 |" in run(raw, tmp_path, "val")


def test_overwriting_withdraws(raw: Path, tmp_path: Path) -> None:
    """A set whose shards go is in no card, and without a set there is none; a class table goes with its set."""
    for split in ("train", "val"):
        run(raw, tmp_path, split)
    again = Options(root=raw, dest=str(tmp_path), overwrite=True, workers=0, shards=2)
    assert "a dataset card listed shards that were removed: index and card write them anew" in convert(again).text()
    assert not convert(again).withdrawn
    text = (tmp_path / "README.md").read_text()
    assert "| val | 40 |" in text
    assert "| train |" not in text
    assert not (tmp_path / "imagenet_train.classes.tsv").exists()
    alone = tmp_path / "alone"
    run(raw, alone, "val")
    convert(Options(root=raw, split="val", dest=str(alone), overwrite=True, workers=0))
    assert not (alone / "README.md").exists()


def test_damaged_manifest_beside(raw: Path, tmp_path: Path) -> None:
    """A card tells of no set whose manifest is damaged, of which verify tells, nor of what else ends in .json."""
    run(raw, tmp_path, "train")
    manifest = tmp_path / "imagenet_train.json"
    sound = manifest.read_bytes()
    manifest.write_bytes(sound.replace(b"tench", b"bench").replace(b'"nsamples": 40', b'"nsamples": 41'))
    (tmp_path / "other.json").write_text("{")
    text = run(raw, tmp_path, "val")
    assert "| train |" not in text
    assert "| val | 40 | 1 |" in text
    manifest.write_bytes(sound)
    (tmp_path / "imagenet_train.classes.tsv").unlink()
    text = run(raw, tmp_path, "val")
    assert "| train | 40 | 1 |" in text
    assert "words of all classes are in `imagenet_val.classes.tsv`.\n" in text


def test_names_that_others_begin_with(raw: Path, tmp_path: Path) -> None:
    """The pattern of a set matches none of another's shards, and what means something in patterns is escaped."""
    for dest in ("t-%03d.tar", "t-2012-%06d.tar", "x[1]-%02d.tar", "x2%03d.tar"):
        run(raw, tmp_path, "val", dest=str(tmp_path / dest), shards=2)
    text = run(raw, tmp_path, "val", dest=str(tmp_path / "x[1]-%02d.tar"), shards=2)
    front = front_matter(text)
    patterns = [files["path"] for each in front["configs"] for files in each["data_files"]]
    found = [sorted(path.name for path in tmp_path.glob(pattern)) for pattern in patterns]
    assert [
        ["t-000.tar", "t-001.tar"],
        ["t-2012-000000.tar", "t-2012-000001.tar"],
        ["x2000.tar", "x2001.tar"],
        ["x[1]-00.tar", "x[1]-01.tar"],
    ] == sorted(found)
    names = [each["config_name"] for each in front["configs"]]
    assert ("default", 4) == (names[0], len({*names}))


def test_two_runs_at_once(raw: Path, tmp_path: Path) -> None:
    """Runs that end at the same time are both in the card."""
    runs = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "parallel_sharder", "--root", str(raw), "--split", split, "--card"),
                *("--dest", str(tmp_path), "--workers", "0", "--quiet"),
            ]
        )
        for split in ("train", "val", "test")
    ]
    assert [0, 0, 0] == [run.wait(60) for run in runs]
    text = (tmp_path / "README.md").read_text()
    assert ["train", "val", "test"] == re.findall(r"^\| (\w+) \| 40 \|", text, re.MULTILINE)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".lock", ".partial"))]


@pytest.mark.parametrize(
    "name", ["null", "on", "2", "@a", "*a", "x:y", "a|b", "a`b", "a<b>c", "é", "$(x)", "a'b", 'a"b']
)
def test_names_in_a_card(raw: Path, tmp_path: Path, name: str) -> None:
    """A set of any name that a pattern takes: front matter, table, and lines of Python are as for any other."""
    run(raw, tmp_path, "train", dest=str(tmp_path / "a-%02d.tar"))
    dest, packed = tmp_path / f"{name}-%02d.tar", tmp_path / "packed" / f"{name}-%02d.tar.zst"
    run(raw, tmp_path, "val", dest=str(dest), shards=2)
    text = run(raw, tmp_path, "train", dest=str(dest).replace("-%", "_t-%"), annotations="none", shards=2)
    front = front_matter(text)
    patterns = [files["path"] for each in front["configs"] for files in each["data_files"]]
    found = sorted(path.name for pattern in patterns for path in tmp_path.glob(pattern))
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == found
    names = [each["config_name"] for each in front["configs"]]
    assert ["default", 2] == [names[0], len({*names})]
    assert all(re.fullmatch(r"[\w.-]+", each) for each in names)
    rows = re.findall(r"^\| (?:train|val) \|.*", text, re.MULTILINE)
    assert [7, 7, 7] == [row.count("|") for row in rows]
    cells = (html.unescape(re.sub("</?code>", "", row.split("|")[6].strip())).strip("`") for row in rows)
    assert {f"{name}.json", f"{name}_t.json", "a.json"} == {*cells}
    alone = run(raw, packed.parent, "val", dest=str(packed))
    for block in re.findall(r"```python\n(.*?)```", text + alone, re.DOTALL):
        ast.parse(block)
    [url] = re.findall(r"wds.WebDataset\((.*), shardshuffle", alone)
    assert ["zstd", "-dc", f"{name}-00.tar.zst"] == shlex.split(ast.literal_eval(url).removeprefix("pipe:"))


def test_words_in_the_class_table(raw: Path, tmp_path: Path) -> None:
    """Tabs, newlines and backslashes in class words are escaped: every line has three fields, which can be had back."""
    words = {wnid: f"thing\t{number}\n\\ \x85" for number, wnid in enumerate(made.WNIDS)}
    (tmp_path / "classes.json").write_text(json.dumps(words))
    run(raw, tmp_path / "out", "train", labels="sorted", meta=tmp_path / "classes.json")
    table = (tmp_path / "out" / "imagenet_train.classes.tsv").read_text().splitlines()
    assert 1001 == len(table)
    for label, (wnid, line) in enumerate(zip(made.WNIDS, table[1:], strict=True)):
        assert [str(label), wnid, rf"thing\t{label}\n\\ \x85"] == line.split("\t")


def test_class_words_that_are_no_text(raw: Path, tmp_path: Path) -> None:
    """Half of a character, which JSON can hold, is refused with the class and the file."""
    words = dict.fromkeys(made.WNIDS, "thing") | {made.WNIDS[7]: "\ud800"}
    (tmp_path / "classes.json").write_text(json.dumps(words))
    with pytest.raises(SourceError, match=rf"classes.json: the words of {made.WNIDS[7]}, .*, are no text"):
        run(raw, tmp_path / "out", "train", labels="sorted", meta=tmp_path / "classes.json")


def test_other_data_sets_in_the_folder(tmp_path: Path) -> None:
    """Splits of one data set share a configuration; another data set has its own, and the title names both."""
    for name in ("flowers/train", "flowers/val", "trees"):
        for label in ("a", "b"):
            (tmp_path / name / label).mkdir(parents=True)
            (tmp_path / name / label / "1.jpg").write_bytes(picture())
    out = tmp_path / "out"
    wanted: list[tuple[str, Split | None]] = [("flowers", "train"), ("flowers", "val"), ("trees", None)]
    for root, split in wanted:
        convert(Options(root=tmp_path / root, layout="folders", split=split, dest=out, card=True, workers=0))
    card = (out / "README.md").read_text()
    assert "# flowers and trees in WebDataset shards" in card
    splits = {
        each["config_name"]: [file["split"] for file in each["data_files"]] for each in front_matter(card)["configs"]
    }
    assert {"default": ["train", "validation"], "trees": ["train"]} == splits
    assert "imagenet" not in card.lower()
