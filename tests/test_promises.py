"""The promises that the README makes are those of tests/README.md, and are tested by the tests that it names."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

HERE = Path(__file__).parent
_, PROMISES, *_ = re.split(r"^## (?:Promises|Verify)$", (HERE.parent / "README.md").read_text(), flags=re.MULTILINE)
_, DETAILS = (HERE / "README.md").read_text().split("\n## Promises\n")
NUMBERS = [str(number) for number in range(1, 12)]


def test_promises_stand_in_both_in_the_same_words() -> None:
    """All eleven; what is bold in tests/README.md is what the README says."""
    promises = dict(re.findall(r"^(\d+)\. (.+)$", PROMISES, re.MULTILINE))
    detailed = dict(re.findall(r"^(\d+)\. \*\*(.+?)\*\*", DETAILS, re.MULTILINE | re.DOTALL))
    assert list(promises) == NUMBERS
    assert promises == {number: " ".join(words.split()) for number, words in detailed.items()}


def test_every_promise_names_tests_that_exist() -> None:
    """Each has a file and, where it names functions, functions of that file."""
    named = re.findall(r"^\| (\d+) \| (.+) \|$", DETAILS, re.MULTILINE)
    assert [number for number, _ in named] == NUMBERS
    for number, tests in named:
        for part in tests.split(";"):
            [file, *names] = re.findall(r"`(test_[\w.*]+)`", part)
            functions = re.findall(r"^def (test_\w+)", (HERE / file).read_text(), re.MULTILINE)
            for name in names:
                assert fnmatch.filter(functions, name), (number, file, name)
