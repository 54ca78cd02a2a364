"""ImageNet's survey: every place that holds a split's images or annotations is listed on the workers.

A Layout goes in, and Contents and problems come out. Places are folders, archives, and archives of classes in another.
The survey also finds classes that are missing or still packed, and refuses classes that the class list does not have.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.archive_index import ArchiveIndex
from parallel_sharder.sources.contents import Contents
from parallel_sharder.sources.folders import list_folder, stray_folders, unread_images, with_nested
from parallel_sharder.sources.imagenet.another_split import is_another_split
from parallel_sharder.sources.imagenet.archives import beside_classes, inner_archives, listing_of
from parallel_sharder.sources.imagenet.classes import Synset
from parallel_sharder.sources.imagenet.hub_tables import columns_of_all
from parallel_sharder.sources.imagenet.kaggle_contents import list_zip
from parallel_sharder.sources.imagenet.layout import ArchiveForm, Layout
from parallel_sharder.sources.imagenet.names import (
    WNID,
    name_rule,
    name_rule_beside_classes,
    name_rule_of_both,
    packed_class,
)
from parallel_sharder.sources.imagenet.published import train_counts
from parallel_sharder.sources.kept_index import archive_at
from parallel_sharder.sources.names import JunkCount, NameRule, is_archive
from parallel_sharder.sources.packed import refuse_packed
from parallel_sharder.sources.passage import Passage, passed
from parallel_sharder.sources.survey import ScanProgress, Survey, list_class_folders, results_of
from parallel_sharder.sources.tar_contents import (
    list_annotations,
    list_images,
    packed_images,
)
from parallel_sharder.staging.look import Look, Looked
from parallel_sharder.staging.stage import Stage
from parallel_sharder.stores.packing import is_parquet
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.headers import reader
from parallel_sharder.text import counted, first_few


def survey_images(
    layout: Layout, classes: tuple[Synset, ...], engine: Engine, progress: ScanProgress, index: ArchiveIndex | None
) -> Survey:
    """Return the survey of the split's images.

    An archive whose contents `index` has is not listed again. Contents that are new are set in `index`.
    """
    if layout.images.is_dir():
        return _image_folders(layout, classes, engine, progress)
    contents = index.found if index is not None else None
    if contents is None:
        contents = _list_packed(layout, classes, engine, progress)
        if index is not None:
            index.found = contents
    # The name of contents is a class's, the split's, or "" for files beside the images or the archives of classes.
    by_class = [each for each in contents if WNID.fullmatch(each.name)]
    found = Survey.of(contents, layout.split != "test" and bool(by_class))
    if found.in_class_folders:
        _refuse_beside(layout, [each for each in contents if not WNID.fullmatch(each.name)])
        _refuse_unknown([each.name for each in by_class], layout, classes)
        return found._replace(problems=_with_missing_classes(found.problems, by_class, classes))
    return found


def survey_through(
    layout: Layout, stage: Stage, engine: Engine, monitor: Monitor, look: Look | None, spool: str | None
) -> tuple[list[Contents], list[Looked]]:
    """Return the contents of the images' archives, each of which is read through once, and copied to the stage.

    With `look`, what it has kept of each image is returned too, and annotations in them are unpacked to `spool`.

    Raises SourceError for what `survey_images` refuses, but for unknown classes, which it refuses later.
    """
    archives = [archive_at(path) for path in layout.image_archives]
    try:
        image, label = columns_of_all(layout) if is_parquet(archives[0].path) else ("", "")
        copyings = stage.copyings(archives, image)
    except OSError as error:
        raise unreadable(error.filename, error) from error
    passages = [
        Passage(
            copying,
            listing_of(copying.archive.path, layout.split, layout.archive_form, spool),
            look,
            (label,) if label else (),
        )
        for copying in copyings
    ]
    results = passed(passages, engine, monitor)
    return [contents for result in results for contents in result.found], [result.looked for result in results]


def survey_annotations(layout: Layout, engine: Engine, spool: str | None) -> tuple[list[Contents], list[Problem]]:
    """Return the contents and problems of the layout's annotations; compressed ones are unpacked to `spool`."""
    path = str(layout.annotations)
    if not os.path.isdir(path):
        task = partial(list_annotations, path, name_rule(layout.split), spool)
        try:
            contents = results_of([task], engine, path)
        except OSError as error:
            raise unreadable(path, error) from error
        return contents, [problem for each in contents for problem in each.problems]
    return _xml_folders(layout, engine)


def _list_packed(layout: Layout, classes: tuple[Synset, ...], engine: Engine, progress: ScanProgress) -> list[Contents]:
    """Return the contents of the images' archive. If it holds archives of classes, each of them is a task."""
    path, split = str(layout.images), layout.split
    try:
        if layout.is_zip:
            [contents] = results_of([partial(list_zip, path, split)], engine, path, progress)
            return list(contents)
        if layout.archive_form != "official":
            plain = [partial(_list_plain, each, split, layout.archive_form) for each in layout.image_archives]
            return [contents for found in results_of(plain, engine, path, progress) for contents in found]
        if split != "train":
            size = os.path.getsize(path)
            task = partial(list_images, path, split, 0, size, name_rule(split), (split,))
            return results_of([task], engine, path, progress)
        refuse_packed(path)
        junk = JunkCount(name_rule(split))
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            inner = [*inner_archives(reader(file.fileno()), os.fstat(file.fileno()).st_size, path, junk)]
        _refuse_unknown([each.wnid for each in inner], layout, classes)
        tasks = [
            partial(list_images, path, wnid, start, size, name_rule(split, wnid), (wnid,))
            for wnid, start, size in sorted(inner)
        ]
        beside = beside_classes(path, junk)
        return [beside, *results_of(tasks, engine, path, progress)]
    except OSError as error:
        raise unreadable(path, error) from error


def _list_plain(path: str, split: str, form: ArchiveForm) -> list[Contents]:
    """Return the contents of an archive that is not compressed."""
    refuse_packed(path)
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        listing = listing_of(path, split, form)
        return list(listing(reader(file.fileno()), os.fstat(file.fileno()).st_size))


def _image_folders(layout: Layout, classes: tuple[Synset, ...], engine: Engine, progress: ScanProgress) -> Survey:
    path, any_class = str(layout.images), name_rule(layout.split)
    top = list_folder(path, name_rule_beside_classes(layout.split))
    names = [name for name in top.folders if not name.startswith(".")]
    if layout.split == "test" or (layout.split == "val" and not any(map(WNID.fullmatch, names))):
        flat = Survey.of(with_nested(top, any_class), False)
        return flat._replace(problems=_with_packed_images(flat.problems, flat.contents, any_class))
    _refuse_beside(layout, [top])
    _refuse_unknown(names, layout, classes)
    folders = list_class_folders(path, _rules_by_class(layout, names), engine, progress)
    if is_another_split(layout, folders):
        folders = list_class_folders(path, {wnid: name_rule_of_both(wnid) for wnid in names}, engine, progress)
    hidden = [unread_images(os.path.join(path, name), any_class, folders) for name in sorted({*top.folders} - {*names})]
    found = Survey.of([top, *folders], True)
    problems = _with_missing_classes([*itertools.chain(*hidden), *found.problems], folders, classes)
    return found._replace(contents=folders, problems=_with_packed_images(problems, folders, any_class))


def _with_missing_classes(
    problems: Sequence[Problem], contents: Sequence[Contents], classes: Sequence[Synset]
) -> list[Problem]:
    """Return the problems and a problem for each class that has no image, because it is still packed or empty.

    A class whose images are all left out one by one is not among them.
    """
    held = {each.name for each in contents if len(each.images)}
    held |= {each.name for each in contents if any(problem.leaves_out_sample for problem in each.problems)}
    missing = {row.wnid for row in classes} - held
    found, packed = [], set()
    for problem in problems:
        wnid = packed_class(os.path.basename(problem.path))
        if problem.kind is Kind.NOT_AN_IMAGE and wnid in missing:
            packed.add(wnid)
            problem = dataclasses.replace(problem, kind=Kind.PACKED_CLASS, detail=f"unpack it into a folder {wnid}")
        found.append(problem)
    empty = {each.name: each.place.name for each in reversed(contents) if each.name in missing - packed}
    for wnid, place in sorted(empty.items()):
        path = place if os.path.isdir(place) else f"{place}:{wnid}"
        found.append(Problem(Kind.EMPTY_CLASS, path, "", f"it holds no image of {wnid}"))
    return found


def _with_packed_images(problems: Sequence[Problem], contents: Sequence[Contents], rule: NameRule) -> list[Problem]:
    """Return the problems and one for each image that lies only in an archive beside the images.

    Such images show that unpacking was interrupted. An archive that cannot be read counts as a class that is still
    packed, unless all images of its class exist.
    """
    found = []
    keys: set[str] = set()
    count = Counter({each.name: len(each.images) for each in contents})
    expected = train_counts()
    for problem in problems:
        path, name = problem.path, os.path.basename(problem.path)
        if problem.kind is not Kind.NOT_AN_IMAGE or not (is_archive(name) or packed_class(name)) or os.path.isdir(path):
            found.append(problem)
            continue
        keys = keys or {key for each in contents for key in each.images.keys.split("\n")}
        packed = packed_images(path, rule)
        wnid = packed_class(name)
        if packed is None and not (wnid and count[wnid] >= expected(wnid)):
            detail = "it cannot be looked into; unpack it, or move it away"
            found.append(dataclasses.replace(problem, kind=Kind.PACKED_CLASS, detail=detail))
            continue
        lost = [each for each in packed or () if os.path.splitext(os.path.basename(each))[0] not in keys]
        found += [Problem(Kind.PACKED_IMAGE, f"{path}:{each}", "", "unpack it, or remove it") for each in lost]
        if not lost:
            found.append(problem)
    return found


def _refuse_beside(layout: Layout, contents: Sequence[Contents]) -> None:
    for each in contents:
        if len(each.images):
            first = each.images.names(name_rule(layout.split).image_suffix)[0]
            raise SourceError(
                f"{layout.images} holds {counted(len(each.images), 'image')} beside its class folders, the first "
                f"{first}. Sort all images into class folders, or none."
            )


def _xml_folders(layout: Layout, engine: Engine) -> tuple[list[Contents], list[Problem]]:
    """Return the contents of a tree of annotations, in class folders or flat, and all problems in it."""
    path = str(layout.annotations)
    top = list_folder(path, name_rule_beside_classes(layout.split))
    wnids = [name for name in top.folders if WNID.fullmatch(name)]
    folders = [top, *list_class_folders(path, _rules_by_class(layout, wnids), engine)]
    problems = stray_folders(path, sorted(set(top.folders).difference(wnids)))
    for each in folders:
        problems += each.problems
        problems += stray_folders(each.place.path, each.folders if each is not top else ())
    # An image among the annotations is no image of the set, so its problem must not count as an image left out.
    problems = [
        each if each.kind is Kind.ORPHAN_XML else dataclasses.replace(each, kind=Kind.NOT_AN_IMAGE, key="")
        for each in problems
    ]
    return folders, problems


def _rules_by_class(layout: Layout, wnids: Sequence[str]) -> dict[str, NameRule]:
    return {wnid: name_rule(layout.split, wnid) for wnid in wnids}


def _refuse_unknown(wnids: Sequence[str], layout: Layout, classes: tuple[Synset, ...]) -> None:
    known = {row.wnid for row in classes}
    unknown = [wnid for wnid in wnids if wnid not in known]
    if unknown:
        what = "folders" if layout.images.is_dir() else "archives or folders"
        raise SourceError(
            f"{layout.images} holds {what} that are no class of {layout.class_list}: {first_few(unknown, 10)}. "
            f"Move them out of the way, or name the right class list with --meta."
        )
