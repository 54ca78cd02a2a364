"""Shards as other tools make them, for the tests of verify: sound ones, and with one fault."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parallel_sharder import Verdict, VerifyOptions, verify_shards
from tests.test_bad import picture

Members = list[tuple[str, bytes]]

PICTURE = picture()


def samples(*keys: str) -> Members:
    """A cls, a picture and a json for each key."""
    contents = (("cls", b"7"), ("jpg", PICTURE), ("json", b'{"a": 1.5}'))
    return [(f"{key}.{field}", content) for key in keys for field, content in contents]


def tar_of(members: Iterable[tuple[str, bytes]], tar_format: int = tarfile.USTAR_FORMAT, **fields: Any) -> bytes:
    """A tar that Python's tarfile writes; `fields` are values of all headers."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            for field, value in fields.items():
                setattr(header, field, value)
            archive.addfile(header, io.BytesIO(content))
    return file.getvalue()


def check(dest: str | Path, workers: int = 0) -> Verdict:
    return verify_shards(VerifyOptions(dest=dest, workers=workers))


def faults(verdict: Verdict) -> str:
    return "\n".join(
        f"{os.path.basename(each.path)} {each.key} {each.offset}: {each.detail}" for each in verdict.deviations
    )


def remarks(verdict: Verdict) -> str:
    return "\n".join(f"{os.path.basename(each.path)} {each.count}: {each.detail}" for each in verdict.remarks)


def of_shard(folder: Path, data: bytes, name: str = "x-000.tar") -> Verdict:
    """The verdict on a set of one shard."""
    (folder / name).write_bytes(data)
    return check(folder)
