"""The table of header fields."""

from __future__ import annotations

from parallel_sharder.tar import fields


def test_fields_tile_the_block() -> None:
    """The table is POSIX's: each field begins where the one before ends, and 12 bytes stay unused."""
    end = 0
    for field in fields.ALL:
        assert end == field.start
        end = field.stop
    assert fields.BLOCK_BYTES - 12 == end
