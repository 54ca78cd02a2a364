"""The scan: the places of a Layout to a Listing.

Has every place listed (see survey), brings images and annotations together by key, and says of each image which class
it is of. Nothing is left unsaid: what is no sample of the Listing is a problem in it.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parallel_sharder.blob import blob_at
from parallel_sharder.columns import Bools, Bytes, Extents, Int32s, Int64s, Keys
from parallel_sharder.errors import SourceError
from parallel_sharder.model import (
    IMAGE_SUFFIX,
    XML_SUFFIX,
    Archive,
    Kind,
    Listing,
    Part,
    Place,
    Problem,
    Role,
)
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.sources.folder import UNREADABLE, why_unreadable
from parallel_sharder.sources.glance import Glance
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.names import packed_class
from parallel_sharder.sources.notices import notices_of
from parallel_sharder.sources.saved import SavedIndex, archive_at
from parallel_sharder.sources.survey import Progress, Survey, survey_annotations, survey_images
from parallel_sharder.sources.val_labels import labels_in, wnids_of
from parallel_sharder.synsets import Synset
from parallel_sharder.text import counted

_WITH_CLASS = re.compile(r".*_[0-9]+_n[0-9]{8}\.\w+")
_WITHOUT_CLASS = (
    "find . -name '*_[0-9]*_n????????.*' -exec sh -c "
    """'for f; do mv -n "$f" "${f%_n*}.${f##*.}"; done' sh {} +"""
)
"""Names as the Hugging Face hub's archives have them, and the command that makes them ImageNet's."""

NAMED = 10
"""Images that a refusal names."""


def scan(
    layout: Layout,
    classes: tuple[Synset, ...],
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
    images = _Files.gather(survey.contents, [each.images for each in survey.contents], IMAGE_SUFFIX)
    if not len(images):
        raise SourceError(*_no_image(layout))
    images.refuse_repeats()
    annotations = _Annotations.none(images)
    if layout.wants_annotations:
        annotations = _annotations(layout, survey, images, executor, spool)
    images, xml_of = images.take(annotations.readable), annotations.xml_of[annotations.readable]
    class_index, compared = _class_index(layout, classes, images, survey.in_class_folders)
    problems = (*survey.problems, *annotations.problems)
    listing = _listing(layout, classes, images, class_index, annotations, xml_of, problems)
    notices = notices_of(layout, listing, survey, compared)
    return dataclasses.replace(listing, archives=archives, notices=notices)


class _Annotations(NamedTuple):
    """The annotations that count, and for each image the row of its own in them, or -1; where they are, in words.

    `readable` tells whether an image has no annotation that cannot be read.
    """

    files: _Files
    xml_of: Int64s
    readable: Bools
    found: str
    problems: tuple[Problem, ...] = ()

    @classmethod
    def none(cls, images: _Files) -> _Annotations:
        """For images whose annotations are not wanted."""
        nothing = _Files.gather((), (), XML_SUFFIX)
        return cls(nothing, np.full(len(images), -1), np.ones(len(images), np.bool_), "not wanted")


def _annotations(layout: Layout, survey: Survey, images: _Files, executor: Executor, spool: str | None) -> _Annotations:
    """Those beside the images, or elsewhere if the user has named a place, or none beside belongs to an image."""
    problems: list[Problem] = []
    xmls = _Files.gather(survey.contents, [each.xmls for each in survey.contents], XML_SUFFIX)
    found = "beside the images"
    rows, matched = _rows_of(xmls.keys, images.keys)
    elsewhere = layout.annotations is not None and layout.annotations != layout.images
    if elsewhere and (layout.xml_given or not matched.any()):
        unused = Kind.UNUSED_XML if layout.xml_given else Kind.ORPHAN_XML
        problems += xmls.problems(unused, f"annotations are read from {layout.annotations}")
        contents, xml_problems = survey_annotations(layout, executor, spool)
        problems += xml_problems
        xmls, found = _Files.gather(contents, [each.xmls for each in contents], XML_SUFFIX), f"in {layout.annotations}"
        rows, matched = _rows_of(xmls.keys, images.keys)
        if layout.xml_given and not matched.any():
            raise SourceError(
                f"{layout.annotations} holds no annotation of any image in {layout.images}. Name the folder that holds "
                f"{layout.split}/, or the annotations themselves, with --xml-root."
            )
    elif elsewhere:
        found += f"; {layout.annotations} is not used"
    xmls.refuse_repeats()
    problems += xmls.take(~matched).problems(Kind.ORPHAN_XML, "no image of this name")

    unreadable = matched & (xmls.sizes == UNREADABLE)
    unread = [xmls.path(row) for row in np.flatnonzero(unreadable).tolist()]
    problems += [Problem(Kind.UNREADABLE, path, "", why_unreadable(path)) for path in unread]
    xml_of = np.full(len(images), -1)
    xml_of[rows[matched]] = np.flatnonzero(matched)
    readable = np.ones(len(images), np.bool_)
    readable[rows[unreadable]] = False
    return _Annotations(xmls, xml_of, readable, found, tuple(problems))


def refuse_changed_archives(archives: Iterable[Archive]) -> None:
    """Raise SourceError if one of them is not as it was: what was read from it may be anything."""
    for archive in archives:
        now = archive_at(archive.path)
        if now != archive:
            raise SourceError(
                f"{archive.path} has changed while it was read: it had {counted(archive.size, 'byte')}, now "
                f"{now.size:,}, or it has another time. When nobody writes to it any more, start anew with --overwrite."
            )


def _no_image(layout: Layout) -> Iterator[str]:
    """The lines of the message that none of the images was found, with what is there and what to do."""
    yield f"{layout.images} holds no image of the {layout.split} set. Expected were files named {_expected(layout)}."
    if not layout.images.is_dir():
        yield "It is another archive, or was cut short: download it again."
        return
    glance = Glance.at(layout.images)
    yield f"{layout.images} holds {glance}."
    first = layout.images / next(iter(glance.folders), ".")
    inside = Glance.at(first)
    if glance.folders:
        yield f"{first} holds {inside}."
    if any(map(_WITH_CLASS.fullmatch, (*glance.files, *inside.files))):
        yield "Take the class out of these names:"
        yield f"  cd {shlex.quote(str(layout.images))} && {_WITHOUT_CLASS}"
        return
    deeper = next((name for name in inside.folders if Glance.at(first / name).files), "")
    if any(map(packed_class, (*glance.files, *inside.files))):
        yield "Unpack the archives of the classes, each into a folder of its name."
    elif glance.folders and deeper:
        yield f"Move the files in each folder's {deeper} up into the folder itself:"
        move = 'do mv -n "$d"/* "${d%/*}"; done'
        yield f"  cd {shlex.quote(str(layout.images))} && for d in */{shlex.quote(deeper)}; {move}"
    else:
        yield "Give the images these names, which tell classes and labels, or name another folder with --root."


@dataclass(frozen=True, eq=False)
class _Files:
    """Files of one kind over many places, sorted by key: file i is in `contents[place[i]]`.

    Its name ends as `usual` says, or as `endings` does, if there are such.
    """

    contents: tuple[Contents, ...]
    usual: str
    keys: Keys
    place: Int32s
    sizes: Int64s
    extents: Extents | None
    endings: npt.NDArray[np.str_] | None

    @classmethod
    def gather(cls, contents: Sequence[Contents], columns: Sequence[FileColumns], usual: str) -> _Files:
        """The files that `columns` have of each of `contents`."""
        keys = [np.array(each.keys.encode("ascii").split(b"\n"), np.bytes_) for each in columns if len(each)]
        extents = None
        if any(each.extents for each in columns):
            numbers = np.concatenate([np.frombuffer(each.extents, np.int64) for each in columns])
            extents = numbers.reshape(sum(map(len, columns)), -1)
        endings = None
        if any(each.endings for each in columns):
            endings = np.array([ending for each in columns if len(each) for ending in each.endings_or(usual)])
        files = cls(
            tuple(contents),
            usual,
            np.concatenate([np.empty(0, "S1"), *keys]),
            np.repeat(np.arange(len(columns), dtype=np.int32), [len(each) for each in columns]),
            np.concatenate([np.empty(0, np.int64), *(np.frombuffer(each.sizes, np.int64) for each in columns)]),
            extents,
            endings,
        )
        if np.any(files.keys[:-1] > files.keys[1:]):
            return files.take(np.argsort(files.keys, kind="stable"))
        return files

    def __len__(self) -> int:
        return len(self.keys)

    def key_texts(self) -> list[str]:
        return [key.decode("ascii") for key in self.keys.tolist()]

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(each.place for each in self.contents)

    def take(self, rows: Int64s | Bools) -> _Files:
        extents = None if self.extents is None else self.extents[rows]
        endings = None if self.endings is None else self.endings[rows]
        return _Files(self.contents, self.usual, self.keys[rows], self.place[rows], self.sizes[rows], extents, endings)

    def path(self, row: int) -> str:
        """The file's, as it is told to people."""
        extent = () if self.extents is None else self.extents[row].tolist()
        name = str(self.keys[row], "ascii") + (self.usual if self.endings is None else str(self.endings[row]))
        return blob_at(self.contents[self.place[row]].place, name, int(self.sizes[row]), extent).path

    def refuse_repeats(self) -> None:
        repeats = np.flatnonzero(self.keys[:-1] == self.keys[1:])
        if len(repeats):
            one, other = (self.path(row) for row in (repeats[0], repeats[0] + 1))
            raise SourceError(
                f"{counted(len(repeats), 'key stands', 'keys stand')} twice, which readers would merge or mislabel; "
                f"the first: {one} and {other}. Remove the wrong one of each."
            )

    def problems(self, kind: Kind, detail: str) -> list[Problem]:
        """One problem for each of these annotations."""
        return [Problem(kind, self.path(row), "", detail) for row in range(len(self))]


def _rows_of(keys: Keys, among: Keys) -> tuple[Int64s, Bools]:
    """For each of `keys` its row in the sorted, non-empty `among`, and whether it is there at all."""
    rows = np.searchsorted(among, keys)
    rows[rows == len(among)] = 0
    return rows, among[rows] == keys


def _listing(
    layout: Layout,
    classes: tuple[Synset, ...],
    images: _Files,
    class_index: Int32s,
    annotations: _Annotations,
    xml_of: Int64s,
    problems: tuple[Problem, ...],
) -> Listing:
    """The columns; `xml_of` is each image's row in the annotations, or -1."""
    xmls = annotations.files
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
    xml_endings = None if xmls.endings is None else np.where(annotated, xmls.endings[xml_of], XML_SUFFIX)
    image_names, xml_names = _numbered(images.endings, IMAGE_SUFFIX), _numbered(xml_endings, XML_SUFFIX)
    parts = (
        Part(Role.IMAGE, image_names[0], images.place, images.sizes, images.extents, image_names[1]),
        Part(Role.ANNOTATION, xml_names[0], xml_place, xml_size, xml_extent, xml_names[1]),
    )
    found = [("layout", f"{layout.name}, {layout.split} images in {layout.images}")]
    if classes:
        present = len(np.unique(class_index))
        found.append(("classes", f"{present:,} of the {len(classes):,} in {layout.class_list}"))
    count = np.count_nonzero(annotated)
    where = f"{count:,} of {counted(len(images), 'image')}, {annotations.found}" if count else "none found"
    found.append(("annotations", where if layout.wants_annotations else annotations.found))
    return Listing(
        tuple(found),
        places,
        tuple(each.image_class for each in classes),
        images.keys,
        class_index,
        parts,
        problems,
    )


def _numbered(column: npt.NDArray[np.str_] | None, usual: str) -> tuple[tuple[str, ...], Bytes | None]:
    """The endings in a column of them, and the column with their numbers instead; without a column the usual one."""
    if column is None:
        return (usual,), None
    endings = np.unique(column)
    return tuple(endings.tolist()), np.searchsorted(endings, column).astype(np.uint8)


def _class_index(
    layout: Layout, classes: tuple[Synset, ...], images: _Files, in_class_folders: bool
) -> tuple[Int32s, str]:
    """The row of each image's class in `classes`, -1 without any; and what to tell of comparing that with labels."""
    if not classes:
        return np.full(len(images), -1, np.int32), ""
    index = {row.wnid: position for position, row in enumerate(classes)}
    if in_class_folders:
        by_folder = np.array([index.get(each.name, -1) for each in images.contents], np.int32)[images.place]
        return by_folder, _compare_labels(layout, classes, images, by_folder)
    wnids = wnids_of(images.key_texts(), layout.val_labels, classes)
    unknown = sorted(set(wnids).difference(index))
    if unknown:
        raise SourceError(
            f"the val labels in {layout.val_labels.first()} name {unknown[0]}, which is no class of "
            f"{layout.class_list}. Name the class list that belongs to the labels with --meta."
        )
    return np.array([index[wnid] for wnid in wnids], np.int32), ""


def _compare_labels(layout: Layout, classes: tuple[Synset, ...], images: _Files, by_folder: Int32s) -> str:
    """Compare the class folders of val with the labels that are there too; what to tell of that.

    Raises SourceError for an image in another class's folder: one of the two is wrong, and nobody knows which.
    """
    if layout.split != "val":
        return ""
    keys, folders = images.key_texts(), [classes[row].wnid for row in by_folder.tolist()]
    said = ""
    for place in layout.val_labels:
        try:
            if not place.is_file():
                continue
            labels = labels_in(place, classes)
        except SourceError as error:
            said = f"The class folders could not be compared with {place}: {error.in_one_line}"
            continue
        wrong = [row for row, key in enumerate(keys) if labels.get(key, folders[row]) != folders[row]]
        if wrong:
            more = [f"  and {len(wrong) - NAMED:,} more"] if len(wrong) > NAMED else []
            raise SourceError(
                f"the class folders and {place} contradict each other, for {len(wrong):,} of {len(images):,} images:",
                *(f"  {images.path(row)}: {labels[keys[row]]} by the labels" for row in wrong[:NAMED]),
                *more,
                "If the labels are right, move the images into the folders of their classes. If the folders are right, "
                "move the file of labels away; labels of another release do not fit these images.",
            )
        unlabelled = sum(key not in labels for key in keys)
        if not unlabelled:
            return ""
        said = f"{place} has no label for {unlabelled:,} of {counted(len(keys), 'image')}, which were not compared."
    return said


def _expected(layout: Layout) -> str:
    return {
        "train": f"train/<wnid>/<wnid>_<number>{IMAGE_SUFFIX}",
        "val": f"val/[<wnid>/]ILSVRC2012_val_<8 digits>{IMAGE_SUFFIX}",
        "test": f"test/ILSVRC2012_test_<8 digits>{IMAGE_SUFFIX}",
    }[layout.split]
