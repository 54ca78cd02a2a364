"""The coordinator tells the story of a run, and each refusal, clock and exception is another module's business."""

from __future__ import annotations

import ast
import inspect

from parallel_sharder import convert, coordinator

DEEPER = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)


def test_convert_fits_on_a_screen_at_one_level() -> None:
    """It is one `with`, whose statements hold no further block, and the page behind it; it has fewer than 45 lines."""
    source = inspect.getsource(convert)
    [function] = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    [_, block, page] = function.body  # the docstring is first
    assert isinstance(block, ast.With)
    assert isinstance(page, ast.Return)
    assert [] == [node for statement in block.body for node in ast.walk(statement) if isinstance(node, DEEPER)]
    assert len(source.splitlines()) < 45


def test_coordinator_catches_nothing() -> None:
    """Who can do something about an error is another module."""
    tree = ast.parse(inspect.getsource(coordinator))
    assert [] == [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
