"""Layout: where the parts of one split lie: its images, annotations, class list and labels.

It is a value that layouts' modules create and the scan reads. It holds paths, and looks only at whether they exist and
what they are. This module also chooses the place of the annotations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parallel_sharder.errors import SourceError
from parallel_sharder.options import SPLITS
from parallel_sharder.sources.downloads import official_name
from parallel_sharder.sources.imagenet.classes import ClassList
from parallel_sharder.sources.imagenet.list_places import ListPlaces
from parallel_sharder.sources.small_files import InTar, InZip
from parallel_sharder.stores.packing import is_gzip

ArchiveForm = Literal["official", "named", "tree"]
"""official: an archive for each class, or flat. named: flat, and the last part of each image's name is its class. tree:
a tree of folders."""

_DEVKIT = "ILSVRC2012_devkit"
"""How the names of devkits' folders begin."""


@dataclass(frozen=True)
class Layout:
    """Where the parts of a split lie.

    `images` is a folder or an archive that holds the images, in class folders or flat. `annotations` is a folder or an
    archive of annotations, or None. If `xml_given` is True, the user has named it, and annotations beside the images
    are not used. `class_list` is a class list in one of the forms of list_places, or the table in this package; it is
    None for test. `val_labels` are the places where the labels of a flat val folder can lie. `archive_form` says
    of archives how images lie in them; `further_archives` hold images too.
    """

    name: str
    split: str
    images: Path
    annotations: Path | None
    xml_given: bool
    class_list: ClassList | None
    val_labels: ListPlaces
    wants_annotations: bool = True
    archive_form: ArchiveForm = "official"
    further_archives: tuple[Path, ...] = ()

    def without_annotations(self) -> Layout:
        """Return this layout without annotations, even if some exist."""
        return dataclasses.replace(self, annotations=None, wants_annotations=False)

    @property
    def image_archives(self) -> tuple[str, ...]:
        """The paths of the archives that hold the images; none if a folder holds them."""
        return () if self.images.is_dir() else tuple(map(str, (self.images, *self.further_archives)))

    @property
    def is_zip(self) -> bool:
        """Whether the images are in a zip, whose directory says where they are."""
        return official_name(self.images).endswith(".zip")

    @property
    def archives(self) -> tuple[str, ...]:
        """The paths of the archives of images and annotations, each once."""
        annotations = [self.annotations] if self.annotations is not None and not self.annotations.is_dir() else []
        return tuple(dict.fromkeys((*self.image_archives, *map(str, annotations))))

    @property
    def downloads(self) -> list[Path]:
        """All archives that are read: those of the images, the annotations, the class list and the labels."""
        lists = [self.class_list, self.val_labels.first()] if self.split == "val" else [self.class_list]
        packed = [file.archive for file in lists if isinstance(file, InTar | InZip)]
        return [*dict.fromkeys([*map(Path, self.archives), *packed])]

    @property
    def folders(self) -> list[Path]:
        """The folders of this and the other splits' files, in which nothing else may be written."""
        places = [self.images] if self.annotations is None else [self.images, self.annotations]
        splits = [place.parent / split for place in places if place.name in SPLITS for split in SPLITS]
        if not self.images.is_dir():  # users unpack archives beside them
            splits = [*splits, *(self.images.parent / split for split in SPLITS)]
        small = [file for file in (self.class_list, *self.val_labels) if isinstance(file, Path)]
        devkits = [folder for file in small for folder in file.parents if folder.name.startswith(_DEVKIT)]
        return [*places, *splits, *devkits]

    @property
    def needs_spool(self) -> bool:
        """Whether annotations must be unpacked before they can be read."""
        return self.annotations not in (None, self.images) and is_gzip(str(self.annotations))


def annotation_place(xml_root: Path | None, split: str, places: Iterable[Path]) -> Path | None:
    """Return where the split's annotations are: in `xml_root`, if the user has named it, or at the first of `places`.

    Only places that exist count; None if none does. Raises SourceError if `xml_root` is neither a folder nor a tar.
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
