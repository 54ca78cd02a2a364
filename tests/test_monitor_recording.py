"""The monitor for tests: it keeps what it is told."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder import Options, convert
from parallel_sharder.monitor.recording import Recording
from tests import made


def test_all_numbers_are_kept_in_order(tmp_path: Path) -> None:
    """The last scan has every folder and image, and the last total every sample and byte."""
    made.classic_train(tmp_path / "raw", images=20)
    monitor = Recording()
    report = convert(Options(root=tmp_path / "raw", dest=tmp_path / "out", workers=0, shards=2), monitor)
    folders_done, folders, images = monitor.scans[-1]
    assert (folders, 20) == (folders_done, images)
    assert sorted(monitor.totals) == monitor.totals
    tar_bytes = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tar"))
    assert (report.samples, tar_bytes) == monitor.totals[-1]
