"""A page in a real browser, from its file, with the network off: it is drawn, read, sorted, printed, and accessible."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from benchmarks.tools.browser import chromium, program
from parallel_sharder.inspection.picture import COLOURS
from tests.conftest import needs
from tests.pages import class_folders, converted, jpeg, page_of, reported, shard_with_boxes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CLASSES = {f"class {number:02}": 2 + number % 5 for number in range(40)}
WIDE, NARROW = 1440, 375


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; in CI its absence is a failure."""
    if program() is None:
        needs("chromium")
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a set with a left-out sample, two runs side by side, and tables of more than a screen."""
    top = tmp_path_factory.mktemp("page")
    raw = class_folders(top / "raw", CLASSES)
    (raw / "class 03" / "broken.jpg").write_bytes(b"\xff\xd8 cut off")
    converted(raw, top / "out", workers=2)
    converted(raw, top / "other", seed=3)
    [made] = reported(top / "out", compare=top / "other").pages
    return Path(made.path)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a foreign shard with boxes."""
    folder = tmp_path_factory.mktemp("boxes")
    page_of(shard_with_boxes(folder / "boxes-000.tar", [jpeg(), jpeg(orientation=6), b"no image"]))
    return folder / "boxes.report.html"


class Shown:
    """A page that is open, and what it has said on the console."""

    def __init__(self, browser: Browser, path: Path, width: int = WIDE, **choices: Any) -> None:
        self.context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, **choices)
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]")

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def rows(self, table: str) -> list[list[str]]:
        """The texts of the rows that are in view."""
        found: list[list[str]] = self.page.eval_on_selector_all(
            f"#{table} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        return found

    def pixels(self) -> Image.Image:
        """A picture of the whole page."""
        return Image.open(io.BytesIO(self.page.screenshot(full_page=True))).convert("RGB")

    def ink(self, chart: str) -> int:
        """How many pixels of a chart are drawn."""
        count: int = self.page.evaluate(
            """chart => {
                const canvas = document.querySelector(`[data-chart="${chart}"] canvas`);
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let ink = 0;
                for (let at = 3; at < data.length; at += 4) ink += data[at] > 0;
                return ink;
            }""",
            chart,
        )
        return count


WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"width": NARROW, "color_scheme": "light"},
    "phone, dark": {"width": NARROW, "color_scheme": "dark"},
}


@pytest.mark.parametrize("way", WAYS)
def test_opens(browser: Browser, path: Path, boxes: Path, way: str) -> None:
    """From its file, without a request or a word on the console; nothing is wider than the screen, all is drawn."""
    for each in (path, boxes):
        with Shown(browser, each, **WAYS[way]) as shown:
            assert [] == shown.said
            assert {each.as_uri()} == {url for url in shown.requests if not url.startswith("data:")}
            assert shown.page.evaluate("document.documentElement.scrollWidth") == WAYS[way].get("width", WIDE)
            charts = shown.page.eval_on_selector_all("[data-chart]", "all => all.map(each => each.dataset.chart)")
            assert charts or each == boxes
            for chart in charts:
                assert shown.ink(chart) > 500, chart
            ground = shown.pixels().getpixel((2, 2))
            assert isinstance(ground, tuple)
            assert (sum(ground) < 200) == ("dark" in way)


@pytest.mark.parametrize("way", WAYS)
def test_accessible(browser: Browser, path: Path, boxes: Path, way: str) -> None:
    """axe-core finds no violation, whatever the scheme and the width."""
    from axe_playwright_python.sync_playwright import Axe

    for each in (path, boxes):
        with Shown(browser, each, **WAYS[way]) as shown:
            violations = Axe().run(shown.page).response["violations"]
            assert [] == [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations]


def test_tables_sort(browser: Browser, path: Path) -> None:
    """By numbers as numbers and by names, up and down; assistive programs are told which."""
    with Shown(browser, path) as shown:
        head = shown.page.locator("#class-table th")
        for column, name in enumerate(("Label", "Name", "Images")):
            assert name == head.nth(column).inner_text().strip()
        shown.page.click("#class-table [data-sort='0']")
        shown.page.click("#class-table [data-sort='0']")
        assert "39" == shown.rows("class-table")[0][0]
        assert "descending" == head.nth(0).get_attribute("aria-sort")
        shown.page.click("#class-table [data-sort='0']")
        assert [str(number) for number in range(15)] == [row[0] for row in shown.rows("class-table")]
        shown.page.click("#class-table [data-sort='1']")
        assert "class 00" == shown.rows("class-table")[0][1]
        assert head.nth(0).get_attribute("aria-sort") is None
        shown.page.click("#class-table [data-sort='2']")
        assert {"6"} == {row[2] for row in shown.rows("class-table")[:7]}


def test_tables_search(browser: Browser, path: Path) -> None:
    """In all columns and all rows, also those that are not in view; and pages are turned."""
    with Shown(browser, path) as shown:
        where = shown.page.locator("[data-where='class-table']")
        assert "1 to 15 of 40" == where.inner_text()
        shown.page.fill("[data-search='class-table']", "CLASS 31")
        assert ["class 31"] == [row[1] for row in shown.rows("class-table")]
        shown.page.fill("[data-search='class-table']", "unicorn")
        assert [] == shown.rows("class-table")
        assert "Nothing matches" == where.inner_text()
        shown.page.fill("[data-search='class-table']", "")
        following = shown.page.locator("[data-of='class-table'][data-turn='1']")
        following.click()
        following.click()
        assert "31 to 40 of 40" == where.inner_text()
        assert following.is_disabled()


def test_keyboard(browser: Browser, path: Path) -> None:
    """A chart is stepped through with the arrow keys, and a table is sorted with Enter."""
    with Shown(browser, path) as shown:
        shown.page.focus("#classes")
        shown.page.keyboard.press("ArrowRight")
        assert shown.page.inner_text("#classes-readout").endswith("images 6")
        shown.page.focus("#lanes")
        shown.page.keyboard.press("ArrowRight")
        assert shown.page.inner_text("#lanes-readout").startswith("Shard ")
        shown.page.focus("#class-table [data-sort='1']")
        shown.page.keyboard.press("Enter")
        assert "class 00" == shown.rows("class-table")[0][1]
    with Shown(browser, path) as shown:
        shown.page.keyboard.press("Tab")
        assert "Skip to the content" == shown.page.evaluate("document.activeElement.textContent")


def test_pointer(browser: Browser, path: Path) -> None:
    """What the pointer is on is told below the chart."""
    with Shown(browser, path) as shown:
        place = shown.page.locator("#lanes .u-over")
        place.scroll_into_view_if_needed()
        area = place.bounding_box()
        assert area is not None
        for share in (0.3, 0.5):
            place.hover(position={"x": area["width"] * share, "y": area["height"] / 4})
        assert "samples" in shown.page.inner_text("#lanes-readout")


def test_boxes_lie_on_their_objects(browser: Browser, boxes: Path) -> None:
    """On the screen, the box's colour surrounds the red rectangle on every side, also of an image that was turned."""
    with Shown(browser, boxes) as shown:
        assert 2 == shown.page.locator(".sheet img").count()
        for number in range(2):
            data = shown.page.locator(".sheet img").nth(number).screenshot()
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            red = places(picture, "#ff0000")
            box = places(picture, COLOURS[0])
            assert all(abs(inner - outer) <= 4 for inner, outer in zip(red, box, strict=True)), (red, box)


def places(image: Image.Image, colour: str) -> tuple[int, int, int, int]:
    """The outermost pixels that have nearly this colour."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    found = []
    for x in range(image.width):
        for y in range(image.height):
            pixel = image.getpixel((x, y))
            assert isinstance(pixel, tuple)
            if max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 60:
                found.append((x, y))
    xs, ys = zip(*found, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def test_print(browser: Browser, path: Path) -> None:
    """On paper, dark pages are light, what cannot be clicked is gone, and the whole is a PDF of several sheets."""
    with Shown(browser, path, color_scheme="dark") as shown:
        shown.page.emulate_media(media="print")
        shown.page.wait_for_selector("html[data-print]")
        assert "rgb(255, 255, 255)" == shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert not shown.page.is_visible("nav")
        assert not shown.page.is_visible("[data-search='class-table']")
        assert shown.page.is_visible("#classes canvas")
        data = shown.page.pdf()
        assert data.startswith(b"%PDF")
        assert data.count(b"/Type /Page\n") > 3
        shown.page.emulate_media(media="screen")
        shown.page.wait_for_selector("html:not([data-print])")


def test_scheme_that_changes(browser: Browser, path: Path) -> None:
    """Charts take the colours of the new scheme at once."""
    with Shown(browser, path, color_scheme="light") as shown:
        before = shown.page.locator("#classes canvas").screenshot()
        shown.page.emulate_media(color_scheme="dark")
        shown.page.wait_for_timeout(100)
        assert before != shown.page.locator("#classes canvas").screenshot()
        assert [] == shown.said


def test_copy(browser: Browser, path: Path) -> None:
    """The command and the pattern are copied, or at least selected."""
    with Shown(browser, path) as shown:
        shown.page.click("[data-copy='braces']")
        shown.page.wait_for_selector("[data-copy='braces']:not(:text-is('Copy'))")
        assert "DEST/raw-{000000" in shown.page.evaluate("getSelection().toString()")


def test_hostile_names(browser: Browser, tmp_path: Path) -> None:
    """Markup in the name of a class is text on the screen, and in the chart's words; nothing of it runs."""
    raw = class_folders(tmp_path / "raw", {"<script>alert(1)<": 3, "<img src=x onerror=alert(2)>": 1})
    converted(raw, tmp_path / "out")
    [made] = reported(tmp_path / "out").pages
    with Shown(browser, Path(made.path)) as shown:
        shown.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        assert [] == shown.said
        assert {"<script>alert(1)<", "<img src=x onerror=alert(2)>"} == {row[1] for row in shown.rows("class-table")}
        shown.page.click("#class-table [data-sort='1']")
        shown.page.focus("#classes")
        shown.page.keyboard.press("ArrowRight")
        assert "<script>alert(1)<" in shown.page.inner_text("#classes-readout")


def test_named_program() -> None:
    """What the browser's helper finds is a program."""
    found = program()
    assert found is None or shutil.which(found)
