"""Folders: one folder of a source becomes Contents, in which each entry is an image, annotation, folder, or problem.

Workers list many folders at a time, so this module does not import numpy. A folder is listed once. Each image and each
annotation costs one stat, and the system is asked nothing about files that do not exist.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import AnyStr, NamedTuple, Self

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Place, Problem
from parallel_sharder.sources.contents import MISPLACED, Contents, FileColumns, refuse_repeat, strangers
from parallel_sharder.sources.names import NameKind, NameRule, junk
from parallel_sharder.stores.regular import kind_of

UNREADABLE = -1
"""The size of an annotation that exists and cannot be read. Its image must not count as one without annotation."""

_SEARCHABLE = "Give this user the right to read and search it (chmod u+rx for its owner)."

NOT_READ = "it lies in a folder further down, which is not read"


def list_folder(path: str, rule: NameRule) -> Contents:
    """Return the contents of the folder at `path`. `rule` decides which files are images and annotations.

    Raises SourceError if the folder cannot be listed, if this user may not search it, and if two images, or two
    annotations, have the same key.
    """
    image_suffix, annotation_suffix = rule.image_suffix, rule.annotation_suffix
    images: dict[str, int] = {}
    unusual_images: dict[str, int] = {}
    xmls: dict[str, int] = {}
    unusual_xmls: dict[str, int] = {}
    found_junk: Counter[str] = Counter()
    folders: list[str] = []
    others: list[str] = []
    with open_folder(path) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(image_suffix):
                images[name] = file_size(entry, path)
            elif name.endswith(annotation_suffix):
                xmls[name] = file_size(entry, path)
            elif word := junk(name):
                found_junk[word] += 1
            elif _may_be_folder(entry):
                folders.append(name)
            elif (what := rule.kind(name)) is NameKind.OTHER:
                others.append(name)
            else:
                (unusual_images if what is NameKind.IMAGE else unusual_xmls)[name] = file_size(entry, path)

    found = _FolderFiles.of(path, images, unusual_images, image_suffix, rule)
    annotations = _FolderFiles.of(path, xmls, unusual_xmls, annotation_suffix, rule)
    misplaced = [*((Kind.MISPLACED_IMAGE, name) for name in found.misplaced)]
    misplaced += [(Kind.ORPHAN_XML, name) for name in annotations.misplaced]
    found_junk.update(word for _, name in misplaced if (word := junk(name)))  # ._x.jpg ends as images do
    unreadable = [key for key, size in found.sizes.items() if size == UNREADABLE]
    problems = [
        *strangers(f"{path}/", others, rule, found.sizes),
        *(_problem(kind, path, name, "", MISPLACED) for kind, name in misplaced if not junk(name)),
        *(
            _problem(Kind.UNREADABLE, path, found.name(key), key, why_unreadable(f"{path}/{found.name(key)}"))
            for key in unreadable
        ),
    ]
    for key in unreadable:
        del found.sizes[key]
    problems.sort(key=lambda problem: problem.path)
    return Contents(
        Place(path, path),
        os.path.basename(path),
        found.columns(),
        annotations.columns(),
        tuple(sorted(folders)),
        tuple(problems),
        tuple(sorted(found_junk.items())),
    )


@contextlib.contextmanager
def open_folder(path: str) -> Iterator[int]:
    """Open the folder at `path` and return its descriptor. SourceError is raised if it cannot be opened or listed.

    With a descriptor, the system does not look up the folder's path again for each file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unlisted(path, error) from error


def unlisted(path: object, error: OSError) -> SourceError:
    """Return the error for a folder that cannot be listed."""
    remedy = _SEARCHABLE if error.errno == errno.EACCES else "Mend or remove it."
    return SourceError(f"{path}: cannot be listed: {error.strerror}. {remedy}")


def list_class(path: str, rule: NameRule) -> list[Contents]:
    """Return the contents of a class's folder, and of the folders that `with_nested` reads in it."""
    return with_nested(list_folder(path, rule), rule)


def with_nested(contents: Contents, rule: NameRule) -> list[Contents]:
    """Return the contents of a folder, and of a folder of the same name in it, which unpacking twice creates.

    Other folders in it are not read. Their images are left out, one problem each, unless the folders read have them.
    """
    path = contents.place.path
    nested: list[Contents] = []
    others: list[str] = []
    problems = list(contents.problems)
    for name in contents.folders:
        inner = os.path.join(path, name)
        if os.path.exists(inner) and os.path.samefile(path, inner):  # a second `ln -s` creates such a link
            problems += stray_folders(path, [name])
        elif name == contents.name:
            nested += list_class(inner, rule)
        else:
            others.append(inner)
    for inner in others:
        problems += unread_images(inner, rule, [contents, *nested])
    return [dataclasses.replace(contents, folders=(), problems=tuple(problems)), *nested]


def stray_folders(path: str, names: Iterable[str]) -> list[Problem]:
    """Return one problem for each sub-folder of `path` in `names`, which are not read."""
    detail = "a folder or broken link, not looked into"
    return [Problem(Kind.NOT_AN_IMAGE, os.path.join(path, name), "", detail) for name in names]


def why_unreadable(path: str) -> str:
    """Return the reason why the file at `path`, whose size is UNREADABLE, cannot be read."""
    try:
        status = os.stat(path)
    except OSError as error:
        if not os.path.islink(path):
            return error.strerror or str(error)
        target = os.readlink(path)
        if error.errno == errno.ENOENT:
            return f"a broken link to {target}"
        return f"a link to {target}, which cannot be followed: {error.strerror or error}"
    what = kind_of(status.st_mode)
    return f"{what}, not a regular file" if what else "it could not be read when the folder was listed, and can be now"


def file_size(entry: os.DirEntry[str], folder: str) -> int:
    """Return the size of a regular file in `folder`, and UNREADABLE for all others.

    Raises SourceError if this user may not search the folder.
    """
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno == errno.EACCES:
            _refuse_unsearchable(entry, folder)
        return UNREADABLE
    return status.st_size if stat.S_ISREG(status.st_mode) else UNREADABLE


def _refuse_unsearchable(entry: os.DirEntry[str], folder: str) -> None:
    """Raise SourceError if this user has no access to any entry of the folder, and so none to this one."""
    try:
        entry.stat(follow_symlinks=False)
    except PermissionError as error:
        raise SourceError(f"{folder}: cannot be searched: {error.strerror}. {_SEARCHABLE}") from error


def is_folder(entry: os.DirEntry[AnyStr]) -> bool:
    """Return whether `entry` is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example
        return False


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether `entry` is a folder, or a link that is broken: that may be a class's."""
    if not entry.is_symlink():
        return entry.is_dir()
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError:
        return True


class _FolderFiles(NamedTuple):
    """Files of one kind in a folder: sizes by key, unusual endings by key, and names that do not belong there."""

    usual: str
    sizes: dict[str, int]
    endings: dict[str, str]
    misplaced: list[str]

    @classmethod
    def of(cls, path: str, by_name: dict[str, int], unusual: dict[str, int], usual: str, rule: NameRule) -> Self:
        """Return the files in the folder at `path`, from the sizes by name of files with `usual` and other endings.

        Raises SourceError if two files have the same key.
        """
        sizes = {name[: -len(usual)]: size for name, size in by_name.items()}
        misplaced = rule.misfits([*sizes])
        for key in misplaced:
            del sizes[key]
        files = cls(usual, sizes, {}, [key + usual for key in misplaced])
        for name, size in unusual.items():
            key, ending = os.path.splitext(name)
            if rule.misfits([key]):
                files.misplaced.append(name)
                continue
            if key in sizes:
                refuse_repeat(f"{path}/{files.name(key)}", f"{path}/{name}")
            sizes[key], files.endings[key] = size, ending
        return files

    def name(self, key: str) -> str:
        """Return the name of the file with this key."""
        return key + self.endings.get(key, self.usual)

    def columns(self) -> FileColumns:
        return FileColumns.of(self.sizes, self.usual, None, self.endings)


def _problem(kind: Kind, path: str, name: str, key: str, detail: str) -> Problem:
    return Problem(kind, os.path.join(path, name), key, detail)


def unread_images(path: str, rule: NameRule, known: Sequence[Contents]) -> list[Problem]:
    """Return one problem for each image in or below the folder at `path`, which is not read.

    Images that the `known` contents have too are no problems. If there is no problem, the folder itself is returned as
    one. Raises SourceError for a folder that cannot be listed.
    """
    problems: list[Problem] = []
    keys = {key for each in known for key in each.images.keys.split("\n")}
    seen: set[tuple[int, int]] = set()
    for folder, folders, _ in os.walk(path, onerror=_refuse_unlisted, followlinks=True):
        status = os.stat(folder)
        is_new = (status.st_dev, status.st_ino) not in seen  # links may form a circle
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if is_new and not junk(name)]
        contents = list_folder(folder, rule) if is_new else None
        if contents is not None:
            images = contents.images.names(rule.image_suffix)
            lost = [name for name in images if os.path.splitext(name)[0] not in keys]
            problems += [_problem(Kind.MISPLACED_IMAGE, folder, name, "", NOT_READ) for name in lost]
            problems += [problem for problem in contents.problems if problem.leaves_out_sample]
    return problems or stray_folders(os.path.dirname(path), [os.path.basename(path)])


def _refuse_unlisted(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a broken link
        raise unlisted(error.filename, error) from error
