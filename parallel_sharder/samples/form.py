"""The form's interface: which members the samples of a set have, how large they can be, and how they are stored.

The table of forms is in forms.py. The plan asks a form for `sample_bytes`. A worker asks for its `storing`, which turns
a chunk into samples and stores each. The card asks for words, and for the types that the Hub wants. ImageNet's forms
are AnnotatedForms (see annotated.py): they differ only in their JSON. This module reads no annotation and no image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Chunk, ImageClass, Job, Listing, Problem, Role
from parallel_sharder.stores.blob import Blob
from parallel_sharder.tar.ustar import SIZE_LIMIT_BYTES

if TYPE_CHECKING:
    from parallel_sharder.columns import Int64s
    from parallel_sharder.tar.writer import ShardFile

T = TypeVar("T")


class Field(NamedTuple):
    """One field of an annotated form's samples; each sample has one member for it in the tar, `<key>.<name>`.

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


class StoredSample(Protocol):
    """One row of a Chunk while a worker stores it."""

    key: str
    problems: tuple[Problem, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The sample's blobs in the order in which they are read."""

    def problem(self, error: SampleError) -> Problem:
        """Return the error as a problem of this sample."""


S = TypeVar("S", bound=StoredSample)


class Storing(Protocol[S]):
    """The part of a form that a worker has: it stores the samples of a job's chunks."""

    def samples(self, chunk: Chunk) -> Iterator[S]:
        """Yield the chunk's samples, in order."""

    def store(self, sample: S, shard: ShardFile) -> Encoded:
        """Store the sample as the shard's next one, and return its encoded form. Raises SampleError if it cannot be."""


def keys_of(chunk: Chunk) -> Iterator[str]:
    """Yield the keys of the chunk's samples, in order."""
    packed, width = chunk.keys, chunk.key_width
    return (packed[start : start + width].rstrip(b"\0").decode("ascii") for start in range(0, len(packed), width))


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

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """Return the type of the JSON, as the Hub writes it."""

    def sample_bytes(self, listing: Listing) -> Int64s:
        """Return for each row of the Listing the most bytes of its members in a tar, headers and padding included.

        Raises PlanError for a file that is too large for any tar header.
        """

    def fields_of(self, listing: Listing, image_field: str | None) -> tuple[tuple[str, bool], ...]:
        """Return the fields of the samples in a Listing, in the tar's order, each with whether all samples have it.

        `image_field` is Options.image_field.
        """

    def storing(self, job: Job, key_bytes: int) -> Storing[Any]:
        """Return what stores samples whose keys have at most `key_bytes`."""
