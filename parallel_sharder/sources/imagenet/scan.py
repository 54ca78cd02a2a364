"""ImageNet's scan: a Layout becomes a Listing.

The places are listed by the survey. The scan pairs images and annotations by their keys, and decides the class of each
image by its folder or by val's labels. If both exist, they are compared, and a contradiction is a SourceError.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from parallel_sharder.columns import Int32s
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, Problem, Role
from parallel_sharder.sources.archive_index import ArchiveIndex
from parallel_sharder.sources.imagenet.another_split import selection_of
from parallel_sharder.sources.imagenet.archives import positions
from parallel_sharder.sources.imagenet.classes import Synset
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.names import name_rule
from parallel_sharder.sources.imagenet.not_found import no_image
from parallel_sharder.sources.imagenet.notices import notices_of
from parallel_sharder.sources.imagenet.survey import survey_annotations, survey_images
from parallel_sharder.sources.imagenet.val_labels import read_labels, wnids_of
from parallel_sharder.sources.kept_index import archive_at
from parallel_sharder.sources.pairing import Annotations, Files, Pairs, listing_of
from parallel_sharder.sources.survey import ScanProgress, Survey
from parallel_sharder.text import counted, first_few

_OTHERS_SHOWN = 4

NAMED = 10
"""How many images an error names."""


def scan(
    layout: Layout,
    classes: tuple[Synset, ...],
    engine: Engine,
    progress: ScanProgress,
    spool: str | None = None,
    index: ArchiveIndex | None = None,
) -> Listing:
    """Return the Listing of the split at `layout`, with `classes` (sorted by wnid) as its class table.

    Annotations beside the images are preferred to annotations elsewhere, unless the user has named the latter.
    Compressed annotations are unpacked to the file `spool`; without it they are listed, and cannot be read. If `index`
    has the contents of the images' archive, the archive is not listed again. Raises SourceError if there is no image,
    for a class that the class list does not have, for images both in and beside class folders, for two files with the
    same key, for a named tree without an annotation of any image, for a damaged archive, for labels that val_labels
    refuses, and for labels that contradict the class folders.
    """
    known = {} if index is None else index.archives
    archives = tuple(known.get(path) or archive_at(path) for path in layout.archives)
    survey = survey_images(layout, classes, engine, progress, index)
    images = Files.gather(
        survey.contents, [each.images for each in survey.contents], name_rule(layout.split).image_suffix
    )
    if not len(images):
        raise SourceError(*no_image(layout))
    images.refuse_repeats()
    annotations = _annotations(layout, survey, images, engine, spool)
    images, xml_of = images.take(annotations.readable), annotations.xml_of[annotations.readable]
    class_index, compared = _class_index(layout, classes, images, survey.in_class_folders)
    listing = listing_of(tuple(each.image_class for each in classes), images, class_index, annotations.files, xml_of)
    listing = dataclasses.replace(
        listing,
        found=_found(layout, listing, annotations),
        problems=(*survey.problems, *annotations.problems),
        archives=archives,
        selection=selection_of(layout.split, listing.keys),
    )
    return dataclasses.replace(listing, notices=notices_of(layout, listing, survey, compared))


def _annotations(layout: Layout, survey: Survey, images: Files, engine: Engine, spool: str | None) -> Annotations:
    """Return the annotations that are used: those beside the images or, if no image has one, those elsewhere.

    A place that the user has named is used whatever lies beside the images.
    """
    usual = name_rule(layout.split).annotation_suffix
    if not layout.wants_annotations:
        return Annotations.none(images, usual)
    problems: list[Problem] = []
    where = "beside the images"
    pairs = Pairs.of(Files.gather(survey.contents, [each.xmls for each in survey.contents], usual), images)
    elsewhere = layout.annotations is not None and layout.annotations != layout.images
    if elsewhere and (layout.xml_given or not pairs.matched.any()):
        unused = Kind.UNUSED_XML if layout.xml_given else Kind.ORPHAN_XML
        problems += pairs.files.problems(unused, f"annotations are read from {layout.annotations}")
        contents, xml_problems = survey_annotations(layout, engine, spool)
        problems += xml_problems
        where = f"in {layout.annotations}"
        pairs = Pairs.of(Files.gather(contents, [each.xmls for each in contents], usual), images)
        if layout.xml_given and not pairs.matched.any():
            raise SourceError(
                f"{layout.annotations} holds no annotation of any image in {layout.images}. Name the folder that holds "
                f"{layout.split}/, or the annotations themselves, with --xml-root."
            )
    elif elsewhere:
        where += f"; {layout.annotations} is not used"
    return Annotations.of(pairs, images, where, problems)


def _found(layout: Layout, listing: Listing, annotations: Annotations) -> tuple[tuple[str, str], ...]:
    """Return what was found and where, each with a name."""
    found = [("layout", f"{layout.name}, {layout.split} images in {_images_in_words(layout)}")]
    if listing.classes:
        present = len(np.unique(listing.class_index))
        found.append(("classes", f"{present:,} of the {len(listing.classes):,} in {layout.class_list}"))
    count = np.count_nonzero(listing.part(Role.ANNOTATION).size >= 0)
    where = f"{count:,} of {counted(len(listing), 'image')}, {annotations.where}" if count else "none found"
    return (*found, ("annotations", where if layout.wants_annotations else annotations.where))


def _images_in_words(layout: Layout) -> str:
    """Return where the images are: one place, or the first of several archives and the names of the others."""
    others = [os.path.basename(path) for path in layout.image_archives[1:]]
    return f"{layout.images}{' and ' if others else ''}{first_few(others, _OTHERS_SHOWN)}"


def _class_index(
    layout: Layout, classes: tuple[Synset, ...], images: Files, in_class_folders: bool
) -> tuple[Int32s, str]:
    """Return the row of each image's class in `classes`, -1 if there are none, and the notice of `_compare_labels`."""
    if not classes:
        return np.full(len(images), -1, np.int32), ""
    rows = {row.wnid: position for position, row in enumerate(classes)}
    if images.classes is not None:
        position = np.array([rows.get(wnid, -1) for wnid in positions()], np.int32)
        by_name = position[images.classes]
        if by_name.min() < 0:
            unlisted = [*positions()][int(images.classes[by_name < 0][0])]
            raise SourceError(
                f"{layout.images} and its like have images of {unlisted}, which is no class of {layout.class_list}. "
                "Name the class list of ImageNet with --meta, or leave that out."
            )
        return by_name, _compare_labels(layout, classes, images, by_name)
    if in_class_folders:
        by_folder = np.array([rows.get(each.name, -1) for each in images.contents], np.int32)[images.place]
        return by_folder, _compare_labels(layout, classes, images, by_folder)
    wnids = wnids_of(images.key_texts(), layout.val_labels, classes)
    unknown = sorted(set(wnids).difference(rows))
    if unknown:
        raise SourceError(
            f"the val labels in {layout.val_labels.first()} name {unknown[0]}, which is no class of "
            f"{layout.class_list}. Name the class list that belongs to the labels with --meta."
        )
    return np.array([rows[wnid] for wnid in wnids], np.int32), ""


def _compare_labels(layout: Layout, classes: tuple[Synset, ...], images: Files, by_folder: Int32s) -> str:
    """Compare the classes of val, which folders or names say, with labels, if these exist.

    Returns a notice if not all could be compared, or "".
    Raises SourceError for an image in another class's folder: the folder or the label is wrong.
    """
    if layout.split != "val":
        return ""
    keys, folders = images.key_texts(), [classes[row].wnid for row in by_folder.tolist()]
    said = ""
    for place in layout.val_labels:
        try:
            if not place.is_file():
                continue
            labels = read_labels(place, classes)
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
