"""What the tests of clusters share: hosts, Slurm, a data set, and the files that every run has to give."""

from __future__ import annotations

from tests.cluster.hosts import two_hosts
from tests.cluster.sets import expected, raw
from tests.cluster.slurm import slurm

__all__ = ["expected", "raw", "slurm", "two_hosts"]
