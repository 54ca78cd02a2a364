"""The rooms: imports go down only, and some rooms never reach some others; read from the source."""

from __future__ import annotations

import ast
import functools
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
from parallel_sharder.indexes.folder import READERS
from parallel_sharder.samples.forms import ANNOTATED, FORMS

PACKAGE = Path(parallel_sharder.__file__).parent

FLOORS = (
    "columns kinds memory node text",
    "errors model",
    "engines monitor stores tar",
    "listing_file plan samples setfiles",
    "host_check",
    "pattern worker",
    "globs option_kinds option_values",
    "destination journal options staging",
    "catalog command_words deal hints resume run shard_writer sources",
    "nodes report",
    "events metrics shared_listing",
    "indexes status verify",
    "inspection publish",
    "pages",
    "refusals stock",
    "coordinator",
    "cli",
    "demo __main__",
)
"""From the ground up: modules of the package, and folders, which are the rooms. What a module imports when it is run is
of its own room, or of a lower floor.
"""

ENCODERS = {f"samples.{name}" for name in ("forms", "original", "boxes", "none", "members", "shapes")}

NEVERS = {
    "verify": {"tar.writer", "worker", "shard_writer", *ENCODERS},  # a witness shares no code with whom it judges
    "engines": {"worker", "deal", "model", "tar.writer"},  # they run any function on any task
    "tar": {"stores", "stores.local", "worker"},  # it is handed the file that it writes to
    "stores": {"samples.sample", "worker", "journal.journal"},
    "sources.pairing": {"sources.imagenet.names"},  # and the rest of what is general; see below
    "plan": {"stores", "engines.engine", "sources.source"},  # it is pure
}
"""What no module of a room ever reaches, by itself or by what it imports."""

CHANGES = re.compile(
    r"\bos\.(rename|replace|link|unlink|remove|rmdir|mkdir|makedirs|fsync|fdatasync|truncate|ftruncate|pwrite|sendfile)\("
    r"|\bfcntl\.|\bshutil\.(move|rmtree|copy)|\bO_CREAT\b|\bO_EXCL\b"
)
"""What changes files, syncs them or locks them."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


PATHS = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def nodes_run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types(node):
            for other in node.orelse if isinstance(node, ast.If) else ():
                yield from (other, *nodes_run(other))
        else:
            yield node
            yield from nodes_run(node)


@functools.cache
def imported_by(module: str) -> frozenset[str]:
    """The modules of the package that `module` imports when it is run, at once or later."""
    found = set()
    for node in nodes_run(ast.parse(PATHS[module].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "parallel_sharder":
            base = (node.module or "").removeprefix("parallel_sharder").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}" if base else alias.name
                found.add(inner if inner in PATHS else base or "__init__")
    return frozenset(found)


def reached_from(module: str) -> set[str]:
    """All that is imported by a module, and by what that imports."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        new = imported_by(waiting.pop()) - reached
        reached |= new
        waiting += new
    return reached


def modules_in(room: str) -> list[str]:
    """The modules of a room, or of a part of one."""
    return [module for module in PATHS if module == room or module.startswith(f"{room}.")]


def test_each_module_is_on_a_floor() -> None:
    """And no floor has a room that is not there."""
    rooms = [room for floor in FLOORS for room in floor.split()]
    assert sorted(rooms) == sorted({room_of(module) for module in PATHS} - {"__init__"})


@pytest.mark.parametrize("module", PATHS)
def test_imports_go_down_only(module: str) -> None:
    """What a module imports is of its own room or of a lower floor."""
    if module == "__init__":
        return
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor.split()}
    upward = {
        other
        for other in imported_by(module) - {"__init__"}
        if room_of(other) != room_of(module) and floor_of[room_of(other)] >= floor_of[room_of(module)]
    }
    assert upward == set()


@pytest.mark.parametrize(("room", "unwanted"), NEVERS.items())
def test_nevers(room: str, unwanted: set[str]) -> None:
    """What a room is to do without, it does not get by a detour either."""
    modules = modules_in(room)
    assert modules
    assert unwanted <= PATHS.keys()
    for module in modules:
        assert set() == reached_from(module) & unwanted, module


def test_only_stores_change_files() -> None:
    """Nothing else renames, removes, syncs or locks; but the demo makes the raw data set that it converts."""
    found = {room_of(module) for module, path in PATHS.items() if CHANGES.search(path.read_text())}
    assert {"stores", "demo"} == found


def test_only_the_command_line_and_monitors_print() -> None:
    """The library is silent."""
    for module, path in PATHS.items():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if any(isinstance(call, ast.Name) and call.id == "print" for call in calls):
            assert room_of(module) in ("cli", "monitor", "demo"), module


def test_only_imagenet_knows_imagenet() -> None:
    """Only what lies in sources/imagenet knows WordNet IDs, .JPEG and devkits; the other sources are general.

    Elsewhere only a manifest that is read, and verify, which shares nothing with a source, tell a WordNet ID from text.
    """
    for module in modules_in("sources"):
        if not module.startswith("sources.imagenet"):
            if module != "sources.find":
                assert not [name for name in imported_by(module) if name.startswith("sources.imagenet")], module
            known = r"WNID|wnid|ILSVRC|JPEG|IMAGE_SUFFIX|XML_SUFFIX|devkit"
            assert [] == re.findall(known, PATHS[module].read_text()), module
    tellers = {module for module, path in PATHS.items() if r"n[0-9]{8}" in path.read_text()}
    assert {"sources", "verify", "catalog"} == {room_of(module) for module in tellers}


def test_sources_are_used_by_their_interface() -> None:
    """Who converts, previews and verifies a set knows a source as a Source, and says where that may write."""
    used = {name for module in PATHS if room_of(module) != "sources" for name in imported_by(module)}
    used = {name for name in used if room_of(name) == "sources"}
    known = {"sources.source", "sources.spool", "sources.packed"}  # the last has what compressed files begin with
    known.add("sources.shards.where")  # the grammar of conditions, which knows no shards
    assert {*known, "sources.imagenet.classes"} == used  # by the demo


def test_names_of_options_are_those_of_the_rooms() -> None:
    """Each form, reader's index, engine and layout that an option names has its file, and no file is left out."""
    assert set(options.ANNOTATIONS) == set(ANNOTATED)
    assert {*options.ANNOTATIONS, *options.OTHER_FORMS} == set(FORMS)
    assert {*options.IMAGENET_LAYOUTS, *options.OTHER_FORMS} == set(options.LAYOUTS)
    assert set(options.ANNOTATIONS) <= {path.stem for path in (PACKAGE / "samples").glob("*.py")}
    assert set(options.INDEXES) == {index.reader for index in READERS}
    assert set(options.INDEXES) <= {path.stem for path in (PACKAGE / "indexes").glob("*.py")}
    assert set(options.ENGINES) <= {path.stem for path in (PACKAGE / "engines").glob("*.py")}


def test_scipy_and_xml_have_one_home() -> None:
    """Only the classes import scipy (and the demo, which makes a meta.mat), and only annotation xmltodict."""
    sources = {module: path.read_text() for module, path in PATHS.items()}
    assert {"sources.imagenet.classes", "demo"} == {name for name, text in sources.items() if "import scipy" in text}
    assert {"samples.annotation"} == {name for name, text in sources.items() if "import xmltodict" in text}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "import parallel_sharder.cli.parsers as c; c.convert_parser().format_help()",
            {"numpy", "scipy", "tqdm", "xmltodict", "psutil"},
        ),
        ("import parallel_sharder; dir(parallel_sharder)", {"numpy", "scipy", "tqdm", "xmltodict", "psutil"}),
        ("import parallel_sharder.engines.worker_process", {"numpy", "scipy", "tqdm", "psutil", "argparse"}),
        (
            "import parallel_sharder.coordinator, parallel_sharder.engines.cluster, parallel_sharder.engines.remote",
            {"ray", "dask", "distributed", "cloudpickle"},
        ),
        ("import parallel_sharder.engines.ray, parallel_sharder.engines.dask", {"ray", "dask", "distributed"}),
        (
            "import parallel_sharder.engines.remote_worker, parallel_sharder.host_check",
            {"numpy", "scipy", "tqdm", "psutil", "argparse"},
        ),
        ("import parallel_sharder.verify.shard_check", {"numpy", "scipy", "tqdm", "psutil"}),
        ("import parallel_sharder.verify.foreign_shard", {"numpy", "scipy", "tqdm", "psutil"}),
        ("import parallel_sharder.sources.tar_contents", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.imagenet.kaggle_contents", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.shards.listed", {"numpy", "scipy", "tqdm", "psutil", "xmltodict", "tarfile"}),
        ("import parallel_sharder.sources.shards.matching", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.folders", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
        ("import parallel_sharder.sources.class_folders.listing", {"numpy", "scipy", "tqdm", "psutil", "xmltodict"}),
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
