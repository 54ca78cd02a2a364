"""The form `original`: the JSON is the annotation as xmltodict returns it, followed by the class.

The reference script writes the same JSON. The JSON of a sample without annotation has the class alone. An annotation of
a known shape (see shapes.py) is filled into its template without being parsed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass, Role
from parallel_sharder.samples import annotation
from parallel_sharder.samples.annotated import AnnotatedForm
from parallel_sharder.samples.form import IMAGE, LABEL, ByClass, Encoded, Field, JsonField
from parallel_sharder.samples.none import plain_json, plain_json_bytes
from parallel_sharder.samples.sample import Sample
from parallel_sharder.samples.shapes import KNOWN_SHAPES


def json_end(image_class: ImageClass | None) -> bytes:
    """Return what follows the annotation in the JSON of a sample of this class, without the last brace."""
    return b"" if image_class is None else b", " + plain_json(image_class)[1:-1]


def annotated_json(document: dict[str, Any], image_class: ImageClass | None) -> bytes:
    """Return the JSON of a sample with this annotation; change `document`. Raises RecursionError for deep nesting."""
    if image_class is not None:
        document["cls"] = image_class.label
        document["cname"] = image_class.name
    return json.dumps(document).encode("ascii")


class OriginalForm(AnnotatedForm):
    """The Form by the name `original`."""

    meaning = "the annotation as `xmltodict` gives it, where there is one, with `cls` and `cname`"
    json_fields: Sequence[JsonField] = ()
    has_boxes = False
    datasets_version = "4.7.0"

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """As AnnotatedForm says."""
        times, largest = annotation.JSON_BYTES_PER_XML_BYTE, annotation.SIZE_LIMIT_BYTES
        json_field = Field("json", plain_json_bytes, Role.ANNOTATION, times, largest)
        return (LABEL, IMAGE, json_field) if has_classes else (IMAGE, json_field)

    def hub_type(self, has_classes: bool) -> dict[str, Any]:
        """As form.Form says."""
        del has_classes
        return {"dtype": "json"}

    def encoder(self, classes: Sequence[ImageClass]) -> _Encoder:
        """As AnnotatedForm says."""
        return _Encoder(classes)


class _Encoder:
    def __init__(self, classes: Sequence[ImageClass]) -> None:
        self._classes = (*classes, None)
        self._plain = ByClass(lambda each: Encoded((plain_json(each),)), classes)
        self._ends = ByClass(json_end, classes)

    def encode(self, sample: Sample) -> Encoded:
        if sample.xml is None:
            return self._plain[sample.class_index]
        return sample.annotated(self._annotated) or self._plain[sample.class_index]

    def _annotated(self, sample: Sample, xml: bytes) -> Encoded:
        filled = KNOWN_SHAPES.fill(xml, sample.key, self._ends[sample.class_index])
        if filled is not None:
            return Encoded((filled,))
        document = annotation.parse(xml, sample.xml_path)
        odd = tuple(annotation.oddities(document, sample.key))
        try:
            return Encoded((annotated_json(document, self._classes[sample.class_index]),), odd)
        except RecursionError as error:
            raise SampleError(Kind.BAD_ANNOTATION, sample.xml_path, "its elements are nested too deeply") from error
