"""Shapes: whatever is filled is what xmltodict and json would have written, and nothing remarkable is filled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import SampleError
from parallel_sharder.model import ImageClass
from parallel_sharder.samples import annotation
from parallel_sharder.samples.original import annotated_json, json_end
from parallel_sharder.samples.shapes import ALIKE_LIMIT, SHAPES_LIMIT, Shapes, learn
from tests import made

CRANE = ImageClass(429, 'crane, 100 % "bird" \xe9', "n02012849")
KEY = "n02012849_7"
SIMPLE = made.annotation_xml("n02012849", KEY, (500, 375), [(1, 2, 30, 40), (5, 6, 70, 80)])


def expected(xml: bytes) -> bytes | None:
    """What the slow way gives; None for what is not stored so, or has something to tell."""
    try:
        document = annotation.parse(xml, "")
        if annotation.oddities(document, KEY):
            return None
        return annotated_json(document, CRANE)
    except (SampleError, RecursionError):
        return None


def check(first: bytes, *others: bytes) -> None:
    """After `first` was met, it and the others are filled as they are parsed, or not at all."""
    shapes = Shapes()
    assert shapes.fill(first, KEY, json_end(CRANE)) is None
    for xml in (first, *others):
        filled = shapes.fill(xml, KEY, json_end(CRANE))
        assert filled is None or expected(xml) == filled, xml


NAMES = st.sampled_from(["a", "b", "object", "filename", "size", "width", "bndbox", "xmin", "x.y-z_1", "annotation"])
WORDS = st.sampled_from(
    [
        *(KEY, f"{KEY}.JPEG", "other_1", "%s", "0", "7", "-3", "500", "1e3", "1_0", "placeholder0x", "placeholder1x"),
        *("a b", "a  b", " a", "a\n", "", "&amp;", "&#65;", '"', "'", "\\", "\x7f", "\xe9", "]]", "/", "=", "?", "!"),
        *("%", "%b", "\r"),
    ]
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAMES)
    odd = draw(st.sampled_from([""] * 20 + [' q="1"', " ", "<!-- c -->", "<![CDATA[x]]>", "<?p i?>"]))
    if odd.startswith("<"):
        inside = odd
    elif depth and draw(st.integers(0, 3)):
        inside = draw(st.sampled_from(["", "\n\t"])).join(draw(st.lists(elements(depth - 1), max_size=4)))
    else:
        inside = draw(WORDS)
    if not inside and draw(st.booleans()):
        return f"<{name}/>"
    return f"<{name}{odd if not odd.startswith('<') else ''}>{inside}</{name}>"


@given(elements(), st.data())
def test_filled_is_parsed(inside: str, data: st.DataObject) -> None:
    """For any document, and for any other that is made of it by changing what stands between the tags."""
    xml = f"<annotation>{inside}</annotation>"
    parts = xml.split(">")
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(parts) - 1))
        if "<" in parts[place]:
            parts[place] = data.draw(WORDS) + parts[place][parts[place].index("<") :]
    check(xml.encode(), ">".join(parts).encode())


@given(st.data())
def test_filled_boxes_are_sound(data: st.DataObject) -> None:
    """Of real documents with other values, none is filled that has a name or a box to report."""
    document = SIMPLE
    for old in ("<xmin>1<", "<ymax>40<", f"<filename>{KEY}<", "<width>500<", "<xmax>70<"):
        if data.draw(st.booleans()):
            document = document.replace(old, old[: old.index(">") + 1] + data.draw(WORDS) + "<")
    check(SIMPLE.encode(), document.encode())


@pytest.mark.parametrize("value", ["x", "other", "500 375", "%s", "a%b", "(a)", "a.b", "#", "]"])
def test_values_that_are_filled(value: str) -> None:
    """Ordinary words are filled, whatever they mean to formatting or to expressions."""
    shapes = Shapes()
    assert shapes.fill(SIMPLE.encode(), KEY, b"") is None
    other = SIMPLE.replace("Unspecified", value).encode()
    filled = shapes.fill(other, KEY, json_end(CRANE))
    assert expected(other) == filled
    assert filled is not None


@pytest.mark.parametrize(
    "odd",
    ["&amp;", "caf\xe9", "a<!-- c -->", '"a"', "it's", "a\\b", "<b/>", " a", "a ", "a\r", "a\tb", "", "\x7f"],
)
def test_what_is_left_to_the_parser(odd: str) -> None:
    """A shape does not match where a value is more than plain words."""
    shapes = Shapes()
    shapes.fill(SIMPLE.encode(), KEY, b"")
    assert shapes.fill(SIMPLE.replace("Unspecified", odd).encode(), KEY, b"") is None


@pytest.mark.parametrize(
    "xml",
    [
        '<annotation a="1"><b>1</b></annotation>',
        '<?xml version="1.0" encoding="cp864"?><annotation><b>5%</b></annotation>',
        "<!DOCTYPE annotation><annotation><b>1</b></annotation>",
        "<annotation><a>1</a><b>2</b><a>3</a></annotation>",
        "<annotation><b>1</b>",
        "<other><b>1</b></other>",
        "<annotation>1</annotation>",
        "",
    ],
)
def test_documents_without_a_shape(xml: str) -> None:
    """Attributes, declarations, lists that are not of one piece, and what is no annotation at all, are not learned."""
    assert learn(xml.encode()) is None


def test_shapes_are_bounded() -> None:
    """A set in which each document has its own shape fills neither the memory nor the time."""
    shapes = Shapes()
    alike = [f"<annotation><a{number}>1</a{number}></annotation>".encode() for number in range(2 * ALIKE_LIMIT)]
    others = [
        ("<annotation>" + "<b>1</b>" * number + "</annotation>").encode() for number in range(2, 2 * SHAPES_LIMIT)
    ]
    for xml in (*alike, *others):
        shapes.fill(xml, KEY, b"")
    assert ALIKE_LIMIT == sum(shapes.fill(xml, KEY, b"") is not None for xml in alike)
    assert SHAPES_LIMIT == sum(shapes.fill(xml, KEY, b"") is not None for xml in (*alike, *others))


def test_real_annotations(real_imagenet: Path) -> None:
    """All real ones here but the odd ones are filled, the second time they are met, as they are parsed."""
    shapes = Shapes()
    filled = 0
    paths = sorted(real_imagenet.rglob("*.xml"))
    for _ in range(2):
        filled = 0
        for path in paths:
            text = shapes.fill(path.read_bytes(), path.stem, json_end(CRANE))
            document = annotation.parse(path.read_bytes(), "")
            if text is not None:
                filled += 1
                assert json.dumps({**document, "cls": 429, "cname": CRANE.name}).encode() == text
                assert [] == annotation.oddities(document, path.stem)
    assert len(paths) - 5 <= filled <= len(paths)


@given(st.binary(max_size=200))
def test_any_bytes(xml: bytes) -> None:
    """Whatever a file holds, trying it ends without an error."""
    check(xml)
