"""The verdict: facts of a verification, and the status that follows from them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, Problem
from parallel_sharder.verify.verdict import Verdict

SOUND = Verdict(("/out/x.json",), 60, 3, 1000, "/raw", 60, 0, (), (), (), 2, 1.5)
DEVIATION = Deviation("/out/x.tar", "is missing", "key", 512)
PROBLEM = Problem(Kind.EMPTY_CLASS, "/raw/n1", "", "has no image")


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (SOUND, 0),
        (dataclasses.replace(SOUND, left_out=1), 3),
        (dataclasses.replace(SOUND, problems=(PROBLEM,)), 3),
        (dataclasses.replace(SOUND, left_out=1, deviations=(DEVIATION,)), 1),
    ],
)
def test_status(verdict: Verdict, status: int) -> None:
    """A deviation counts more than what is left out, and that more than nothing."""
    assert status == verdict.exit_code


def test_json_has_every_deviation() -> None:
    """With the sample's key and the offset; the whole is JSON."""
    content = dataclasses.replace(SOUND, deviations=(DEVIATION,) * 50, problems=(PROBLEM,)).json()
    assert content == json.loads(json.dumps(content))
    assert [{"path": "/out/x.tar", "detail": "is missing", "key": "key", "offset": 512}] * 50 == content["deviations"]
