"""Options and kinds of data sets: which options are for which data sets, and what is said of one that does not fit.

What the data set is, a Source says before anything is read. An option that would be without effect is refused, with the
layouts that it is for. This module knows no disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_sharder.model import Role, SetKind
from parallel_sharder.samples.image_fields import FIELDS

if TYPE_CHECKING:
    from parallel_sharder.options import Options

IMAGENET, FOLDERS, TABLE, SHARDS = "ImageNet", "class folders", "tables", "shards"
_NAMES = {"": IMAGENET, "folders": FOLDERS, "table": TABLE, "shards": SHARDS}
_FOUND = {IMAGENET: "ImageNet", FOLDERS: "class folders", TABLE: "a table", SHARDS: "shards"}

_NUMBERED = "leave it out: classes are numbered from 0, sorted by name, or as --meta lists them"
_LABELS = {FOLDERS: _NUMBERED, TABLE: _NUMBERED, SHARDS: "leave it out: samples keep their labels"}
"""What is said of --labels devkit, which numbers ImageNet's classes alone."""

_TAKEN = frozenset(Role)
"""Roles that a listing's parts have already: a file that is joined has its field's name as its role."""

_FIELD = re.compile("[a-z0-9]{1,19}")


class _Fit(NamedTuple):
    """An option by the name of its field, and the kinds of data sets that it is for."""

    field: str
    kinds: tuple[str, ...]


_FITS = (
    _Fit("annotations", (IMAGENET,)),
    _Fit("xml_root", (IMAGENET,)),
    _Fit("check_archives", (IMAGENET,)),
    _Fit("labels", (IMAGENET,)),
    _Fit("meta", (IMAGENET, FOLDERS, TABLE)),
    _Fit("with_", (FOLDERS,)),
    _Fit("image_field", (FOLDERS, TABLE)),
    _Fit("table", (TABLE,)),
    _Fit("image", (TABLE,)),
    _Fit("label", (TABLE,)),
    _Fit("caption", (TABLE,)),
    _Fit("key", (TABLE,)),
    _Fit("columns", (TABLE,)),
    _Fit("keep", (SHARDS,)),
    _Fit("drop", (SHARDS,)),
    _Fit("where", (SHARDS,)),
    _Fit("rename_keys", (SHARDS,)),
    _Fit("on_duplicate", (SHARDS,)),
    _Fit("apart", (SHARDS,)),
)


def unfit_for(options: Options, kind: SetKind) -> list[str]:
    """Return complaints about options that are given and are not for such a data set."""
    its_name = _NAMES[kind.form]
    found = f"{', '.join(options.roots)} was found as {_FOUND[its_name]}"
    complaints = [
        f"{_typed(fit.field, getattr(options, fit.field))} is for {' and '.join(fit.kinds)}, and {found}; "
        + ("leave it out, or choose another --layout" if fit.field != "labels" else _LABELS[its_name])
        for fit in _FITS
        if _is_given(getattr(options, fit.field)) and its_name not in fit.kinds
        if fit.field != "labels" or options.labels != "sorted" or its_name == SHARDS  # the others are sorted anyway
    ]
    if kind.split is None and options.split is not None:
        complaints.append(f"--split {options.split}: {found}, without splits; leave --split out")
    if kind.split is None and "{split}" in str(options.dest):
        complaints.append(f"--dest {options.dest}: {found}, without splits; leave {{split}} out")
    if len(options.roots) > 1 and its_name != SHARDS:
        complaints.append(f"--root is given {len(options.roots)} times, which is for shards, and {found}; name one")
    return complaints


def complaints_about_fields(options: Options) -> list[str]:
    """Return complaints about the names of fields in --with and --image-field."""
    complaints = []
    for name in options.with_:
        if f".{name}" in FIELDS:
            complaints.append(f"--with {name}: files that end so are images, and each image is a sample of its own")
        elif name in _TAKEN:
            complaints.append(f"--with {name}: this tool has that name for a part of its own; rename these files")
        elif not isinstance(name, str) or not _FIELD.fullmatch(name) or name == "cls":
            complaints.append(
                f"--with {name}: a field's name has 1 to 19 letters and digits, and is not cls, which is the label"
            )
    images = options.image_field
    if images is not None and (
        not isinstance(images, str) or not _FIELD.fullmatch(images) or images in ("cls", "json")
    ):
        complaints.append(
            f"--image-field {images}: a field's name has 1 to 19 small letters and digits, and is not cls or json"
        )
    elif images in options.with_:
        complaints.append(f"--image-field {images} is a field of --with too; no field can be in a sample twice")
    return complaints


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != ()


def _typed(field: str, value: Any) -> str:
    option = f"--{field.rstrip('_').replace('_', '-')}"
    if value is True:
        return option
    return f"{option} {','.join(value) if isinstance(value, tuple) else value}"
