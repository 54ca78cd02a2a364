"""A form: which members a sample of a set has, and how they are made. Each answer to it is one file of this folder.

The plan asks a form for `fields`, of which each says how many bytes it can have at most. A worker asks for an
`encoder`, and this for what it makes of each sample. The card asks for words and for the types that the Hub wants. No
other module knows one form from another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass, Role
from parallel_sharder.samples.sample import Sample
from parallel_sharder.tar.ustar import SIZE_LIMIT_BYTES

T = TypeVar("T")


class Field(NamedTuple):
    """One field of a form's samples, and so one member of each in the tar: `<key>.<name>`.

    Its content has at most `class_bytes(image_class, key_bytes)` bytes, and `times` as many more as the sample's file
    for `role` has. A file above `largest_bytes` is not stored. `is_exact` says that the content has just as many bytes;
    the sizes of other fields are recorded.
    """

    name: str
    class_bytes: Callable[[ImageClass | None, int], int]
    role: Role | None = None
    times: int = 0
    largest_bytes: int = SIZE_LIMIT_BYTES
    is_exact: bool = False


def label_text(image_class: ImageClass) -> bytes:
    """The content of `<key>.cls`."""
    return b"%d" % image_class.label


def _label_bytes(image_class: ImageClass | None, _: int) -> int:
    return 0 if image_class is None else len(label_text(image_class))


def _nothing(_: ImageClass | None, __: int) -> int:
    return 0


LABEL = Field("cls", _label_bytes, is_exact=True)
IMAGE = Field("jpg", _nothing, Role.IMAGE, times=1, is_exact=True)


class Encoded(NamedTuple):
    """What a form makes of one sample.

    `contents` are those of the fields behind the image, in order. `odd` is what is worth knowing about the annotation,
    and no fault. `mended` are the form's counts, see mended.MENDS.
    """

    contents: tuple[bytes, ...]
    odd: tuple[tuple[Kind, str], ...] = ()
    mended: tuple[int, ...] = ()


class ByClass(dict[int, T]):
    """What a class's samples have in common, by the class's index (-1 for none).

    Each value is made when it is first asked for: a worker that starts does not wait for thousands of classes.
    """

    def __init__(self, make: Callable[[ImageClass | None], T], classes: Sequence[ImageClass]) -> None:
        super().__init__()
        self._make = make
        self._classes = (*classes, None)

    def __missing__(self, class_index: int) -> T:
        made = self[class_index] = self._make(self._classes[class_index])
        return made


class Encoder(Protocol):
    """What makes the contents of samples, in a worker."""

    def encode(self, sample: Sample, /) -> Encoded:
        """What is stored of the sample. Raises SampleError if it is not to be stored."""


class JsonField(NamedTuple):
    """A field of a sample's JSON, for people and for the Hub: its name, its type and its meaning."""

    name: str
    type_name: str
    hub_type: dict[str, Any]
    meaning: str
    of_a_class: bool = False


class Form(Protocol):
    """How the samples of a set are stored."""

    @property
    def meaning(self) -> str:
        """What the JSON holds, for people."""

    @property
    def json_fields(self) -> Sequence[JsonField]:
        """The fields of the JSON, in order, where all samples have the same; else none."""

    @property
    def has_boxes(self) -> bool:
        """Whether detectors can be trained on the samples."""

    @property
    def datasets_version(self) -> str:
        """The first version of the library `datasets` that reads the JSON, "" if all do that can be had."""

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """The fields of a sample in a set with classes, or in one without, in the tar's order."""

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """The type of the JSON, as the Hub writes it."""

    def encoder(self, classes: Sequence[ImageClass]) -> Encoder:
        """What encodes the samples of a set with these classes."""
