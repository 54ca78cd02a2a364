"""The summary: the Report of a finished conversion, whose facts come from the scan and the shards' records.

`Report.of` adds up what the scan, the workers and the journal have returned. Nothing here prints. The words for people
are in report.words, which is imported only when they are asked for. The names of the JSON's fields must not change,
because scripts read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_sharder.catalog.problems import left_out_json, problem_json, samples_left_out
from parallel_sharder.model import Listing, Problem, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.mended import mended_in_all

if TYPE_CHECKING:
    from parallel_sharder.stock import Stock


class Worked(NamedTuple):
    """How a run has worked, for its Report.

    `cluster` is the cluster's name, "" if this host has done all. `hosts` has the samples that each host has stored.
    """

    workers: int
    cluster: str
    hosts: Mapping[str, int]
    notices: Sequence[str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The facts of a finished run.

    Counts are those of the whole set, except for `made_samples` and `made_bytes` (of tars before compression), which
    count what this run has written. `kept_shards` counts the shards of earlier runs, and of other nodes. `remade` has
    the paths of shards that an earlier run had recorded as finished, and that this run has made again: they were
    missing, were not as recorded, or lacked samples that could not be read then.

    `found` names what the source is made of, and where each part was found. `tar_bytes` is the size of the tars before
    compression, `file_bytes` the size of the shards' files. `seconds` has one entry for each phase: scan, plan, write.
    `problems` has the scan's problems and then the workers', in order. `indexes` names the readers whose indexes were
    written. `withdrawn` says whether indexes or a card were removed because they listed shards that were removed.
    `card_path` and `page_path` are None if no card or no page was
    asked for. `mended` has the counts of samples.mended.Mended that are not zero.
    `notices` are sentences on the source, the destination and the hosts. `cluster` is the cluster on which `workers` is
    the number of chunks in work at once; "" if this host has done all. `hosts` has the samples that each host of the
    cluster has stored in this run. `node` is the node of an array that this run was, "3/16", or ""; `missing` has the
    numbers of the set's shards that nobody has written yet. If there are any, the set is not published, `braces` and
    `manifest_path` are "", and counts and problems are those of the node's own share. `fields` has the fields of the
    samples, in the tar's order, each with whether all samples have it; `image_field` is Options.image_field, or "".
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
    cluster: str = ""
    hosts: Mapping[str, int] = field(default_factory=dict)
    node: str = ""
    missing: tuple[int, ...] = ()
    fields: tuple[tuple[str, bool], ...] = ()
    image_field: str = ""
    page_path: str | None = None

    @classmethod
    def of(
        cls,
        listing: Listing,
        options: Options,
        stock: Stock,
        made: Sequence[ShardRecord],
        problems: Sequence[Problem],
        worked: Worked,
        records: Sequence[ShardRecord] | None = None,
        missing: Sequence[int] = (),
    ) -> Report:
        """Return the report of a run that has `made` shards, and has kept those that `stock` names.

        `records` are those of the whole set, if other nodes have written a part of it, and `missing` the numbers of the
        shards that they have not written yet.
        """
        is_published = not missing
        records = records if records is not None and is_published else [*stock.kept, *made]
        pattern = options.pattern
        return cls(
            listing.found,
            sum(record.samples for record in records),
            len(records),
            sum(record.tar_bytes for record in records),
            sum(record.file_bytes for record in records),
            sum(record.samples for record in made),
            sum(record.tar_bytes for record in made),
            len(records) - len(made),
            tuple(stock.remade),
            pattern.braces(len(records)) if is_published else "",
            pattern.files.manifest if is_published else "",
            pattern.files.problems,
            worked.workers,
            worked.seconds,
            listing.is_labelled,
            tuple(problems),
            options.readers if is_published else (),
            stock.withdrawn,
            pattern.files.card if options.card and is_published else None,
            {name: count for name, count in mended_in_all(options.form, records).items() if count},
            (*listing.notices, *stock.notices, *worked.notices),
            worked.cluster,
            dict(sorted(worked.hosts.items())) if worked.cluster else {},
            "" if options.place is None else str(options.place),
            tuple(missing),
            FORMS[options.form].fields_of(listing, options.image_field),
            options.image_field or "",
        )

    @property
    def elapsed_seconds(self) -> float:
        """The seconds of all phases together."""
        return sum(self.seconds.values())

    @property
    def left_out(self) -> int:
        """The number of images of the source that are not in the shards."""
        return samples_left_out(self.problems)

    @property
    def exit_code(self) -> int:
        """0 if all is stored, 3 if some samples or classes were left out."""
        return 3 if any(problem.leaves_out for problem in self.problems) else 0

    def text(self) -> str:
        """Return the summary for people, with a line for each fact."""
        from parallel_sharder.report import words

        return words.summary_text(self)

    def example(self) -> str:
        """Return lines of Python that read the shards with webdataset, and that can be run in any folder."""
        from parallel_sharder.report import words

        return words.reading_example(self)

    def json(self) -> dict[str, Any]:
        """Return the summary for machines; sizes are in bytes."""
        return {
            "found": dict(self.found),
            "samples": self.samples,
            "shards": self.shards,
            "tar_bytes": self.tar_bytes,
            "file_bytes": self.file_bytes,
            "made_samples": self.made_samples,
            "kept_shards": self.kept_shards,
            "remade": list(self.remade),
            "node": self.node or None,
            "missing": list(self.missing),
            "braces": self.braces or None,
            "manifest": self.manifest_path or None,
            "indexes": list(self.indexes),
            "withdrawn": self.withdrawn,
            "card": self.card_path,
            "page": self.page_path,
            "mended": self.mended,
            "workers": self.workers,
            "cluster": self.cluster,
            "hosts": dict(self.hosts),
            "elapsed_seconds": self.elapsed_seconds,
            "seconds": self.seconds,
            **left_out_json(self.samples, self.problems),
            "notices": list(self.notices),
            "problems": [problem_json(problem) for problem in self.problems],
        }
