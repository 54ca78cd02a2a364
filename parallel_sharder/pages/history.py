"""History: the runs of a set, read back from its events (see events.py).

A file that was cut while it was written, or that a later version has written, gives what can be read; what is lost is
counted. Times are in seconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of

_LAST_TIME = 9.5e10

LOAD = (
    "cpu_percent",
    "wait_percent",
    "own_percent",
    "memory_bytes",
    "read_bytes_s",
    "written_bytes_s",
    "source_busy_percent",
    "dest_busy_percent",
)
"""What a load says of a host; each can be None."""


class MadeShard(NamedTuple):
    """A shard that a run has finished, and how often a worker had died of it before."""

    number: int
    host: str
    began: float
    ended: float
    samples: int
    left_out: int
    tar_bytes: int
    file_bytes: int
    deaths: int

    @property
    def seconds(self) -> float:
        """How long a worker had it."""
        return self.ended - self.began


class Death(NamedTuple):
    """A worker's death, of a shard."""

    number: int
    host: str
    cause: str


class Load(NamedTuple):
    """How busy a host was up to this time; `values` has those of LOAD that are known."""

    time: float
    values: Mapping[str, float]


@dataclass
class PastRun:
    """A run that has written shards. `how` is "done", "stopped", "failed", or "" if its end is not recorded.

    `places` has the names, ROOT and DEST, of absolute paths, and `is_one_disk` is whether both are on the same disk.
    `kept` shards were there before, and `left` were to be written. `seconds` has those of its phases, by name.
    """

    began: float
    host: str
    workers: int
    cores: int
    engine: str
    version: str
    node: str
    options: Mapping[str, Any]
    ended: float
    places: Mapping[str, str] = field(default_factory=dict)
    is_one_disk: bool = False
    how: str = ""
    error: str = ""
    kept: int = 0
    left: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    made: list[MadeShard] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    @property
    def write_began(self) -> float:
        """When the first worker began; the end of a run that has made nothing."""
        return min((each.began for each in self.made), default=self.ended)

    @property
    def write_ended(self) -> float:
        """When the last shard was ready; the end of a run that has made nothing."""
        return max((each.ended for each in self.made), default=self.ended)

    @property
    def write_seconds(self) -> float:
        """From the first worker's beginning to the last shard."""
        return self.write_ended - self.write_began

    @property
    def samples(self) -> int:
        """How many samples it has stored."""
        return sum(each.samples for each in self.made)

    @property
    def tar_bytes(self) -> int:
        """How many bytes of tars it has written."""
        return sum(each.tar_bytes for each in self.made)


@dataclass(frozen=True)
class History:
    """The runs of a set in the order of their beginnings, and how many lines of its events could not be read."""

    runs: Sequence[PastRun] = ()
    lost_lines: int = 0

    @property
    def working(self) -> Sequence[PastRun]:
        """The runs that have made shards."""
        return [run for run in self.runs if run.made]

    @property
    def largest(self) -> PastRun:
        """The run that has written most, of which there is one."""
        return max(self.working, key=lambda run: run.tar_bytes)


def history_of(files: SetFiles) -> History:
    """Return what the events of a set say. Events that cannot be read are as good as none."""
    runs: list[PastRun] = []
    lost = 0
    for path in files.events():
        try:
            data = store_of(path).read(path)
        except OSError:
            lost += 1
            continue
        reading = _Reading()
        reading.take(data.split(b"\n"))
        runs += reading.runs
        lost += reading.lost
    return History(sorted(runs, key=lambda run: run.began), lost)


def is_of(history: History, manifest: Manifest) -> bool:
    """Return whether the shards that were made last under each number are those of the manifest, by their sizes."""
    last = {shard.number: shard for run in history.runs for shard in run.made}
    sizes = [shard.file_bytes for shard in manifest.shards]
    return all(number < len(sizes) and sizes[number] == shard.file_bytes for number, shard in last.items())


class _Reading:
    """The reading of one file of events."""

    def __init__(self) -> None:
        self.runs: list[PastRun] = []
        self.lost = 0
        self._deaths: dict[int, int] = {}

    def take(self, lines: Iterable[bytes]) -> None:
        """Read these lines. One that is none, and what comes before a run, is counted as lost."""
        for line in filter(None, lines):
            try:
                event = json.loads(line)
                kind = event["event"]
                if kind == "run":
                    self._begin(event)
                elif not self.runs:
                    self.lost += 1
                else:
                    self._add(kind, event, self.runs[-1])
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
                self.lost += 1

    def _begin(self, event: Mapping[str, Any]) -> None:
        began = _time(event["started"])
        self.runs.append(
            PastRun(
                began,
                str(event["host"]),
                int(_number(event["workers"])),
                int(_number(event.get("cores") or 0)),
                str(event["engine"]),
                str(event["version"]),
                str(event.get("node") or ""),
                dict(event["options"]),
                ended=max(began, _time(event["time"])),
                places={str(path): str(name) for name, path in event.get("places", {}).items()},
                is_one_disk=event.get("one_disk") is True,
            )
        )

    def _add(self, kind: str, event: Mapping[str, Any], run: PastRun) -> None:
        time = _time(event["time"])
        if kind == "found":
            run.found = {str(name): str(value) for name, value in event["found"].items()}
            run.notices += map(str, event.get("notices", ()))
        elif kind == "planned":
            run.kept, run.left = int(_number(event["kept"])), int(_number(event["left"]))
        elif kind == "phase":
            run.seconds[str(event["name"])] = _number(event["seconds"])
        elif kind == "shard":
            run.made.append(self._made(event))
        elif kind == "died":
            number = int(_number(event["shard"]))
            self._deaths[number] = self._deaths.get(number, 0) + 1
            run.deaths.append(Death(number, str(event["host"]), str(event["cause"])))
        elif kind == "load":
            run.loads.append(Load(time, dict(_known(event))))
        elif kind == "end":
            run.how, run.error = str(event["how"]), str(event["error"] or "")
            run.seconds.update({str(name): _number(value) for name, value in event["seconds"].items()})
            run.notices += map(str, event.get("notices", ()))
        run.ended = max(run.ended, time)

    def _made(self, event: Mapping[str, Any]) -> MadeShard:
        number = int(_number(event["shard"]))
        ended = _time(event["ended"])
        samples, left_out, tar_bytes, file_bytes = (
            int(_number(event[name])) for name in ("samples", "left_out", "tar_bytes", "file_bytes")
        )
        began, deaths = min(_time(event["began"]), ended), self._deaths.pop(number, 0)
        return MadeShard(number, str(event["host"]), began, ended, samples, left_out, tar_bytes, file_bytes, deaths)


def _known(event: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in LOAD:
        if event.get(name) is not None:
            yield name, _number(event[name])


def _time(value: Any) -> float:
    """Return a time in seconds since 1970, before the year 5000. Raises ValueError if the value is none."""
    if _number(value) > _LAST_TIME:
        raise ValueError(value)
    return float(value)


def _number(value: Any) -> float:
    """Return a number that is not negative. Raises ValueError if the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
        raise ValueError(value)
    return value
