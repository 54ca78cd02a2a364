"""The monitor for terminals: bars that move."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from pathlib import Path

from tests import made
from tests.test_cli_main import COMMAND, ENVIRONMENT


def test_bar_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal one bar shows images, bytes, both rates and the time left, and reaches the end."""
    made.classic_train(tmp_path / "raw", images=3000, annotated=1)
    words = [*COMMAND, "--root", str(tmp_path / "raw"), "--dest", str(tmp_path / "out")]
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("4H", 30, 120, 0, 0))  # rows, columns, and pixels unknown
    process = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    shown = b""
    while select.select([parent], [], [], 30)[0]:
        try:
            shown += os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
    os.close(parent)
    assert 0 == process.wait(30)
    assert "writing 3,000 samples to 1 shard\r\n" in shown.decode()
    last = shown.decode().replace("\r\n", "\n").split("\r")[-1]
    assert re.search(r"100%\|█+\| 3000/3000 \[\d\d:\d\d<00:00, +[\d.]+ images/s, [\d.]+ MB, [\d,]+ MB/s\]", last)
