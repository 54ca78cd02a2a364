"""Source: the interface through which a raw data set is read, whichever data set it is and however it is stored.

`open_source` finds the data set that the options name, and looks only at names. The source's scan then returns a
Listing, whose files can be read until the source is closed. The Listing also names the facts that were found (layout,
classes, annotations), because monitors and reports get the Listing and not the source. Users of a source do not know
layouts, class lists or archives, nor what the source keeps or unpacks.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass, Listing, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import WITHOUT_ANNOTATIONS, Options

if TYPE_CHECKING:
    from parallel_sharder.sources.spool import Scratch
    from parallel_sharder.staging.look import Looked


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Which data set is read, and which parts of it. Fields that Options has too mean what they mean there.

    `root` has all that Options.root names. A form of `annotations` that has none leaves them out of the Listing, even
    if the data set has some. `dest` is the folder of the shards, which is no part of a source; "" if there is none.
    `known_classes` are those of a finished set, in whose order classes are numbered instead of that of `meta`;
    `known_keys` are those of a finished set, sorted, which stand for its lists `keep` and `drop`. `is_imagenet` says of
    a finished set that it was made of ImageNet.
    """

    root: tuple[str, ...]
    split: str | None = None
    labels: str | None = None
    annotations: str | None = None
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: str | None = None
    check_archives: bool = False
    dest: str = ""
    shuffle: bool = True
    with_: tuple[str, ...] = ()
    image_field: str | None = None
    table: str | Path | None = None
    image: str | None = None
    label: str | None = None
    caption: str | None = None
    key: str | None = None
    columns: tuple[str, ...] | None = None
    keep: str | Path | None = None
    drop: str | Path | None = None
    where: str | None = None
    rename_keys: bool = False
    on_duplicate: str | None = None
    apart: str | None = None
    known_classes: tuple[ImageClass, ...] | None = None
    known_keys: tuple[bytes, ...] | None = None
    is_imagenet: bool = False

    @property
    def wants_annotations(self) -> bool:
        """Whether the Listing has the annotations that the data set has."""
        return self.annotations not in WITHOUT_ANNOTATIONS

    @property
    def folder(self) -> str:
        """The only root, of a data set that has one."""
        return self.root[0]

    @classmethod
    def of(cls, options: Options) -> SourceOptions:
        """Return the options of a conversion that concern its source. `dest` is where the shards go, or may go."""
        names = {field.name for field in dataclasses.fields(cls)} & {
            field.name for field in dataclasses.fields(options)
        }
        same = {name: getattr(options, name) for name in names - {"root", "dest"}}
        return cls(root=options.roots, dest=options.pattern.folder, **same)


_SELECTED = ("with", "image_field", "table", "image", "label", "caption", "key", "columns", "where", "rename_keys",
             "on_duplicate", "apart")  # fmt: skip
"""The entries of Listing.selection that are options of a source too."""


def selected(selection: Mapping[str, Any], root: str) -> dict[str, Any]:
    """Return the fields of SourceOptions that a Listing's `selection` has, as a manifest keeps them.

    The path of a table is relative to the `root` of the source.
    """
    found = {name: selection[name] for name in _SELECTED if name in selection}
    if "table" in found:
        found["table"] = os.path.join(root, found["table"])
    fields = {"with_" if name == "with" else name: value for name, value in found.items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


class Source(Protocol):
    """A raw data set, as a context manager: inside the block it is scanned, and the files of its Listing can be read.

    What the source unpacks is removed at the end of the block. Nothing is ever written to the data set itself.
    """

    @property
    def kind(self) -> SetKind:
        """What the data set is, from names alone."""

    @property
    def folders(self) -> Sequence[Path]:
        """The folders that hold the data set's files, in which nothing else may be written; the scan may add some."""

    @property
    def packed(self) -> Sequence[str]:
        """The paths of archives that can only be read from their front to their end, so that a stage is needed."""

    @property
    def holds_other_splits(self) -> bool:
        """Whether its archives hold other splits too."""

    @property
    def looked(self) -> Sequence[Looked]:
        """What the scan has kept of images in archives that it read through, if its Scratch has a `look`."""

    def __enter__(self) -> Self:
        """Begin to read; nothing is created before the scan."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was unpacked."""

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing of the data set. Places are listed on `engine`, and `monitor` hears how many are done.

        What the source keeps and unpacks is written where `scratch` says. Raises SourceError if a part is missing or
        damaged, or would give samples wrong labels.
        """

    def adopt(self, listing: Listing) -> None:
        """Take the Listing that another run's scan of this data set has returned, instead of a scan."""

    def spool_bytes(self, listing: Listing) -> int:
        """Return how many bytes of the samples in `listing` must be unpacked before they can be read."""

    def keep_scan(self) -> None:
        """Write what the scan found beside the shards, so that a resumed run does not look for it again.

        Raises DestinationError if it cannot be written.
        """

    def share(self, listing: Listing) -> Listing:
        """Keep what was unpacked for `listing`, for other runs; return the listing with the places it is kept at.

        Raises DestinationError if it cannot be kept.
        """

    def refuse_changes(self) -> None:
        """Raise SourceError if the data set has changed since the scan: what was read since then may be wrong."""


def open_source(options: SourceOptions) -> Source:
    """Return the source that `options` name. Raises SourceError if the data set, or a part of it, does not exist."""
    from parallel_sharder.sources.find import find_source  # here, because it loads the modules of all data sets

    return find_source(options)


def refuse_left_out(listing: Listing) -> None:
    """Raise SourceError if a sample or a class is left out (`--on-bad fail`). The message names the first."""
    first = next((problem for problem in listing.problems if problem.leaves_out), None)
    if first is not None:
        raise SourceError(
            f"{first.path}: {first.kind.meaning}: {first.detail} (--on-bad fail). Mend it, or use --on-bad skip, which "
            "leaves such files out and lists them."
        )
