"""The words for what `inspect` has found. Takes Inspected, and returns the text that people are shown."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from parallel_sharder.report.lines import Row, notice_lines, table, text_of
from parallel_sharder.text import counted, first_few, printable, size

if TYPE_CHECKING:
    from parallel_sharder.inspection.described import SampleLine
    from parallel_sharder.inspection.inspected import Inspected, SampleDetail, SetOverview

_HEAD = ("key", "members", "label", "class", "pixels", "boxes")
_LEFT = frozenset(("key", "members", "class"))
_CUT = ("class", "members", "key")
"""The columns that are cut where the terminal is too narrow, the first that is cut first."""

_SHORTEST = {"class": 8, "members": 16, "key": 12}
_NO_LIMIT = 10_000
_KB = 1000
_GAP = 2
_BESIDE_SHOWN = 8
_TEXT_SHOWN = 2_000


def inspected_text(inspected: Inspected) -> str:
    """Return the sets and the samples, or the one sample."""
    if inspected.one is not None:
        return _detail_text(inspected.one)
    parts = [text_of(table(_overview_rows(each))) for each in inspected.sets]
    parts.append(_samples_text(inspected.samples, is_chosen=inspected.is_chosen))
    parts += [text_of(notice_lines(inspected.notices))] if inspected.notices else []
    return "\n\n".join(parts)


def _overview_rows(each: SetOverview) -> list[Row]:
    rows: list[Row] = [("set", each.name), ("state", each.state)]
    if each.split:
        rows.append(("split", each.split))
    rows.append(("samples", "not counted" if each.samples is None else f"{each.samples:,}"))
    rows.append(("shards", f"{each.shards:,}, {size(each.file_bytes)}"))
    if each.classes:
        order = f", labels in the order {each.labels}" if each.labels else ""
        rows.append(("classes", f"{each.classes:,}{order}"))
    if each.state == "finished":
        rows.append(("seed", "none: not shuffled" if each.seed is None else str(each.seed)))
    if each.braces:
        rows.append(("braces", each.braces))
    if each.beside:
        rows.append(("beside", first_few(each.beside, _BESIDE_SHOWN)))
    return rows


def _samples_text(lines: Sequence[SampleLine], *, is_chosen: bool) -> str:
    """Return a table of the samples, one a line, as wide as the terminal."""
    if not lines:
        return "No sample matches." if is_chosen else "There is no sample."
    width = _width()
    columns = _columns(lines, with_sizes=True)
    if _total(columns) > width:  # the sizes are the first to go; --key and --json have them
        columns = _columns(lines, with_sizes=False)
    return "\n".join(_aligned(columns, width))


def _columns(lines: Sequence[SampleLine], *, with_sizes: bool) -> list[tuple[str, ...]]:
    """Return the columns of which something is known."""
    rows = [_HEAD, *(_cells(line, with_sizes=with_sizes) for line in lines)]
    return [column for column in zip(*rows, strict=True) if {*column[1:]} != {"-"}]


def _total(columns: Sequence[tuple[str, ...]]) -> int:
    """Return how wide a table of these columns is."""
    return sum(max(map(len, column)) for column in columns) + _GAP * (len(columns) - 1)


def _cells(line: SampleLine, *, with_sizes: bool) -> tuple[str, ...]:
    sizes = (f" {f'{count} B' if count < _KB else size(count)}" if with_sizes else "" for _, count in line.members)
    gap = "  " if with_sizes else " "
    members = gap.join(f"{field}{its}" for (field, _), its in zip(line.members, sizes, strict=True))
    cells = (
        line.key,
        members,
        "-" if line.label is None else str(line.label),
        line.name or "-",
        "-" if line.pixels is None else f"{line.pixels[0]} x {line.pixels[1]}",
        "-" if line.boxes is None else str(line.boxes),
    )
    return tuple(map(printable, cells))


def _width() -> int:
    """Return the columns of the terminal; no limit for a file or a pipe."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if is_terminal else _NO_LIMIT


def _aligned(columns: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Return the lines of a table whose columns are these, cut so that it fits."""
    widths = [max(map(len, column)) for column in columns]
    names = [column[0] for column in columns]
    for name in _CUT:
        too_wide = sum(widths) + _GAP * (len(widths) - 1) - width
        if too_wide > 0 and name in names:
            number = names.index(name)
            widths[number] = min(widths[number], max(_SHORTEST[name], widths[number] - too_wide))
    lines = []
    for cells in zip(*columns, strict=True):
        shown = (
            _cut(cell, its).ljust(its) if name in _LEFT else cell.rjust(its)
            for name, cell, its in zip(names, cells, widths, strict=True)
        )
        lines.append("  ".join(shown).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _detail_text(detail: SampleDetail) -> str:
    """Return the sample, its members, and its texts."""
    line = detail.line
    rows: list[Row] = [("sample", line.key), ("shard", f"{line.shard}, at offset {line.offset:,}")]
    if line.label is not None:
        rows.append(("label", f"{line.label}{f' ({line.name})' if line.name else ''}"))
    if line.pixels is not None:
        rows.append(("pixels", f"{line.pixels[0]} x {line.pixels[1]}"))
    if line.boxes is not None:
        rows.append(("boxes", f"{line.boxes:,}"))
    members = [f"{field}, {counted(count, 'byte')}" for field, count in line.members]
    rows += [("members" if number == 0 else "", each) for number, each in enumerate(members)]
    if detail.written:
        rows += [("written" if number == 0 else "", path) for number, path in enumerate(detail.written)]
    parts = [text_of(table(rows))]
    for field, found in detail.texts().items():
        if field.lower() == "cls":
            continue
        text = found if isinstance(found, str) else json.dumps(found, indent=1, ensure_ascii=False)
        cut = f"\n({len(text) - _TEXT_SHOWN:,} more characters)" if len(text) > _TEXT_SHOWN else ""
        parts.append(f"{printable(field)}:\n{text_of(text[:_TEXT_SHOWN].splitlines())}{cut}")
    return "\n\n".join(parts)
