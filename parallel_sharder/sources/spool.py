"""The spool: the file that annotations from a compressed archive are unpacked to while a run needs them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator

from parallel_sharder import durable
from parallel_sharder.destination import ShardPattern, make_folder
from parallel_sharder.errors import DestinationError
from parallel_sharder.sources.layout import Layout


@contextlib.contextmanager
def spool_beside(pattern: ShardPattern, layout: Layout) -> Iterator[str | None]:
    """The path of an empty file beside the shards, removed on the way out; None if the layout needs none.

    What killed runs have left of theirs is removed first. A run that lives holds a lock on its own. Raises
    DestinationError if the file cannot be made.
    """
    _remove_left(pattern)
    if not layout.needs_spool:
        yield None
        return
    made = make_folder(pattern)
    try:
        descriptor, path = durable.create(pattern.spool_path)
    except OSError as error:
        raise _unusable(pattern, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unusable(pattern, error) from error
        yield path
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # whatever is the matter there, it has been said
            durable.remove(path)
        durable.remove_folders(made)


@contextlib.contextmanager
def spool_elsewhere(layout: Layout) -> Iterator[str | None]:
    """The same in the system's folder for temporary files, for whoever writes nothing else."""
    if not layout.needs_spool:
        yield None
        return
    try:
        descriptor, path = tempfile.mkstemp(prefix="parallel_sharder-")
    except OSError as error:
        raise DestinationError(
            f"no temporary file can be made for the annotations: {error.strerror or error}. Name a folder with room "
            "for them in the variable TMPDIR."
        ) from error
    os.close(descriptor)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            durable.remove(path)


def _unusable(pattern: ShardPattern, error: OSError) -> DestinationError:
    return DestinationError(
        f"{os.path.abspath(pattern.folder)}, where annotations are unpacked to, cannot be written and locked: "
        f"{error.strerror or error}. Mend that, or choose another --dest."
    )


def _remove_left(pattern: ShardPattern) -> None:
    """Remove the spools of runs that have ended."""
    folder, name = os.path.split(pattern.spool_path)
    for path in durable.partials(folder, re.escape(name)):
        with contextlib.suppress(OSError):  # it is another run's, or has just gone
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                durable.remove(path)
            finally:
                os.close(descriptor)
