"""The table of forms: each Form by its name, which a manifest has too.

ImageNet's forms are those that `--annotations` names; other sets have one form each. A module that needs a form looks
it up in FORMS and asks it, and does not compare its name. `verify` has a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from parallel_sharder.samples.annotated import AnnotatedForm
from parallel_sharder.samples.boxes import BoxesForm
from parallel_sharder.samples.files import FilesForm
from parallel_sharder.samples.form import Form
from parallel_sharder.samples.none import NoneForm
from parallel_sharder.samples.original import OriginalForm
from parallel_sharder.samples.stretches import StretchesForm

ANNOTATED: dict[str, AnnotatedForm] = {"original": OriginalForm(), "boxes": BoxesForm(), "none": NoneForm()}
"""The forms of ImageNet."""

FORMS: Mapping[str, Form] = {
    **dict[str, Form](ANNOTATED),
    "folders": FilesForm("label, name of the class, and the name of the file"),
    "table": FilesForm("label, name of the class, the name of the file, and the columns of its row"),
    "shards": StretchesForm(),
}
