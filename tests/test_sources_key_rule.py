"""The key rule: keys that every reader takes, of which no two images of a set have the same."""

from __future__ import annotations

import re

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.sources.key_rule import LIMIT_BYTES, key_of, keys_of

NAMES = st.sampled_from([b"a", b"a.jpg", b"a.jpg.png", b"_a", b"=5Fa", b"a=2Ejpg", b"b c", b"\xff", "ü".encode()])
STEMS = NAMES | st.binary(min_size=1, max_size=90).map(lambda name: name.replace(b"/", b"").replace(b"\0", b"") or b"x")
PATHS = st.builds(
    lambda folders, name, ending: b"/".join((*folders, name + ending)),
    st.lists(NAMES, max_size=2),
    STEMS,
    st.sampled_from([b".jpg", b".JPG", b".png", b".gif"]),
)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"roses/a-1_b", b"roses/a-1_b"),
        (b"rose red/a.b", b"rose=20red/a=2Eb"),
        ("Blüte/ö".encode(), b"Bl=C3=BCte/=C3=B6"),
        (b"\xff", b"=FF"),
        (b"a=b~c", b"a=3Db=7Ec"),
        (b"_a/__b/c_", b"=5Fa/=5F_b/c_"),
        (b"a\n_b", b"a=0A_b"),
        (b"", b""),
    ],
)
def test_bytes_are_escaped(path: bytes, key: bytes) -> None:
    """All but ASCII letters, digits, _ and - become = and hex; a part that begins with _ has that escaped."""
    assert key == key_of(path)


def test_long_keys_end_in_a_digest() -> None:
    """80 bytes stay; of more, the first 63 stay, and 16 hex digits of XXH3-64 of the path follow."""
    assert b"a" * 80 == key_of(b"a" * 80)
    path = b"rose red/" + b"a" * 72
    assert b"rose=20red/" + b"a" * 52 + f"~{xxhash.xxh3_64_hexdigest(path)}".encode() == key_of(path)


@pytest.mark.parametrize(
    ("paths", "keys"),
    [
        ([b"c/a.jpg", b"c/b.png"], [b"c/a", b"c/b"]),
        ([b"c/a.jpg", b"c/a.png", b"d/a.jpg"], [b"c/a=2Ejpg", b"c/a=2Epng", b"d/a"]),
        ([b"a.jpg", b"a.JPG"], [b"a=2Ejpg", b"a=2EJPG"]),
        ([b"a.jpg", b"a.jpg.png"], [b"a", b"a=2Ejpg"]),
        ([b"a.jpg.gif", b"a.jpg", b"a.png"], [b"a=2Ejpg=2Egif", b"a=2Ejpg", b"a=2Epng"]),
        ([b"c/_a.jpg", b"c/b.jpg"], [b"c/=5Fa", b"c/b"]),
        ([], []),
    ],
)
def test_twins_keep_their_endings(paths: list[bytes], keys: list[bytes]) -> None:
    """Images of one folder that differ by their ending alone have keys with it; others have keys without."""
    assert keys == keys_of(paths)


@given(st.lists(PATHS, unique=True, max_size=12))
def test_two_images_have_two_keys(paths: list[bytes]) -> None:
    """Whatever the names are; and each key is one that readers take."""
    keys = keys_of(paths)
    assert len(paths) == len(set(keys))
    for key in keys:
        assert re.fullmatch(rb"[A-Za-z0-9=~/-][A-Za-z0-9_=~/-]*", key)
        assert len(key) <= LIMIT_BYTES
        assert b"/_" not in key


@given(st.lists(PATHS, unique=True, max_size=8), PATHS)
def test_keys_depend_on_twins_alone(paths: list[bytes], other: bytes) -> None:
    """A further image of another name changes no key."""
    if other.rpartition(b".")[0].partition(b".")[0] not in {path.partition(b".")[0] for path in paths}:
        assert keys_of(paths) == keys_of([*paths, other])[: len(paths)]
