"""A sample while it is stored: its files are read when a form asks for them, and what is the matter with them is noted.

It belongs to one worker and to one place in one shard. What is broken is a SampleError, or, if the user wants broken
samples kept, a problem that is noted.
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

    `class_index` is -1 without a class. The image is read into `place`, which is set before a form is asked. `problems`
    are those that were noted so far.
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
        """Where the annotation is, for people."""
        return "" if self.xml is None else self.xml.path

    @property
    def image_name(self) -> str:
        """The name of the image's file."""
        return self.key + self._ending

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """What is read of it, in order."""
        return (self.image,) if self.xml is None else (self.xml, self.image)

    def annotated(self, read: Callable[[Sample, bytes], T]) -> T | None:
        """What `read` makes of the sample and the annotation's bytes; None without annotation.

        A broken annotation that is kept counts as none. Raises SampleError if it cannot be read, or is broken.
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
        """Have the image in its place. Raises SampleError if it cannot be read, or is broken."""
        if self._is_read:
            return
        self.image.read_into(self.image_room)
        self._is_read = True
        found = examine(self.image_room)
        if found is not None:
            self._note_image(found)

    def measured(self) -> Size:
        """The same, and its width and height in pixels, which must be there; 0 by 0 for a broken one that is kept."""
        self.image.read_into(self.image_room)
        self._is_read = True
        size = dimensions(self.image_room)
        found = examine(self.image_room)
        if found is not None or size is None:
            self._note_image(found, "" if size else "its width and height cannot be found in its header")
        return size or (0, 0)

    def problem(self, error: SampleError, *, kept: bool = False) -> Problem:
        """The error as a problem of this sample."""
        return Problem(Kind(error.kind), error.path, self.key, error.detail, kept)

    def note_odd(self, odd: tuple[tuple[Kind, str], ...]) -> None:
        """Note what is worth knowing about the annotation."""
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
        """Note that something is broken, and kept. Raises the error if that is not wanted."""
        if not self._keeps_broken:
            raise error
        self.problems += (self.problem(error, kept=True),)
