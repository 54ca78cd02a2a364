"""Draws the picture of the README: the CPU time of a sample on each machine, from the table in benchmarks/README.md.

python -m benchmarks.tools.machines

The figures of another machine are one more column of that table.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parents[1]


def table(page: str) -> list[list[str]]:
    """The cells of the table of machines: a row of names, then one row for each program, without the ratios."""
    section = page.split("## Two machines\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.+\|$", section, re.M)]
    return [rows[0], *(row for row in rows[2:] if "divided by" not in row[0])]


def main() -> None:
    """Write machines.png beside the page."""
    from matplotlib.figure import Figure

    [_, *machines], *programs = table((HERE / "README.md").read_text())
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(machines)
    for column, machine in enumerate(machines):
        places = [row + width * (column - (len(machines) - 1) / 2) for row in range(len(programs))]
        bars = axes.barh(places, [float(cells[column + 1]) for cells in programs], width, label=machine)
        axes.bar_label(bars, padding=2)
    axes.set_yticks(range(len(programs)), labels=[cells[0] for cells in programs])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("CPU microseconds a sample")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend()
    figure.savefig(HERE / "machines.png", dpi=150)


if __name__ == "__main__":
    main()
