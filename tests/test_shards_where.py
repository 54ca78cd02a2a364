"""The conditions of --where: what they mean, and what is refused, with the character."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import OptionsError
from parallel_sharder.sources.shards.where import LIMIT_CHARACTERS, names_in, parse

VALUES: dict[str, Any] = {
    "cls": 7,
    "cname": "tench, Tinca tinca",
    "width": 500.0,
    "is_grey": False,
    "nothing": None,
    "tags": ["fish", 3],
    "a-b": "x",
    "größe": 2,
    "deep": {"a": [1, True]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cls == 7", True),
        ("cls==7.0", True),
        ("7 == cls", True),
        ("cls in [1, 7]", True),
        ("cls in []", False),
        ("not cls in [1, 7]", False),
        ("cls < 8 and cls >= 7", True),
        ("cls < 7 or cls > 7", False),
        ("cls == 1 and cls == 2 or cls == 7", True),  # and binds closer
        ("cls == 1 and (cls == 2 or cls == 7)", False),
        ("not cls == 1 and cls == 7", True),  # not binds closest
        ("not not (cls == 7)", True),
        ("cname == 'tench, Tinca tinca'", True),
        ('cname < "u"', True),
        ('"Tinca" in cname', True),
        ("1 in cname", False),
        ("'fish' in tags", True),
        ("3 in tags", True),
        ("true in tags", False),
        ("tags == ['fish', 3]", True),
        ("width == 500 and width > -1e3", True),
        ("is_grey == false", True),
        ("is_grey == 0", False),  # a number is no truth
        ("is_grey != 0", True),
        ("is_grey < 1", False),
        ("nothing == null", True),
        ("nothing != 1", True),
        ("nothing < 1", False),
        ("cls == '7'", False),
        ("cls != '7'", True),
        ("cls < '8'", False),
        ("tags < ['g']", False),
        ("deep == deep and deep != tags", True),
        ("`a-b` == 'x'", True),
        ("größe == 2", True),
        ("missing == 1", False),
        ("missing != 1", False),
        ("missing != missing", False),
        ("not missing == 1", True),
        ("cls in [missing, 7]", False),
        (r"'\u0074\"\\' == 't" + '"' + r"\\'", True),
        ("'and' == 'and'", True),
        (" \n cls\t== 7 ", True),
    ],
)
def test_meaning(text: str, expected: bool) -> None:
    """A condition holds as the grammar says; a missing name makes it false, and so do two types, but for !=."""
    assert expected == parse(text).holds(VALUES)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at character 1: a name or a value is missing before the end"),
        ("cls", "at character 4: a comparison is missing before the end; compare by one of == != < <= > >= in"),
        ("cls = 7", "at character 5: = cannot be read; write == for equal"),
        ("cls == 7 && cls == 8", "at character 10: & cannot be read; write and"),
        ("! cls == 7", "at character 1: ! cannot be read; write not"),
        ("cls == 'tench", "at character 8: ' cannot be read; the text has no closing quote"),
        ("(cls == 7", "at character 10: a closing parenthesis is missing before the end"),
        ("cls == 7)", r"at character 9: \) follows a whole condition; join conditions by and, or"),
        ("1 < cls < 7", "at character 9: < follows a whole condition; write a < b and b < c"),
        ("cls == 7 cls == 8", "at character 10: cls follows a whole condition"),
        ("cls not in [1]", r"at character 5: a comparison is missing before not; write not \(x in \[...\]\)"),
        ("cls in 7", "a list, a text or a name follows in"),
        ("cls in [1 2]", r"at character 11: a comma or \] is missing before 2"),
        ("cls in [1,", "at character 11: a name or a value is missing before the end"),
        ("and == 7", "at character 1: a name or a value is missing before and"),
        ("box.width == 7", r"at character 4: \. cannot be read; only top-level names"),
        ("a-b == 7", "at character 2: - cannot be read; put a name that has a hyphen between backquotes"),
        ("__import__('os') == 1", r"at character 11: a comparison is missing before \("),
        (r"'\d' == cname", r"the text has \\d; write"),
        ("cls == 7e", "at character 8: 7 cannot be read"),
        (f"cls == {'9' * 5000}", "the number has too many digits"),
        ("(" * 51 + "cls == 1" + ")" * 51, "conditions are nested deeper than 50"),
        ("not " * 2000, "conditions are nested deeper than 50"),
        ("cls in " + "[" * 9000, "conditions are nested deeper than 50"),
        ("c" * (LIMIT_CHARACTERS + 1), "--where has 10,001 characters; the limit is 10,000"),
    ],
)
def test_refused(text: str, complaint: str, typed: None) -> None:
    """What is no condition is refused with the place and the remedy, as a wrong command line."""
    with pytest.raises(OptionsError, match=complaint) as caught:
        parse(text[: LIMIT_CHARACTERS + 1])
    assert 2 == caught.value.exit_code


def test_names() -> None:
    """A condition says which names it compares, so that only what has them is read."""
    assert {"cls", "a", "b"} == set(names_in(parse("not cls == 1 and (a in [b, 2] or 'a' == 'c')")))


LEAVES = st.tuples(st.sampled_from("abc"), st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), st.integers(-2, 2))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(("and", "or")), inner, inner)),
)
SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def written(tree: Any) -> str:
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def expected_of(tree: Any, values: dict[str, int]) -> bool:
    if tree[0] == "not":
        return not expected_of(tree[1], values)
    if tree[0] in ("and", "or"):
        left, right = expected_of(tree[1], values), expected_of(tree[2], values)
        return (left and right) if tree[0] == "and" else (left or right)
    return tree[0] in values and bool(SIGNS[tree[1]](values[tree[0]], tree[2]))


@given(TREES, st.dictionaries(st.sampled_from("abc"), st.integers(-2, 2)))
def test_any_condition(tree: Any, values: dict[str, int]) -> None:
    """Conditions of any nesting hold as their parts say."""
    assert expected_of(tree, values) == parse(written(tree)).holds(values)


@given(st.text("ab=!<>()[],'\"`\\ 1.-enotrd\n", max_size=40))
def test_any_text(text: str) -> None:
    """Any text is a condition, or is refused; nothing else happens."""
    with contextlib.suppress(OptionsError):
        parse(text).holds({"a": 1, "b": "b"})
