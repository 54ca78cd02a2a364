"""Words for people: counts with their nouns, sizes, durations. Knows nothing of the rest, and imports nothing heavy."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """The count and what is counted: 1 shard, 2,000 shards.

    `many` is for nouns that take more than an s, and for a verb that follows: ("key stands", "keys stand").
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes in the unit that suits: 151.2 GB."""
    if count < 1000:
        return counted(count, "byte")
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:,.1f} TB"


def duration(seconds: float) -> str:
    """0.4 s, 1:40 min, or 2:05:09 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"
