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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from parallel_sharder.node import Node
from parallel_sharder.option_values import (
    expand,
    is_path,
    make_whole,
    not_among,
    not_flags,
    outside,
    refuse,
    split_names,
    whole_size,
)
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

_OF_A_RUN = frozenset(
    ("workers", "start_method", "overwrite", "check", "node", "finish", "take_over", "engine", "cpus_per_chunk")
)
"""The fields of Options that do not change what a set is."""

DEFAULT_DEST = "imagenet_{split}-%06d.tar"
DEFAULT_MAXSIZE = 10**9
"""The reference script's. Larger shards shuffle worse and lose more to a broken transfer; smaller ones cost opens."""

ARRAY = "array"
"""The value of `node` that has the node read from the variables of an array's task."""

SEED_LIMIT = 2**64
WORKERS_LIMIT = 10_000

_HOST_PORT = re.compile(r"(?:[^/:\s]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to convert, to where, and how; see the README's table of options, which has the same names.

    `dest` is a pattern or a folder; a "~" that begins a path is the home folder. `workers` None means as many as the
    cores that this process may use; 0 means that this process does the work. `maxsize` is in bytes of the tar before
    compression, a number or text like "1GB" (see parse_size). `shuffle` False keeps the order of the keys. `layout`
    None has the layout found. `check_archives` compares the official archives with their published MD5 before anything
    is written. `engine` is one of ENGINES, followed by ":" and an address for those of CLUSTERS; None means processes,
    or inline where `workers` is 0. On a cluster, `workers` is the number of chunks in work at once (None: as many as it
    has room for), and a chunk takes `cpus_per_chunk` CPUs. `start_method` None chooses a safe method. `overwrite`
    removes the shards that an earlier run has recorded, and starts anew; `check` reads them, and keeps only those that
    have the recorded digest. `take_over` takes the place of a run on another host that shows no sign of life any more
    (see stores.lease). `index` names the readers that need an index, or is "all" or "none". The index of wids is the
    manifest, which is always written; `md5` adds each shard's MD5 to it. `card` asks for a dataset card, README.md, of
    all sets in the folder. `node` is this run's place among the nodes of an array job, "3/16", or "array", which reads
    it from Slurm's variables; the run then writes that node's share. `finish` publishes a set whose nodes have written
    all shards, and writes none. Raises OptionsError, which holds every complaint.
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

    _start: ClassVar[str] = ""
    """The folder that a relative `dest` starts from; "" is the current folder at the time of use."""

    def __post_init__(self) -> None:
        complaints = expand(self, "root", "dest", "xml_root", "meta")
        make_whole(self, "workers", "maxcount", "shards", "seed", "cpus_per_chunk")
        try:
            size = whole_size(self.maxsize)
            object.__setattr__(self, "maxsize", size)
            complaints.append(outside("--maxsize", size, 1, 2**60))
        except ValueError as error:
            complaints.append(f"--maxsize: {error}")
        object.__setattr__(self, "index", split_names(self.index))
        flags = ("shuffle", "check_archives", "overwrite", "take_over", "check", "md5", "card", "finish")
        complaints += not_flags(self, *flags)
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

    def command(self) -> list[str]:
        """Return the words of a command line that makes the same set on any host and in any folder.

        What only says how a run works (workers, node, --check and the like) is left out.
        """
        words = ["parallel-sharder"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_A_RUN or (value == field.default and field.name not in ("root", "dest")):
                continue
            option = f"--{field.name.replace('_', '-')}"
            if field.name == "shuffle":
                words.append("--no-shuffle")
            elif value is True:
                words.append(option)
            elif field.name in ("root", "dest", "xml_root", "meta"):
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
            not_among("--split", self.split, SPLITS),
            not_among("--labels", self.labels, LABELS),
            not_among("--annotations", self.annotations, ANNOTATIONS),
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
        complaints = expand(self, "dest", "source", "xml_root", "meta", dest="DEST")
        make_whole(self, "workers")
        complaints.append(outside("--workers", self.workers, 0, WORKERS_LIMIT))
        complaints.append(_not_a_pattern(self.dest))
        complaints.append(not_among("--layout", self.layout, (None, *LAYOUTS)))
        for option, value in (("--xml-root", self.xml_root), ("--meta", self.meta), ("--layout", self.layout)):
            if value is not None and self.source is None:
                complaints.append(f"{option} is for a comparison with the source; name the source with --source")
        refuse(complaints)


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
class StatusOptions:
    """Whose status to return: `dest` is a folder of sets, or a pattern or a manifest of one. Raises OptionsError."""

    dest: str | Path

    def __post_init__(self) -> None:
        refuse([*expand(self, "dest", dest="DEST"), _not_a_pattern(self.dest)])


def words_of_choices(choices: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that makes these choices, which are those of `Options.choices`."""
    defaults = Options().choices
    words = []
    for name in [each for each in defaults if each in choices]:
        value = choices[name]
        if value == defaults[name]:
            continue
        words += ["--no-shuffle"] if name == "seed" and value is None else [f"--{name.replace('_', '-')}", str(value)]
    return words


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
