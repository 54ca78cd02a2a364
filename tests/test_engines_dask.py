"""The cluster of Dask, as far as it can be tried without Dask: scheduler files. The rest is in tests/cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parallel_sharder.engines.dask import _address_in
from parallel_sharder.errors import WorkerError


def test_scheduler_file(tmp_path: Path) -> None:
    """The address in it is used; a file that is missing or is something else is named."""
    path = tmp_path / "scheduler.json"
    with pytest.raises(WorkerError, match=r"scheduler.json cannot be read: No such file or directory. Name the file"):
        _address_in(str(path))
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(WorkerError, match=r"scheduler.json is no scheduler file of Dask. Name the file"):
            _address_in(str(path))
    path.write_text(json.dumps({"address": "tcp://127.0.0.1:8786"}))
    assert "tcp://127.0.0.1:8786" == _address_in(str(path))
