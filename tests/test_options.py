"""Options: sizes, and all complaints at once."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parallel_sharder import IndexOptions, Options, VerifyOptions
from parallel_sharder.errors import DestinationError, OptionsError, options_as_typed
from parallel_sharder.option_values import parse_size


@dataclasses.dataclass
class PathLike:
    """Something of another library that says what path it is, rightly or not."""

    given: Any

    def __fspath__(self) -> Any:
        return self.given


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
            split="trian",  # type: ignore[arg-type]
            labels="random",  # type: ignore[arg-type]
            on_bad="pray",  # type: ignore[arg-type]
            start_method="magic",  # type: ignore[arg-type]
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
        "split 'trian' is not one of train, val, test",
        "labels 'random' is not one of devkit, sorted",
        "on_bad 'pray' is not one of skip, keep, fail",
        "start_method 'magic' is not one of ",
        "workers -1 is outside 0 to 10,000",
        "maxsize 0 is outside 1 to",
        "maxcount 0 is below 1",
        "shards 0 is below 1",
        "seed 18446744073709551616 is outside 0 to",
        "dest: x.tar has no place for the shard number",
    ):
        assert part in text


def test_options_are_frozen() -> None:
    """What has been validated stays as it is."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().seed = 5  # type: ignore[misc]


def test_values_as_people_write_them() -> None:
    """Paths may be text, and a size a float without a fraction; other types are complaints, not crashes later."""
    assert 10**9 == Options(maxsize="1GB").maxsize
    assert Options(maxsize="1GiB") == Options(maxsize=2**30)
    options = Options(root="/data", dest=Path("/shards"), meta="m.mat", maxsize=1e9)
    assert 10**9 == options.maxsize
    assert isinstance(options.maxsize, int)
    assert "/shards/imagenet_train-000000.tar" == options.pattern.path(0)
    with pytest.raises(OptionsError, match=r"maxsize 1.5 is not a whole number\nworkers '4' is not a whole number"):
        Options(maxsize=1.5, workers="4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"maxsize": "1XB"}, "maxsize: '1XB' is not a size; write bytes like 1000000000, 1e9, 500MB or 1GiB"),
        ({"maxsize": None}, "maxsize: 'None' is not a size; write bytes like 1000000000, 1e9, 500MB or 1GiB"),
        ({"root": ""}, "root is empty; name a path (this folder is .)"),
        ({"root": 7}, "root 7 is not a path"),
        ({"dest": 5}, "dest 5 is not a path"),
        ({"dest": None}, "dest None is not a path"),
        ({"meta": b"m.mat"}, "meta b'm.mat' is not a path"),
        ({"root": "a\0b"}, "root 'a\\x00b' is not a path"),
        ({"root": "\ud800"}, "root '\\ud800' is not a path"),
        ({"dest": PathLike(b"out")}, "dest PathLike(given=b'out') is not a path"),
        ({"dest": PathLike(5)}, "dest PathLike(given=5) is not a path"),
        ({"workers": True}, "workers True is not a whole number"),
        ({"seed": False}, "seed False is not a whole number"),
        ({"maxcount": 2.0}, "maxcount 2.0 is not a whole number"),
        ({"shards": np.float64(2)}, f"shards {np.float64(2)!r} is not a whole number"),
        ({"maxsize": True}, "maxsize True is not a whole number"),
        ({"seed": None}, "seed None is not a whole number"),
        ({"split": ["train"]}, "split ['train'] is not one of train, val, test"),
        ({"md5": "yes"}, "md5 'yes' is neither True nor False"),
        ({"shuffle": None}, "shuffle None is neither True nor False"),
        ({"check_archives": 1}, "check_archives 1 is neither True nor False"),
        ({"maxsize": float("inf")}, "maxsize inf is not a whole number"),
        ({"maxsize": float("nan")}, "maxsize nan is not a whole number"),
        ({"index": [["dali"]]}, "index ['dali'] is not one of wids, dali, energon, timm, openclip, all, none"),
        ({"index": ["none", 5]}, "index none,5: none cannot be combined with others"),
        ({"index": 5}, "index 5 is not one of wids, dali, energon, timm, openclip, all, none"),
        (
            {"shuffle": False, "seed": 3},
            "seed 3 is for the shuffle, and shuffle=False turns that off; leave one of them out",
        ),
        (
            {"check": True, "overwrite": True},
            "check keeps what is whole, and overwrite keeps nothing; leave one of them out",
        ),
        ({"node": 3}, "node 3 is no node; write I/N, such as 0/16 for the first of 16"),
        ({"node": "5/3"}, "node 5/3 is outside 0/3 to 2/3: nodes count from 0"),
        ({"node": "0/0"}, "node 0/0 has 0 nodes, and there can be 1 to 100,000"),
        (
            {"node": "0/3", "overwrite": True},
            "overwrite removes the shards of all nodes; run it once without node first",
        ),
        ({"node": "0/3", "finish": True}, "finish publishes what all nodes have written; leave node out"),
        (
            {"node": "0/3", "engine": "ray"},
            "engine ray deals chunks to all hosts by itself, and node shares them out without; leave one of them out",
        ),
        (
            {"finish": True, "engine": "dask"},
            "engine dask writes shards, and finish writes none; leave one out",
        ),
        (
            {"finish": True, "overwrite": True},
            "finish publishes the shards that are there, and overwrite removes them; leave one out",
        ),
    ],
)
def test_values_that_cannot_be(choices: dict[str, Any], complaint: str) -> None:
    """Each is one complaint, which names the field, the value and what is allowed."""
    with pytest.raises(OptionsError) as caught:
        Options(**choices)
    assert (complaint,) == caught.value.complaints


@pytest.mark.parametrize("url", ["https://x.org/a.tar", "s3://bucket/{0..9}.tar"])
def test_urls(url: str) -> None:
    """A URL is no path of a source: it is refused, and one among several paths too."""
    words = f"{url} is a URL, and this tool downloads nothing; name a path of this machine"
    for field in ("root", "table", "source"):
        choices: dict[str, Any] = {field: url}
        with pytest.raises(OptionsError) as caught:
            VerifyOptions(dest="x", **choices) if field == "source" else Options(**choices)
        assert (f"{field} {words}",) == caught.value.complaints
    with pytest.raises(OptionsError) as caught:
        Options(root=["a", url])
    assert (f"root {words}",) == caught.value.complaints


def test_numbers_and_paths_of_other_types() -> None:
    """Whole numbers of numpy, and what is like a Path, are taken as the int and the text that they stand for."""
    options = Options(
        dest=PathLike("out"),  # type: ignore[arg-type]
        workers=np.int64(3),  # type: ignore[arg-type]
        maxcount=np.uint16(5),  # type: ignore[arg-type]
        shards=np.int8(7),  # type: ignore[arg-type]
        seed=np.uint64(2**64 - 1),  # type: ignore[arg-type]
        maxsize=np.int64(10**9),  # type: ignore[arg-type]
    )
    assert Options(dest="out", workers=3, maxcount=5, shards=7, seed=2**64 - 1) == options
    numbers = options.workers, options.maxcount, options.shards, options.seed, options.maxsize
    assert [int] * 5 == [type(number) for number in numbers]
    assert Options(shuffle=np.bool_(False)).shuffle is False  # type: ignore[arg-type]
    assert 10**9 == Options(maxsize=np.float32(1e9)).maxsize  # type: ignore[arg-type]
    assert 10**9 == Options(maxsize=np.float64(1e9)).maxsize
    assert int is type(VerifyOptions(dest=".", workers=np.int32(1)).workers)  # type: ignore[arg-type]
    assert int is type(IndexOptions(dest=".", workers=np.int32(1)).workers)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [VerifyOptions, IndexOptions])
@pytest.mark.parametrize("dest", [None, 5, b"out", "a\0b"])
def test_destinations_that_cannot_be(make: Any, dest: Any) -> None:
    """The other kinds of options refuse them alike."""
    with pytest.raises(OptionsError, match="^dest .* is not a path$"):
        make(dest=dest)


def test_complaints_name_what_their_reader_knows() -> None:
    """The library's fields, in all three kinds of options; on the command line, options as they are typed."""
    with pytest.raises(OptionsError) as caught:
        Options(on_bad="pray", maxsize="big", shuffle=False, seed=1)  # type: ignore[arg-type]
    error = caught.value
    assert ["maxsize:", "on_bad", "seed"] == [complaint.split()[0] for complaint in error.complaints]
    assert "\n".join(error.complaints) == str(error)
    with options_as_typed():
        assert ["--maxsize:", "--on-bad", "--seed"] == [complaint.split()[0] for complaint in error.complaints]
        assert "--no-shuffle turns that off" in str(error)
    assert error.complaints == pickle.loads(pickle.dumps(error)).complaints
    with pytest.raises(OptionsError, match="^meta is for a comparison with the source; name the source with source$"):
        VerifyOptions(dest=".", meta="m.mat")
    with pytest.raises(OptionsError, match="^dest: x-%d.tar needs exactly one"):
        VerifyOptions(dest="x-%d.tar")
    with pytest.raises(OptionsError, match="^md5 is for the index of wids; add wids to readers$"):
        IndexOptions(dest=".", readers="dali", md5=True)
    with pytest.raises(OptionsError, match="^md5 'yes' is neither True nor False$"):
        IndexOptions(dest=".", md5="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "in_library"),
    [
        ("Choose another --dest.", "Choose another dest."),
        (
            "(--on-bad fail) Use fewer --workers; or name --xml-root",
            "(on_bad fail) Use fewer workers; or name xml_root",
        ),
        ("/data/--dest/x and /data/a--dest are paths, '--dest' is a value", None),
        ("DEST is not /data/DEST", "dest is not /data/DEST"),
    ],
)
def test_messages_name_fields_in_the_library(message: str, in_library: str | None) -> None:
    """So do all errors, whichever module raises them; paths and values stay as they are."""
    error = DestinationError(message)
    assert (in_library or message) == str(error)
    with options_as_typed():
        assert message == str(error)


def test_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ~ that begins a path is the home folder, in text and in Paths; elsewhere it is a ~."""
    monkeypatch.setenv("HOME", "/home/me")
    options = Options(root=Path("~/raw"), dest="~/x-%06d.tar", meta="~", xml_root="./~")
    assert ("/home/me/raw", "/home/me/x-%06d.tar", "/home/me", "./~") == (
        options.root, options.dest, options.meta, options.xml_root,
    )  # fmt: skip
    assert "/home/me/shards" == VerifyOptions(dest="~/shards").dest == IndexOptions(dest="~/shards").dest
    assert "/home/me/raw" == VerifyOptions(dest=".", source="~/raw").source


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, ("processes", "", None)),
        ({"workers": 3}, ("processes", "", 3)),
        ({"workers": 0}, ("inline", "", 0)),
        ({"engine": "inline"}, ("inline", "", 0)),
        ({"engine": "inline", "workers": 0}, ("inline", "", 0)),
        ({"engine": "processes", "workers": 2}, ("processes", "", 2)),
        ({"engine": "ray", "workers": 64}, ("ray", "", None)),
        ({"engine": "ray:head:6379", "cpus_per_chunk": 4}, ("ray", "head:6379", None)),
        ({"engine": "ray://head:10001"}, ("ray", "ray://head:10001", None)),
        ({"engine": "ray:[fd00::1]:6379"}, ("ray", "[fd00::1]:6379", None)),
        ({"engine": "dask"}, ("dask", "", None)),
        ({"engine": "dask:tcp://head:8786"}, ("dask", "tcp://head:8786", None)),
        ({"engine": "dask:tls://head:8786"}, ("dask", "tls://head:8786", None)),
        ({"engine": "dask:/shared/scheduler.json"}, ("dask", "/shared/scheduler.json", None)),
    ],
)
def test_engines(choices: dict[str, Any], expected: tuple[str, str, int | None]) -> None:
    """Of the value, the name and the address; and how many workers this host has for all but the shards."""
    options = Options(**choices)
    assert expected == (options.engine_name, options.engine_address, options.host_workers)


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"engine": "rya"}, "engine rya is not one of processes, inline, ray, dask. Did you mean ray?"),
        ({"engine": "slurm"}, "engine slurm is not one of processes, inline, ray, dask"),
        ({"engine": 3}, "engine 3 is not one of processes, inline, ray, dask"),
        ({"engine": "processes:4"}, "engine processes:4: processes works on this host, and takes no address"),
        ({"engine": "ray:"}, "engine ray:: write ray:HOST:PORT or ray://HOST:PORT"),
        ({"engine": "ray:head"}, "engine ray:head: write ray:HOST:PORT or ray://HOST:PORT"),
        (
            {"engine": "dask:head:8786"},
            "engine dask:head:8786: write dask:tcp://HOST:PORT, dask:tls://HOST:PORT, or dask:FILE for a scheduler's "
            "file",
        ),
        ({"engine": "inline", "workers": 4}, "engine inline has no workers, and workers is 4; leave one of them out"),
        (
            {"engine": "processes", "workers": 0},
            "engine processes needs workers, and workers is 0; choose engine inline, or more workers",
        ),
        (
            {"engine": "ray", "workers": 0},
            "engine ray needs workers, and workers is 0; choose engine inline, or more workers",
        ),
        (
            {"engine": "dask", "start_method": "spawn"},
            "start_method spawn is for processes, and engine dask starts none of them",
        ),
        ({"cpus_per_chunk": 2}, "cpus_per_chunk 2 is for engine ray or dask"),
        ({"engine": "ray", "cpus_per_chunk": 0}, "cpus_per_chunk 0 is outside 1 to 10,000"),
    ],
)
def test_engines_that_cannot_be(choices: dict[str, Any], complaint: str) -> None:
    """One complaint each."""
    with pytest.raises(OptionsError) as caught:
        Options(**choices)
    assert (complaint,) == caught.value.complaints
