"""Where: the grammar of --where, which chooses samples by their label and by the top-level names of their JSON.

    condition  = both { "or" both }               both = plain { "and" plain }
    plain      = "not" plain | "(" condition ")" | operand comparison operand
    comparison = "==" "!=" "<" "<=" ">" ">=" "in"
    operand    = name | text | number | "true" | "false" | "null" | "[" [ operand { "," operand } ] "]"

A text goes in, and a Condition is returned, which says of a sample's values whether it holds. Nothing is evaluated as
Python. A missing name makes a comparison false, != too. Values of different types are not equal, and no other
comparison of them holds. Workers use this module. It knows no shards.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from parallel_sharder.errors import OptionsError
from parallel_sharder.text import first_few

LIMIT_CHARACTERS = 10_000
LIMIT_DEPTH = 50
"""How deep conditions and lists are nested at most: each level takes some of Python's own."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+`)
    | (?P<name>[^\W\d]\w*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_CONSTANTS = {"true": True, "false": False, "null": None}
_LABEL = re.compile(rb"\s*(-?[0-9]{1,18})\s*")
_NAMES_SHOWN = 10
_WORDS = frozenset(("and", "or", "not", "in", *_CONSTANTS))
_TYPES = {
    float: "a number", str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null",
}  # fmt: skip
_REMEDIES = {
    "=": "write == for equal",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != for unequal",
    '"': "the text has no closing quote",
    "'": "the text has no closing quote",
    "`": "the name has no closing `",
    ".": "only top-level names of the JSON can be compared; put a name that has a dot between backquotes",
    "-": "put a name that has a hyphen between backquotes; nothing is computed",
}


class Name(NamedTuple):
    """An operand: the value that the sample has under this name."""

    name: str


class Literal(NamedTuple):
    """An operand: a value that stands in the condition."""

    value: Any


class Items(NamedTuple):
    """An operand: a list of operands."""

    items: tuple[Operand, ...]


Operand = Name | Literal | Items


class Comparison(NamedTuple):
    """A comparison of two operands; `sign` is a key of the table of comparisons."""

    left: Operand
    sign: str
    right: Operand

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it holds for a sample with these values; False if one of its names is missing."""
        try:
            left, right = _value(self.left, values), _value(self.right, values)
        except KeyError:
            return False
        return _COMPARISONS[self.sign](left, right)

    def names(self) -> Iterator[str]:
        """Yield the names that are compared."""
        yield from _names(self.left)
        yield from _names(self.right)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield this comparison."""
        yield self

    def literals(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield each name that is compared with literals alone, and these; only values of their types can match."""
        sides = [(self.left, self.right)] if self.sign == "in" else [(self.left, self.right), (self.right, self.left)]
        for one, other in sides:
            if isinstance(one, Name) and isinstance(other, Literal):
                yield one.name, (other.value,)
            elif isinstance(one, Name) and isinstance(other, Items) and not [*_names(other)]:
                values = _value(other, {})
                yield one.name, tuple(values) if self.sign == "in" else (values,)


class Not(NamedTuple):
    """The contrary of a condition."""

    part: Condition

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the part does not hold."""
        return not self.part.holds(values)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield the comparisons of the part."""
        return self.part.comparisons()


class Group(NamedTuple):
    """Conditions that are joined by "or" if `is_any`, and otherwise by "and"."""

    parts: tuple[Condition, ...]
    is_any: bool

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether one of the parts holds, or all do."""
        return (any if self.is_any else all)(part.holds(values) for part in self.parts)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield the comparisons of all parts."""
        for part in self.parts:
            yield from part.comparisons()


Condition = Comparison | Not | Group


def names_in(condition: Condition) -> tuple[str, ...]:
    """Return the names that are compared, each once."""
    return tuple(dict.fromkeys(name for each in condition.comparisons() for name in each.names()))


def label_in(content: bytes) -> int | str:
    """Return the label that a member `cls` holds: a whole number if it is one, else its text."""
    match = _LABEL.fullmatch(content)
    return int(match[1]) if match else content.decode("utf-8", "surrogateescape").strip()


def told_of_names(condition: Condition, there: Collection[str], so: str = "") -> str:
    """Return that no sample has some names of the condition, what follows, and which names samples have; "" if all are.

    `so` is what follows from it.
    """
    missing = [name for name in names_in(condition) if name not in there]
    if not missing:
        return ""
    have = f"; among what samples have is {first_few(sorted(there), _NAMES_SHOWN)}" if there else ""
    return f"no sample has {' or '.join(missing)}{so}{have}"


def parse(text: str) -> Condition:
    """Return the condition that `text` is. Raises OptionsError, which names the character, for what is none."""
    if len(text) > LIMIT_CHARACTERS:
        raise OptionsError([f"--where has {len(text):,} characters; the limit is {LIMIT_CHARACTERS:,}. Use --keep."])
    parser = _Parser(text)
    condition = parser.condition(0)
    if parser.kind != "end":
        words = "write a < b and b < c for a < b < c" if parser.token in _COMPARISONS else "join conditions by and, or"
        raise parser.error(f"{parser.token} follows a whole condition; {words}")
    return condition


class _Parser:
    """A recursive descent over the tokens of a text: `token` is the next, of a `kind`, and begins at `at`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.token = self.kind = ""
        self.at = 0
        self._advance()

    def error(self, complaint: str) -> OptionsError:
        """Return the error that something is wrong at the next token."""
        return OptionsError([f"--where, at character {self.at + 1}: {complaint}. It is: {self._text}"])

    def condition(self, depth: int, *, is_any: bool = True) -> Condition:
        """Return the condition that begins here; with `is_any` False, one without "or" outside parentheses."""
        word = "or" if is_any else "and"
        parts = [self.condition(depth, is_any=False) if is_any else self._plain(depth)]
        while self._takes(word):
            parts.append(self.condition(depth, is_any=False) if is_any else self._plain(depth))
        return parts[0] if len(parts) == 1 else Group(tuple(parts), is_any)

    def _plain(self, depth: int) -> Condition:
        self._refuse_deep(depth)
        if self._takes("not"):
            return Not(self._plain(depth + 1))
        if self._takes("("):
            inner = self.condition(depth + 1)
            if not self._takes(")"):
                raise self.error(f"a closing parenthesis is missing before {self._shown}")
            return inner
        left = self._operand(depth)
        sign = self.token
        if self.kind not in ("sign", "name") or sign not in _COMPARISONS:
            words = "write not (x in [...])" if sign == "not" else f"compare by one of {' '.join(_COMPARISONS)}"
            raise self.error(f"a comparison is missing before {self._shown}; {words}")
        self._advance()
        right = self._operand(depth)
        if sign == "in" and isinstance(right, Literal) and not isinstance(right.value, str):
            raise self.error("a list, a text or a name follows in: x in [1, 2]")
        return Comparison(left, sign, right)

    def _operand(self, depth: int) -> Operand:
        self._refuse_deep(depth)
        kind, token = self.kind, self.token
        if self._takes("["):
            items: list[Operand] = []
            while not self._takes("]"):
                if items and not self._takes(","):
                    raise self.error(f"a comma or ] is missing before {self._shown}")
                items.append(self._operand(depth + 1))
            return Items(tuple(items))
        if kind not in ("number", "text", "name", "quoted") or (kind == "name" and token in _WORDS - _CONSTANTS.keys()):
            raise self.error(f"a name or a value is missing before {self._shown}")
        operand = self._made(kind, token)
        self._advance()
        return operand

    def _made(self, kind: str, token: str) -> Operand:
        """Return the operand that one token is."""
        if kind == "number":
            try:
                return Literal(int(token) if token.lstrip("-").isdigit() else float(token))
            except ValueError as error:  # of more digits than Python reads
                raise self.error("the number has too many digits") from error
        if kind == "text":
            return Literal(_ESCAPE.sub(self._unescaped, token[1:-1]))
        if kind == "quoted":
            return Name(token[1:-1])
        return Literal(_CONSTANTS[token]) if token in _CONSTANTS else Name(token)

    def _unescaped(self, match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPED:
            raise self.error(rf"the text has \{code}; write \\ for a backslash")
        return _ESCAPED[code]

    def _takes(self, token: str) -> bool:
        """Return whether `token` is the next one, and pass it if it is."""
        is_next = self.token == token and self.kind in ("sign", "name")
        if is_next:
            self._advance()
        return is_next

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._end)
        if match is None:
            self.at = len(self._text) - len(self._text[self._end :].lstrip())
            character = self._text[self.at]
            remedy = _REMEDIES.get(character, "it has no meaning here; put texts between quotes")
            raise self.error(f"{character} cannot be read; {remedy}")
        kind = str(match.lastgroup)
        self.kind, self.token, self.at, self._end = kind, match[kind], match.start(kind), match.end()

    @property
    def _shown(self) -> str:
        return self.token if self.kind != "end" else "the end"

    def _refuse_deep(self, depth: int) -> None:
        if depth > LIMIT_DEPTH:
            raise self.error(f"conditions are nested deeper than {LIMIT_DEPTH}; write them side by side")


def _names(operand: Operand) -> Iterator[str]:
    if isinstance(operand, Name):
        yield operand.name
    elif isinstance(operand, Items):
        for item in operand.items:
            yield from _names(item)


def _value(operand: Operand, values: Mapping[str, Any]) -> Any:
    """Return the operand's value for a sample with these values. Raises KeyError for a name that the sample lacks."""
    if isinstance(operand, Name):
        return values[operand.name]
    return operand.value if isinstance(operand, Literal) else [_value(item, values) for item in operand.items]


def _type(value: Any) -> type:
    """Return the type by which values are compared: whole and other numbers are of one, true and false of another."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def type_in_words(value: Any) -> str:
    """Return the type by which a value is compared, for people."""
    return _TYPES[_type(value)]


def _equal(left: Any, right: Any) -> bool:
    if _type(left) is not _type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(value, right[name]) for name, value in left.items())
    return bool(left == right)


def _in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and _any_equal(left, right)


def _any_equal(left: Any, right: Iterable[Any]) -> bool:
    return any(_equal(left, item) for item in right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a comparison that holds only of two numbers or two texts."""
    return lambda left, right: _type(left) is _type(right) and _type(left) in (float, str) and compare(left, right)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _in,
}
