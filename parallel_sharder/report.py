"""What a run has come to: records to totals, rates, and the text that people read. Prints nothing itself."""

from __future__ import annotations

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parallel_sharder.errors import worded
from parallel_sharder.journal import Past
from parallel_sharder.mended import mended_in_all
from parallel_sharder.model import Deviation, Kind, Listing, Plan, Problem, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.problems import problem_json
from parallel_sharder.text import counted, duration, printable, size

_NAMED = 10
"""Files named for each kind in the text, and deviations of each shard; --json names all."""

_BRACES = re.compile(r"\{([0-9]+)\.\.[0-9]+\}(?=[^/]*$)")
"""The numbers in a brace pattern."""

_MENDED = {
    "swapped": ("box swapped", "boxes swapped"),
    "clamped": ("box clamped", "boxes clamped"),
    "dropped": ("box dropped", "boxes dropped"),
    "names": ("object name", ""),
    "filenames": ("file name", ""),
    "folders": ("folder", ""),
    "sizes": ("size", ""),
}
"""What forms mend, for people, one and many."""


@dataclass(frozen=True)
class Preview:
    """What a run would do: its plan, and the room for it."""

    found: tuple[tuple[str, str], ...]
    samples: int
    shards: int
    samples_per_shard: tuple[int, int]
    shard_bytes: tuple[int, int]
    braces: str
    needed_bytes: int
    free_bytes: int
    kept_shards: int
    taken: tuple[str, ...]
    problems: tuple[Problem, ...]
    in_the_way: str
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls,
        listing: Listing,
        plan: Plan,
        options: Options,
        spool_bytes: int,
        free_bytes: int,
        past: Past | None,
        in_the_way: str,
    ) -> Preview:
        """The preview of carrying out `plan`, with `spool_bytes` needed besides the shards while it runs.

        `past` is what a journal says of an earlier run; `in_the_way` says what would stop this one, besides shards that
        no journal knows, "" if nothing does.
        """
        counts = plan.cuts[1:] - plan.cuts[:-1]
        pattern = options.pattern
        there = {os.path.basename(path): path for path in pattern.existing()}
        ours = [path for name, path in there.items() if past is not None and name in past.names]
        kept = []
        if options.overwrite:  # which removes them first
            free_bytes += sum(os.path.getsize(path) for path in ours)
        elif past is not None and not in_the_way:
            kept = [
                number for number in sorted(past.done) if number < plan.shard_count and pattern.path(number) in ours
            ]
        return cls(
            listing.found,
            len(listing),
            plan.shard_count,
            (int(counts.min()), int(counts.max())),
            (int(plan.shard_bytes.min()), int(plan.shard_bytes.max())),
            pattern.braces(plan.shard_count),
            int(plan.shard_bytes.sum() - plan.shard_bytes[kept].sum()) + spool_bytes,
            free_bytes,
            len(kept),
            tuple(path for path in there.values() if path not in ours),
            listing.problems,
            in_the_way,
            listing.notices,
        )

    @property
    def exit_code(self) -> int:
        """0 if the run would store all, 1 if it would be refused, 3 if something is left out already."""
        left_out = any(problem.leaves_out for problem in self.problems)
        return 1 if self._refused else 3 if left_out else 0

    @property
    def _refused(self) -> list[str]:
        """Why the run would be refused."""
        reasons = ["there is too little space"] if self.free_bytes < self.needed_bytes else []
        return reasons + (["something is in the way"] if self.taken or self.in_the_way else [])

    def text(self) -> str:
        """The preview, a line a fact."""
        few, many = self.samples_per_shard
        samples = counted(many, "sample") if few == many else f"{few:,} or {counted(many, 'sample')}"
        each = f"{samples}, at most" if self.shards == 1 else f"{samples} each, the largest at most"
        short = ": too little" if self.free_bytes < self.needed_bytes else ""
        rows = [
            *self.found,
            *_images(self.samples, self.problems),
            ("samples", f"{self.samples:,}"),
            ("left out", _what_is_left_out(_left_out(self.problems), self.problems)),
            ("shards", f"{self.shards:,} with {each} {size(self.shard_bytes[1])}"),
            ("braces", self.braces),
            ("space", f"at most {size(self.needed_bytes)} needed, {size(self.free_bytes)} free{short}"),
        ]
        if self.kept_shards:
            rows.append(("kept", _kept(self.kept_shards, self.shards)))
        if self.taken:
            there = counted(len(self.taken), "of these files is there", "of these files are there")
            rows.append(("taken", f"{there}, the first {self.taken[0]}: in the way"))
        if self.in_the_way:
            first, *further = self.in_the_way.split("\n")  # each is printable already
            rows += [("in the way", first), *(("", line) for line in further)]
        if self._refused:
            rows.append(("outcome", f"the run would be refused, because {' and '.join(self._refused)}"))
        return _text([*_table(rows), *_notes(self.notices), *_problem_lines(self.problems)])

    def json(self) -> dict[str, Any]:
        """The preview for machines; sizes in bytes."""
        return {
            "found": dict(self.found),
            "samples": self.samples,
            "shards": self.shards,
            "samples_per_shard": list(self.samples_per_shard),
            "shard_bytes": list(self.shard_bytes),
            "braces": self.braces,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "kept_shards": self.kept_shards,
            "taken": list(self.taken),
            "in_the_way": self.in_the_way,
            **_counts(self.samples, self.problems),
            "notices": list(self.notices),
            "problems": [problem_json(problem) for problem in self.problems],
        }


@dataclass(frozen=True)
class Report:
    """A finished run, of what `found` says.

    Counts are of the whole set; `made_samples` and `made_bytes` (of the tars) of what this run has written of it,
    `kept_shards` of what was there from an earlier one. `remade` are shards that were recorded as finished and were
    missing, or other than recorded, or lacked samples that could not be read then.

    `tar_bytes` counts before compression, `file_bytes` what the shards take on the disk. `seconds` has one entry a
    phase: scan, plan, write. `problems` are the scan's and the workers', in order. `indexes` are the readers that have
    theirs; `withdrawn` tells whether indexes or a card told of shards that went; `card_path` is None if no card was
    asked for; `mended` says how often each of what the form mends was, if at all; `notices` are what
    people should know of source and destination.
    """

    found: tuple[tuple[str, str], ...]
    samples: int
    shards: int
    tar_bytes: int
    file_bytes: int
    made_samples: int
    made_bytes: int
    kept_shards: int
    remade: tuple[str, ...]
    braces: str
    manifest_path: str
    problems_path: str
    workers: int
    seconds: dict[str, float]
    has_classes: bool
    problems: tuple[Problem, ...]
    indexes: tuple[str, ...]
    withdrawn: bool
    card_path: str | None
    mended: dict[str, int]
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls,
        listing: Listing,
        options: Options,
        kept: Sequence[ShardRecord],
        made: Sequence[ShardRecord],
        remade: Sequence[str],
        withdrawn: bool,
        problems: Sequence[Problem],
        workers: int,
        seconds: dict[str, float],
        notices: tuple[str, ...] = (),
    ) -> Report:
        """The report of a run that has `made` shards and found others, `kept`, there.

        `notices` are those about the destination.
        """
        records = [*kept, *made]
        pattern = options.pattern
        return cls(
            listing.found,
            sum(record.samples for record in records),
            len(records),
            sum(record.tar_bytes for record in records),
            sum(record.file_bytes for record in records),
            sum(record.samples for record in made),
            sum(record.tar_bytes for record in made),
            len(kept),
            tuple(remade),
            pattern.braces(len(records)),
            pattern.manifest_path,
            pattern.problems_path,
            workers,
            seconds,
            bool(listing.classes),
            tuple(problems),
            options.readers,
            withdrawn,
            pattern.card_path if options.card else None,
            {name: count for name, count in mended_in_all(options.annotations, records).items() if count},
            (*listing.notices, *notices),
        )

    @property
    def elapsed_seconds(self) -> float:
        """The whole run's."""
        return sum(self.seconds.values())

    @property
    def left_out(self) -> int:
        """Images of the source that are not in the shards."""
        return _left_out(self.problems)

    @property
    def exit_code(self) -> int:
        """0 if all is stored, 3 if some samples or classes were left out."""
        return 3 if any(problem.leaves_out for problem in self.problems) else 0

    def text(self) -> str:
        """The summary, a line a fact."""
        elapsed = max(self.elapsed_seconds, 1e-9)
        packed = f", {size(self.tar_bytes)} before compression" if self.file_bytes != self.tar_bytes else ""
        further = [name for name in self.indexes if name != "wids"]
        rows = [
            *_images(self.samples, self.problems),
            ("samples", f"{self.samples:,}"),
            ("shards", f"{self.shards:,}, {size(self.file_bytes)}{packed}"),
        ]
        if self.kept_shards == self.shards and (further or self.card_path):  # which were written
            rows.append(("kept", "all of them"))
        elif self.kept_shards:
            rows.append(("kept", _kept(self.kept_shards, self.shards)))
        rows.append(("elapsed", f"{duration(elapsed)} {_place(self.workers)}"))
        if self.made_samples:
            rate = f"{self.made_samples / elapsed:,.0f} images/s, {self.made_bytes / elapsed / 1e6:,.0f} MB/s"
            rows.append(("rate", rate))
        rows.append(("left out", _what_is_left_out(self.left_out, self.problems)))
        rows += [("braces", self.braces), ("manifest", self.manifest_path)]
        if further:
            rows.append(("indexes", f"{', '.join(further)}, beside the shards"))
        if self.card_path:
            rows.append(("card", self.card_path))
        if self.mended:
            rows.append(("mended", ", ".join(counted(count, *_MENDED[name]) for name, count in self.mended.items())))
        if self.problems:
            rows.append(("problems", f"{len(self.problems):,}, listed in {self.problems_path}"))
        if self.remade:
            lines = [f"made again, because missing, not as recorded, or with samples unread: {len(self.remade):,}"]
            lines += _some([f"  {path}" for path in self.remade])
        else:
            lines = []
        if self.withdrawn and not (further and self.card_path):
            told = "indexes or a dataset card told of shards that went: --index and --card make them anew"
            lines.append(worded(told))
        return _text([*_table(rows), *lines, *_notes(self.notices), *_problem_lines(self.problems)])

    def json(self) -> dict[str, Any]:
        """The summary for machines; sizes in bytes."""
        return {
            "found": dict(self.found),
            "samples": self.samples,
            "shards": self.shards,
            "tar_bytes": self.tar_bytes,
            "file_bytes": self.file_bytes,
            "made_samples": self.made_samples,
            "kept_shards": self.kept_shards,
            "remade": list(self.remade),
            "braces": self.braces,
            "manifest": self.manifest_path,
            "indexes": list(self.indexes),
            "withdrawn": self.withdrawn,
            "card": self.card_path,
            "mended": self.mended,
            "workers": self.workers,
            "elapsed_seconds": self.elapsed_seconds,
            "seconds": self.seconds,
            **_counts(self.samples, self.problems),
            "notices": list(self.notices),
            "problems": [problem_json(problem) for problem in self.problems],
        }

    def example(self) -> str:
        """Lines of Python that read the shards with webdataset, from whatever folder they are run in."""
        fields = ('"jpg", "cls"', "image, label") if self.has_classes else ('"jpg", "json"', "image, info")
        return "\n".join(
            [
                "Read them with",
                "    import webdataset as wds",
                f'    dataset = wds.WebDataset({self._urls()}, shardshuffle=False).decode("pil").to_tuple({fields[0]})',
                f"    {fields[1]} = next(iter(dataset))",
            ]
        )

    def _urls(self) -> str:
        """What webdataset opens, as Python: a brace pattern, or a list where it would take the path for several."""
        path = os.path.abspath(self.braces)
        begin, *rest = _BRACES.split(path)
        packed = path.endswith(".zst")  # webdataset knows gzip, not zstd; the shell must not see what is in the path
        opened = f"pipe:zstd -dc {shlex.quote(begin)}" if packed else begin
        if not re.search(r"[{}\\]|::", begin):
            return repr(opened + path.removeprefix(begin))
        if not rest:
            return f"[{opened!r}]"
        return f'[{opened!r} + f"{{number:0{len(rest[0])}}}{rest[1]}" for number in range({self.shards})]'


@dataclass(frozen=True)
class Verdict:
    """What was verified, and every deviation that was found.

    `manifests` are the sets' manifests; counts are of what their shards hold, `file_bytes` what they take on the disk.
    `compared` samples were compared with `source`, if that was given, and `left_out` of its images are not in the
    shards, as the sets' lists of problems say; `problems` are those by which the source itself lacks images or classes.
    """

    manifests: tuple[str, ...]
    samples: int
    shards: int
    file_bytes: int
    source: str | None
    compared: int
    left_out: int
    problems: tuple[Problem, ...]
    notices: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    workers: int
    elapsed_seconds: float

    @property
    def exit_code(self) -> int:
        """0 if nothing deviates and nothing is left out, 3 if the set was known to lack something, 1 for deviations."""
        return 1 if self.deviations else 3 if self.is_incomplete else 0

    @property
    def is_incomplete(self) -> bool:
        """Whether something of the source is left out."""
        return bool(self.left_out or self.problems)

    def text(self) -> str:
        """The verdict, with the first deviations of each file."""
        elapsed = max(self.elapsed_seconds, 1e-9)
        rows = [("set", path) for path in self.manifests]
        rows += [
            ("samples", f"{self.samples:,}"),
            ("shards", f"{self.shards:,}, {size(self.file_bytes)}"),
            ("elapsed", f"{duration(elapsed)} {_place(self.workers)}"),
            ("rate", f"{self.samples / elapsed:,.0f} images/s, {self.file_bytes / elapsed / 1e6:,.0f} MB/s"),
        ]
        if self.source is not None:
            rows.append(("source", f"{counted(self.compared, 'sample')} compared with {self.source}"))
        if self.is_incomplete:
            rows.append(("left out", _what_is_left_out(self.left_out, self.problems)))
        sound = "what is there is sound, and not all is there" if self.is_incomplete else "sound"
        rows.append(("verdict", counted(len(self.deviations), "deviation") if self.deviations else sound))
        by_path: dict[str, list[str]] = defaultdict(list)
        for each in self.deviations:
            offset = f"offset {each.offset:,}" if each.offset is not None else ""
            place = ", ".join(filter(None, (offset, each.key)))
            by_path[each.path].append(f"  {place}: {each.detail}" if place else f"  {each.detail}")
        lines = [line for path, some in by_path.items() for line in (path, *_some(some))]
        return _text([*_table(rows), *_notes(self.notices), *_problem_lines(self.problems), *lines])

    def json(self) -> dict[str, Any]:
        """The verdict for machines, with all deviations; sizes and offsets in bytes."""
        return {
            "manifests": list(self.manifests),
            "samples": self.samples,
            "shards": self.shards,
            "file_bytes": self.file_bytes,
            "source": self.source,
            "compared": self.compared,
            "left_out": self.left_out,
            "left_out_classes": _left_out_classes(self.problems),
            "problems": [problem_json(problem) for problem in self.problems],
            "notices": list(self.notices),
            "sound": not self.deviations,
            "deviations": [asdict(each) for each in self.deviations],
            "workers": self.workers,
            "elapsed_seconds": self.elapsed_seconds,
        }


@dataclass(frozen=True)
class Indexed:
    """What was indexed, and the files that were written."""

    sets: tuple[str, ...]
    samples: int
    shards: int
    written: tuple[str, ...]
    workers: int
    elapsed_seconds: float
    exit_code = 0

    def text(self) -> str:
        """A line a fact, and the first of the files."""
        elapsed = max(self.elapsed_seconds, 1e-9)
        rows = [
            ("sets", ", ".join(self.sets)),
            ("samples", f"{self.samples:,}"),
            ("shards", f"{self.shards:,}"),
            ("elapsed", f"{duration(elapsed)} {_place(self.workers)}"),
            ("rate", f"{self.samples / elapsed:,.0f} samples/s"),
            (
                "wrote",
                counted(len(self.written), "file") if self.written else "nothing: the manifests are indexes already",
            ),
        ]
        return _text([*_table(rows), *_some([f"  {path}" for path in reversed(self.written)])])

    def json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def _kept(shards: int, among: int) -> str:
    return "all of them: nothing was left to do" if shards == among else f"{counted(shards, 'shard')} of an earlier run"


def _place(workers: int) -> str:
    return f"with {counted(workers, 'worker')}" if workers else "in this process"


def _text(lines: Iterable[str]) -> str:
    """The lines as people are shown them, whatever names from the data they have."""
    return "\n".join(map(printable, lines))


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{value}" for name, value in rows]


def _left_out(problems: Sequence[Problem]) -> int:
    return sum(problem.leaves_out_sample for problem in problems)


def _left_out_classes(problems: Sequence[Problem]) -> int:
    return sum(problem.leaves_out_class for problem in problems)


def _images(samples: int, problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """How many images were found, where that is another number than that of the samples."""
    left_out = _left_out(problems)
    return [("images", f"{samples + left_out:,}")] if left_out else []


def _what_is_left_out(samples: int, problems: Sequence[Problem]) -> str:
    classes = _left_out_classes(problems)
    parts = [counted(samples, "sample")] if samples else []
    if classes:
        parts.append(f"{counted(classes, 'class', 'classes')}, whose images are not counted")
    return " and ".join(parts) or "nothing"


def _counts(samples: int, problems: Sequence[Problem]) -> dict[str, int]:
    left_out = _left_out(problems)
    return {"images": samples + left_out, "left_out": left_out, "left_out_classes": _left_out_classes(problems)}


def _notes(notices: Sequence[str]) -> list[str]:
    return [f"note: {notice}" for notice in notices]


def _problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Every kind with its count, and the first few files of it by name."""
    by_kind: dict[tuple[Kind, bool], list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind, problem.leaves_out].append(problem)
    lines = []
    for (kind, is_left_out), some in by_kind.items():
        consequence = "left out" if is_left_out else "stored all the same" if some[0].kept else "reported only"
        lines.append(f"{kind.meaning}, {consequence}: {len(some):,}")
        lines += _some([f"  {problem.path}: {problem.detail}" for problem in some])
    return lines


def _some(lines: list[str]) -> list[str]:
    """The first few of many lines."""
    more = [f"  and {len(lines) - _NAMED:,} more"] if len(lines) > _NAMED else []
    return lines[:_NAMED] + more
