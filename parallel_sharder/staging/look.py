"""Looks: what is kept of each image of an archive that is read through, because it cannot be read again cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Look = Callable[[bytes], bytes]
"""A function from the bytes of an image to what is kept of them, which always has the same length."""

Take = Callable[[int, int], None]
"""What a listing calls for each image, with its offset and its size, before it goes on."""


class Looked(NamedTuple):
    """What was kept of the images in one archive: their offsets as native int64, and the values of Look end to end."""

    path: str
    offsets: bytes
    values: bytes
