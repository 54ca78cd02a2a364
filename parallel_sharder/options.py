"""Options: the choices of a conversion, of verify, of index and of status; frozen, and validated when they are made.

All complaints are raised at once, in one OptionsError. This module does not look at the disk: whether paths exist, the
scan and the destination say.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import multiprocessing
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from parallel_sharder.model import SetKind
from parallel_sharder.node import Node
from parallel_sharder.option_kinds import complaints_about_fields, unfit_for
from parallel_sharder.option_values import (
    expand,
    is_path,
    make_whole,
    not_among,
    not_flags,
    outside,
    refuse,
    split_names,
    urls_in,
    whole_size,
)
from parallel_sharder.pattern import ShardPattern, is_pattern

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Labels = Literal["devkit", "sorted"]
"""devkit: the ILSVRC2012_ID, from 1. sorted: the position of the wnid in sorted order, from 0 (torchvision, timm)."""
LABELS: tuple[Labels, ...] = get_args(Labels)

SPLITS_BY_WORD: dict[str, Split] = {"valid": "val", "validation": "val", **{split: split for split in SPLITS}}
"""The split that each word means, on the command line and as a folder's name; words are in lower case."""

LayoutName = Literal["tree", "kaggle", "archives", "zip", "tar", "hub", "parquet", "folders", "table", "shards"]
"""ImageNet's layouts: tree: the official archives, unpacked; kaggle: Kaggle's zip, unpacked; archives, zip, tar: the
downloads themselves; hub, parquet: the archives and the Parquet files of the Hugging Face hub. Those of other data
sets: folders: a folder for each class; table: a row for each sample; shards: WebDataset shards of any tool."""
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)
IMAGENET_LAYOUTS: tuple[LayoutName, ...] = ("tree", "kaggle", "archives", "zip", "tar", "hub", "parquet")

OnDuplicate = Literal["fail", "rename", "skip"]
"""What is done if shards hold a key twice. fail: the run stops. rename: the later ones get keys of their own. skip: the
later ones are left out and listed."""
ON_DUPLICATE: tuple[OnDuplicate, ...] = get_args(OnDuplicate)

Apart = Literal["refuse", "join"]
"""What is done with samples whose members are not adjacent in their shard."""
APART: tuple[Apart, ...] = get_args(Apart)

StartMethod = Literal["forkserver", "spawn", "fork"]
"""The start methods of multiprocessing; a system may lack some."""

EngineName = Literal["processes", "inline", "ray", "dask"]
"""processes: workers on this host; inline: this process does the work; ray, dask: a cluster does it."""
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
CLUSTERS: tuple[EngineName, ...] = ("ray", "dask")
"""The engines that deal chunks to other hosts, and whose names can be followed by an address."""

Reader = Literal["wids", "dali", "energon", "timm", "openclip"]
"""The readers that indexes can be written for; see the package `indexes`."""
INDEXES: tuple[Reader, ...] = get_args(Reader)

SEEKING: tuple[Reader, ...] = ("dali", "energon")
"""The readers that seek in a shard, which is not possible in a compressed one."""

Sheet = Literal["random", "classes"]
"""What a report page shows: random: random samples, the smallest, the largest; classes: one sample of each class."""
SHEETS: tuple[Sheet, ...] = get_args(Sheet)

Annotations = Literal["original", "boxes", "none"]
"""The form of a sample's JSON. original: xmltodict's output, as the reference script stores it. boxes: one shape for
all samples, see samples.boxes. none: label and words alone; annotations are not read."""
ANNOTATIONS: tuple[Annotations, ...] = get_args(Annotations)
WITHOUT_ANNOTATIONS = frozenset({"none"})
"""The forms for which no annotation is read."""

OTHER_FORMS = ("folders", "table", "shards")
"""The forms of sets that are not ImageNet; each is called as the layout that it is for."""

OnBad = Literal["skip", "keep", "fail"]
"""What is done with broken samples. skip: they are left out and listed. keep: the image is stored as it is, and a
broken annotation counts as none. fail: the first one stops the run."""
ON_BAD: tuple[OnBad, ...] = get_args(OnBad)

_PATHS = frozenset(("xml_root", "meta", "table", "keep", "drop"))

_OF_A_RUN = frozenset(
    (
        "workers", "start_method", "overwrite", "check", "node", "finish", "take_over", "engine", "cpus_per_chunk",
        "stage", "keep_stage", "metrics", "report",
    )
)  # fmt: skip
"""The fields of Options that do not change what a set is."""

_FLAGS = (
    "shuffle", "check_archives", "overwrite", "take_over", "check", "md5", "card", "finish", "rename_keys",
    "keep_stage", "report",
)  # fmt: skip

STAGE_NONE = "none"
"""The value of `stage` with which nothing is staged."""

DEFAULT_DEST = "{name}-%06d.tar"
"""The pattern where the user gives none; "{name}" stands for the set's default name."""
DEFAULT_MAXSIZE = 10**9
"""The reference script's. Larger shards shuffle worse and lose more to a broken transfer; smaller ones cost opens."""

ARRAY = "array"
"""The value of `node` that has the node read from the variables of an array's task."""

SEED_LIMIT = 2**64
WORKERS_LIMIT = 10_000
SAMPLES_LIMIT = 1_000_000

_HOST_PORT = re.compile(r"(?:[^/:\s]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to convert, to where, and how; see the README's table of options, which has the same names.

    A value of None means that the option is not given; what it then means can depend on the data set, and stands in the
    options that `settled` returns. `root` is the raw data set's folder; for shards it can be a pattern with braces and
    wildcards, and several of these; without it, the root is the folder of the table, or this folder. `dest` is a
    pattern or a folder; a "~" that begins a path is the home folder. `workers` None means as many as the cores that
    this process may use; 0 means that this process does the work. `maxsize` is in bytes of the tar before compression,
    a number or text like "1GB" (see parse_size). `shuffle` False keeps the order of the keys; of shards, their order.
    `layout` None has the layout found. `check_archives` compares the official archives with their published MD5 before
    anything is written. `engine` is one of ENGINES, followed by ":" and an address for those of CLUSTERS; None means
    processes, or inline where `workers` is 0. On a cluster, `workers` is the number of chunks in work at once (None: as
    many as it has room for), and a chunk takes `cpus_per_chunk` CPUs. `start_method` None chooses a safe method.
    `overwrite` removes the shards that an earlier run has recorded, and starts anew; `check` reads them, and keeps only
    those that have the recorded digest. `take_over` takes the place of a run on another host that shows no sign of life
    any more (see stores.lease). `index` names the readers that need an index, or is "all" or "none". The index of wids
    is the manifest, which is always written; `md5` adds each shard's MD5 to it. `card` asks for a dataset card,
    README.md, of all sets in the folder. `node` is this run's place among the nodes of an array job, "3/16", or
    "array", which reads it from Slurm's variables; the run then writes that node's share. `finish` publishes a set
    whose nodes have written all shards, and writes none. `stage` is a folder on a fast disk to which the source is
    copied first, in its own order, or "none"; without it, only a source is copied that gives its bytes in no other way.
    `keep_stage` keeps the copies when the set is published, for another split or seed. `metrics` is a port of this
    host, 1 to 65535, on which figures for Prometheus are served meanwhile.

    Of class folders: `with_` names the endings of files that join the image of the same name; `image_field` is the
    field of all images. Of a table: `table` is its file; `image`, `label`, `caption` and `key` name columns; `columns`
    names those that the JSON has. Of shards: `keep` and `drop` are files of keys; `where` is an expression over cls and
    the JSON; `rename_keys`, `on_duplicate` and `apart` say what is done with keys and members that readers would lose.

    Raises OptionsError, which holds every complaint.
    """

    root: str | Path | Sequence[str | Path] | None = None
    split: Split | None = None
    dest: str | Path = DEFAULT_DEST
    workers: int | None = None
    maxsize: int | float | str = DEFAULT_MAXSIZE
    maxcount: int | None = None
    shards: int | None = None
    seed: int = 0
    shuffle: bool = True
    labels: Labels | None = None
    annotations: Annotations | None = None
    on_bad: OnBad = "skip"
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: LayoutName | None = None
    check_archives: bool = False
    engine: str | None = None
    cpus_per_chunk: int | None = None
    start_method: StartMethod | None = None
    overwrite: bool = False
    take_over: bool = False
    check: bool = False
    index: Reader | Literal["all", "none"] | Sequence[Reader | Literal["all", "none"]] = ("wids",)
    md5: bool = False
    card: bool = False
    node: Node | str | None = None
    finish: bool = False
    stage: str | Path | None = None
    keep_stage: bool = False
    metrics: int | None = None
    report: bool = False
    with_: str | Sequence[str] = ()
    image_field: str | None = None
    table: str | Path | None = None
    image: str | None = None
    label: str | None = None
    caption: str | None = None
    key: str | None = None
    columns: str | Sequence[str] | None = None
    keep: str | Path | None = None
    drop: str | Path | None = None
    where: str | None = None
    rename_keys: bool = False
    on_duplicate: OnDuplicate | None = None
    apart: Apart | None = None

    _start: ClassVar[str] = ""
    """The folder that a relative `dest` starts from; "" is the current folder at the time of use."""

    _kind: ClassVar[SetKind | None] = None
    """What the data set is; None until that is known."""

    _given: ClassVar[Options | None] = None
    """The choices as they were given, where others have been settled."""

    def __post_init__(self) -> None:
        complaints = expand(self, "dest", "xml_root", "meta", "table", "keep", "drop", "stage", several=["root"])
        complaints += urls_in(self, "root", "xml_root", "meta", "table", "keep", "drop", "stage")
        if isinstance(self.split, str):
            object.__setattr__(self, "split", SPLITS_BY_WORD.get(self.split.lower(), self.split))
        endings = (each.lower().lstrip(".") for each in split_names(self.with_))
        object.__setattr__(self, "with_", tuple(dict.fromkeys(endings)))
        if self.columns is not None:
            object.__setattr__(self, "columns", split_names(self.columns))
        make_whole(self, "workers", "maxcount", "shards", "seed", "cpus_per_chunk", "metrics")
        complaints.append(outside("--metrics", self.metrics, 1, 65535))
        try:
            size = whole_size(self.maxsize)
            object.__setattr__(self, "maxsize", size)
            complaints.append(outside("--maxsize", size, 1, 2**60))
        except ValueError as error:
            complaints.append(f"--maxsize: {error}")
        object.__setattr__(self, "index", split_names(self.index))
        complaints += not_flags(self, *_FLAGS)
        complaints += self._place_node()
        complaints += self._complaints()
        refuse(complaints)

    @property
    def place(self) -> Node | None:
        """The parsed `node`."""
        assert not isinstance(self.node, str)  # noqa: S101 - __post_init__ has parsed it
        return self.node

    @property
    def is_of_array(self) -> bool:
        """Whether the run is a node of an array, or finishes the set of one."""
        return self.place is not None or self.finish

    @property
    def journal_path(self) -> str:
        """The path of the journal that this run writes."""
        return self.pattern.files.journal_of(self.place)

    def numbers(self, shard_count: int) -> range:
        """Return the numbers of the shards that this run is to write, of `shard_count` in all."""
        return range(0) if self.finish else range(shard_count) if self.place is None else self.place.share(shard_count)

    def settled(self, kind: SetKind) -> Options:
        """Return the same choices for a data set of this kind, with the values of what was not given.

        Raises OptionsError for an option that is not for such a data set.
        """
        refuse(unfit_for(self, kind))
        settled = copy.copy(self)
        is_imagenet = kind.is_imagenet
        for field, value in (
            ("split", kind.split),
            ("labels", (self.labels or "devkit") if is_imagenet else None),
            ("annotations", (self.annotations or "original") if is_imagenet else None),
            ("_kind", kind),
            ("_given", self),
        ):
            object.__setattr__(settled, field, value)
        return settled

    @property
    def form(self) -> str:
        """The form in which samples are stored, one of samples.forms.FORMS."""
        return (self._kind.form if self._kind is not None else "") or self.annotations or "original"

    @property
    def roots(self) -> tuple[str, ...]:
        """The absolute paths of all that `root` names; without it, of the table's folder, or of this folder."""
        if self.root is None and self.table is not None:
            return _all_paths(os.path.dirname(os.fspath(self.table)) or os.curdir)
        return _all_paths(self.root) or _all_paths(os.curdir)

    @property
    def root_folder(self) -> str:
        """The absolute path of the folder that all roots are in, or that is the only root."""
        begins = [re.split(r"[*?\[{]", root)[0] for root in self.roots]
        folders = [
            begin if begin == root else os.path.dirname(begin) for begin, root in zip(begins, self.roots, strict=True)
        ]
        return os.path.commonpath(folders)

    @property
    def set_name(self) -> str:
        """The name of the set, where `dest` does not give one."""
        kind = self._kind
        if kind is None or kind.is_imagenet:
            return f"imagenet_{self.split or 'train'}"
        return f"{kind.name}_{kind.split}" if kind.split else kind.name

    @property
    def pattern(self) -> ShardPattern:
        """The parsed `dest`."""
        pattern = ShardPattern.parse(os.fspath(self.dest), self.split or "train", self.set_name)
        return dataclasses.replace(pattern, folder=os.path.join(self._start, pattern.folder))

    def anchored(self) -> Options:
        """Return the same choices, whose `dest` and `stage` stay the same places if the process changes its folder."""
        if os.path.isabs(self.pattern.folder) and os.path.isabs(self.stage or "/"):
            return self
        anchored = copy.copy(self)
        object.__setattr__(anchored, "_start", os.getcwd())
        return anchored

    @property
    def stage_folder(self) -> str | None:
        """The absolute path of the folder that `stage` names; None if it names none."""
        return (
            None if self.stage in (None, STAGE_NONE) else os.path.abspath(os.path.join(self._start, self.stage or ""))
        )

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers of INDEXES that `index` means."""
        return _readers(split_names(self.index))

    @property
    def engine_name(self) -> str:
        """The one of ENGINES that `engine` means."""
        return self.engine.partition(":")[0] if self.engine else "inline" if self.workers == 0 else "processes"

    @property
    def engine_address(self) -> str:
        """The address of the cluster, or the path of a scheduler's file; "" if `engine` names none."""
        engine = self.engine or ""
        return engine if engine.startswith("ray://") else engine.partition(":")[2]

    @property
    def host_workers(self) -> int | None:
        """How many workers this host has; None means as many as the cores that this process may use."""
        if self.engine_name == "inline":
            return 0
        return None if self.engine_name in CLUSTERS else self.workers

    @property
    def choices(self) -> dict[str, Any]:
        """The choices that the bytes of the shards depend on, by name; a run is resumed only with the same ones.

        Those that select and read rows are not here, but in Listing.selection.
        """
        of_kind: dict[str, Any] = {"form": self.form, "split": self.split}
        if self._kind is None or self._kind.is_imagenet:
            of_kind = {
                "split": self.split or "train",
                "labels": self.labels or "devkit",
                "annotations": self.annotations or "original",
            }
        return {
            **of_kind,
            "seed": self.seed if self.shuffle else None,
            "maxsize": int(self.maxsize),
            "maxcount": self.maxcount,
            "shards": self.shards,
            "on_bad": self.on_bad,
        }

    def command(self) -> list[str]:
        """Return the words of a command line that makes the same set on any host and in any folder.

        What only says how a run works (workers, node, --check and the like) is left out.
        """
        words = ["parallel-sharder"]
        given = self._given or self
        for field in dataclasses.fields(self):
            value = getattr(given, field.name)
            if field.name in _OF_A_RUN or (value == field.default and field.name not in ("root", "dest")):
                continue
            option = f"--{field.name.rstrip('_').replace('_', '-')}"
            if field.name == "shuffle":
                words.append("--no-shuffle")
            elif value is True:
                words.append(option)
            elif field.name == "root":
                words += [word for root in self.roots for word in (option, os.path.abspath(root))]
            elif field.name == "dest":
                words += [option, os.path.abspath(value if value != DEFAULT_DEST else self.pattern.folder)]
            elif field.name in _PATHS:
                words += [option, os.path.abspath(value)]
            else:
                words += [option, ",".join(value) if isinstance(value, tuple) else str(value)]
        return words

    def _place_node(self) -> list[str]:
        """Replace the text of `node` by the Node that it means, and return complaints about it."""
        if self.node is None:
            return []
        try:
            if not isinstance(self.node, str | Node):
                raise ValueError(f"{self.node!r} is no node; write I/N, such as 0/16 for the first of 16")
            if isinstance(self.node, str):
                node = Node.of_array(os.environ) if self.node == ARRAY else Node.parse(self.node)
                object.__setattr__(self, "node", node)
        except ValueError as error:
            object.__setattr__(self, "node", None)
            return [f"--node {error}"]
        others = {
            "--overwrite": (self.overwrite, "removes the shards of all nodes; run it once without --node first"),
            "--finish": (self.finish, "publishes what all nodes have written; leave --node out"),
            f"--engine {self.engine}": (
                isinstance(self.engine, str) and self.engine_name in CLUSTERS,
                "deals chunks to all hosts by itself, and --node shares them out without; leave one of them out",
            ),
        }
        return [f"{option} {why}" for option, (is_given, why) in others.items() if is_given]

    def _complaints(self) -> list[str]:
        complaints = [
            not_among("--split", self.split, (None, *SPLITS)),
            not_among("--labels", self.labels, (None, *LABELS)),
            not_among("--annotations", self.annotations, (None, *ANNOTATIONS)),
            not_among("--on-duplicate", self.on_duplicate, (None, *ON_DUPLICATE)),
            not_among("--apart", self.apart, (None, *APART)),
            *complaints_about_fields(self),
            not_among("--on-bad", self.on_bad, ON_BAD),
            not_among("--layout", self.layout, (None, *LAYOUTS)),
            not_among("--start-method", self.start_method, (None, *multiprocessing.get_all_start_methods())),
            outside("--workers", self.workers, 0, WORKERS_LIMIT),
            outside("--maxcount", self.maxcount, 1, None),
            outside("--shards", self.shards, 1, None),
            outside("--seed", self.seed, 0, SEED_LIMIT - 1),
            "--seed None is not a whole number" if self.seed is None else "",
            *self._engine_complaints(),
        ]
        if self.seed and not self.shuffle:
            complaints.append(
                f"--seed {self.seed} is for the shuffle, and --no-shuffle turns that off; leave one of them out"
            )
        if self.keep_stage and self.stage == STAGE_NONE:
            complaints.append("--keep-stage keeps what is staged, and --stage none stages nothing; leave one out")
        if self.check and self.overwrite:
            complaints.append("--check keeps what is whole, and --overwrite keeps nothing; leave one of them out")
        if self.finish and self.overwrite:
            complaints.append(
                "--finish publishes the shards that are there, and --overwrite removes them; leave one out"
            )
        if self.finish and isinstance(self.engine, str) and self.engine_name in CLUSTERS:
            complaints.append(f"--engine {self.engine} writes shards, and --finish writes none; leave one out")
        if self.finish and self.check:
            complaints.append(
                "--finish writes no shards, and --check has those made again that are damaged; leave one out"
            )
        if self.annotations in WITHOUT_ANNOTATIONS and self.xml_root is not None:
            complaints.append("--xml-root names the annotations' folder, and --annotations none reads no annotations")
        index = split_names(self.index)
        complaints += _not_readers("--index", index, (*INDEXES, "all", "none"))
        if not is_path(self.dest) or not isinstance(self.split, str | None):
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

    def _engine_complaints(self) -> list[str]:
        if self.engine is not None and (complaint := _not_an_engine(self.engine)):
            return [complaint]
        name, given = self.engine_name, f"--engine {self.engine}"
        complaints = [outside("--cpus-per-chunk", self.cpus_per_chunk, 1, WORKERS_LIMIT)]
        if self.start_method is not None and self.engine and name != "processes":
            complaints.append(f"--start-method {self.start_method} is for processes, and {given} starts none of them")
        if self.cpus_per_chunk is not None and name not in CLUSTERS:
            complaints.append(f"--cpus-per-chunk {self.cpus_per_chunk} is for --engine {' or '.join(CLUSTERS)}")
        if self.engine and self.workers == 0 and name != "inline":
            complaints.append(f"{given} needs workers, and --workers is 0; choose --engine inline, or more workers")
        elif name == "inline" and self.workers:
            complaints.append(f"{given} has no workers, and --workers is {self.workers}; leave one of them out")
        return complaints


def _not_an_engine(engine: object) -> str:
    """Return the complaint about a value of --engine that is not valid; else ""."""
    what = f"--engine {engine}"
    if not isinstance(engine, str):
        return f"--engine {engine!r} is not one of {', '.join(ENGINES)}"
    name, colon, address = engine.partition(":")
    if name not in ENGINES:
        near = difflib.get_close_matches(name.lower(), ENGINES, 1, 0.5)
        return f"{what} is not one of {', '.join(ENGINES)}{f'. Did you mean {near[0]}?' if near else ''}"
    if not colon:
        return ""
    if name not in CLUSTERS:
        return f"{what}: {name} works on this host, and takes no address"
    if name == "ray":
        return (
            ""
            if _HOST_PORT.fullmatch(address.removeprefix("//"))
            else f"{what}: write ray:HOST:PORT or ray://HOST:PORT"
        )
    scheme, separator, place = address.partition("://")
    if separator and scheme in ("tcp", "tls", "ucx", "ws", "wss") and _HOST_PORT.fullmatch(place):
        return ""
    if separator or not address or _HOST_PORT.fullmatch(address):
        return f"{what}: write dask:tcp://HOST:PORT, dask:tls://HOST:PORT, or dask:FILE for a scheduler's file"
    return ""


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """What to verify: `dest` is a folder of finished sets, a pattern of shards, a manifest, a shard, a glob or braces.

    Shards of other tools, which no manifest lists, are checked by the rules of readers. With `source`, the raw data
    set's folder (or, for shards, patterns of these), the samples are compared with the source. `xml_root`, `meta`,
    `layout` and `workers` mean what they mean in Options. Raises OptionsError, which holds every complaint.
    """

    dest: str | Path
    source: str | Path | Sequence[str | Path] | None = None
    xml_root: str | Path | None = None
    meta: str | Path | None = None
    layout: LayoutName | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        complaints = expand(self, "dest", "xml_root", "meta", several=["source"], dest="DEST")
        complaints += urls_in(self, "source")
        make_whole(self, "workers")
        complaints.append(outside("--workers", self.workers, 0, WORKERS_LIMIT))
        complaints.append(_not_a_pattern(self.dest))
        complaints.append(not_among("--layout", self.layout, (None, *LAYOUTS)))
        for option, value in (("--xml-root", self.xml_root), ("--meta", self.meta), ("--layout", self.layout)):
            if value is not None and self.source is None:
                complaints.append(f"{option} is for a comparison with the source; name the source with --source")
        refuse(complaints)

    @property
    def sources(self) -> tuple[str, ...]:
        """All that `source` names."""
        return _all_paths(self.source)


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
        complaints = expand(self, "dest", dest="DEST")
        make_whole(self, "workers")
        complaints.append(outside("--workers", self.workers, 0, WORKERS_LIMIT))
        readers = split_names(self.readers)
        complaints += _not_readers("--for", readers, (*INDEXES, "all"))
        object.__setattr__(self, "readers", _readers(readers))
        complaints += not_flags(self, "md5")
        if self.md5 and "wids" not in self.readers:
            complaints.append("--md5 is for the index of wids; add wids to --for")
        if "energon" in self.readers and is_path(self.dest) and is_pattern(os.fspath(self.dest)):
            complaints.append("energon's index is of all shards in a folder; name the folder as DEST, not a pattern")
        complaints.append(_not_a_pattern(self.dest))
        refuse(complaints)


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """What to look at: `what` is a folder of shards, a manifest, a shard, or a pattern or glob of shards of any tool.

    `head` is how many samples are shown from the first on, and `random` how many random ones, which follow from `seed`.
    `where` is an expression over cls and the JSON, as in Options, and `class_` the name, ID or label of a class. `key`
    names one sample, whose members are written to the folder `extract`; `show` has the command draw its image in the
    terminal. `workers` means what it means in Options.
    Raises OptionsError, which holds every complaint.
    """

    what: str | Path
    key: str | None = None
    head: int | None = None
    random: int | None = None
    seed: int = 0
    where: str | None = None
    class_: str | None = None
    extract: str | Path | None = None
    show: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        complaints = expand(self, "what", "extract", what="WHAT")
        make_whole(self, "head", "random", "seed", "workers")
        complaints.append(outside("--head", self.head, 1, SAMPLES_LIMIT))
        complaints.append(outside("--random", self.random, 1, SAMPLES_LIMIT))
        complaints.append(outside("--seed", self.seed, 0, SEED_LIMIT - 1))
        complaints.append(outside("--workers", self.workers, 0, WORKERS_LIMIT))
        others = {"--head": self.head, "--random": self.random, "--where": self.where, "--class": self.class_}
        given = [name for name, value in others.items() if value is not None]
        empty = [name for name, value in (("--key", self.key), ("--class", self.class_)) if value == ""]
        complaints += [f"{name} is empty" for name in empty]
        if self.key is not None and given:
            complaints.append(f"--key names one sample, and {' and '.join(given)} would choose others; leave one out")
        if self.head is not None and self.random is not None:
            complaints.append("--head and --random exclude each other")
        if self.extract is not None and self.key is None:
            complaints.append("--extract writes the members of one sample; name it with --key")
        if self.show and self.key is None:
            complaints.append("--show draws the image of one sample; name it with --key")
        complaints += not_flags(self, "show")
        complaints.append(_not_a_pattern(self.what))
        refuse(complaints)


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Of what to make a page: `dest` is a folder of sets, a manifest, or shards of any tool, as for verify.

    `to` is the page's file (default: SET.report.html beside the shards). `sheet` is "classes" for a picture of each
    class, instead of random samples, and `images` false leaves all pictures out. `compare` names another set, whose run
    is laid beside this one's. `seed` is that of the drawn samples, and `workers` means what it means in Options.
    Raises OptionsError, which holds every complaint.
    """

    dest: str | Path
    to: str | Path | None = None
    sheet: Sheet = "random"
    images: bool = True
    compare: str | Path | None = None
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        complaints = expand(self, "dest", "to", "compare", dest="DEST")
        make_whole(self, "seed", "workers")
        complaints.append(not_among("--sheet", self.sheet, SHEETS))
        complaints.append(outside("--seed", self.seed, 0, SEED_LIMIT - 1))
        complaints.append(outside("--workers", self.workers, 0, WORKERS_LIMIT))
        complaints += not_flags(self, "images")
        if not self.images and self.sheet == "classes":
            complaints.append(
                "--sheet classes shows a picture of each class, and --no-images shows none; leave one out"
            )
        complaints += [_not_a_pattern(self.dest), *([_not_a_pattern(self.compare)] if self.compare else [])]
        refuse(complaints)


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """Whose status to return: `dest` is a folder of sets, or a pattern or a manifest of one. Raises OptionsError."""

    dest: str | Path

    def __post_init__(self) -> None:
        refuse([*expand(self, "dest", dest="DEST"), _not_a_pattern(self.dest)])


def _all_paths(value: Any) -> tuple[str, ...]:
    """Return all paths of an option that takes one or several, absolute, because workers may run in another folder.

    Links are kept, because users know these names.
    """
    paths = () if value is None else (value,) if is_path(value) else value
    return tuple(str(Path(path).absolute()) for path in paths)


def _not_a_pattern(dest: str | Path) -> str:
    """Return the complaint about a `dest` that is meant as a pattern of shards and is not valid; else ""."""
    try:
        if is_path(dest) and is_pattern(os.fspath(dest)):
            ShardPattern.parse(os.fspath(dest))
    except ValueError as error:
        return f"DEST: {error}"
    return ""


def _not_readers(option: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> list[str]:
    if "none" in names and len(names) > 1:
        return [f"{option} {','.join(map(str, names))}: none cannot be combined with others"]
    return [not_among(option, name, allowed) for name in names or ("",)]


def _readers(names: tuple[str, ...]) -> tuple[Reader, ...]:
    return INDEXES if "all" in names else tuple(name for name in INDEXES if name in names)
