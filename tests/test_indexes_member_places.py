"""The members of a shard in columns: every name is parted as each reader does it, whichever way is taken."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.indexes import dali
from parallel_sharder.indexes import energon_table as energon
from parallel_sharder.indexes.member_places import Columns, KeyEnd, ShardMembers, key_end
from parallel_sharder.tar.member_header import TarMember

RULES = (key_end, dali.key_end, energon.key_end)
NAMES = st.sampled_from(
    ["a.jpg", "a.cls", "b.jpg", "b.cls", "c.jpg", "c.cls", "c", ".x", "d.", "e/f.jpg", "g h.jpg", "README", "DONE.E",
     "__m__/a.jpg", "__m.n__", "\u00e9.jpg", "a%d.%s", "E", "e/.g", "e.f/README"]
)  # fmt: skip
MEMBERS = st.lists(st.tuples(NAMES, st.integers(1, 2), st.integers(0, 1500)), max_size=9)


def named(members: list[tuple[str, int, int]]) -> list[TarMember]:
    """Members of these names, blocks of headers and sizes, one behind the other."""
    found, position = [], 0
    for name, headers, size in members:
        found.append(TarMember(name, position, position + 512 * headers, size))
        position += 512 * headers + size + -size % 512
    return found


def one_by_one(members: list[TarMember], rule: KeyEnd) -> list[list[tuple[str, str, TarMember]]]:
    """The samples by a rule, each as key, field and member of each of its members."""
    parted = [(member, rule(member.name)) for member in members]
    fields = [(each.name[:end], each.name[end + 1 :], each) for each, end in parted if end is not None]
    return [list(some) for _, some in groupby(fields, lambda field: field[0])]


def spread(samples: list[Columns]) -> list[list[tuple[str, str, TarMember]]]:
    """The same out of columns."""
    found = []
    for columns in samples:
        for row, key in enumerate(columns.keys):
            sample = []
            for column, field in enumerate(columns.fields):
                data, size = columns.data[column][row], columns.sizes[column][row]
                offset = columns.starts[row] if not column else -1
                sample.append((key, field, TarMember(key + columns.endings[column], offset, data, size)))
            found.append(sample)
    return found


@pytest.mark.parametrize("rule", RULES)
@given(MEMBERS)
def test_columns_hold_each_member(rule: KeyEnd, members: list[tuple[str, int, int]]) -> None:
    """Whatever the names, columns have the samples that the rule gives, and where each of their members is."""
    tar_members = named(members)
    expected = [
        [(key, field, member if not column else member._replace(offset=-1)) for column, (key, field, member) in some]
        for some in (list(enumerate(sample)) for sample in one_by_one(tar_members, rule))
    ]
    found = ShardMembers.of_headers(tar_members).samples(rule)
    assert expected == spread([*found])
    assert all(before.fields != after.fields or before.endings != after.endings for before, after in pairwise(found))


@pytest.mark.parametrize("rule", RULES)
@given(MEMBERS)
def test_plain_names_are_the_same_to_every_rule(rule: KeyEnd, members: list[tuple[str, int, int]]) -> None:
    """Where one parting serves all readers, it is the one that each rule gives."""
    tar_members = named(members)
    columns = ShardMembers.of_headers(tar_members).columns
    if columns is not None:
        by_rule = ShardMembers(None, tar_members).samples(rule)
        assert spread([*by_rule]) == spread([*columns])
        assert [each.end for each in by_rule] == [each.end for each in columns]


def test_samples_that_are_alike_are_one_run() -> None:
    """A shard of usual samples is one run of columns; a sample of other fields begins a new one."""
    usual = [(f"k{number}.{field}", 1, 7) for number in range(5) for field in ("cls", "jpg", "json")]
    [columns] = ShardMembers.of_headers(named(usual)).columns or []
    assert [f"k{number}" for number in range(5)] == columns.keys
    assert (("cls", "jpg", "json"), (".cls", ".jpg", ".json")) == (columns.fields, columns.endings)
    del usual[6]
    runs = ShardMembers.of_headers(named(usual)).columns or []
    assert [(2, 3), (1, 2), (2, 3)] == [(len(each.keys), len(each.fields)) for each in runs]


def test_key_ends() -> None:
    """Names that readers part in different ways."""
    names = ["a.jpg.txt", "d.e/a.jpg", "README", "d.e/README", ".hidden", "d/.hidden", "x", "__meta__/a.jpg"]
    assert [1, 5, None, None, None, None, None, 10] == [key_end(name) for name in names]
    assert [1, 5, -1, -1, None, None, None, 10] == [dali.key_end(name) for name in names]
    assert [1, 5, None, None, None, None, None, None] == [energon.key_end(name) for name in names]
