"""The class list: a devkit's meta.mat or Kaggle's LOC_synset_mapping.txt to labels and names.

Only here scipy is imported, and only when a meta.mat is read: importing it takes longer than many a whole run.
"""

from __future__ import annotations

import functools
import io
from importlib import resources
from typing import NamedTuple, Protocol

from parallel_sharder.errors import SourceError
from parallel_sharder.model import WNID, ImageClass

LABEL_ORDERS = ("devkit", "sorted")
"""devkit: the ILSVRC2012_ID, from 1. sorted: the position of the wnid in sorted order, from 0 (torchvision, timm)."""


class SmallFile(Protocol):
    """A file, or one in an archive."""

    @property
    def suffix(self) -> str:
        """As a Path's."""

    def read_bytes(self) -> bytes:
        """The content."""


class Synset(NamedTuple):
    """One class as its list gives it; `ilsvrc_id` is None where neither the list nor our table knows one."""

    wnid: str
    name: str
    ilsvrc_id: int | None


def read_classes(path: SmallFile, labels: str) -> tuple[ImageClass, ...]:
    """The classes that `path` lists, sorted by wnid, labelled in the order `labels` (one of LABEL_ORDERS).

    `path` is a meta.mat or a text file of `wnid words` lines. Raises SourceError, naming file and row, if it is not.
    """
    synsets = sorted(_read_mat(path) if path.suffix == ".mat" else _read_mapping(path))
    wnids = [synset.wnid for synset in synsets]
    for wnid in wnids:
        if not WNID.fullmatch(wnid):
            raise SourceError(f"{path}: {wnid!r} is not a WordNet ID (n and eight digits)")
    if len(set(wnids)) < len(wnids) or not wnids:
        raise SourceError(
            f"{path}: {len(wnids)} classes with {len(set(wnids))} different wnids; each must be there once"
        )
    if labels == "sorted":
        return tuple(ImageClass(label, *synset) for label, synset in enumerate(synsets))
    return tuple(ImageClass(_id(synset, path), *synset) for synset in synsets)


@functools.cache
def ilsvrc_ids() -> dict[str, int]:
    """The ILSVRC2012_ID of each of the 1,000 wnids, which Kaggle's files do not tell.

    Source: meta.mat of ILSVRC2012_devkit_t12, rows without children. The table's line i is the wnid of ID i.
    """
    table = resources.files("parallel_sharder").joinpath("ilsvrc2012_wnids.txt").read_text("ascii")
    return {wnid: number for number, wnid in enumerate(table.split(), 1)}


def _id(synset: Synset, path: SmallFile) -> int:
    if synset.ilsvrc_id is None:
        raise SourceError(
            f"{path}: {synset.wnid} is not one of the 1,000 classes of ILSVRC2012 and has no devkit label. "
            f"Use --labels sorted, or name a meta.mat with --meta."
        )
    return synset.ilsvrc_id


def _read_mat(path: SmallFile) -> list[Synset]:
    import scipy.io

    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        rows = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True)["synsets"].reshape(-1)
        synsets = [
            Synset(str(row["WNID"]), str(row["words"]), int(row["ILSVRC2012_ID"]))
            for row in rows
            if row["num_children"] == 0  # the others are inner nodes of the hierarchy, without images
        ]
    except Exception as error:  # loadmat raises half a dozen kinds on foreign bytes
        raise SourceError(
            f"{path} is not the devkit's meta.mat (an array 'synsets' with ILSVRC2012_ID, WNID, words, num_children): "
            f"{error!r}. Unpack ILSVRC2012_devkit_t12.tar.gz again, or name the right file with --meta."
        ) from error
    labels = [synset.ilsvrc_id for synset in synsets]
    if len(set(labels)) < len(labels):
        raise SourceError(f"{path}: the same ILSVRC2012_ID stands at two classes")
    return synsets


def _read_mapping(path: SmallFile) -> list[Synset]:
    try:
        lines = path.read_bytes().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as text: {error}") from error
    synsets = []
    for number, line in enumerate(lines, 1):
        wnid, space, name = line.strip().partition(" ")
        if not space:
            raise SourceError(f"{path}: line {number} is {line!r}, not a wnid, a space and the class's words")
        synsets.append(Synset(wnid, name, ilsvrc_ids().get(wnid)))
    return synsets
