"""Text for people: counts with their nouns, sizes, durations, and text from data made printable.

Text that comes from data (names of files, members and classes, values of annotations and manifests) can hold newlines,
terminal control sequences, and bytes that are no UTF-8. It passes `printable` where a line for people is made, and only
there: in errors.SharderError, whose arguments are the lines of its message; in model.Problem and model.Deviation; in
the report and the monitors, for each line that they show; in the command line, for its own lines. So a message is
written with each name as it is, and without newlines: each further line is a further argument. Markdown has `code`, and
tables have `tsv`.

This module imports nothing of the package, and nothing heavy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

_STRUCTURE = re.compile(r"[!-,/:-@\[-`{-~]")
"""The characters that can have a meaning in Markdown or HTML: all ASCII but letters, digits, blanks, dots, hyphens."""


def printable(text: str) -> str:
    r"""Return the text as one line, in which every character that is not printable is escaped as Python escapes it.

    Not printable are newlines and other control characters, marks that turn the direction of writing, characters
    without width, and every blank but the usual one. A byte of a file's name that is no UTF-8 becomes `\xff`.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def shown(name: str) -> str:
    r"""Return a name from the disk as text: a byte that is no UTF-8 becomes `\xff`, and all else stays.

    Shards hold it, so it does not depend on the locale, nor on which characters this Python knows as printable.
    """
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def printable_lines(text: str) -> str:
    """Return the text with each of its lines made printable, for text whose newlines are our own."""
    return "\n".join(map(printable, text.split("\n")))


def tsv(fields: Iterable[str]) -> str:
    r"""Return a line of a table whose fields are separated by tabs, with its newline.

    Characters that are not printable are escaped, a tab as `\t`, and a backslash is written twice. So a line that is
    split at its tabs has just these fields, and each field can be restored.
    """
    return "\t".join(printable(field.replace("\\", r"\\")) for field in fields) + "\n"


def code(text: str) -> str:
    """Return Markdown that shows the text as code, also within a table."""
    text = printable(text)
    if text.strip() == text != "" and not set(text) & {"`", "|"}:
        return f"`{text}`"
    return f"<code>{_STRUCTURE.sub(lambda match: f'&#{ord(match[0])};', text)}</code>"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    byte = ord(character) - 0xDC00  # Python's surrogateescape: a byte of a name that is no UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode("ascii")


def counted(count: int, one: str, many: str = "") -> str:
    """Return the count with its noun: 1 shard, 2,000 shards.

    `many` is the plural where it is not `one` and an s, and where a verb follows: ("key stands", "keys stand").
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def first_few(names: Sequence[str], limit: int) -> str:
    """Return the first `limit` names, and the count of the others: a, b and 2,000 more."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def there_are(paths: Sequence[str]) -> tuple[str, str]:
    """Return how a sentence about paths begins, `x and 2 more, up to y, are`, and the pronoun for them, `them`."""
    if len(paths) == 1:
        return f"{paths[0]} is", "it"
    return f"{paths[0]} and {len(paths) - 1:,} more, up to {paths[-1]}, are", "them"


def shards_done(done: int, shards: int) -> str:
    """Return how many shards are done, as a clause: 2 of 3 shards are done."""
    if shards == 1:
        return "The shard is done" if done else "The shard is not done"
    return counted(done, f"of {shards:,} shards is done", f"of {shards:,} shards are done")


def size(count: int) -> str:
    """Return a count of bytes in the unit that suits, by powers of 1,000: 151.2 GB."""
    if count < 1000:
        return counted(count, "byte")
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:,.1f} TB"


def duration(seconds: float) -> str:
    """Return a duration for people: 0.4 s, 1:40 min, or 2:05:09 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def brief(seconds: float) -> str:
    """Return a duration, in milliseconds where it is below a second."""
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else duration(seconds)
