"""A sample while it is stored: what is read when, and what becomes of what is broken."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.samples.annotation import SIZE_LIMIT_BYTES
from parallel_sharder.samples.sample import Sample
from parallel_sharder.stores.openings import Key, Opening
from tests.test_bad import picture

PICTURE = picture()


class Held:
    """A blob in memory."""

    def __init__(self, data: bytes, length: int | None = None) -> None:
        self.path = "held"
        self.length = len(data) if length is None else length
        self.is_read = False
        self._data = data

    def read_into(self, view: memoryview) -> None:
        """Fill it."""
        assert not self.is_read
        self.is_read = True
        view[:] = self._data

    @property
    def opens(self) -> Key:
        """Nothing that is there."""
        return self.path, 0

    def announce(self, opening: Opening | None = None) -> None:
        """Nothing."""

    def read(self) -> bytes:
        """Give it."""
        self.is_read = True
        return self._data


def sample_of(image: bytes, xml: Held | None = None, *, keeps_broken: bool = False) -> Sample:
    sample = Sample("k", ".JPEG", -1, Held(image), xml, keeps_broken)
    sample.image_room = memoryview(bytearray(len(image)))
    return sample


def broken(*_: object) -> None:
    raise SampleError(Kind.BAD_ANNOTATION, "held", "it is broken")


def test_image_is_read_once() -> None:
    """Into its place, by whoever asks first; and it has a size."""
    sample = sample_of(PICTURE)
    sample.read_image()
    sample.read_image()
    assert PICTURE == sample.image_room
    assert () == sample.problems
    sample = sample_of(PICTURE)
    width, height = sample.measured()
    sample.read_image()
    assert min(width, height) > 0


@pytest.mark.parametrize("image", [b"", b"x" * 100, PICTURE[:-40]], ids=["empty", "no image", "cut off"])
def test_broken_image(image: bytes) -> None:
    """It is an error, or a problem that is noted once."""
    with pytest.raises(SampleError) as caught:
        sample_of(image).read_image()
    assert Kind.BAD_IMAGE == caught.value.kind
    sample = sample_of(image, keeps_broken=True)
    sample.read_image()
    assert (Problem(Kind.BAD_IMAGE, "held", "k", caught.value.detail, kept=True),) == sample.problems
    sample = sample_of(image, keeps_broken=True)
    sample.measured()
    assert [Kind.BAD_IMAGE] == [problem.kind for problem in sample.problems]


def test_image_without_size() -> None:
    """It is sound, but for whoever needs the size."""
    image = b"\x59\xa6\x6a\x95" + bytes(28)
    sample = sample_of(image, keeps_broken=True)
    sample.read_image()
    assert [Kind.OTHER_FORMAT] == [problem.kind for problem in sample.problems]
    with pytest.raises(SampleError, match="held"):
        sample_of(image).measured()
    sample = sample_of(image, keeps_broken=True)
    assert (0, 0) == sample.measured()
    assert [Kind.BAD_IMAGE, Kind.OTHER_FORMAT] == [problem.kind for problem in sample.problems]


def test_annotation() -> None:
    """It is given to whoever reads it; without one there is nothing."""
    assert b"xml" == sample_of(b"", Held(b"xml")).annotated(lambda _, data: data)
    assert sample_of(b"").annotated(lambda _, data: data) is None


def test_broken_annotation() -> None:
    """It is an error, or counts as none and is noted; one that is too large is not even read."""
    with pytest.raises(SampleError):
        sample_of(b"", Held(b"xml")).annotated(broken)
    sample = sample_of(b"", Held(b"xml"), keeps_broken=True)
    assert sample.annotated(broken) is None
    assert (Problem(Kind.BAD_ANNOTATION, "held", "k", "it is broken", kept=True),) == sample.problems
    large = Held(b"", SIZE_LIMIT_BYTES + 1)
    sample = sample_of(b"", large, keeps_broken=True)
    assert sample.annotated(lambda _, data: data) is None
    assert not large.is_read


def test_annotation_that_cannot_be_read() -> None:
    """It is an error, even where broken samples are kept."""

    def unreadable(*_: object) -> None:
        raise SampleError(Kind.UNREADABLE, "held", "Input/output error")

    with pytest.raises(SampleError, match="held"):
        sample_of(b"", Held(b"xml"), keeps_broken=True).annotated(unreadable)
