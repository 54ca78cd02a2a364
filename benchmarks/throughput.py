"""How fast is a conversion, against the copy that bounds it and against other programs?

python -m benchmarks.throughput [--images 12000] [--runs 5] [--workers 1 2] [--peers NAME ...] [--cold] [--folder DIR]

All programs get the same files, in alternating runs, each in a process of its own; benchmarks/tools/peers.py says what
each program does. Warm: the files are in the page cache. Cold: they are not, but their names and inodes are, because
only root can make the system forget those. CPU time is user and system time of all processes of a run. What a further
sample takes is the slope between the whole set and a quarter of it, so that start-up is not counted; start-up is
what the slope does not explain. The last columns are parallel_sharder's time divided by that of each program: at 0.2 it
takes a fifth. Figures are medians, and ratios are medians of the ratios run by run.
"""

from __future__ import annotations

import json

from benchmarks.tools.peers import ONE_PROCESS, PEERS, installed
from benchmarks.tools.race import parser, print_table, race

COLD_PEERS = ("ours", "raw copy", "read only")


def main() -> None:
    """Run the command line."""
    words = parser(__doc__, images=12_000, runs=5)
    words.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    words.add_argument("--peers", nargs="+", choices=PEERS, help="default: all, or those that only copy if --cold")
    words.add_argument("--cold", action="store_true", help="without the files in the page cache")
    arguments = words.parse_args()
    names = installed(dict.fromkeys(("ours", *(arguments.peers or (COLD_PEERS if arguments.cold else PEERS)))))
    fewest = min(arguments.workers)
    cases = [(name, n) for n in arguments.workers for name in names if n == fewest or name not in ONE_PROCESS]
    rows = race(cases, arguments, cold=arguments.cold)
    state = "cold" if arguments.cold else "warm"
    print(f"{arguments.images:,} images, medians of {arguments.runs} alternating runs, {state}")
    print_table(rows)
    print(json.dumps({"benchmark": "throughput", "images": arguments.images, "cache": state, "rows": rows}))


if __name__ == "__main__":
    main()
