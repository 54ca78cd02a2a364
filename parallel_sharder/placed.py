"""Where each member of our own shards is: computed from the plan and a shard's record, without reading the shard."""

from __future__ import annotations

import numpy as np

from parallel_sharder import members, ustar
from parallel_sharder.bounds import member_bytes
from parallel_sharder.indexes import Columns
from parallel_sharder.model import Listing, Plan, Role, ShardRecord


def placed(listing: Listing, plan: Plan, record: ShardRecord) -> Columns:
    """The samples of the finished shard that `record` tells of, and where their members are in its tar."""
    planned = plan.order[plan.cuts[record.number] : plan.cuts[record.number + 1]]
    rows = np.delete(planned, list(record.left_out)) if record.left_out else planned
    fields = members.fields(bool(listing.classes))
    sizes = np.empty((len(rows), len(fields)), np.int64)
    sizes[:, -2] = listing.part(Role.IMAGE).size.take(rows)
    sizes[:, -1] = np.frombuffer(record.json_bytes, np.uint32)
    if listing.classes:
        label_bytes = np.array([len(members.label_text(each)) for each in listing.classes], np.int64)
        sizes[:, 0] = label_bytes.take(listing.class_index.take(rows))
    whole = member_bytes(sizes)
    data = whole.cumsum().reshape(whole.shape) - whole + ustar.BLOCK_BYTES
    keys = b"\n".join(listing.keys.take(rows).tolist()).decode("ascii").split("\n")
    return Columns(keys if len(rows) else [], fields, data.T.tolist(), sizes.T.tolist())
