"""The check of the form: each rule of a sample's JSON is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from parallel_sharder.verify.json_form import fault_in_form
from tests.test_samples_boxes import CLASSES, KEY, mended, xml


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"annotated": 1}, "does not have the fields"),
        ({"boxes": [[1, 2, 30, 40.0]]}, "has a box that is not four whole numbers"),
        ({"boxes": [[1, 2, 501, 40]]}, "has the box [1, 2, 501, 40] in 500 x 375"),
        ({"boxes": [[30, 2, 1, 40]]}, "has the box [30, 2, 1, 40] in 500 x 375"),
        ({"labels": [1]}, "has labels that are not those of its names"),
        ({"names": []}, "has lists of different lengths"),
        ({"annotated": False}, "has lists of different lengths, or boxes without an annotation"),
        ({"difficult": [True]}, "has values other than 0 and 1"),
        ({"labels": [449.0]}, "has labels that are not those of its names"),
        ({"names": [5]}, "has a name that is no WordNet ID"),
        ({"names": [""]}, "has a name that is no WordNet ID"),
        ({"wnid": "n02012849"}, "has the wnid n02012849, and its class has n01440764"),
        ({"filename": "n01440764_37.JPEG"}, "has the file n01440764_37.JPEG of 500 x 375"),
        ({"width": -3, "boxes": [], "names": [], "labels": [], "truncated": [], "difficult": []}, "of -3 x 375"),
    ],
)
def test_faults_in_form(change: dict[str, Any], fault: str) -> None:
    """Each rule of the form is looked at."""
    content, _, _ = mended(xml((1, 2, 30, 40)))
    assert fault in fault_in_form(KEY, {**content, **change}, "boxes", CLASSES, "skip")
