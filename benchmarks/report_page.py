"""What does a report page cost: how large is it, and how long does a browser take to show it, with how much memory?

python -m benchmarks.report_page [--shards 1000] [--classes 1000] [--images 1281167] [--runs 5] [--folder DIR]

The page is that of a made set: a manifest's facts, events of a run with 32 workers and a load every five seconds,
20,000 samples that were looked at, and noise as pictures, which no photograph is larger than. It is opened from its
file, with the network off, in a headless Chromium. Memory is that of the page's renderer process after a scroll from
end to end, less that of a page without content (shared pages divided by those who share them). First paint is that of
the page's content, counted from the navigation. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tools.browser import chromium, program, renderer_bytes
from parallel_sharder.catalog.manifest import ListedClass, ListedShard, Manifest
from parallel_sharder.inspection.described import SampleLine
from parallel_sharder.inspection.named import ShardsOfSet
from parallel_sharder.model import ImageClass
from parallel_sharder.options import Options
from parallel_sharder.pages import content as parts
from parallel_sharder.pages import drawn
from parallel_sharder.pages.content import Content
from parallel_sharder.pages.drawn import Drawn, Group
from parallel_sharder.pages.history import History, Load, MadeShard, PastRun
from parallel_sharder.pages.look import Looked, Small, quality
from parallel_sharder.pages.render import rendered
from parallel_sharder.pages.short_paths import ShortPaths

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORKERS = 32
DRAW = random.Random(0)


def made_set(shards: int, classes: int, images: int) -> ShardsOfSet:
    """Return a set of this size, of which no file exists."""
    listed = [
        ListedShard(f"imagenet_train-{n:06}.tar", images // shards, int(1.15e5 * images / shards), 1, "0" * 32)
        for n in range(shards)
    ]
    table = [(ImageClass(n, f"n{n:08}", f"class number {n}, with another name"), 732 + n % 569) for n in range(classes)]
    manifest = Manifest.made("imagenet_train", Options().choices, listed, table, None)
    assert isinstance(manifest.classes[0], ListedClass)
    counts = {shard.name: shard.samples for shard in listed}
    return ShardsOfSet("imagenet_train.json", [*counts], counts, manifest, "finished")


def made_run(shards: ShardsOfSet) -> PastRun:
    """Return a run that has made these shards on 32 workers, a second and a half a shard."""
    run = PastRun(0.0, "host", WORKERS, WORKERS, "processes", "1", "", {}, 0.0, how="done", left=len(shards.paths))
    free = [6.0] * WORKERS
    for number, path in enumerate(shards.paths):
        began = min(free)
        ended = began + DRAW.uniform(1.2, 1.8)
        free[free.index(began)] = ended
        size = int(1.15e5 * shards.counts[path])
        run.made.append(MadeShard(number, "host", began, ended, shards.counts[path], 0, size, size, 0))
    run.ended = max(free)
    names = ("cpu_percent", "wait_percent", "memory_bytes", "read_bytes_s", "written_bytes_s")
    run.loads = [Load(time, {name: DRAW.random() * 100 for name in names}) for time in range(6, int(run.ended), 5)]
    run.seconds = {"scan": 4.0, "plan": 1.0, "write": run.ended}
    return run


def made_samples(shards: ShardsOfSet, count: int) -> list[Looked]:
    """Return samples that were looked at."""
    looked = []
    for row in range(count):
        width, height = (max(20, int(DRAW.gauss(450, 120))) for _ in range(2))
        label = row % len(shards.classes)
        line = SampleLine(
            DRAW.choice(shards.paths), 512 * row, f"n{label:08}_{row}", (("cls", 1), ("jpg", width * height // 2)),
            label, f"class number {label}, with another name", (width, height), DRAW.choice([None, 1, 1, 2, 5]),
        )  # fmt: skip
        looked.append(Looked(row, line, 1))
    return looked


def noise(pixels: int) -> bytes:
    """Return a picture of noise, which compresses worse than any photograph."""
    from PIL import Image

    data = io.BytesIO()
    Image.effect_noise((pixels, pixels * 3 // 4), 60).convert("RGB").save(
        data, "JPEG", quality=quality(pixels), optimize=True
    )
    return data.getvalue()


def made_page(shards: ShardsOfSet, sheet: str) -> bytes:
    """Return the page of the set, with a sheet of random samples or one of each class."""
    looked = made_samples(shards, drawn.LOOKED_AT)
    seen = Drawn(looked, sum(shards.counts.values()), 16, whole_shards=True, faults=())
    history = History([made_run(shards)])
    plain = ShortPaths(history, "/shards")
    count = drawn.RANDOM + 2 * drawn.EXTREME + drawn.NOTED
    pixels = drawn.PIXELS
    if sheet == "classes":
        count = len(shards.classes)
        pixels = drawn.CLASS_PIXELS if count <= 1000 else drawn.MANY_PIXELS
    small = Small("key", noise(pixels), pixels, pixels * 3 // 4, 1, is_turned=False)
    sizes = [shard.file_bytes for shard in shards.manifest.shards] if shards.manifest else []
    return rendered(
        Content(
            name="imagenet_train",
            lead="A made set.",
            wrong=[],
            facts=parts.facts_of(shards, sum(sizes), seen.samples),
            command="",
            command_notes=(),
            braces="",
            run=parts.run_part(history, plain),
            no_run="",
            data=parts.data_charts(shards, sizes, seen),
            data_note=parts.data_note(seen),
            tables=parts.tables(shards, seen, [], plain),
            notices=(),
            groups=[Group("Samples", "", [(each, small) for each in looked[:count]])],
            sheet_note="",
        )
    )


def shown(browser: Browser, path: Path) -> tuple[float, int]:
    """Return the seconds to the first paint of a page's content, and the renderer's bytes after a scroll to its end."""
    context = browser.new_context(offline=True, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_timeout(500)
    for _ in range(40):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(20)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)[0] ?? 0")
    held = renderer_bytes()
    context.close()
    return paint / 1000, held


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--images", type=int, default=1_281_167)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    if arguments.folder:
        os.makedirs(arguments.folder, exist_ok=True)
    if program() is None:
        raise SystemExit("no Chromium was found; make system-packages installs it")
    shards = made_set(arguments.shards, arguments.classes, arguments.images)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, chromium() as browser:
        empty = Path(folder, "empty.html")
        empty.write_text("<!doctype html><title>empty</title><p>nothing")
        for sheet in ("random", "classes"):
            began = time.perf_counter()
            data = made_page(shards, sheet)
            seconds = time.perf_counter() - began
            path = Path(folder, f"{sheet}.html")
            path.write_bytes(data)
            rounds = [(shown(browser, path), shown(browser, empty)) for _ in range(arguments.runs)]
            results[sheet] = {
                "page_MB": len(data) / 1e6,
                "made_s": seconds,
                "first_paint_s": statistics.median(paint for (paint, _), _ in rounds),
                "renderer_MB": statistics.median(held - bare for (_, held), (_, bare) in rounds) / 1e6,
            }
    print(f"{arguments.shards:,} shards, {arguments.classes:,} classes, medians of {arguments.runs} runs")
    print(f"{'sheet':<10}{'page':>10}{'made in':>10}{'first paint':>14}{'renderer':>12}")
    for sheet, found in results.items():
        print(
            f"{sheet:<10}{found['page_MB']:>7.1f} MB{found['made_s']:>8.1f} s{found['first_paint_s']:>12.2f} s"
            f"{found['renderer_MB']:>9.0f} MB"
        )
    print(json.dumps({"benchmark": "report_page", **vars(arguments), "results": results}))


if __name__ == "__main__":
    main()
