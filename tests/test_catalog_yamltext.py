"""YAML as it is written into a card and an index: text stays the text that it is."""

from __future__ import annotations

import pytest
import yaml

from parallel_sharder.catalog.yamltext import from_yaml, to_yaml
from tests.test_text import ODD_NAMES


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_in_yaml_stay_texts(name: str) -> None:
    """As key, as value, in lists, twice: what is read is what was written, in ASCII, for PyYAML's own loader too."""
    content = {name: name, "list": [name, name], "deep": [{"a": [name]}, {"a": [name]}]}
    text = to_yaml(content)
    assert text.isascii()
    assert (content, content) == (from_yaml(text), yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c",
        "{",
        "a: !!python/object:os.system x",
        "2001-02-31",
        "!!bool x",
        "!!timestamp x",
        "!!int ",
        "[" * 5000,
        "\0",
    ],
)
def test_what_is_no_yaml(text: str) -> None:
    """Broken text, tags of programs, impossible dates and depths without end are one kind of error."""
    with pytest.raises(ValueError, match="it is no YAML that can be read"):
        from_yaml(text)
