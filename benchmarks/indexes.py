"""What do indexes cost, in the pass that makes the shards and afterwards, against the readers' own tools?

python -m benchmarks.indexes [--samples 100000] [--images 12000] [--runs 7] [--folder DIR] [--tools DIR]

In the same pass: the command that has finished a set of tiny images is run again. It scans the set, and then only
writes indexes. Runs with `--index none` and with other values alternate; the difference is what the indexes cost. The
cost is given in microseconds of CPU time a sample, as a share of what a sample of the usual size costs one worker
(which is measured here too), and in bytes of the coordinator's peak memory a sample.

Afterwards: `parallel-sharder index` with a worker for each core, and the readers' tools, run on the same shards, which
are in the page cache. The tools are those in the folder --tools or on the path. wds2idx takes one shard at a time, so
it is run for each shard in turn. Ratios are medians of the ratios run by run.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tools.make_imagenet import TINY, kept_set, make_imagenet
from benchmarks.tools.peers import Figures
from benchmarks.tools.race import parser, race
from parallel_sharder.indexes import energon

COMMAND = (sys.executable, "-m", "parallel_sharder")
SAMPLES_A_SHARD = 8400
"""How many samples of ImageNet a shard of 1 GB holds; they share what the shard's index file and its syncs cost."""

VARIANTS = ("none", "timm,openclip", "dali", "wids,dali,timm,openclip", "energon", "all")
PREPARE = ["prepare", "--non-interactive", "--no-progress", "--split-ratio", "1,0,0", "--skip-dataset-yaml"]


def run(words: Sequence[str], folder: Path | None = None) -> tuple[Figures, int]:
    """Run a command, in `folder` if one is named, and return its times, and its peak memory in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: {errors}")
    return Figures(time.monotonic() - start, usage.ru_utime + usage.ru_stime), usage.ru_maxrss * 1024


def same_pass(root: Path, out: Path, samples: int, runs: int, usual_us: float) -> list[dict[str, Any]]:
    """Return a row for each variant of --index, on the set at `root`."""
    words = [*COMMAND, "--root", str(root), "--dest", str(out), "--workers", "1", "--quiet"]
    words += ["--shards", str(-(-samples // SAMPLES_A_SHARD))]
    run(words)
    rounds = [{name: run([*words, "--index", name]) for name in VARIANTS} for _ in range(runs + 1)][1:]
    rows: list[dict[str, Any]] = []
    for name in VARIANTS[1:]:
        cpu = statistics.median(each[name][0].cpu_seconds - each["none"][0].cpu_seconds for each in rounds)
        memory = statistics.median(each[name][1] - each["none"][1] for each in rounds)
        us = cpu / samples * 1e6
        rows.append({"index": name, "cpu_us": us, "share": us / usual_us, "bytes": memory / samples})
    return rows


def afterwards(shards: Path, runs: int, tools: str | None) -> list[dict[str, Any]]:
    """Return a row for each reader's tool that is installed, run on the shards in this folder, against ours."""
    names = sorted(path.name for path in shards.glob("*.tar"))
    cases: dict[str, tuple[str, Callable[[str], list[list[str]]]]] = {
        "wds2idx": ("dali", lambda tool: [[tool, name, name.replace(".tar", ".idx")] for name in names]),
        "energon": ("energon", lambda tool: [[tool, *PREPARE, "."]]),
        "widsindex": ("wids", lambda tool: [[tool, "create", "--output", "tool.json", *names]]),
    }
    rows: list[dict[str, Any]] = []
    for tool, (reader, commands) in cases.items():
        path = shutil.which(tool, path=f"{tools}:{os.environ['PATH']}" if tools else None)
        if path is None:
            print(f"{tool} is not installed and is left out", file=sys.stderr)
            continue
        pairs = []
        for _ in range(runs + 1):
            _clear(shards)
            theirs = sum(run(words, shards)[0].wall_seconds for words in commands(path))
            _clear(shards)
            md5 = ["--md5"] if reader == "wids" else []
            ours = run([*COMMAND, "index", str(shards), "--for", reader, "--quiet", *md5])[0].wall_seconds
            pairs.append((theirs, ours))
        rows.append(
            {
                "index": reader,
                "tool": tool,
                "tool_wall": statistics.median(theirs for theirs, _ in pairs[1:]),
                "ours_wall": statistics.median(ours for _, ours in pairs[1:]),
                "times": statistics.median(theirs / ours for theirs, ours in pairs[1:]),
            }
        )
    return rows


def _clear(folder: Path) -> None:
    """Remove all but the shards."""
    shutil.rmtree(folder / energon.FOLDER, ignore_errors=True)
    for path in folder.iterdir():
        if path.suffix != ".tar":
            path.unlink()


def main() -> None:
    """Run the command line."""
    words = parser(__doc__, images=12_000, runs=7)
    words.add_argument("--samples", type=int, default=100_000, help="of the set that is indexed in the same pass")
    words.add_argument("--tools", help="the folder of wds2idx, energon and widsindex")
    arguments = words.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        [usual] = race([("ours", 1)], arguments)
        tiny = folder / f"tiny-{arguments.samples}"
        if not tiny.exists():
            make_imagenet(tiny, arguments.samples, 100, TINY)
        with tempfile.TemporaryDirectory(dir=folder) as out:
            passes = same_pass(tiny, Path(out), arguments.samples, arguments.runs, usual["cpu_us"])
        tools = []
        for name, root, shards in (("usual", kept_set(folder, arguments.images), 8), ("tiny", tiny, 100)):
            with tempfile.TemporaryDirectory(dir=folder) as out:
                words_here = ["--root", str(root), "--dest", out, "--shards", str(shards), "--maxsize", "100GB"]
                run([*COMMAND, *words_here, "--quiet"])
                tools += [{"set": name, **row} for row in afterwards(Path(out), arguments.runs, arguments.tools)]

    print(f"in the same pass: {arguments.samples:,} samples, medians of {arguments.runs} runs")
    print(f"{'--index':<28}{'CPU us a sample':>17}{'of a usual one':>16}{'bytes a sample':>16}")
    for row in passes:
        print("{index:<28}{cpu_us:>17.2f}{share:>16.1%}{bytes:>16.0f}".format(**row))
    print(f"\nafterwards: {arguments.images:,} usual images in 8 shards, {arguments.samples:,} tiny ones in 100")
    print(f"{'set':<8}{'tool':<12}{'its wall s':>12}{'ours':>8}{'times':>8}")
    for row in tools:
        print("{set:<8}{tool:<12}{tool_wall:>12.2f}{ours_wall:>8.2f}{times:>8.1f}".format(**row))
    result = {"samples": arguments.samples, "images": arguments.images, "same_pass": passes, "afterwards": tools}
    print(json.dumps({"benchmark": "indexes", **result}))


if __name__ == "__main__":
    main()
