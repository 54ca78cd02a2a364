"""Shapes of annotations: documents that differ only in their values become JSON without being parsed.

Nearly all annotations of ImageNet have one of a few dozen shapes: the same tags in the same order, with other words
between them. A shape is learned once, from one document. Its template is the JSON that xmltodict and json make of this
document with a placeholder for each value. Its pattern is a regular expression: the document with a group for each
value. To fill the template takes 5 µs, and to parse the document 80 to 180 µs.

Only a document that cannot mean anything else is filled: printable ASCII without attribute, entity, quote, backslash,
comment, declaration or carriage return, and with nothing doubtful in name and boxes. All others are left to
`annotation.parse`, which defines the meaning. Before a shape is used, the JSON that it makes of its own document is
compared with the JSON that the parser makes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from parallel_sharder.errors import SampleError
from parallel_sharder.samples import annotation
from parallel_sharder.samples.annotation import Described, DescribedObject

SHAPES_LIMIT = 256
"""Shapes that a worker keeps. ImageNet has some 60. Where each document has its own shape, more only cost memory."""

ALIKE_LIMIT = 4
"""Shapes kept for one number of tags. A document may have to be matched with all of them."""

_VALUE = rb"([!#-%(-;=?-\[\]-~]++(?: [!#-%(-;=?-\[\]-~]++)*+)"
"""Words of printable ASCII without `"&'<>\\`, one space apart: XML and JSON both write them as they are."""

_LEAF = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.-]*+)>" + _VALUE + rb"</\1>")
_PLAIN = re.compile(rb"(?:[\t\n !#-%(-;=?-\[\]-~]++|</?[A-Za-z_][A-Za-z0-9_.-]*+/?>)*+")
_PLACEHOLDER = re.compile("placeholder([0-9]+)x")

Box = tuple[int, int, int, int]
"""The groups of xmin, ymin, xmax and ymax."""

_Source = int | str | None
"""The source of a text: the number of a group, or the text itself, which the shape fixes; None for no text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: `pattern` matches its documents, with a group for each value; `template` is filled with the values.

    The last thing that `template` is filled with is the end of the JSON. `filename` is the group of the image's name,
    `size` has the groups of width and height, and `boxes` those of each object's box; None or empty where the shape has
    none. `described` has the sources of the texts of `annotation.Described`, and `objects` those of each object in it.
    """

    pattern: re.Pattern[bytes]
    template: bytes
    filename: int | None
    size: tuple[int, int] | None
    boxes: tuple[Box, ...]
    described: tuple[_Source, ...]
    objects: tuple[tuple[_Source, ...], ...]

    def describe(self, values: tuple[bytes, ...]) -> Described:
        """Return what `annotation.describe` returns for the document with these values."""
        objects = tuple(DescribedObject(*_texts(sources, values)) for sources in self.objects)
        folder, filename, width, height = _texts(self.described, values)
        return Described(folder, filename, width, height, objects)

    def is_odd(self, values: tuple[bytes, ...], key: bytes) -> bool:
        """Return whether `annotation.oddities` may find something in the document with these values."""
        if self.filename is not None and values[self.filename] != key:
            return True
        if self.size is None:
            return False
        try:
            width, height = int(values[self.size[0]]), int(values[self.size[1]])
            for xmin, ymin, xmax, ymax in self.boxes:
                if not (
                    0 <= int(values[xmin]) < int(values[xmax]) <= width
                    and 0 <= int(values[ymin]) < int(values[ymax]) <= height
                ):
                    return True
        except ValueError:
            return True
        return False


class Shapes:
    """The shapes that were learned so far."""

    def __init__(self) -> None:
        self._by_tags: dict[int, list[Shape]] = {}
        self._count = 0

    def fill(self, xml: bytes, key: str, end: bytes) -> bytes | None:
        """Return the JSON of an annotation of the image `key`, with `end` before its last brace.

        Returns None for a document of no known shape, and for one with something doubtful. A new shape is learned for
        the documents that follow, up to the limits.
        """
        found = self._find(xml)
        if found is None:
            return None
        shape, values = found
        return None if shape.is_odd(values, key.encode("ascii")) else shape.template % (*values, end)

    def describe(self, xml: bytes) -> Described | None:
        """Return what `annotation.describe` returns; None for no known shape, which is then learned as by `fill`."""
        found = self._find(xml)
        return None if found is None else found[0].describe(found[1])

    def _find(self, xml: bytes) -> tuple[Shape, tuple[bytes, ...]] | None:
        """Return the shape of a document and its values. Learn a shape that is not known, and return None."""
        tags = xml.count(b"<")
        alike = self._by_tags.get(tags, ())
        for shape in alike:
            match = shape.pattern.fullmatch(xml)
            if match is not None:
                return shape, match.groups()
        if self._count < SHAPES_LIMIT and len(alike) < ALIKE_LIMIT:
            shape_of_this = learn(xml)
            if shape_of_this is not None:
                self._by_tags.setdefault(tags, []).append(shape_of_this)
                self._count += 1
        return None


KNOWN_SHAPES = Shapes()
"""The shapes that this process has learned."""


def learn(xml: bytes) -> Shape | None:
    """Return the shape of a document; None if it has no shape that can be filled."""
    if not _PLAIN.fullmatch(xml):
        return None
    literals: list[bytes] = []
    end = 0
    for leaf in _LEAF.finditer(xml):
        literals.append(xml[end : leaf.start(2)])
        end = leaf.end(2)
    literals.append(xml[end:])
    held = b"".join(b"%bplaceholder%dx" % (literal, number) for number, literal in enumerate(literals[:-1]))
    try:
        document = annotation.parse(held + literals[-1], "")
        template = json.dumps(document)
        described = annotation.describe(document)
        places = _places(described)
        *fields, objects = described
        sources = tuple(map(_source, fields)), tuple(tuple(map(_source, each)) for each in objects)
        original = json.dumps(annotation.parse(xml, "")).encode("ascii")
    except (SampleError, RecursionError, ValueError):
        return None
    if [int(number) for number in _PLACEHOLDER.findall(template)] != list(range(len(literals) - 1)):
        return None  # a template cannot put values in another order
    filled = _PLACEHOLDER.sub("%b", template.replace("%", "%%")).removesuffix("}") + "%b}"
    shape = Shape(re.compile(_VALUE.join(map(re.escape, literals))), filled.encode("ascii"), *places, *sources)
    match = shape.pattern.fullmatch(xml)
    return shape if match is not None and shape.template % (*match.groups(), b"") == original else None


def _places(described: Described) -> tuple[int | None, tuple[int, int] | None, tuple[Box, ...]]:
    """Return the groups of what `annotation.oddities` checks. Raises ValueError if a text is not one whole value."""
    filename = None if described.filename is None else _group(described.filename)
    if described.width is None or described.height is None:
        return filename, None, ()
    boxes = []
    for each in described.objects:
        sides = [_group(text) for text in (each.xmin, each.ymin, each.xmax, each.ymax) if text is not None]
        if len(sides) == 4:
            boxes.append((sides[0], sides[1], sides[2], sides[3]))
    return filename, (_group(described.width), _group(described.height)), tuple(boxes)


def _source(text: str | None) -> _Source:
    match = _PLACEHOLDER.fullmatch(text or "")
    return text if match is None else int(match[1])


def _texts(sources: tuple[_Source, ...], values: tuple[bytes, ...]) -> list[str | None]:
    return [values[source].decode("ascii") if isinstance(source, int) else source for source in sources]


def _group(value: str) -> int:
    match = _PLACEHOLDER.fullmatch(value)
    if match is None:
        raise ValueError(value)
    return int(match[1])
