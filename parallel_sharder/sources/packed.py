"""Packed files: compressed files of the source are refused here, where only plain tars can be read.

The message has the commands that decompress them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Container, Sequence

from parallel_sharder.errors import SourceError
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
    if may_stage or not paths:
        for path in paths:
            refuse_packed(path, READ_THROUGH)
        return
    packed = {path: packing for path in paths if (packing := packing_of(path)) is not None}
    if not packed:
        raise SourceError(
            f"{paths[0]} is a Parquet file, whose images are read row after row, to a stage. Leave out --stage none."
        )
    if len(packed) == 1:
        refuse_packed(*packed, other=". Or leave out --stage none: the archive is then unpacked to a stage.")
    commands: dict[str, None] = {}
    for path, (ending, program) in packed.items():
        alike = f"{program} -dk {shlex.quote(os.path.dirname(path))}/*{_like(path)}"
        commands[alike if _is_named(path, ending) else _command(path, ending, program, "-dk")] = None
    first = next(iter(packed))
    raise SourceError(
        f"{counted(len(packed), 'archive is', 'archives are')} compressed, the first {first} by {packed[first][1]}, "
        "and only plain tars can be read in place. Leave out --stage none, and they are unpacked to a stage; or "
        "decompress them once, and name the plain tars:",
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
