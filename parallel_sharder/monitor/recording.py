"""The recording, a monitor for tests: it keeps the numbers that a user would have seen."""

from __future__ import annotations

from parallel_sharder.monitor.monitor import Silent


class Recording(Silent):
    """The monitor that keeps the numbers of a scan in `scans`, and those of the writing in `totals`; and notices."""

    def __init__(self) -> None:
        self.scans: list[tuple[int, int, int]] = []
        self.totals: list[tuple[int, int]] = []
        self.notices: list[str] = []

    def scanning(self, done: int, total: int, images: int, _unit: str = "folder") -> None:
        """Keep the numbers in `scans`."""
        self.scans.append((done, total, images))

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Keep the numbers in `totals`."""
        self.totals.append((samples, tar_bytes))

    def noticed(self, text: str) -> None:
        """Keep the text in `notices`."""
        self.notices.append(text)
