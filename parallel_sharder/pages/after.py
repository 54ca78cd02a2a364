"""After a conversion: the page that `--report` asks for. Nothing else of this room is loaded without it."""

from __future__ import annotations

from dataclasses import replace

from parallel_sharder.errors import SharderError
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import Options, ReportOptions
from parallel_sharder.report.summary import Report


def ready_for_page(options: Options) -> None:
    """Raise MissingPackageError if the options ask for a page, and a package is missing that it needs."""
    if options.report:
        from parallel_sharder.pages.render import refuse_without_packages

        refuse_without_packages()


def with_page(report: Report, options: Options, monitor: Monitor | None) -> Report:
    """Return the report of a finished conversion, with the page that the options ask for.

    That the page cannot be made is a notice, and no error: the shards are whole. A node that is not the last makes no
    page, because the set is not finished.
    """
    if not options.report or report.missing:
        return report
    from parallel_sharder.pages.command import report_shards

    try:
        made = report_shards(ReportOptions(dest=report.manifest_path, workers=options.host_workers), monitor)
    except (Exception, KeyboardInterrupt) as error:  # whatever it is, the shards are whole and listed
        is_ours, is_stopped = isinstance(error, SharderError), isinstance(error, KeyboardInterrupt)
        words = str(error) if is_ours else "it was interrupted." if is_stopped else f"{type(error).__name__}: {error}."
        notice = f"The report page was not written: {words} The set is finished all the same."
        return replace(report, notices=(*report.notices, notice))
    return replace(report, page_path=made.pages[0].path)
