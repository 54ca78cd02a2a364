"""Jobs in a real Slurm: arrays with --node, Ray and Dask inside a job, by the scripts of the engines' page.

The scripts run as they stand on the page; the paths come from variables, and the sizes, which are those of a real
cluster there, from options of sbatch.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

import parallel_sharder
from tests.cluster.clusters import require_package
from tests.cluster.hosts import Network, require_programs
from tests.cluster.sets import SHARDS, command, contents, partials
from tests.cluster.slurm import PROGRAMS, Slurm, running_slurm

pytestmark = pytest.mark.timeout(400)

PAGE = Path(parallel_sharder.__file__).parent / "engines" / "README.md"
SCRIPTS = {
    re.search(r"--job-name=(\S+)", text)[1]: text  # type: ignore[index]
    for text in re.findall(r"```bash\n(#!/bin/bash\n.*?)```", PAGE.read_text(), re.DOTALL)
}

ARRAY = ("--array=0-3", "--cpus-per-task=1")
ALL_ENDED = {str(number): "COMPLETED" for number in range(4)}


def hand_in(slurm: Slurm, name: str, raw: Path, out: Path, *options: str, **more: str) -> int:
    """Hands a script of the page in; the choices that make the expected files are in a configuration of the tests."""
    home = out.parent / "home"
    home.mkdir()
    choices = f" --meta {raw}/classes.txt --shards {SHARDS} --index all --card"
    script = SCRIPTS[name].replace(' --dest "$DEST"', ' --dest "$DEST"' + choices)
    return slurm.sbatch(script, *options, env={"ROOT": str(raw), "DEST": str(out), "HOME": str(home), **more})


def test_array(slurm: Slurm) -> None:
    """Each element of an array has its number and the count, and both hosts run some."""
    script = "#!/bin/bash\nsleep 1; echo $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT on $(hostname)\n"
    job = slurm.sbatch(script, "--array=0-3")
    assert ALL_ENDED == slurm.wait(job)
    lines = slurm.said(job).splitlines()
    assert {f"{number} of 4 on" for number in range(4)} == {line.rpartition(" ")[0] for line in lines}
    assert {"one", "two"} == {line.split()[-1] for line in lines}


def test_scripts_are_of_the_page() -> None:
    """The page has a script for an array, one for Ray and one for Dask."""
    assert ["shards-array", "shards-dask", "shards-ray"] == sorted(SCRIPTS)


def test_nodes_in_an_array(slurm: Slurm, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Four elements write all shards and publish them, without a further job."""
    out = tmp_path / "out"
    job = hand_in(slurm, "shards-array", raw, out, *ARRAY)
    assert ALL_ENDED == slurm.wait(job, 200), slurm.said(job)
    assert expected == contents(out)


def test_repair_by_a_part_of_the_array(slurm: Slurm, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """An array of the missing elements alone is refused with the words that do it, and these words do it."""
    out = tmp_path / "out"
    slurm.hosts.login.run(command(raw, out, "--node", "0/4"))
    slurm.hosts.login.run(command(raw, out, "--node", "2/4"))
    job = hand_in(slurm, "shards-array", raw, out, "--array=1,3", "--cpus-per-task=1")
    assert {"1": "FAILED", "3": "FAILED"} == slurm.wait(job)
    words = re.findall(r"--node \d/\d", slurm.said(job))
    assert {"--node 1/4", "--node 3/4"} == set(words)
    for word in sorted(set(words)):
        slurm.hosts.login.run(command(raw, out, *word.split()))
    assert expected == contents(out)


def test_requeued_at_the_time_limit(slurm: Slurm, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """The signal that comes before the time limit ends the elements of a host in mid-shard; requeued, they go on."""
    out, two = tmp_path / "out", slurm.hosts.two
    job = hand_in(slurm, "shards-array", raw, out, *ARRAY)
    two.freeze_in_mid_chunk(only="parallel-sharder")
    slurm.command("scancel", "--signal=TERM", str(job))
    two.signal_all(signal.SIGCONT, "parallel-sharder")
    assert ALL_ENDED == slurm.wait(job, 200), slurm.said(job)
    assert "Restarts=1" in slurm.command("scontrol", "show", "job", str(job))
    assert expected == contents(out)


def test_host_of_an_array_dies(two_hosts: Network, raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """Slurm runs the elements of a dead host again on the other, where they take the place of their dead selves."""
    require_programs(PROGRAMS)
    out = tmp_path / "out"
    with running_slurm(two_hosts) as slurm:
        job = hand_in(slurm, "shards-array", raw, out, *ARRAY)
        two_hosts.two.freeze_in_mid_chunk()
        two_hosts.two.signal_all(signal.SIGKILL)
        assert ALL_ENDED == slurm.wait(job, 300), slurm.said(job)
    assert expected == contents(out)
    assert [] == partials(out)


@pytest.mark.parametrize(("name", "package"), [("shards-ray", "ray"), ("shards-dask", "distributed")])
def test_engine_in_a_job(
    name: str, package: str, slurm: Slurm, raw: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """The script starts a cluster on the hosts of the job, converts with it, and ends it."""
    require_package(package)
    out = tmp_path / "out"
    sooner = {"RAY_gcs_rpc_server_reconnect_timeout_s": "30"}  # Ray's nodes wait so long for a head that has ended
    job = hand_in(slurm, name, raw, out, "--nodes=2", "--cpus-per-task=2", **sooner)
    assert {"COMPLETED"} == set(slurm.wait(job, 300).values()), slurm.said(job)[-6000:]
    assert expected == contents(out)
