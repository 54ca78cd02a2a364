"""The forms: one for each choice, one file each, with what the plan, the worker and the card ask of them."""

from __future__ import annotations

import pytest

from parallel_sharder import options
from parallel_sharder.model import ImageClass, Role
from parallel_sharder.samples.forms import ANNOTATED, FORMS
from parallel_sharder.samples.sample import Sample
from tests.test_samples_sample import Held

CRANE = ImageClass(429, "crane", "n02012849")


def test_forms_are_the_choices() -> None:
    """The names of options are those of the tables, and each form of ImageNet is in the file with its name."""
    assert set(options.ANNOTATIONS) == set(ANNOTATED)
    assert {*options.ANNOTATIONS, *options.OTHER_FORMS} == set(FORMS)
    files = [type(form).__module__ for form in ANNOTATED.values()]
    assert [f"parallel_sharder.samples.{name}" for name in ANNOTATED] == files
    assert set(ANNOTATED) > options.WITHOUT_ANNOTATIONS


@pytest.mark.parametrize("name", ANNOTATED)
def test_fields(name: str) -> None:
    """Label, image and JSON, in this order; without classes there is no label. Only the JSON's size is not exact."""
    for has_classes, expected in ((True, ("cls", "jpg", "json")), (False, ("jpg", "json"))):
        fields = ANNOTATED[name].fields(has_classes)
        assert expected == tuple(field.name for field in fields)
        assert [True] * (len(fields) - 1) + [False] == [field.is_exact for field in fields]


@pytest.mark.parametrize("name", ANNOTATED)
def test_annotations_are_read_or_not(name: str) -> None:
    """A form for which none is read does not count with them, and does not look at them."""
    xml = Held(b"<annotation><a>b</a></annotation>")
    sample = Sample("k", ".JPEG", 0, Held(bytes(4)), xml, True)
    sample.image_room = memoryview(bytearray(4))
    ANNOTATED[name].encoder([CRANE]).encode(sample)
    is_read = name not in options.WITHOUT_ANNOTATIONS
    assert is_read == xml.is_read
    assert is_read == (Role.ANNOTATION in [field.role for field in ANNOTATED[name].fields(has_classes=True)])


@pytest.mark.parametrize("name", ["original", "none"])
def test_sample_without_annotation(name: str) -> None:
    """The JSON holds label and words alone; without a class it is an empty object. The image is not needed for it."""
    encoder = ANNOTATED[name].encoder([CRANE])
    assert (b'{"cls": 429, "cname": "crane"}',) == encoder.encode(_bare(0)).contents
    assert (b"{}",) == encoder.encode(_bare(-1)).contents


def _bare(class_index: int) -> Sample:
    return Sample("k", ".JPEG", class_index, Held(b""), None, False)
