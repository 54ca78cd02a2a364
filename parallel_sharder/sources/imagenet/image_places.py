"""Where each layout can have its images under a folder, and which of these places are there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from parallel_sharder.options import LAYOUTS
from parallel_sharder.sources.imagenet import kaggle_tree, kaggle_zip, official, tree
from parallel_sharder.sources.imagenet.glance import seen_in
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.stores.regular import kind_at


class _Module(Protocol):
    """What each layout's file has."""

    NAME: str

    def places(self, root: Path, split: str) -> list[Path]:
        """Where this layout can have its images."""

    def find(self, images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
        """The layout with its images there."""


_MODULES: dict[str, _Module] = dict(zip(LAYOUTS, (tree, kaggle_tree, official, kaggle_zip), strict=True))


class ImagePlace(NamedTuple):
    """One that a layout, `word` on the command line, can have its images at; `shape` as in Seen if there is no more."""

    word: str
    path: Path
    shape: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether the images are there in a folder, and not in an archive."""
        return self.word in ("tree", "kaggle")

    def is_there(self) -> bool:
        """Whether there is such a thing; not if its folder may not be searched."""
        return os.path.isdir(self.path) if self.is_folder else os.path.isfile(self.path)

    def find(self, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
        """The layout with its images there; SourceError if the class list is missing."""
        if self.shape:
            return tree.find_alone(self.shape, self.path, split, xml_root, meta)
        return _MODULES[self.word].find(self.path, split, xml_root, meta)

    def __str__(self) -> str:
        kind = kind_at(str(self.path))
        is_there = f", which is {kind}" if kind else ""
        return f"{_MODULES[self.word].NAME}: {self.path}{'/' * self.is_folder}{is_there}"


def possible_places(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """Every place that images can be at."""
    at_kaggle = kaggle_tree.places(root, split) if "kaggle" in words else []
    found = [ImagePlace(word, path) for word in words for path in _MODULES[word].places(root, split)]
    return [place for place in found if place.word != "tree" or place.path not in at_kaggle]


def existing_places(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """Those of them that are there."""
    return [place for place in possible_places(root, split, words) if place.is_there()]


def place_itself(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """The place that `root` itself is, if it is the folder of the images: of a layout around it, or alone."""
    around = [place for place in existing_places(root.parent, split, words) if place.path == root]
    seen = seen_in(root) if not around and "tree" in words else None
    return [ImagePlace("tree", root, seen.shape)] if seen and seen.split == split and seen.is_usable else around
