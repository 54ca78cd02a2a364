"""How large each sample can be in the tar, from the Listing alone: what the plan counts with.

Exact but for annotated samples, whose JSON is bounded from the XML's size, and for boxes, which tell of the image's
width too. A shard is therefore never larger than planned, and about 1 % smaller on ImageNet.
"""

from __future__ import annotations

import numpy as np

from parallel_sharder import annotation, ustar
from parallel_sharder.columns import Int64s
from parallel_sharder.errors import PlanError
from parallel_sharder.forms import boxes
from parallel_sharder.members import label_text, plain_json
from parallel_sharder.model import ImageClass, Listing, Role

_ROWS_AT_A_TIME = 1 << 16
"""In small steps all in between stays in the processor's cache; in one it would take five times the column's memory."""


def sample_bytes(listing: Listing, annotations: str = "original") -> Int64s:
    """For each row of the Listing the most bytes its members take in a tar, headers and padding included.

    `annotations` is the form of the JSON, one of Options'.

    Raises PlanError for an image that is too large for any tar header.
    """
    image_sizes, xml_sizes = listing.part(Role.IMAGE).size, listing.part(Role.ANNOTATION).size
    largest = int(np.argmax(image_sizes))
    if image_sizes[largest] >= ustar.SIZE_LIMIT_BYTES:
        raise PlanError(
            f"{str(listing.keys[largest], 'ascii')} has {image_sizes[largest]:,} bytes; a tar that all readers "
            f"take holds files below {ustar.SIZE_LIMIT_BYTES:,}. Take it out of the set."
        )
    kinds: list[ImageClass | None] = [*listing.classes, None]  # row -1 is "no class"
    label_bytes = np.array(
        [0 if kind is None else ustar.member_bytes(len(label_text(kind))) for kind in kinds], np.int64
    )
    if annotations == "boxes":
        plain_bytes = np.array([boxes.limit(kind, listing.keys.itemsize, 0) for kind in kinds], np.int64)
        growth = 1
    else:
        plain_bytes = np.array([len(plain_json(kind)) for kind in kinds], np.int64)
        growth = annotation.JSON_BYTES_PER_XML_BYTE
    total = np.empty(len(listing), np.int64)
    for start in range(0, len(listing), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        class_index, xml_size = listing.class_index[some], xml_sizes[some]
        stored = (xml_size >= 0) & (xml_size <= annotation.SIZE_LIMIT_BYTES)  # larger annotations are not
        json_bytes = plain_bytes[class_index] + stored * growth * xml_size
        total[some] = label_bytes[class_index] + member_bytes(image_sizes[some]) + member_bytes(json_bytes)
    return total


def member_bytes(sizes: Int64s) -> Int64s:
    """`ustar.member_bytes` of a column."""
    return ustar.BLOCK_BYTES + sizes + -sizes % ustar.BLOCK_BYTES
