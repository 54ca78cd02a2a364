"""The original form: the reference's JSON, within the bound that the plan counts with."""

from __future__ import annotations

import json

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.samples import annotation
from parallel_sharder.samples.none import plain_json
from parallel_sharder.samples.original import annotated_json
from tests.test_samples_annotation import CRANE, elements


@given(elements(), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_json_is_the_reference_and_within_its_bound(element: str, encoding: str) -> None:
    """For any document in any encoding, the JSON is json.dumps of xmltodict.parse plus cls and cname.

    And it is never larger than the plan has counted with.
    """
    try:
        document = f'<?xml version="1.0" encoding="{encoding}"?><annotation>{element}</annotation>'.encode(encoding)
    except UnicodeEncodeError:
        return  # not a document of this encoding
    data = annotated_json(annotation.parse(document, ""), CRANE)
    assert json.dumps({**xmltodict.parse(document), "cls": 429, "cname": "crane"}).encode() == data
    assert len(data) <= annotation.JSON_BYTES_PER_XML_BYTE * len(document) + len(plain_json(CRANE))


@pytest.mark.parametrize("unit", ["\x7f", "\xe9", "<b/>", "<b/>x", '<b c=""/>', "\n\\", "&#9;", "&lt;"])
def test_bound_holds_for_what_grows_most(unit: str) -> None:
    """The worst of each kind: one-byte letters that become six, empty elements, mixed text, attributes, escapes."""
    head = '<?xml version="1.0" encoding="iso-8859-1"?>'
    xml = f"{head}<annotation><a>.{unit * 2000}.</a></annotation>".encode("iso-8859-1")
    size = len(json.dumps(annotation.parse(xml, "")))
    assert size <= annotation.JSON_BYTES_PER_XML_BYTE * len(xml)
