"""The layout Kaggle tar: Kaggle's tree in a tar, as image-net.org has it: `ILSVRC2017_CLS-LOC.tar.gz` and others.

All splits and their annotations lie in it, and neither a class list nor labels of val. These are looked for around it.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from parallel_sharder.sources.downloads import ENTRIES_LIMIT, official_name
from parallel_sharder.sources.imagenet.layout import Layout, annotation_place
from parallel_sharder.sources.imagenet.list_places import MAPPING, class_list, class_list_places, val_label_places

NAME = "Kaggle tar"

_USUAL = "ILSVRC2017_CLS-LOC.tar.gz"
_NAME = re.compile(
    r"(?:ILSVRC(?:20[0-9]{2}_CLS-LOC\w*)?|imagenet_object_localization\w*|imagenet-object-localization-challenge)"
    r"\.(?:tar|tgz|tar\.(?:gz|bz2|xz|zst))"
)
"""The names of such archives, as they are downloaded, and as users pack the tree anew."""


def is_name(name: str) -> bool:
    """Return whether an archive of this official name (see downloads.official_name) holds Kaggle's tree."""
    return _NAME.fullmatch(name) is not None


def places(root: Path, split: str) -> list[Path]:
    """Return the images' places, the same for every `split`: the archives that exist, or the usual one."""
    del split
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in itertools.islice(entries, ENTRIES_LIMIT) if entry.is_file())
    except OSError:  # whoever looks into the folder says so
        names = []
    return [root / name for name in names if is_name(official_name(name))] or [root / _USUAL]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its images in the tar `images`. Raises SourceError if the class list is damaged."""
    folders = images.parents[:3]
    classes = class_list(split, meta, MAPPING, class_list_places([], folders))
    return Layout(
        NAME,
        split,
        images,
        annotation_place(xml_root, split, [images]),
        xml_root is not None,
        classes,
        val_label_places([], folders, classes),
        archive_form="tree",
    )
