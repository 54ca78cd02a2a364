"""Finding a source: which data set lies at a root, from names alone.

The options go in, and an open Source comes out. An option that names the layout decides. Without one, ImageNet's
layouts come first, then a table, class folders, and shards. What the folders hold is looked at by glances. Two readings
that mean different files are an ambiguity, which --layout settles; a second reading of the same files is only named.
What this tool has made or begun is no source, unless --root names its shards by a pattern.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from parallel_sharder.errors import SourceError
from parallel_sharder.options import IMAGENET_LAYOUTS
from parallel_sharder.pattern import COMPRESSIONS, shard_name
from parallel_sharder.sources.class_folders.endings import is_image
from parallel_sharder.sources.imagenet.glance import Glance, leads_up
from parallel_sharder.sources.imagenet.image_places import is_download
from parallel_sharder.sources.imagenet.names import packed_class
from parallel_sharder.sources.imagenet.not_found import nothing_found
from parallel_sharder.sources.imagenet.signs import Signs, signs_at, strangers_at
from parallel_sharder.sources.names import junk
from parallel_sharder.sources.shards.expand import is_shard_pattern, tars_in
from parallel_sharder.sources.source import Source, SourceOptions
from parallel_sharder.sources.table.formats import is_table
from parallel_sharder.sources.table.found import METADATA, found_table
from parallel_sharder.text import first_few

if TYPE_CHECKING:
    from parallel_sharder.sources.class_folders.source import ClassFoldersSource
    from parallel_sharder.sources.imagenet.source import ImageNetSource
    from parallel_sharder.sources.shards.source import ShardsSource
    from parallel_sharder.sources.table.source import TableSource

    _Opened: TypeAlias = ImageNetSource | TableSource | ClassFoldersSource | ShardsSource

LOOKED_INTO = 20
"""How many folders of a root are looked into, each for a data set of its own, where the root itself is none."""

FOLDERS_LIMIT = 300
"""How many folders are looked into for an image. More would be slow where a root holds none; fewer could miss some."""

_NAMED = 5


class _Reading(NamedTuple):
    """One way to read what lies at the root, as `layout`; `what` is that in words, for people.

    `besides` are the ways in which the same files could be read too, in words.
    """

    layout: str
    what: str
    besides: str = ""


def find_source(options: SourceOptions) -> Source:
    """Return the source that `options` name. Raises SourceError if the data set, or a part of it, does not exist.

    SourceError is raised too if it is not clear which of several data sets is meant; the message lists them.
    """
    layout = options.layout or ("table" if options.table is not None else None)
    if options.is_imagenet:
        return _opened("tree", options)
    if layout is not None:
        return _opened(layout, options)
    _refuse_several(options.root)
    if len(options.root) > 1 or is_shard_pattern(options.folder) or _is_shard(options.folder):
        return _opened("shards", options)
    root, split = Path(options.folder).absolute(), options.split or "train"
    if root.is_file() and is_table(str(root)):
        raise SourceError(f"{root} is a table, and no folder. Use --table {shlex.quote(str(root))} in place of --root.")
    if not root.is_dir():
        return _opened("tree", options)  # it says that there is no such folder
    signs = signs_at(root, split)
    if signs.is_sure:
        return _opened("tree", options)
    readings = [*_readings(root, split, signs, options.dest)]
    if not readings:
        if _has_only_ours(root):
            return _opened("shards", options)  # it says how to read what this tool has made
        others = f"  class folders with images, {', '.join(METADATA)}, and shards (*.tar): in {root}/"
        tables = [shlex.quote(str(root / name)) for name in Glance.at(root).files if is_table(name)]
        named = [f"If {tables[0]} is a table of images, --table {tables[0]} reads it."] if tables else []
        raise SourceError(*nothing_found(root, split, IMAGENET_LAYOUTS, others), *named)
    if len(readings) > 1:
        raise SourceError(
            f"{root} holds more than one data set, as it seems. Choose one with --layout:",
            *(f"  --layout {each.layout}: {each.what}" for each in readings),
        )
    source = _opened(readings[0].layout, options)
    source.kind = source.kind._replace(besides=readings[0].besides)
    return source


def _refuse_several(roots: tuple[str, ...]) -> None:
    """Raise SourceError if one of several roots is a folder without a tar: only shards can lie in several places."""
    for root in roots if len(roots) > 1 else ():
        if os.path.isdir(root) and not any(tars_in(root)):
            raise SourceError(
                f"{root} has no file that ends in .tar. Only shards are read from more than one --root. Name one "
                "for a data set of another kind, and convert each set by a command of its own."
            )


def _opened(layout: str, options: SourceOptions) -> _Opened:
    """Return the source for this layout; only its modules are loaded, because those of all take 0.1 s."""
    if layout == "table":
        from parallel_sharder.sources.table.source import TableSource

        return TableSource(options)
    if layout == "shards":
        from parallel_sharder.sources.shards.source import ShardsSource

        return ShardsSource(options)
    if layout == "folders":
        from parallel_sharder.sources.class_folders.source import ClassFoldersSource

        return ClassFoldersSource(options)
    from parallel_sharder.sources.imagenet.source import ImageNetSource

    return ImageNetSource(options)


def _readings(root: Path, split: str, signs: Signs, dest: str) -> Iterator[_Reading]:
    """Yield what lies at the root, each data set once, in the order in which they are tried."""
    if not os.access(root, os.R_OK | os.X_OK):
        return
    table, image, tars = found_table(str(root)), _first_image(root, dest), _shards_in(root)
    strangers = first_few(strangers_at(root, split), _NAMED)
    for place in signs.places:
        besides = "class folders, numbered from 0 on (--layout folders)" if place.is_folder else ""
        yield _Reading(place.word, f"ImageNet's {split} images in {place.path}", besides)
    if table is not None:
        besides = "images without the table (--layout folders)" if image is not None else ""
        yield _Reading("table", f"the table {table}", besides)
    elif signs.is_mistaken and strangers:
        raise SourceError(
            f"{root} holds class folders of ImageNet, and beside them folders that are none of its 1,000 classes: "
            f"{strangers}. Move these out of the way, or use --layout folders, which numbers all of them from 0 on."
        )
    elif signs.is_mistaken:
        raise SourceError(*nothing_found(root, split, IMAGENET_LAYOUTS), *_several(root, dest))
    elif image is not None and not any(place.is_folder for place in signs.places):
        besides = f"ImageNet, because these folders are none of its 1,000 classes: {strangers}" if strangers else ""
        yield _Reading("folders", f"images in folders, such as {image}", besides)
    if tars and (any(map(shard_name, tars)) or (image is None and table is None)):
        yield _Reading("shards", f"shards, such as {root / tars[0]}")


def _several(root: Path, dest: str) -> Iterator[str]:
    """Yield a line that names the folders in `root` which hold images or shards, if there are several."""
    folders = [root / name for name in Glance.at(root).others[:LOOKED_INTO]]
    folders = [path for path in folders if os.access(path, os.R_OK | os.X_OK) and not leads_up(path)]
    found = [path.name for path in folders if _first_image(path, dest) is not None or _shards_in(path)]
    if len(found) > 1:
        yield (
            f"Images or shards lie in several of its folders: {first_few(found, 2 * _NAMED)}. Name one with --root if "
            "each is a data set, or use --layout folders if each is a class."
        )


def _has_only_ours(root: Path) -> bool:
    """Return whether `root` holds sets that this tool has made or begun, and neither other shards nor folders."""
    glance = Glance.at(root)
    if not glance.files or glance.folders:
        return False
    others, ours = tars_in(str(root))
    return bool(ours) and not others


def _is_shard(path: str) -> bool:
    """Return whether the file at `path` is a shard by its name, and no archive of ImageNet."""
    return os.path.isfile(path) and path.endswith(tuple(COMPRESSIONS)) and not is_download(path)


def _shards_in(root: Path) -> list[str]:
    """Return the names of the tars in `root` that can be shards: no archives of ImageNet, and no sets of this tool."""
    names = [os.path.basename(path) for path in tars_in(str(root))[0]]
    return [name for name in names if not is_download(name) and not packed_class(name)]


def _first_image(root: Path, dest: str) -> Path | None:
    """Return an image at `root` or below, outside the folder `dest`; None if a glance shows none."""
    waiting = [root]
    for folder in waiting:
        glance = Glance.at(folder)
        found = next((name for name in glance.files if is_image(name) and not junk(name)), None)
        if found is not None:
            return folder / found
        below = [folder / name for name in glance.folders if not name.startswith(".") and not junk(name)]
        below = [path for path in below if not leads_up(path) and (not dest or path != Path(dest).absolute())]
        waiting += below[: FOLDERS_LIMIT - len(waiting)] if len(waiting) < FOLDERS_LIMIT else []
    return None
