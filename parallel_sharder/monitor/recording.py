"""A monitor for tests, which keeps the numbers that a user would have seen."""

from __future__ import annotations

from parallel_sharder.monitor.monitor import Silent


class Recording(Silent):
    """Keeps the numbers that a user would have seen, for tests."""

    def __init__(self) -> None:
        self.scans: list[tuple[int, int, int]] = []
        self.totals: list[tuple[int, int]] = []

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """Kept in `scans`."""
        self.scans.append((folders_done, folders, images))

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Kept in `totals`."""
        self.totals.append((samples, tar_bytes))
