"""The survey: every place that holds a split's images or annotations, listed on the executor.

Places are folders, archives, and archives of classes within one. What they hold comes back as Contents; what does not
belong there, as problems or, where it would mislabel samples or tells of a damaged archive, as SourceError.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

from parallel_sharder.errors import SourceError, WorkerDiedError, WorkerError, unreadable
from parallel_sharder.model import IMAGE_SUFFIX, WNID, Kind, Place, Problem
from parallel_sharder.sources.archived import index_annotations, index_images, inner_archives, packed_images
from parallel_sharder.sources.contents import NO_FILES, Contents
from parallel_sharder.sources.downloads import official_name
from parallel_sharder.sources.folder import NO_KEYS, list_class, list_folder, not_read, stray_folders, with_nested
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.names import FLAT_KEYS, TRAIN_KEY, is_archive, packed_class
from parallel_sharder.sources.official import train_counts
from parallel_sharder.sources.saved import SavedIndex
from parallel_sharder.sources.zipindex import index_zip
from parallel_sharder.synsets import Synset
from parallel_sharder.text import counted, first_few

ANY_TRAIN_KEY = TRAIN_KEY.format(WNID.pattern)

Progress = Callable[[int, int, int], None]
"""Told of each place: places done, places, images so far."""


class Survey(NamedTuple):
    """What the places of the images hold, whether a place's name is its class, and every problem on the way.

    `junk` counts what systems have left there, by the names that people know it by.
    """

    contents: list[Contents]
    in_class_folders: bool
    problems: list[Problem]
    junk: Counter[str]


def survey_images(
    layout: Layout, classes: tuple[Synset, ...], executor: Executor, progress: Progress, index: SavedIndex | None
) -> Survey:
    """The places of the split's images. What `index` has of an archive is taken from there; what it lacks is added."""
    if layout.images.is_dir():
        return _image_folders(layout, classes, executor, progress)
    contents = index.contents if index is not None else None
    if contents is None:
        contents = _index(layout, classes, executor, progress)
        if index is not None:
            index.contents = contents
    # What lies beside the images or the archives of classes has no name, or the split's.
    by_class = [each for each in contents if WNID.fullmatch(each.name)]
    found = _survey(contents, layout.split != "test" and bool(by_class))
    if found.in_class_folders:
        _refuse_beside(layout, [each for each in contents if not WNID.fullmatch(each.name)])
        _refuse_unknown([each.name for each in by_class], layout, classes)
        return found._replace(problems=_with_missing_classes(found.problems, by_class, classes))
    return found


def survey_annotations(layout: Layout, executor: Executor, spool: str | None) -> tuple[list[Contents], list[Problem]]:
    """The places of annotations that are not beside the images; compressed ones are unpacked to `spool`."""
    path = str(layout.annotations)
    if not os.path.isdir(path):
        task = executor.submit(index_annotations, path, FLAT_KEYS.get(layout.split, ANY_TRAIN_KEY), spool)
        try:
            contents = _results([task], path, lambda *_: None)
        except OSError as error:
            raise unreadable(path, error) from error
        return contents, [problem for each in contents for problem in each.problems]
    return _xml_folders(layout, executor)


def _index(layout: Layout, classes: tuple[Synset, ...], executor: Executor, progress: Progress) -> list[Contents]:
    """What the archive of the images holds: the classes' archives side by side, if it holds such."""
    path, split = str(layout.images), layout.split
    pattern = FLAT_KEYS.get(split, TRAIN_KEY)
    try:
        if official_name(path).endswith(".zip"):
            [contents] = _results([executor.submit(index_zip, path, split)], path, progress)
            return list(contents)
        if split != "train":
            size = os.path.getsize(path)
            task = executor.submit(index_images, path, split, 0, size, pattern, (split,))
            return _results([task], path, progress)
        inner, junk = inner_archives(path)
        _refuse_unknown([wnid for wnid, _, _ in inner], layout, classes)
        tasks = [
            executor.submit(index_images, path, wnid, start, size, pattern.format(wnid), (wnid,))
            for wnid, start, size in inner
        ]
        beside = Contents(Place(path, path), "", NO_FILES, NO_FILES, junk=junk.counts)
        return [beside, *_results(tasks, path, progress)]
    except OSError as error:
        raise unreadable(path, error) from error


def _image_folders(layout: Layout, classes: tuple[Synset, ...], executor: Executor, progress: Progress) -> Survey:
    path = str(layout.images)
    top = list_folder(path, FLAT_KEYS.get(layout.split, NO_KEYS))
    names = [name for name in top.folders if not name.startswith(".")]
    if layout.split == "test" or (layout.split == "val" and not any(map(WNID.fullmatch, names))):
        flat = _survey(with_nested(top, FLAT_KEYS[layout.split]), False)
        return flat._replace(problems=_with_packed_images(flat.problems, flat.contents))
    _refuse_beside(layout, [top])
    _refuse_unknown(names, layout, classes)
    folders = _list_class_folders(layout, names, path, executor, progress)
    key_pattern = FLAT_KEYS.get(layout.split, ANY_TRAIN_KEY)
    hidden = [not_read(os.path.join(path, name), key_pattern, folders) for name in sorted({*top.folders} - {*names})]
    found = _survey([top, *folders], True)
    problems = _with_missing_classes([*itertools.chain(*hidden), *found.problems], folders, classes)
    return found._replace(contents=folders, problems=_with_packed_images(problems, folders))


def _survey(contents: list[Contents], in_class_folders: bool) -> Survey:
    """What all of these places hold together."""
    junk: Counter[str] = Counter()
    for each in contents:
        junk.update(dict(each.junk))
    return Survey(contents, in_class_folders, [problem for each in contents for problem in each.problems], junk)


def _with_missing_classes(
    problems: Sequence[Problem], contents: Sequence[Contents], classes: Sequence[Synset]
) -> list[Problem]:
    """The problems, and those of classes that have no image in any of their places: still packed, or empty.

    A class whose images are all left out by name is none of those.
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


def _with_packed_images(problems: Sequence[Problem], contents: Sequence[Contents]) -> list[Problem]:
    """The problems, and the images that archives among the images hold and folders lack: unpacking was interrupted.

    An archive that cannot be looked into counts as a class that is still packed, unless it is known not to be needed.
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
        names = packed_images(path)
        wnid = packed_class(name)
        if names is None and not (wnid and count[wnid] >= expected(wnid)):
            detail = "it cannot be looked into; unpack it, or move it away"
            found.append(dataclasses.replace(problem, kind=Kind.PACKED_CLASS, detail=detail))
            continue
        lost = [each for each in names or () if os.path.splitext(os.path.basename(each))[0] not in keys]
        found += [Problem(Kind.PACKED_IMAGE, f"{path}:{each}", "", "unpack it, or remove it") for each in lost]
        if not lost:
            found.append(problem)
    return found


def _refuse_beside(layout: Layout, contents: Sequence[Contents]) -> None:
    for each in contents:
        if len(each.images):
            raise SourceError(
                f"{layout.images} holds {counted(len(each.images), 'image')} beside its class folders, the first "
                f"{each.images.names(IMAGE_SUFFIX)[0]}. Sort all images into class folders, or none."
            )


def _xml_folders(layout: Layout, executor: Executor) -> tuple[list[Contents], list[Problem]]:
    """The contents of a tree of annotations, in class folders or flat, and every problem on the way."""
    path = str(layout.annotations)
    top = list_folder(path, FLAT_KEYS.get(layout.split, NO_KEYS))
    wnids = [name for name in top.folders if WNID.fullmatch(name)]
    folders = [top, *_list_class_folders(layout, wnids, path, executor, lambda *_: None)]
    problems = stray_folders(path, sorted(set(top.folders).difference(wnids)))
    for each in folders:
        problems += each.problems
        problems += stray_folders(each.place.path, each.folders if each is not top else ())
    # An image among the annotations is no image of the set, so none is left out of it.
    problems = [
        each if each.kind is Kind.ORPHAN_XML else dataclasses.replace(each, kind=Kind.NOT_AN_IMAGE, key="")
        for each in problems
    ]
    return folders, problems


def _list_class_folders(
    layout: Layout, wnids: Sequence[str], path: str, executor: Executor, progress: Progress
) -> list[Contents]:
    pattern = FLAT_KEYS.get(layout.split)
    futures = [
        executor.submit(list_class, os.path.join(path, wnid), pattern or TRAIN_KEY.format(wnid)) for wnid in wnids
    ]
    return [contents for some in _results(futures, path, progress) for contents in some]


def _results(futures: Sequence[Future[Any]], path: str, progress: Progress) -> list[Any]:
    """What the tasks have found, in their order."""
    results: list[Any] = []
    image_count = 0
    for future in futures:
        try:
            results.append(future.result())
        except WorkerDiedError as error:
            raise WorkerError(
                f"a worker died listing what is in {path}: {error.cause}. If memory is short, use fewer --workers."
            ) from error
        image_count += sum(len(each.images) for each in _as_list(results[-1]))
        progress(len(results), len(futures), image_count)
    return results


def _as_list(found: Contents | list[Contents]) -> list[Contents]:
    return found if isinstance(found, list) else [found]


def _refuse_unknown(wnids: Sequence[str], layout: Layout, classes: tuple[Synset, ...]) -> None:
    known = {row.wnid for row in classes}
    unknown = [wnid for wnid in wnids if wnid not in known]
    if unknown:
        what = "folders" if layout.images.is_dir() else "archives or folders"
        raise SourceError(
            f"{layout.images} holds {what} that are no class of {layout.class_list}: {first_few(unknown, 10)}. "
            f"Move them out of the way, or name the right class list with --meta."
        )
