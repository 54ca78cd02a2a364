"""The command `index`: what it takes, says and refuses."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parallel_sharder import IndexOptions, Options
from parallel_sharder.cli.main import main
from parallel_sharder.errors import OptionsError, SharderError
from tests.conftest import without_privileges
from tests.indexed import copied, finished_sets, foreign, index, refusal


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


def test_names_that_are_numbers_or_end_in_one(tmp_path: Path) -> None:
    """Shards called 000000.tar are one set, whatever their first digit; a pattern says where the number begins."""
    for name in ("000000", "100000", "x2000000", "x2000001"):
        foreign(tmp_path / f"{name}.tar", [f"{name}.jpg"])
    assert ["shards.json", "x.json"] == index(tmp_path, "wids")
    content = json.loads((tmp_path / "shards.json").read_text())
    assert ["000000.tar", "100000.tar"] == [shard["url"] for shard in content["shardlist"]]
    assert ["x2.json"] == index(tmp_path / "x2%06d.tar", "wids")
    assert ["shards.json"] == index(tmp_path / "%06d.tar", "wids")


def test_set_of_two_kinds(tmp_path: Path) -> None:
    """Plain and compressed shards of one name are two sets, and a pattern tells which."""
    foreign(tmp_path / "x-00.tar", ["a.jpg", "b.jpg"])
    (tmp_path / "x-00.tgz").write_bytes(gzip.compress((tmp_path / "x-00.tar").read_bytes()))
    message = refusal(tmp_path, "openclip")
    assert re.search(rf"^{tmp_path} holds shards of x that end in \.(tar|tgz) and in \.(tar|tgz)\. Name one", message)
    for suffix in ("tar", "tgz"):
        index(tmp_path / f"x-%02d.{suffix}", "openclip")
        assert 2 == json.loads((tmp_path / "sizes.json").read_text())[f"x-00.{suffix}"]


def test_refusals(tmp_path: Path) -> None:
    """Compressed, damaged and unfit shards, and files in the way, are named; nothing of the set is written."""
    assert "holds no shards" in refusal(tmp_path, "dali")
    assert "cannot be read: No such file or directory" in refusal(tmp_path / "none", "dali")
    shard = tmp_path / "x-000000.tar"
    foreign(shard, ["1.jpg", "2.jpg"])
    (tmp_path / "sizes.json").write_text("[]")
    assert f"{tmp_path}/sizes.json is there and is something else" in refusal(tmp_path, "openclip")
    data = shard.read_bytes()
    shard.write_bytes(data[:1500])
    assert f"{shard}, at offset" in refusal(tmp_path, "timm")
    assert not (tmp_path / "_info.json").exists()
    foreign(shard, ["a b.jpg"])
    assert f"{shard} holds 'a b.jpg', and DALI's index takes only ASCII without blanks" in refusal(tmp_path, "dali")
    foreign(shard, [])
    assert f"{shard} holds no sample" in refusal(tmp_path, "dali")
    (tmp_path / "x-000001.tgz").touch()
    assert f"{tmp_path}/x-000001.tgz is compressed" in refusal(tmp_path, "dali")
    assert "holds no shards" in refusal(f"{tmp_path}/y-%06d.tar", "dali")


def test_folder_that_may_not_be_written(shards: Path, tmp_path: Path) -> None:
    """The folder, the cause and what to do are told, and nothing is read before."""
    folder = copied(shards, tmp_path / "copy")
    folder.chmod(0o500)
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", "index", str(folder), "--for", "dali"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    assert (
        1,
        f"parallel-sharder: {folder} cannot be locked with a file in it: Permission denied. Mend that, or use a folder "
        "that can be written to.\n",
    ) == (done.returncode, done.stderr)


def test_options() -> None:
    """All that is wrong is said at once; names may be given with commas, as on the command line."""
    assert ("dali", "timm") == Options(index=("timm", "dali")).readers
    assert ("dali", "timm") == Options(index="timm,dali").readers  # type: ignore[arg-type]
    assert ("dali", "timm") == IndexOptions(dest=".", readers="dali,timm").readers  # type: ignore[arg-type]
    assert () == Options(index="none").readers
    with pytest.raises(OptionsError) as caught:
        IndexOptions(dest="x-%d.tar", readers=("wids", "tfrecord"), workers=-1)  # type: ignore[arg-type]
    assert 3 == len(caught.value.complaints)
    with pytest.raises(OptionsError, match="md5 is for the index of wids"):
        IndexOptions(dest=".", readers=("dali",), md5=True)
    with pytest.raises(OptionsError, match="energon's index is of all shards in a folder"):
        IndexOptions(dest="x-%06d.tar", readers=("energon",))
    with pytest.raises(OptionsError, match="readers '' is not one of wids, dali, energon, timm, openclip, all"):
        IndexOptions(dest=".", readers=())


def test_command_line(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary says what was written, as text and as JSON."""
    folder = copied(shards, tmp_path / "copy")
    assert 0 == main(["index", str(folder), "--for", "dali,timm", "--workers", "0", "--quiet"])
    text = capsys.readouterr().out
    assert "sets     imagenet_train, imagenet_val\nsamples  70\nshards   5\n" in text
    assert f"wrote    6 files\n  {folder}/_info.json\n" in text
    assert 0 == main(["index", f"{folder}/imagenet_val-%06d.tar", "--workers", "0", "--quiet", "--json"])
    assert [f"{folder}/imagenet_val.json"] == json.loads(capsys.readouterr().out)["written"]
    assert 2 == main(["index", str(folder), "--for", "dali,coco"])
    assert "--for 'coco' is not one of wids, dali, energon, timm, openclip, all" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["_info.json", "sizes.json", "x.json", ".nv-meta/split.yaml", "x-0.tar"])
def test_nobody_waits_for_a_pipe(tmp_path: Path, name: str) -> None:
    """A pipe under the name of any file that index opens is named as one."""
    (tmp_path / ".nv-meta").mkdir()
    foreign(tmp_path / "x-1.tar", ["a.jpg"])
    os.mkfifo(tmp_path / name)
    with pytest.raises(SharderError, match=f"{name}.* it is a pipe, and no regular file"):
        index(tmp_path, "wids", "timm", "openclip", "energon")
