"""Words for people: counts with their nouns, sizes, durations, and the words of others among them.

Text that comes from data (names of files, members and classes, values of annotations and manifests) can hold newlines,
what terminals obey, and what is no text at all. It is made `printable` where a line for people is made, and only there:
by errors.SharderError, whose arguments are the lines of its message; by model.Problem and model.Deviation; by the
report and by the monitors, for each line that they show; by the command line for its own. So whoever writes a message
puts a name into it as it is, and never puts a newline: a further line is a further argument. Markdown has `code`, and
tables have `tsv`.

This module knows nothing of the rest, and imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_STRUCTURE = re.compile(r"[!-,/:-@\[-`{-~]")
"""What can mean something in Markdown or HTML: all ASCII but letters, digits, blanks, dots and hyphens."""


def printable(text: str) -> str:
    r"""The text as one line that looks as it is: what a terminal would obey, or nobody would see, is escaped.

    That is, as Python writes it: newlines and other control characters, marks that turn the direction of writing, what
    has no width, and every blank but the usual one. A byte of a file's name that is no UTF-8 is `\xff`.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def shown(text: str) -> str:
    """Text whose newlines are our own, each of its lines printable."""
    return "\n".join(map(printable, text.split("\n")))


def tsv(fields: Iterable[str]) -> str:
    r"""A line of a table whose fields are separated by tabs, with its newline.

    What is not printable in a field is escaped, a tab as `\t`, and a backslash is written twice: so each field stays
    one for whoever splits at tabs, and can be had back.
    """
    return "\t".join(printable(field.replace("\\", r"\\")) for field in fields) + "\n"


def code(text: str) -> str:
    """Markdown that shows the text as code, also within a table."""
    text = printable(text)
    if text.strip() == text != "" and not set(text) & {"`", "|"}:
        return f"`{text}`"
    return f"<code>{_STRUCTURE.sub(lambda match: f'&#{ord(match[0])};', text)}</code>"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    byte = ord(character) - 0xDC00  # of a name that is no UTF-8, as Python has it in text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode("ascii")


def counted(count: int, one: str, many: str = "") -> str:
    """The count and what is counted: 1 shard, 2,000 shards.

    `many` is for nouns that take more than an s, and for a verb that follows: ("key stands", "keys stand").
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def first_few(names: Sequence[str], limit: int) -> str:
    """So many of the names, and how many more there are: a, b and 2,000 more."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def there_are(paths: Sequence[str]) -> tuple[str, str]:
    """How a sentence about paths begins, `x and 2 more, up to y, are`, and what it calls them further on, `them`."""
    if len(paths) == 1:
        return f"{paths[0]} is", "it"
    return f"{paths[0]} and {len(paths) - 1:,} more, up to {paths[-1]}, are", "them"


def shards_done(done: int, shards: int) -> str:
    """How many shards are done: 2 of 3 shards are done."""
    if shards == 1:
        return "The shard is done" if done else "The shard is not done"
    return counted(done, f"of {shards:,} shards is done", f"of {shards:,} shards are done")


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
