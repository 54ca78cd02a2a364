"""How large each sample can be in the tar, from the Listing alone: what the plan counts with.

Exact but for annotated samples, whose JSON is bounded from the XML's size. A shard is therefore never larger than
planned, and about 1 % smaller on ImageNet.
"""

from __future__ import annotations

import numpy as np

from parallel_sharder import annotation, ustar
from parallel_sharder.columns import Int64s
from parallel_sharder.errors import PlanError
from parallel_sharder.members import plain_json
from parallel_sharder.model import ImageClass, Listing


def sample_bytes(listing: Listing) -> Int64s:
    """For each row of the Listing the most bytes its members take in a tar, headers and padding included.

    Raises PlanError for an image that is too large for any tar header.
    """
    largest = int(np.argmax(listing.image_size))
    if listing.image_size[largest] >= ustar.SIZE_LIMIT_BYTES:
        raise PlanError(
            f"{str(listing.keys[largest], 'ascii')} has {listing.image_size[largest]:,} bytes; a tar that all readers "
            f"take holds files below {ustar.SIZE_LIMIT_BYTES:,}. Take it out of the set."
        )
    kinds: list[ImageClass | None] = [*listing.classes, None]  # row -1 is "no class"
    label_bytes = np.array(
        [0 if kind is None else ustar.member_bytes(len(str(kind.label))) for kind in kinds], np.int64
    )
    plain_bytes = np.array([len(plain_json(kind)) for kind in kinds], np.int64)
    # Larger annotations are not stored.
    annotated = (listing.xml_size >= 0) & (listing.xml_size <= annotation.SIZE_LIMIT_BYTES)
    json_bytes = plain_bytes[listing.class_index]
    json_bytes[annotated] += annotation.JSON_BYTES_PER_XML_BYTE * listing.xml_size[annotated]
    return label_bytes[listing.class_index] + _member_bytes(listing.image_size) + _member_bytes(json_bytes)


def _member_bytes(sizes: Int64s) -> Int64s:
    """`ustar.member_bytes` of a column."""
    return ustar.BLOCK_BYTES + sizes + -sizes % ustar.BLOCK_BYTES
