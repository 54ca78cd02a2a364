"""Memory: what is free goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import re
from pathlib import Path
from parallel_sharder.memory import give_back_freed

def megabytes():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1000

kept = [bytes(16_000) for _ in range(8000)]
before = megabytes()
kept = kept[::100]
freed = megabytes()
give_back_freed()
print(before - freed, before - megabytes())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_memory_between_blocks_in_use_is_given_back() -> None:
    """Of 128 MB in small blocks, of which a hundredth stays in use, the C library alone gives back little."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    alone, after = map(int, done.stdout.split())
    assert alone < 60 < 100 < after


def test_other_c_libraries_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to call, and that is no error."""
    from parallel_sharder.memory import give_back_freed

    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back_freed()
