"""Classes: a class list, such as a devkit's meta.mat or Kaggle's LOC_synset_mapping.txt, becomes labels and names.

A small file goes in, and Synsets sorted by WordNet ID come out. A list that is damaged or ambiguous is a SourceError
that names the file and the row. Lists of other projects are parsed by foreign_lists. Where there is no list, the table
in this package has the IDs and words of the 1,000 classes. Only this module imports scipy, and only when a meta.mat is
read, because the import takes longer than many a whole run.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable
from importlib import resources
from itertools import pairwise
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.imagenet.foreign_lists import (
    is_from_torch,
    rows_from_json,
    rows_from_python,
    rows_from_torch,
)
from parallel_sharder.sources.imagenet.names import WNID
from parallel_sharder.sources.small_files import SmallFile, decode_text, read_content
from parallel_sharder.text import counted

META_TAKES = (
    "--meta takes the devkit's meta.mat or its archive; a text with a WordNet ID and its words on each line, such as "
    "LOC_synset_mapping.txt; torchvision's meta.bin; the Hugging Face hub's classes.py; or imagenet_class_index.json."
)

_ROW = re.compile(r"""("?)(?P<wnid>n[0-9]{8})\1(?:(?P<between>\s*[,;]\s*|\s+)(?P<words>.*))?""")
_QUOTED = re.compile(r'"(?P<words>(?:[^"]|"")*)"')
_NUMBER = re.compile(r"[0-9]+(?:\s+|$)")
"""The number before the words in map_clsloc.txt of later devkits, which need not be the ILSVRC2012_ID."""


class ListedClass(NamedTuple):
    """One class as its list has it; `ilsvrc_id` is None if neither the list nor our table has one."""

    wnid: str
    name: str
    ilsvrc_id: int | None


class Synset(NamedTuple):
    """One class of ImageNet; `label` is its label in the order that the user has chosen."""

    label: int
    wnid: str
    name: str
    ilsvrc_id: int | None

    @property
    def image_class(self) -> ImageClass:
        """The class without what only ImageNet has, for the Listing."""
        return ImageClass(self.label, self.name, self.wnid)


class PackageTable:
    """The 1,000 classes of ILSVRC2012 as this package has them: their ILSVRC2012_IDs, wnids and words.

    Source: meta.mat of ILSVRC2012_devkit_t12, rows without children. Line i of each file is of the class with ID i.
    """

    def __str__(self) -> str:
        return "the table in this package"


PACKAGE_TABLE = PackageTable()

ClassList = SmallFile | PackageTable


def read_classes(path: ClassList, labels: str) -> tuple[Synset, ...]:
    """Return the classes that `path` lists, sorted by wnid and labelled in the order `labels` (one of options.LABELS).

    A file is one of those in META_TAKES. Raises SourceError, which names the file and the row, if it is not.
    """
    synsets = sorted(_synsets(path))
    wnids = [synset.wnid for synset in synsets]
    for wnid in wnids:
        if not WNID.fullmatch(wnid):
            raise SourceError(f"{path}: {wnid[:60]!r} is not a WordNet ID (n and eight digits). {META_TAKES}")
    for synset in synsets:
        if re.search("[\ud800-\udfff]", synset.name):
            raise SourceError(f"{path}: the words of {synset.wnid}, {synset.name!r}, are no text. Mend its line.")
    if not wnids:
        raise SourceError(f"{path} lists 0 classes. {META_TAKES}")
    if len(set(wnids)) < len(wnids):
        twice = next(wnid for wnid, other in pairwise(wnids) if wnid == other)
        raise SourceError(
            f"{path}: {counted(len(wnids), 'class', 'classes')} with {counted(len(set(wnids)), 'different wnid')}; "
            f"each must be listed once, and {twice} is listed again. Remove all but one of its lines."
        )
    if labels == "sorted":
        return tuple(Synset(label, *synset) for label, synset in enumerate(synsets))
    return tuple(Synset(_id(synset, path), *synset) for synset in synsets)


@functools.cache
def ilsvrc_ids() -> dict[str, int]:
    """Return the ILSVRC2012_ID of each of the 1,000 wnids, which Kaggle's files do not have (see PackageTable)."""
    return {wnid: number for number, wnid in enumerate(_lines("ilsvrc2012_wnids.txt"), 1)}


def _lines(name: str) -> list[str]:
    return resources.files("parallel_sharder.sources.imagenet").joinpath(name).read_text("ascii").splitlines()


def _id(synset: ListedClass, path: ClassList) -> int:
    if synset.ilsvrc_id is None:
        raise SourceError(
            f"{path}: {synset.wnid} is not one of the 1,000 classes of ILSVRC2012 and has no devkit label. "
            f"Use --labels sorted, or name a meta.mat with --meta."
        )
    return synset.ilsvrc_id


def _synsets(path: ClassList) -> list[ListedClass]:
    """Return the classes that `path` lists. A file's name, or its first bytes, decide how it is parsed."""
    if isinstance(path, PackageTable):
        return _with_ids(zip(ilsvrc_ids(), _lines("ilsvrc2012_words.txt"), strict=True))
    content = read_content(path)
    if path.suffix == ".mat" or content.startswith(b"MATLAB"):
        return _from_mat(content, path)
    try:
        if is_from_torch(content):
            return _with_ids(rows_from_torch(content))
        text = decode_text(content, path)
        if text.lstrip().startswith(("{", "[")):
            return _with_ids(rows_from_json(text))
        if path.suffix == ".py":
            return _with_ids(rows_from_python(text))
        return _with_ids(_rows_from_text(text))
    except ValueError as error:
        raise SourceError(f"{path} is not a class list: {error}. {META_TAKES}") from error


def _with_ids(names: Iterable[tuple[str, str]]) -> list[ListedClass]:
    return [ListedClass(wnid, words, ilsvrc_ids().get(wnid)) for wnid, words in names]


def _from_mat(content: bytes, path: SmallFile) -> list[ListedClass]:
    import scipy.io

    try:
        rows = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True)["synsets"].reshape(-1)
        synsets = [
            ListedClass(str(row["WNID"]), str(row["words"]), int(row["ILSVRC2012_ID"]))
            for row in rows
            if row["num_children"] == 0  # rows with children are inner nodes of the hierarchy, which have no images
        ]
    except Exception as error:  # on foreign bytes loadmat raises half a dozen kinds of errors
        is_other = isinstance(error, KeyError) and error.args == ("synsets",)
        why = "it has no array of that name" if is_other else "it is damaged, or is another file"
        raise SourceError(
            f"{path} is not the devkit's meta.mat (an array 'synsets' with ILSVRC2012_ID, WNID, words, num_children): "
            f"{why}. Unpack ILSVRC2012_devkit_t12.tar.gz again, or name the right file with --meta."
        ) from error
    labels = [synset.ilsvrc_id for synset in synsets]
    if len(set(labels)) < len(labels):
        raise SourceError(f"{path}: two classes have the same ILSVRC2012_ID. {META_TAKES}")
    return synsets


def _rows_from_text(text: str) -> list[tuple[str, str]]:
    """Return the wnid and the words of each line; the wnid stands for the words of a line that has none.

    Spaces, a tab, a comma or a semicolon separate the two. Blank lines, and lines that begin with #, are passed over.
    Raises ValueError for any other line.
    """
    rows = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        match = _ROW.fullmatch(line)
        if match is None:
            first = re.split(r"[\s,;]", line)[0][:60]
            raise ValueError(f"line {number} is {line[:60]!r}: {first!r} is not a WordNet ID (n and eight digits)")
        rows.append((match["wnid"], _words(match, number) or match["wnid"]))
    if len(rows) > 1 and all(_NUMBER.match(words) for _, words in rows):
        return [(wnid, _NUMBER.sub("", words, count=1) or wnid) for wnid, words in rows]
    return rows


def _words(row: re.Match[str], number: int) -> str:
    """Return the words in a row. Behind a comma, semicolon or tab they may be quoted as in CSV."""
    words = row["words"] or ""
    if not words.startswith('"') or row["between"].strip(" ") == "":
        return words
    quoted = _QUOTED.fullmatch(words)
    if quoted is None:
        raise ValueError(f"line {number} has more than a WordNet ID and its words")
    return quoted["words"].replace('""', '"')
