"""Ray and Dask on one or two hosts: whatever stops a run or a worker, the files are those of a run with processes."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parallel_sharder import Options, convert
from tests.cluster.clusters import Cluster, daemon, dask_cluster, ray_cluster
from tests.cluster.hosts import Host, Network, end, inside, is_alive, until
from tests.cluster.sets import SHARDS, command, contents, partials

pytestmark = pytest.mark.timeout(300)

ENGINES = ("ray", "dask")

SECONDS = 120


@contextlib.contextmanager
def cluster(engine: str, hosts: Network, folder: Path, *more: Host) -> Iterator[Cluster]:
    """A cluster of the host `one`, on which the coordinator runs too, and of more hosts."""
    if engine == "ray":
        with ray_cluster(hosts.one, *more, folder=folder) as made:
            yield made
    else:
        with dask_cluster(hosts.one, hosts.one, *more, folder=folder) as made:
            yield made


def finish(process: subprocess.Popen[str], seconds: float = SECONDS) -> tuple[int, str]:
    """The status and the words of a run, when it has ended."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        pytest.fail(f"not done after {seconds} s: {process.communicate()[0][-6000:]}")
    return process.returncode, output


def writers(host: Host, shard: str = "") -> list[psutil.Process]:
    """The processes of a host that have an unfinished shard open, with this in its name."""
    found, processes = [], []
    with contextlib.suppress(psutil.Error):  # one has ended while they were listed
        processes = host.processes()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            names = [Path(file.path).name for file in process.open_files()]
            if any(re.fullmatch(rf"\..*{shard}.*\.tar\.[0-9a-f]+\.partial", name) for name in names):
                found.append(process)
    return found


def frozen_writer(host: Host) -> psutil.Process:
    """A process of this host that was stopped while it wrote a shard, from which it does not wake by itself."""

    def look() -> psutil.Process | None:
        for process in writers(host):
            process.suspend()
            if process in writers(host):
                return process
            process.resume()
        return None

    found = None
    deadline = time.monotonic() + 60
    while found is None and time.monotonic() < deadline:
        found = look()
    if found is None:
        pytest.fail(f"nothing on {host.name} has written a shard")
    return found


def resume_here(raw: Path, out: Path) -> int:
    """Continue the run with processes of this machine; return how many shards the stopped run has left."""
    options = Options(
        root=raw, dest=str(out), meta=raw / "classes.txt", shards=SHARDS, workers=2, index=("all",), card=True
    )
    return convert(options).kept_shards


@pytest.mark.parametrize("engine", ENGINES)
def test_local_cluster(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Where no cluster is found one is started, which is the first thing that is said; nothing of it is left."""
    out = tmp_path / "out"
    said = two_hosts.one.run(command(raw, out, "--engine", engine, "--workers", "2"), timeout=SECONDS)
    assert expected == contents(out)
    first, *_ = said.splitlines()
    assert re.match(rf"note: no {engine.title()} cluster was found .* so one was started on this host, with 2 ", first)
    until(lambda: not any(map(is_alive, two_hosts.one.processes())), "processes of the cluster are left", 10)
    assert "Traceback" not in said


@pytest.mark.parametrize("engine", ENGINES)
def test_worker_killed(engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Its chunk is dealt again; the cluster prints nothing of it, and the JSON is whole."""
    out = tmp_path / "out"
    with cluster(engine, two_hosts, tmp_path, two_hosts.two) as made:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine, "--json", "--quiet"), env=made.env)
        frozen_writer(two_hosts.two).kill()
        status, said = finish(process)
    assert 0 == status, said
    assert said.startswith("{")
    assert said.endswith("}\n")
    assert expected == contents(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_three_deaths_of_a_chunk(engine: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """They stop the run, by the chunk's name and the cause; what is done stays."""
    out = tmp_path / "out"
    over = threading.Event()
    with cluster(engine, two_hosts, tmp_path) as made:
        words = command(raw, out, "--engine", made.engine, "--shards", "2")  # large ones, so that each is seen
        process = two_hosts.one.popen(words, env=made.env)

        def kill() -> None:
            while not over.is_set():
                for writer in writers(two_hosts.one, "000001"):
                    with contextlib.suppress(psutil.Error):
                        writer.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            status, said = finish(process)
        finally:
            over.set()
            killer.join()
    assert 1 == status, said
    assert re.search(
        r"3 workers died writing .*000001\.tar .* the last lost (with its process|by the cluster)", said
    ), said
    assert ["imagenet_train-000000.tar"] == [path.name for path in out.glob("*.tar")]


@pytest.mark.parametrize(
    ("engine", "number"), [("ray", signal.SIGINT), ("ray", signal.SIGTERM), ("dask", signal.SIGINT)]
)
def test_interrupt(
    engine: str, number: signal.Signals, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C or SIGTERM ends the run though a worker does not answer; what is done stays, and processes do the rest."""
    out = tmp_path / "out"
    with cluster(engine, two_hosts, tmp_path) as made:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine), env=made.env)
        until(lambda: len(list(out.glob("*.tar"))) > 2, "no shard is done", process=process)
        writer = frozen_writer(two_hosts.one)
        inside(process).send_signal(number)
        _, said = finish(process, 15 + 5)
        assert f"stopped by {number.name}" in said
        assert "Traceback" not in said
        writer.resume()
        until(lambda: not writers(two_hosts.one), "the worker goes on")
    assert 3 <= resume_here(raw, out) <= SHARDS
    assert expected == contents(out)
    assert [] == partials(out)


@pytest.mark.parametrize(("engine", "other"), [("ray", "dask"), ("dask", "ray")])
def test_coordinator_killed(
    engine: str, other: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """Another engine continues the run, and removes what was left unfinished."""
    out = tmp_path / "out"
    with cluster(engine, two_hosts, tmp_path) as made:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine), env=made.env)
        until(lambda: len(list(out.glob("*.tar"))) > 2, "no shard is done", process=process)
        inside(process).kill()
        finish(process)
        said = two_hosts.two.run(command(raw, out, "--engine", other, "--json", "--quiet"), timeout=SECONDS)
        assert '"kept_shards": 0,' not in said
        assert expected == contents(out)
    assert [] == partials(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_node_that_joins_later(
    engine: str, two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """It gets work, though the run has begun without it: here all that is left, as the first worker hangs."""
    out = tmp_path / "out"
    with cluster(engine, two_hosts, tmp_path) as made, contextlib.ExitStack() as stack:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine), env=made.env)
        writer = frozen_writer(two_hosts.one)
        stack.enter_context(daemon(two_hosts.two, joining(made), tmp_path / "joined.log", made.env))
        until(lambda: writers(two_hosts.two), "the second host has no work", process=process)
        writer.resume()
        status, said = finish(process)
    assert 0 == status, said
    assert expected == contents(out)
    assert re.search(r"^hosts .*one .*two ", said, re.MULTILINE)


def joining(made: Cluster) -> list[str]:
    """The command that adds the host `two` to a cluster."""
    name, _, address = made.engine.partition(":")
    if name == "ray":
        return ["ray", "start", "--block", "--num-cpus=1", f"--address={address}", "--node-ip-address=10.77.0.3"]
    options = [f"--scheduler-file={address}", "--host=10.77.0.3", "--nthreads=1", "--no-dashboard"]
    return [sys.executable, "-m", "distributed.cli.dask_worker", *options]


SILENT = (
    "import socket, time; s = socket.create_server(('10.77.0.2', 7000)); print('ready', flush=True); time.sleep(300)"
)


@pytest.mark.parametrize("engine", ["ray:{}", "ray://{}", "dask:tcp://{}"])
def test_address_that_does_not_answer(engine: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """Nobody listens there, or somebody who says nothing: the address is named within 15 s, and nothing is written."""
    out = tmp_path / "out"
    silent = two_hosts.one.popen([sys.executable, "-c", SILENT])
    assert silent.stdout is not None
    assert "ready\n" == silent.stdout.readline()
    for address in ("10.77.0.2:7000", "10.77.0.2:7001"):
        words = command(raw, out, "--engine", engine.format(address))
        status, said = finish(two_hosts.one.popen(words), 15 + 10)
        [line] = [line for line in said.splitlines() if line.startswith("parallel-sharder: ")]
        assert (1, True, False) == (status, address in line, "Traceback" in said), said
        assert [line] == said.splitlines()
    assert not out.exists()


LEFT_RAY = """
import ray, sys
ray.init(sys.argv[1].partition(":")[2], log_to_driver=False, logging_level="error")
print([actor["State"] for actor in ray._private.state.actors().values() if actor["State"] != "DEAD"])
"""
LEFT_DASK = """
import distributed, sys
def left(dask_scheduler):
    topics = [topic for topic in dask_scheduler._broker._topics if topic.startswith("parallel_sharder")]
    return [*dask_scheduler.tasks, *topics, *dask_scheduler.extensions["events"]._events]
with distributed.Client(scheduler_file=sys.argv[1].partition(":")[2]) as client:
    print(client.run_on_scheduler(left))
"""


@pytest.mark.parametrize(("engine", "code"), [("ray", LEFT_RAY), ("dask", LEFT_DASK)])
def test_cluster_is_left_as_it_was(engine: str, code: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """No actor, task, event or topic of a run stays in a cluster of others; and a second run finds its way there."""
    with cluster(engine, two_hosts, tmp_path) as made:
        for name in ("first", "second"):
            two_hosts.one.run(command(raw, tmp_path / name, "--engine", made.engine), env=made.env, timeout=SECONDS)
            look = [sys.executable, "-c", code, made.engine]
            assert "[]" == two_hosts.one.run(look, env=made.env).splitlines()[-1]
    first, second = (contents(tmp_path / name) for name in ("first", "second"))
    assert [name for name in first if name.endswith(".tar")] == [name for name in second if name.endswith(".tar")]


def test_client_of_ray(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """A host that is no node of the cluster reaches it by ray://."""
    out = tmp_path / "out"
    with cluster("ray", two_hosts, tmp_path) as made:
        words = command(raw, out, "--engine", "ray://10.77.0.2:10001")
        said = two_hosts.login.run(words, env=made.env, timeout=SECONDS)
    assert expected == contents(out)
    assert re.search(r"^hosts .*one 720 ", said, re.MULTILINE)


def test_worker_of_dask_with_threads(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """A cluster without workers is waited for; one worker with three threads writes three chunks at once."""
    out = tmp_path / "out"
    with dask_cluster(two_hosts.one, folder=tmp_path) as made, contextlib.ExitStack() as stack:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine), env=made.env)
        assert process.stdout is not None
        assert "has no workers; work goes on when one joins" in process.stdout.readline()
        words = [*joining(made), "--nthreads=3"]
        stack.enter_context(daemon(two_hosts.two, words, tmp_path / "joined.log", made.env))
        status, said = finish(process)
    assert 0 == status, said
    assert "with 3 chunks at a time on the Dask cluster tcp://10.77.0.2:8786" in said
    assert expected == contents(out)


SCRIPT = """
from parallel_sharder import Options, convert
print("once")
print(convert(Options(root={root!r}, dest={dest!r}, meta={meta!r}, shards=24, engine={engine!r})).samples)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_script_without_guard(engine: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """The workers of a cluster that is started here do not import the calling script, nor what lies beside it."""
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong queue')")
    script = tmp_path / "script.py"
    choices = {"root": str(raw), "dest": str(tmp_path / "out"), "meta": str(raw / "classes.txt"), "engine": engine}
    script.write_text(SCRIPT.format(**choices))
    said = two_hosts.one.run([sys.executable, "-P", script], timeout=SECONDS)
    assert "once\n720\n" == said


OTHER_RAY = """
import ray, sys
ray.__version__ = "9.9.9"
from parallel_sharder.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("address", ["ray:10.77.0.2:6379", "ray://10.77.0.2:10001"])
def test_other_version_of_ray(address: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """Here and in the cluster: both are named before anything is written.

    On a busy machine the server of Ray's client takes longer to start than an address has to answer.
    """
    out = tmp_path / "out"
    with cluster("ray", two_hosts, tmp_path) as made:
        words = [sys.executable, "-c", OTHER_RAY, *command(raw, out, "--engine", address)[1:]]
        said = "does not answer within 15 s"
        for _ in range(4):
            if "does not answer within 15 s" in said:
                status, said = finish(two_hosts.one.popen(words, env=made.env), 15 + 10)
    [line] = said.splitlines()
    assert 1 == status
    assert line.startswith("parallel-sharder: the Ray cluster ")
    assert "Version mismatch" in line
    assert "9.9.9" in line
    assert not out.exists()


@pytest.mark.parametrize(("engine", "program"), [("ray", "gcs_server"), ("dask", "distributed.cli.dask_scheduler")])
def test_head_killed(engine: str, program: str, two_hosts: Network, raw: Path, tmp_path: Path) -> None:
    """Nobody deals any more: the run ends with a sentence, and what is done stays for a run with processes."""
    out = tmp_path / "out"
    with cluster(engine, two_hosts, tmp_path) as made:
        process = two_hosts.one.popen(command(raw, out, "--engine", made.engine), env=made.env)
        until(lambda: len(list(out.glob("*.tar"))) > 2, "no shard is done", process=process)
        frozen_writer(two_hosts.one)
        two_hosts.one.signal_all(signal.SIGKILL, program)
        status, said = finish(process)
    assert 1 == status, said
    assert re.search(r"^parallel-sharder: the \w+ cluster .* was lost: its \w+ does not answer any more", said, re.M)
    assert 0 < resume_here(raw, out) < SHARDS  # answers that were on their way are lost with the head
