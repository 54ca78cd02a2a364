"""Shards as a source, from --root to the new shards: what is chosen, refused, joined, renamed, left out, and told."""

from __future__ import annotations

import itertools
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.engines.inline import Inline
from parallel_sharder.errors import DestinationError, OptionsError, SourceError
from parallel_sharder.model import Listing
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.shards.expand import expand
from parallel_sharder.sources.shards.source import ShardsSource
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
from tests.shard_files import samples, write_shard


def scanned(*roots: str | Path, **options: Any) -> Listing:
    source = ShardsSource(SourceOptions(root=tuple(map(str, roots)), **options))
    with source, Inline() as engine:
        return source.scan(engine, Silent(), Scratch())


def keys(listing: Listing) -> list[str]:
    return [key.decode() for key in listing.keys]


def in_order(listing: Listing) -> list[str]:
    order = np.arange(len(listing)) if listing.source_order is None else listing.source_order
    return [listing.keys[row].decode() for row in order.tolist()]


def members_of(folder: Path) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            found += [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Three foreign shards of different dialects, whose order is not that of the keys."""
    write_shard(tmp_path / "old/a-9.tar", samples("x/3", "x/1"), "gnu")
    write_shard(tmp_path / "old/a-10.tar", samples("x/4", "x/2"), "pax", 0.5)
    write_shard(tmp_path / "old/b.tar", samples("x/0", fields="jpg txt"))
    return tmp_path / "old"


def test_listing(old: Path) -> None:
    """Each sample is a row with its stretch; rows are sorted by key, and the order of the source is kept."""
    listing = scanned(old / "a-*.tar", old / "b.tar")
    assert ["x/0", "x/1", "x/2", "x/3", "x/4"] == keys(listing)
    assert ["x/3", "x/1", "x/4", "x/2", "x/0"] == in_order(listing)
    part = listing.part("members")
    assert [2, 0, 1, 0, 1] == part.place.tolist()
    assert [0, 3072, 6144, 0, 0] == part.extent[:, 0].tolist()  # type: ignore[index]
    assert [2048, 3072, 3072, 3072, 3072] == part.extent[:, 1].tolist()  # type: ignore[index]
    assert [2048, 3072, 6144, 3072, 6144] == part.size.tolist()
    assert ["a-9.tar", "a-10.tar", "b.tar"] == [os.path.basename(archive.path) for archive in listing.archives]
    assert (
        "the fields differ between samples: 4 samples have cls, jpg, json; 1 sample has jpg, txt",
    ) == listing.notices
    assert {
        "key_rule": 1, "rename_keys": False, "on_duplicate": "fail", "apart": "refuse", "where": None, "keep": None,
        "drop": None, "filtered": 0,
    } == listing.selection  # fmt: skip


def test_kind(old: Path) -> None:
    """A set of shards has no splits, and the name of the folder, made safe."""
    kind = ShardsSource(SourceOptions(root=(f"{old}/*.tar",))).kind
    assert ("shards", "shards", None, "old") == (kind.layout, kind.form, kind.split, kind.name)
    old.rename(old.parent / "öld one")
    assert "=C3=B6ld=20one" == ShardsSource(SourceOptions(root=(f"{old.parent}/öld one",))).kind.name


@pytest.mark.parametrize("workers", [0, 2])
def test_converted(old: Path, tmp_path: Path, workers: int) -> None:
    """The new shards hold the members of the old ones, with --no-shuffle in their order."""
    options = {"root": [f"{old}/a-*.tar", f"{old}/b.tar"], "layout": "shards", "shards": 2, "workers": workers}
    convert(Options(dest=str(tmp_path / "new"), shuffle=False, **options))  # type: ignore[arg-type]
    expected = [*samples("x/3", "x/1", "x/4", "x/2"), *samples("x/0", fields="jpg txt")]
    assert expected == members_of(tmp_path / "new")
    convert(Options(dest=str(tmp_path / "other"), seed=7, **options))  # type: ignore[arg-type]
    assert sorted(expected) == sorted(members_of(tmp_path / "other"))


def test_again_from_ours(old: Path, tmp_path: Path) -> None:
    """Our own shards as a source give the same bytes as theirs: the order follows from keys and seed alone."""
    for name, root in (("one", f"{old}/*.tar"), ("two", f"{tmp_path}/one/*.tar")):
        convert(Options(root=root, dest=f"{tmp_path}/{name}/s-%06d.tar", layout="shards", shards=3, workers=0))
    for number in range(3):
        name = f"s-{number:06}.tar"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_lists_of_keys(old: Path, tmp_path: Path) -> None:
    """--keep and --drop choose by key; what they take away is counted, and keys that nobody has are told."""
    (tmp_path / "keep").write_bytes(b"\xef\xbb\xbfx/3\r\nx/4\r\n\r\nnobody\r\nx/0\r\n")
    (tmp_path / "drop").write_text("x/4\n")
    listing = scanned(old, keep=tmp_path / "keep", drop=tmp_path / "drop")
    assert ["x/0", "x/3"] == keys(listing)
    assert 3 == listing.selection["filtered"]
    assert {"count": 4, "xxh3_128": listing.selection["keep"]["xxh3_128"]} == listing.selection["keep"]
    assert f"{tmp_path}/keep (--keep) has 1 key that no sample has: nobody" == listing.notices[0]
    assert ("filtered", "3 samples not chosen by --keep or --drop") == listing.found[-1]
    assert 0 == listing.left_out


def test_where(tmp_path: Path) -> None:
    """--where chooses by cls and JSON, on the workers."""
    for number in range(3):
        members = []
        for key in range(10):
            values = json.dumps({"width": 100 * number + key}).encode()
            members += [(f"{number}{key}.cls", b"%d" % key), (f"{number}{key}.json", values)]
        write_shard(tmp_path / f"a-{number}.tar", members)
    assert ["12", "13", "22", "23"] == keys(scanned(tmp_path, where="cls in [2, 3] and width > 100"))
    assert 29 == scanned(tmp_path, where="width == 105").selection["filtered"]
    with pytest.raises(SourceError, match="none of 30 samples is left, and 30 are not chosen"):
        scanned(tmp_path, where="width == 7 and cls == 8")
    with pytest.raises(OptionsError, match="where, at character 5: = cannot be read"):
        scanned(tmp_path, where="cls = 7")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("score != '1'", 'score is a number in each sample, and --where compares it with "1", a text'),
        ("not ('1' == score) and score != '1'", 'score is a number in each sample, and --where compares it with "1"'),
        ("not (score in ['1', '2'])", 'score is a number in each sample, and --where compares it with "1", a text'),
        ("cls != [1]", "cls is a number or a text in each sample, and --where compares it with [1], a list"),
        ("score in ['1', 0, 1]", ""),
        ("cls != 'b' and score != null", ""),
        ("not ('x' in score) and score != cls and not (score in [cls])", ""),
        ("tags != null", ""),
    ],
)
def test_values_of_another_type(tmp_path: Path, where: str, told: str) -> None:
    """A text in place of a number is told, because != holds for each sample then; what can match is not."""
    members = [("0.cls", b"7"), ("0.json", b'{"score": 0, "tags": []}'), ("1.cls", b"a"), ("1.json", b'{"score": 1}')]
    write_shard(tmp_path / "x.tar", members)
    notices = scanned(tmp_path, where=where).notices
    assert [told] == [notice[: len(told)] for notice in notices] if told else () == notices


def test_names_that_no_sample_has(tmp_path: Path) -> None:
    """A misspelt name in --where is told, with those that are there; and a refusal names only what was typed."""
    for number in range(2):
        write_shard(
            tmp_path / f"{number}.tar", [(f"{number}.cls", b"1"), (f"{number}.json", b'{"score": %d}' % number)]
        )
    [notice] = scanned(tmp_path, where="not (scor > 0.1)").notices
    assert (
        "no sample has scor, so that each comparison of it in --where is false; among what samples have is score"
    ) == notice
    assert () == scanned(tmp_path, where="score == 1 or cls == 1").notices
    with pytest.raises(SourceError) as caught:
        scanned(tmp_path, where="scor > 0.1")
    assert "are not chosen by --where. Mend it." in caught.value.args[0]
    assert notice in caught.value.args


APART = [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.cls", b"3"), ("c.jpg", b"4"), ("b.cls", b"5"), ("b.txt", b"6")]


def test_members_apart(tmp_path: Path, typed: None) -> None:
    """Members that lie apart are refused with both offsets and the count, or joined in one sample."""
    path = write_shard(tmp_path / "old/a.tar", APART)
    words = r"a.tar, at offset 0: members of the key a lie apart: jpg here, and cls at offset 2,048 \(2 such samples"
    with pytest.raises(SourceError, match=words):
        scanned(path)
    listing = scanned(path, apart="join")
    assert ["a", "b", "c"] == in_order(listing)
    assert [2048, 4096, -1] == listing.part("members.2").extent[:, 0].tolist()  # type: ignore[index]
    assert "members of 2 samples lay apart and are joined (--apart join)" in listing.notices
    options = {"apart": "join", "layout": "shards", "shuffle": False, "workers": 0}
    convert(Options(root=path, dest=str(tmp_path / "new"), **options))  # type: ignore[arg-type]
    joined = ["a.jpg", "a.cls", "b.jpg", "b.cls", "b.txt", "c.jpg"]
    assert [(name, dict(APART)[name]) for name in joined] == members_of(tmp_path / "new")
    assert ["b"] == keys(scanned(path, apart="join", where="cls == 5"))


def test_duplicates(tmp_path: Path, typed: None) -> None:
    """A key that two samples have is refused with both places, or the later ones are renamed, or left out and named."""
    first = write_shard(tmp_path / "old/a.tar", [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3")])
    second = write_shard(tmp_path / "old/b.tar", [("b.jpg", b"4"), ("c.jpg", b"5"), ("a.jpg", b"6")])
    words = rf"{first}, at offset 2,048: the key a is that of another sample already, in {first}, at offset 0 \(3 such"
    with pytest.raises(SourceError, match=words):
        scanned(first, second)
    listing = scanned(first, second, on_duplicate="rename")
    assert ["a", "b", "a=232", "b=232", "c", "a=233"] == in_order(listing)
    assert "3 samples have new keys, because an earlier one has theirs (--on-duplicate rename)" in listing.notices
    listing = scanned(first, second, on_duplicate="skip")
    assert ["a", "b", "c"] == in_order(listing)
    assert 3 == listing.left_out
    problem = next(problem for problem in listing.problems if problem.path == f"{second}:a")
    assert f"at offset 2,048; the first with this key is in {first}, at offset 0" == problem.detail


@pytest.mark.parametrize(("on_duplicate", "expected"), [("rename", [b"1", b"2", b"3", b"4"]), ("skip", [b"1", b"2"])])
def test_duplicates_stored(tmp_path: Path, on_duplicate: str, expected: list[bytes]) -> None:
    """Renamed samples are all in the new shards, under their new keys; those left out are not."""
    write_shard(tmp_path / "old/a.tar", [("a.jpg", b"1"), ("b.jpg", b"2")])
    write_shard(tmp_path / "old/b.tar", [("b.jpg", b"3"), ("a.jpg", b"4")])
    options = {"layout": "shards", "shuffle": False, "workers": 0, "on_duplicate": on_duplicate}
    report = convert(Options(root=f"{tmp_path}/old/*.tar", dest=str(tmp_path / "new"), **options))  # type: ignore[arg-type]
    assert expected == [content for _, content in members_of(tmp_path / "new")]
    assert 4 - len(expected) == sum(problem.leaves_out for problem in report.problems)


def test_new_key_that_is_taken(tmp_path: Path) -> None:
    """A new key that another sample has, or that makes a name too long, is an error."""
    path = write_shard(tmp_path / "a.tar", [("a.jpg", b""), ("a=232.jpg", b""), ("a.jpg", b"")])
    with pytest.raises(SourceError, match="would be named a=232, which is the key of the sample in"):
        scanned(path, on_duplicate="rename")
    key = "k" * 95
    path = write_shard(tmp_path / "b.tar", [(f"{key}.jpg", b""), ("b.jpg", b""), (f"{key}.jpg", b"")])
    with pytest.raises(SourceError, match="makes a name of 103 bytes, and the limit is 100"):
        scanned(path, on_duplicate="rename")


def test_unfit_names(tmp_path: Path, typed: None) -> None:
    """Names that no reader takes are refused with the count and the first, unless they are dropped or renamed."""
    path = write_shard(tmp_path / "old/a.tar", samples("fine", "a b", "c d", fields="jpg"), "gnu")
    words = r"a.tar, at offset 1,024: the key a b is not ASCII without white space \(2 such samples in all\). Use --re"
    with pytest.raises(SourceError, match=words):
        scanned(path)
    (tmp_path / "drop").write_text("a b\nc d\n")
    assert ["fine"] == keys(scanned(path, drop=tmp_path / "drop"))
    listing = scanned(path, rename_keys=True)
    assert ["fine", "a=20b", "c=20d"] == in_order(listing)
    assert "2 samples have new keys, because readers do not take the old one (--rename-keys)" in listing.notices
    assert ["a=20b", "c=20d"] == keys(scanned(path, rename_keys=True, keep=write_list(tmp_path, "c=20d", "a b")))
    convert(Options(root=path, dest=str(tmp_path / "new"), layout="shards", rename_keys=True, shuffle=False, workers=0))
    assert ["fine.jpg", "a=20b.jpg", "c=20d.jpg"] == [name for name, _ in members_of(tmp_path / "new")]


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "list"
    path.write_text("\n".join(lines))
    return path


def test_a_list_of_keys_in_utf16(old: Path, tmp_path: Path) -> None:
    """The refusal has the command that converts it."""
    (tmp_path / "list").write_text("a\n", "utf-16")
    with pytest.raises(SourceError, match=r"iconv -f UTF-16 -t UTF-8 \S+/list > copy"):
        scanned(old, keep=tmp_path / "list")


def test_nothing_there(tmp_path: Path) -> None:
    """Tars without a sample are an error that says what a sample is."""
    path = write_shard(tmp_path / "a.tar", [("README", b"")])
    with pytest.raises(SourceError, match=r"a.tar: no member has a key and a field, such as a.jpg"):
        scanned(path)


def test_problems_are_told(tmp_path: Path) -> None:
    """Members that belong to no sample are problems of the run; only links leave something out."""
    write_shard(tmp_path / "old/a.tar", [("README", b""), ("a.jpg", b""), ("b.jpg", b"->a.jpg")], "gnu")
    report = convert(Options(root=tmp_path / "old", dest=str(tmp_path / "new"), layout="shards", workers=0))
    assert [("no-sample", False), ("linked-member", True)] == [(each.kind, each.leaves_out) for each in report.problems]


def test_sets_passed_over(old: Path, tmp_path: Path) -> None:
    """Of a folder, sets of ours are not read, and that is told."""
    convert(Options(root=f"{old}/*.tar", dest=f"{tmp_path}/in/ours-%06d.tar", layout="shards", workers=0))
    write_shard(tmp_path / "in/x-0.tar", samples("q"))
    listing = scanned(tmp_path / "in")
    assert ["q"] == keys(listing)
    assert listing.notices[0].startswith("not read: ours, which this tool has made or begun; --root reads")


def test_changes(old: Path, tmp_path: Path) -> None:
    """A shard that changes after the scan stops the run."""
    source = ShardsSource(SourceOptions(root=(str(old),)))
    with source, Inline() as engine:
        source.scan(engine, Silent(), Scratch())
        source.refuse_changes()
        write_shard(old / "b.tar", samples("x/0", fields="jpg"))
        with pytest.raises(SourceError, match=r"b.tar has changed while it was read"):
            source.refuse_changes()


def test_resumed(old: Path, tmp_path: Path) -> None:
    """Another choice of samples is another set: a run that continues refuses it."""
    options = {"root": f"{old}/*.tar", "dest": str(tmp_path / "new"), "layout": "shards", "workers": 0, "shards": 2}
    convert(Options(**options))  # type: ignore[arg-type]
    assert 2 == convert(Options(**options)).kept_shards  # type: ignore[arg-type]
    with pytest.raises(Exception, match="drop"):
        convert(Options(drop=write_list(tmp_path, "x/1"), **options))  # type: ignore[arg-type]


MEMBERS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("jpg", "cls", "txt"))), min_size=1, max_size=12)


@given(st.lists(MEMBERS, min_size=1, max_size=3))
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, shards: list[list[tuple[str, str]]]) -> None:
    """However members lie, each is in one sample, or the shard is refused because a field is twice under a key."""
    folder = tmp_path_factory.getbasetemp() / "lost"
    paths, total = [], 0
    for number, members in enumerate(shards):
        paths.append(write_shard(folder / f"{number}.tar", [(f"{key}.{field}", b"") for key, field in members]))
        total += len(members)
    options = {"apart": "join", "on_duplicate": "rename"}
    if any(adjacent_twice(members) for members in shards):
        with pytest.raises(SourceError, match="twice, the first at offset"):
            scanned(*paths, **options)
        return
    listing = scanned(*paths, **options)
    stored = sum(int(part.size.clip(0).sum()) for part in listing.parts)
    assert 512 * total == stored
    assert sorted(set(keys(listing))) == keys(listing)


def adjacent_twice(members: list[tuple[str, str]]) -> bool:
    """Whether a field is twice among neighbours of one key."""
    groups = [[field for _, field in group] for _, group in itertools.groupby(members, lambda member: member[0])]
    return any(len(set(group)) < len(group) for group in groups)


def test_verified_without_lists(old: Path, tmp_path: Path) -> None:
    """A set that lists of keys have chosen is verified without them, also where what they drop is bad."""
    write_shard(old / "c.tar", [*samples("bad key"), *samples("x/1", "x/9", fields="jpg")], "gnu")
    options = {"drop": write_list(tmp_path, "bad key", "x/3"), "on_duplicate": "rename", "layout": "shards"}
    convert(Options(root=f"{old}/*.tar", dest=str(tmp_path / "new"), workers=0, **options))  # type: ignore[arg-type]
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "new", source=f"{old}/*.tar", workers=0))
    assert ([], 6) == ([*verdict.deviations], verdict.compared)
    write_shard(old / "d.tar", samples("x/8"))
    words = "2 samples of the source were not chosen, and now 3 are neither in the set nor left out"
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "new", source=f"{old}/*.tar", workers=0))
    assert [words] == [deviation.detail for deviation in verdict.deviations]


def test_shards_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """Each is represented in the fingerprint: a resumed run sees a change of any of them."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        write_shard(tmp_path / folder / "x.tar", samples(folder + "1", folder + "2"))
    roots = [str(tmp_path / each) for each in "ab"]
    options = Options(root=roots, layout="shards", dest=str(tmp_path / "new"), maxcount=1, workers=0)
    convert(options)
    for made in ("a.json", "a-000001.tar"):
        (tmp_path / "new" / made).unlink()
    os.utime(tmp_path / "a" / "x.tar", (0, 0))
    with pytest.raises(DestinationError, match=r"time of x.tar: 20.*, now 1970"):
        convert(options)


def test_what_else_lies_in_a_folder_is_told(old: Path) -> None:
    """Files that are no shards by their names, and folders, are counted; a pattern says what it names."""
    (old / "below").mkdir()
    for name in ("a.idx", "b.idx", "c.TAR"):
        (old / name).touch()
    told = f"not read, in {old}: 1 folder (below) and 3 files whose name is no shard's (.idx: 2, .TAR: 1)"
    assert told == scanned(old).notices[0]
    assert told not in scanned(old / "*.tar").notices


def test_a_link_to_itself_beside_shards(old: Path) -> None:
    """It is a file that is not read."""
    (old / "loop").symlink_to("loop")
    assert (f"not read, in {old}: 1 file whose name is no shard's (no ending: 1)",) == expand([str(old)]).others
