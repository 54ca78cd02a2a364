"""The command line: argv to Options, errors to a sentence and an exit code.

Without a command's name it converts; `verify` verifies, `index` indexes. Exit status: 0 done; 1 stopped by an error, or
deviations found; 2 wrong command line; 3 finished, some samples left out; 130 (SIGINT), 143 (SIGTERM) or 129 (SIGHUP)
stopped by a signal. The summary goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from parallel_sharder import __version__
from parallel_sharder.errors import OptionsError, SharderError
from parallel_sharder.options import DEFAULT_DEST, INDEXES, IndexOptions, Options, VerifyOptions, parse_size

if TYPE_CHECKING:
    from parallel_sharder.report import Indexed, Preview, Report, Verdict

AnyOptions = Options | VerifyOptions | IndexOptions

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
  boxes and sizes in one shape, the indexes of all readers, and a dataset card:
    parallel-sharder --root /data/imagenet --dest /shards --annotations boxes --index all --card
  Kaggle's download, unpacked:
    parallel-sharder --root /data/imagenet-object-localization-challenge
  from a script:
    parallel-sharder --root /data/imagenet --json >summary.json

  finished shards, read again (see parallel-sharder verify --help):
    parallel-sharder verify /shards --source /data/imagenet
  indexes of finished shards, for DALI and others (see parallel-sharder index --help):
    parallel-sharder index /shards --for dali,timm

exit status:
  0 all samples stored; 1 stopped by an error; 2 wrong command line; 3 finished, some samples left out (they are
  named); 130 or 143 stopped by Ctrl-C or SIGTERM
"""


_VERIFY_EXAMPLES = """\
examples:
  the sets in a folder, against their manifests:
    parallel-sharder verify /shards
  one set, and each of its samples against the raw data set:
    parallel-sharder verify /shards/imagenet_train.json --source /data/imagenet

exit status:
  0 nothing deviates; 1 deviations were found (they are named), or an error; 2 wrong command line; 130 or 143 stopped by
  Ctrl-C or SIGTERM
"""


_INDEX_EXAMPLES = """\
examples:
  for NVIDIA DALI and timm, of all shards in a folder:
    parallel-sharder index /shards --for dali,timm
  for wids, with MD5, of shards that another tool has made:
    parallel-sharder index '/shards/cc3m-%05d.tar' --for wids --md5
"""


_STARTED = time.time()
"""A journal that has not been touched since is not of this run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: paths can hold any bytes
    # numpy is not here yet; when it comes, it starts a thread a core for linear algebra that nobody asks for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    options: AnyOptions | None = None
    try:
        arguments, options = _parse(list(sys.argv[1:] if argv is None else argv))
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

    # One that is ignored stays ignored: so nohup, and shells for what they start in the background, want it.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _how_to_continue(options: AnyOptions | None) -> str:
    if isinstance(options, IndexOptions):
        return "The same command writes the rest; every file that is there is whole."
    if not isinstance(options, Options):
        return "What was found so far is not shown."
    from parallel_sharder.journal import progress_of

    path = options.pattern.journal_path
    progress = progress_of(path)
    if progress is None or (options.overwrite and os.path.getmtime(path) < _STARTED):
        return "Nothing was written yet."
    done, shards = progress
    words = [word for word in sys.orig_argv if word != "--overwrite"]  # which would throw away what is done
    return f"{done:,} of {shards:,} shards are done. Continue with: {shlex.join(words)}"


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):
        print(f"parallel-sharder: {message}", file=sys.stderr, flush=True)


def _run(options: AnyOptions, arguments: argparse.Namespace) -> int:
    from parallel_sharder import monitor  # what is imported here and below, --help does without

    watcher: monitor.Monitor
    if arguments.quiet or sys.stderr is None:
        watcher = monitor.Silent()
    elif sys.stderr.isatty():
        watcher = monitor.Terminal(sys.stderr)
    else:
        watcher = monitor.Log(sys.stderr)
    result: Preview | Report | Verdict | Indexed
    if isinstance(options, VerifyOptions):
        from parallel_sharder.verify import verify_shards

        result = verify_shards(options, watcher)
    elif isinstance(options, IndexOptions):
        from parallel_sharder.indexer import index_shards

        result = index_shards(options, watcher)
    else:
        from parallel_sharder import coordinator

        result = (coordinator.preview if arguments.dry_run else coordinator.convert)(options, watcher)
    try:
        print(json.dumps(result.json(), indent=1) if arguments.json else result.text(), flush=True)
    except OSError as error:
        _complain(f"the summary could not be printed: {error.strerror}; what it would have said is done all the same")
        sys.stdout = None  # or Python would try again at exit
    return result.exit_code


def _parse(words: list[str]) -> tuple[argparse.Namespace, AnyOptions]:
    """The words as argparse has them, and as the options they mean. Raises OptionsError with all complaints."""
    if words[:1] == ["verify"]:
        arguments = _verify_parser().parse_args(words[1:])
        return arguments, _made(VerifyOptions, arguments, "workers")
    if words[:1] == ["index"]:
        arguments = _index_parser().parse_args(words[1:])
        return arguments, _made(IndexOptions, arguments, "workers")
    arguments = _parser().parse_args(words)
    return arguments, _made(Options, arguments, "workers", "maxcount", "shards", "seed", "maxsize")


T = TypeVar("T", Options, VerifyOptions, IndexOptions)


def _made(make: type[T], arguments: argparse.Namespace, *numbers: str) -> T:
    """The options of this kind that the parsed words give: each field from the option of its name, `numbers` as such.

    Raises OptionsError with the complaints about all of them.
    """
    complaints: list[str] = []
    names = {field.name for field in dataclasses.fields(make)}
    choices = {name: value for name, value in vars(arguments).items() if name in names and name not in numbers}
    for name in numbers:
        number = _number(arguments, name, complaints, parse_size if name == "maxsize" else int)
        if number is not None:
            choices[name] = number
    try:
        options = make(**choices)
    except OptionsError as error:
        complaints += error.complaints
    if complaints:
        raise OptionsError(complaints)
    return options


def _number(
    arguments: argparse.Namespace, name: str, complaints: list[str], parse: Callable[[str], int] = int
) -> int | None:
    """The number that option `name` gives; None if it is not given, or if it is none and that joins the complaints."""
    text = getattr(arguments, name)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        complaints.append(f"--{name}: {error if parse is parse_size else f'{text!r} is not a whole number'}")
        return None


def _verify_parser() -> argparse.ArgumentParser:
    parser = _new_parser(
        "parallel-sharder verify",
        "Read finished shards again, with other code than wrote them, and name all that deviates from their manifest "
        "and, with --source, from the raw data set.",
        _VERIFY_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of finished sets, a pattern with %%0Nd, or a manifest")
    parser.add_argument("--source", metavar="ROOT", type=Path, help="the raw data set to compare every sample with")
    parser.add_argument("--xml-root", metavar="DIR", type=Path, help="as in the conversion, if it was used there")
    parser.add_argument("--meta", metavar="FILE", type=Path, help="as in the conversion, if it was used there")
    parser.add_argument("--layout", metavar="NAME", help="as in the conversion, if it was used there")
    _add_run(parser, "the verdict", "the verdict as JSON, with all deviations")
    return parser


def _index_parser() -> argparse.ArgumentParser:
    parser = _new_parser(
        "parallel-sharder index",
        "Write the indexes that single readers want beside finished shards, anybody's, from their headers alone.",
        _INDEX_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of shards, or a pattern with %%0Nd")
    parser.add_argument(
        "--for",
        dest="readers",
        metavar="NAMES",
        default="wids",
        help=f"some of {','.join(INDEXES)}, or all (default: wids)",
    )
    parser.add_argument("--md5", action="store_true", help="add the MD5 of each shard for wids; reads all of it")
    _add_run(parser, "the summary", "the summary as JSON")
    return parser


def _new_parser(prog: str, description: str, examples: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_run(parser: argparse.ArgumentParser, result: str, as_json: str) -> None:
    """The options that verify and index share: how they run, and how they tell of it."""
    parser.add_argument("--workers", metavar="N", help="worker processes; 0 runs in this process (default: the cores)")
    parser.add_argument("--quiet", action="store_true", help=f"print {result} and errors alone")
    parser.add_argument("--json", action="store_true", help=f"print {as_json}")


def _parser() -> argparse.ArgumentParser:
    parser = _new_parser(
        "parallel-sharder",
        "Turn a raw ImageNet into WebDataset shards, in parallel, the same bytes every time.",
        _EXAMPLES,
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
        "--layout",
        metavar="NAME",
        help="what to read where there are several: tree or kaggle (unpacked), archives or zip (as downloaded)",
    )
    source.add_argument(
        "--check-archives",
        action="store_true",
        help="first compare the official archives with their published MD5",
    )
    source.add_argument(
        "--xml-root",
        metavar="PATH",
        type=Path,
        help="annotations in a tree or tar archive of their own (default: found by itself)",
    )
    source.add_argument(
        "--meta",
        metavar="FILE",
        type=Path,
        help="class list elsewhere: meta.mat, the devkit's archive, or a text of 'wnid words' lines "
        "(default: found by itself)",
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
    shards.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="store in the order of the keys")
    shards.add_argument(
        "--annotations",
        metavar="original|boxes|none",
        default="original",
        help="form of the JSON: as the XML has it (default), boxes and sizes in one shape for all samples, or neither",
    )
    shards.add_argument(
        "--index",
        metavar="NAMES",
        default="wids",
        help=f"what readers want beside the shards: some of {','.join(INDEXES)}, or all, or none (default: wids, which "
        "is the manifest, and there in any case)",
    )
    shards.add_argument("--md5", action="store_true", help="add the MD5 of each shard to the manifest, for wids")
    shards.add_argument(
        "--card", action="store_true", help="write a dataset card, README.md, of all finished sets in the folder"
    )
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
