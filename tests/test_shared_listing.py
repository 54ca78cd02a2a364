"""The shared listing: one node lists the source, the others take what it left, and nothing else than what is right."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import parallel_sharder
from parallel_sharder import Options, Report, convert
from parallel_sharder.errors import DestinationError, OptionsError, SourceError
from parallel_sharder.host_check import versions
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.stores import store_of
from tests import made
from tests.test_convert import digests

LISTING = ".imagenet_train.listing"
SPOOL = ".imagenet_train.spool"


class Heard(Recording):
    """A monitor that also keeps the notices."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def noticed(self, notice: str) -> None:
        """Keep the notice."""
        self.notices.append(notice)


pytestmark = pytest.mark.usefixtures("typed")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root)
    return root


@pytest.fixture(scope="module")
def archives(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same set as the official archives, whose annotations have to be unpacked."""
    return made.official_archives(tmp_path_factory.mktemp("official") / "archives", raw)


def run(root: Path, out: Path, node: str | None, monitor: Heard | None = None, **choices: Any) -> Report:
    options = Options(root=root, dest=str(out), node=node, **{"shards": 5, "workers": 0, **choices})
    return convert(options, monitor)


def scans(root: Path, out: Path, node: str) -> bool:
    """Run the node, and return whether it has scanned the source."""
    heard = Heard()
    run(root, out, node, heard)
    return bool(heard.scans)


def test_source_is_listed_once(raw: Path, tmp_path: Path) -> None:
    """Whichever node comes first lists the source, and all others take what it left, also when they come again."""
    assert [True, False, False, False] == [scans(raw, tmp_path, node) for node in ("2/3", "0/3", "2/3", "1/3")]
    run(raw, tmp_path / "alone", None)
    assert digests(tmp_path / "alone").items() <= digests_of(tmp_path).items()


def digests_of(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file in a folder."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_node_says_its_share(raw: Path, tmp_path: Path) -> None:
    """Before it writes, each node says which part is its own."""
    heard = Heard()
    run(raw, tmp_path, "1/3", heard)
    assert ["node 1/3 writes 2 shards of 5"] == heard.notices


def test_node_waits_while_another_lists(raw: Path, tmp_path: Path) -> None:
    """It says so once, and takes the listing as soon as that is there; it does not scan itself."""
    run(raw, tmp_path / "first", "0/3")
    out = tmp_path / "out"
    out.mkdir()
    waits = threading.Event()

    class Waiting(Heard):
        def waiting(self, whom: str, seconds: float) -> None:
            waits.set()

    heard = Waiting()
    thread = threading.Thread(target=run, args=(raw, out, "1/3", heard))
    with store_of(str(out)).lease(f"{out}/.imagenet_train.listing.lock", what="the listing"):
        thread.start()
        assert waits.wait(60)
        (out / LISTING).write_bytes((tmp_path / "first" / LISTING).read_bytes())
    thread.join()
    assert ("another node lists the source, and this one waits for its listing", []) == (heard.notices[0], heard.scans)
    assert 2 == len(heard.notices)
    assert [1, 4] == [int(path.name[15:21]) for path in sorted(out.glob("*.tar"))]


def test_node_whose_lister_fails_lists_itself(raw: Path, tmp_path: Path) -> None:
    """If the lock is free and there is no listing, the node that waited scans; a killed lister's file is removed."""
    partial = tmp_path / f".{LISTING}.0123abcd.partial"
    partial.touch()
    assert scans(raw, tmp_path, "1/3")
    assert not partial.exists()


def test_changed_file(raw: Path, tmp_path: Path) -> None:
    """A file of another size stops the node, with the path and both sizes; so does one that is gone."""
    source, out = tmp_path / "raw", tmp_path / "out"
    made.classic_train(source)
    run(source, out, "0/3")
    image = max(source.glob("train/*/*.JPEG"))
    data = image.read_bytes()
    image.write_bytes(data + b"more")
    with pytest.raises(SourceError) as caught:
        run(source, out, "1/3")
    assert (
        f"{image} has {len(data) + 4:,} bytes, and {out}/{LISTING} lists {len(data):,}: this is another copy of the "
        "source, or it has changed. Name the same data set on all nodes; if it has changed, begin anew with "
        "--overwrite, without --node."
    ) == str(caught.value)
    image.unlink()
    with pytest.raises(SourceError, match=rf"^{image} cannot be read: No such file .*: name the same data set with "):
        run(source, out, "1/3")
    image.write_bytes(data)
    assert 2 == run(source, out, "1/3").shards


def test_changed_annotation(tmp_path: Path) -> None:
    """Annotations are compared as images are."""
    source, out = tmp_path / "raw", tmp_path / "out"
    made.classic_train(source)
    run(source, out, "0/3")
    xml = min(source.glob("train/*/*.xml"))
    xml.write_text(f"{xml.read_text()}\n")
    with pytest.raises(SourceError, match=rf"^{xml} has "):
        run(source, out, "1/3")


@pytest.mark.parametrize(
    ("choices", "change"),
    [
        ({"seed": 5}, "seed: 0, now 5"),
        ({"shards": 4}, "shards: 5, now 4"),
        ({"labels": "sorted"}, "labels: devkit, now sorted"),
        ({"dest": "/%06d.tgz"}, "compressor: none, now isal"),
    ],
)
def test_other_choices(raw: Path, tmp_path: Path, choices: dict[str, Any], change: str) -> None:
    """A node with another seed, other limits or names is refused with what differs, and nothing is changed."""
    run(raw, tmp_path, "0/3")
    before = digests_of(tmp_path)
    dest = f"{tmp_path}/imagenet_train-%06d.tgz" if choices.pop("dest", "") else str(tmp_path)
    with pytest.raises(DestinationError, match=f"\n  {change}") as caught:
        convert(Options(**{"root": raw, "dest": dest, "node": "1/3", "shards": 5, "workers": 0, **choices}))
    assert f"({tmp_path}/{LISTING} has the record.)" in str(caught.value)
    assert before == digests_of(tmp_path)


@pytest.mark.parametrize("name", ["parallel_sharder", "zstandard", "isal", "xmltodict"])
def test_host_with_another_version(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A node on it is refused with both versions and the remedy; a run without node goes on."""
    run(raw, tmp_path, "0/2")
    here = {"parallel_sharder": f"parallel_sharder {parallel_sharder.__version__}", **dict(versions())}
    monkeypatch.setattr("parallel_sharder.shared_listing._versions", lambda: {**here, name: "9.9"})
    words = f"has 9.9, and {socket.gethostname()}, which began the set, {re.escape(here[name])} .* version of {name} on"
    with pytest.raises(DestinationError, match=words):
        run(raw, tmp_path, "1/2")
    assert () == run(raw, tmp_path, None).missing


def test_another_number_of_nodes(raw: Path, tmp_path: Path) -> None:
    """It is refused before the source is compared, and nothing is changed."""
    run(raw, tmp_path, "0/3")
    before = digests_of(tmp_path)
    with pytest.raises(OptionsError, match=r"--node 1/4 is one of 4 nodes, and the set was begun with 3"):
        run(raw, tmp_path, "1/4")
    assert before == digests_of(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"parallel_sharder listing\n", None])
def test_listing_left_half_written(raw: Path, tmp_path: Path, damage: bytes | None) -> None:
    """The node is refused with the remedy, which works: nothing that was written is lost."""
    run(raw, tmp_path, "0/3")
    path = tmp_path / LISTING
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(DestinationError, match=rf"^{path} cannot be used: it.* cut.* Remove it, and start "):
        run(raw, tmp_path, "1/3")
    path.unlink()
    kept = {shard.name: shard.stat().st_ino for shard in tmp_path.glob("*.tar")}
    assert [True, False, False] == [scans(raw, tmp_path, node) for node in ("1/3", "0/3", "2/3")]
    assert kept.items() <= {shard.name: shard.stat().st_ino for shard in tmp_path.glob("*.tar")}.items()


def test_unpacked_annotations_are_shared(archives: Path, tmp_path: Path) -> None:
    """They are unpacked once for all nodes, and removed when the set is published."""
    assert scans(archives, tmp_path, "0/3")
    spool = (tmp_path / SPOOL).stat()
    assert not scans(archives, tmp_path, "1/3")
    assert (spool.st_ino, spool.st_mtime_ns) == (
        (tmp_path / SPOOL).stat().st_ino,
        (tmp_path / SPOOL).stat().st_mtime_ns,
    )
    assert not scans(archives, tmp_path, "2/3")
    assert not (tmp_path / SPOOL).exists()
    run(archives, tmp_path / "alone", None)
    assert digests(tmp_path / "alone").items() <= digests_of(tmp_path).items()


def test_node_of_a_published_set_of_archives(archives: Path, tmp_path: Path) -> None:
    """It unpacks them again for a shard that is lost; with another seed it is refused, and the listing stays."""
    for node in ("0/2", "1/2"):
        run(archives, tmp_path, node)
    before = digests_of(tmp_path)
    with pytest.raises(DestinationError, match=r"\n  seed: 0, now 7\n"):
        run(archives, tmp_path, "0/2", seed=7)
    assert before == digests_of(tmp_path)
    shard = max(tmp_path.glob("*.tar"))
    shard.unlink()
    assert (str(shard),) == run(archives, tmp_path, "0/2").remade
    after = digests_of(tmp_path)
    assert {name: digest for name, digest in before.items() if name[0] != "."}.items() <= after.items()
    assert SPOOL not in after


def test_archive_that_has_changed(raw: Path, tmp_path: Path) -> None:
    """An archive is compared by size and time, because its content is not looked at again."""
    root = made.official_archives(tmp_path / "archives", raw)
    run(root, tmp_path / "out", "0/3")
    archive = root / "ILSVRC2012_img_train.tar"
    os.utime(archive, (1, 1))
    with pytest.raises(SourceError, match=r"_train.tar has another modification time than the one in .*cp -p"):
        run(root, tmp_path / "out", "1/3")
    assert [] == [*(tmp_path / "out").glob("*-000001.tar")]


def test_finish_without_a_listing(raw: Path, tmp_path: Path) -> None:
    """Where no node has begun, there is nothing to publish, and the folder stays as it was."""
    with pytest.raises(
        DestinationError, match=rf"^there is no {tmp_path}/{LISTING}, which --finish needs. Start any node"
    ):
        run(raw, tmp_path, None, finish=True)
    assert [] == os.listdir(tmp_path)


def test_set_that_is_begun_anew(archives: Path, tmp_path: Path) -> None:
    """With the shards of an array, its listing, what was unpacked, and its journals are removed."""
    run(archives, tmp_path, "0/3")
    run(archives, tmp_path, None, overwrite=True, seed=3)
    hidden = {name for name in os.listdir(tmp_path) if name[0] == "."}
    assert {f".imagenet_train.{ending}" for ending in ("journal", "index", "run.jsonl")} == hidden
    run(archives, tmp_path / "alone", None, seed=3)
    assert digests(tmp_path / "alone").items() <= digests_of(tmp_path).items()
