"""Image places: where each layout can have its images under a root folder, and which of these places exist.

The places come from the layouts' own modules. What the folders and archives hold is not checked here, except for a root
that is itself the folder of the images, under an unusual name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from parallel_sharder.options import IMAGENET_LAYOUTS
from parallel_sharder.sources.downloads import official_name
from parallel_sharder.sources.imagenet import hub, hub_tables, kaggle_tar, kaggle_tree, kaggle_zip, official, tree
from parallel_sharder.sources.imagenet.glance import seen_in
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.published import MD5
from parallel_sharder.stores.regular import kind_at


class _Module(Protocol):
    """What each layout's module has."""

    NAME: str

    def places(self, root: Path, split: str) -> list[Path]:
        """Return the places where this layout can have its images."""

    def find(self, images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
        """Return the layout with its images at `images`."""


_MODULES: dict[str, _Module] = dict(
    zip(IMAGENET_LAYOUTS, (tree, kaggle_tree, official, kaggle_zip, kaggle_tar, hub, hub_tables), strict=True)
)


def is_download(path: str) -> bool:
    """Return whether the file has the name of an archive of ImageNet, also of one that somebody has compressed."""
    name = official_name(path)
    return any(name in names for names in (MD5, official.NAMES, hub.NAMES)) or kaggle_tar.is_name(name)


class ImagePlace(NamedTuple):
    """A place where the layout that is `word` on the command line can have its images.

    `shape` is the images' arrangement (see Seen) in a folder of images without a layout around it, and else "".
    """

    word: str
    path: Path
    shape: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether the place is a folder, and not an archive."""
        return self.word in ("tree", "kaggle")

    def is_there(self) -> bool:
        """Return whether the place exists. False if the folder above it cannot be searched."""
        return os.path.isdir(self.path) if self.is_folder else os.path.isfile(self.path)

    def find(self, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
        """Return the layout with its images at this place. Raises SourceError if the class list is damaged."""
        if self.shape:
            return tree.find_alone(self.shape, self.path, split, xml_root, meta)
        return _MODULES[self.word].find(self.path, split, xml_root, meta)

    def __str__(self) -> str:
        kind = kind_at(str(self.path))
        is_there = f", which is {kind}" if kind else ""
        return f"{_MODULES[self.word].NAME}: {self.path}{'/' * self.is_folder}{is_there}"


def possible_places(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """Return every place under `root` where the layouts `words` can have images of `split`."""
    at_kaggle = kaggle_tree.places(root, split) if "kaggle" in words else []
    found = [ImagePlace(word, path) for word in words for path in _MODULES[word].places(root, split)]
    return [place for place in found if place.word != "tree" or place.path not in at_kaggle]


def existing_places(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """Return the possible places that exist."""
    return [place for place in possible_places(root, split, words) if place.is_there()]


def place_itself(root: Path, split: str, words: Sequence[str]) -> list[ImagePlace]:
    """Return `root` as the one place, if it is the images' folder of a layout around it, or of images alone."""
    around = [place for place in existing_places(root.parent, split, words) if place.path == root]
    seen = seen_in(root) if not around and "tree" in words else None
    return [ImagePlace("tree", root, seen.shape)] if seen and seen.split == split and seen.is_usable else around
