"""The command line: argv to Options, errors to a sentence and an exit code.

Without a command's name it converts; `verify` verifies, `index` indexes. Exit status: 0 done; 1 stopped by an error, or
deviations found; 2 wrong command line; 3 finished, some samples left out (verify says so too, of a source); 130
(SIGINT), 143 (SIGTERM) or 129 (SIGHUP) stopped by a signal. The summary goes to standard output, everything else to
standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import io
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeVar

from parallel_sharder import __version__
from parallel_sharder.errors import OptionsError, SharderError, options_as_typed
from parallel_sharder.limits import stopping_in_words
from parallel_sharder.options import DEFAULT_DEST, INDEXES, SPLITS, IndexOptions, Options, VerifyOptions
from parallel_sharder.text import shards_done, shown

AnyOptions = Options | VerifyOptions | IndexOptions

_NAME = "parallel-sharder"

_COMMANDS = ("verify", "index")

_ELSEWHERE = {
    "--workers": ("threads", "jobs", "job", "j", "n-jobs", "nproc", "np", "processes", "procs", "cores", "num-workers"),
    "--root": (
        "source",
        "src",
        "data",
        "data-dir",
        "data-root",
        "data-path",
        "dataset",
        "input",
        "input-dir",
        "i",
        "in",
    ),
    "--dest": ("out", "output", "output-dir", "out-dir", "outdir", "o", "dst", "target", "destination", "pattern"),
    "--maxsize": ("size", "shard-size", "bytes"),
    "--maxcount": ("count", "samples", "samples-per-shard"),
    "--shards": ("num-shards", "n-shards"),
    "--overwrite": ("force", "f"),
    "--index": ("for",),
    "--quiet": ("q", "silent"),
    "--dry-run": ("n", "preview"),
}
"""What options are called in other tools, without hyphens before it, where they are not spelled alike."""

_MEANT = {
    _NAME: {
        "--verify": f"the command {_NAME} verify DEST",
        "--resume": "the same command without it, which continues",
    },
    f"{_NAME} verify": {"--root": "--source", "--dest": "DEST", "--index": f"the command {_NAME} index DEST"},
    f"{_NAME} index": {"--index": "--for", "--dest": "DEST", "--root": "DEST"},
}
"""Options of one command that are something else in another."""

_ARGPARSE = {
    "^argument ": "",
    ": not allowed with argument (.*)": r" and \1 exclude each other",
    ": expected one argument": " needs a value",
    ": ignored explicit argument ": " takes no value, and has ",
    "^the following arguments are required: (.*)": r"\1 is missing",
}
"""Its refusals in our words."""

_USAGE = """\
parallel-sharder [option ...]              convert a raw data set
       parallel-sharder verify DEST [option ...]  read finished shards again
       parallel-sharder index DEST [option ...]   write indexes of finished shards for readers"""

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
  named); 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP
"""


_VERIFY_EXAMPLES = """\
examples:
  the sets in a folder, against their manifests:
    parallel-sharder verify /shards
  one set, and each of its samples against the raw data set:
    parallel-sharder verify /shards/imagenet_train.json --source /data/imagenet

exit status:
  0 nothing deviates; 1 deviations were found (they are named), or an error; 2 wrong command line; 3 nothing deviates,
  and the set is known to lack samples of its --source; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP
"""


_INDEX_EXAMPLES = """\
examples:
  for NVIDIA DALI and timm, of all shards in a folder:
    parallel-sharder index /shards --for dali,timm
  for wids, with MD5, of shards that another tool has made:
    parallel-sharder index '/shards/cc3m-%05d.tar' --for wids --md5

exit status:
  0 all written; 1 stopped by an error; 2 wrong command line; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP
"""


_STARTED = time.time()
"""A journal that has not been touched since is not of this run."""


@options_as_typed()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit status."""
    _open_standard_files()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: paths can hold any bytes
    # numpy is not here yet; when it comes, it starts a thread a core for linear algebra that nobody asks for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    options: AnyOptions | None = None
    try:
        arguments, options = _parse(list(sys.argv[1:] if argv is None else argv))
        with _signals(), stopping_in_words():
            return _run(options, arguments)
    except SharderError as error:
        _complain(str(error))
        return error.exit_code
    except _InterruptedError as error:
        _complain(f"stopped by {error.signal.name}. {_how_to_continue(options)}")
        return 128 + error.signal


def _open_standard_files() -> None:
    """Let no other file have the number of a standard one that is closed: what a worker says would be written there."""
    with contextlib.suppress(OSError):  # without /dev/null, it stays as it is
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)


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

    path = options.pattern.files.journal
    progress = progress_of(path)
    if progress is None or (options.overwrite and os.path.getmtime(path) < _STARTED):
        return "Nothing was written yet."
    words = [word for word in _as_typed() if word != "--overwrite"]  # which would throw away what is done
    return f"{shards_done(*progress)}. Continue with: {shlex.join(words)}"


def _as_typed() -> list[str]:
    """The command line with its first words: for an installed command Python has its own before them."""
    script = sys.argv[0]
    if os.path.basename(script) != _NAME:
        return sys.orig_argv
    found = shutil.which(_NAME)
    return [_NAME if found and os.path.samefile(found, script) else script, *sys.argv[1:]]


def _print(text: str) -> None:
    """Print to standard output. Where nobody reads that any more, nothing is said; of other errors there is a word."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = None  # or Python would try again at exit
        if not isinstance(error, BrokenPipeError):
            _complain(f"standard output cannot be written: {error.strerror}. All else is done.")


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):
        print(f"parallel-sharder: {shown(message)}", file=sys.stderr, flush=True)


def _run(options: AnyOptions, arguments: argparse.Namespace) -> int:
    from parallel_sharder import monitor, report  # what is imported here and below, --help does without

    watcher: monitor.Monitor
    if arguments.quiet or sys.stderr is None:
        watcher = monitor.Silent()
    elif sys.stderr.isatty():
        watcher = monitor.Terminal(sys.stderr)
    else:
        watcher = monitor.Log(sys.stderr)
    result: report.Preview | report.Report | report.Verdict | report.Indexed
    if isinstance(options, VerifyOptions):
        from parallel_sharder.verify import verify_shards

        result = verify_shards(options, watcher)
    elif isinstance(options, IndexOptions):
        from parallel_sharder.indexer import index_shards

        result = index_shards(options, watcher)
    else:
        from parallel_sharder import coordinator

        result = (coordinator.preview if arguments.dry_run else coordinator.convert)(options, watcher)
    text = json.dumps(result.json(), indent=1) if arguments.json else result.text()
    if isinstance(result, report.Report) and not (arguments.json or arguments.quiet):
        text += f"\n\n{result.example()}"
    _print(text)
    return result.exit_code


def _parse(words: list[str]) -> tuple[argparse.Namespace, AnyOptions]:
    """The words as argparse has them, and as the options they mean. Raises OptionsError with all complaints."""
    _refuse_unknown_command(words)
    if words[:1] == ["verify"]:
        arguments = _verify_parser().parsed(words[1:])
        return arguments, _made(VerifyOptions, arguments, "workers")
    if words[:1] == ["index"]:
        arguments = _index_parser().parsed(words[1:])
        return arguments, _made(IndexOptions, arguments, "workers")
    arguments = _parser().parsed(words)
    return arguments, _made(Options, arguments, "workers", "maxcount", "shards", "seed")


def _refuse_unknown_command(words: Sequence[str]) -> None:
    """Raise OptionsError if the first word should be a command, with the nearest; its options are not this one's."""
    if words and not words[0].startswith("-") and words[0] not in (*_COMMANDS, *SPLITS) and _near_command(words[0]):
        raise OptionsError([_unknown_word(words[:1], _NAME, False)])


def _near_command(word: str) -> str:
    """The command that was probably meant by `word`, "" for what may be a path."""
    if "/" in word or word.startswith(("~", ".")) or os.path.exists(word):
        return ""
    meant = {"check": "verify", "validate": "verify"}
    near = difflib.get_close_matches(word, (*_COMMANDS, "convert", "help"), 1)
    return meant.get(word, near[0] if near else "")


T = TypeVar("T", Options, VerifyOptions, IndexOptions)


def _made(make: type[T], arguments: argparse.Namespace, *numbers: str) -> T:
    """The options of this kind that the parsed words give: each field from the option of its name, `numbers` as such.

    Raises OptionsError with the complaints about all of them.
    """
    complaints: list[str] = []
    names = {field.name for field in dataclasses.fields(make)}
    choices = {name: value for name, value in vars(arguments).items() if name in names}
    for name in choices.keys() & numbers:
        try:
            choices[name] = int(choices[name])
        except ValueError:
            complaints.append(f"--{name}: {choices.pop(name)!r} is not a whole number")
    try:
        options = make(**choices)
    except OptionsError as error:
        complaints += error.complaints
    if complaints:
        raise OptionsError(complaints)
    return options


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are OptionsErrors of a sentence or two. What is not given is no attribute."""

    def __init__(self, prog: str, description: str, examples: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # each option's default is the field's
        )
        self.set_defaults(quiet=False, json=False, dry_run=False)

    def parsed(self, words: Sequence[str]) -> argparse.Namespace:
        """The words as argparse has them. Raises OptionsError for one that no option takes, with the nearest."""
        arguments, strange = self.parse_known_args(words)
        for word in strange:
            if word in _COMMANDS and self.prog == _NAME:
                raise OptionsError([_unknown_word([word], self.prog, False)])
        for word in strange:
            if word.startswith("-"):
                raise OptionsError([self._unknown_option(word.partition("=")[0])])
        if strange:
            raise OptionsError([_unknown_word(strange, self.prog, "root" in arguments)])
        return arguments

    def error(self, message: str) -> NoReturn:
        """As argparse calls it."""
        for theirs, ours in _ARGPARSE.items():
            message = re.sub(theirs, ours, message)
        raise OptionsError([f"{message}. {self.prog} --help shows all options."])

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002
        """As argparse calls it for --help and --version."""
        _print(message.rstrip("\n"))

    def _unknown_option(self, word: str) -> str:
        options = [option for action in self._actions for option in action.option_strings]
        plain = "--" + word.lstrip("-").replace("_", "-").lower()
        near = [option for option in options if option.startswith(plain)]
        near = near or difflib.get_close_matches(plain, options, cutoff=0.7)[:1]
        here = _MEANT[self.prog]
        usual = next((option for option, words in _ELSEWHERE.items() if plain[2:] in words), plain)
        if (meant := here.get(usual, usual)) in options or usual in here:
            near = [meant]
        hint = f"Did you mean {' or '.join(near)}?" if near else f"{self.prog} --help shows all options."
        return f"there is no option {word}{self.prog.removeprefix(_NAME).replace(' ', ' of ')}. {hint}"


def _unknown_word(words: Sequence[str], prog: str, has_root: bool) -> str:
    """What is wrong with the first of the words that belong to no option, and what was probably meant."""
    word, *more = map(shlex.quote, words)
    if prog != _NAME:
        return f"{word} is one word too many: {prog} takes one DEST."
    if word in _COMMANDS:
        return f"{word} is a command, which comes first: write {prog} {word} DEST."
    if word in SPLITS:
        return f"{word} belongs to no option. Name the split with --split {word}."
    near = _near_command(words[0])
    if near == "convert":
        return f"there is no command {word}: without a command, {prog} converts. Leave {word} out."
    if near:
        return f"there is no command {word}. Did you mean {prog} {'--help' if near == 'help' else near}?"
    if has_root:
        return f"{word} belongs to no option. Where shards go is named with --dest {word}."
    dest = f", and where shards go with --dest {more[0]}" if len(more) == 1 else ""
    return f"{word} belongs to no option. Name the data set with --root {word}{dest}."


def _verify_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder verify",
        "Read finished shards again, with other code than wrote them, and name all that deviates from their manifest "
        "and, with --source, from the raw data set.",
        _VERIFY_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of finished sets, a pattern with %%0Nd, or a manifest")
    parser.add_argument("--source", metavar="ROOT", help="the raw data set to compare every sample with")
    parser.add_argument("--xml-root", metavar="DIR", help="as in the conversion, if it was used there")
    parser.add_argument("--meta", metavar="FILE", help="as in the conversion, if it was used there")
    parser.add_argument("--layout", metavar="NAME", help="as in the conversion, if it was used there")
    _add_run(parser, "the verdict", "the verdict as JSON, with all deviations")
    return parser


def _index_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder index",
        "Write the indexes that single readers want beside finished shards, anybody's, from their headers alone.",
        _INDEX_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of shards, or a pattern with %%0Nd")
    parser.add_argument(
        "--for",
        dest="readers",
        metavar="NAMES",
        help=f"some of {','.join(INDEXES)}, or all (default: wids)",
    )
    parser.add_argument("--md5", action="store_true", help="add the MD5 of each shard for wids; reads all of it")
    _add_run(parser, "the summary", "the summary as JSON")
    return parser


def _add_run(parser: _Parser, result: str, as_json: str) -> None:
    """The options that verify and index share: how they run, and how they tell of it."""
    parser.add_argument("--workers", metavar="N", help="worker processes; 0 runs in this process (default: the cores)")
    parser.add_argument("--quiet", action="store_true", help=f"print {result} and errors alone")
    parser.add_argument("--json", action="store_true", help=f"print {as_json}")


def _parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder",
        "Turn a raw ImageNet into WebDataset shards, in parallel, the same bytes every time. Other data sets are not\n"
        "taken; for these there is ShardWriter, which Python code hands its samples to (see the README).",
        _EXAMPLES,
        _USAGE,
    )
    source = parser.add_argument_group("source")
    source.add_argument("--root", metavar="DIR", help="the raw data set (default: .)")
    source.add_argument("--split", metavar="train|val|test", help="which part of it (default: train)")
    source.add_argument(
        "--labels",
        metavar="devkit|sorted",
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
        help="annotations in a tree or tar archive of their own (default: found by itself)",
    )
    source.add_argument(
        "--meta",
        metavar="FILE",
        help="class list elsewhere: meta.mat, the devkit's archive, or a text of 'wnid words' lines "
        "(default: found by itself)",
    )
    source.add_argument(
        "--on-bad",
        metavar="skip|keep|fail",
        help="broken samples: leave out and list (default), store the image as it is, or stop at the first",
    )
    shards = parser.add_argument_group("shards")
    shards.add_argument(
        "--dest",
        metavar="PATTERN",
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
    order = shards.add_mutually_exclusive_group()
    order.add_argument("--seed", metavar="N", help="seed of the shuffle, 0 to 2**64 - 1 (default: 0)")
    order.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="store in the order of the keys")
    shards.add_argument(
        "--annotations",
        metavar="original|boxes|none",
        help="form of the JSON: as the XML has it (default), boxes and sizes in one shape for all samples, or neither",
    )
    shards.add_argument(
        "--index",
        metavar="NAMES",
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
