"""Source: the interface through which a raw data set is read, whichever data set it is and however it is stored.

`open_source` finds the data set that the options name, and looks only at names. The source's scan then returns a
Listing, whose files can be read until the source is closed. The Listing also names the facts that were found (layout,
classes, annotations), because monitors and reports get the Listing and not the source. Users of a source do not know
layouts, class lists or archives, nor what the source keeps or unpacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Listing
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import WITHOUT_ANNOTATIONS, Options
from parallel_sharder.pattern import ShardPattern


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Which data set is read, and which parts of it. Fields that Options has too mean what they mean there.

    A form of `annotations` that has none leaves them out of the Listing, even if the data set has some.
    """

    root: str | Path
    split: str
    labels: str
    annotations: str = "original"
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: str | None = None
    check_archives: bool = False

    @property
    def wants_annotations(self) -> bool:
        """Whether the Listing has the annotations that the data set has."""
        return self.annotations not in WITHOUT_ANNOTATIONS

    @classmethod
    def of(cls, options: Options) -> SourceOptions:
        """Return the options of a conversion that concern its source."""
        return cls(
            root=options.root,
            split=options.split,
            labels=options.labels,
            annotations=options.annotations,
            xml_root=options.xml_root,
            meta=options.meta,
            layout=options.layout,
            check_archives=options.check_archives,
        )


class Source(Protocol):
    """A raw data set, as a context manager: inside the block it is scanned, and the files of its Listing can be read.

    What the source unpacks is removed at the end of the block. Nothing is ever written to the data set itself.
    """

    @property
    def folders(self) -> Sequence[Path]:
        """The folders that hold the data set's files, in which nothing else may be written; the scan may add some."""

    def __enter__(self) -> Self:
        """Begin to read; nothing is created before the scan."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was unpacked."""

    def scan(self, engine: Engine, monitor: Monitor) -> Listing:
        """Return the Listing of the data set. Places are listed on `engine`, and `monitor` hears how many are done.

        Raises SourceError if a part is missing or damaged, or would give samples wrong labels.
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


def open_source(options: SourceOptions, beside: ShardPattern | None = None, *, is_preview: bool = False) -> Source:
    """Return the source that `options` name. Raises SourceError if the data set, or a part of it, does not exist.

    What the source keeps and unpacks is written beside the shards of the pattern `beside`, or, without a pattern, to
    the system's folder for temporary files. A preview reads what an earlier run kept, and writes nothing.
    """
    from parallel_sharder.sources.imagenet.source import ImageNetSource  # only the data set that is read is loaded
    from parallel_sharder.sources.spool import Scratch

    return ImageNetSource(options, Scratch(beside, is_preview=is_preview))


def refuse_left_out(listing: Listing) -> None:
    """Raise SourceError if a sample or a class is left out (`--on-bad fail`). The message names the first."""
    first = next((problem for problem in listing.problems if problem.leaves_out), None)
    if first is not None:
        raise SourceError(
            f"{first.path}: {first.kind.meaning}: {first.detail} (--on-bad fail). Mend it, or use --on-bad skip, which "
            "leaves such files out and lists them."
        )
