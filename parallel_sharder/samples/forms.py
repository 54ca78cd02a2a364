"""The table of forms: each Form by the name that `--annotations` and a manifest have for it.

A new form is one more file in this folder, and one more entry here and in options.ANNOTATIONS. A module
that needs a form looks it up in FORMS and asks it, and does not compare its name. `verify` has a table of its own.
"""

from __future__ import annotations

from parallel_sharder.samples.boxes import BoxesForm
from parallel_sharder.samples.form import Form
from parallel_sharder.samples.none import NoneForm
from parallel_sharder.samples.original import OriginalForm

FORMS: dict[str, Form] = {"original": OriginalForm(), "boxes": BoxesForm(), "none": NoneForm()}

LABELLED_FIELDS = frozenset(tuple(field.name for field in form.fields(has_classes=True)) for form in FORMS.values())
"""For each form the names of the fields of a sample with a class, in the tar's order."""
