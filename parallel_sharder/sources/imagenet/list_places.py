"""List places: where class lists and val labels can lie, in each of their forms, in the folders around the images.

A layout names its usual places and the folders around its images. All other forms are looked for after these, so that
a devkit, Kaggle's LOC_ files, or a later devkit serves every layout. The files are found here and read elsewhere. Where
no class list is found, the table in this package serves; labels of a flat val folder have no such table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.downloads import downloaded
from parallel_sharder.sources.imagenet.classes import META_TAKES, PACKAGE_TABLE, ClassList
from parallel_sharder.sources.imagenet.kaggle_contents import InKaggleZip
from parallel_sharder.sources.small_files import InTar, InZip, SmallFile
from parallel_sharder.stores.regular import kind_at

DEVKIT = "ILSVRC2012_devkit_t12"
META = "data/meta.mat"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
"""A file whose numbers are ILSVRC2012_IDs."""

LATER_GROUND_TRUTH = "ILSVRC2015_clsloc_validation_ground_truth.txt"
"""A file whose numbers are defined by the CLASS_MAP beside it, as in the files of other years with such names."""

CLASS_MAP = "map_clsloc.txt"
"""Lines of `wnid number name`. The numbers need not be ILSVRC2012_IDs."""

LATER_DEVKIT = "ILSVRC2017_devkit.tar.gz"
LATER_DEVKITS = {
    "devkit/data": LATER_GROUND_TRUTH,
    "ILSVRC/devkit/data": LATER_GROUND_TRUTH,
    "ILSVRC2017_devkit/ILSVRC/devkit/data": LATER_GROUND_TRUTH,
    "ILSVRC2014_devkit/data": "ILSVRC2014_clsloc_validation_ground_truth.txt",
    ".": LATER_GROUND_TRUTH,
}
"""The data folders of the devkits of 2014 to 2017, and the name of the file of labels in each."""

MAPPING = "LOC_synset_mapping.txt"
VAL_SOLUTION = "LOC_val_solution.csv"
KAGGLE_ZIP = "imagenet-object-localization-challenge.zip"

_OR_NAME_IT = ", or name the class list with --meta"


Forms = Callable[[Path], list[SmallFile]]
"""A function that returns the places where one kind of list can lie in a folder, the preferred ones first."""


class ListPlaces(tuple[SmallFile, ...]):
    """The places where a small file can lie. The first that exists is used. `shown` are lines that show the places."""

    folder: Path
    shown: tuple[str, ...]

    @classmethod
    def around(cls, usual: Iterable[SmallFile], folders: Sequence[Path], *forms: Forms) -> ListPlaces:
        """Return the `usual` places, then the places of the first of `forms` in each of `folders`, then of the next."""
        usual = list(usual)
        found = [(folder, place) for each in forms for folder in folders for place in each(folder)]
        near = [place for folder, place in found if folder == folders[0]]
        elsewhere = [place for folder, place in found if folder != folders[0]]
        places = cls(dict.fromkeys([*usual, *(place for _, place in found)]))
        shown = dict.fromkeys([*(place for place in usual if place in near or place not in elsewhere), *near])
        others = dict.fromkeys(str(folder) for folder in folders[1:] if folder != folders[0])
        same = [f"  and the same in {', '.join(others)}"] if others else []
        places.folder = folders[0]
        places.shown = (*(f"  {place}" for place in shown), *same)
        return places

    def first(self) -> SmallFile | None:
        """Return the first place that is a file, also one in an archive; None if none is."""
        for place in self:
            try:
                if place.is_file():
                    return place
                path = place if isinstance(place, Path) else place.archive
                if kind := kind_at(str(path)):
                    raise SourceError(f"{path} is {kind}, and no regular file. Put the file there, or remove it.")
            except OSError as error:
                raise unreadable(place, error, "Mend or remove it.") from error
        return None

    def require(self, what: str, remedy: str) -> SmallFile:
        """Return the first place that is a file. Raises SourceError, which lists all places, if none is."""
        found = self.first()
        if found is None:
            archives = [place for place in self if not isinstance(place, Path) and place.archive.is_file()]
            lacking = [f"{place.archive} holds no {place.name}." for place in archives]
            raise SourceError(f"no {what} found. Looked for:", *self.shown, *lacking, remedy)
        return found


def devkit_classes(archive: Path) -> InTar:
    """Return the place of the class list in the archive of a devkit."""
    return InTar(archive, META, _OR_NAME_IT)


def kaggle_classes(archive: Path) -> InKaggleZip:
    """Return the place of the class list in Kaggle's zip."""
    return InKaggleZip(archive, MAPPING, _OR_NAME_IT)


def class_list(split: str, meta: Path | None, what: str, places: ListPlaces) -> ClassList | None:
    """Return the class list: `meta`, if the user has named it, or the first of `places`, or the table in this package.

    None for the split test. Raises SourceError if a devkit's archive is the only place that exists, and lacks the list:
    it is another archive, or was cut short.
    """
    if split == "test":
        return None
    if meta is None:
        found = places.first()
        if found is None and any(isinstance(place, InTar) and place.archive.is_file() for place in places):
            remedy = f"Put {DEVKIT}.tar.gz or {MAPPING} into {places.folder}, or name the file with --meta."
            return places.require(f"class list ({what})", remedy)
        return found or PACKAGE_TABLE
    if meta.is_dir():
        named = class_list_places([], [meta, meta / "data"])
        return named.require(f"class list in {meta}, named with --meta,", META_TAKES)
    if not meta.is_file():
        kind = kind_at(str(meta)) or "not a file"
        raise SourceError(f"{meta}, named with --meta, is {kind}. {META_TAKES}")
    if meta.name.endswith((".tar.gz", ".tgz", ".tar")):
        later = InTar(meta, f"data/{CLASS_MAP}")
        return later if later.is_file() else devkit_classes(meta)
    in_zip = kaggle_classes(meta)
    return in_zip if meta.suffix == ".zip" and in_zip.is_file() else meta


def class_list_places(usual: Iterable[SmallFile], folders: Sequence[Path]) -> ListPlaces:
    """Return the places of a class list. Later devkits come last, because they have fewer words for each class."""
    return ListPlaces.around(usual, folders, _class_lists, _later_class_lists)


def val_label_places(usual: Iterable[SmallFile], folders: Sequence[Path], classes: ClassList | None) -> ListPlaces:
    """Return the places of val's labels, including those beside the class list `classes`, which may lie elsewhere."""
    beside: list[SmallFile] = []
    if isinstance(classes, Path):
        is_later = classes.name == CLASS_MAP
        names = dict.fromkeys(LATER_DEVKITS.values()) if is_later else (GROUND_TRUTH, VAL_SOLUTION, LATER_GROUND_TRUTH)
        beside = [classes.with_name(name) for name in names]
    return ListPlaces.around([*usual, *beside], folders, _val_labels, _later_val_labels)


def _class_lists(folder: Path) -> list[SmallFile]:
    devkit, kaggle = downloaded(folder, f"{DEVKIT}.tar.gz", KAGGLE_ZIP)
    return [
        folder / DEVKIT / META,
        folder / META,
        folder / "meta.mat",
        devkit_classes(devkit),
        folder / MAPPING,
        kaggle_classes(kaggle),
    ]


def _later_class_lists(folder: Path) -> list[SmallFile]:
    return [
        folder / "meta.bin",
        *(folder / devkit / CLASS_MAP for devkit in LATER_DEVKITS),
        InTar(folder / LATER_DEVKIT, f"data/{CLASS_MAP}"),
    ]


def _val_labels(folder: Path) -> list[SmallFile]:
    devkit, kaggle = downloaded(folder, f"{DEVKIT}.tar.gz", KAGGLE_ZIP)
    return [
        folder / DEVKIT / "data" / GROUND_TRUTH,
        folder / "data" / GROUND_TRUTH,
        folder / GROUND_TRUTH,
        InTar(devkit, f"data/{GROUND_TRUTH}"),
        folder / VAL_SOLUTION,
        InZip(folder / f"{VAL_SOLUTION}.zip", VAL_SOLUTION),
        InKaggleZip(kaggle, VAL_SOLUTION),
    ]


def _later_val_labels(folder: Path) -> list[SmallFile]:
    return [
        *(folder / devkit / ground_truth for devkit, ground_truth in LATER_DEVKITS.items()),
        InTar(folder / LATER_DEVKIT, f"data/{LATER_GROUND_TRUTH}"),
    ]
