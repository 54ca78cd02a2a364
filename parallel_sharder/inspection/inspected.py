"""Inspected: the facts that the command `inspect` returns: sets in short, samples, or one sample with its members.

Nothing here prints. The words for people are in report.inspected_text, which is imported only when they are asked for.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_sharder.inspection.described import SampleLine, is_image

if TYPE_CHECKING:
    from parallel_sharder.inspection.picture import Picture


@dataclass(frozen=True)
class SetOverview:
    """A set in short. What is not known without reading its shards is None; `braces` is "" if no pattern fits.

    `name` is the path of its manifest, or the pattern of another tool's shards. `beside` are the names of other files
    in the folder.
    """

    name: str
    state: str
    split: str | None
    samples: int | None
    shards: int
    file_bytes: int
    classes: int | None
    labels: str | None
    seed: int | None
    braces: str
    beside: tuple[str, ...]


class Content(NamedTuple):
    """The field and the bytes of a member."""

    field: str
    data: bytes


@dataclass(frozen=True)
class SampleDetail:
    """A sample with its members; `written` are the paths to which they were written."""

    line: SampleLine
    contents: tuple[Content, ...]
    written: tuple[str, ...]

    def picture(self) -> Picture | None:
        """Return the sample's first image with its boxes; None if it has no image. Raises as picture.picture does."""
        from parallel_sharder.inspection.picture import picture

        image = next((each for each in self.contents if is_image(each.field)), None)
        if image is None:
            return None
        values = self.texts().get("json")
        return picture(image.data, values if isinstance(values, dict) else {}, f"{self.line.shard}:{self.line.key}")

    def texts(self) -> dict[str, Any]:
        """Return the members that are JSON, parsed, or other text, by field."""
        found = {each.field: _text_of(each) for each in self.contents}
        return {field: text for field, text in found.items() if text is not None}


@dataclass(frozen=True)
class Inspected:
    """What was found. `is_chosen` says whether the samples were chosen by a condition or a class.

    `notices` are sentences that explain why none was.
    """

    sets: tuple[SetOverview, ...]
    samples: tuple[SampleLine, ...]
    one: SampleDetail | None = None
    is_chosen: bool = False
    notices: tuple[str, ...] = ()
    exit_code = 0

    def text(self) -> str:
        """Return the facts for people."""
        from parallel_sharder.report import inspected_text

        return inspected_text.inspected_text(self)

    def json(self) -> dict[str, Any]:
        """Return the facts for machines; a sample's JSON is parsed, and other text members are text."""
        if self.one is not None:
            return {**_line(self.one.line), "content": self.one.texts(), "written": list(self.one.written)}
        return {
            "sets": [*map(dataclasses.asdict, self.sets)],
            "samples": [*map(_line, self.samples)],
            "notices": [*self.notices],
        }


def _line(line: SampleLine) -> dict[str, Any]:
    return {**dataclasses.asdict(line), "members": dict(line.members)}


def _text_of(content: Content) -> Any:
    """Return the JSON that a member holds, or its text; None for a member that is neither."""
    try:
        text = content.data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if content.field.rpartition(".")[2].lower() == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text if "\0" not in text else None
