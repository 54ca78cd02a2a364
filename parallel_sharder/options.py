"""Options: the choices of a conversion, of verify and of index; frozen, and validated when they are made.

All complaints are raised at once, in one OptionsError. This module does not look at the disk: whether paths exist, the
scan and the destination say.
"""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import numbers
import operator
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from parallel_sharder.errors import OptionsError
from parallel_sharder.pattern import ShardPattern, is_pattern

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Labels = Literal["devkit", "sorted"]
"""devkit: the ILSVRC2012_ID, from 1. sorted: the position of the wnid in sorted order, from 0 (torchvision, timm)."""
LABELS: tuple[Labels, ...] = get_args(Labels)

LayoutName = Literal["tree", "kaggle", "archives", "zip"]
"""tree: the official archives, unpacked; kaggle: Kaggle's zip, unpacked; archives, zip: the downloads themselves."""
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)

StartMethod = Literal["forkserver", "spawn", "fork"]
"""The start methods of multiprocessing; a system may lack some."""

Reader = Literal["wids", "dali", "energon", "timm", "openclip"]
"""The readers that indexes can be written for; see the package `indexes`."""
INDEXES: tuple[Reader, ...] = get_args(Reader)

SEEKING: tuple[Reader, ...] = ("dali", "energon")
"""The readers that seek in a shard, which is not possible in a compressed one."""

Annotations = Literal["original", "boxes", "none"]
"""The form of a sample's JSON. original: xmltodict's output, as the reference script stores it. boxes: one shape for
all samples, see samples.boxes. none: label and words alone; annotations are not read."""
ANNOTATIONS: tuple[Annotations, ...] = get_args(Annotations)
WITHOUT_ANNOTATIONS = frozenset({"none"})
"""The forms for which no annotation is read."""

OnBad = Literal["skip", "keep", "fail"]
"""What is done with broken samples. skip: they are left out and listed. keep: the image is stored as it is, and a
broken annotation counts as none. fail: the first one stops the run."""
ON_BAD: tuple[OnBad, ...] = get_args(OnBad)

DEFAULT_DEST = "imagenet_{split}-%06d.tar"
DEFAULT_MAXSIZE = 10**9
"""The reference script's. Larger shards shuffle worse and lose more to a broken transfer; smaller ones cost opens."""

SEED_LIMIT = 2**64
WORKERS_LIMIT = 10_000

_SIZE = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?(?:e\+?[0-9]{1,2})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to convert, to where, and how; see the README's table of options, which has the same names.

    `dest` is a pattern or a folder; a "~" that begins a path is the home folder. `workers` None means as many as the
    cores that this process may use; 0 means that this process does the work. `maxsize` is in bytes of the tar before
    compression, a number or text like "1GB" (see parse_size). `shuffle` False keeps the order of the keys. `layout`
    None has the layout found. `check_archives` compares the official archives with their published MD5 before anything
    is written. `start_method` None chooses a safe method. `overwrite` removes the shards that an earlier run has
    recorded, and starts anew; `check` reads them, and keeps only those that have the recorded digest. `index` names the
    readers that need an index, or is "all" or "none". The index of wids is the manifest, which is always written; `md5`
    adds each shard's MD5 to it. `card` asks for a dataset card, README.md, of all sets in the folder. Raises
    OptionsError, which holds every complaint.
    """

    root: str | Path = "."
    split: Split = "train"
    dest: str | Path = DEFAULT_DEST
    workers: int | None = None
    maxsize: int | float | str = DEFAULT_MAXSIZE
    maxcount: int | None = None
    shards: int | None = None
    seed: int = 0
    shuffle: bool = True
    labels: Labels = "devkit"
    annotations: Annotations = "original"
    on_bad: OnBad = "skip"
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: LayoutName | None = None
    check_archives: bool = False
    start_method: StartMethod | None = None
    overwrite: bool = False
    check: bool = False
    index: Reader | Literal["all", "none"] | Sequence[Reader | Literal["all", "none"]] = ("wids",)
    md5: bool = False
    card: bool = False

    _start: ClassVar[str] = ""
    """The folder that a relative `dest` starts from; "" is the current folder at the time of use."""

    def __post_init__(self) -> None:
        complaints = _expand(self, "root", "dest", "xml_root", "meta")
        _make_whole(self, "workers", "maxcount", "shards", "seed")
        try:
            size = whole_size(self.maxsize)
            object.__setattr__(self, "maxsize", size)
            complaints.append(_outside("--maxsize", size, 1, 2**60))
        except ValueError as error:
            complaints.append(f"--maxsize: {error}")
        object.__setattr__(self, "index", split_names(self.index))
        complaints += _not_flags(self, "shuffle", "check_archives", "overwrite", "check", "md5", "card")
        complaints += self._complaints()
        _refuse(complaints)

    @property
    def pattern(self) -> ShardPattern:
        """The parsed `dest`."""
        pattern = ShardPattern.parse(os.fspath(self.dest), self.split)
        return dataclasses.replace(pattern, folder=os.path.join(self._start, pattern.folder))

    def anchored(self) -> Options:
        """Return the same choices with a `dest` that stays the same place when the process changes its directory."""
        if os.path.isabs(self.pattern.folder):
            return self
        anchored = copy.copy(self)
        object.__setattr__(anchored, "_start", os.getcwd())
        return anchored

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers of INDEXES that `index` means."""
        return _readers(split_names(self.index))

    @property
    def choices(self) -> dict[str, Any]:
        """The choices that the bytes of the shards depend on, by name; a run is resumed only with the same ones."""
        return {
            "split": self.split,
            "labels": self.labels,
            "annotations": self.annotations,
            "seed": self.seed if self.shuffle else None,
            "maxsize": int(self.maxsize),
            "maxcount": self.maxcount,
            "shards": self.shards,
            "on_bad": self.on_bad,
        }

    def _complaints(self) -> list[str]:
        complaints = [
            _not_among("--split", self.split, SPLITS),
            _not_among("--labels", self.labels, LABELS),
            _not_among("--annotations", self.annotations, ANNOTATIONS),
            _not_among("--on-bad", self.on_bad, ON_BAD),
            _not_among("--layout", self.layout, (None, *LAYOUTS)),
            _not_among("--start-method", self.start_method, (None, *multiprocessing.get_all_start_methods())),
            _outside("--workers", self.workers, 0, WORKERS_LIMIT),
            _outside("--maxcount", self.maxcount, 1, None),
            _outside("--shards", self.shards, 1, None),
            _outside("--seed", self.seed, 0, SEED_LIMIT - 1),
            "--seed None is not a whole number" if self.seed is None else "",
        ]
        if self.seed and not self.shuffle:
            complaints.append(
                f"--seed {self.seed} is for the shuffle, and --no-shuffle turns that off; leave one of them out"
            )
        if self.check and self.overwrite:
            complaints.append("--check keeps what is whole, and --overwrite keeps nothing; leave one of them out")
        if self.annotations in WITHOUT_ANNOTATIONS and self.xml_root is not None:
            complaints.append("--xml-root names the annotations' folder, and --annotations none reads no annotations")
        index = split_names(self.index)
        complaints += _not_readers("--index", index, (*INDEXES, "all", "none"))
        if not is_path(self.dest) or not isinstance(self.split, str):
            return complaints
        try:
            compression = self.pattern.compression
        except ValueError as error:
            complaints.append(f"--dest: {error}")
        else:
            seeking = [name for name in self.readers if name in SEEKING]
            if compression != "none" and seeking:
                complaints.append(
                    f"--index {','.join(index)}: {' and '.join(seeking)} cannot seek in compressed shards, and an "
                    "index would make them read garbage. Name the others, or a --dest that ends in .tar"
                )
        return complaints


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """What to verify: `dest` is a folder of finished sets, a pattern of shards, or a manifest.

    With `source`, the raw data set's folder, the samples are compared with the source. `xml_root`, `meta`, `layout` and
    `workers` mean what they mean in Options. Raises OptionsError, which holds every complaint.
    """

    dest: str | Path
    source: str | Path | None = None
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: LayoutName | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        complaints = _expand(self, "dest", "source", "xml_root", "meta", dest="DEST")
        _make_whole(self, "workers")
        complaints.append(_outside("--workers", self.workers, 0, WORKERS_LIMIT))
        complaints.append(_not_a_pattern(self.dest))
        complaints.append(_not_among("--layout", self.layout, (None, *LAYOUTS)))
        for option, value in (("--xml-root", self.xml_root), ("--meta", self.meta), ("--layout", self.layout)):
            if value is not None and self.source is None:
                complaints.append(f"{option} is for a comparison with the source; name the source with --source")
        _refuse(complaints)


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """What to index: `dest` is a folder of shards, or a pattern; `readers` are some of INDEXES, or "all".

    `md5` adds the MD5 of each shard to the index for wids; for that, each shard is read in full. `workers` means what
    it means in Options. Raises OptionsError, which holds every complaint.
    """

    dest: str | Path
    readers: Reader | Literal["all"] | Sequence[Reader | Literal["all"]] = ("wids",)
    md5: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        complaints = _expand(self, "dest", dest="DEST")
        _make_whole(self, "workers")
        complaints.append(_outside("--workers", self.workers, 0, WORKERS_LIMIT))
        readers = split_names(self.readers)
        complaints += _not_readers("--for", readers, (*INDEXES, "all"))
        object.__setattr__(self, "readers", _readers(readers))
        complaints += _not_flags(self, "md5")
        if self.md5 and "wids" not in self.readers:
            complaints.append("--md5 is for the index of wids; add wids to --for")
        if "energon" in self.readers and is_path(self.dest) and is_pattern(os.fspath(self.dest)):
            complaints.append("energon's index is of all shards in a folder; name the folder as DEST, not a pattern")
        complaints.append(_not_a_pattern(self.dest))
        _refuse(complaints)


def parse_size(text: str) -> int:
    """Return the bytes that `1e9`, `500MB` (powers of 1,000) or `1GiB` (powers of 1,024) means.

    Raises ValueError for other text.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size; write bytes like 1000000000, 1e9, 500MB or 1GiB")
    number, unit, binary = match.groups()
    exponent = " kmgt".index(unit.lower() or " ")
    return int(Decimal(number) * (1024 if binary else 1000) ** exponent)


def _expand(options: Any, *fields: str, **names: str) -> list[str]:
    """Replace a "~" that begins one of these paths by the home folder, and return complaints about what is no path.

    `names` has what complaints call a field that does not have the name of its option.
    """
    complaints = []
    for field in fields:
        name, value = names.get(field, f"--{field.replace('_', '-')}"), getattr(options, field)
        if value is None and field not in ("root", "dest"):
            continue
        if not is_path(value):
            complaints.append(f"{name} {value!r} is not a path")
        elif not os.fspath(value):
            complaints.append(f"{name} is empty; name a path (this folder is .)")
        elif os.fspath(value).startswith("~"):
            object.__setattr__(options, field, os.path.expanduser(value))
        elif not isinstance(value, (str, Path)):
            object.__setattr__(options, field, os.fspath(value))
    return complaints


def _make_whole(options: Any, *fields: str) -> None:
    for field in fields:
        object.__setattr__(options, field, whole(getattr(options, field)))


def _not_flags(options: Any, *fields: str) -> list[str]:
    """Replace numpy's truth values in these fields by Python's, and return complaints about other values.

    The complaints name the fields, not options: the command line gives only truth values.
    """
    complaints = []
    for field in fields:
        value = getattr(options, field)
        if type(value).__name__ in ("bool", "bool_"):
            object.__setattr__(options, field, bool(value))
        else:
            complaints.append(f"{field} {value!r} is neither True nor False")
    return complaints


def is_path(value: Any) -> bool:
    """Return whether the value is text or a path-like object, and valid as a path on this system."""
    try:
        return isinstance(os.fspath(value), str) and b"\0" not in os.fsencode(value)
    except (TypeError, UnicodeEncodeError):
        return False


def _not_a_pattern(dest: str | Path) -> str:
    """Return the complaint about a `dest` that is meant as a pattern of shards and is not valid; else ""."""
    try:
        if is_path(dest) and is_pattern(os.fspath(dest)):
            ShardPattern.parse(os.fspath(dest))
    except ValueError as error:
        return f"DEST: {error}"
    return ""


def _refuse(complaints: Sequence[str]) -> None:
    """Raise OptionsError with the complaints that are not empty, if there are any."""
    if any(complaints):
        raise OptionsError([*filter(None, complaints)])


def whole_size(value: Any) -> Any:
    """Return the bytes that a number such as 1e9, or a text for parse_size, means; values of other types unchanged.

    Raises ValueError for other text.
    """
    if value is None or isinstance(value, str):
        return parse_size(str(value))
    is_fraction = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    return int(value) if is_fraction and float(value).is_integer() else whole(value)


def whole(value: Any) -> Any:
    """Return a whole number of any type, numpy's included, as an int; other values unchanged."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def _not_among(option: str, value: str | None, allowed: tuple[str | None, ...]) -> str:
    if value in allowed:
        return ""
    return f"{option} {value!r} is not one of {', '.join(filter(None, allowed))}"


def split_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once; text is split at its commas."""
    given = [*filter(None, names.split(","))] if isinstance(names, str) else names
    if not isinstance(given, Sequence):
        return (given,)
    return tuple(name for place, name in enumerate(given) if name not in given[:place])


def _not_readers(option: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> list[str]:
    if "none" in names and len(names) > 1:
        return [f"{option} {','.join(map(str, names))}: none cannot be combined with others"]
    return [_not_among(option, name, allowed) for name in names or ("",)]


def _readers(names: tuple[str, ...]) -> tuple[Reader, ...]:
    return INDEXES if "all" in names else tuple(name for name in INDEXES if name in names)


def _outside(option: str, value: float | None, lowest: int, highest: int | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{option} {value!r} is not a whole number"
    if value >= lowest and (highest is None or value <= highest):
        return ""
    return (
        f"{option} {value} is outside {lowest:,} to {highest:,}" if highest else f"{option} {value} is below {lowest:,}"
    )
