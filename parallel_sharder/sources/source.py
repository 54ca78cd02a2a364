"""Source: the interface through which a raw data set is read, whatever it is and however it lies on this disk.

`open_source` finds the data set that the options name, and looks at names only. The scan then says what there is, as a
Listing, whose files can be read until the source is closed. Whoever uses a source knows neither layouts, class lists
and archives, nor what a source keeps or unpacks while it is read.
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
    """Which data set is read, and what of it; the fields that have a namesake mean what they mean in Options.

    `wants_annotations` False leaves annotations out of the Listing, wherever there are some.
    """

    root: str | Path
    split: str
    labels: str
    wants_annotations: bool = True
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: str | None = None
    check_archives: bool = False

    @classmethod
    def of(cls, options: Options) -> SourceOptions:
        """The choices of a conversion that are about its source."""
        return cls(
            root=options.root,
            split=options.split,
            labels=options.labels,
            wants_annotations=options.annotations not in WITHOUT_ANNOTATIONS,
            xml_root=options.xml_root,
            meta=options.meta,
            layout=options.layout,
            check_archives=options.check_archives,
        )


class Source(Protocol):
    """A raw data set. It is a context: inside, it is scanned, and the files of its Listing can be read.

    What it unpacks for that is removed when the context is left. Nothing is ever written to the data set itself.
    """

    @property
    def folders(self) -> Sequence[Path]:
        """The folders in which the data set has its files, where nothing else belongs; the scan may find more."""

    def __enter__(self) -> Self:
        """Prepare what reading takes. Raises DestinationError if there is no place for it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was unpacked."""

    def scan(self, engine: Engine, monitor: Monitor) -> Listing:
        """List what there is; places are listed on `engine`, and `monitor` hears how many.

        Raises SourceError for what is missing, damaged, or would mislabel samples.
        """

    def spool_bytes(self, listing: Listing) -> int:
        """How many bytes of the samples in `listing` are unpacked before they can be read."""

    def keep_scan(self) -> None:
        """Keep what a resumed run need not look for again, beside the shards. Raises DestinationError if it cannot."""

    def refuse_changes(self) -> None:
        """Raise SourceError if what was scanned is not as it was: what was read since may be anything."""


def open_source(options: SourceOptions, beside: ShardPattern | None = None, *, is_preview: bool = False) -> Source:
    """Return the source that `options` name. Raises SourceError if it is not there, or if a part of it is missing.

    What a source keeps and unpacks lies beside the shards of the pattern `beside`, and without one in the system's
    folder for temporary files. For a preview, what was kept is read, and nothing is written.
    """
    from parallel_sharder.sources.imagenet.source import ImageNetSource  # what no data set needs is not loaded
    from parallel_sharder.sources.spool import Scratch

    return ImageNetSource(options, Scratch(beside, is_preview=is_preview))


def refuse_left_out(listing: Listing) -> None:
    """Raise SourceError, naming the first, if a sample or a class is left out (`--on-bad fail`)."""
    first = next((problem for problem in listing.problems if problem.leaves_out), None)
    if first is not None:
        raise SourceError(
            f"{first.path}: {first.kind.meaning}: {first.detail} (--on-bad fail). Mend it, or use --on-bad skip, which "
            "leaves out and lists what is like it."
        )
