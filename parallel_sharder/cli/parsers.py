"""Parsers: they turn the words of a command line into a command's options, or raise OptionsError.

Each command has a parser, whose --help is written here. An error is a sentence or two, and proposes what was probably
meant. The values of options are checked in options.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import re
import shlex
import textwrap
from collections.abc import Sequence
from typing import NoReturn, TypeVar

from parallel_sharder import __version__
from parallel_sharder.cli.source_options import add_source_options
from parallel_sharder.cli.streams import print_result
from parallel_sharder.errors import OptionsError
from parallel_sharder.options import (
    ARRAY,
    INDEXES,
    SHEETS,
    SPLITS,
    IndexOptions,
    InspectOptions,
    Options,
    ReportOptions,
    StatusOptions,
    VerifyOptions,
)
from parallel_sharder.pattern import COMPRESSIONS as ENDINGS

AnyOptions = Options | VerifyOptions | IndexOptions | StatusOptions | InspectOptions | ReportOptions

COMMAND = "parallel-sharder"

_COMMANDS = ("verify", "index", "status", "inspect", "report")

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
    "--engine": ("backend", "executor", "cluster", "distributor"),
    "--quiet": ("q", "silent"),
    "--dry-run": ("n", "preview"),
}
"""Other tools' names for our options, without the hyphens before them."""

_MEANT = {
    COMMAND: {
        "--verify": f"the command {COMMAND} verify DEST",
        "--resume": "the same command without it, which continues",
    },
    f"{COMMAND} verify": {"--root": "--source", "--dest": "DEST", "--index": f"the command {COMMAND} index DEST"},
    f"{COMMAND} status": {"--dest": "DEST"},
    f"{COMMAND} inspect": {"--dest": "WHAT", "--root": "WHAT", "--maxcount": "--head"},
    f"{COMMAND} report": {"--root": "DEST", "--out": "--to", "--dest": "--to"},
    f"{COMMAND} index": {"--index": "--for", "--dest": "DEST", "--root": "DEST"},
}
"""For each command, options that it does not have, and what to type instead."""

_ARGPARSE = {
    "^argument ": "",
    ": not allowed with argument (.*)": r" and \1 exclude each other",
    ": expected one argument": " needs a value",
    ": ignored explicit argument ": " takes no value, and has ",
    "^the following arguments are required: (.*)": r"\1 is missing",
}
"""Regular expressions for argparse's messages, and our words for them."""

_USAGE = """\
parallel-sharder [option ...]               convert a raw data set
       parallel-sharder verify DEST [option ...]   read finished shards again
       parallel-sharder index DEST [option ...]    write indexes for readers
       parallel-sharder status DEST [option ...]   show how far sets are
       parallel-sharder inspect WHAT [option ...]  show what is in shards
       parallel-sharder report DEST [option ...]   make a page of a set"""

_EXAMPLES = """\
examples:
  convert the training set, in the folder that holds train/ and ILSVRC2012_devkit_t12/:
    parallel-sharder --workers 32
  convert the validation set, and write the shards to another folder:
    parallel-sharder --root /data/imagenet --split val --dest /shards/imagenet_val-%06d.tar
  print what would be done, without doing it:
    parallel-sharder --root /data/imagenet --dry-run
  number labels from 0 to 999, as torchvision and timm do:
    parallel-sharder --root /data/imagenet --labels sorted
  write compressed shards, of at most 256 MiB before compression:
    parallel-sharder --root /data/imagenet --maxsize 256MiB --dest /shards/train-%06d.tar.zst
  write exactly 128 shards, for example for 128 readers:
    parallel-sharder --root /data/imagenet --maxsize 2GB --shards 128
  store boxes and sizes in one shape, and write the indexes of all readers and a dataset card:
    parallel-sharder --root /data/imagenet --dest /shards --annotations boxes --index all --card
  convert Kaggle's download, unpacked:
    parallel-sharder --root /data/imagenet-object-localization-challenge
  convert images in class folders, with a text beside each:
    parallel-sharder --root /data/flowers --with txt --dest /shards
  convert the images that a table names, with all its columns:
    parallel-sharder --root /data/photos --table /data/photos/captions.parquet --dest /shards
  shuffle shards again, into 256; or store only some of their samples:
    parallel-sharder --root '/old/*.tar' --dest /new --shards 256 --seed 7
    parallel-sharder --root '/old/*.tar' --dest /new --where 'cls in [3, 5] and width >= 256'
  let a Ray or Dask cluster write the shards, which sees the same folders as this host:
    parallel-sharder --root /lustre/imagenet --dest /lustre/shards --engine ray
    parallel-sharder --root /lustre/imagenet --dest /lustre/shards --engine dask:tcp://head:8786
  write as the fourth of 16 jobs (in a Slurm array, --node alone):
    parallel-sharder --root /lustre/imagenet --dest /lustre/shards --node 3/16
  run from a script:
    parallel-sharder --root /data/imagenet --json >summary.json

  verify finished shards (see parallel-sharder verify --help):
    parallel-sharder verify /shards --source /data/imagenet
  see how far a set is, and what makes the rest (see parallel-sharder status --help):
    parallel-sharder status /shards
  write indexes of finished shards, for DALI and others (see parallel-sharder index --help):
    parallel-sharder index /shards --for dali,timm
  look at what is in shards (see parallel-sharder inspect --help):
    parallel-sharder inspect /shards --random 5
  make a page of the run and of the data, to look at in a browser (see parallel-sharder report --help):
    parallel-sharder report /shards

exit status:
  0 all samples stored; 1 stopped by an error; 2 wrong command line; 3 finished, some samples left out (they are
  named); 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP
"""


_VERIFY_EXAMPLES = """\
examples:
  compare the sets in a folder with their manifests:
    parallel-sharder verify /shards
  compare one set with its manifest, and each of its samples with the raw data set:
    parallel-sharder verify /shards/imagenet_train.json --source /data/imagenet
  check shards that another tool has made:
    parallel-sharder verify '/old/cc3m-{00000..00331}.tar'

exit status:
  0 nothing deviates (remarks are no deviations); 1 deviations or faults were found (they are named), or stopped by an
  error; 2 wrong command line; 3 nothing deviates, but samples of --source are known to be left out; 130, 143 or 129
  stopped by Ctrl-C, SIGTERM or SIGHUP
"""


_INDEX_EXAMPLES = """\
examples:
  write the indexes for NVIDIA DALI and timm of all shards in a folder:
    parallel-sharder index /shards --for dali,timm
  write the index for wids, with MD5, of shards that another tool has made:
    parallel-sharder index '/shards/cc3m-%05d.tar' --for wids --md5

exit status:
  0 all indexes written; 1 stopped by an error; 2 wrong command line; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or
  SIGHUP
"""


_STATUS_EXAMPLES = """\
examples:
  show how far the nodes of an array job are:
    parallel-sharder status /shards

exit status:
  0 all sets are finished; 3 something is missing; 1 stopped by an error; 2 wrong command line
"""


_INSPECT_EXAMPLES = """\
examples:
  show the sets in a folder, and the first samples:
    parallel-sharder inspect /shards
  show random samples of one class:
    parallel-sharder inspect /shards/imagenet_train.json --class tench --random 5
  show one sample, and write its members to a folder:
    parallel-sharder inspect /shards --key n01440764_10026 --extract /tmp/sample
  show samples of shards that another tool has made, chosen by their JSON:
    parallel-sharder inspect '/old/cc3m-{00000..00331}.tar' --where 'width < 256'

exit status:
  0 done; 1 stopped by an error, such as a key that is not there; 2 wrong command line; 130, 143 or 129 stopped by
  Ctrl-C, SIGTERM or SIGHUP
"""


_REPORT_EXAMPLES = """\
examples:
  make a page of each set in a folder, beside its shards:
    parallel-sharder report /shards
  make a page with a picture of each class, and look at it:
    parallel-sharder report /shards/imagenet_train.json --sheet classes --to page.html
    xdg-open page.html
  lay two runs side by side:
    parallel-sharder report /shards/imagenet_train.json --compare /old/imagenet_train.json
  make a page of shards that another tool has made:
    parallel-sharder report '/old/cc3m-{00000..00331}.tar'

exit status:
  0 done; 1 stopped by an error; 2 wrong command line; 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP
"""


def parse(words: list[str]) -> tuple[argparse.Namespace, AnyOptions]:
    """Return the words as argparse has parsed them, and the options that they mean.

    Raises OptionsError with all complaints.
    """
    _refuse_unknown_command(words)
    if words[:1] == ["verify"]:
        arguments = _verify_parser().parsed(words[1:])
        return arguments, _made(VerifyOptions, arguments, "workers")
    if words[:1] == ["index"]:
        arguments = _index_parser().parsed(words[1:])
        return arguments, _made(IndexOptions, arguments, "workers")
    if words[:1] == ["status"]:
        arguments = _status_parser().parsed(words[1:])
        return arguments, _made(StatusOptions, arguments)
    if words[:1] == ["inspect"]:
        arguments = _inspect_parser().parsed(words[1:])
        return arguments, _made(InspectOptions, arguments, "head", "random", "seed", "workers")
    if words[:1] == ["report"]:
        arguments = _report_parser().parsed(words[1:])
        return arguments, _made(ReportOptions, arguments, "seed", "workers")
    arguments = convert_parser().parsed(words)
    return arguments, _made(Options, arguments, "workers", "maxcount", "shards", "seed", "cpus_per_chunk", "metrics")


def _refuse_unknown_command(words: Sequence[str]) -> None:
    """Raise OptionsError if the first word looks like a command but is none; the nearest command is named.

    This comes before the options are parsed, because they would be those of the other command.
    """
    if words and not words[0].startswith("-") and words[0] not in (*_COMMANDS, *SPLITS) and _near_command(words[0]):
        raise OptionsError([_unknown_word(words[:1], COMMAND, False)])


def _near_command(word: str) -> str:
    """Return the command that was probably meant by `word`, or "" if it may be a path."""
    if "/" in word or word.startswith(("~", ".")) or os.path.exists(word):
        return ""
    meant = {"check": "verify", "validate": "verify", "show": "inspect", "head": "inspect"}
    near = difflib.get_close_matches(word, (*_COMMANDS, "convert", "help"), 1)
    return meant.get(word, near[0] if near else "")


T = TypeVar("T", Options, VerifyOptions, IndexOptions, StatusOptions, InspectOptions, ReportOptions)


def _made(make: type[T], arguments: argparse.Namespace, *numbers: str) -> T:
    """Return the options of this kind from the parsed words: each field has the value of the option of its name.

    The options in `numbers` become whole numbers. Raises OptionsError with all complaints.
    """
    complaints: list[str] = []
    names = {field.name for field in dataclasses.fields(make)}
    choices = {name: value for name, value in vars(arguments).items() if name in names}
    for name in choices.keys() & numbers:
        try:
            choices[name] = int(choices[name])
        except ValueError:
            complaints.append(f"--{name.replace('_', '-')}: {choices.pop(name)!r} is not a whole number")
    try:
        options = make(**choices)
    except OptionsError as error:
        complaints += error.complaints
    if complaints:
        raise OptionsError(complaints)
    return options


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Fills sentences to the width of the terminal, and leaves the commands of examples on one line, to be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Return a description or an epilog; argparse calls this, with no indent."""
        lines: list[str] = []
        for paragraph in _paragraphs(text.splitlines()):
            margin = indent + " " * _indent(paragraph)
            is_command = len(margin) >= _INDENT_OF_COMMANDS
            filled = textwrap.wrap(paragraph.strip(), width, initial_indent=margin, subsequent_indent=margin)
            lines += [paragraph] if is_command else filled or [""]
        return "\n".join(lines)


_INDENT_OF_COMMANDS = 4
"""Lines of examples that begin so far to the right are commands."""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """Return the lines of a text with those joined that are one sentence: of one indent, the first without a colon."""
    found: list[str] = []
    for line in lines:
        before = found[-1] if found else ""
        is_same = bool(before and line) and _indent(before) == _indent(line) < _INDENT_OF_COMMANDS
        if is_same and not before.endswith(":"):
            found[-1] = f"{before} {line.strip()}"
        else:
            found.append(line)
    return found


class _Parser(argparse.ArgumentParser):
    """A parser that raises OptionsError instead of ending the process. Options that are not given are no attributes."""

    def __init__(self, prog: str, description: str, examples: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=examples,
            formatter_class=_Formatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # the fields of the options have the defaults
        )
        self.set_defaults(quiet=False, json=False, dry_run=False)

    def parsed(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the parsed words. Raises OptionsError, with the nearest option, for a word that no option takes."""
        arguments, strange = self.parse_known_args(words)
        for word in strange:
            if word in _COMMANDS and self.prog == COMMAND:
                raise OptionsError([_unknown_word([word], self.prog, False)])
        for word in strange:
            if word.startswith("-"):
                raise OptionsError([self._unknown_option(word.partition("=")[0])])
        if strange:
            raise OptionsError([_unknown_word(strange, self.prog, "root" in arguments)])
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise OptionsError with argparse's message in our words; argparse calls this."""
        for theirs, ours in _ARGPARSE.items():
            message = re.sub(theirs, ours, message)
        raise OptionsError([f"{message}. {self.prog} --help shows all options."])

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002
        """Print --help or --version; argparse calls this."""
        print_result(message.rstrip("\n"))

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
        return f"there is no option {word}{self.prog.removeprefix(COMMAND).replace(' ', ' of ')}. {hint}"


def _unknown_word(words: Sequence[str], prog: str, has_root: bool) -> str:
    """Return what is wrong with the first of the words that belong to no option, and what was probably meant."""
    word, *more = map(shlex.quote, words)
    if prog != COMMAND:
        its_word = "WHAT" if prog.endswith("inspect") else "DEST"
        return f"{word} is one word too many: {prog} takes one {its_word}."
    if word in _COMMANDS:
        return f"{word} is a command, which comes first: write {prog} {word} DEST."
    if word in SPLITS:
        return f"{word} belongs to no option. Name the split with --split {word}."
    near = _near_command(words[0])
    if near == "convert":
        return f"there is no command {word}: without a command, {prog} converts. Leave {word} out."
    if near:
        return f"there is no command {word}. Did you mean {prog} {'--help' if near == 'help' else near}?"
    if has_root and words[0].endswith(tuple(ENDINGS)):
        pattern = shlex.quote(os.path.join(os.path.dirname(words[0]), f"*{next(filter(words[0].endswith, ENDINGS))}"))
        return f"{word} belongs to no option. Quote a pattern, so that the shell leaves it as it is: --root {pattern}."
    if has_root:
        return f"{word} belongs to no option. Name the destination with --dest {word}."
    dest = f", and the destination with --dest {more[0]}" if len(more) == 1 else ""
    return f"{word} belongs to no option. Name the data set with --root {word}{dest}."


def _verify_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder verify",
        "Read finished shards again, with code that is not the writer's. Name everything that deviates from their\n"
        "manifest and, with --source, from the raw data set. Of shards that another tool has made, name what readers\n"
        "lose, mis-group or stumble over (faults), and what is unusual (remarks).",
        _VERIFY_EXAMPLES,
    )
    parser.add_argument(
        "dest",
        metavar="DEST",
        help="a folder of finished sets, a manifest, or shards of any tool: a pattern, a glob, one",
    )
    parser.add_argument(
        "--source",
        action="append",
        metavar="ROOT",
        help="the raw data set to compare every sample with; again for further patterns of shards",
    )
    parser.add_argument("--xml-root", metavar="PATH", help="same value as in the conversion, if it was used there")
    parser.add_argument("--meta", metavar="FILE", help="same value as in the conversion, if it was used there")
    parser.add_argument("--layout", metavar="NAME", help="same value as in the conversion, if it was used there")
    _add_run(parser, "the verdict", "the verdict as JSON, with all deviations")
    return parser


def _index_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder index",
        "Write the indexes that single readers want beside finished shards, whichever tool has made these. Only the\n"
        "headers of the shards are read.",
        _INDEX_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of shards, or a pattern with %%0Nd")
    parser.add_argument(
        "--for",
        dest="readers",
        metavar="NAMES",
        help=f"some of {','.join(INDEXES)}, or all (default: wids)",
    )
    parser.add_argument(
        "--md5", action="store_true", help="add the MD5 of each shard for wids, which means reading all of it"
    )
    _add_run(parser, "the summary", "the summary as JSON")
    return parser


def _status_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder status",
        "Show, of each set in a folder, which shards are done and which are missing, who is at work, and the command\n"
        "that makes the rest. Nothing is changed, so it can be typed while the sets are being written.",
        _STATUS_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of sets, a pattern with %%0Nd, or a manifest")
    parser.add_argument("--json", action="store_true", help="print the status as JSON, a list of sets")
    return parser


def _inspect_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder inspect",
        "Show what is in shards, of this tool or of another: each set in short and some of its samples, or one sample\n"
        "with all its members. Headers are read, and the members of what is shown.",
        _INSPECT_EXAMPLES,
    )
    parser.add_argument(
        "what", metavar="WHAT", help="a folder of shards, a manifest, a shard, a pattern with %%0Nd, or a glob"
    )
    parser.add_argument("--head", metavar="N", help="show the first N samples (default: 10)")
    parser.add_argument("--random", metavar="N", help="show N random samples")
    parser.add_argument("--seed", metavar="N", help="seed of --random (default: 0)")
    parser.add_argument(
        "--where", metavar="EXPRESSION", help="only samples for which it holds, such as 'cls in [3, 5] and width < 256'"
    )
    parser.add_argument(
        "--class", dest="class_", metavar="NAME", help="only samples of the class with this name, ID or label"
    )
    parser.add_argument("--key", metavar="KEY", help="show the sample with this key: its members, JSON and text")
    parser.add_argument("--extract", metavar="DIR", help="write the members of that sample to this folder")
    parser.add_argument(
        "--show", action="store_true", help="draw the image of that sample in the terminal, with its boxes"
    )
    _add_run(parser, "what was found", "it as JSON")
    return parser


def _report_parser() -> _Parser:
    parser = _Parser(
        "parallel-sharder report",
        "Make a page of each set: what is wrong with it, how fast its runs were and what held them back, what is in\n"
        "the shards, and pictures of samples with their boxes. It is one HTML file, and needs no network.",
        _REPORT_EXAMPLES,
    )
    parser.add_argument("dest", metavar="DEST", help="a folder of sets, a manifest, or shards of any tool")
    parser.add_argument("--to", metavar="FILE", help="where the page is written (default: SET.report.html, beside it)")
    parser.add_argument(
        "--sheet", metavar="NAME", help=f"which pictures it has: {' or '.join(SHEETS)}, one of each (default: random)"
    )
    parser.add_argument("--no-images", dest="images", action="store_false", help="leave the pictures out")
    parser.add_argument("--compare", metavar="OTHER", help="another set, whose run is laid beside this one's")
    parser.add_argument("--seed", metavar="N", help="seed of the samples that are drawn (default: 0)")
    _add_run(parser, "where the page is", "what was found as JSON")
    return parser


def _add_run(parser: _Parser, result: str, as_json: str) -> None:
    """Add the options that verify and index share: how they run, and what they print."""
    parser.add_argument(
        "--workers",
        metavar="N",
        help="number of worker processes; 0 runs in this process (default: the cores it may use)",
    )
    parser.add_argument("--quiet", action="store_true", help=f"print only {result} and errors")
    parser.add_argument("--json", action="store_true", help=f"print {as_json}")


def convert_parser() -> _Parser:
    """Return the parser of the command that converts."""
    parser = _Parser(
        "parallel-sharder",
        "Turn images into WebDataset shards, on all cores, with the same bytes every time: ImageNet, images in class\n"
        "folders, a table of images, or shards. For samples from Python code use ShardWriter (see the README).",
        _EXAMPLES,
        _USAGE,
    )
    add_source_options(parser)
    shards = parser.add_argument_group("what is written")
    shards.add_argument(
        "--dest",
        metavar="PATTERN",
        help="where shards are written: a pattern with %%0Nd, ending in .tar, .tgz, .tar.gz or .tar.zst, or a folder "
        "(default: the name of the set and -%%06d.tar, such as imagenet_train-%%06d.tar)",
    )
    shards.add_argument(
        "--maxsize",
        metavar="SIZE",
        help="limit on a shard's whole tar, before compression: 1e9, 500MB, 1GiB (default: 1e9)",
    )
    shards.add_argument("--maxcount", metavar="N", help="limit on a shard's samples (default: none)")
    shards.add_argument("--shards", metavar="N", help="exact number of shards (default: as few as the limits allow)")
    order = shards.add_mutually_exclusive_group()
    order.add_argument("--seed", metavar="N", help="seed of the shuffle, 0 to 2**64 - 1 (default: 0)")
    order.add_argument(
        "--no-shuffle",
        dest="shuffle",
        action="store_false",
        help="store samples in the order of their keys; those of shards in the order of these",
    )
    shards.add_argument(
        "--index",
        metavar="NAMES",
        help=f"indexes for readers: some of {','.join(INDEXES)}, or all, or none (default: wids, which is the manifest "
        "and is always written)",
    )
    shards.add_argument("--md5", action="store_true", help="add the MD5 of each shard to the manifest, for wids")
    shards.add_argument(
        "--card", action="store_true", help="write a dataset card, README.md, of all finished sets in the folder"
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--workers",
        metavar="N",
        help="number of worker processes; 0 runs in this process (default: the cores it may use). On a cluster: the "
        "number of chunks in work at once (default: as many as it has room for)",
    )
    run.add_argument(
        "--engine",
        metavar="NAME",
        help="who writes the shards: processes (default), inline (this process), ray[:HOST:PORT], ray://HOST:PORT, "
        "dask[:tcp://HOST:PORT] or dask:FILE",
    )
    run.add_argument(
        "--cpus-per-chunk", metavar="N", help="CPUs that a chunk takes on a cluster, for compression (default: 1)"
    )
    run.add_argument(
        "--start-method",
        metavar="NAME",
        help="how workers start: forkserver, spawn or fork (default: the first that the system has)",
    )
    run.add_argument(
        "--node",
        nargs="?",
        const=ARRAY,
        metavar="I/N",
        help="write the share of node I of N, counted from 0; alone, in a task of a Slurm array: the task's share",
    )
    run.add_argument(
        "--finish", action="store_true", help="publish a set whose nodes have written all shards; write none"
    )
    run.add_argument(
        "--check", action="store_true", help="when continuing, read the finished shards and compare their digests"
    )
    run.add_argument(
        "--overwrite",
        action="store_true",
        help="start anew, and remove what an earlier run has recorded; not with --check",
    )
    run.add_argument(
        "--take-over",
        action="store_true",
        help="take the place of a run on another host that shows no sign of life any more",
    )
    run.add_argument(
        "--stage",
        metavar="DIR",
        help="first copy the source, in its own order, to this folder on a fast disk, and write from there; or none "
        "(default: only a source that can be read in no other way is copied, beside the shards)",
    )
    run.add_argument(
        "--keep-stage", action="store_true", help="keep these copies when the set is published, for the next seed"
    )
    run.add_argument(
        "--dry-run", action="store_true", help="print the plan and write nothing; status 1 if the run would be refused"
    )
    run.add_argument(
        "--metrics", metavar="PORT", help="serve figures for Prometheus meanwhile, on this port, to this host alone"
    )
    run.add_argument("--report", action="store_true", help="make a page of the run and of the shards, SET.report.html")
    run.add_argument("--quiet", action="store_true", help="print only the summary and errors")
    run.add_argument("--json", action="store_true", help="print the summary as JSON")
    run.add_argument("--version", action="version", version=f"parallel-sharder {__version__}")
    return parser
