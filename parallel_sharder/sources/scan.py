"""The scan: the folders of a Layout to a Listing.

Lists every folder on the executor, brings images and annotations together by key, and says of each image which class
it is of. Nothing is left unsaid: what is no sample of the Listing is a problem in it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from parallel_sharder.columns import Bools, Int32s, Int64s, Keys
from parallel_sharder.errors import SourceError, WorkerDiedError, WorkerError
from parallel_sharder.model import IMAGE_SUFFIX, WNID, XML_SUFFIX, ImageClass, Kind, Listing, Problem, printable
from parallel_sharder.sources.folder import (
    NO_KEYS,
    UNREADABLE,
    UNREADABLE_DETAIL,
    FileColumns,
    FolderContents,
    list_folder,
    stray_folders,
)
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.val_labels import wnids_of

FLAT_KEYS = {"val": "ILSVRC2012_val_[0-9]{8}", "test": "ILSVRC2012_test_[0-9]{8}"}
"""The keys of splits whose file names do not tell the class; those of train are `<wnid>_<number>`."""

Progress = Callable[[int, int, int], None]
"""Told of each folder: folders done, folders, images so far."""

TRAIN_KEY = "{}_[0-9]{{1,20}}"
"""The keys of a class folder of train; longer ones would not fit a tar header."""


def scan(layout: Layout, classes: tuple[ImageClass, ...], executor: Executor, progress: Progress) -> Listing:
    """The Listing of the split at `layout`, with `classes` (sorted by wnid) as its class table.

    Annotations beside the images come before a tree of their own, unless the user has named that. Raises SourceError if
    there is no image, for a class folder that the class list does not know, for images both in and beside class
    folders, for two files of one key, for a named tree without an annotation of any image, and for whatever val_labels
    finds wrong.
    """
    found = _image_folders(layout, classes, executor, progress)
    problems = list(found.problems)
    images = _Files.gather((each.path, each.images) for each in found.folders)
    if not len(images):
        raise SourceError(
            f"{layout.images} holds no image of the {layout.split} set. Expected were files named {_expected(layout)}. "
            f"If the archives are there instead, unpack them (those of train hold an archive for each class)."
        )
    images.refuse_repeats(IMAGE_SUFFIX)

    xmls, xmls_found = _Files.gather((each.path, each.xmls) for each in found.folders), "beside the images"
    rows, matched = _rows_of(xmls.keys, images.keys)
    elsewhere = layout.annotations is not None and layout.annotations != layout.images
    if elsewhere and (layout.xml_given or not matched.any()):
        unused = Kind.UNUSED_XML if layout.xml_given else Kind.ORPHAN_XML
        problems += xmls.problems(unused, f"annotations are read from {layout.annotations}")
        xml_folders, xml_problems = _xml_folders(layout, executor)
        problems += xml_problems
        xmls, xmls_found = _Files.gather((each.path, each.xmls) for each in xml_folders), f"in {layout.annotations}"
        rows, matched = _rows_of(xmls.keys, images.keys)
        if layout.xml_given and not matched.any():
            raise SourceError(
                f"{layout.annotations} holds no annotation of any image in {layout.images}. Name the folder that holds "
                f"{layout.split}/, or the annotations themselves, with --xml-root."
            )
    elif elsewhere:
        xmls_found += f"; {layout.annotations} is not used"
    xmls.refuse_repeats(XML_SUFFIX)
    problems += xmls.take(~matched).problems(Kind.ORPHAN_XML, "no image of this name")

    unreadable = matched & (xmls.sizes == UNREADABLE)
    problems += xmls.take(unreadable).problems(Kind.UNREADABLE, UNREADABLE_DETAIL)
    xml_of = np.full(len(images), -1)
    xml_of[rows[matched]] = np.flatnonzero(matched)
    readable = np.ones(len(images), np.bool_)
    readable[rows[unreadable]] = False
    images, xml_of = images.take(readable), xml_of[readable]
    class_index = _class_index(layout, classes, images, found.in_class_folders)
    return _listing(layout, classes, images, class_index, xmls, xml_of, xmls_found, tuple(problems))


class _ImageFolders(NamedTuple):
    """The contents of the folders that hold the split's images, how they lie, and every problem on the way."""

    folders: list[FolderContents]
    in_class_folders: bool
    problems: list[Problem]


def _image_folders(
    layout: Layout, classes: tuple[ImageClass, ...], executor: Executor, progress: Progress
) -> _ImageFolders:
    top = list_folder(str(layout.images), FLAT_KEYS.get(layout.split, NO_KEYS))
    wnids = [name for name in top.folders if not name.startswith(".")]
    if layout.split == "test" or (layout.split == "val" and not any(map(WNID.fullmatch, wnids))):
        return _ImageFolders([top], False, [*top.problems, *stray_folders(top.path, top.folders)])
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
    problems = [*top.problems, *stray_folders(top.path, sorted(set(top.folders).difference(wnids)))]
    folders = _list_class_folders(layout, wnids, str(layout.images), executor, progress)
    for each in folders:
        problems += [*each.problems, *stray_folders(each.path, each.folders)]
    return _ImageFolders(folders, True, problems)


def _xml_folders(layout: Layout, executor: Executor) -> tuple[list[FolderContents], list[Problem]]:
    """The contents of a tree of annotations, in class folders or flat, and every problem on the way."""
    path = str(layout.annotations)
    top = list_folder(path, FLAT_KEYS.get(layout.split, NO_KEYS))
    wnids = [name for name in top.folders if WNID.fullmatch(name)]
    folders = [top, *_list_class_folders(layout, wnids, path, executor, lambda *_: None)]
    problems = stray_folders(path, sorted(set(top.folders).difference(wnids)))
    for each in folders:
        problems += each.problems
        problems += stray_folders(each.path, each.folders if each is not top else ())
    # An image among the annotations is no image of the set, so none is left out of it.
    problems = [
        each if each.kind is Kind.ORPHAN_XML else dataclasses.replace(each, kind=Kind.NOT_AN_IMAGE, key="")
        for each in problems
    ]
    return folders, problems


def _list_class_folders(
    layout: Layout, wnids: Sequence[str], path: str, executor: Executor, progress: Progress
) -> list[FolderContents]:
    pattern = FLAT_KEYS.get(layout.split)
    futures = [
        executor.submit(list_folder, os.path.join(path, wnid), pattern or TRAIN_KEY.format(wnid)) for wnid in wnids
    ]
    folders: list[FolderContents] = []
    image_count = 0
    for future in futures:
        try:
            folders.append(future.result())
        except WorkerDiedError as error:
            raise WorkerError(
                f"a worker died listing folders in {path}: {error.cause}. Called from a script, convert() needs "
                f"`if __name__ == '__main__':` around it; otherwise memory may be short: use fewer --workers."
            ) from error
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
        parts = list(parts)
        folders, columns = tuple(path for path, _ in parts), [each for _, each in parts]
        keys = [np.array(each.keys.encode("ascii").split(b"\n"), np.bytes_) for each in columns if len(each)]
        counts = [len(each) for each in columns]
        files = cls(
            folders,
            np.concatenate([np.empty(0, "S1"), *keys]),
            np.repeat(np.arange(len(folders), dtype=np.int32), counts),
            np.concatenate([np.empty(0, np.int64), *(np.frombuffer(each.sizes, np.int64) for each in columns)]),
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
        """One problem for each of these annotations."""
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
    class_index: Int32s,
    xmls: _Files,
    xml_of: Int64s,
    xmls_found: str,
    problems: tuple[Problem, ...],
) -> Listing:
    """The columns; `xml_of` is each image's row in `xmls`, or -1."""
    folders, first_xml_folder = images.folders, 0
    if xmls.folders != images.folders:
        folders, first_xml_folder = images.folders + xmls.folders, len(images.folders)
    annotated = xml_of >= 0
    xml_folder = np.full(len(images), -1, np.int32)
    xml_folder[annotated] = xmls.folder[xml_of[annotated]] + first_xml_folder
    xml_size = np.full(len(images), -1, np.int64)
    xml_size[annotated] = xmls.sizes[xml_of[annotated]]
    found = [("layout", f"{layout.name}, {layout.split} images in {layout.images}")]
    if classes:
        present = len(np.unique(class_index))
        found.append(("classes", f"{present:,} of the {len(classes):,} in {layout.class_list}"))
    count = np.count_nonzero(annotated)
    found.append(("annotations", f"{count:,} of {len(images):,} images, {xmls_found}" if count else "none found"))
    columns = images.keys, class_index, images.folder, images.sizes, xml_folder, xml_size
    return Listing(tuple(found), folders, classes, *columns, problems)


def _class_index(layout: Layout, classes: tuple[ImageClass, ...], images: _Files, in_class_folders: bool) -> Int32s:
    if not classes:
        return np.full(len(images), -1, np.int32)
    index = {row.wnid: position for position, row in enumerate(classes)}
    if in_class_folders:
        return np.array([index[os.path.basename(folder)] for folder in images.folders], np.int32)[images.folder]
    keys = [key.decode("ascii") for key in images.keys.tolist()]
    wnids = wnids_of(keys, layout.val_labels, classes)
    unknown = sorted(set(wnids).difference(index))
    if unknown:
        raise SourceError(f"the val labels name {unknown[0]}, which is no class of {layout.class_list}")
    return np.array([index[wnid] for wnid in wnids], np.int32)


def _expected(layout: Layout) -> str:
    return {
        "train": f"train/<wnid>/<wnid>_<number>{IMAGE_SUFFIX}",
        "val": f"val/[<wnid>/]ILSVRC2012_val_<8 digits>{IMAGE_SUFFIX}",
        "test": f"test/ILSVRC2012_test_<8 digits>{IMAGE_SUFFIX}",
    }[layout.split]
