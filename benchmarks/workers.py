"""How does throughput grow with the number of workers?

python -m benchmarks.workers [--images 12000] [--runs 5] [--workers N ...] [--peers NAME ...] [--plot FILE]
                             [--folder DIR]

The default is 1, 2, 4, ... workers, up to twice the cores. Images a second are those of a set without end: start-up is
not counted (see throughput). --plot draws FILE with matplotlib.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.tools.peers import ONE_PROCESS, PEERS, installed
from benchmarks.tools.race import parser, print_table, race
from parallel_sharder.engines.cores import usable_cores


def main() -> None:
    """Run the command line."""
    words = parser(__doc__, images=12_000, runs=5)
    counts = sorted({2**power for power in range(8) if 2**power < 2 * usable_cores()} | {2 * usable_cores()})
    words.add_argument("--workers", type=int, nargs="+", default=counts)
    words.add_argument("--peers", nargs="+", choices=set(PEERS) - ONE_PROCESS, default=["raw copy", "reference pool"])
    words.add_argument("--plot", type=Path, help="the picture to draw, say workers.png")
    arguments = words.parse_args()
    names = installed(dict.fromkeys(("ours", *arguments.peers)))
    rows = race([(name, workers) for workers in arguments.workers for name in names], arguments)
    for row in rows:
        row["images_per_s"] = 1e6 / row["wall_us"]
    print(f"{arguments.images:,} images, {usable_cores()} cores, medians of {arguments.runs} alternating runs, warm")
    print_table(rows)
    if arguments.plot:
        _plot(rows, names, arguments.plot)
    print(json.dumps({"benchmark": "workers", "images": arguments.images, "cores": usable_cores(), "rows": rows}))


def _plot(rows: list[dict[str, Any]], names: list[str], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name in names:
        mine = [row for row in rows if row["name"] == name]
        label = "parallel_sharder" if name == "ours" else name
        axes.plot([row["workers"] for row in mine], [row["images_per_s"] for row in mine], "o-", label=label)
    axes.set_xscale("log", base=2)
    counts = sorted({row["workers"] for row in rows})
    axes.set_xticks(counts, labels=map(str, counts))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"workers, on {usable_cores()} cores")
    axes.set_ylabel("images a second")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
