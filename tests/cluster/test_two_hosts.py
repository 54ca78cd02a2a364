"""Two hosts in networks of their own: whichever engine deals, and whatever dies, the files are those of one machine."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import parallel_sharder
from tests.cluster.clusters import dask_cluster, ray_cluster
from tests.cluster.hosts import Host, Network, end, until
from tests.cluster.sets import command, contents, partials

pytestmark = pytest.mark.timeout(400)

ENGINES = ("ray", "dask")
WORKERS = {"ray": "ray::", "dask": "dask"}
"""What stands in the commands of an engine's workers, and not in that of the coordinator beside them."""

SECONDS = 200
"""The longest that a run may take: one that loses a host is to be done within a minute and a half, and the machine of
the tests may be slow.
"""


class Run:
    """A command that runs on a host, and what it has printed until now."""

    def __init__(self, host: Host, words: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = host.popen(words, env=env, output=output.fileno())

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text()

    def finish(self) -> str:
        """What it has printed when it has ended, which it does well."""
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            end(self.process)
            pytest.fail(f"not done after {SECONDS} s: {self.said[-6000:]}")
        assert 0 == status, self.said[-6000:]
        return self.said


@contextmanager
def begun(
    engine: str, hosts: Network, raw: Path, out: Path, env: Mapping[str, str] | None = None, *more: str
) -> Iterator[Run]:
    """A run on a cluster of both hosts, `env` being set on `two` alone; `more` are further words of its command.

    The worker on `one` is stopped in mid-shard until the caller is done, so that `two` gets work in this time; then the
    run has to end well.
    """
    folder = out.parent
    with contextlib.ExitStack() as stack:
        if engine == "ray":
            made = stack.enter_context(ray_cluster(hosts.one, hosts.two, folder=folder, env=env))
            driver = hosts.one
        else:
            made = stack.enter_context(dask_cluster(hosts.login, hosts.one, hosts.two, folder=folder, env=env))
            driver = hosts.login
        run = Run(driver, command(raw, out, "--engine", made.engine, *more), folder / "run.log", made.env)
        hosts.one.freeze_in_mid_chunk(only=WORKERS[engine])
        yield run
        hosts.one.signal_all(signal.SIGCONT, WORKERS[engine])
        run.finish()


@pytest.mark.parametrize("engine", ENGINES)
def test_engine(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Both hosts write shards, and all files are those of a run on one machine."""
    out = tmp_path / "out"
    with begun(engine, two_hosts, raw, out) as run:
        two_hosts.two.freeze_in_mid_chunk()
        two_hosts.two.signal_all(signal.SIGCONT)
    assert expected == contents(out)
    (row,) = re.findall(r"^hosts .*", run.said, re.MULTILINE)
    assert ["one", "two"] == re.findall(r"\b(one|two)\b", row)


@pytest.mark.parametrize("engine", ENGINES)
def test_host_killed(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """All processes of a host are killed while one writes a shard: the other host writes it."""
    out = tmp_path / "out"
    with begun(engine, two_hosts, raw, out):
        two_hosts.two.freeze_in_mid_chunk()
        two_hosts.two.signal_all(signal.SIGKILL)
    assert expected == contents(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_cable_cut(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """A host is cut off while it writes a shard: the other writes it, though the first goes on with it unheard."""
    out = tmp_path / "out"
    with begun(engine, two_hosts, raw, out):
        two_hosts.two.freeze_in_mid_chunk()
        two_hosts.two.cut()
        two_hosts.two.signal_all(signal.SIGCONT)
    assert expected == contents(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_other_version(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """A host with another version of this package gets no work, and the user reads which version it has."""
    other, out = tmp_path / "other", tmp_path / "out"
    shutil.copytree(Path(parallel_sharder.__file__).parent, other / "parallel_sharder")
    init = other / "parallel_sharder" / "__init__.py"
    init.write_text(init.read_text().replace(parallel_sharder.__version__, "0.0.77"))
    with begun(engine, two_hosts, raw, out, {"PYTHONPATH": str(other)}) as run:
        note = until(lambda: refusal_of("two", run.said), "two is not refused")
    assert "0.0.77" in note
    assert parallel_sharder.__version__ in note
    assert expected == contents(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_destination_not_shared(
    engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """A host on which the destination is another file system gets no work, and nothing is written there."""
    out = tmp_path / "out"
    out.mkdir()
    two_hosts.two.run(["mount", "-t", "tmpfs", "tmpfs", out])
    with begun(engine, two_hosts, raw, out) as run:
        note = until(lambda: refusal_of("two", run.said), "two is not refused")
        assert "" == two_hosts.two.run(["ls", "-A", out])
    assert str(out) in note
    assert expected == contents(out)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_shared", [True, False])
def test_stage(
    engine: str, is_shared: bool, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """What is staged is read by both hosts. One that does not see it gets no work, and the user reads why."""
    out, stage = tmp_path / "out", tmp_path / "stage"
    stage.mkdir()
    if not is_shared:
        two_hosts.two.run(["mount", "-t", "tmpfs", "tmpfs", stage])
    with begun(engine, two_hosts, raw, out, None, "--stage", str(stage)) as run:
        if is_shared:
            two_hosts.two.freeze_in_mid_chunk()
            two_hosts.two.signal_all(signal.SIGCONT)
        else:
            note = until(lambda: refusal_of("two", run.said), "two is not refused")
            assert re.search("cannot see .*stretch.* --stage must be a folder that all hosts share", note)
    assert expected == contents(out)
    assert [] == list(stage.iterdir())


def refusal_of(host: str, said: str) -> str:
    """The line with which a host is refused, or nothing while it is not."""
    return next((line for line in said.splitlines() if line.startswith(f"note: {host} gets no work")), "")


def test_nodes_at_once(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Each host writes its half; whichever is last publishes, and the other says what is missing, or nothing is."""
    out = tmp_path / "out"
    halves = [
        Run(host, command(raw, out, "--node", f"{number}/2"), tmp_path / f"{number}.log", {})
        for number, host in enumerate((two_hosts.one, two_hosts.two))
    ]
    for half in halves:
        half.finish()
    assert expected == contents(out)
    two_hosts.login.run([command(raw, out)[0], "status", out])


def test_nodes_with_a_stage(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Nodes that are started at once stage the source once, on a folder that they share; the last one removes it."""
    out, stage = tmp_path / "out", tmp_path / "stage"
    halves = [
        Run(host, command(raw, out, "--node", f"{number}/2", "--stage", str(stage)), tmp_path / f"{number}.log", {})
        for number, host in enumerate((two_hosts.one, two_hosts.two))
    ]
    said = [half.finish() for half in halves]
    assert expected == contents(out)
    assert all("note: staged 1,080 files, " in each for each in said), said
    assert not stage.exists() or [] == list(stage.iterdir()), said


def test_node_killed(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """The same command on another host takes the place of a node whose host has died, with --take-over, after it has
    seen no sign of life for a minute.
    """
    out = tmp_path / "out"
    lost = two_hosts.two.popen(command(raw, out, "--node", "1/2"))
    two_hosts.two.freeze_in_mid_chunk()
    two_hosts.one.run(command(raw, out, "--node", "0/2"), timeout=SECONDS)
    two_hosts.two.signal_all(signal.SIGKILL)
    lost.wait(10)
    assert re.search("^1/2 +two +at work", two_hosts.one.run([command(raw, out)[0], "status", out], status=3), re.M)
    two_hosts.one.run(command(raw, out, "--node", "1/2", "--take-over"), timeout=SECONDS)
    assert expected == contents(out)
    assert [] == partials(out)


def test_nodes_then_ray(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """What two of three nodes have left is made by a run on Ray."""
    out = tmp_path / "out"
    for number in (2, 0):
        two_hosts.two.run(command(raw, out, "--node", f"{number}/3"), timeout=SECONDS)
    with ray_cluster(two_hosts.one, two_hosts.two, folder=tmp_path) as made:
        two_hosts.one.run(command(raw, out, "--engine", made.engine), env=made.env, timeout=SECONDS)
    assert expected == contents(out)
