"""The command line: argv to Options, errors to a sentence and an exit code.

Exit status: 0 all stored; 1 stopped by an error; 2 wrong command line; 3 finished, some samples left out; 130
(SIGINT) or 143 (SIGTERM) stopped by a signal. The summary goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parallel_sharder import __version__
from parallel_sharder.errors import OptionsError, SharderError
from parallel_sharder.options import DEFAULT_DEST, Options, parse_size

if TYPE_CHECKING:
    from parallel_sharder.report import Preview, Report

_EXAMPLES = """\
examples:
  the training set, in the folder that holds train/ and ILSVRC2012_devkit_t12/:
    parallel-sharder --workers 32
  the validation set, into another folder:
    parallel-sharder --root /data/imagenet --split val --dest /shards/imagenet_val-%06d.tar
  what would be done, without doing it:
    parallel-sharder --root /data/imagenet --dry-run
  labels 0 to 999 as torchvision and timm number them:
    parallel-sharder --root /data/imagenet --labels sorted
  compressed shards of at most 256 MiB:
    parallel-sharder --root /data/imagenet --maxsize 256MiB --dest /shards/train-%06d.tar.zst
  exactly 128 shards, say for 128 readers:
    parallel-sharder --root /data/imagenet --maxsize 2GB --shards 128
  Kaggle's download, unpacked:
    parallel-sharder --root /data/imagenet-object-localization-challenge
  from a script:
    parallel-sharder --root /data/imagenet --json >summary.json

exit status:
  0 all samples stored; 1 stopped by an error; 2 wrong command line; 3 finished, some samples left out (they are
  named); 130 or 143 stopped by Ctrl-C or SIGTERM
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: paths can hold any bytes
    arguments = _parser().parse_args(argv)
    try:
        options = _options(arguments)
        with _signals():
            return _run(options, arguments)
    except SharderError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:
        _complain(str(error))
        return 1
    except _InterruptedError as error:
        _complain(f"stopped by {error.signal.name}. {_how_to_continue(options)}")
        return 128 + error.signal


class _InterruptedError(KeyboardInterrupt):
    """The signal that stopped the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Within, the first SIGINT, SIGTERM or SIGHUP raises _InterruptedError, and a second ends the process at once."""
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        if caught:
            os._exit(128 + number)  # workers notice and follow; no file has its final name before it is whole
        caught.append(number)
        raise _InterruptedError(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _how_to_continue(options: Options) -> str:
    from parallel_sharder.journal import progress_of

    progress = progress_of(options.pattern.journal_path)
    if progress is None:
        return "Nothing was written yet."
    done, shards = progress
    return f"{done:,} of {shards:,} shards are done. Continue with: {shlex.join(sys.orig_argv)}"


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):
        print(f"parallel-sharder: {message}", file=sys.stderr, flush=True)


def _run(options: Options, arguments: argparse.Namespace) -> int:
    from parallel_sharder import coordinator, monitor  # numpy comes with them, and --help does without

    watcher: monitor.Monitor
    if arguments.quiet or sys.stderr is None:
        watcher = monitor.Silent()
    elif sys.stderr.isatty():
        watcher = monitor.Terminal(sys.stderr)
    else:
        watcher = monitor.Log(sys.stderr)
    run = coordinator.preview if arguments.dry_run else coordinator.convert
    result: Preview | Report = run(options, watcher)
    try:
        print(json.dumps(result.json(), indent=1) if arguments.json else result.text(), flush=True)
    except OSError as error:
        _complain(f"the summary could not be printed: {error.strerror}; what it would have said is done all the same")
        sys.stdout = None  # or Python would try again at exit
    return result.exit_code


def _options(arguments: argparse.Namespace) -> Options:
    """Options from the parsed words; raises OptionsError with the complaints about all of them."""
    complaints: list[str] = []

    def number(name: str, parse: Callable[[str], int] = int) -> int | None:
        text = getattr(arguments, name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            complaints.append(f"--{name}: {error if parse is parse_size else f'{text!r} is not a whole number'}")
            return None

    numbers = {name: number(name) for name in ("workers", "maxcount", "shards", "seed")}
    numbers["maxsize"] = number("maxsize", parse_size)
    given = {name: value for name, value in numbers.items() if value is not None}
    try:
        options = Options(
            root=arguments.root,
            split=arguments.split,
            dest=arguments.dest,
            shuffle=not arguments.no_shuffle,
            labels=arguments.labels,
            on_bad=arguments.on_bad,
            xml_root=arguments.xml_root,
            meta=arguments.meta,
            start_method=arguments.start_method,
            overwrite=arguments.overwrite,
            check=arguments.check,
            **given,
        )
    except OptionsError as error:
        complaints += error.complaints
    if complaints:
        raise OptionsError(complaints)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parallel-sharder",
        description="Turn a raw ImageNet into WebDataset shards, in parallel, the same bytes every time.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    source = parser.add_argument_group("source")
    source.add_argument("--root", metavar="DIR", type=Path, default=Path(), help="the raw data set (default: .)")
    source.add_argument("--split", metavar="train|val|test", default="train", help="which part of it (default: train)")
    source.add_argument(
        "--labels",
        metavar="devkit|sorted",
        default="devkit",
        help="devkit: 1..1000 by ILSVRC2012_ID (default); sorted: 0..999 by sorted wnid, as torchvision and timm",
    )
    source.add_argument(
        "--xml-root", metavar="DIR", type=Path, help="annotations in a tree of their own (default: found by itself)"
    )
    source.add_argument(
        "--meta",
        metavar="FILE",
        type=Path,
        help="class list elsewhere: meta.mat, or a text file of 'wnid words' lines (default: found by itself)",
    )
    source.add_argument(
        "--on-bad",
        metavar="skip|keep|fail",
        default="skip",
        help="broken samples: leave out and list (default), store the image as it is, or stop at the first",
    )
    shards = parser.add_argument_group("shards")
    shards.add_argument(
        "--dest",
        metavar="PATTERN",
        default=DEFAULT_DEST,
        help="where shards go: a pattern with %%0Nd, ending in .tar, .tgz, .tar.gz or .tar.zst, or a folder "
        f"(default: {DEFAULT_DEST.replace('%', '%%')})",
    )
    shards.add_argument(
        "--maxsize",
        metavar="SIZE",
        help="no shard is larger, everything in the tar counted, before compression: 1e9, 500MB, 1GiB (default: 1e9)",
    )
    shards.add_argument("--maxcount", metavar="N", help="no shard holds more samples (default: no limit)")
    shards.add_argument("--shards", metavar="N", help="exactly so many shards (default: as few as the limits allow)")
    shards.add_argument("--seed", metavar="N", help="seed of the shuffle, 0 to 2**64 - 1 (default: 0)")
    shards.add_argument("--no-shuffle", action="store_true", help="store in the order of the keys")
    run = parser.add_argument_group("run")
    run.add_argument(
        "--workers", metavar="N", help="worker processes; 0 runs in this process (default: the cores it may use)"
    )
    run.add_argument(
        "--start-method",
        metavar="NAME",
        help="how workers are started: forkserver, spawn or fork (default: the first of them there is)",
    )
    run.add_argument(
        "--check", action="store_true", help="when continuing, read the finished shards and compare their digests"
    )
    run.add_argument(
        "--overwrite", action="store_true", help="start anew, removing what an earlier run has recorded as its own"
    )
    run.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    run.add_argument("--quiet", action="store_true", help="print the summary and errors alone")
    run.add_argument("--json", action="store_true", help="print the summary as JSON")
    run.add_argument("--version", action="version", version=f"parallel-sharder {__version__}")
    return parser
