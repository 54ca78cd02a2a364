"""Source layouts: where a data set's parts lie on this disk.

One file a layout, each with a `find`; `find_layout` asks all of them. What they find is only places: the scan looks
into them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from parallel_sharder.errors import SourceError
from parallel_sharder.options import LAYOUTS
from parallel_sharder.sources import archives, kaggle, tree, zipped
from parallel_sharder.sources.layout import Layout


class _Module(Protocol):
    """What each layout's file has."""

    NAME: str

    def places(self, root: Path, split: str) -> list[Path]:
        """Where this layout can have its images."""

    def find(self, images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
        """The layout with its images there."""


_MODULES: dict[str, _Module] = dict(zip(LAYOUTS, (tree, kaggle, archives, zipped), strict=True))


class _Place(NamedTuple):
    """One that a layout, `word` on the command line, can have its images at."""

    word: str
    path: Path

    def __str__(self) -> str:
        return f"{_MODULES[self.word].NAME}: {self.path}{'/' * (self.word in ('tree', 'kaggle'))}"


def find_layout(
    root: str | Path, split: str, xml_root: str | Path | None, meta: str | Path | None, layout: str | None = None
) -> Layout:
    """The one layout that `root` has for `split`; `xml_root` and `meta` are places the user has named.

    `layout`, one of options.LAYOUTS, says which it is where there are several. Raises SourceError if there is none,
    listing what was looked for and where, if there are several, or if a part is missing.
    """
    # Absolute, because workers may run in another folder; not resolved, because messages show what the user has named.
    root = Path(root).absolute()
    xml_root = Path(xml_root).absolute() if xml_root is not None else None
    meta = Path(meta).absolute() if meta is not None else None
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder; name the data set's with --root")
    wanted = LAYOUTS if layout is None else (layout,)
    there = _places_at(root, split, wanted)
    if not there:
        looked = "\n".join(f"  {place}" for place in _places(root, split, wanted))
        raise SourceError(f"no {split} images found under {root}. Looked for:\n{looked}\n{_hint(root, split)}")
    if len(there) > 1:
        all_of_them = " and ".join(f"{place.path} (--layout {place.word})" for place in there)
        raise SourceError(f"{root} holds the {split} images more than once: {all_of_them}. Choose one with --layout.")
    [(word, images)] = there
    return _MODULES[word].find(images, split, xml_root, meta)


def _places(root: Path, split: str, words: tuple[str, ...]) -> list[_Place]:
    """Every place that images can be at."""
    at_kaggle = kaggle.places(root, split) if "kaggle" in words else []
    places = [_Place(word, path) for word in words for path in _MODULES[word].places(root, split)]
    return [place for place in places if place.word != "tree" or place.path not in at_kaggle]


def _places_at(root: Path, split: str, words: tuple[str, ...]) -> list[_Place]:
    return [
        place
        for place in _places(root, split, words)
        if (place.path.is_dir() if place.word in ("tree", "kaggle") else place.path.is_file())
    ]


def _hint(root: Path, split: str) -> str:
    """The likely slip: a folder too deep, or one too high."""
    for near in (*root.parents[:3], *sorted(root.iterdir())):
        if near.is_dir() and _places_at(near, split, LAYOUTS):
            return f"Did you mean --root {near}?"
    return "Name the folder that holds one of them with --root."
