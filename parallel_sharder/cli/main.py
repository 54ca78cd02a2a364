"""The main function: it runs a command line, prints the result or a sentence for an error, and returns an exit status.

Without a command's name it converts; `verify` verifies, `index` indexes, `status` shows how far sets are, `inspect`
what is in shards, and `report` makes a page of them. Exit status:
0 done; 1 stopped by an error, or deviations found; 2 wrong command line; 3 finished, some samples left out (by verify:
nothing deviates, but samples of the source are left out; by status: something is missing); 130 (SIGINT), 143 (SIGTERM)
or 129 (SIGHUP) stopped by a signal. The result is written to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parallel_sharder.cli.parsers import COMMAND, AnyOptions, parse
from parallel_sharder.cli.signals import InterruptedBySignal, raising_signals
from parallel_sharder.cli.streams import complain, open_standard_files, print_result
from parallel_sharder.engines.limits import explaining_errors
from parallel_sharder.errors import OptionsError, SharderError, options_as_typed
from parallel_sharder.options import IndexOptions, InspectOptions, Options, ReportOptions, StatusOptions, VerifyOptions
from parallel_sharder.text import shards_done

if TYPE_CHECKING:
    from parallel_sharder import Indexed, Inspected, Preview, Report, Reported, Status, Verdict
    from parallel_sharder.monitor.monitor import Monitor

_STARTED = time.time()
"""The time of the start. A journal that is older is another run's."""


@options_as_typed()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit status."""
    open_standard_files()
    # numpy is imported later. It would start one thread for each core, for linear algebra that is not used here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    options: AnyOptions | None = None
    try:
        arguments, options = parse(list(sys.argv[1:] if argv is None else argv))
        with raising_signals(), explaining_errors():
            return _run(options, arguments)
    except SharderError as error:
        complain(str(error))
        return error.exit_code
    except InterruptedBySignal as error:
        complain(f"stopped by {error.signal.name}. {_how_to_continue(error.options or options)}")
        return 128 + error.signal


def _how_to_continue(options: AnyOptions | None) -> str:
    if isinstance(options, IndexOptions):
        return "The same command writes the rest; every file that is there is whole."
    if not isinstance(options, Options):
        return "What was found so far is not shown."
    from parallel_sharder.journal.past import progress_of
    from parallel_sharder.staging.stage import is_stage

    path = options.journal_path
    progress = progress_of(path, options.place)
    if progress is None or (options.overwrite and _is_older(path)):
        stage = options.stage_folder or options.pattern.files.stage
        if is_stage(stage):
            return f"No shard was written yet. The same command goes on with what is staged in {stage}."
        return "Nothing was written yet."
    words = [word for word in _as_typed() if word != "--overwrite"]  # it would remove what is done
    return f"{shards_done(*progress)}. Continue with: {shlex.join(words)}"


def _is_older(path: str) -> bool:
    """Return whether this process has not written the journal at `path`."""
    return not os.path.exists(path) or os.path.getmtime(path) < _STARTED


def _as_typed() -> list[str]:
    """Return the command line as it was typed; of an installed command, Python itself has only the script's path."""
    script = sys.argv[0]
    if os.path.basename(script) != COMMAND:
        return sys.orig_argv
    found = shutil.which(COMMAND)
    return [COMMAND if found and os.path.samefile(found, script) else script, *sys.argv[1:]]


def _run(options: AnyOptions, arguments: argparse.Namespace) -> int:
    """Run the command, print its result, and return its exit status."""
    is_shown = isinstance(options, InspectOptions) and options.show
    if is_shown:
        _refuse_no_terminal(arguments)
    result = _result(options, arguments, _monitor(arguments))
    text = json.dumps(result.json(), indent=1) if arguments.json else result.text()
    if isinstance(options, Options) and not (arguments.json or arguments.quiet):
        from parallel_sharder import Report

        if isinstance(result, Report) and not result.missing:
            text += f"\n\n{result.example()}"
    print_result(text)
    if is_shown:
        _show(result)
    return result.exit_code


def _refuse_no_terminal(arguments: argparse.Namespace) -> None:
    """Raise OptionsError if no image can be drawn, and MissingPackageError without the package that draws it."""
    from parallel_sharder.cli.terminal_picture import has_colours, refuse_without_package

    if arguments.json or sys.stdout is None or not sys.stdout.isatty():
        raise OptionsError(["--show draws in a terminal, and the output goes elsewhere; --extract writes the image"])
    refuse_without_package()
    if 0 in os.get_terminal_size(sys.stdout.fileno()):
        raise OptionsError(["--show needs the size of the terminal, which tells none; --extract writes the image"])
    if not has_colours():
        raise OptionsError(["--show needs a terminal with colours (TERM names another); --extract writes the image"])


def _show(result: Any) -> None:
    from parallel_sharder.cli.terminal_picture import show

    picture = result.one.picture()
    if picture is None:
        complain("this sample has no image that could be shown.")
    else:
        show(picture)


def _result(
    options: AnyOptions, arguments: argparse.Namespace, monitor: Monitor
) -> Preview | Report | Verdict | Indexed | Inspected | Reported | Status:
    if isinstance(options, VerifyOptions):
        from parallel_sharder.verify.command import verify_shards

        return verify_shards(options, monitor)
    if isinstance(options, IndexOptions):
        from parallel_sharder.indexes.command import index_shards

        return index_shards(options, monitor)
    if isinstance(options, InspectOptions):
        from parallel_sharder.inspection.command import inspect_shards

        return inspect_shards(options, monitor)
    if isinstance(options, ReportOptions):
        from parallel_sharder.pages.command import report_shards

        return report_shards(options, monitor)
    if isinstance(options, StatusOptions):
        from parallel_sharder.status import status_of

        return status_of(options)
    from parallel_sharder import coordinator

    return coordinator.preview(options, monitor) if arguments.dry_run else coordinator.convert(options, monitor)


def _monitor(arguments: argparse.Namespace) -> Monitor:
    """Return the silent monitor for --quiet, the terminal's monitor for a terminal, and the log for anything else."""
    if arguments.quiet or sys.stderr is None:
        from parallel_sharder.monitor.monitor import Silent

        return Silent()
    if sys.stderr.isatty():
        from parallel_sharder.monitor.terminal import Terminal

        return Terminal(sys.stderr)
    from parallel_sharder.monitor.log import Log

    return Log(sys.stderr)
