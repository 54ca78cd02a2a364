"""Annotations: XML bytes to the dict that a sample's JSON begins with.

The meaning is xmltodict's, because the reference script's is. Nothing else in the package knows XML.
"""

from __future__ import annotations

from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from parallel_sharder.errors import SampleError
from parallel_sharder.model import Kind

JSON_BYTES_PER_XML_BYTE = 6
"""The most that `json.dumps` of a parsed document grows over the document's bytes.

One byte of text (DEL, or a letter in Latin-1) becomes six (`\\u007f`), and no markup grows as much: `<a/>` takes four
bytes and gives the eleven of `"a": null, `. Only a DTD that declares default values can pass it; see `members`.
"""


def parse(xml: bytes, path: str) -> dict[str, Any]:
    """The document as xmltodict gives it, a dict of the root element's name.

    Raises SampleError (bad-annotation) with the parser's reason and place; `path` is only for that.
    """
    try:
        document: dict[str, Any] = xmltodict.parse(xml)
    except (ExpatError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise SampleError(Kind.BAD_ANNOTATION, path, f"not well-formed XML: {error}") from error
    return document
