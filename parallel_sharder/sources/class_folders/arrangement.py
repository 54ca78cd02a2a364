"""Arrangement: where the images of a set of class folders lie below its root, found from names alone.

The root and the split that the user wants go in, and an Arrangement comes out: the splits, the folder of the one that
is read, and each split's class folders. Sub-folders count as splits if all that hold images have names of splits. A
folder of images without class folders has no classes, and neither has one whose only folder is `images`; but such a
split can have its labels in a file beside the images, as tiny-imagenet's val has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.class_folders.glances import (
    first_folders,
    holds_image,
    holds_image_itself,
    sub_folders,
)

SPLIT_OF = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""The names of splits' folders, in lower case, with the split that each is."""

_IMAGES = "images"


@dataclass(frozen=True)
class Arrangement:
    """The splits of the set at `root`, with the names of their folders, and the `split` that is read, None if none.

    `beside` are the folders beside those of the splits; they hold no image. `why_none` says why folders that have
    names of splits are no splits, or is "".
    """

    root: Path
    splits: dict[str, str]
    split: str | None
    beside: tuple[str, ...] = ()
    why_none: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the images that are read: keys are made of paths below it."""
        return self.folder_of(self.split)

    def folder_of(self, split: str | None) -> Path:
        """Return the folder of a split; the root if there are none."""
        return self.root if split is None else self.root / self.splits[split]

    @cached_property
    def classes(self) -> dict[str | None, list[str]]:
        """The class folders of each split, sorted bytewise; of the root, under None, if there are no splits."""
        return {split: class_folders(self.folder_of(split)) for split in self.splits or [None]}

    def labels_of(self, split: str | None) -> Path | None:
        """Return the file of labels of a split without class folders; None if it has none."""
        if split is None or self.classes[split]:
            return None
        path = labels_file(self.folder_of(split))
        return path if path.is_file() else None


def labels_file(folder: Path) -> Path:
    """Return the path that the file of labels has in the folder of a split without class folders."""
    return folder / f"{folder.name.lower()}_annotations.txt"


def class_folders(folder: Path) -> list[str]:
    """Return the names of the class folders in `folder`, sorted bytewise; none if its images have no classes."""
    names = sub_folders(folder)
    return [] if _is_images_folder(names) or holds_image_itself(folder) else names


def _is_images_folder(names: list[str]) -> bool:
    """Return whether these are the folders of a split without classes, whose images lie in the folder `images`."""
    return [name.lower() for name in names] == [_IMAGES]


def arrangement_at(root: Path, split: str | None) -> Arrangement:
    """Return the arrangement of the set at `root`, of which `split` is read: None if the user has named none.

    Without a name, the split is train, or the only one. Raises SourceError if the split is not there or not clear, for
    two folders of one split, for a split where there are none, and for a folder with images beside splits for sure.
    """
    names = sub_folders(root)
    named = [name for name in names if name.lower() in SPLIT_OF]
    others = [name for name in names if name not in named]
    other = next((name for name in others if named and holds_image(root / name)), None)
    if not named or other is not None:
        _refuse_stray(root, named, others)
        _refuse_split(root, split, names)
        why = (
            f"Folders named as splits ({first_folders(named)}) are taken for classes, since {other}/ holds images."
            if named
            else ""
        )
        return Arrangement(root, {}, None, why_none=why)
    splits: dict[str, str] = {}
    for name in named:
        before = splits.setdefault(SPLIT_OF[name.lower()], name)
        if before != name:
            raise SourceError(
                f"{root / before} and {root / name} both have a name of the split {SPLIT_OF[name.lower()]}. Rename the "
                "one that is another split, or move it away."
            )
    splits = {name: splits[name] for name in SPLIT_OF if name in splits}  # in the usual order
    return Arrangement(root, splits, _chosen(root, splits, split), tuple(others))


def _chosen(root: Path, splits: dict[str, str], split: str | None) -> str:
    """Return the split that is read."""
    names = ", ".join(splits)
    if split is None:
        chosen = "train" if "train" in splits else next(iter(splits)) if len(splits) == 1 else None
        if chosen is None:
            raise SourceError(f"{root} has the splits {names}. Choose one with --split.")
        return chosen
    if split not in splits:
        raise SourceError(
            f"{root} has no split {split}; it has {names}. Choose one of these with --split, or leave --split out."
        )
    return split


def _refuse_stray(root: Path, named: list[str], others: list[str]) -> None:
    """Raise SourceError if two folders with names of splits hold the same class folder, so that they must be splits."""
    first_with: dict[str, str] = {}
    for name in named:
        for inner in class_folders(root / name):
            before = first_with.setdefault(inner, name)
            if before != name:
                stray = [other for other in others if holds_image(root / other)]
                raise SourceError(
                    f"{root} has the splits {first_folders(named)}, which share class folders such as {inner}/, but "
                    f"images lie in {first_folders(stray)} beside them too. Move {first_folders(stray)} away; or, if "
                    f"{before}/ and {name}/ are classes, rename them, because these are names of splits."
                )


def _refuse_split(root: Path, split: str | None, names: list[str]) -> None:
    if split is not None:
        holds = f"its folders are {first_folders(names)}" if names else "it has no folders"
        raise SourceError(
            f"{root} has no splits, so there is no {split} in it: {holds}, and splits are folders named train, val and "
            "test, if no other folder holds images. Leave --split out, which converts all of it."
        )
