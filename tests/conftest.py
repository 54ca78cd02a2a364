"""What several test modules need: the real samples where they are, and made sets that are costly to make."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.errors import options_as_typed
from tests import made

# Whoever runs the tests in the background may have switched signals off, and all that they start would inherit that.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

REAL = Path(__file__).parents[2] / "shared" / "imagenet"


@pytest.fixture
def real_imagenet() -> Path:
    """The folder of real samples; tests that want it skip where it is absent, because it cannot be distributed."""
    if not REAL.is_dir():
        pytest.skip("no real ImageNet samples beside this checkout")
    return REAL


@pytest.fixture(scope="session")
def large_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 images in 1,000 classes; read-only by agreement."""
    root = tmp_path_factory.mktemp("large")
    made.classic_train(root, classes=1000, images=20_000)
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a raw set and its three finished shards: raw/, out/. Copied by those who damage it."""
    folder = tmp_path_factory.mktemp("finished")
    made.classic_train(folder / "raw")
    convert(Options(root=folder / "raw", dest=str(folder / "out"), shards=3, workers=0))
    return folder


@pytest.fixture
def typed() -> Iterator[None]:
    """Messages name options as they are typed."""
    with options_as_typed():
        yield


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished set, to be damaged."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def needs(program: str) -> str:
    """The path of a system program; the test skips where it is missing, and fails in CI, which installs it."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing; make system-packages installs it")
        pytest.skip(f"{program} is not installed")
    return path


def without_privileges() -> list[str]:
    """What comes before a command so that permissions bind it: root passes them all, unless it gives that up."""
    if os.getuid():
        return []
    powers = "-dac_override,-dac_read_search"
    return [needs("setpriv"), f"--bounding-set={powers}", f"--inh-caps={powers}", "--"]


@pytest.fixture
def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has this process see file systems as if none had flock."""
    monkeypatch.setattr(fcntl, "flock", no_flock)


def no_flock(*_: object) -> None:
    """Fails as flock does on Lustre that is mounted without it."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
