"""The forms, by the names that `--annotations` and a manifest have for them."""

from __future__ import annotations

from parallel_sharder.samples.boxes import BoxesForm
from parallel_sharder.samples.form import Form
from parallel_sharder.samples.none import NoneForm
from parallel_sharder.samples.original import OriginalForm

FORMS: dict[str, Form] = {"original": OriginalForm(), "boxes": BoxesForm(), "none": NoneForm()}

LABELLED_FIELDS = frozenset(tuple(field.name for field in form.fields(has_classes=True)) for form in FORMS.values())
"""The names of the fields that samples with a class have, in any form."""
