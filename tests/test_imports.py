"""Imports go one way: read from the source, held to the floors."""

from __future__ import annotations

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


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def test_scipy_and_xml_have_one_home() -> None:
    """Only the classes import scipy (and the demo, which makes a meta.mat), and only annotation xmltodict."""
    sources = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py")}
    assert {"sources.imagenet.classes", "demo"} == {name for name, text in sources.items() if "import scipy" in text}
    assert {"annotation"} == {name for name, text in sources.items() if "import xmltodict" in text}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "import parallel_sharder.cli.parsers as c; c._convert_parser().format_help()",
            {"numpy", "scipy", "tqdm", "xmltodict", "psutil"},
        ),
        ("import parallel_sharder; dir(parallel_sharder)", {"numpy", "scipy", "tqdm", "xmltodict", "psutil"}),
        ("import parallel_sharder.engines.inside", {"numpy", "scipy", "tqdm", "psutil", "argparse"}),
        ("import parallel_sharder.verify.shard", {"numpy", "scipy", "tqdm", "psutil"}),
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
