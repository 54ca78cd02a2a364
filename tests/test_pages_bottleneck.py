"""The bottleneck: the sentence fits what was measured, names its evidence, and says what to change."""

from __future__ import annotations

import pytest

from parallel_sharder.pages.bottleneck import bottleneck_of, means_of
from parallel_sharder.pages.history import Load, MadeShard, PastRun


def run(
    shards: int = 80, workers: int = 8, cores: int = 8, seconds: float = 10.0, scan: float = 1.0, **load: float
) -> PastRun:
    """A run whose workers write one shard after the other, each for so many seconds."""
    rounds = -(-shards // workers)
    past = PastRun(0.0, "a", workers, cores, "processes", "1", "", {}, scan + rounds * seconds, how="done", left=shards)
    for number in range(shards):
        began = scan + number // workers * seconds
        past.made.append(MadeShard(number, "a", began, began + seconds, 100, 0, 10**8, 10**8, 0))
    past.seconds = {"scan": scan, "plan": 0.1, "write": rounds * seconds}
    past.loads = [Load(scan + 5 * number, load) for number in range(1, int(rounds * seconds / 5) + 1)]
    return past


CASES = {
    "processors": ({"cpu_percent": 96}, "8 cores of a were 96% busy", "--node"),
    "source disk": ({"cpu_percent": 30, "source_busy_percent": 97, "dest_busy_percent": 20}, "busy 97%", "--stage"),
    "destination disk": ({"cpu_percent": 30, "source_busy_percent": 5, "dest_busy_percent": 99}, "busy 99%", "faster"),
    "disk": ({"cpu_percent": 30, "source_busy_percent": 99, "dest_busy_percent": 99}, "busy 99%", "different disks"),
    "storage": ({"cpu_percent": 30, "wait_percent": 40}, "idle for 40%", "--workers"),
    "nothing": ({"cpu_percent": 30, "wait_percent": 1}, "busy 30%", "network"),
}


@pytest.mark.parametrize("kind", CASES)
def test_load(kind: str) -> None:
    """What was busy is named, with how busy it was."""
    load, evidence, remedy = CASES[kind]
    past = run(**load)
    past.is_one_disk = kind == "disk"
    found = bottleneck_of(past)
    assert kind == found.kind
    assert evidence in found.evidence
    assert remedy in found.remedy


def test_too_few_shards() -> None:
    """Ten shards keep eight workers busy for half of the time."""
    found = bottleneck_of(run(shards=10, cpu_percent=60))
    assert "too few shards" == found.kind
    assert "On average 5.0 of 8 workers had a shard to write: 10 shards cannot keep 8 workers busy" in found.evidence
    assert "at least 32 shards" in found.remedy


def test_coordinator() -> None:
    """Workers that wait while the coordinator is busy wait for it."""
    past = run(shards=400, seconds=0.5, scan=0.1, own_percent=99)
    slow = [each._replace(ended=each.began + 0.2) for each in past.made]
    past.made = slow
    found = bottleneck_of(past)
    assert "coordinator" == found.kind
    assert "99% of one core" in found.evidence


def test_too_few_workers() -> None:
    """Busy workers on cores of which most are idle."""
    found = bottleneck_of(run(workers=2, cores=16, cpu_percent=13))
    assert "too few workers" == found.kind
    assert "2 workers and 16 cores" in found.sentence
    assert "up to 16" in found.remedy


def test_scan() -> None:
    """A scan that takes longer than the writing."""
    found = bottleneck_of(run(shards=8, seconds=10, scan=60))
    assert "before writing" == found.kind
    assert "The scan took 1:00 min, and writing 10.0 s." == found.evidence


def test_short() -> None:
    """Nothing is judged by less than two seconds."""
    assert "short" == bottleneck_of(run(shards=4, seconds=0.4, scan=0.1)).kind


def test_without_loads() -> None:
    """Where the system tells nothing, nothing is claimed."""
    found = bottleneck_of(run())
    assert "nothing" == found.kind
    assert "an unknown share" in found.evidence
    assert (None, None) == means_of(run())[1:3]


def test_means() -> None:
    """A load counts by the time since the one before."""
    past = run(shards=8, seconds=20, scan=0)
    past.loads = [Load(5, {"cpu_percent": 100}), Load(20, {"cpu_percent": 20})]
    assert pytest.approx((1.0, 0.4)) == means_of(past)[:2]


def test_every_sentence_is_one() -> None:
    """Each part ends as a sentence does."""
    for load, *_ in CASES.values():
        for words in bottleneck_of(run(**load))[1:]:
            assert words[0].isupper() or words[0].isdigit()
            assert words.endswith(".")


def test_publishing_is_no_writing() -> None:
    """What the host did after the last shard does not count."""
    past = run(cpu_percent=96)
    past.loads.append(Load(past.write_ended + 500, {"cpu_percent": 1}))
    assert "processors" == bottleneck_of(past).kind


def test_stopped_run_had_enough_shards() -> None:
    """What its workers had in hand is not recorded, so it is not said that they waited."""
    past = run(shards=10, cpu_percent=60, wait_percent=0)
    past.left = 500
    assert "too few shards" != bottleneck_of(past).kind


def test_one_core() -> None:
    """A run in the command's own process on one core has no fewer workers than cores."""
    past = run(shards=10, workers=1, cores=1, cpu_percent=50)
    past.workers = 0
    assert "nothing" == bottleneck_of(past).kind
