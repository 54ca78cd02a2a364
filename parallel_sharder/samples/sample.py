"""A sample while a worker stores it: its files are read when its form asks for them, and their problems are noted.

A Sample is made for one row of a Chunk, and is stored in one shard. A broken file raises SampleError, or becomes a
problem of the sample if the user keeps broken samples. This module knows neither the tar nor the forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.samples import annotation
from parallel_sharder.samples.image import Size, dimensions, examine
from parallel_sharder.stores.blob import Blob

T = TypeVar("T")

_NO_ROOM = memoryview(b"")


class Sample:
    """One row of a Chunk.

    `class_index` is -1 without a class. The image is read into `image_room`, which the worker sets before it asks the
    form's encoder. `problems` are those that were noted so far.
    """

    __slots__ = ("_ending", "_is_read", "_keeps_broken", "class_index", "image", "image_room", "key", "problems", "xml")

    def __init__(
        self, key: str, ending: str, class_index: int, image: Blob, xml: Blob | None, keeps_broken: bool
    ) -> None:
        self.key = key
        self.class_index = class_index
        self.image = image
        self.xml = xml
        self.image_room = _NO_ROOM
        self.problems: tuple[Problem, ...] = ()
        self._ending = ending
        self._keeps_broken = keeps_broken
        self._is_read = False

    @property
    def xml_path(self) -> str:
        """The path of the annotation, for people; "" without one."""
        return "" if self.xml is None else self.xml.path

    @property
    def image_name(self) -> str:
        """The name of the image's file."""
        return self.key + self._ending

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The sample's blobs in the order in which they are read."""
        return (self.image,) if self.xml is None else (self.xml, self.image)

    def annotated(self, read: Callable[[Sample, bytes], T]) -> T | None:
        """Return what `read` returns for the sample and the annotation's bytes; None without an annotation.

        A broken annotation counts as none if broken samples are kept. Otherwise, or if the annotation cannot be read,
        SampleError is raised.
        """
        xml = self.xml
        if xml is None:
            return None
        try:
            if xml.length > annotation.SIZE_LIMIT_BYTES:
                detail = f"{xml.length:,} bytes; an annotation has at most {annotation.SIZE_LIMIT_BYTES:,}"
                raise SampleError(Kind.BAD_ANNOTATION, xml.path, detail)
            return read(self, xml.read())
        except SampleError as error:
            if error.kind == Kind.BAD_ANNOTATION:
                self._keep(error)
                return None
            raise

    def read_image(self) -> None:
        """Read the image into its room, unless that is done. Raises SampleError if it cannot be read, or is broken."""
        if self._is_read:
            return
        self.image.read_into(self.image_room)
        self._is_read = True
        found = examine(self.image_room)
        if found is not None:
            self._note_image(found)

    def measured(self) -> Size:
        """Read the image into its room, and return its width and height in pixels.

        An image without width and height is broken. For a broken image that is kept they are 0 and 0. Raises
        SampleError as `read_image` does.
        """
        self.image.read_into(self.image_room)
        self._is_read = True
        size = dimensions(self.image_room)
        found = examine(self.image_room)
        if found is not None or size is None:
            self._note_image(found, "" if size else "its width and height cannot be found in its header")
        return size or (0, 0)

    def problem(self, error: SampleError, *, kept: bool = False) -> Problem:
        """Return the error as a problem of this sample."""
        return Problem(Kind(error.kind), error.path, self.key, error.detail, kept)

    def note_odd(self, odd: tuple[tuple[Kind, str], ...]) -> None:
        """Note what is doubtful in the annotation, but no fault."""
        self.problems += tuple(Problem(kind, self.xml_path, self.key, detail) for kind, detail in odd)

    def _note_image(self, found: tuple[Kind, str] | None, fault: str = "") -> None:
        is_bad = found is not None and found[0] is Kind.BAD_IMAGE
        if found is not None and is_bad:
            fault = found[1]
        if fault:
            self._keep(SampleError(Kind.BAD_IMAGE, self.image.path, fault))
        if found is not None and not is_bad:
            self.problems += (Problem(found[0], self.image.path, self.key, found[1]),)

    def _keep(self, error: SampleError) -> None:
        """Note the error of a file that is broken but kept. Raise the error if broken samples are not kept."""
        if not self._keeps_broken:
            raise error
        self.problems += (self.problem(error, kept=True),)
