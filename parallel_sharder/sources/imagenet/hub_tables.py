"""The layout hub Parquet: `train-*.parquet`, `validation-*.parquet` or `val-*.parquet`, and `test-*.parquet`.

The Hugging Face hub gives ImageNet so today, in data/ or beside each other. Each row has a struct of an image's bytes
and its path, and a label, 0 to 999 by sorted wnid. Other data sets have files of such names too. So a file counts as
ImageNet's if a path in its first rows has such a name, if it lists ImageNet's classes, or if its folder is called so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

from parallel_sharder.errors import MissingPackageError, SourceError
from parallel_sharder.sources.imagenet.classes import PACKAGE_TABLE, ilsvrc_ids, read_classes
from parallel_sharder.sources.imagenet.hub import folders, layout_of
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.names import WNID, name_rule
from parallel_sharder.staging.parquet import first_paths, image_column, opened

NAME = "hub Parquet"

_WORDS = {"train": ("train",), "val": ("validation", "val"), "test": ("test",)}
_PART = re.compile(r"(?:train|validation|val|test)-([0-9]+)-of-([0-9]+)(?:-[0-9a-f]+)?\.parquet")
_LABELS = ("label", "labels", "cls", "class", "target")
_OWN_NAME = re.compile(r"(?:datasets--[\w.-]+--)?(?:imagenet(?:[-_]?1k)?|ilsvrc(?:[-_]?2012)?)")
_FOLDERS_LOOKED_AT = 5
"""As many as lie between the files and the name of the set in the hub's cache, and one more."""


def places(root: Path, split: str) -> list[Path]:
    """Return the place of the first file, in each folder that has some; else the usual place."""
    found = [files[0] for folder in folders(root) if (files := files_in(folder, split))]
    return found or [root / "data" / f"{_WORDS[split][0]}-00000-of-{'00294' if split == 'train' else '00014'}.parquet"]


def files_in(folder: Path, split: str) -> list[Path]:
    """Return the files of a split in `folder`, in order."""
    return sorted(path for word in _WORDS[split] for path in folder.glob(f"{word}-*.parquet") if os.path.isfile(path))


def missing_files(images: Path, split: str) -> list[str]:
    """Return the names of the files that do not exist beside `images`, by the numbers in the names of those that do."""
    there = {path.name for path in files_in(images.parent, split)}
    match = _PART.fullmatch(images.name)
    if match is None:
        return []
    width, count = len(match[1]), int(match[2])
    word = images.name.partition("-")[0]
    found = {int(part[1]) for part in map(_PART.fullmatch, there) if part is not None and int(part[2]) == count}
    missing = [number for number in range(count) if number not in found]
    return [f"{word}-{number:0{width}}-of-{match[2]}.parquet" for number in missing]


def is_imagenet(path: Path, split: str) -> bool:
    """Return whether the file is ImageNet's, as far as its first rows, its list of classes and its folders say.

    True without pyarrow: reading the file will say that it is missing.
    """
    fits = re.compile(f"(?:{name_rule(split).key_pattern})(?:_{WNID.pattern})?").fullmatch
    try:
        names = first_paths(str(path), image_column(str(path)))
        with opened(str(path)) as file:
            classes = _classes_in(file.schema_arrow.metadata or {})
    except MissingPackageError:
        return True
    except SourceError:
        names, classes = [], []
    if any(fits(Path(name).stem) for name in names):
        return True
    if names or classes:
        own = {each.lower() for synset in read_classes(PACKAGE_TABLE, "sorted") for each in (synset.wnid, synset.name)}
        return len(classes) == len(ilsvrc_ids()) and sum(each.lower() in own for each in classes) * 2 > len(classes)
    return any(_OWN_NAME.fullmatch(part.lower()) for part in path.absolute().parent.parts[-_FOLDERS_LOOKED_AT:])


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its first file at `images`. Raises SourceError if the class list is damaged."""
    return layout_of(NAME, images, files_in(images.parent, split), split, xml_root, meta)


def columns_of_all(layout: Layout) -> tuple[str, str]:
    """Return the names of the columns of images and labels, "" for the latter if test has none.

    Raises SourceError if a file has none, or other ones than the first.
    """
    first = _columns_of(str(layout.images), layout.split)
    for path in layout.image_archives[1:]:
        if (columns := _columns_of(path, layout.split)) != first:
            named = [f"{image} and {label}" for image, label in (columns, first)]
            raise SourceError(
                f"{path} has its images and labels in the columns {named[0]}, and {layout.images} in {named[1]}. Files "
                "of one set have the same columns: move those of another set away."
            )
    return first


def _columns_of(path: str, split: str) -> tuple[str, str]:
    image = image_column(path)
    with opened(path) as file:
        names = file.schema_arrow.names
    label = next((name for name in _LABELS if name in names), "")
    if not image or not (label or split == "test") or max(map(names.count, (image, label))) > 1:
        raise SourceError(
            f"{path} has the columns {', '.join(names)}, and ImageNet has images (structs with bytes) and a label, "
            "each once. Use --table for a data set that is not ImageNet."
        )
    return image, label


def _classes_in(metadata: dict[bytes, bytes]) -> list[str]:
    """Return the names of the classes that the package datasets has noted in the file; none if it has not."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        features: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
        return max((list(map(str, each.get("names", ()))) for each in features.values()), key=len)
    return []
