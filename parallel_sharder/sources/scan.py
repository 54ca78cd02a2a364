"""The scan: the folders of a Layout to a Listing.

Lists every folder on the executor, brings images and annotations together by key, and says of each image which class
it is of. Nothing is left unsaid: what is no sample of the Listing is a problem in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from parallel_sharder.columns import Bools, Int32s, Int64s, Keys
from parallel_sharder.errors import SourceError
from parallel_sharder.model import IMAGE_SUFFIX, XML_SUFFIX, ImageClass, Kind, Listing, Problem, printable
from parallel_sharder.sources.folder import NO_KEYS, FileColumns, FolderContents, list_folder, stray_folders
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.val_labels import wnids_of

FLAT_KEYS = {"val": "ILSVRC2012_val_[0-9]{8}", "test": "ILSVRC2012_test_[0-9]{8}"}
"""The keys of splits whose file names do not tell the class; those of train are `<wnid>_<number>`."""

Progress = Callable[[int, int, int], None]
"""Told of each folder: folders done, folders, images so far."""

_WNID = re.compile("n[0-9]{8}")


def scan(layout: Layout, classes: tuple[ImageClass, ...], executor: Executor, progress: Progress) -> Listing:
    """The Listing of the split at `layout`, with `classes` (sorted by wnid) as its class table.

    Raises SourceError if there is no image, for a class folder that the class list does not know, for images both in
    and beside class folders, for two files of one key, and for whatever val_labels finds wrong.
    """
    folders, problems = _image_folders(layout, classes, executor, progress)
    images = _Files.gather((each.path, each.images) for each in folders)
    if not len(images):
        raise SourceError(f"{layout.images} holds no image of the {layout.split} set, {_expected(layout)}")
    images.refuse_repeats(IMAGE_SUFFIX)

    xmls, xmls_found = _Files.gather((each.path, each.xmls) for each in folders), "beside the images"
    if layout.annotations is not None and (layout.xml_given or not len(xmls)):
        problems += xmls.problems(Kind.UNUSED_XML, f"annotations are read from {layout.annotations}")
        xml_folders, xml_problems = _xml_folders(layout, executor)
        problems += xml_problems
        xmls, xmls_found = _Files.gather((each.path, each.xmls) for each in xml_folders), f"in {layout.annotations}"
    xmls.refuse_repeats(XML_SUFFIX)

    unreadable = [problem.key.encode() for problem in problems if problem.kind is Kind.UNREADABLE]
    if unreadable:  # an annotation that is there but cannot be read: the image must not pass for one without
        images = images.take(~np.isin(images.keys, unreadable))
    rows, matched = _rows_of(xmls.keys, images.keys)
    problems += xmls.take(~matched).problems(Kind.ORPHAN_XML, "no image of this name")
    return _listing(layout, classes, images, xmls.take(matched), rows[matched], xmls_found, tuple(problems))


def _image_folders(
    layout: Layout, classes: tuple[ImageClass, ...], executor: Executor, progress: Progress
) -> tuple[list[FolderContents], list[Problem]]:
    """The contents of the folders that hold the split's images, and every problem on the way."""
    top = list_folder(str(layout.images), FLAT_KEYS.get(layout.split, NO_KEYS))
    wnids = [name for name in top.folders if not name.startswith(".")]
    if layout.split == "test" or (layout.split == "val" and not any(map(_WNID.fullmatch, wnids))):
        return [top], [*top.problems, *stray_folders(top.path, top.folders)]
    if len(top.images):
        raise SourceError(
            f"{layout.images} holds {len(top.images):,} images beside its class folders, the first "
            f"{top.images.keys.split()[0]}{IMAGE_SUFFIX}. Sort all images into class folders, or none."
        )
    known = {row.wnid for row in classes}
    unknown = [printable(name) for name in wnids if name not in known]
    if unknown:
        more = f" and {len(unknown) - 10:,} more" if len(unknown) > 10 else ""
        raise SourceError(
            f"{layout.images} holds folders that are no class of {layout.class_list}: {', '.join(unknown[:10])}{more}. "
            f"Move them out of the way, or name the right class list with --meta."
        )
    problems = [*top.problems, *stray_folders(top.path, set(top.folders).difference(wnids))]
    folders = _list_class_folders(layout, wnids, str(layout.images), executor, progress)
    for each in folders:
        problems += [*each.problems, *stray_folders(each.path, each.folders)]
    return folders, problems


def _xml_folders(layout: Layout, executor: Executor) -> tuple[list[FolderContents], list[Problem]]:
    """The contents of a tree of annotations, in class folders or flat; only its XMLs are of interest."""
    path = str(layout.annotations)
    top = list_folder(path, FLAT_KEYS.get(layout.split, NO_KEYS))
    wnids = [name for name in top.folders if _WNID.fullmatch(name)]
    folders = [top, *_list_class_folders(layout, wnids, path, executor, lambda *_: None)]
    kinds = (Kind.ORPHAN_XML, Kind.UNREADABLE)
    return folders, [problem for each in folders for problem in each.problems if problem.kind in kinds]


def _list_class_folders(
    layout: Layout, wnids: Sequence[str], path: str, executor: Executor, progress: Progress
) -> list[FolderContents]:
    pattern = FLAT_KEYS.get(layout.split)
    futures = [executor.submit(list_folder, os.path.join(path, wnid), pattern or f"{wnid}_[0-9]+") for wnid in wnids]
    folders: list[FolderContents] = []
    image_count = 0
    for future in futures:
        folders.append(future.result())
        image_count += len(folders[-1].images)
        progress(len(folders), len(futures), image_count)
    return folders


@dataclass(frozen=True, eq=False)
class _Files:
    """Files of one kind over many folders, sorted by key: file i is in `folders[folder[i]]`."""

    folders: tuple[str, ...]
    keys: Keys
    folder: Int32s
    sizes: Int64s

    @classmethod
    def gather(cls, parts: Iterable[tuple[str, FileColumns]]) -> _Files:
        folders, columns = zip(*parts, strict=True)
        keys = [np.array(each.keys.encode("ascii").split(b"\n"), np.bytes_) for each in columns if len(each)]
        counts = [len(each) for each in columns]
        files = cls(
            folders,
            np.concatenate([np.empty(0, "S1"), *keys]),
            np.repeat(np.arange(len(folders), dtype=np.int32), counts),
            np.concatenate([np.frombuffer(each.sizes, np.int64) for each in columns]),
        )
        if np.any(files.keys[:-1] > files.keys[1:]):
            return files.take(np.argsort(files.keys, kind="stable"))
        return files

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Int64s | Bools) -> _Files:
        return _Files(self.folders, self.keys[rows], self.folder[rows], self.sizes[rows])

    def path(self, row: int, suffix: str) -> str:
        return os.path.join(self.folders[self.folder[row]], str(self.keys[row], "ascii") + suffix)

    def refuse_repeats(self, suffix: str) -> None:
        repeats = np.flatnonzero(self.keys[:-1] == self.keys[1:])
        if len(repeats):
            one, other = (printable(self.path(row, suffix)) for row in (repeats[0], repeats[0] + 1))
            raise SourceError(
                f"{len(repeats):,} keys stand twice, which readers would merge or mislabel; the first: {one} and "
                f"{other}. Remove the wrong one of each."
            )

    def problems(self, kind: Kind, detail: str) -> list[Problem]:
        return [Problem(kind, printable(self.path(row, XML_SUFFIX)), "", detail) for row in range(len(self))]


def _rows_of(keys: Keys, among: Keys) -> tuple[Int64s, Bools]:
    """For each of `keys` its row in the sorted, non-empty `among`, and whether it is there at all."""
    rows = np.searchsorted(among, keys)
    rows[rows == len(among)] = 0
    return rows, among[rows] == keys


def _listing(
    layout: Layout,
    classes: tuple[ImageClass, ...],
    images: _Files,
    xmls: _Files,
    xml_rows: Int64s,
    xmls_found: str,
    problems: tuple[Problem, ...],
) -> Listing:
    folders = images.folders
    first_xml_folder = 0
    if xmls.folders != images.folders:
        folders += xmls.folders
        first_xml_folder = len(images.folders)
    xml_folder = np.full(len(images), -1, np.int32)
    xml_folder[xml_rows] = xmls.folder + first_xml_folder
    xml_size = np.full(len(images), -1, np.int64)
    xml_size[xml_rows] = xmls.sizes
    class_index = _class_index(layout, classes, images)
    found = [("layout", f"{layout.name}, {layout.split} images in {layout.images}")]
    if classes:
        present = len(np.unique(class_index))
        found.append(("classes", f"{present:,} of the {len(classes):,} in {layout.class_list}"))
    found.append(
        ("annotations", f"{len(xmls):,} of {len(images):,} images, {xmls_found}" if len(xmls) else "none found")
    )
    return Listing(
        tuple(found),
        folders,
        classes,
        images.keys,
        class_index,
        images.folder,
        images.sizes,
        xml_folder,
        xml_size,
        problems,
    )


def _class_index(layout: Layout, classes: tuple[ImageClass, ...], images: _Files) -> Int32s:
    if not classes:
        return np.full(len(images), -1, np.int32)
    index = {row.wnid: position for position, row in enumerate(classes)}
    wnids = [os.path.basename(folder) for folder in images.folders]
    if len(wnids) > 1 or wnids[0] in index:
        return np.array([index[wnid] for wnid in wnids], np.int32)[images.folder]
    keys = [key.decode("ascii") for key in images.keys.tolist()]
    labels = wnids_of(keys, layout.val_labels, classes)
    unknown = sorted(set(labels).difference(index))
    if unknown:
        raise SourceError(f"the val labels name {unknown[0]}, which is no class of {layout.class_list}")
    return np.array([index[wnid] for wnid in labels], np.int32)


def _expected(layout: Layout) -> str:
    return {
        "train": f"train/<wnid>/<wnid>_<number>{IMAGE_SUFFIX}",
        "val": f"val/[<wnid>/]ILSVRC2012_val_<8 digits>{IMAGE_SUFFIX}",
        "test": f"test/ILSVRC2012_test_<8 digits>{IMAGE_SUFFIX}",
    }[layout.split]
