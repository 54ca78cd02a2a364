"""What is not ours is never touched: files of others under every name that the tool means to use, at every moment."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import IndexOptions, Options, Report, VerifyOptions, convert, index_shards, verify_shards
from parallel_sharder.errors import DestinationError, DestinationGoneError
from parallel_sharder.journal.fingerprint import FORMAT
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.records import MAGIC, pack, records_of
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.stores import durable
from parallel_sharder.stores.traces import is_damaged_copy, trace_of
from tests import made
from tests.made import dangling_link_at, link_at, notes_at
from tests.test_convert import digests
from tests.test_journal import FINGERPRINT, of_format, record
from tests.test_resume import interrupted

JOURNAL = ".imagenet_train.journal"
SHARD = "imagenet_train-000007.tar"
TAKEN = "something else has that name, and nothing is overwritten: move it out of the way"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=200)
    return root


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of an undisturbed run's files."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(raw, folder)
    return digests(folder)


def run(raw: Path, out: Path, then: Callable[[], object] | None = None, **choices: Any) -> Report:
    """Convert, with something that happens when writing begins."""
    monitor = _Meanwhile(then) if then else None
    return convert(Options(root=raw, **{"dest": str(out), "shards": 20, "workers": 0, **choices}), monitor)


class _Meanwhile(Recording):
    """Does something when writing begins, when everything has been looked at."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def planned(self, plan: object, kept: object) -> None:
        self._then()


class _WhenDone(Recording):
    """Does something once, when a shard is recorded as done."""

    def __init__(self, folder: Path, then: Callable[[], object]) -> None:
        super().__init__()
        self._journal = folder / JOURNAL
        self._then: Callable[[], object] | None = then

    def progress(self, samples: int, tar_bytes: int) -> None:
        if self._then and any(payload["what"] == "done" for payload, _, _ in records_of(self._journal.read_bytes())):
            then, self._then = self._then, None
            then()


def put(path: Path, content: str = "precious") -> None:
    """Somebody else makes that file."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)


# Shards.


@pytest.mark.parametrize("workers", [0, 2])
def test_file_that_appears_under_a_shards_name(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, workers: int
) -> None:
    """It stops the run by name, and so it does the same command, and --overwrite. When it is gone, all is made."""
    with pytest.raises(DestinationError, match=rf"{tmp_path}/{SHARD} cannot be written: {TAKEN}\. \d+ of 20 shards"):
        run(raw, tmp_path, lambda: put(tmp_path / SHARD), workers=workers)
    assert not list(tmp_path.glob(".*.partial"))
    with pytest.raises(DestinationError, match=rf"{SHARD} cannot be written: {TAKEN}"):
        run(raw, tmp_path, workers=workers)
    with pytest.raises(DestinationError, match=rf"{SHARD} cannot be written: {TAKEN}"):
        run(raw, tmp_path, workers=workers, overwrite=True)
    before = digests(tmp_path)
    with pytest.raises(DestinationError, match=rf"{SHARD} is there, and not as {tmp_path}/{JOURNAL} has it recorded"):
        run(raw, tmp_path, workers=workers, overwrite=True, seed=1)
    assert before == digests(tmp_path)
    assert "precious" == (tmp_path / SHARD).read_text()
    (tmp_path / SHARD).unlink()
    run(raw, tmp_path, workers=workers)
    assert undisturbed == digests(tmp_path)


def test_file_of_the_same_bytes_is_the_shard(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """What has the name already and is byte for byte what the chunk gives is kept and recorded, whoever made it."""
    run(raw, tmp_path / "other")
    copy = tmp_path / "out" / SHARD

    def put_copy() -> None:
        shutil.copy(tmp_path / "other" / SHARD, copy)
        os.utime(copy, (1, 1))

    run(raw, tmp_path / "out", put_copy)
    assert 1 == copy.stat().st_mtime
    assert undisturbed == digests(tmp_path / "out")
    assert 20 == run(raw, tmp_path / "out").kept_shards


def test_link_to_the_same_bytes_is_not(raw: Path, tmp_path: Path) -> None:
    """A link is not what the tool has made, wherever it leads."""
    run(raw, tmp_path / "other")
    link = tmp_path / "out" / SHARD
    with pytest.raises(DestinationError, match=f"{SHARD} cannot be written: {TAKEN}"):
        run(raw, tmp_path / "out", lambda: link.symlink_to(tmp_path / "other" / SHARD))
    assert link.is_symlink()


def test_overlapping_patterns(raw: Path, tmp_path: Path) -> None:
    """Of two runs whose names overlap, the one that comes second to a name stops, and the other's shards stay."""
    choices: dict[str, Any] = {"shards": 5, "seed": 1, "dest": str(tmp_path / "x-0%05d.tar")}
    with pytest.raises(DestinationError, match=f"x-000000.tar cannot be written: {TAKEN}"):
        run(raw, tmp_path, lambda: run(raw, tmp_path, **choices), dest=str(tmp_path / "x-%06d.tar"))
    with pytest.raises(DestinationError, match=r"x-000004.tar, are already there, and no journal|cannot be written"):
        run(raw, tmp_path, dest=str(tmp_path / "x-%06d.tar"))
    assert () == verify_shards(VerifyOptions(dest=str(tmp_path / "x-0.json"), source=raw, workers=0)).deviations


def test_temporary_files_of_a_live_run_stay(tmp_path: Path) -> None:
    """Whoever cleans up after dead runs leaves what a live one writes, though its name matches; and links and pipes."""
    descriptor, temporary = durable.create(str(tmp_path / "x-000001.tar"))
    (tmp_path / ".x-000002.tar.0123abcd.partial").touch()
    os.mkfifo(tmp_path / ".x-000003.tar.0123abcd.partial")
    (tmp_path / ".x-000004.tar.0123abcd.partial").symlink_to(tmp_path)
    kept = {os.path.basename(temporary), *(f".x-00000{number}.tar.0123abcd.partial" for number in (3, 4))}
    durable.remove_partials(str(tmp_path), r"x-[0-9]+\.tar")
    assert kept == set(os.listdir(tmp_path))
    os.close(descriptor)
    durable.remove_partials(str(tmp_path), r"x-[0-9]+\.tar")
    assert os.path.basename(temporary) not in os.listdir(tmp_path)


@pytest.mark.parametrize("check", [True, False])
def test_file_in_the_place_of_a_recorded_shard(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, check: bool
) -> None:
    """A finished shard that somebody has replaced is no damaged one: what is there stays, and the run says so."""
    interrupted(raw, tmp_path, 80)
    shard = min(tmp_path.glob("*.tar"))
    shard.write_text("precious" * (1 + shard.stat().st_size // 8 if not check else 1))
    content = shard.read_text()
    for _ in range(2):
        with pytest.raises(DestinationError, match=rf"{shard} cannot be written: {TAKEN}"):
            run(raw, tmp_path, check=check)
        assert content == shard.read_text()
    with pytest.raises(
        DestinationError, match=rf"{shard} is there, and not as .* has it recorded, so this tool may not"
    ):
        run(raw, tmp_path, overwrite=True, shards=7)
    assert content == shard.read_text()
    shard.unlink()
    run(raw, tmp_path)
    assert undisturbed == digests(tmp_path)


def test_damaged_copies(tmp_path: Path) -> None:
    """Cut, or with less than half of its blocks lost or other, a file is a damaged copy; with more, or longer, not."""
    data = os.urandom(100_000)
    whole, there = tmp_path / "whole", tmp_path / "there"
    whole.write_bytes(data)
    for damaged in (data, data[:1], b"", data[:70_001], bytes(100_000), data[:60_000] + os.urandom(39_000)):
        there.write_bytes(damaged)
        assert is_damaged_copy(str(there), str(whole)), len(damaged)
    for other in (data + b"\0", os.urandom(100_000), b"precious", data[:40_000] + os.urandom(60_000)):
        there.write_bytes(other)
        assert not is_damaged_copy(str(there), str(whole)), len(other)


# Files beside the shards.

BESIDE = ["README.md", "imagenet_train.json", "imagenet_train.classes.tsv", "imagenet_train.problems.jsonl"]
BESIDE += ["imagenet_train-000007.idx", "imagenet_train-000007.tar.idx", "_info.json", "sizes.json"]
BESIDE += [f".nv-meta/{name}" for name in ("split.yaml", "index.sqlite", ".info.json", "index.uuid")]


@pytest.mark.parametrize("name", BESIDE)
def test_files_beside_that_appear_meanwhile(raw: Path, tmp_path: Path, name: str) -> None:
    """One that is not there when the run begins, and that somebody has made when it ends, stays, and is named."""
    everything: dict[str, Any] = {"index": "all", "card": True}
    for then in (lambda: put(tmp_path / name), None):
        with pytest.raises(DestinationError, match=rf"{tmp_path}/{name}\b.*(move it out of the way|remove what is)"):
            run(raw, tmp_path, then, **everything)
        assert "precious" == (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    assert 20 == run(raw, tmp_path, **everything).kept_shards


def test_index_of_an_archive_that_is_somebody_elses(raw: Path, tmp_path: Path) -> None:
    """A file that has the name of the saved index of an archive, and is none, stays."""
    archives = made.official_archives(tmp_path / "archives", raw)
    put(tmp_path / "out" / ".imagenet_train.index")
    with pytest.raises(DestinationError, match=f".imagenet_train.index cannot be written: {TAKEN}"):
        run(archives, tmp_path / "out")
    assert "precious" == (tmp_path / "out" / ".imagenet_train.index").read_text()


def test_our_own_files_are_replaced(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """What the tool has written before gives way to what it writes now: manifest, card, indexes, list of problems."""
    image = next((raw / "train").glob("*/*.JPEG"))
    whole = image.read_bytes()
    image.write_bytes(b"")
    try:
        run(raw, tmp_path, index=("dali", "timm"), card=True)
        assert (tmp_path / "imagenet_train.problems.jsonl").exists()
        with pytest.raises(
            DestinationError, match="the shards there were made from other files, or with other options"
        ):
            run(raw, tmp_path, index=("dali", "timm"), card=True, md5=True, shards=7)
        run(raw, tmp_path, index=("dali", "timm"), card=True, md5=True)
    finally:
        image.write_bytes(whole)
    run(raw, tmp_path, overwrite=True)
    assert undisturbed == digests(tmp_path)


def test_manifest_that_index_has_signed_anew(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """It holds its own digest, so it is the tool's, though no journal has it; it is written again, and removed."""
    run(raw, tmp_path)
    index_shards(IndexOptions(dest=tmp_path, md5=True, workers=0))
    assert "md5sum" in (tmp_path / "imagenet_train.json").read_text()
    run(raw, tmp_path)
    assert undisturbed == digests(tmp_path)
    index_shards(IndexOptions(dest=tmp_path, md5=True, workers=0))
    run(raw, tmp_path, overwrite=True)
    assert undisturbed == digests(tmp_path)


def test_overwrite_removes_only_what_is_as_recorded(raw: Path, tmp_path: Path) -> None:
    """A manifest that somebody has written over is not removed, and neither is anything else then."""
    run(raw, tmp_path)
    put(tmp_path / "imagenet_train.json")
    before = digests(tmp_path)
    with pytest.raises(DestinationError, match=r"imagenet_train.json is there, and not as .* Nothing was removed"):
        run(raw, tmp_path, overwrite=True)
    assert before == digests(tmp_path)


# The moment of renaming.


def _cannot(*_: object, **__: object) -> None:
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture(params=["renameat2", "link", "look"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file gets its name: as the system allows."""
    if request.param != "renameat2":
        monkeypatch.setattr(durable, "renameat2", _cannot)
    if request.param == "look":
        monkeypatch.setattr(os, "link", _cannot)
    return str(request.param)


def test_name_that_is_taken_at_the_last_moment(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the renaming somebody makes the file: it stays, and nothing of ours is left."""
    path = tmp_path / "x.tar"
    put(tmp_path / "precious")
    looked = os.path.lexists

    def look(place: str) -> bool:
        found = looked(place)
        if place == str(path):
            put(path)
        return found

    if way == "look":
        put(path)  # no later moment can be had there
    monkeypatch.setattr(os.path, "lexists", look)
    monkeypatch.setattr(durable, "sync", lambda *_, **__: put(path))
    with pytest.raises(FileExistsError, match=TAKEN):
        durable.write_file(str(path), b"ours")
    assert "precious" == path.read_text()
    assert {"precious", "x.tar"} == set(os.listdir(tmp_path))


def test_file_that_changes_while_it_is_looked_at(tmp_path: Path, way: str) -> None:
    """What was ours when that was asked, and is another file when it is to be replaced, stays."""
    path = tmp_path / "x.json"
    path.write_text("ours")

    def is_ours(place: str) -> bool:
        put(tmp_path / "other")
        os.rename(tmp_path / "other", place)
        return True

    with pytest.raises(FileExistsError, match=TAKEN):
        durable.write_file(str(path), b"ours too", is_ours)
    assert "precious" == path.read_text()
    durable.write_file(str(path), b"ours too", lambda _: True)
    assert "ours too" == path.read_text()
    assert ["x.json"] == os.listdir(tmp_path)


def test_file_systems_that_cannot_refuse_are_named(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, way: str
) -> None:
    """Where a file can neither be linked nor renamed without replacing another, the summary says so, once."""
    report = run(raw, tmp_path)
    assert undisturbed == digests(tmp_path)
    notice = (
        f"The file system of {tmp_path} can neither link files nor rename them without replacing others: a file that "
        "somebody else puts there under the name of a shard, in the moment in which that is finished, is lost."
    )
    assert ((notice,) if way == "look" else ()) == report.notices


# The journal.


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (77, "/abs/victim"),
        (1, "../victim"),
        (1, "victim"),
        (1, "x-2.tar"),
        (10, "x-10.tar"),
        (-1, "victim"),
        (-4, "x.json"),
        (2**40, "x-1.tar"),
    ],
)
@pytest.mark.parametrize("old_format", [None, 3, 4])
@pytest.mark.parametrize("kind", ["dealt", "done"])
def test_records_of_other_files(tmp_path: Path, number: int, name: str, old_format: int | None, kind: str) -> None:
    """A record with a right checksum that names what is no file of the set is refused, with --overwrite too."""
    path = tmp_path / "out" / ".x.journal"
    path.parent.mkdir()
    victims = tmp_path / "victim", path.parent / "victim"
    for victim in victims:
        put(victim)
    fingerprint = {**FINGERPRINT, "format": FORMAT}
    with Journal(str(path), fingerprint) as journal:
        journal.record([record(0)])
    _, [done, _, _] = records_of(path.read_bytes())
    stray = {"what": "dealt", "of": done["of"]} if kind == "dealt" else done
    path.write_bytes(path.read_bytes() + pack([{**stray, "number": number, "path": name}]))
    if old_format:
        of_format(path, old_format)
    data = path.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(DestinationError, match="which is no file of its set: something else|an earlier version"):
            Journal(str(path), fingerprint, overwrite)
    assert data == path.read_bytes()
    assert ["precious", "precious"] == [victim.read_text() for victim in victims]


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        folder = os.open(path.parent, os.O_PATH)
        one.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def _flipped_format_3(path: Path) -> None:
    with Journal(str(path), {**FINGERPRINT, "format": FORMAT}):
        pass
    of_format(path, 3)
    data = bytearray(path.read_bytes())
    data[12] ^= 1
    path.write_bytes(data)


FOREIGN: list[tuple[Callable[[Path], object], str]] = [
    (notes_at, "is there, and it is no journal of this tool, or nothing in it is whole. Nothing is overwritten"),
    (_flipped_format_3, "is there, and it is no journal of this tool, or nothing in it is whole. Nothing is"),
    (link_at, "is a link, and nothing is written through one. Move it out of the way, or choose another dest."),
    (dangling_link_at, "is a link, and nothing is written through one. Move it out of the way"),
    (os.mkfifo, "cannot be written: it is a pipe, and no regular file. Mend that, or choose another folder with dest."),
    (_socket, "cannot be written: it is a socket, and no regular file"),
]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(("make", "message"), FOREIGN)
def test_foreign_journals(
    raw: Path, tmp_path: Path, make: Callable[[Path], object], message: str, overwrite: bool
) -> None:
    """What has the journal's name and is none is refused before the scan, in a dry run too, and stays as it is."""
    make(tmp_path / JOURNAL)
    before = [(path.name, path.lstat()) for path in sorted(tmp_path.iterdir())]
    monitor = Recording()
    options = Options(root=raw, dest=str(tmp_path), workers=0, overwrite=overwrite)
    with pytest.raises(DestinationError, match=f"^{tmp_path}/{JOURNAL} {message}"):
        convert(options, monitor)
    assert [] == monitor.scans
    with pytest.raises(DestinationError, match=message):
        Journal(str(tmp_path / JOURNAL), FINGERPRINT)
    after = [(path.name, path.lstat()) for path in sorted(tmp_path.iterdir())]
    assert [(name, each.st_size, each.st_mtime_ns) for name, each in before] == [
        (name, each.st_size, each.st_mtime_ns) for name, each in after
    ]


def test_journal_that_is_hardly_begun(tmp_path: Path) -> None:
    """A crash while the first bytes are written leaves a part of them, or nothing: that begins anew."""
    path = tmp_path / ".x.journal"
    with Journal(str(path), FINGERPRINT):
        whole = path.read_bytes()
    for size in (0, 1, len(MAGIC), len(MAGIC) + 5, len(whole) - 1):
        path.write_bytes(whole[:size])
        Journal(str(path), FINGERPRINT).close()
        assert whole == path.read_bytes()
    assert [".x.journal"] == os.listdir(tmp_path)


def test_damaged_journals_are_all_kept(tmp_path: Path) -> None:
    """Each has a name of its own, and none is replaced; the same damage, met twice, is kept once."""
    path = tmp_path / ".x.journal"
    kept = []
    for number in (1, 2, 2):
        with Journal(str(path), FINGERPRINT) as journal:
            journal.record([record(number)])
        path.write_bytes(path.read_bytes() + b"junk")
        damaged = path.read_bytes()
        with Journal(str(path), FINGERPRINT) as journal:
            assert journal.damage is not None
            assert damaged == Path(journal.damage.kept_as).read_bytes()
            kept.append(os.path.basename(journal.damage.kept_as))
    assert [f".x.journal.damaged-{number}" for number in (1, 2)] == kept[:2]
    assert {".x.journal", *kept} == set(os.listdir(tmp_path))


def test_damaged_journal_of_another_set_is_only_copied(tmp_path: Path) -> None:
    """With --overwrite, what a damaged journal says of another set is not taken for this one's."""
    path = tmp_path / ".x.journal"
    with Journal(str(path), {**FINGERPRINT, "seed": 5}) as journal:
        journal.record([record(1)])
    path.write_bytes(path.read_bytes() + b"junk")
    damaged = path.read_bytes()
    with Journal(str(path), FINGERPRINT, overwrite=True) as journal:
        assert not journal.is_same
        assert damaged == path.read_bytes() == (tmp_path / ".x.journal.damaged-1").read_bytes()
        journal.begin_anew()
    with Journal(str(path), FINGERPRINT) as journal:
        assert {} == journal.done


def test_traces_are_recorded(tmp_path: Path) -> None:
    """What a file beside the shards was to hold is known in every later run, all of it, until the set begins anew."""
    path = tmp_path / ".x.journal"
    traces = [trace_of(content) for content in (b"first", b"second")]
    with Journal(str(path), FINGERPRINT) as journal:
        for trace in (*traces, *traces):
            journal.record_beside(str(tmp_path / "x.json"), trace)
    assert 3 == len([*records_of(path.read_bytes())])
    with Journal(str(path), FINGERPRINT) as journal:
        assert {*traces} == journal.traces("x.json")
        journal.begin_anew()
        assert () == journal.traces("x.json")


# A destination that changes under the run.


def test_destination_made_anew(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """A folder that is removed and made again stops the run with true words; the same command begins anew there."""
    out = tmp_path / "out"

    def make_anew() -> None:
        out.rename(tmp_path / f"removed-{len(os.listdir(tmp_path))}")
        out.mkdir()

    message = f"^{out} is not the folder any more in which this run began: .* The same command begins anew; if"
    for workers in (0, 2):
        with pytest.raises(DestinationGoneError, match=message) as caught:
            convert(Options(root=raw, dest=str(out), shards=20, workers=workers), _WhenDone(out, make_anew))
        assert "done" not in str(caught.value)
        assert [] == os.listdir(out)
        with pytest.raises(DestinationGoneError, match=message):
            run(raw, out, make_anew, workers=workers)
        assert [] == os.listdir(out)
    assert 0 == run(raw, out).kept_shards
    assert undisturbed == digests(out)


def test_destination_that_is_renamed(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """When it has its name back, the same command continues."""
    out, away = tmp_path / "out", tmp_path / "away"
    with pytest.raises(DestinationGoneError, match="if the folder was renamed, give it its name back first"):
        convert(Options(root=raw, dest=str(out), shards=20, workers=0), _WhenDone(out, lambda: out.rename(away)))
    away.rename(out)
    assert 0 < run(raw, out).kept_shards
    assert undisturbed == digests(out)


def test_journal_that_is_removed(raw: Path, tmp_path: Path) -> None:
    """Nothing is recorded where nobody will find it: the run stops, and says what to do."""
    with pytest.raises(DestinationGoneError, match=f"{tmp_path}/{JOURNAL} was removed or replaced while this run"):
        convert(
            Options(root=raw, dest=str(tmp_path), shards=20, workers=0),
            _WhenDone(tmp_path, lambda: (tmp_path / JOURNAL).unlink()),
        )


@pytest.mark.parametrize(("dest", "folder"), [("imagenet_train-%06d.tar", "."), ("a/b", "a/b"), ("./c/", "c")])
def test_relative_destination(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str, folder: str
) -> None:
    """It holds though the process changes its directory; messages and report name it as it was typed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    typed = Options(dest=dest).pattern

    def leave() -> None:
        os.chdir(tmp_path / "elsewhere")

    def put_and_leave() -> None:
        put(Path(folder, SHARD))
        leave()

    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DestinationError, match=f"^{typed.path(7)} cannot be written"):
        run(raw, tmp_path, put_and_leave, dest=dest)
    monkeypatch.chdir(tmp_path / "here")
    Path(folder, SHARD).unlink()
    report = run(raw, tmp_path, leave, dest=dest, index=("dali", "timm"), card=True)
    assert (typed.braces(20), typed.files.manifest) == (report.braces, report.manifest_path)
    assert undisturbed.items() <= digests(tmp_path / "here" / folder).items()
    assert [] == os.listdir(tmp_path / "elsewhere")
