"""A real Slurm on made hosts: the controller on `login`, a daemon on `one` and on `two`, and jobs that are handed in.

Comes in: the hosts and a folder. Goes out: `Slurm`, which hands scripts in and says what they printed. All daemons are
processes in the foreground; they and the jobs end with the hosts. Needs the packages slurm-wlm and munge, and root. It
knows nothing of what the jobs do.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.clusters import daemon
from tests.cluster.hosts import Network, network, require_hosts, require_programs, until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")

CONFIGURATION = """
ClusterName=made
SlurmctldHost={controller.name}({controller.address})
SlurmctldPort=6817
SlurmdPort=6818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MpiDefault=none
SlurmctldTimeout=60
SlurmdTimeout=30
KillWait=5
MinJobAge=600
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""A job begins as soon as there is room; one that is requeued begins after the life of a credential, which is 2 minutes
where it is not set. A host that is lost is missed after 30 s. No control group is needed.
"""

CPUS = 2
"""Cores that each host says it has, however many the machine has: so two elements of an array run on each."""


@dataclass(frozen=True)
class Slurm:
    """A Slurm that runs: scripts are handed in on `login`."""

    hosts: Network
    folder: Path
    env: dict[str, str]

    def sbatch(self, script: str, *options: str, env: Mapping[str, str] | None = None) -> int:
        """Hands a script in, with more options of sbatch; the job's number."""
        path = self.folder / f"job-{secrets.token_hex(4)}.sh"
        path.write_text(script)
        outputs = f"--output={self.folder}/%A-%a-%N.txt"
        command = ["sbatch", "--parsable", outputs, "--open-mode=append", *options, str(path)]
        return int(self.hosts.login.run(command, env=self.env | dict(env or {})).strip().splitlines()[-1])

    def wait(self, job: int, seconds: float = 60) -> dict[str, str]:
        """The state of each element of a job, by its number in the array, once the whole job has ended."""
        until(lambda: not self._states(job, {"PENDING", "RUNNING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD"}),
              f"job {job} has not ended: {self.said(job)}", seconds)  # fmt: skip
        return self._states(job)

    def said(self, job: int) -> str:
        """What all elements of a job have printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{job}-*.txt")))

    def state(self, job: int) -> set[str]:
        """The states that the elements of a job are in now."""
        return set(self._states(job).values())

    def command(self, *words: str) -> str:
        """What a command of Slurm prints."""
        return self.hosts.login.run(words, env=self.env)

    def _states(self, job: int, only: set[str] | None = None) -> dict[str, str]:
        lines = self.command("squeue", "--states=all", "--noheader", "--array", f"--jobs={job}", "--format=%K %T")
        states = dict(line.split(maxsplit=1) for line in lines.splitlines())
        return {element: state for element, state in states.items() if only is None or state in only}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm with two hosts, for all tests of a module."""
    require_hosts()
    require_programs(PROGRAMS)
    with network(tmp_path_factory.mktemp("hosts")) as hosts, running_slurm(hosts) as made:
        yield made


@contextlib.contextmanager
def running_slurm(hosts: Network) -> Iterator[Slurm]:
    """A Slurm on these hosts, ready for jobs."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # for a socket's path has no more than 107 bytes
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _configure(folder, hosts)
        env = {"SLURM_CONF": str(folder / "slurm.conf")}
        munged = stack.enter_context(daemon(hosts.login, _munged(folder), folder / "munged.log"))
        until((folder / "munge.socket").exists, "munged has no socket", process=munged)
        stack.enter_context(daemon(hosts.login, ["slurmctld", "-D", "-i"], folder / "slurmctld.log", env))
        for host in (hosts.one, hosts.two):
            command = ["slurmd", "-D", "-N", host.name]
            stack.enter_context(daemon(host, command, folder / f"slurmd-{host.name}.log", env))
        made = Slurm(hosts, folder, env)
        until(lambda: made.command("sinfo", "--noheader", "--format=%T %D").split() == ["idle", "2"], "no hosts")
        yield made


def _configure(folder: Path, hosts: Network) -> None:
    """Writes the key and the configuration of all daemons."""
    folder.chmod(0o755)  # munged wants its socket to be in reach of all
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    lines = [
        f"NodeName={host.name} NodeAddr={host.address} NodeHostname={host.name} CPUs={CPUS} State=UNKNOWN"
        for host in (hosts.one, hosts.two)
    ]
    text = CONFIGURATION.format(controller=hosts.login, folder=folder)
    (folder / "slurm.conf").write_text(text.replace("PartitionName", "\n".join((*lines, "PartitionName"))))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")


def _munged(folder: Path) -> list[str]:
    """The command of the daemon that all others prove by who they are; one serves all hosts, by its socket."""
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
    return ["munged", "--foreground", *(f"--{option}={folder / name}" for option, name in files.items())]
