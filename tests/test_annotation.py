"""Annotations: xmltodict's meaning, the bound that the plan counts with, and bad documents."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder import annotation
from parallel_sharder.blob import Blob
from parallel_sharder.errors import SampleError
from parallel_sharder.members import Member, plain_json, sample_members
from parallel_sharder.model import ImageClass

CRANE = ImageClass(429, "n02012849", "crane", 429)

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


@given(elements(), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_json_is_the_reference_and_within_its_bound(
    tmp_path_factory: pytest.TempPathFactory, document: str, encoding: str
) -> None:
    """For any document in any encoding, the JSON is json.dumps of xmltodict.parse plus cls and cname, and the plan's
    bound on its size holds.
    """
    try:
        xml = f'<?xml version="1.0" encoding="{encoding}"?>{document}'.encode(encoding)
    except UnicodeEncodeError:
        return  # not a document of this encoding
    path = tmp_path_factory.mktemp("x") / "a.xml"
    path.write_bytes(xml)
    members = sample_members("k", Blob("unread.JPEG", 0), Blob(str(path), len(xml)), CRANE)
    expected = json.dumps({**xmltodict.parse(xml), "cls": 429, "cname": "crane"}).encode()
    assert ["k.cls", "k.jpg", "k.json"] == [member.name for member in members]
    assert expected == members[2].content
    assert len(expected) <= annotation.JSON_BYTES_PER_XML_BYTE * len(xml) + len(plain_json(CRANE))


@pytest.mark.parametrize("unit", ["\x7f", "\xe9", "<b/>", "<b/>x", '<b c=""/>', "\n\\", "&#9;", "&lt;"])
def test_bound_holds_for_what_grows_most(unit: str) -> None:
    """The worst of each kind: one-byte letters that become six, empty elements, mixed text, attributes, escapes."""
    head = '<?xml version="1.0" encoding="iso-8859-1"?>'
    xml = f"{head}<a>.{unit * 2000}.</a>".encode("iso-8859-1")
    size = len(json.dumps(annotation.parse(xml, "")))
    assert size <= annotation.JSON_BYTES_PER_XML_BYTE * len(xml)


def test_sample_without_annotation() -> None:
    """The JSON holds label and words alone; without a class it is an empty object and there is no cls."""
    image = Blob("unread.JPEG", 0)
    assert [
        Member("k.cls", b"429"),
        Member("k.jpg", image),
        Member("k.json", b'{"cls": 429, "cname": "crane"}'),
    ] == sample_members("k", image, None, CRANE)
    assert [Member("k.jpg", image), Member("k.json", b"{}")] == sample_members("k", image, None, None)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "no element found"),
        (b"<annotation><object></annotation>", "mismatched tag: line 1"),
        (b"not xml", "syntax error"),
        (b'<!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>', "entities are disabled"),
        (b"<a>\xff</a>", "not well-formed"),
        (b'<?xml version="1.0" encoding="martian"?><a/>', "unknown encoding"),
        (b"<a>" * 5000 + b"</a>" * 5000, "nested too deeply"),
        (
            b'<!DOCTYPE a [<!ATTLIST b c CDATA "' + b"x" * 500 + b'">]><a>' + b"<b/>" * 500 + b"</a>",
            "declares defaults",
        ),
    ],
)
def test_bad_documents(tmp_path: Path, xml: bytes, reason: str) -> None:
    """A document that cannot be converted is a problem of its sample, with path and reason."""
    path = tmp_path / "a.xml"
    path.write_bytes(xml)
    with pytest.raises(SampleError, match=reason) as caught:
        sample_members("k", Blob("unread.JPEG", 0), Blob(str(path), len(xml)), CRANE)
    assert ("bad-annotation", str(path)) == (caught.value.kind, caught.value.path)


def test_real_annotations(real_imagenet: Path) -> None:
    """Every real annotation here, of both dialects, gives the reference's JSON, smaller than its bound."""
    paths = sorted(real_imagenet.glob("**/*.xml"))
    assert len(paths) > 40
    for path in paths:
        size = path.stat().st_size
        metadata = sample_members("k", Blob("unread.JPEG", 0), Blob(str(path), size), CRANE)[2].content
        expected = xmltodict.parse(path.read_text())
        expected.update(cls=429, cname="crane")
        assert json.dumps(expected).encode() == metadata
