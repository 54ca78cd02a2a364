"""Foreign class lists, which other projects keep: torchvision's meta.bin, Keras's JSON, Hugging Face's classes.py.

Each function takes a file's content and returns pairs of a WordNet ID and its words. It raises a ValueError that says
what is wrong for any other content. Nothing in these files is ever run: a pickle may name no class and no function.
"""

from __future__ import annotations

import ast
import io
import json
import pickle
import zipfile
from typing import Any, NoReturn

from parallel_sharder.sources.imagenet.names import WNID

PICKLE_LIMIT_BYTES = 64 << 20
"""The largest pickle that is read. Torchvision's file has under 1 MB."""

ClassRows = list[tuple[str, str]]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle in a file that torch wrote before version 1.6. The fourth pickle holds the saved value."""


def is_from_torch(content: bytes) -> bool:
    """Return whether `content` looks like a file of torch.save: a zip, or a pickle of protocol 2 or later."""
    return content.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))


def rows_from_torch(content: bytes) -> ClassRows:
    """Return the classes in torchvision's meta.bin, which holds the tuple (words of each wnid, wnids of val)."""
    try:
        classes, _ = _saved_by_torch(content)
        return _rows(classes)
    except Exception as error:  # a pickle of foreign bytes raises a dozen kinds of errors
        raise ValueError(f"it is not torchvision's meta.bin ({error or type(error).__name__})") from error


def rows_from_json(text: str) -> ClassRows:
    """Return the classes in a JSON object: `{"0": [wnid, words], ...}` as Keras has it, or `{wnid: words, ...}`."""
    try:
        found = json.loads(text, object_pairs_hook=list)  # pairs, because a dict would hide repeated keys
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    return _rows(found)


def rows_from_python(text: str) -> ClassRows:
    """Return the classes in Python source that assigns a dict of words by wnid, or a call with one; it is not run."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is not Python source ({error})") from error
    for statement in statements:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            value = statement.value
            if isinstance(value, ast.Call) and len(value.args) == 1:
                [value] = value.args
            if isinstance(value, ast.Dict | ast.List):
                return _rows(ast.literal_eval(value))
    raise ValueError("it assigns no dict of words by WordNet ID")


def _rows(found: object) -> ClassRows:
    """Return the pairs in a dict, or in a list of pairs."""
    if not isinstance(found, dict | list):
        raise ValueError("it is not a dict of words by WordNet ID")
    return [_row(entry) for entry in (found.items() if isinstance(found, dict) else found)]


def _row(entry: object) -> tuple[str, str]:
    match entry:
        case (str() as wnid, str() as words):
            return wnid, words
        case (str(), (str() as wnid, str() as words)) if WNID.fullmatch(wnid):  # Keras: the key is a number
            return wnid, words
        case (str() as wnid, tuple() as words) if all(isinstance(each, str) for each in words):  # torchvision
            return wnid, ", ".join(words)
    raise ValueError(f"it has {str(entry)[:60]!r} where a WordNet ID and its words should be")


class _Unpickler(pickle.Unpickler):
    """An unpickler that builds only dicts, lists, tuples, strings and numbers."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise ValueError(f"it names {module}.{name}, and a class list needs no code")


def _saved_by_torch(content: bytes) -> Any:
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            [member] = [each for each in archive.infolist() if each.filename.endswith("/data.pkl")]
            if member.file_size > PICKLE_LIMIT_BYTES:
                raise ValueError(f"its data.pkl has {member.file_size:,} bytes")
            return _Unpickler(io.BytesIO(archive.read(member))).load()
    stream = io.BytesIO(content)
    magic = _Unpickler(stream).load()
    if isinstance(magic, tuple):  # saved by pickle itself
        return magic
    _, _, saved = (_Unpickler(stream).load() for _ in range(3))
    if magic != _LEGACY_MAGIC:
        raise ValueError("it was not written by torch")
    return saved
