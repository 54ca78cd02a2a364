"""The promises that the README makes are tested by the tests it names."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_promise_names_tests_that_exist() -> None:
    """All eleven, each with a file and, where it names functions, with functions of that file."""
    _, section, *_ = re.split(r"^## (?:Promises|Verify)$", (HERE.parent / "README.md").read_text(), flags=re.MULTILINE)
    promises = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert [str(number) for number in range(1, 12)] == [number for number, _, _ in promises]
    for number, _, tests in promises:
        for part in tests.split(";"):
            [file, *names] = re.findall(r"`(test_[\w.*]+)`", part)
            functions = re.findall(r"^def (test_\w+)", (HERE / file).read_text(), re.MULTILINE)
            for name in names:
                assert fnmatch.filter(functions, name), (number, file, name)
