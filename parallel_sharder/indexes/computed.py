"""Computed members: where each member of a shard of ours is, from the plan and the shard's record.

The shard is not read. The sizes of images and labels follow from the Listing; a JSON's size stands in the record.
"""

from __future__ import annotations

import numpy as np

from parallel_sharder.indexes.member_places import Columns, ShardMembers
from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.samples.forms import ANNOTATED
from parallel_sharder.samples.tar_sizes import FieldBytes, member_bytes
from parallel_sharder.tar import ustar


def computed_members(listing: Listing, plan: Plan, form: str, record: ShardRecord) -> ShardMembers:
    """Return the members of the finished shard that has this record, and whose samples have this form."""
    planned = plan.order[plan.cuts[record.number] : plan.cuts[record.number + 1]]
    rows = np.delete(planned, list(record.left_out)) if record.left_out else planned
    fields = ANNOTATED[form].fields(bool(listing.classes))
    recorded = [column for column, field in enumerate(fields) if not field.is_exact]
    sizes = np.empty((len(rows), len(fields)), np.int64)
    sizes[:, recorded] = np.frombuffer(record.json_bytes, np.uint32).reshape(len(rows), len(recorded))
    for column, field in enumerate(fields):
        if field.is_exact:
            sizes[:, column] = FieldBytes(field, listing).at(rows)
    whole = member_bytes(sizes)
    starts = whole.cumsum().reshape(whole.shape) - whole
    data = starts + ustar.BLOCK_BYTES
    keys = b"\n".join(listing.keys.take(rows)).decode("ascii").split("\n")
    names = tuple(field.name for field in fields)
    endings = tuple(f".{name}" for name in names)
    columns = Columns(keys, names, endings, starts[:, 0].tolist(), data.T.tolist(), sizes.T.tolist())
    return ShardMembers([columns] if len(rows) else [])
