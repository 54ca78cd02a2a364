"""Imports go one way: read from the source, held to a table."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import parallel_sharder
from parallel_sharder import options

PACKAGE = Path(parallel_sharder.__file__).parent
IMAGENET = PACKAGE / "sources" / "imagenet"

# Each module and what it may import of ours, directly. model and errors know nothing of the rest.
ALLOWED = {
    # For type checkers; lazily at run time.
    "__init__": {"coordinator", "errors", "indexer", "monitor", "options", "report", "shard_writer", "verify"},
    "__main__": {"cli"},
    "ahead": {"blob"},
    "annotation": {"errors", "model"},
    "blob": {"errors", "model", "regular", "text"},
    "board": set(),
    "bounds": {"annotation", "boxes", "columns", "errors", "members", "model", "ustar"},
    "boxes": {"annotation", "model"},
    "card": {"boxes", "destination", "durable", "errors", "manifest", "text", "yamltext"},
    "cli": {
        "__init__", "coordinator", "errors", "indexer", "journal", "limits", "monitor", "options", "report", "text",
        "verify",
    },
    "columns": set(),
    "comparison": {"blob", "columns", "destination", "engines", "listed", "model", "monitor", "witness"},
    "compress": set(),
    "coordinator": {
        "bounds", "deal", "destination", "durable", "engines", "errors", "journal", "limits", "machine", "model",
        "monitor", "options", "plan", "publication", "report", "resume", "sources.source", "stock", "text",
    },
    "deal": {"destination", "durable", "engines", "errors", "model", "options", "text", "traces"},
    "demo": {"cli", "sources.imagenet.classes", "text"},
    "destination": {"durable", "errors", "regular", "text"},
    "durable": {"regular"},
    "engines": {"board", "engines.inline", "engines.processes", "model"},
    "engines.helper": {"board", "engines.inside", "errors"},
    "engines.inline": {"board", "engines", "worker"},
    "engines.inside": {"board", "errors", "limits", "model", "worker"},
    "engines.processes": {"board", "engines", "engines.inside", "engines.starting", "errors", "limits"},
    "engines.starting": {"board", "engines.inside", "errors"},
    "errors": {"text"},
    "form": {"annotation", "image", "model", "text"},
    "formats": set(),
    "image": {"formats", "model"},
    "indexer": {
        "destination", "engines", "errors", "indexes", "indexes.folder", "indexes.sets", "limits", "lock", "machine",
        "model", "monitor", "options", "regular", "report", "sources.tars", "worker",
    },
    "indexes": {"ustar"},
    "indexes.counts": {"indexes", "ustar"},
    "indexes.dali": {"indexes"},
    "indexes.energon": {"destination", "indexes", "ustar", "yamltext"},
    "indexes.folder": {
        "destination", "durable", "errors", "indexes", "indexes.counts", "indexes.dali", "indexes.energon",
        "indexes.sets", "manifest", "members", "regular", "ustar",
    },
    "indexes.sets": {"destination", "errors", "indexes", "journal", "manifest", "regular", "schema", "text"},
    "journal": {"destination", "durable", "errors", "lock", "model", "records", "regular", "traces"},
    "limits": {"errors", "machine"},
    "listed": {"columns", "destination", "model", "regular"},
    "lock": {"durable", "errors", "regular", "text"},
    "machine": set(),
    "manifest": {"boxes", "destination", "errors", "model", "options", "regular", "schema"},
    "members": {"model"},
    "model": {"columns", "text"},  # columns for type checkers only
    "monitor": {"errors", "model", "text"},
    "options": {"destination", "errors"},
    "output": {"durable", "traces"},
    "placed": {"bounds", "indexes", "members", "model", "ustar"},
    "plan": {"columns", "errors", "model", "text", "ustar"},
    "problems": {"model"},
    "publication": {
        "__init__", "card", "destination", "durable", "engines", "errors", "indexer", "indexes.folder", "indexes.sets",
        "journal", "lock", "manifest", "model", "monitor", "options", "placed", "problems", "traces", "worker",
    },
    "records": set(),
    "regular": set(),
    "report": {"boxes", "errors", "journal", "model", "options", "problems", "text"},
    "resume": {"compress", "errors", "journal", "model", "options", "worker"},
    "schema": set(),
    "shapes": {"annotation", "errors"},
    "shard_writer": {"destination", "errors", "members", "model", "options", "tarwriter", "ustar"},
    "shardreader": set(),
    "sources": set(),
    "sources.archive_index": {"durable", "errors", "model", "regular", "sources.contents", "text"},
    "sources.contents": {"errors", "model", "sources.names", "text"},
    "sources.downloads": {"errors"},
    "sources.folders": {"errors", "model", "regular", "sources.contents", "sources.names"},
    "sources.imagenet": set(),
    "sources.imagenet.checksums": {
        "errors", "regular", "sources.downloads", "sources.imagenet.layout", "sources.imagenet.published",
        "sources.small_files",
    },
    "sources.imagenet.classes": {"errors", "model", "sources.imagenet.foreign_lists", "sources.small_files", "text"},
    "sources.imagenet.foreign_lists": {"model"},
    "sources.imagenet.glance": {"model", "sources.imagenet.names", "sources.names", "text"},
    "sources.imagenet.image_places": {
        "options", "regular", "sources.imagenet.glance", "sources.imagenet.kaggle_tree", "sources.imagenet.kaggle_zip",
        "sources.imagenet.layout", "sources.imagenet.official", "sources.imagenet.tree",
    },
    "sources.imagenet.kaggle_contents": {
        "errors", "model", "sources.contents", "sources.imagenet.names", "sources.names", "sources.small_files",
        "sources.tars", "sources.zips",
    },
    "sources.imagenet.kaggle_tree": {"sources.imagenet.layout", "sources.imagenet.list_places"},
    "sources.imagenet.kaggle_zip": {
        "sources.downloads", "sources.imagenet.kaggle_contents", "sources.imagenet.layout",
        "sources.imagenet.list_places",
    },
    "sources.imagenet.layout": {
        "errors", "options", "sources.imagenet.list_places", "sources.small_files", "sources.tars",
    },
    "sources.imagenet.layouts": {
        "errors", "options", "sources.downloads", "sources.imagenet.image_places", "sources.imagenet.layout",
        "sources.imagenet.nearby", "sources.imagenet.published",
    },
    "sources.imagenet.list_places": {
        "errors", "regular", "sources.downloads", "sources.imagenet.classes", "sources.imagenet.kaggle_contents",
        "sources.small_files",
    },
    "sources.imagenet.names": {"model", "sources.names"},
    "sources.imagenet.nearby": {
        "errors", "options", "sources.downloads", "sources.imagenet.glance", "sources.imagenet.image_places",
        "sources.imagenet.layout", "sources.imagenet.list_places", "sources.imagenet.names",
        "sources.imagenet.official", "sources.imagenet.published", "sources.tars",
    },
    "sources.imagenet.notices": {
        "errors", "model", "sources.downloads", "sources.imagenet.layout", "sources.imagenet.published",
        "sources.survey", "text",
    },
    "sources.imagenet.official": {
        "sources.downloads", "sources.imagenet.layout", "sources.imagenet.published", "sources.imagenet.tree",
    },
    "sources.imagenet.published": set(),
    "sources.imagenet.scan": {
        "columns", "errors", "model", "sources.archive_index", "sources.imagenet.layout", "sources.imagenet.names",
        "sources.imagenet.nearby", "sources.imagenet.notices", "sources.imagenet.survey", "sources.imagenet.val_labels",
        "sources.scan", "sources.survey", "text",
    },
    "sources.imagenet.source": {
        "engines", "model", "monitor", "sources.archive_index", "sources.imagenet.checksums",
        "sources.imagenet.classes", "sources.imagenet.layouts", "sources.imagenet.scan", "sources.source",
        "sources.spool",
    },
    "sources.imagenet.survey": {
        "errors", "model", "regular", "sources.archive_index", "sources.contents", "sources.downloads",
        "sources.folders", "sources.imagenet.kaggle_contents", "sources.imagenet.layout", "sources.imagenet.names",
        "sources.imagenet.published", "sources.names", "sources.survey", "sources.tar_contents", "sources.tars", "text",
    },
    "sources.imagenet.tree": {"sources.imagenet.layout", "sources.imagenet.list_places", "sources.small_files"},
    "sources.imagenet.val_labels": {"errors", "model", "sources.imagenet.list_places", "sources.small_files", "text"},
    "sources.names": {"model"},
    "sources.scan": {"blob", "columns", "errors", "model", "sources.contents", "sources.folders", "text"},
    "sources.small_files": {"blob", "errors", "regular", "sources.contents", "sources.tars", "sources.zips"},
    "sources.source": {
        "destination", "engines", "errors", "model", "monitor", "options", "sources.imagenet.source", "sources.spool",
    },
    "sources.spool": {"destination", "durable", "errors"},
    "sources.survey": {"errors", "model", "sources.contents", "sources.folders", "sources.names"},
    "sources.tar_contents": {
        "durable", "errors", "model", "regular", "sources.contents", "sources.names", "sources.tars",
    },
    "sources.tars": {"errors", "regular", "text", "ustar"},
    "sources.zips": {"errors", "regular", "sources.tars", "text"},
    "stock": {
        "destination", "durable", "engines", "errors", "journal", "manifest", "model", "monitor", "options",
        "publication", "resume", "text", "traces",
    },
    "tarwriter": {"compress", "members", "model", "output", "ustar"},
    "text": set(),
    "traces": {"durable", "regular"},
    "ustar": set(),
    "verify": {
        "comparison", "destination", "engines", "errors", "journal", "limits", "listed", "machine", "manifest", "model",
        "monitor", "options", "report", "sources.source", "text", "witness",
    },
    "witness": {"annotation", "blob", "errors", "form", "image", "model", "regular", "shardreader", "text"},
    "worker": {
        "ahead", "annotation", "blob", "board", "boxes", "errors", "image", "members", "model", "regular", "shapes",
        "tarwriter",
    },
    "yamltext": set(),
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imported_by(path: Path) -> set[str]:
    modules = {module_name(each) for each in PACKAGE.rglob("*.py")}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "parallel_sharder":
            base = (node.module or "").removeprefix("parallel_sharder").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}" if base else alias.name
                found.add(inner if inner in modules else base or "__init__")
    return found


def test_imports_follow_the_table() -> None:
    """Every module imports exactly what the table says, so that a new dependency is a decision and not an accident."""
    actual = {module_name(path): imported_by(path) for path in sorted(PACKAGE.rglob("*.py"))}
    assert actual == ALLOWED


def test_scipy_and_xml_have_one_home() -> None:
    """Only the classes import scipy (and the demo, which makes a meta.mat), and only annotation xmltodict."""
    sources = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py")}
    assert {"sources.imagenet.classes", "demo"} == {name for name, text in sources.items() if "import scipy" in text}
    assert {"annotation"} == {name for name, text in sources.items() if "import xmltodict" in text}


def test_only_imagenet_knows_imagenet() -> None:
    """Of the sources, only what lies in sources/imagenet knows WordNet IDs, .JPEG and splits; the rest is general."""
    for path in sorted((PACKAGE / "sources").glob("*.py")):
        if path.stem != "source":
            assert not [name for name in imported_by(path) if name.startswith("sources.imagenet")], path
        known = r"WNID|wnid|ILSVRC|JPEG|IMAGE_SUFFIX|XML_SUFFIX|SPLITS|devkit"
        assert [] == re.findall(known, path.read_text()), path


def test_sources_are_used_by_their_interface() -> None:
    """Who converts, previews and verifies a set knows a source as a Source; index reads tars, and needs no other."""
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent not in (PACKAGE / "sources", IMAGENET)]
    used = {name for path in outside for name in imported_by(path) if name.startswith("sources")}
    assert {"sources.source", "sources.tars", "sources.imagenet.classes"} == used  # the last by the demo


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "import parallel_sharder.cli as c; c._parser().format_help()",
            {"numpy", "scipy", "tqdm", "xmltodict", "psutil"},
        ),
        ("import parallel_sharder; dir(parallel_sharder)", {"numpy", "scipy", "tqdm", "xmltodict", "psutil"}),
        ("import parallel_sharder.engines.inside", {"numpy", "scipy", "tqdm", "psutil", "argparse"}),
        ("import parallel_sharder.witness", {"numpy", "scipy", "tqdm", "psutil"}),
        ("import parallel_sharder.sources.tar_contents", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.imagenet.kaggle_contents", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.folders", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
    ],
)
def test_light_starts(code: str, unwanted: set[str]) -> None:
    """Help and worker processes load none of the packages that take longer to import than they would be used."""
    script = f"import sys; {code}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert set() == unwanted & set(loaded)


def test_public_names() -> None:
    """What the package offers can be had from it; what it does not offer is an AttributeError."""
    for name in parallel_sharder.__all__:
        assert getattr(parallel_sharder, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        parallel_sharder.nonsense  # noqa: B018


def test_public_names_are_shown() -> None:
    """By dir(), without importing any, and by help()."""
    shown = [name for name in dir(parallel_sharder) if not name.startswith("__")]
    assert sorted(parallel_sharder.__all__) == shown
    text = pydoc.plain(pydoc.render_doc(parallel_sharder))
    for name in parallel_sharder.__all__:
        assert re.search(rf"^    (class )?{name}\(", text, re.MULTILINE), name
    assert "on_bad: 'OnBad' = 'skip'" in text


@pytest.mark.parametrize("name", ["SPLITS", "LABELS", "LAYOUTS", "INDEXES", "ANNOTATIONS", "ON_BAD"])
def test_choices_have_one_place(name: str) -> None:
    """The values that are checked for are those of the field's type."""
    fields = typing.get_type_hints(parallel_sharder.Options)
    field = {"SPLITS": "split", "LAYOUTS": "layout", "INDEXES": "index"}.get(name, name.lower())
    assert set(getattr(options, name)) <= set(literals(fields[field])) - {None}


def literals(hint: Any) -> Iterator[Any]:
    """All values that a type names."""
    for argument in typing.get_args(hint):
        yield from literals(argument) if typing.get_args(argument) else [argument]
