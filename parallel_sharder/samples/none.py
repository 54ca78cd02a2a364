"""The form `none`: the JSON has the class and nothing else.

Annotations are not read. The JSON is the same for all samples of a class, and is encoded once for each class.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from parallel_sharder.model import ImageClass
from parallel_sharder.samples.annotated import AnnotatedForm
from parallel_sharder.samples.form import IMAGE, LABEL, ByClass, Encoded, Field, JsonField
from parallel_sharder.samples.sample import Sample


@functools.cache
def plain_json(image_class: ImageClass | None) -> bytes:
    """Return the JSON of a sample of this class without annotation."""
    content = {} if image_class is None else {"cls": image_class.label, "cname": image_class.name}
    return json.dumps(content).encode("ascii")


def plain_json_bytes(image_class: ImageClass | None, _: int) -> int:
    """Return the size of this JSON, which is the same for keys of any length."""
    return len(plain_json(image_class))


class NoneForm(AnnotatedForm):
    """The Form by the name `none`."""

    meaning = "`cls` and `cname`"
    json_fields: Sequence[JsonField] = ()
    has_boxes = False
    datasets_version = ""

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """As AnnotatedForm says."""
        json_field = Field("json", plain_json_bytes)
        return (LABEL, IMAGE, json_field) if has_classes else (IMAGE, json_field)

    def hub_type(self, has_classes: bool) -> dict[str, Any]:
        """As form.Form says."""
        if not has_classes:
            return {"dtype": "json"}
        return {"struct": [{"name": "cls", "dtype": "int64"}, {"name": "cname", "dtype": "string"}]}

    def encoder(self, classes: Sequence[ImageClass]) -> _Encoder:
        """As AnnotatedForm says."""
        return _Encoder(classes)


class _Encoder:
    def __init__(self, classes: Sequence[ImageClass]) -> None:
        self._of_class = ByClass(lambda each: Encoded((plain_json(each),)), classes)

    def encode(self, sample: Sample) -> Encoded:
        return self._of_class[sample.class_index]
