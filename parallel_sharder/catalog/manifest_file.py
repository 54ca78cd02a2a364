"""The manifest's file: the manifest of the set that a run has made, from the run's records, written last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.catalog.manifest import ListedShard, Manifest, is_manifest
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.mended import Mended, mended_in_all


class ManifestFile(RecordedFile):
    """The file with the set's manifest; once it exists, the set is finished."""

    def content(self, finished: FinishedSet) -> bytes:
        """Return the manifest's bytes."""
        return finished.manifest.to_bytes()

    def is_own(self, path: str, journal: Journal) -> bool:
        """Return whether it is a sound manifest of this tool, recorded or not, or as the journal has it recorded."""
        return is_manifest(path) or super().is_own(path, journal)


def manifest_of(options: Options, listing: Listing, plan: Plan, records: Sequence[ShardRecord]) -> Manifest:
    """Return the manifest of the set of these records, which are in order of number."""
    stored = np.ones(len(listing), np.bool_)
    for record in records:
        stored[plan.order[plan.cuts[record.number] :][list(record.left_out)]] = False
    index = listing.class_index[stored] if listing.classes else np.empty(0, np.int32)
    counts = np.bincount(index + 1, minlength=len(listing.classes) + 1)[1:]  # class -1 is none
    shards = [ListedShard.of(record, options.md5) for record in records]
    classes = [*zip(listing.classes, counts.tolist(), strict=True)]
    totals = mended_in_all(options.form, records)
    mended = Mended(**totals) if totals else None
    name, selection = options.pattern.set_name, listing.selection_with_labels
    fields = FORMS[options.form].fields_of(listing, options.image_field)
    return Manifest.made(name, options.choices, shards, classes, mended, selection, fields)
