"""A layout: the places of one split's parts. And where the annotations are, among the places they are known from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.options import SPLITS
from parallel_sharder.sources.imagenet.list_places import ListPlaces
from parallel_sharder.sources.small_files import InTar, InZip, SmallFile
from parallel_sharder.sources.tars import is_gzip

_DEVKIT = "ILSVRC2012_devkit"
"""How the name of the devkit's folder begins."""


@dataclass(frozen=True)
class Layout:
    """Where the parts of a split are.

    `images` holds the images, in class folders or flat: a folder or an archive. `annotations` is a tree or an archive
    of their own, or None; if `xml_given`, the user has named it, and it is used whatever lies beside the images.
    `class_list` is one of the forms in list_places, None for test. `val_labels` lists the places that a flat val
    folder's labels can come from.
    """

    name: str
    split: str
    images: Path
    annotations: Path | None
    xml_given: bool
    class_list: SmallFile | None
    val_labels: ListPlaces
    wants_annotations: bool = True

    def without_annotations(self) -> Layout:
        """The same, whose Listing has no annotations, wherever there are some."""
        return dataclasses.replace(self, annotations=None, wants_annotations=False)

    @property
    def archives(self) -> tuple[str, ...]:
        """The paths of those of `images` and `annotations` that are archives, each once."""
        both = [path for path in (self.images, self.annotations) if path is not None and not path.is_dir()]
        return tuple(dict.fromkeys(map(str, both)))

    @property
    def downloads(self) -> list[Path]:
        """All archives that are read: of images, of annotations, and of class list and labels."""
        lists = [self.class_list, self.val_labels.first()] if self.split == "val" else [self.class_list]
        packed = [file.archive for file in lists if isinstance(file, InTar | InZip)]
        return [*dict.fromkeys([*map(Path, self.archives), *packed])]

    @property
    def folders(self) -> list[Path]:
        """Where the source has its files, or would have those of another split: nothing else belongs there."""
        places = [self.images] if self.annotations is None else [self.images, self.annotations]
        splits = [place.parent / split for place in places if place.name in SPLITS for split in SPLITS]
        if not self.images.is_dir():  # what archives hold is unpacked beside them
            splits = [*splits, *(self.images.parent / split for split in SPLITS)]
        small = [file for file in (self.class_list, *self.val_labels) if isinstance(file, Path)]
        devkits = [folder for file in small for folder in file.parents if folder.name.startswith(_DEVKIT)]
        return [*places, *splits, *devkits]

    @property
    def needs_spool(self) -> bool:
        """Whether annotations have to be unpacked before they can be read."""
        return self.annotations is not None and is_gzip(str(self.annotations))


def annotation_place(xml_root: Path | None, split: str, places: Iterable[Path]) -> Path | None:
    """Where the split's annotations are: within the tree the user has named, or the first of `places` there is.

    Each is a folder or an archive.
    """
    if xml_root is not None:
        if xml_root.is_file() and xml_root.name.endswith((".tar", ".tar.gz", ".tgz")):
            return xml_root
        if not xml_root.is_dir():
            raise SourceError(
                f"{xml_root}, named with --xml-root, is neither a folder nor a tar archive. "
                "Name the folder or archive that holds the annotations, or leave out --xml-root."
            )
        inside = (xml_root / "CLS-LOC" / split, xml_root / split)
        return next((place for place in inside if place.is_dir()), xml_root)
    return next((place for place in places if place.exists()), None)
