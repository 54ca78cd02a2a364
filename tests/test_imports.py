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

# Each module and what it may import of ours, directly. model and errors know nothing of the rest.
ALLOWED = {
    # For type checkers; lazily at run time.
    "__init__": {"coordinator", "errors", "indexer", "monitor", "options", "report", "shard_writer", "verify"},
    "__main__": {"cli"},
    "ahead": {"blob"},
    "annotation": {"errors", "model"},
    "blob": {"errors", "model", "regular", "text"},
    "board": set(),
    "bounds": {"columns", "errors", "forms", "forms.form", "model", "ustar"},
    "card": {"destination", "durable", "errors", "forms", "manifest", "text", "yamltext"},
    "cli": {
        "__init__", "coordinator", "errors", "indexer", "journal", "limits", "monitor", "options", "report", "text",
        "verify",
    },
    "columns": set(),
    "comparison": {"blob", "columns", "destination", "engines", "listed", "model", "monitor", "witness"},
    "compress": set(),
    "coordinator": {
        "bounds", "deal", "destination", "durable", "engines", "errors", "journal", "limits", "machine", "model",
        "monitor", "options", "plan", "publication", "report", "resume", "sources", "sources.checksums",
        "sources.layout", "sources.saved", "sources.scan", "sources.spool", "stock", "synsets", "text",
    },
    "deal": {"destination", "durable", "engines", "errors", "model", "options", "text", "traces"},
    "demo": {"cli", "synsets", "text"},
    "destination": {"durable", "errors", "regular", "text"},
    "durable": {"regular"},
    "engines": {"board", "engines.inline", "engines.processes", "model"},
    "engines.helper": {"board", "engines.inside", "errors"},
    "engines.inline": {"board", "engines", "worker"},
    "engines.inside": {"board", "errors", "limits", "model", "worker"},
    "engines.processes": {"board", "engines", "engines.inside", "engines.starting", "errors", "limits"},
    "engines.starting": {"board", "engines.inside", "errors"},
    "errors": {"text"},
    "foreign": {"model"},
    "form": {"annotation", "image", "model", "text"},
    "formats": set(),
    "forms": {"forms.boxes", "forms.form", "forms.none", "forms.original"},
    "forms.boxes": {"annotation", "forms.form", "image", "mended", "model", "sample", "shapes"},
    "forms.form": {"model", "sample", "ustar"},
    "forms.none": {"forms.form", "model", "sample"},
    "forms.original": {"annotation", "errors", "forms.form", "forms.none", "model", "sample", "shapes"},
    "image": {"formats", "model"},
    "indexer": {
        "destination", "engines", "errors", "indexes", "indexes.folder", "indexes.sets", "limits", "lock", "machine",
        "model", "monitor", "options", "regular", "report", "sources.tarindex", "worker",
    },
    "indexes": {"ustar"},
    "indexes.counts": {"indexes", "ustar"},
    "indexes.dali": {"indexes"},
    "indexes.energon": {"destination", "indexes", "ustar", "yamltext"},
    "indexes.folder": {
        "destination", "durable", "errors", "forms", "indexes", "indexes.counts", "indexes.dali", "indexes.energon",
        "indexes.sets", "manifest", "regular", "ustar",
    },
    "indexes.sets": {"destination", "errors", "indexes", "journal", "manifest", "regular", "schema", "text"},
    "journal": {"destination", "durable", "errors", "lock", "model", "records", "regular", "traces"},
    "limits": {"errors", "machine"},
    "listed": {"columns", "destination", "model", "regular"},
    "lock": {"durable", "errors", "regular", "text"},
    "machine": set(),
    "manifest": {"destination", "errors", "mended", "model", "options", "regular", "schema"},
    "members": {"forms.form", "model", "ustar"},
    "mended": {"model"},
    "model": {"columns", "text"},  # columns for type checkers only
    "monitor": {"errors", "model", "text"},
    "options": {"destination", "errors"},
    "output": {"durable", "traces"},
    "placed": {"bounds", "forms", "indexes", "model", "ustar"},
    "plan": {"columns", "errors", "model", "text", "ustar"},
    "problems": {"model"},
    "publication": {
        "__init__", "card", "destination", "durable", "engines", "errors", "indexer", "indexes.folder",
        "indexes.sets", "journal", "lock", "manifest", "model", "monitor", "options", "placed", "problems", "traces",
        "worker",
    },
    "records": set(),
    "regular": set(),
    "report": {"errors", "journal", "mended", "model", "options", "problems", "text"},
    "resume": {"compress", "errors", "journal", "model", "options", "worker"},
    "sample": {"annotation", "blob", "errors", "image", "model"},
    "schema": set(),
    "shapes": {"annotation", "errors"},
    "shard_writer": {"destination", "errors", "model", "options", "tarwriter", "ustar"},
    "shardreader": set(),
    "sources": {"errors", "options", "sources.downloads", "sources.layout", "sources.nearby", "sources.places"},
    "sources.archived": {
        "durable", "errors", "model", "regular", "sources.contents", "sources.names", "sources.tarindex",
    },
    "sources.archives": {"sources.downloads", "sources.layout", "sources.tree"},
    "sources.checksums": {"errors", "regular", "sources.downloads", "sources.inside", "sources.layout"},
    "sources.contents": {"errors", "model", "sources.names", "text"},
    "sources.downloads": {"errors"},
    "sources.folder": {"errors", "model", "regular", "sources.contents", "sources.names"},
    "sources.glance": {"model", "sources.names", "text"},
    "sources.inside": {
        "blob", "errors", "regular", "sources.contents", "sources.tarindex", "sources.zipindex", "textfile",
    },
    "sources.kaggle": {"sources.layout", "sources.lists"},
    "sources.layout": {"errors", "options", "sources.inside", "sources.lists", "sources.tarindex"},
    "sources.lists": {"errors", "regular", "sources.downloads", "sources.inside", "synsets"},
    "sources.names": {"model"},
    "sources.nearby": {
        "errors", "options", "sources.archives", "sources.downloads", "sources.glance", "sources.lists",
        "sources.places", "sources.tarindex",
    },
    "sources.notices": {
        "errors", "model", "sources.downloads", "sources.layout", "sources.official", "sources.survey", "text",
    },
    "sources.official": set(),
    "sources.places": {
        "options", "regular", "sources.archives", "sources.glance", "sources.kaggle", "sources.layout",
        "sources.tree", "sources.zipped",
    },
    "sources.saved": {"durable", "errors", "model", "regular", "sources.contents", "sources.layout"},
    "sources.scan": {
        "blob", "columns", "errors", "model", "sources.contents", "sources.folder", "sources.glance",
        "sources.layout", "sources.names", "sources.notices", "sources.saved", "sources.survey",
        "sources.val_labels", "synsets", "text",
    },
    "sources.spool": {"destination", "durable", "errors", "sources.layout"},
    "sources.survey": {
        "errors", "model", "sources.archived", "sources.contents", "sources.downloads", "sources.folder",
        "sources.layout", "sources.names", "sources.official", "sources.saved", "sources.zipindex", "synsets", "text",
    },
    "sources.tarindex": {"errors", "regular", "tarfields", "text"},
    "sources.tree": {"sources.inside", "sources.layout", "sources.lists"},
    "sources.val_labels": {
        "errors", "model", "sources.inside", "sources.lists", "synsets", "text", "textfile",
    },
    "sources.zipindex": {"errors", "model", "regular", "sources.contents", "sources.names", "sources.tarindex", "text"},
    "sources.zipped": {"sources.downloads", "sources.inside", "sources.layout", "sources.lists", "sources.zipindex"},
    "stock": {
        "destination", "durable", "engines", "errors", "journal", "manifest", "model", "monitor", "options",
        "publication", "resume", "text", "traces",
    },
    "synsets": {"errors", "foreign", "model", "text", "textfile"},
    "tarfields": set(),
    "tarwriter": {"compress", "model", "output", "ustar"},
    "text": set(),
    "textfile": {"errors", "regular"},
    "traces": {"durable", "regular"},
    "ustar": {"tarfields"},
    "verify": {
        "comparison", "destination", "engines", "errors", "journal", "limits", "listed", "machine", "manifest",
        "model", "monitor", "options", "report", "sources", "sources.scan", "sources.spool", "synsets", "text",
        "witness",
    },
    "witness": {"annotation", "blob", "errors", "form", "image", "model", "regular", "shardreader", "text"},
    "worker": {
        "ahead", "blob", "board", "errors", "forms", "forms.form", "members", "mended", "model", "regular", "sample",
        "tarwriter", "ustar",
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
    """Only synsets imports scipy (and the demo, which makes a meta.mat), and only annotation xmltodict."""
    sources = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py")}
    assert {"synsets", "demo"} == {name for name, text in sources.items() if "import scipy" in text}
    assert {"annotation"} == {name for name, text in sources.items() if "import xmltodict" in text}


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
        ("import parallel_sharder.sources.archived", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.zipindex", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.folder", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
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
