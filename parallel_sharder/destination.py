"""Where shards go: the names that a `--dest` pattern gives, and whether the place can take them.

A pattern is a path with one `%0Nd` for the shard number and an ending that chooses the compression. Everything that
is derived from it (shard names, brace pattern, manifest name) is derived here and nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError
from parallel_sharder.regular import open_regular
from parallel_sharder.text import counted, there_are

COMPRESSIONS = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd", ".tar": "none"}
"""What each ending means; longer endings first, because ".tar" is looked for last."""

CARD = "README.md"
"""The name of a dataset card, as the Hugging Face hub wants it."""

_NO_FILES_WITHOUT_NAMES = frozenset((errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""What systems and file systems answer that have none (O_TMPFILE): old ones, NFS, some FUSE."""

_SHARD = re.compile(rf"(?!\.)(.*?)([0-9]+)({'|'.join(map(re.escape, COMPRESSIONS))})")
_NUMBER = re.compile(r"%0([1-9][0-9]?)d")
_ARCHIVE = re.compile(r"\.(?:tar|tgz|zip)(?:\.\w+)?$", re.IGNORECASE)

_DIGITS = 6
"""Of the shard number, where nobody says it: enough for any set, and what the default --dest has."""

_FOREIGN_NUMBER = re.compile(
    r"%(?:\(\w*\))?[-+#0]*[0-9]*[dioux]|%s|\{[^{}]*\}|[*?]+|#+|\$\w+|(?<![0-9])00+[0-9]*$", re.IGNORECASE
)
"""How people, shells and other tools write a number: %d, {:06d}, {000000..000147}, *, ####, $i, 000000."""


@dataclass(frozen=True, slots=True)
class ShardPattern:
    """A parsed pattern: `folder`/`prefix` + number of at least `digits` digits + `suffix`."""

    folder: str
    prefix: str
    digits: int
    suffix: str

    @classmethod
    def parse(cls, dest: str, split: str = "train") -> ShardPattern:
        """The pattern that `dest` means: a pattern itself, or a folder; "{split}" in it stands for the split.

        Raises ValueError, with the remedy, for a path that is neither.
        """
        dest = dest.replace("{split}", split)
        if "://" in dest:
            raise ValueError(f"{dest} is an address, not a path; write to a folder, and copy the shards from there")
        instead = f"write {shlex.quote(_suggested(dest))}"
        folder, name = os.path.split(dest)
        if not is_pattern(dest) and not _NUMBER.search(folder):
            if _ARCHIVE.search(name):
                raise ValueError(f"{dest} has no place for the shard number; {instead}, or name a folder")
            folder, name = dest, f"imagenet_{split}-%06d.tar"
        match = _NUMBER.search(name)
        if match is None or name.count("%") != 1 or _NUMBER.search(folder):
            raise ValueError(f"{dest} needs exactly one shard number, in the file's name, of the form %06d; {instead}")
        suffix = name[match.end() :]
        if suffix not in COMPRESSIONS:
            endings = ", ".join(COMPRESSIONS)
            raise ValueError(f"{dest} ends in {suffix!r} after the number; shards end in {endings}; {instead}")
        prefix = name[: match.start()]
        if not prefix.isprintable():  # bytes that are no UTF-8 among them
            raise ValueError(f"{dest!r}: a shard's name is printable text in UTF-8; {instead}")
        # Readers index shards by name in text files separated by spaces, and in brace patterns.
        if re.search(r"[\s{},]", prefix) or prefix.startswith("."):
            raise ValueError(
                f"{dest}: a shard's name cannot begin with a dot or hold spaces, commas or braces; {instead}"
            )
        return cls(folder, prefix, int(match[1]), suffix)

    @classmethod
    def of_set(cls, name: str, first: str) -> ShardPattern | None:
        """The pattern of the set of this name whose shard 0 is called `first`; None if no set has both."""
        for parts in _partings(name, first):
            if not parts.number.strip("0"):
                with contextlib.suppress(ValueError):
                    return cls.parse(f"{parts.prefix}%0{len(parts.number)}d{parts.suffix}")
        return None

    @property
    def compression(self) -> str:
        """Which compression the ending means: "none", "gzip" or "zstd"."""
        return COMPRESSIONS[self.suffix]

    @property
    def set_name(self) -> str:
        """The name of the whole set: the prefix without the dash or so before the number."""
        return set_name(self.prefix)

    @property
    def journal_path(self) -> str:
        """Where the journal of the set is: beside the shards, hidden."""
        return journal_beside(self.manifest_path)

    @property
    def manifest_path(self) -> str:
        """Where the set's manifest goes, beside the shards."""
        return os.path.join(self.folder, f"{self.set_name}.json")

    def path(self, number: int) -> str:
        """The final name of shard `number`."""
        return os.path.join(self.folder, f"{self.prefix}{number:0{self.digits}d}{self.suffix}")

    def braces(self, shard_count: int) -> str:
        """All shards as one brace pattern, as shells and webdataset expand it; the one shard's path if there is one."""
        return braces([self.path(0), self.path(shard_count - 1)])

    @property
    def problems_path(self) -> str:
        """Where the problems of the set are listed, beside the shards."""
        return problems_beside(self.manifest_path)

    @property
    def classes_path(self) -> str:
        """Where the set's class table is that a dataset card tells of, beside the shards."""
        return classes_beside(self.manifest_path)

    @property
    def card_path(self) -> str:
        """Where the dataset card of the folder is."""
        return os.path.join(self.folder, CARD)

    @property
    def beside(self) -> tuple[str, str, str]:
        """The paths of what lies beside the shards, and is of this set alone."""
        return self.manifest_path, self.problems_path, self.classes_path

    @property
    def saved_index_path(self) -> str:
        """Where the index of an archive of the source is kept, beside the journal and hidden like it."""
        return os.path.join(self.folder, f".{self.set_name}.index")

    @property
    def spool_path(self) -> str:
        """The file that annotations are unpacked to is a temporary one of this name (see durable), and stays one."""
        return os.path.join(self.folder, f"{self.set_name}.annotations")

    @property
    def shards(self) -> str:
        """A regular expression for the file names of this pattern's shards, of any number."""
        return re.escape(self.prefix) + "[0-9]+" + re.escape(self.suffix)

    @property
    def names(self) -> str:
        """A regular expression for the file names of this pattern's shards, of any number, and what is beside them."""
        return "|".join([self.shards, *(re.escape(os.path.basename(path)) for path in self.beside)])

    def existing(self) -> list[str]:
        """The paths already there that files of this pattern would have, sorted."""
        try:
            names = os.listdir(self.folder or ".")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DestinationError(_unusable(self, error)) from error
        return [os.path.join(self.folder, name) for name in sorted(names) if re.fullmatch(self.names, name)]


def is_pattern(dest: str) -> bool:
    """Whether that should be a pattern, not a folder or a file: by its last part, for a folder can have a % in it."""
    return "%" in os.path.basename(dest)


class ShardName(NamedTuple):
    """The parts of a shard's file name; `number` is its digits."""

    prefix: str
    number: str
    suffix: str


def shard_name(name: str, prefix: str | None = None) -> ShardName | None:
    """The parts of the file name of a shard, anybody's; None if it is no shard's.

    Without a known `prefix`, all digits before the ending are the number.
    """
    match = _SHARD.fullmatch(name[len(prefix or "") :])
    if match is None or (prefix is not None and (match[1] or not name.startswith(prefix))):
        return None
    return ShardName(prefix if prefix is not None else match[1], match[2], match[3])


def braces(paths: Sequence[str]) -> str:
    """All of `paths`, whose numbers have no gaps, as one brace pattern; the path itself if there is only one."""
    folder, first = os.path.split(paths[0])
    start, end = shard_name(first), shard_name(os.path.basename(paths[-1]))
    if start is None or end is None or start == end:
        return paths[0]
    return os.path.join(folder, f"{start.prefix}{{{start.number}..{end.number}}}{start.suffix}")


def set_name(prefix: str) -> str:
    """The name of the set whose shards' names begin so."""
    return prefix.rstrip("-_.") or "shards"


def names_set(name: str, shard: str) -> bool:
    """Whether a set with such a shard can be called so."""
    return any(_partings(name, shard))


def _partings(name: str, shard: str) -> Iterator[ShardName]:
    """The parts of a shard's name with which its set is called `name`, the shortest number first.

    The first digits in it can belong to the prefix.
    """
    if parts := shard_name(shard):
        for end in reversed(range(len(parts.number))):
            prefix = parts.prefix + parts.number[:end]
            if set_name(prefix) == name:
                yield ShardName(prefix, parts.number[end:], parts.suffix)


def journal_beside(manifest_path: str) -> str:
    """Where the journal of the set with this manifest is."""
    folder, name = os.path.split(manifest_path)
    return os.path.join(folder, f".{name.removesuffix('.json')}.journal")


def problems_beside(manifest_path: str) -> str:
    """Where the problems of the set with this manifest are listed."""
    return manifest_path.removesuffix(".json") + ".problems.jsonl"


def classes_beside(manifest_path: str) -> str:
    """Where the class table of the set with this manifest is."""
    return manifest_path.removesuffix(".json") + ".classes.tsv"


def text_at(path: str) -> str | None:
    """The text of a file that may have to stay as it is; None if there is none. Raises DestinationError as it says."""
    try:
        with open(path, encoding="utf-8", errors="replace", opener=open_regular) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error


def refuse_taken(pattern: ShardPattern, known: Container[str] = (), note: str = "") -> None:
    """Raise DestinationError, with `note`, if files of this pattern are there already, but for the `known` paths."""
    taken = [path for path in pattern.existing() if path not in known]
    if taken:
        are, them = there_are(taken)
        raise DestinationError(
            f"{are} already there, and no journal says that this tool made {them} for this set.{note} Nothing is "
            "overwritten: remove what is there, or choose another --dest. (A copy without its "
            f"{os.path.basename(pattern.journal_path)} can be verified, but not continued.)"
        )


def refuse_in_source(pattern: ShardPattern, folders: Iterable[Path]) -> None:
    """Raise DestinationError if the folder of the shards is one of `folders`, where the source is, or lies in one.

    Links, and folders that are mounted twice, are seen through.
    """
    source = {_identity(folder): folder for folder in folders}
    dest = Path(os.path.realpath(pattern.folder))
    for place in (dest, *dest.parents):
        folder = source.get(_identity(place))
        if folder is not None:
            name = os.path.abspath(pattern.folder)
            its_name = os.path.abspath(folder)
            where = "" if its_name == name else f"{'' if place == dest else 'in '}{its_name}, "
            raise DestinationError(
                f"{name} is {where}where files of the data set belong, and nothing is written there. Choose a folder "
                "outside of it with --dest."
            )


def _identity(folder: Path) -> tuple[int, int] | str:
    """What all names of a folder have in common, whether it is there or not."""
    try:
        status = os.stat(folder)
    except OSError:
        return os.path.realpath(folder)
    return status.st_dev, status.st_ino


def refuse_unwritable(pattern: ShardPattern) -> None:
    """Raise DestinationError unless the shards can be written where they are to go, as far as that can be told before.

    Looks at the folder, or the nearest one above it that is there, and at the journal. Makes nothing.
    """
    folder = os.path.abspath(pattern.folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        _try_to_write(folder)
        with contextlib.suppress(FileNotFoundError):
            os.close(open_regular(pattern.journal_path, os.O_RDWR))
    except OSError as error:
        raise DestinationError(_unusable(pattern, error)) from error


def _try_to_write(folder: str) -> None:
    """Raise OSError unless a file can be made in `folder`; one without a name is made, where there are such."""
    os.stat(folder)
    try:
        os.close(os.open(folder, os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0), 0o600))
    except OSError as error:
        if error.errno not in _NO_FILES_WITHOUT_NAMES:
            raise
        if not os.access(folder, os.W_OK | os.X_OK):
            number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number), folder) from error


def make_folder(pattern: ShardPattern) -> list[str]:
    """Make the folder that the shards go to, and those above it that are missing; the paths of those that were made.

    Raises DestinationError if that cannot be.
    """
    try:
        return durable.make_folder(pattern.folder)
    except OSError as error:
        raise DestinationError(_unusable(pattern, error)) from error


def refuse_unfit(pattern: ShardPattern, shard_count: int) -> None:
    """Raise DestinationError unless the pattern has digits for so many shards."""
    if shard_count > 10**pattern.digits:
        digits = len(str(shard_count - 1))
        raise DestinationError(
            f"{shard_count:,} shards need numbers of {digits} digits, and {pattern.path(0)} has {pattern.digits}. "
            f"Write %0{digits}d in --dest."
        )


def refuse_full(pattern: ShardPattern, needed_bytes: int, free_bytes: int) -> None:
    """Raise DestinationError unless there is room for the shards."""
    if free_bytes < needed_bytes:
        raise DestinationError(
            f"{os.path.abspath(pattern.folder)} has {counted(free_bytes, 'byte')} free, and the shards need up to "
            f"{needed_bytes:,}. Make {counted(needed_bytes - free_bytes, 'byte')} of room, or choose another --dest."
        )


def _unusable(pattern: ShardPattern, error: OSError) -> str:
    folder = os.path.abspath(pattern.folder)
    place = os.path.abspath(error.filename or folder)
    cause = error.strerror or str(error)
    if os.path.islink(place) and not os.path.lexists(os.path.realpath(place)):
        cause = f"a broken link to {os.readlink(place)}"
    where = f" ({place})" if place != folder else ""
    return f"{folder} cannot hold the shards: {cause}{where}. Mend that, or choose another folder with --dest."


def _suggested(dest: str) -> str:
    """The pattern that a path which is none seems to mean, without what a shard's name cannot hold."""
    folder, name = os.path.split(dest)
    kept = "/".join(part for part in folder.split("/") if not _NUMBER.search(part))
    folder = kept or "/" * folder.startswith("/")
    suffix = next((suffix for suffix in COMPRESSIONS if name.lower().endswith(suffix)), "")
    stem = name[: len(name) - len(suffix)] if suffix else _ARCHIVE.sub("", name)
    numbers = [*_FOREIGN_NUMBER.finditer(stem)]
    if numbers and not suffix:
        stem = stem[: numbers[-1].end()]  # what follows is an ending that shards cannot have
    prefix = re.sub(r"[^\w.-]+", "-", _FOREIGN_NUMBER.sub("", stem))
    prefix = re.sub(r"-{2,}", "-", prefix).lstrip(".-")
    if not numbers or numbers[-1].end() < len(stem):
        prefix = f"{prefix.rstrip('-_.')}-".lstrip("-")
    digits = _digits(numbers[-1][0]) if numbers else _DIGITS
    return os.path.join(folder, f"{prefix}%0{digits}d{suffix or '.tar'}")


def _digits(number: str) -> int:
    """How many digits a number has that is written otherwise than here; the usual ones if that does not say it."""
    runs = re.findall("[0-9]+", number)
    is_width = runs and number[0] in "%{" and ".." not in number
    digits = int(runs[-1]) if is_width else len(runs[-1]) if runs else number.count("#")
    return digits if 0 < digits < 100 else _DIGITS
