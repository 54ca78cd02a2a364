"""Where each member of our own shards is: computed from the plan and a shard's record, without reading the shard."""

from __future__ import annotations

import numpy as np

from parallel_sharder import ustar
from parallel_sharder.bounds import FieldBytes, member_bytes
from parallel_sharder.forms import FORMS
from parallel_sharder.indexes import Columns
from parallel_sharder.model import Listing, Plan, ShardRecord


def placed(listing: Listing, plan: Plan, form: str, record: ShardRecord) -> Columns:
    """The samples of the finished shard that `record` is about, and where their members are in its tar."""
    planned = plan.order[plan.cuts[record.number] : plan.cuts[record.number + 1]]
    rows = np.delete(planned, list(record.left_out)) if record.left_out else planned
    fields = FORMS[form].fields(bool(listing.classes))
    recorded = [column for column, field in enumerate(fields) if not field.is_exact]
    sizes = np.empty((len(rows), len(fields)), np.int64)
    sizes[:, recorded] = np.frombuffer(record.json_bytes, np.uint32).reshape(len(rows), len(recorded))
    for column, field in enumerate(fields):
        if field.is_exact:
            sizes[:, column] = FieldBytes(field, listing).at(rows)
    whole = member_bytes(sizes)
    data = whole.cumsum().reshape(whole.shape) - whole + ustar.BLOCK_BYTES
    keys = b"\n".join(listing.keys.take(rows).tolist()).decode("ascii").split("\n")
    names = tuple(field.name for field in fields)
    return Columns(keys if len(rows) else [], names, data.T.tolist(), sizes.T.tolist())
