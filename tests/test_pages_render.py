"""Rendering: the file is whole by itself, and nothing from data becomes markup."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import xxhash

from parallel_sharder.errors import MissingPackageError
from parallel_sharder.inspection.described import SampleLine
from parallel_sharder.pages import render
from parallel_sharder.pages.bottleneck import Bottleneck
from parallel_sharder.pages.charts import Chart, Curve
from parallel_sharder.pages.compared import Compared
from parallel_sharder.pages.content import Content, RunPart, Table
from parallel_sharder.pages.drawn import Group
from parallel_sharder.pages.look import Looked, Small
from parallel_sharder.pages.page_file import MARK, is_page
from parallel_sharder.pages.wrong import Wrong
from tests.pages import data_of

ASSETS = Path(render.__file__).parent / "assets"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;{{ 7 * 7 }}\u2028\u202e\x00\ud800"


def evil_content() -> Content:
    """Every text of a page, hostile."""
    chart = Chart(EVIL, EVIL, EVIL, "bars", EVIL, EVIL, [0, 1, 2], curves=[Curve(EVIL, [1, None])], names=[EVIL, EVIL])
    table = Table(EVIL, EVIL, EVIL, [EVIL, EVIL], [False, True], [[EVIL, 3]] * 40)
    line = SampleLine(EVIL, 0, EVIL, ((f"{EVIL}.jpg", 3),), EVIL, EVIL, (3, 4), 2)
    looked = Looked(0, line, 1)
    small = Small(EVIL, b"\xff\xd8", 3, 4, 2, is_turned=True)
    return Content(
        name=EVIL,
        lead=EVIL,
        wrong=[Wrong(EVIL, is_bad=True)],
        facts=[(EVIL, EVIL)],
        command=EVIL,
        command_notes=[EVIL],
        braces=EVIL,
        run=RunPart([(EVIL, EVIL)], Bottleneck(EVIL, EVIL, EVIL, EVIL), [chart], [(EVIL, EVIL, 0.5)], table),
        no_run=EVIL,
        data=[chart, Chart(EVIL, EVIL, EVIL)],
        data_note=EVIL,
        tables=[table],
        notices=[EVIL],
        groups=[Group(EVIL, EVIL, [(looked, small), (looked, small._replace(data=b"", fault=EVIL))])],
        sheet_note=EVIL,
        class_names={EVIL: EVIL},
        compared=Compared((EVIL, EVIL), [(EVIL, EVIL, EVIL)], chart),
    )


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; HTMLParser calls this."""
        self.found.append((tag, dict(attrs)))


def test_nothing_becomes_markup() -> None:
    """There are as many scripts and pictures as the page has, and no attribute that runs something."""
    page = render.rendered(evil_content()).decode("utf-8")
    elements = Elements(page).found
    assert 3 == sum(tag == "script" for tag, _ in elements)
    assert 1 == sum(tag == "img" for tag, _ in elements)
    for _, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "49" not in re.sub(r"[^{}\d ]", "", page.partition("<body>")[2].partition("<script")[0]).split()
    for character in "\u2028\u202e\x00":
        assert character not in page
    assert data_of(page)["tables"][0]["rows"][0][0].startswith("<script>alert(1)</script>")


def test_no_request() -> None:
    """Nothing on the page names another file, and its policy allows no request."""
    page = render.rendered(evil_content()).decode("utf-8")
    for tag, attributes in Elements(page).found:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page


def test_mark(tmp_path: Path) -> None:
    """A page is known by its beginning."""
    page = tmp_path / "page.html"
    page.write_bytes(render.rendered(evil_content()))
    assert is_page(str(page))
    page.write_bytes(MARK[:-1])
    assert not is_page(str(page))
    assert not is_page(str(tmp_path))
    assert not is_page(str(tmp_path / "none"))


@pytest.mark.parametrize("package", ["jinja2", "PIL"])
def test_missing_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"{package}.*pip install 'parallel_sharder\[report\]'"):
        render.refuse_without_packages()


def test_library_is_as_published() -> None:
    """UPlot 1.6.32 stands here as its package on npm has it, with its licence; it is not to be edited."""
    digests = {
        "uPlot.iife.min.js": "17c1be4cf094735c11f88858399f6797",
        "uPlot.min.css": "b218ae953ddb92eb3321977fee4649a4",
    }
    for name, digest in digests.items():
        assert digest == xxhash.xxh3_128_hexdigest((ASSETS / name).read_bytes())
    assert "MIT License" in (ASSETS / "uPlot.LICENSE").read_text()
    assert b"</script" not in (ASSETS / "uPlot.iife.min.js").read_bytes()
    assert "</script" not in (ASSETS / "page.js").read_text()
