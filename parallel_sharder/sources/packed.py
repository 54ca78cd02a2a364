"""Packed files: a compressed file of the source is refused here, where only plain tars can be read.

The message has the command that decompresses it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Container, Sequence

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.stores.packing import packing_of
from parallel_sharder.text import counted

_SHOWN = 5


READ_THROUGH = ("gzip", "bzip2", "xz", "zstd")
"""The programs whose output is read from front to back, to a stage."""


def refuse_packed(path: str, but: Container[str] = (), *, other: str = "") -> None:
    """Raise SourceError if the file is compressed by a program that is not in `but`; `other` is another remedy."""
    packing = packing_of(path)
    if packing is not None and packing[1] not in but:
        ending, program = packing
        raise SourceError(
            f"{path} is compressed by {program}, and only plain tars can be read in place. Decompress it once: "
            f"{_command(path, ending, program, '-d')}{other}"
        )


def refuse_unstaged(paths: Sequence[str], *, may_stage: bool) -> None:
    """Raise SourceError if one of these files, which are read from front to back, cannot be, or may not be staged."""
    for path in paths:
        if may_stage:
            refuse_packed(path, READ_THROUGH)
            continue
        refuse_packed(path, other=". Or leave out --stage none: the archive is then unpacked to a stage.")
        raise SourceError(
            f"{path} is a Parquet file, whose images are read row after row, to a stage. Leave out --stage none."
        )


def refuse_packed_shards(paths: Sequence[str]) -> None:
    """Raise SourceError if some of these shards are compressed, with a command for all of a kind in a folder.

    Raises SourceError too if a shard cannot be read.
    """
    packed: dict[str, tuple[str, str]] = {}
    for path in paths:
        try:
            packing = packing_of(path)
        except OSError as error:
            raise unreadable(path, error) from error
        if packing is not None:
            packed[path] = packing
    if not packed:
        return
    commands: dict[str, None] = {}
    for path, (ending, program) in packed.items():
        alone = len(packed) == 1 or not _is_named(path, ending)
        alike = f"{program} -dk {shlex.quote(os.path.dirname(path))}/*{_like(path)}"
        commands[_command(path, ending, program, "-dk") if alone else alike] = None
    first = next(iter(packed))
    are = counted(len(packed), "shard is", "shards are")
    plain = shlex.quote(os.path.join(os.path.dirname(first), "*.tar"))
    raise SourceError(
        f"{are} compressed, the first {first} by {packed[first][1]}, and only plain tars can be read in place. "
        f"Decompress {'it' if len(packed) == 1 else 'them'} once, and name the plain tars, as by --root {plain}:",
        *(f"  {command}" for command in [*commands][:_SHOWN]),
        *([f"  (and {counted(len(commands) - _SHOWN, 'such command')} more)"] if len(commands) > _SHOWN else []),
    )


def _command(path: str, ending: str, program: str, option: str) -> str:
    """Return the command that decompresses the file; it takes the ending off, or makes .tgz a .tar."""
    here = shlex.quote(path)
    if _is_named(path, ending):
        return f"{program} {option} {here}"
    return f"mv {here} {here}{ending} && {program} {option} {here}{ending}"


def _is_named(path: str, ending: str) -> bool:
    return path.endswith((ending, ".tgz") if ending == ".gz" else ending)


def _like(path: str) -> str:
    """Return what the names of files like this one end in."""
    stem, ending = os.path.splitext(path)
    return (".tar" if stem.endswith(".tar") else "") + ending
