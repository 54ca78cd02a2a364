"""Where each member of our own shards is: computed from the plan and a shard's record, without reading the shard."""

from __future__ import annotations

import numpy as np

from parallel_sharder import members, ustar
from parallel_sharder.bounds import member_bytes
from parallel_sharder.indexes.members import Columns, ShardMembers
from parallel_sharder.model import Listing, Plan, ShardRecord


def computed(listing: Listing, plan: Plan, record: ShardRecord) -> ShardMembers:
    """The members of the finished shard with this record."""
    planned = plan.order[plan.cuts[record.number] : plan.cuts[record.number + 1]]
    rows = np.delete(planned, list(record.left_out)) if record.left_out else planned
    fields = members.fields(bool(listing.classes))
    sizes = np.empty((len(rows), len(fields)), np.int64)
    sizes[:, -2] = listing.image_size.take(rows)
    sizes[:, -1] = np.frombuffer(record.json_bytes, np.uint32)
    if listing.classes:
        label_bytes = np.array([len(members.label_text(each)) for each in listing.classes], np.int64)
        sizes[:, 0] = label_bytes.take(listing.class_index.take(rows))
    whole = member_bytes(sizes)
    starts = whole.cumsum().reshape(whole.shape) - whole
    data = starts + ustar.BLOCK_BYTES
    keys = b"\n".join(listing.keys.take(rows).tolist()).decode("ascii").split("\n")
    endings = tuple(f".{field}" for field in fields)
    columns = Columns(keys, fields, endings, starts[:, 0].tolist(), data.T.tolist(), sizes.T.tolist())
    return ShardMembers([columns] if len(rows) else [])
