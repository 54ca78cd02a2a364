"""Options: sizes, and all complaints at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from parallel_sharder import Options
from parallel_sharder.errors import OptionsError
from parallel_sharder.options import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1e9", 10**9),
        ("1E9", 10**9),
        ("1.5e9", 1_500_000_000),
        ("1e+9", 10**9),
        ("123456789012345678", 123456789012345678),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("500M", 500_000_000),
        ("0.5GB", 500_000_000),
        ("1GiB", 2**30),
        ("1.5KiB", 1536),
        ("2TB", 2 * 10**12),
        ("100B", 100),
        ("7", 7),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Bytes, powers of ten, decimal and binary units, in either case."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    "text", ["", "big", "1e", "1e5000", "9" * 31, "-1", "1iB", "1PB", "1 000", "1,000", "GB", "1e9x", "\u0661"]
)
def test_refused_sizes(text: str) -> None:
    """Anything else is refused, with what would do."""
    with pytest.raises(ValueError, match=r"is not a size; write bytes like .* 1e9, 500MB or 1GiB"):
        parse_size(text)


def test_all_complaints_at_once() -> None:
    """Every wrong choice is named, with its value and what is allowed."""
    with pytest.raises(OptionsError) as caught:
        Options(
            split="trian",
            labels="random",
            on_bad="pray",
            start_method="magic",
            workers=-1,
            maxsize=0,
            maxcount=0,
            shards=0,
            seed=2**64,
            dest="x.tar",
        )
    text = "\n".join(caught.value.complaints)
    assert 10 == len(caught.value.complaints)
    assert 2 == caught.value.exit_code
    for part in (
        "--split 'trian' is not one of train, val, test",
        "--labels 'random' is not one of devkit, sorted",
        "--on-bad 'pray' is not one of skip, keep, fail",
        "--start-method 'magic' is not one of ",
        "--workers -1 is outside 0 to 10,000",
        "--maxsize 0 is outside 1 to",
        "--maxcount 0 is below 1",
        "--shards 0 is below 1",
        "--seed 18446744073709551616 is outside 0 to",
        "--dest: x.tar has no place for the shard number",
    ):
        assert part in text


def test_options_are_frozen() -> None:
    """What has been validated stays as it is."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().seed = 5  # type: ignore[misc]


def test_values_as_people_write_them() -> None:
    """Paths may be text, and a size a float without a fraction; other types are complaints, not crashes later."""
    options = Options(root="/data", dest=Path("/shards"), meta="m.mat", maxsize=1e9)
    assert 10**9 == options.maxsize
    assert isinstance(options.maxsize, int)
    assert "/shards/imagenet_train-000000.tar" == options.pattern.path(0)
    with pytest.raises(OptionsError, match=r"--workers '4' is not a whole number\n--maxsize 1.5 is not a whole number"):
        Options(maxsize=1.5, workers="4")  # type: ignore[arg-type]
