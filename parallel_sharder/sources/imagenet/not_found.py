"""Not found: the messages for users whose images are not where they were looked for, each with one remedy.

Folders a few levels up and down are looked at, by glances, and the remedy follows from what they hold: another --root,
--layout or --split, or a command that unpacks, renames or sorts files. Nothing is changed here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.options import IMAGENET_LAYOUTS, SPLITS
from parallel_sharder.sources.downloads import refuse_unfinished
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.sources.imagenet.glance import FLAT, SHOWN_LIMIT, Glance, Seen, leads_up, seen_in
from parallel_sharder.sources.imagenet.hub_tables import is_imagenet
from parallel_sharder.sources.imagenet.image_places import ImagePlace, existing_places, possible_places
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.list_places import KAGGLE_ZIP
from parallel_sharder.sources.imagenet.names import EXPECTED, packed_class
from parallel_sharder.sources.imagenet.official import IMAGES
from parallel_sharder.sources.imagenet.published import MD5
from parallel_sharder.sources.names import junk
from parallel_sharder.stores.packing import COMPRESSIONS

LEVELS, FOLDERS_LIMIT = 3, 300
"""How many levels below a folder, and how many folders, are looked at. More would be slow on a network's disk."""

CLASSES_LIMIT = 20
"""How many sub-folders are looked at to decide whether all of them are classes under other names."""

_SEARCHABLE = "Give this user the right to read and search it and the folders above it (chmod u+rX for the owner)."

_SORT_TRAIN = (
    "cd {} && find . ! -type d -name 'n????????_*' ! -path './n????????/*' -exec sh -c 'for f; do n=${{f##*/}}; "
    'mkdir -p "${{n%%_*}}"; mv -n "$f" "${{n%%_*}}/"; done\' sh {{}} + && find . -maxdepth 1 -type d -empty -delete'
)
_FLATTEN_VAL = (
    "cd {} && find . -mindepth 2 ! -type d -name 'ILSVRC2012_val_*' -exec mv -n -t . {{}} + && "
    "find . -maxdepth 1 -type d -empty -delete"
)

_WITH_CLASS = re.compile(r".*_[0-9]+_n[0-9]{8}\.\w+")
_WITHOUT_CLASS = (
    "find . -name '*_[0-9]*_n????????.*' -exec sh -c "
    """'for f; do mv -n "$f" "${f%_n*}.${f##*.}"; done' sh {} +"""
)
"""The names in the Hugging Face hub's archives, and the command that turns them into ImageNet's."""


def nothing_found(root: Path, split: str, words: Sequence[str], *others: str) -> list[str]:
    """Return the lines of the message that `root` has no images of `split` in any of the layouts `words`.

    `others` are lines that say what else was looked for.
    """
    try:
        with os.scandir(root):
            os.stat(os.path.join(root, "."))  # Path would remove the dot
        for place in possible_places(root, split, words):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.stat(place.path)
    except OSError as error:
        return [f"{error.filename or root} cannot be looked into: {error.strerror}. {_SEARCHABLE}"]
    parquet = existing_places(root, split, [word for word in words if word == "parquet"])
    unsure = [
        f"Nothing in {place.path} says that it is ImageNet's. If it is, use --layout parquet; if not, --table."
        for place in parquet[:1]
    ]
    return [
        f"no {split} images found under {root}. Looked for:",
        *(f"  {place}" for place in possible_places(root, split, words)),
        *others,
        *unsure,
        f"{root} holds {Glance.at(root)}.",
        *(_advice(root, split, words, root.parents[:3]) or _last_advice(root, split)),
    ]


def is_misplaced(root: Path, split: str) -> bool:
    """Return whether images of `split` seem to lie below `root`, in a way for which there is a remedy."""
    try:
        return bool(_advice(root, split, IMAGENET_LAYOUTS, ()))
    except SourceError:  # for example, a download is not finished
        return True


def no_image(layout: Layout) -> Iterator[str]:
    """Yield the lines of the message that no image was found, with what the folder holds and a remedy."""
    expected = EXPECTED[layout.split]
    yield f"{layout.images} holds no image of the {layout.split} set. Expected were files named {expected}."
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


def refuse_unlike(images: Path, split: str) -> None:
    """Raise SourceError if glances show no images of `split` in the folder `images`, and show them nearby or unsorted.

    All other folders are left to the scan.
    """
    if not os.access(images, os.R_OK | os.X_OK):
        return
    glance = Glance.at(images)
    if glance.classes or _holds(images, split) or seen_in(images / images.name) in (("val", FLAT), ("test", FLAT)):
        return
    sorting = _sorting(images, split)
    if sorting:
        raise SourceError(*sorting)
    siblings = [folder for folder in _within(images.parent) if folder != images]
    nearby = _did_you_mean(_below(images, split), split) or _did_you_mean(siblings, split)
    if nearby:
        raise SourceError(f"{images} holds {glance}, and no {split} images as they should lie there.", nearby)


def _likely_places(root: Path, split: str) -> list[ImagePlace]:
    """Return the places of images of `split` that exist, but for Parquet files that seem to be of another data set."""
    there = existing_places(root, split, IMAGENET_LAYOUTS)
    return [place for place in there if place.word != "parquet" or is_imagenet(place.path, split)]


def _advice(root: Path, split: str, words: Sequence[str], above: Sequence[Path]) -> list[str]:
    """Return the remedy for a `root` without images of `split`, in lines; none if none is known.

    The folders `above` and those below the root are looked at.
    """
    for place in _likely_places(root, split):
        if place.word not in words:
            return [f"{place.path} exists: use --layout {place.word}, or leave --layout out."]
    for name in (*IMAGES[split], KAGGLE_ZIP):
        refuse_unfinished(root / name, MD5)
    glance, seen = Glance.at(root), seen_in(root)
    for name in IMAGES[split]:
        for ending, program in (*COMPRESSIONS.values(), ("", "gzip")):
            packed = name + ending if ending else name.removesuffix(".tar") + ".tgz"
            if packed in glance.files:
                return [f"{packed} has to be decompressed first ({program} -d {_quoted(root / packed)})."]
    if seen is not None and seen.split != split and seen.is_usable:
        return [f"It holds {seen.split} images; they are converted with --split {seen.split}."]
    if question := _did_you_mean([*above, *_below(root, split)], split):
        return [question]
    if sorting := _sorting(root, split):
        return sorting
    return []


def _last_advice(root: Path, split: str) -> list[str]:
    for other in SPLITS:
        if other != split and _likely_places(root, other):
            return [f"It holds {other} images; they are converted with --split {other}."]
    return ["Name the folder that holds one of them with --root."]


def _did_you_mean(folders: Iterable[Path], split: str) -> str:
    """Return the question whether one of `folders` was meant, or "". Whole sets come before folders of images alone."""
    sets: dict[Path, Path] = {}
    alone: list[Path] = []
    for folder in folders:
        for place in _likely_places(folder, split):
            if not place.is_folder or _holds(place.path, split):
                sets.setdefault(place.path, folder)
        if _holds(folder, split):
            alone.append(folder)
    found = list(dict.fromkeys(sets.values())) or alone
    if len(found) == 1:
        return f"Did you mean --root {_quoted(found[0])}?" + (f" It holds {split} images." if not sets else "")
    named = ", ".join(f"--root {_quoted(folder)}" for folder in found[:SHOWN_LIMIT])
    more = f", and {len(found) - SHOWN_LIMIT:,} more" if len(found) > SHOWN_LIMIT else ""
    return f"Several folders hold {split} images; choose one: {named}{more}." if found else ""


def _sorting(folder: Path, split: str) -> list[str]:
    """Return lines that say how to sort images of `split` in `folder` or a sub-folder; none if they are sorted."""
    for each in [folder, *_within(folder)]:
        if _unnamed_classes(each, split):
            return _how_to_sort(each, split, "in folders that are not named by WordNet ID")
        if split == "train" and seen_in(each) == Seen("train", FLAT):
            return _how_to_sort(each, split, "without class folders")
    return []


def _how_to_sort(folder: Path, split: str, where: str) -> list[str]:
    if split == "train":
        do = "Sort them into folders named by the WordNet ID that each image's name begins with"
        command = _SORT_TRAIN
    else:
        do = (
            "Which classes these names mean is not known. Move the images out of these folders, so that the ground "
            "truth labels them"
        )
        command = _FLATTEN_VAL
    here = _quoted(folder)
    return [
        f"{folder} holds {Glance.at(folder)}: {split} images {where}. {do}:",
        f"  {command.format(here)}",
        f"Then use --root {here}.",
    ]


def _unnamed_classes(folder: Path, split: str) -> bool:
    """Return whether the folders in `folder` are classes of `split` under other names than WordNet IDs."""
    others = Glance.at(folder).others[:CLASSES_LIMIT] if split != "test" else []
    names = [name for name in others if seen_in(folder / name) == (split, FLAT)]
    if split == "val" and names:  # several folders with all of val are copies, not classes
        return all(map(str.isdecimal, names)) or (len(names) > 2 and not any("val" in name.lower() for name in names))
    return len(names) > 1


def _below(folder: Path, split: str) -> list[Path]:
    """Return the folders below `folder`, level by level, without classes."""
    found: list[Path] = []
    level = [folder]
    for _ in range(LEVELS):
        level = [child for each in level if not _unnamed_classes(each, split) for child in _within(each)]
        level = level[: FOLDERS_LIMIT - len(found)]
        found += level
    return found


def _within(folder: Path) -> list[Path]:
    within = [folder / name for name in Glance.at(folder).others[:FOLDERS_LIMIT]]
    return [path for path in within if not leads_up(path)]


def _holds(folder: Path, split: str) -> bool:
    """Return whether `folder` holds images of `split` in an arrangement that can be read."""
    seen = seen_in(folder)
    return seen is not None and seen.split == split and seen.is_usable and has_only_classes(Glance.at(folder))


def has_only_classes(glance: Glance) -> bool:
    """Return whether the folders are all among ImageNet's 1,000 classes, or none has a name like a WordNet ID."""
    folders = {*glance.classes, *(name for name in glance.others if not junk(name))}
    return not glance.classes or folders <= {*ilsvrc_ids()}


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
