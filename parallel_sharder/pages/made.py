"""Made pages: what the command `report` returns. Nothing here prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parallel_sharder.pages.wrong import Wrong
from parallel_sharder.report.lines import Row, notice_lines, table, text_of
from parallel_sharder.text import counted, size


@dataclass(frozen=True)
class MadePage:
    """A page that was written: of which set, where, its bytes, how many samples were looked at, and what is wrong."""

    set_name: str
    path: str
    page_bytes: int
    looked_at: int
    samples: int
    bottleneck: str
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True)
class Reported:
    """The pages that were written, one for each set; `begun` are the names of sets that have no shard yet."""

    pages: tuple[MadePage, ...]
    begun: tuple[str, ...] = ()
    exit_code = 0

    def text(self) -> str:
        """Return the facts for people."""
        notices = [f"{name} has no shard yet, and so no page" for name in self.begun]
        parts = [text_of(table([*_rows(page)])) for page in self.pages]
        return "\n\n".join([*parts, *([text_of(notice_lines(notices))] if notices else [])])

    def json(self) -> dict[str, Any]:
        """Return the facts for machines."""
        return {
            "pages": [
                {
                    "set": page.set_name,
                    "page": page.path,
                    "bytes": page.page_bytes,
                    "looked_at": page.looked_at,
                    "samples": page.samples,
                    "bottleneck": page.bottleneck or None,
                    "wrong": [{"text": each.text, "missing": each.is_bad} for each in page.wrong],
                }
                for page in self.pages
            ],
            "begun": [*self.begun],
        }


def _rows(page: MadePage) -> list[Row]:
    looked = "all" if page.looked_at >= page.samples else f"{page.looked_at:,} of {page.samples:,}"
    rows = [
        ("set", page.set_name),
        ("page", f"{page.path}, {size(page.page_bytes)}"),
        ("looked at", f"{looked} samples" if looked != "all" else f"all {counted(page.looked_at, 'sample')}"),
    ]
    if page.bottleneck:
        rows.append(("the run", page.bottleneck))
    names = ["wrong"] + [""] * len(page.wrong)
    return [*rows, *((name, each.text) for name, each in zip(names, page.wrong, strict=False))]
