"""The table of header fields."""

from __future__ import annotations

from parallel_sharder import tarfields


def test_fields_tile_the_block() -> None:
    """The table is POSIX's: each field begins where the one before ends, and 12 bytes stay unused."""
    end = 0
    for field in tarfields.ALL:
        assert end == field.start
        end = field.stop
    assert tarfields.BLOCK_BYTES - 12 == end
