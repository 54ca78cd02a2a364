"""The plan: properties that hold for any sizes and limits, and the shuffle, pinned."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.columns import FIXED_BYTES, Texts
from parallel_sharder.errors import PlanError
from parallel_sharder.plan import Limits, make_order, make_plan

END_BYTES = 1024


def keys_of(count: int) -> Texts:
    return Texts.of(b"n%08d_%d" % (i % 7, i) for i in range(count))


SIZES = st.lists(st.integers(1, 40).map(lambda blocks: blocks * 512), min_size=1, max_size=200)


@given(SIZES, st.integers(0, 2**64 - 1) | st.none(), st.integers(30_000, 200_000), st.integers(1, 50) | st.none())
def test_every_sample_once_within_limits(
    sizes: list[int], seed: int | None, maxsize: int, maxcount: int | None
) -> None:
    """Each sample is in exactly one shard, counts differ by at most one, and no shard passes a limit."""
    column = np.array(sizes)
    plan = make_plan(keys_of(len(sizes)), make_order(keys_of(len(sizes)), seed), column, Limits(maxsize, maxcount))
    assert list(range(len(sizes))) == sorted(plan.order.tolist())
    counts = np.diff(plan.cuts)
    assert (0, len(sizes)) == (plan.cuts[0], plan.cuts[-1])
    assert counts.max() - counts.min() <= 1
    assert counts.min() >= 1
    assert counts.max() <= (maxcount or len(sizes))
    for shard, limit in enumerate(plan.shard_bytes.tolist()):
        rows = plan.order[plan.cuts[shard] : plan.cuts[shard + 1]]
        assert column[rows].sum() + END_BYTES == limit
        assert limit <= maxsize


@given(SIZES, st.integers(30_000, 200_000))
def test_no_smaller_even_split_fits(sizes: list[int], maxsize: int) -> None:
    """The number of shards is the least for which an even split of this order stays within maxsize."""
    column = np.array(sizes)
    plan = make_plan(keys_of(len(sizes)), make_order(keys_of(len(sizes)), None), column, Limits(maxsize))
    for fewer in range(1, plan.shard_count):
        parts = np.array_split(column, fewer)
        assert max(int(part.sum()) for part in parts) + END_BYTES > maxsize


@given(st.integers(1, 300), st.integers(1, 300))
def test_fixed_number_of_shards(samples: int, shards: int) -> None:
    """--shards gives exactly so many, unless some would be empty."""
    keys, sizes = keys_of(samples), np.full(samples, 512)
    order, limits = make_order(keys, 0), Limits(10**9, None, shards)
    if shards > samples:
        with pytest.raises(PlanError, match=f"shards {shards}: there (is|are) {samples} sample.*at most {samples}"):
            make_plan(keys, order, sizes, limits)
    else:
        assert shards == make_plan(keys, order, sizes, limits).shard_count


def test_golden_shuffle() -> None:
    """The order for a seed is pinned: whoever changes it changes every user's shards.

    It can be had without this package, in any language with XXH3: sort the keys by (XXH3-64 with the seed, key).
    """
    keys = Texts.of(
        [b"n01440764_36", b"n01440764_762", b"n02119789_1", b"n02119789_10", b"n02119789_2", b"n13133613_9"]
    )
    assert [5, 4, 2, 3, 0, 1] == make_order(keys, 0).tolist()
    assert [1, 0, 4, 2, 3, 5] == make_order(keys, 1).tolist()
    assert [0, 3, 2, 5, 1, 4] == make_order(keys, 2**64 - 1).tolist()
    by_hand = sorted(range(6), key=lambda row: xxhash.xxh3_64_intdigest(keys[row], 1))
    assert by_hand == make_order(keys, 1).tolist()


def test_shuffle_does_not_depend_on_the_others() -> None:
    """A sample that goes away leaves the others in their order; a longer key beside them changes nothing."""
    keys = keys_of(1000)
    order = list(keys.take(make_order(keys, 5)))
    for longer in (b"n1_", b"n1_".ljust(FIXED_BYTES + 1, b"x")):
        fewer = Texts.of([*keys.some(0, 300), *keys.some(301, 1000), longer])
        found = [key for key in fewer.take(make_order(fewer, 5)) if key != longer]
        assert [key for key in order if key != keys[300]] == found


def test_shuffle_mixes() -> None:
    """Neighbours in a class folder do not stay neighbours, and another seed gives another order."""
    keys = keys_of(10_000)
    order = make_order(keys, 0)
    assert np.count_nonzero(np.abs(np.diff(order)) == 1) < 20
    assert np.count_nonzero(order == make_order(keys, 1)) < 20
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05


def test_sample_that_no_shard_holds() -> None:
    """It is named, with the size it needs, and how many more there are."""
    sizes = np.array([512, 9_728, 10_240, 512])
    with pytest.raises(
        PlanError, match=r"n00000002_2 alone needs a shard of 11,264 bytes.* 10,000 \(2 such samples\).*11264"
    ):
        make_plan(keys_of(4), make_order(keys_of(4), 0), sizes, Limits(10_000))
    assert make_plan(keys_of(4), make_order(keys_of(4), 0), sizes, Limits(11_264)).shard_count >= 2


def test_fixed_number_that_makes_shards_too_large() -> None:
    """--shards does not overrule --maxsize or --maxcount; the message says what would do."""
    sizes = np.full(10, 5_120)
    with pytest.raises(PlanError, match=r"shards 2 makes a shard of 26,624 bytes, and maxsize is 20,000.*26624"):
        make_plan(keys_of(10), make_order(keys_of(10), 0), sizes, Limits(20_000, None, 2))
    with pytest.raises(PlanError, match=r"shards 2 puts 5 samples into a shard, and maxcount is 4"):
        make_plan(keys_of(10), make_order(keys_of(10), 0), sizes, Limits(10**6, 4, 2))


def test_many_samples_that_each_fill_a_shard() -> None:
    """The search for the number of shards is quick even where every sample needs a shard of its own."""
    sizes = np.full(200_000, 600_064)
    sizes[::2] = 512
    plan = make_plan(keys_of(200_000), make_order(keys_of(200_000), None), sizes, Limits(700_000))
    assert 100_000 <= plan.shard_count <= 100_100


def test_equal_hashes_are_in_the_order_of_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two keys that anyone has collide, so it takes a bad hash to see it."""
    monkeypatch.setattr(xxhash, "xxh3_64_intdigest", lambda key, seed: int(key[-3:]) % 7)
    keys = Texts.of(b"key%04d" % number for number in range(1000))
    expected = sorted(range(1000), key=lambda row: (row % 7, row))
    assert expected == make_order(keys, 0).tolist()
