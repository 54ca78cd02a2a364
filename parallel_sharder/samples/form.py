"""The form's interface: which fields the samples of a set have, and how their contents are made.

Each form is one file of this folder; the table of forms is in forms.py. The plan asks a form for `fields`, and each
field for its largest size. A worker asks for an `encoder`, and the encoder for the contents of each sample. The card
asks for words, and for the types that the Hub wants. This module reads no annotation and no image.
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
    """One field of a form's samples; each sample has one member for it in the tar, `<key>.<name>`.

    Its content has at most `class_bytes(image_class, key_bytes)` bytes, and `times` bytes more for each byte of the
    sample's file for `role`. A file of more than `largest_bytes` is not stored. `is_exact` says that the content always
    has this many bytes; the sizes of the other fields are kept in the shard's record.
    """

    name: str
    class_bytes: Callable[[ImageClass | None, int], int]
    role: Role | None = None
    times: int = 0
    largest_bytes: int = SIZE_LIMIT_BYTES
    is_exact: bool = False


def label_text(image_class: ImageClass) -> bytes:
    """Return the content of `<key>.cls`."""
    return b"%d" % image_class.label


def _label_bytes(image_class: ImageClass | None, _: int) -> int:
    return 0 if image_class is None else len(label_text(image_class))


def _nothing(_: ImageClass | None, __: int) -> int:
    return 0


LABEL = Field("cls", _label_bytes, is_exact=True)
IMAGE = Field("jpg", _nothing, Role.IMAGE, times=1, is_exact=True)


class Encoded(NamedTuple):
    """One sample as its form stores it.

    `contents` has the content of each field behind the image, in order. `odd` lists what is doubtful in the annotation
    but no fault. `mended` has the counts that mended.MENDS names for the form.
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
    """The part of a form that a worker has: it makes the contents of samples."""

    def encode(self, sample: Sample, /) -> Encoded:
        """Return what is stored of the sample. Raises SampleError if it is not to be stored."""


class JsonField(NamedTuple):
    """A field of a sample's JSON, as people and the Hub need it. `of_a_class`: sets without classes lack it."""

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
        """The fields of the JSON, in order, if all samples have the same fields; otherwise empty."""

    @property
    def has_boxes(self) -> bool:
        """Whether detectors can be trained on the samples."""

    @property
    def datasets_version(self) -> str:
        """The first version of the library `datasets` that reads the JSON; "" if every published version does."""

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """Return the fields of a sample in a set with classes, or in one without, in the tar's order."""

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """Return the type of the JSON, as the Hub writes it."""

    def encoder(self, classes: Sequence[ImageClass]) -> Encoder:
        """Return the encoder for the samples of a set with these classes."""
