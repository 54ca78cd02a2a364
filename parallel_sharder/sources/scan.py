"""The scan: the places of a Layout to a Listing.

Has every place listed (see survey), brings images and annotations together by key, and says of each image which class
it is of. Nothing is left unsaid: what is no sample of the Listing is a problem in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from parallel_sharder.blob import blob_at
from parallel_sharder.columns import Bools, Extents, Int32s, Int64s, Keys
from parallel_sharder.errors import SourceError
from parallel_sharder.model import (
    IMAGE_SUFFIX,
    XML_SUFFIX,
    Archive,
    ImageClass,
    Kind,
    Listing,
    Place,
    Problem,
    printable,
)
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.sources.folder import UNREADABLE, UNREADABLE_DETAIL
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.saved import SavedIndex, archive_at
from parallel_sharder.sources.survey import Progress, survey_annotations, survey_images
from parallel_sharder.sources.val_labels import wnids_of


def scan(
    layout: Layout,
    classes: tuple[ImageClass, ...],
    executor: Executor,
    progress: Progress,
    spool: str | None = None,
    index: SavedIndex | None = None,
) -> Listing:
    """The Listing of the split at `layout`, with `classes` (sorted by wnid) as its class table.

    Annotations beside the images come before those elsewhere, unless the user has named these. Compressed ones are
    unpacked to the file `spool`; without it they are counted, and cannot be read. What `index` holds of the archive of
    the images is not read again. Raises SourceError if there is no image, for a class that the class list does not
    know, for images both in and beside class folders, for two files of one key, for a named tree without an annotation
    of any image, for a damaged archive, and for whatever val_labels finds wrong.
    """
    known = {} if index is None else {index.archive.path: index.archive}
    archives = tuple(known.get(path) or archive_at(path) for path in layout.archives)
    survey = survey_images(layout, classes, executor, progress, index)
    problems = list(survey.problems)
    images = _Files.gather(survey.contents, [each.images for each in survey.contents])
    if not len(images):
        raise SourceError(
            f"{layout.images} holds no image of the {layout.split} set. Expected were files named {_expected(layout)}."
            + (" If it holds archives, unpack these too, or give the archive itself." if layout.images.is_dir() else "")
        )
    images.refuse_repeats(IMAGE_SUFFIX)

    xmls, xmls_found = _Files.gather(survey.contents, [each.xmls for each in survey.contents]), "beside the images"
    rows, matched = _rows_of(xmls.keys, images.keys)
    elsewhere = layout.annotations is not None and layout.annotations != layout.images
    if elsewhere and (layout.xml_given or not matched.any()):
        unused = Kind.UNUSED_XML if layout.xml_given else Kind.ORPHAN_XML
        problems += xmls.problems(unused, f"annotations are read from {layout.annotations}")
        contents, xml_problems = survey_annotations(layout, executor, spool)
        problems += xml_problems
        xmls, xmls_found = _Files.gather(contents, [each.xmls for each in contents]), f"in {layout.annotations}"
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
    class_index = _class_index(layout, classes, images, survey.in_class_folders)
    if not layout.wants_annotations:
        xmls, xml_of = dataclasses.replace(xmls, extents=None), np.full(len(images), -1)
    listing = _listing(layout, classes, images, class_index, xmls, xml_of, xmls_found, tuple(problems))
    return dataclasses.replace(listing, archives=archives)


def refuse_changed_archives(archives: Iterable[Archive]) -> None:
    """Raise SourceError if one of them is not as it was: what was read from it may be anything."""
    for archive in archives:
        now = archive_at(archive.path)
        if now != archive:
            raise SourceError(
                f"{archive.path} has changed while it was read: it had {archive.size:,} bytes, now {now.size:,}, or "
                "it has another time. When nobody writes to it any more, start anew with --overwrite."
            )


@dataclass(frozen=True, eq=False)
class _Files:
    """Files of one kind over many places, sorted by key: file i is in `contents[place[i]]`."""

    contents: tuple[Contents, ...]
    keys: Keys
    place: Int32s
    sizes: Int64s
    extents: Extents | None

    @classmethod
    def gather(cls, contents: Sequence[Contents], columns: Sequence[FileColumns]) -> _Files:
        """The files that `columns` have of each of `contents`."""
        keys = [np.array(each.keys.encode("ascii").split(b"\n"), np.bytes_) for each in columns if len(each)]
        extents = None
        if any(each.extents for each in columns):
            numbers = np.concatenate([np.frombuffer(each.extents, np.int64) for each in columns])
            extents = numbers.reshape(sum(map(len, columns)), -1)
        files = cls(
            tuple(contents),
            np.concatenate([np.empty(0, "S1"), *keys]),
            np.repeat(np.arange(len(columns), dtype=np.int32), [len(each) for each in columns]),
            np.concatenate([np.empty(0, np.int64), *(np.frombuffer(each.sizes, np.int64) for each in columns)]),
            extents,
        )
        if np.any(files.keys[:-1] > files.keys[1:]):
            return files.take(np.argsort(files.keys, kind="stable"))
        return files

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(each.place for each in self.contents)

    def take(self, rows: Int64s | Bools) -> _Files:
        extents = None if self.extents is None else self.extents[rows]
        return _Files(self.contents, self.keys[rows], self.place[rows], self.sizes[rows], extents)

    def path(self, row: int, suffix: str) -> str:
        """The file's, as it is told to people."""
        extent = () if self.extents is None else self.extents[row].tolist()
        name = str(self.keys[row], "ascii") + suffix
        return blob_at(self.contents[self.place[row]].place, name, int(self.sizes[row]), extent).path

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
    places, first_xml_place = images.places, 0
    if xmls.contents != images.contents:
        places, first_xml_place = images.places + xmls.places, len(images.places)
    annotated = xml_of >= 0
    xml_place = np.full(len(images), -1, np.int32)
    xml_place[annotated] = xmls.place[xml_of[annotated]] + first_xml_place
    xml_size = np.full(len(images), -1, np.int64)
    xml_size[annotated] = xmls.sizes[xml_of[annotated]]
    xml_extent = None
    if xmls.extents is not None:
        xml_extent = np.full((len(images), xmls.extents.shape[1]), -1, np.int64)
        xml_extent[annotated] = xmls.extents[xml_of[annotated]]
    found = [("layout", f"{layout.name}, {layout.split} images in {layout.images}")]
    if classes:
        present = len(np.unique(class_index))
        found.append(("classes", f"{present:,} of the {len(classes):,} in {layout.class_list}"))
    count = np.count_nonzero(annotated)
    if layout.wants_annotations:
        annotations = f"{count:,} of {len(images):,} images, {xmls_found}" if count else "none found"
    else:
        annotations = "not wanted"
    found.append(("annotations", annotations))
    columns = images.keys, class_index, images.place, images.sizes, xml_place, xml_size
    return Listing(tuple(found), places, classes, *columns, problems, images.extents, xml_extent)


def _class_index(layout: Layout, classes: tuple[ImageClass, ...], images: _Files, in_class_folders: bool) -> Int32s:
    if not classes:
        return np.full(len(images), -1, np.int32)
    index = {row.wnid: position for position, row in enumerate(classes)}
    if in_class_folders:
        return np.array([index[each.name] for each in images.contents], np.int32)[images.place]
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
