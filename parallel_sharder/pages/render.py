"""Rendering: the content of a page as the bytes of one HTML file, which needs no network and no other file.

Everything from data is escaped: in the text by Jinja, in the JSON for the script by Jinja's filter for JSON in HTML.
The page forbids itself all requests by its content security policy. uPlot draws the charts; the package's README says
why.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from parallel_sharder import __version__
from parallel_sharder.errors import missing_package
from parallel_sharder.pages.content import Content
from parallel_sharder.pages.look import Looked, Small
from parallel_sharder.pages.page_file import MARK
from parallel_sharder.pages.timeline import CONTINUED, PLAIN, RETRIED, SLOW_ONE
from parallel_sharder.text import printable, size

ROWS_SHOWN = 15
"""The rows of a table that are in view at once; the others are reached by its buttons, or by searching."""

_MARKS = (
    (PLAIN, "a shard"),
    (CONTINUED, "made by a continued run"),
    (SLOW_ONE, "slow: more than twice the median"),
    (RETRIED, "made again after a worker died"),
)


def refuse_without_packages() -> None:
    """Raise MissingPackageError if a page cannot be made, because a package is not installed."""
    try:
        import jinja2
        import PIL

        del jinja2, PIL
    except ImportError as error:
        raise missing_package(f"a report page needs the package {error.name}", "report") from error


def rendered(content: Content) -> bytes:
    """Return the page. Raises MissingPackageError without Jinja2."""
    refuse_without_packages()
    import jinja2
    from jinja2.utils import htmlsafe_json_dumps
    from markupsafe import Markup

    assets = files(__package__) / "assets"

    def own(name: str) -> Markup:
        return Markup((assets / name).read_text("utf-8"))  # noqa: S704 - it is part of this package

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable, trim_blocks=True
    )
    environment.filters |= {"cell": _cell, "described": _described, "caption": _caption, "base64": _in_base64}
    tables = [*content.tables, *([content.run.table] if content.run and content.run.table else [])]
    data = {
        "shown": ROWS_SHOWN,
        "charts": [_shown(chart.json()) for chart in content.charts],
        "tables": [
            {"id": each.id, "numeric": each.numeric, "rows": [[*map(_shown, row)] for row in each.rows]}
            for each in tables
        ],
    }
    page = environment.from_string((assets / "page.html").read_text("utf-8")).render(
        content=content,
        data=htmlsafe_json_dumps(data, separators=(",", ":"), allow_nan=False),
        css=own("page.css"),
        js=own("page.js"),
        uplot_css=own("uPlot.min.css"),
        uplot_js=own("uPlot.iife.min.js"),
        mark=Markup(MARK.decode().splitlines()[1]),  # noqa: S704 - it is a constant
        marks=_MARKS,
        shown=ROWS_SHOWN,
        made=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        version=__version__,
    )
    return page.encode("utf-8", "backslashreplace")


def _printable(value: Any) -> Any:
    """Return what the page shows of a value: text from data is made printable, the page's own markup stays."""
    return printable(value) if type(value) is str else value


def _shown(value: Any) -> Any:
    """Return a value for JSON with its texts made printable."""
    if isinstance(value, dict):
        return {name: _shown(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_shown, value)]
    return _printable(value)


def _cell(value: Any) -> str:
    """Return a cell as the page's script shows it too."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _class_of(looked: Looked, content: Content) -> str:
    """Return the label and the name of a sample's class; "" if it has neither."""
    line = looked.line
    name = line.name or content.class_names.get(line.label, "")
    return " ".join(str(part) for part in (line.label, name) if part not in (None, ""))


def _described(looked: Looked, content: Content) -> str:
    """Return the alternative text of a picture."""
    its_class = _class_of(looked, content)
    return f"{its_class or 'Image'}, sample {looked.line.key}"


def _caption(looked: Looked, content: Content, small: Small) -> Iterator[str]:
    """Yield the lines below a picture."""
    line = looked.line
    yield _class_of(looked, content) or "no label"
    yield line.key
    if looked.image is None:
        return
    pixels = f"{line.pixels[0]:,} x {line.pixels[1]:,}, " if line.pixels else ""
    boxes = f", {line.boxes} {'box' if line.boxes == 1 else 'boxes'}" if line.boxes else ""
    yield f"{pixels}{size(looked.image[1])}{boxes}"
    if small.is_turned:
        yield "turned, as its EXIF data ask"
