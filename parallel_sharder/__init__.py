"""parallel_sharder: makes a raw image data set into training-ready WebDataset shards.

    scan      a Source                   -> Listing      the samples as columns, sorted by key       sources/
    plan      Listing + seed + limits    -> Plan         their order, and its cuts: pure             plan
    deal      Plan                       -> Chunks       contiguous slices of the order              deal, engines/
    write     Chunk (in a worker)        -> ShardRecord  the tar under its final name                worker, samples/,
                                                                                                     tar/, stores/
    record    ShardRecords               -> journal      appended as each shard is done              journal/, resume
    publish   ShardRecords               -> Manifest     and other files beside; the manifest last   publish, catalog/,
                                                                                                     indexes/

`coordinator.convert` is that list. `verify/` reads finished sets with code that the writer does not share,
`indexes.command` indexes any shards, `inspection/` shows what is in them, and `pages/` makes a page
of a set and its runs. `report/` and `monitor/` put results and
progress into words for `cli/`.
The public names below are imported when they are first used, so that `--help` and a worker process do without numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_sharder.coordinator import convert, preview
    from parallel_sharder.errors import OptionsError, SharderError
    from parallel_sharder.indexes.command import index_shards
    from parallel_sharder.indexes.indexed import Indexed
    from parallel_sharder.inspection.command import inspect_shards
    from parallel_sharder.inspection.inspected import Inspected
    from parallel_sharder.monitor.monitor import Monitor, Silent
    from parallel_sharder.options import (
        IndexOptions,
        InspectOptions,
        Options,
        ReportOptions,
        StatusOptions,
        VerifyOptions,
    )
    from parallel_sharder.pages.command import report_shards
    from parallel_sharder.pages.made import Reported
    from parallel_sharder.report.preview import Preview
    from parallel_sharder.report.summary import Report
    from parallel_sharder.shard_writer import ShardWriter
    from parallel_sharder.status import Status, status_of
    from parallel_sharder.verify.command import verify_shards
    from parallel_sharder.verify.verdict import Verdict

__version__ = "0.1.0"
__all__ = [
    "IndexOptions",
    "Indexed",
    "InspectOptions",
    "Inspected",
    "Monitor",
    "Options",
    "OptionsError",
    "Preview",
    "Report",
    "ReportOptions",
    "Reported",
    "ShardWriter",
    "SharderError",
    "Silent",
    "Status",
    "StatusOptions",
    "Verdict",
    "VerifyOptions",
    "convert",
    "index_shards",
    "inspect_shards",
    "preview",
    "report_shards",
    "status_of",
    "verify_shards",
]

_HOMES = {
    "IndexOptions": "options",
    "Indexed": "indexes.indexed",
    "InspectOptions": "options",
    "Inspected": "inspection.inspected",
    "Monitor": "monitor.monitor",
    "Options": "options",
    "OptionsError": "errors",
    "Preview": "report.preview",
    "Report": "report.summary",
    "ReportOptions": "options",
    "Reported": "pages.made",
    "ShardWriter": "shard_writer",
    "SharderError": "errors",
    "Silent": "monitor.monitor",
    "Status": "status",
    "StatusOptions": "options",
    "Verdict": "verify.verdict",
    "VerifyOptions": "options",
    "convert": "coordinator",
    "index_shards": "indexes.command",
    "inspect_shards": "inspection.command",
    "preview": "coordinator",
    "report_shards": "pages.command",
    "status_of": "status",
    "verify_shards": "verify.command",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
