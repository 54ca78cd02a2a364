"""Source layouts: where a data set's parts lie on this disk.

One file a layout, each with a `find`; `find_layout` asks all of them. What they find is only places: the scan looks
into them.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.sources import kaggle, tree
from parallel_sharder.sources.layout import Layout


def find_layout(root: str | Path, split: str, xml_root: str | Path | None, meta: str | Path | None) -> Layout:
    """The one layout that `root` has for `split`; `xml_root` and `meta` are places the user has named.

    Raises SourceError if there is none, listing what was looked for and where, if there are several, or if a part is
    missing.
    """
    # Absolute, because workers may run in another folder; not resolved, because messages show what the user has named.
    root = Path(root).absolute()
    xml_root = Path(xml_root).absolute() if xml_root is not None else None
    meta = Path(meta).absolute() if meta is not None else None
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder; name the data set's with --root")
    there = _layouts_at(root, split)
    if not there:
        looked = "\n".join(f"  {name}: {place}/" for name, place in _places(root, split))
        raise SourceError(f"no {split} images found under {root}. Looked for:\n{looked}\n{_hint(root, split)}")
    if len(there) > 1:
        both = " and ".join(f"{place} ({name})" for name, place in there)
        raise SourceError(f"{root} holds the {split} images twice: {both}. Name the one to use with --root.")
    [(name, images)] = there
    find = tree.find if name == tree.NAME else kaggle.find
    return find(images, split, xml_root, meta)


def _places(root: Path, split: str) -> list[tuple[str, Path]]:
    """Every layout's name and place of its images."""
    at_kaggle = kaggle.places(root, split)
    return [(tree.NAME, place) for place in tree.places(root, split) if place not in at_kaggle] + [
        (kaggle.NAME, place) for place in at_kaggle
    ]


def _layouts_at(root: Path, split: str) -> list[tuple[str, Path]]:
    return [(name, place) for name, place in _places(root, split) if place.is_dir()]


def _hint(root: Path, split: str) -> str:
    """The likely slip: a folder too deep, or one too high."""
    for near in (*root.parents[:3], *sorted(root.iterdir())):
        if near.is_dir() and _layouts_at(near, split):
            return f"Did you mean --root {near}?"
    return "Name the folder that holds one of them with --root. Archives must be unpacked first."
