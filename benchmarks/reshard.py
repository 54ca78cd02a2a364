"""How fast are shards made into other shards, compared with a conversion of the same images from a tree, and with cat?

python -m benchmarks.reshard [--images 8000] [--runs 5] [--workers 2] [--folder FOLDER]

The set is converted once before the rounds; webdataset's shards are a copy with PAX headers. The first row is the
conversion of the tree. The last columns are its slope divided by that of each row: at 1.1 the row takes 10 % less.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.tools.make_imagenet import kept_set
from benchmarks.tools.peers import ONE_PROCESS, installed, old_shards
from benchmarks.tools.race import parser, print_table, race


def main() -> None:
    """Run the command line."""
    options = parser(__doc__, 8000, 5)
    options.add_argument("--workers", type=int, default=2)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or Path(temporary)
        for size in (arguments.images, arguments.images // 4):
            old_shards(kept_set(arguments.folder, size))
        print("made the shards", file=sys.stderr)
        names = installed(["re-shard", "re-shard PAX", "cat", "pipe"])
        cases = [("ours", arguments.workers), *((name, arguments.workers) for name in names)]
        rows = race(cases, arguments)
    for row in rows:
        row["workers"] = 1 if row["name"] in ONE_PROCESS else row["workers"]
    print_table(rows)
    print(json.dumps({"benchmark": "reshard", "rows": rows}))


if __name__ == "__main__":
    main()
