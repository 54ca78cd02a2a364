"""Passages: archives of the source are read through, each by one worker, listed meanwhile, and copied to the stage.

Compressed archives can be read in no other way, and archives on a disk that seeks should not be. A passage is a Copying
and the function that lists the archive's members by a Read. It can also have a look at each image on the way.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explain
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import SharderError
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.staging.copy import Copying
from parallel_sharder.staging.done import done
from parallel_sharder.staging.embedded import images_of
from parallel_sharder.staging.look import Look, Looked
from parallel_sharder.staging.through import through
from parallel_sharder.stores.packing import PARQUET


class Passage(NamedTuple):
    """An archive and the function that lists it, which is called with its Read, its size, and a Take or None.

    The size is None if it is not known. Without a `look` there is no Take. The function that lists a Parquet file gets
    its images, with the values of the columns `others`, in place of Read and size.
    """

    copying: Copying
    listing: partial[Any]
    look: Look | None = None
    others: tuple[str, ...] = ()


class Passed(NamedTuple):
    """What the function of a passage has returned, and what was seen of the images."""

    found: Any
    looked: Looked


def passed(passages: Sequence[Passage], engine: Engine, monitor: Monitor) -> list[Passed]:
    """Return what has come of the passages, in their order, when all archives were read through.

    Of several errors, that of the first passage is raised. Raises Death if a worker dies.
    """
    doing = "staging MB" if passages and passages[0].copying.path else "reading MB"
    sizes = {passage: passage.copying.archive.size for passage in passages}
    results: list[Passed] = []
    for result in done(pass_through, sizes, doing, engine, monitor):
        if isinstance(result, Exception):
            raise result
        results.append(result)
    return results


def pass_through(passage: Passage, progress: Progress) -> Passed | Exception:
    """Return what comes of a passage or, as a value, the error that stops it."""
    offsets, values, look = array("q"), bytearray(), passage.look

    def kept(offset: int, image: bytes) -> None:
        if not image:  # it may lie where the next one begins
            return
        offsets.append(offset)
        values.extend(look(image) if look is not None else b"")

    try:
        if passage.copying.packing == PARQUET:
            with images_of(passage.copying, passage.others, progress) as images:
                found = passage.listing(images, None if look is None else kept)
        else:
            with through(passage.copying, progress) as (read, end, want):

                def take(offset: int, size: int) -> None:
                    want(offset, size)
                    if look is not None:
                        kept(offset, read(offset, size))

                found = passage.listing(read, end, take)
        return Passed(found, Looked(passage.copying.archive.path, offsets.tobytes(), bytes(values)))
    except SharderError as error:
        explain(error)  # the error may cross to another process, where it has no cause any more
        return error
