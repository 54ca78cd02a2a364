"""Annotations: xmltodict's meaning, the bound that the plan counts with, and bad documents."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.demo import annotation_xml
from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass
from parallel_sharder.samples import annotation
from parallel_sharder.samples.original import annotated_json

CRANE = ImageClass(429, "crane", "n02012849")

NAMES = st.text("abcXYZ_\xe9\xfc", min_size=1, max_size=8)
# Every character that XML 1.0 allows.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda c: c >= " " or c in "\t\n"
    ),
    max_size=30,
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAMES)
    attributes = "".join(
        f' {key}="{escape(value, {chr(34): "&quot;"})}"'
        for key, value in draw(st.dictionaries(NAMES, TEXTS, max_size=2)).items()
    )
    inside = escape(draw(TEXTS))
    if depth:
        inside += "".join(draw(st.lists(elements(depth - 1), max_size=4))) + escape(draw(TEXTS))
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


BAD_DOCUMENTS = [
    (b"", "no element found"),
    (b"<annotation><object></annotation>", "mismatched tag: line 1"),
    (b"not xml", "syntax error"),
    (b'<!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>', "entities are disabled"),
    (b"<a>\xff</a>", "not well-formed"),
    (b'<?xml version="1.0" encoding="martian"?><a/>', "unknown encoding"),
    (b'<!DOCTYPE a [<!ATTLIST b c CDATA "x">]><annotation><b/></annotation>', "default attributes are disabled"),
    ("<!DOCTYPE a [<!ATTLIST b c CDATA 'x'>]><annotation/>".encode("utf-16"), "default attributes are disabled"),
    (b"<html><body/></html>", "its root is <html>"),
    (b"<annotation/>", "or it is empty"),
    (b"<annotation>words</annotation>", "not an annotation"),
]


@pytest.mark.parametrize(("xml", "reason"), BAD_DOCUMENTS)
def test_bad_documents(xml: bytes, reason: str) -> None:
    """A document that is no annotation, or could grow, is a problem of its sample, with path and reason."""
    with pytest.raises(SampleError, match=reason) as caught:
        annotation.parse(xml, "/a/b.xml")
    assert ("bad-annotation", "/a/b.xml") == (caught.value.kind, caught.value.path)


@given(st.binary(max_size=200) | elements().map(lambda text: text.encode()))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    """Whatever an annotation's file holds, it gives a dict that JSON can hold, or a SampleError."""
    try:
        document = annotation.parse(data, "")
    except SampleError:
        return
    annotation.oddities(document, "k")
    json.dumps(document)


def test_oddities() -> None:
    """Another image's name and bad boxes are told, each with its values; a box that fills the image is none."""
    xml = annotation_xml("n1", "n1_2", (500, 375), [(0, 0, 500, 375), (5, 5, 5, 9), (9, 1, 3, 4), (0, 0, 511, 9)])
    document = annotation.parse(xml.encode(), "")
    assert [
        (Kind.OTHER_NAME, "it names n1_2"),
        (Kind.BAD_BOX, "xmin, ymin, xmax, ymax [5, 5, 5, 9] in 500 x 375"),
        (Kind.BAD_BOX, "xmin, ymin, xmax, ymax [9, 1, 3, 4] in 500 x 375"),
        (Kind.BAD_BOX, "xmin, ymin, xmax, ymax [0, 0, 511, 9] in 500 x 375"),
    ] == annotation.oddities(document, "n1_3")
    assert 3 == len(annotation.oddities(document, "n1_2"))
    document["annotation"]["filename"] = "%s"
    document["annotation"]["object"] = None
    assert [] == annotation.oddities(document, "n1_3")


def test_real_annotations(real_imagenet: Path) -> None:
    """Every real annotation here, of both dialects, gives the reference's JSON, smaller than its bound."""
    paths = sorted(real_imagenet.glob("**/*.xml"))
    assert len(paths) > 40
    for path in paths:
        size = path.stat().st_size
        assert size < annotation.SIZE_LIMIT_BYTES
        metadata = annotated_json(annotation.parse(path.read_bytes(), str(path)), CRANE)
        expected = xmltodict.parse(path.read_text())
        expected.update(cls=429, cname="crane")
        assert json.dumps(expected).encode() == metadata
