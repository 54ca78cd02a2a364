"""The pattern: the names that `--dest` gives to the shards of a set, and the parts of any shard's name.

A pattern is a path with one `%0Nd` for the shard number and an ending that chooses the compression. Everything that
is derived from it (shard names, brace pattern, name of the set) is derived here and nowhere else. This module handles
text, and looks at no file.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from parallel_sharder.setfiles import SetFiles

COMPRESSIONS = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd", ".tar": "none"}
"""The compression that each ending means; ".tar" is last because it is looked for last."""

_SHARD = re.compile(rf"(?!\.)(.*?)([0-9]+)({'|'.join(map(re.escape, COMPRESSIONS))})")
_NUMBER = re.compile(r"%0([1-9][0-9]?)d")
_ARCHIVE = re.compile(r"\.(?:tar|tgz|zip)(?:\.\w+)?$", re.IGNORECASE)

_DIGITS = 6
"""The width of the shard number where the user gives none: enough for any set, and the width in the default --dest."""

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
    def parse(cls, dest: str, split: str = "train", name: str = "") -> ShardPattern:
        """Return the pattern that `dest` means, which is a pattern or a folder; "{split}" in it stands for the split.

        `name` is the name of the set that a folder gets, and that "{name}" stands for (default: ImageNet's). Raises
        ValueError, with the remedy, for a path that is neither.
        """
        its_name = name or f"imagenet_{split}"
        dest = dest.replace("{split}", split).replace("{name}", its_name)
        if "://" in dest:
            raise ValueError(f"{dest} is an address, not a path; write to a folder, and copy the shards from there")
        instead = f"write {shlex.quote(_suggested(dest))}"
        folder, name = os.path.split(dest)
        if not is_pattern(dest) and not _NUMBER.search(folder):
            if _ARCHIVE.search(name):
                raise ValueError(f"{dest} has no place for the shard number; {instead}, or name a folder")
            folder, name = dest, f"{its_name}-%06d.tar"
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
        """Return the pattern of the set called `name` whose shard 0 is called `first`; None if the two contradict."""
        for parts in _partings(name, first):
            if not parts.number.strip("0"):
                with contextlib.suppress(ValueError):
                    return cls.parse(f"{parts.prefix}%0{len(parts.number)}d{parts.suffix}")
        return None

    @property
    def compression(self) -> str:
        """The compression that the ending means: "none", "gzip" or "zstd"."""
        return COMPRESSIONS[self.suffix]

    @property
    def set_name(self) -> str:
        """The name of the whole set: the prefix without the dash, underscore or dot before the number."""
        return set_name(self.prefix)

    @property
    def files(self) -> SetFiles:
        """The paths of the files beside the shards."""
        return SetFiles(self.folder, self.set_name)

    @property
    def text(self) -> str:
        """The pattern as text, as `parse` takes it."""
        return os.path.join(self.folder, f"{self.prefix}%0{self.digits}d{self.suffix}")

    def path(self, number: int) -> str:
        """Return the final path of shard `number`."""
        return os.path.join(self.folder, f"{self.prefix}{number:0{self.digits}d}{self.suffix}")

    def braces(self, shard_count: int) -> str:
        """Return all shards as one brace pattern, which shells and webdataset expand; one shard's path as it is."""
        return braces([self.path(0), self.path(shard_count - 1)])

    @property
    def shard_names(self) -> str:
        """A regular expression for the file names of this pattern's shards, of any number."""
        return re.escape(self.prefix) + "[0-9]+" + re.escape(self.suffix)

    @property
    def file_names(self) -> str:
        """A regular expression for the names of this pattern's shards, of any number, and of the files beside them."""
        return f"{self.shard_names}|{self.files.beside_names}"


def is_pattern(dest: str) -> bool:
    """Return whether `dest` is meant as a pattern: its last part has a %. (Names of folders can have one too.)"""
    return "%" in os.path.basename(dest)


class ShardName(NamedTuple):
    """The parts of a shard's file name; `number` is its digits."""

    prefix: str
    number: str
    suffix: str


def shard_name(name: str, prefix: str | None = None) -> ShardName | None:
    """Return the parts of the file name of any tool's shard; None if no shard has such a name.

    Without a known `prefix`, all digits before the ending are the number.
    """
    match = _SHARD.fullmatch(name[len(prefix or "") :])
    if match is None or (prefix is not None and (match[1] or not name.startswith(prefix))):
        return None
    return ShardName(prefix if prefix is not None else match[1], match[2], match[3])


def braces(paths: Sequence[str]) -> str:
    """Return all of `paths`, whose numbers have no gaps, as one brace pattern; the path itself if there is only one."""
    folder, first = os.path.split(paths[0])
    start, end = shard_name(first), shard_name(os.path.basename(paths[-1]))
    if start is None or end is None or start == end:
        return paths[0]
    return os.path.join(folder, f"{start.prefix}{{{start.number}..{end.number}}}{start.suffix}")


def set_name(prefix: str) -> str:
    """Return the name of the set whose shards' names begin with `prefix`."""
    return prefix.rstrip("-_.") or "shards"


def fits_set_name(name: str, shard: str) -> bool:
    """Return whether a set called `name` can have a shard called `shard`."""
    return any(_partings(name, shard))


def _partings(name: str, shard: str) -> Iterator[ShardName]:
    """Yield each way to part a shard's name that makes `name` the name of its set, the shortest number first.

    The ways differ in how many of the digits belong to the prefix.
    """
    if parts := shard_name(shard):
        for end in reversed(range(len(parts.number))):
            prefix = parts.prefix + parts.number[:end]
            if set_name(prefix) == name:
                yield ShardName(prefix, parts.number[end:], parts.suffix)


def _suggested(dest: str) -> str:
    """Return the pattern that is probably meant by a path that is no pattern; only characters of shards' names stay."""
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
    """Return the width of a shard number in a foreign notation; the default width if the notation does not give one."""
    runs = re.findall("[0-9]+", number)
    is_width = runs and number[0] in "%{" and ".." not in number
    digits = int(runs[-1]) if is_width else len(runs[-1]) if runs else number.count("#")
    return digits if 0 < digits < 100 else _DIGITS
