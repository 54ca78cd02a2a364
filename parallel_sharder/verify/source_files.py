"""A sample of class folders or of a table, as its source has it: workers compare it with the stored one.

The members are made here with code of its own, so that no mistake of the forms in samples/ can hide. This module
imports nothing that writes shards, and no numpy, which workers do not need.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

from parallel_sharder.errors import SampleError
from parallel_sharder.model import ImageClass
from parallel_sharder.stores.blob import Blob
from parallel_sharder.verify.source_sample import Seen, Stored, seen_of


class FilesSource(NamedTuple):
    """A sample of class folders or of a table. It is a SourceSample.

    `name` is the image's path in the source, as the JSON has it. `sides` has the field and the blob of each further
    file. `row` is the text that a table's row adds to the JSON. `label` is the label of a sample whose class is in no
    table.
    """

    key: str
    name: str
    image: Blob | Seen
    sides: tuple[tuple[str, Blob], ...]
    row: Blob | None
    image_class: ImageClass | None
    label: int | None

    @property
    def path(self) -> str:
        """As SourceSample says."""
        return self.image.path

    def fault(self) -> str:
        """As SourceSample says."""
        try:
            for blob in (*(side for _, side in self.sides), *([self.row] if self.row is not None else [])):
                blob.read()
            return seen_of(self.image).fault
        except SampleError as error:
            return error.detail

    def differences(self, stored: Stored, _: bool) -> Iterator[str]:
        """As SourceSample says."""
        if seen_of(self.image).digest != stored.image:
            yield f"its image is not that of the source, {self.image.path}"
        sides = {field: blob.read() for field, blob in self.sides}
        others = [] if self._cls is None else [("cls", b"%d" % self._cls)]
        others += [(field, content) for field, content in sides.items() if field != "json"]
        entries = (field.encode() + b"\0" + xxhash.xxh3_128_digest(content) for field, content in others)
        parts = map(xxhash.xxh3_128_digest, entries)
        if xxhash.xxh3_128_digest(b"".join(parts)) != stored.others:
            named = ", ".join(["its label", *(blob.path for _, blob in self.sides)])
            yield f"its other members do not follow from the source: {named}"
        if xxhash.xxh3_128_digest(sides.get("json", self._json())) != stored.json:
            what = "its row" if self.row is not None else f"its class and name in the source, {self.name}"
            yield f"its json does not follow from {what}"

    @property
    def _cls(self) -> int | None:
        return self.image_class.label if self.image_class is not None else self.label

    def _json(self) -> bytes:
        """Return the JSON that this tool makes: class, name and row."""
        content: dict[str, object] = {} if self._cls is None else {"cls": self._cls}
        if self.image_class is not None:
            content["cname"] = self.image_class.name
        if self.row is None:
            content["filename"] = os.fsencode(self.name).decode("utf-8", "backslashreplace")
        else:
            content |= json.loads(b"{%b}" % self.row.read())
        return json.dumps(content).encode("ascii")
